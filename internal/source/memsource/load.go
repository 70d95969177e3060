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
	resumed  map[penstock.TableID]penstock.Snapshot // tables whose load goes on
}

// part is what a chunk's Token says: row versions from and to, the last
// excluded, or all from from on if it is negative, of a file of the table.
type part struct{ file, from, to int }

func (p part) String() string { return fmt.Sprintf("%d %d %d", p.file, p.from, p.to) }

func parsePart(token string) (p part, err error) {
	if _, err := fmt.Sscan(token, &p.file, &p.from, &p.to); err != nil {
		return p, penstock.Errorf(penstock.KindInternal, "%q is not a chunk", token)
	}
	return p, nil
}

// Load implements penstock.Capture. It waits for open transactions that have
// changed one of the tables, perhaps before it was published.
func (c *capture) Load(ctx context.Context, tables []penstock.Table, begun map[penstock.TableID]*penstock.PartialLoad) (penstock.Load, error) {
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
	l := &load{capture: c, snapshot: db.snapshot(), resumed: map[penstock.TableID]penstock.Snapshot{}}
	for i := range tables {
		file := 0
		if t := db.byID(tables[i].ID); t != nil {
			file = t.file
		}
		l.cut(&tables[i], file, begun[tables[i].ID])
	}
	return l, nil
}

// cut adds the chunks of a table that was that file: those that are not done.
func (l *load) cut(shape *penstock.Table, file int, begun *penstock.PartialLoad) {
	n := 0
	if t := l.capture.db.byID(shape.ID); t != nil {
		n = len(t.rows)
	}
	done, join, ok := l.resume(shape, file, begun)
	if ok {
		l.resumed[shape.ID] = join
	}
	open := true // the last chunk has no end, for what is added meanwhile
	for from := 0; open; {
		to := from + chunkRows
		if i := slices.IndexFunc(done, func(p part) bool { return p.from == from }); i >= 0 {
			from, open = done[i].to, done[i].to >= 0
			continue
		}
		for _, p := range done {
			if p.from > from {
				to = min(to, p.from)
			}
		}
		if to >= n && !slices.ContainsFunc(done, func(p part) bool { return p.from >= to }) {
			to, open = -1, false
		}
		l.chunks = append(l.chunks, penstock.Chunk{Table: shape, Bytes: int64(max(min(n-from, chunkRows), 0)), Token: part{file, from, to}.String()})
		from = to
	}
}

// resume returns the parts that are done of a table, and the snapshot of those
// and this load together, if what was begun is still good.
func (l *load) resume(shape *penstock.Table, file int, begun *penstock.PartialLoad) (done []part, join penstock.Snapshot, ok bool) {
	if begun == nil || len(begun.Chunks) == 0 || shape.Identity != penstock.IdentityKey {
		return nil, "", false
	}
	old, err := decodeSnapshot(begun.Snapshot)
	if err != nil || old.before {
		return nil, "", false
	}
	for _, token := range begun.Chunks {
		p, err := parsePart(token)
		if err != nil || p.file != file {
			return nil, "", false
		}
		done = append(done, p)
	}
	old.upto = max(old.upto, l.snapshot.upto)
	return done, old.encode(), true
}

// Snapshot implements penstock.Load.
func (l *load) Snapshot() penstock.Snapshot { return l.snapshot.encode() }

// Resumes implements penstock.Load.
func (l *load) Resumes(id penstock.TableID) (penstock.Snapshot, bool) {
	join, ok := l.resumed[id]
	return join, ok
}

// Chunks implements penstock.Load.
func (l *load) Chunks() []penstock.Chunk { return l.chunks }

// Read implements penstock.Load.
func (l *load) Read(ctx context.Context, c penstock.Chunk, rows *penstock.Rows, limit int, flush func(bad penstock.BadValues) error) error {
	values, err := l.values(ctx, c)
	if err != nil {
		return err
	}
	return emit(c.Table, values, rows, limit, flush)
}

// emit hands rows over as Load.Read and Capture.Reread do.
func emit(shape *penstock.Table, values [][]any, rows *penstock.Rows, limit int, flush func(bad penstock.BadValues) error) error {
	flushed := func(bad penstock.BadValues) error {
		err := flush(bad)
		rows.Clear()
		return err
	}
	var bad penstock.BadValues
	for _, v := range values {
		for _, i := range appendRow(rows, v) {
			bad.Count(shape.Columns[i].ID, 1)
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
	p, err := parsePart(c.Token)
	if err != nil {
		return nil, err
	}
	t := db.byID(c.Table.ID)
	if t == nil || t.file != p.file || !t.shape.SameShape(c.Table) {
		return nil, penstock.Errorf(penstock.KindStale, "table %s is no longer what it was when the load began", c.Table)
	}
	if p.to < 0 {
		p.to = len(t.rows)
	}
	for i := min(p.from, len(t.rows)); i < min(p.to, len(t.rows)); i++ {
		if v := t.rows[i]; db.shows(v, l.snapshot) {
			out = append(out, v.values)
		}
	}
	return out, nil
}

// Close implements penstock.Load; there is nothing to release.
func (l *load) Close() error { return nil }

// Reread implements penstock.Capture.
func (c *capture) Reread(ctx context.Context, shape *penstock.Table, keys *penstock.Rows, these []int32, join penstock.Snapshot, rows *penstock.Rows, limit int, flush func(bad penstock.BadValues) error) (penstock.Snapshot, error) {
	values, join, err := c.reread(ctx, shape, keys, these, join)
	if err != nil {
		return "", err
	}
	return join, emit(shape, values, rows, limit, flush)
}

func (c *capture) reread(ctx context.Context, shape *penstock.Table, keys *penstock.Rows, these []int32, join penstock.Snapshot) (out [][]any, _ penstock.Snapshot, err error) {
	db := c.db
	defer db.source.mu.Unlock()
	if err := db.source.begin(ctx, "Reread"); err != nil {
		return nil, "", err
	}
	old, err := decodeSnapshot(join)
	if err != nil {
		return nil, "", err
	}
	t := db.byID(shape.ID)
	if t == nil || !t.shape.SameShape(shape) || shape.Identity != penstock.IdentityKey {
		return nil, "", penstock.Errorf(penstock.KindStale, "table %s is no longer what it was", shape)
	}
	wanted := map[string]bool{}
	for _, r := range these {
		wanted[keyOf(shape, keys, int(r))] = true
	}
	now, one := db.snapshot(), penstock.NewRows(shape)
	for _, v := range t.rows {
		if !db.shows(v, now) {
			continue
		}
		one.Clear()
		appendRow(one, v.values)
		if wanted[keyOf(shape, one, 0)] {
			out = append(out, v.values)
		}
	}
	old.upto = max(old.upto, now.upto)
	return out, old.encode(), nil
}

// keyOf returns the values of a row's key.
func keyOf(shape *penstock.Table, rows *penstock.Rows, row int) string {
	var b []byte
	for _, c := range shape.Key {
		b = fmt.Appendf(b, "%x|", rows.Vectors[c].Raw(row))
	}
	return string(b)
}
