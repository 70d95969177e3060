package duckdbtarget

import (
	"context"
	"os"
)

// gate lets chunks of loads in. The engine moves its write-ahead log into the
// file only at a moment when nobody writes; several loading connections, whose
// transactions overlap, would leave it none, and the log would grow with
// everything that the stream writes beside them. So when the log is full, new
// chunks wait until those that are open have ended, and it is moved then.
// Its fields are guarded by Destination.mu.
type gate struct {
	limit   int64 // of the log, in bytes
	open    int   // chunks that are being written
	closed  bool  // the log is being moved
	changed chan struct{}
}

func newGate() gate { return gate{limit: checkpointThreshold, changed: make(chan struct{})} }

// enter waits until a chunk may be written; leave ends it. A goroutine that
// writes a chunk must not enter for another.
func (d *Destination) enter(ctx context.Context) error {
	for {
		d.mu.Lock()
		g := &d.gate
		full := d.logSize() > g.limit
		switch {
		case !full && !g.closed:
			g.open++
			d.mu.Unlock()
			return nil
		case g.open == 0 && !g.closed:
			g.closed = true
			d.mu.Unlock()
			d.checkpoint(ctx)
			d.mu.Lock()
			g.closed = false
			g.open++ // also if it did not work, for want of a moment: the next one tries
			g.wake()
			d.mu.Unlock()
			return nil
		}
		changed := g.changed
		d.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *Destination) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gate.open--
	d.gate.wake()
}

func (g *gate) wake() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// logSize returns the size of the write-ahead log.
func (d *Destination) logSize() int64 {
	info, err := os.Stat(d.db.path + ".wal")
	if err != nil {
		return 0 // there is none
	}
	return info.Size()
}

// checkpoint moves the log into the file, if nobody writes at this moment.
func (d *Destination) checkpoint(ctx context.Context) {
	c, err := d.connection()
	if err != nil {
		return
	}
	defer d.release(c)
	if err := c.exec(ctx, "CHECKPOINT "+ident(d.db.alias)); err != nil {
		d.w.log.Debug("no checkpoint before a chunk", "database", d.db.name, "error", err)
	}
}
