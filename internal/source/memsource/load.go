package memsource

import (
	"context"
	"fmt"
	"slices"

	"penstock"
)

// chunkRows is how many row versions a chunk has: few, so that tables have
// several chunks.
const chunkRows = 100

// load implements penstock.Load.
type load struct {
	capture  *capture
	snapshot snapshot
	chunks   []penstock.Chunk
	files    map[penstock.TableID]int
}

// Load implements penstock.Capture. It waits for open transactions that have
// changed one of the tables, perhaps before it was published.
func (c *capture) Load(ctx context.Context, tables []penstock.Table) (penstock.Load, error) {
	db, s := c.db, c.db.source
	err := s.begin(ctx, "Load")
	defer s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	writers := slices.DeleteFunc(slices.Clone(db.open), func(tx *Tx) bool {
		return !slices.ContainsFunc(tables, func(t penstock.Table) bool { return tx.wrote(t.ID) })
	})
	for slices.ContainsFunc(writers, func(tx *Tx) bool { return !tx.done }) {
		moved := db.moved
		s.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
		}
		if err := s.begin(ctx, "Load"); err != nil {
			return nil, err
		}
	}
	l := &load{capture: c, snapshot: db.snapshot(), files: map[penstock.TableID]int{}}
	for i := range tables {
		if t := db.byID(tables[i].ID); t != nil {
			l.files[tables[i].ID] = t.file
		}
	}
	l.cut(tables)
	return l, nil
}

// cut cuts tables into chunks.
func (l *load) cut(tables []penstock.Table) {
	for i := range tables {
		n := 0
		if t := l.capture.db.byID(tables[i].ID); t != nil {
			n = len(t.rows)
		}
		for from := 0; from == 0 || from < n; from += chunkRows {
			to := from + chunkRows
			if to >= n {
				to = -1
			}
			l.chunks = append(l.chunks, penstock.Chunk{Table: &tables[i], Bytes: int64(max(min(n-from, chunkRows), 0)), Token: fmt.Sprintf("%d %d", from, to)})
		}
	}
}

// Snapshot implements penstock.Load.
func (l *load) Snapshot() penstock.Snapshot { return l.snapshot.encode() }

// Chunks implements penstock.Load.
func (l *load) Chunks() []penstock.Chunk { return l.chunks }

// Read implements penstock.Load.
func (l *load) Read(ctx context.Context, c penstock.Chunk, rows *penstock.Rows, limit int, flush func(bad penstock.BadValues) error) error {
	values, err := l.values(ctx, c)
	if err != nil {
		return err
	}
	flushed := func(bad penstock.BadValues) error {
		err := flush(bad)
		rows.Clear()
		return err
	}
	var bad penstock.BadValues
	for _, v := range values {
		for _, i := range appendRow(rows, v) {
			bad.Count(c.Table.Columns[i].ID, 1)
		}
		if rows.Size() >= limit {
			if err := flushed(bad); err != nil {
				return err
			}
			bad = nil
		}
	}
	if rows.Len() > 0 {
		return flushed(bad)
	}
	return nil
}

// values returns the rows of a chunk that the load sees.
func (l *load) values(ctx context.Context, c penstock.Chunk) (out [][]any, err error) {
	db := l.capture.db
	defer db.source.mu.Unlock()
	if err := db.source.begin(ctx, "Read"); err != nil {
		return nil, err
	}
	t := db.byID(c.Table.ID)
	if t == nil || t.file != l.files[c.Table.ID] || !t.shape.SameShape(c.Table) {
		return nil, penstock.Errorf(penstock.KindStale, "table %s is no longer what it was when the load began", c.Table)
	}
	var from, to int
	if _, err := fmt.Sscan(c.Token, &from, &to); err != nil {
		return nil, penstock.Errorf(penstock.KindInternal, "%q is not a chunk", c.Token)
	}
	if to < 0 {
		to = len(t.rows)
	}
	for i := min(from, len(t.rows)); i < min(to, len(t.rows)); i++ {
		if v := t.rows[i]; db.shows(v, l.snapshot) {
			out = append(out, v.values)
		}
	}
	return out, nil
}

// Close implements penstock.Load; there is nothing to release.
func (l *load) Close() error { return nil }
