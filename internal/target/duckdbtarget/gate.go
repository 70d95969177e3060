package duckdbtarget

import (
	"context"
	"os"

	"penstock"
)

// gate lets chunks of loads in. The engine moves its write-ahead log into the
// file only at a moment when nobody writes; several loading connections, whose
// transactions overlap, would leave it none, and the log would grow with
// everything that the stream writes beside them. So when the log is full, new
// chunks wait until those that are open have ended, and it is moved then.
// Likewise when rows of many tables are in it: until then each column takes room
// in memory for some thousand values, however few there are.
// Its fields are guarded by Destination.mu.
type gate struct {
	limit   int64                     // of the log, in bytes
	most    int                       // of columns that may be written to; a batch may go beyond
	open    int                       // chunks that are being written
	written map[penstock.TableID]bool // tables written to since the log was moved
	marked  map[penstock.TableID]bool // those of which rows were removed
	columns int                       // that they have, and as many as take the room of the marks
	loaded  int64                     // rows that loads have written since
	closed  bool                      // the log is being moved
	changed chan struct{}
}

// fullLog is the size of the log, in bytes, at which it is moved between two batches. At
// the engine's own 16 MB nearly every large batch would have it moved; at 128 MB that takes
// a second and more, in which nothing becomes fresher, and changes cost as much. Loads, which
// wait for it all together, are only stopped for a log of longLog.
const fullLog = 32 << 20

// columnRoom is about what a column of a few rows takes in memory.
const columnRoom = 32 << 10

// newGate returns a gate that lets columns take a quarter of the memory.
func newGate(memory int64) gate {
	return gate{limit: longLog, most: int(memory / 4 / columnRoom), written: make(map[penstock.TableID]bool), marked: make(map[penstock.TableID]bool), changed: make(chan struct{})}
}

// write takes note of a table that has been written to.
func (g *gate) write(id penstock.TableID, columns int) {
	if !g.written[id] {
		g.written[id] = true
		g.columns += columns
	}
}

// mark takes note of a table of which rows were removed; see marks.go.
func (g *gate) mark(id penstock.TableID) {
	if !g.marked[id] {
		g.marked[id] = true
		g.columns += markRoom / columnRoom
	}
}

// enter waits until a chunk may be written; leave ends it. A goroutine that
// writes a chunk must not enter for another.
func (d *Destination) enter(ctx context.Context) error {
	for {
		d.mu.Lock()
		g := &d.gate
		full := g.columns > g.most || d.logSize() > g.limit
		switch {
		case !full && !g.closed:
			g.open++
			d.mu.Unlock()
			return nil
		case g.open == 0 && !g.closed:
			g.closed = true
			d.mu.Unlock()
			moved := d.checkpoint(ctx)
			d.mu.Lock()
			g.closed = false
			g.moved(moved)
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

// moved takes note that the log has been moved, if that worked.
func (g *gate) moved(ok bool) {
	if ok {
		clear(g.written)
		clear(g.marked)
		g.columns, g.loaded = 0, 0
	}
}

// rowGroup is how many neighbouring rows of a table the engine keeps together.
const rowGroup = 122_880

// wrote takes note of the tables that a batch has written to, and of which of them
// rows were removed, and has the log moved if it is full, or there are many by now. So it does when
// tables that were loaded can be read: until then the engine has with the rows of each
// chunk the transaction that wrote them, and the last ones in memory only, and queries
// take a seventh longer over them (TPC-H).
func (d *Destination) wrote(ctx context.Context, tables map[penstock.TableID]bool, swapped bool) {
	d.mu.Lock()
	for id, removed := range tables {
		if e := d.entries[id]; e != nil && e.current() != nil {
			v := e.current()
			d.gate.write(id, len(v.Columns)*len(v.tables()))
			if removed {
				d.gate.mark(id)
			}
		}
	}
	full := d.gate.columns > d.gate.most || d.logSize() >= fullLog || swapped && d.gate.loaded >= rowGroup
	d.mu.Unlock()
	if !full {
		return
	}
	ok := d.checkpoint(ctx) // else after the next batch
	d.mu.Lock()
	d.gate.moved(ok)
	d.mu.Unlock()
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
func (d *Destination) checkpoint(ctx context.Context) (ok bool) {
	c, err := d.connection()
	if err != nil {
		return false
	}
	defer d.release(c)
	defer c.inst.crew.help(helpWriter)() // row groups are written by themselves
	if err := c.exec(ctx, "CHECKPOINT "+ident(d.db.alias)); err != nil {
		d.w.log.Debug("no checkpoint now", "database", d.db.name, "error", err)
		return false
	}
	return true
}
