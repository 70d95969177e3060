package pipeline

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"penstock"
)

// loadBuffer is how many bytes of rows a loading connection collects before it
// hands them to the destination.
const loadBuffer = 8 << 20

// loading is one load in progress.
type loading struct {
	p    *Pipeline
	view penstock.Load

	mu     sync.Mutex
	left   map[penstock.TableID]int   // chunks to do
	failed map[penstock.TableID]error // not to be completed
}

// load copies tables into hidden versions. A table that changes under it, or
// alone cannot be read, is left for a later turn; the others go on (promise 5).
func (p *Pipeline) load(ctx context.Context, tables []penstock.Table) error {
	for i := range tables {
		if err := p.dest.Ensure(ctx, &tables[i]); err != nil {
			return err
		}
	}
	view, err := p.capture.Load(ctx, tables)
	if err != nil {
		return err
	}
	defer view.Close()
	l := &loading{p: p, view: view, left: map[penstock.TableID]int{}, failed: map[penstock.TableID]error{}}
	chunks := view.Chunks()
	total := int64(0)
	for _, c := range chunks {
		l.left[c.Table.ID]++
		total += c.Bytes
	}
	p.status.loadBegins(len(tables), total)
	defer p.status.loadEnds()
	if err := l.readAll(ctx, chunks); err != nil {
		return err
	}
	return l.record(ctx, tables)
}

// readAll reads the chunks with several connections.
func (l *loading) readAll(ctx context.Context, chunks []penstock.Chunk) error {
	queue := make(chan penstock.Chunk)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(queue)
		for _, c := range chunks {
			select {
			case queue <- c:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	buffer := max(min(loadBuffer, l.p.limit/l.p.cfg.Connections), minLimit)
	for range l.p.cfg.Connections {
		g.Go(func() error {
			var rows penstock.Rows
			for c := range queue {
				if err := l.read(ctx, c, &rows, buffer); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// read reads one chunk. It returns errors that concern more than its table.
func (l *loading) read(ctx context.Context, c penstock.Chunk, rows *penstock.Rows, buffer int) error {
	id := c.Table.ID
	if l.hasFailed(id) {
		return nil
	}
	rows.Reset(c.Table)
	err := l.view.Read(ctx, c, rows, buffer, func(bad int64) error {
		n, size := rows.Len(), rows.Size()
		if err := l.p.dest.Append(ctx, id, rows, bad); err != nil {
			return err
		}
		l.p.status.loaded(int64(n), int64(size))
		return nil
	})
	switch penstock.KindOf(err) {
	case penstock.KindStale, penstock.KindSetting:
		l.fail(id, err)
		return nil
	}
	if err != nil {
		return err
	}
	l.p.status.loadedChunk(c.Bytes, l.done(id))
	return nil
}

func (l *loading) hasFailed(id penstock.TableID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed[id] != nil
}

func (l *loading) fail(id penstock.TableID, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed[id] == nil {
		l.failed[id] = err
	}
}

// done counts a chunk and reports whether it was its table's last.
func (l *loading) done(id penstock.TableID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left[id]--
	return l.left[id] == 0
}

// record notes which tables are complete, and why others are not.
func (l *loading) record(ctx context.Context, tables []penstock.Table) error {
	snapshot := l.view.Snapshot()
	for i := range tables {
		t := &tables[i]
		err := l.failed[t.ID]
		if err == nil && l.left[t.ID] > 0 {
			err = penstock.Errorf(penstock.KindStale, "table %s was not read to its end", t)
		}
		if err == nil {
			if err := l.p.dest.Loaded(ctx, t.ID, snapshot); err != nil {
				return err
			}
			delete(l.p.retry, t.ID)
			l.p.log.Info("table loaded", "table", t.String())
			continue
		}
		l.p.backOff(t.ID)
		state := penstock.TableStatus{Table: *t, State: penstock.TableResyncRequired, Reason: err.Error()}
		if penstock.KindOf(err) == penstock.KindSetting {
			state.State = penstock.TableFailed
		}
		l.p.log.Warn("table not loaded, will be tried again", "table", t.String(), "error", err)
		if err := l.p.dest.SetStates(ctx, []penstock.TableStatus{state}); err != nil {
			return err
		}
	}
	return nil
}
