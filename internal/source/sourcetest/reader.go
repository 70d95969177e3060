package sourcetest

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"penstock"
)

// reader keeps a copy of the source's tables.
type reader struct {
	*env
	capture  penstock.Capture
	stream   penstock.Stream
	position penstock.Position
	tables   map[string]*copied // by name
	joins    map[penstock.TableID]penstock.Snapshot
	inside   bool // the last Next ended inside a transaction
}

// copied is a table's copy.
type copied struct {
	mend  bool // it is made of chunks of several snapshots
	moved bool // it waits for more than the stream knew when it was opened
	shape penstock.Table
	rows  []Row
	ops   []string // what the stream delivered, for tests of that
}

// reader returns a reader that knows the marks and has a position.
func (e *env) reader() *reader {
	e.Helper()
	r := &reader{env: e, capture: e.capture(e.id, e.everything()), tables: map[string]*copied{}, joins: map[penstock.TableID]penstock.Snapshot{}}
	at, err := r.capture.Prepare(e.ctx, "")
	e.ok(err)
	r.position = at
	r.know(marks)
	return r
}

// know adds tables as they are now, without loading them.
func (r *reader) know(names ...string) {
	r.Helper()
	for _, t := range r.look(names...) {
		r.tables[t.Name] = &copied{shape: t}
	}
}

// look returns the shapes of tables.
func (r *reader) look(names ...string) (out []penstock.Table) {
	r.Helper()
	all, _, err := r.capture.Tables(r.ctx)
	r.ok(err)
	for _, name := range names {
		i := slices.IndexFunc(all, func(t penstock.Table) bool { return t.Schema == "public" && t.Name == name })
		if i < 0 {
			r.Fatalf("the source does not list table %s", name)
		}
		out = append(out, all[i])
	}
	return out
}

// load opens a load of tables and takes note of how they join the stream.
func (r *reader) load(names ...string) penstock.Load {
	r.Helper()
	shapes := r.look(names...)
	l, err := r.capture.Load(r.ctx, shapes, nil)
	r.ok(err)
	r.Cleanup(func() { l.Close() })
	for _, s := range shapes {
		r.tables[s.Name] = &copied{shape: s}
		r.joins[s.ID] = l.Snapshot()
	}
	return l
}

// read reads chunks of a load.
func (r *reader) read(l penstock.Load, chunks ...penstock.Chunk) {
	r.Helper()
	for _, c := range chunks {
		r.ok(r.readChunk(l, c))
	}
}

func (r *reader) readChunk(l penstock.Load, c penstock.Chunk) error {
	t := r.tables[c.Table.Name]
	buffer := penstock.NewRows(c.Table)
	const limit = 4 << 10
	return l.Read(r.ctx, c, buffer, limit, func(bad penstock.BadValues) error {
		if bad.Total() != 0 || buffer.Len() == 0 || buffer.Size() > 4*limit {
			r.Errorf("a flush of %d rows in %d bytes, %d of them bad", buffer.Len(), buffer.Size(), bad.Total())
		}
		for i := range buffer.Len() {
			t.rows = append(t.rows, rowOf(buffer, i))
		}
		buffer.Clear()
		return nil
	})
}

// loadAll loads tables at once.
func (r *reader) loadAll(names ...string) {
	r.Helper()
	l := r.load(names...)
	r.read(l, l.Chunks()...)
	r.ok(l.Close())
}

// open opens the stream at the position, with all tables known.
func (r *reader) open() {
	r.Helper()
	var shapes []penstock.Table
	for _, t := range r.tables {
		shapes = append(shapes, t.shape)
	}
	s, err := r.capture.Stream(r.ctx, r.position, shapes, r.joins)
	r.ok(err)
	r.stream = s
	r.Cleanup(func() { s.Close() })
}

// reopen closes stream and capture, as a restart does, and goes on.
func (r *reader) reopen() {
	r.Helper()
	r.ok(r.stream.Close())
	r.ok(r.capture.Close())
	r.capture = r.env.capture(r.id, r.everything())
	at, err := r.capture.Prepare(r.ctx, r.position)
	r.ok(err)
	if at != r.position {
		r.Fatalf("resumed at %q, not at %q", at, r.position)
	}
	r.open()
}

// next takes one portion of the stream.
func (r *reader) next(limit int) *penstock.Changes {
	r.Helper()
	c := &penstock.Changes{Position: r.position}
	r.ok(r.stream.Next(r.ctx, c, limit))
	r.take(c)
	return c
}

// take applies changes to the copies.
func (r *reader) take(c *penstock.Changes) {
	r.Helper()
	if c.Open && len(c.Passed) > 0 {
		r.Fatalf("tables have passed inside a transaction: %v", c.Passed)
	}
	if c.Open && r.inside && c.Transactions == 0 && c.Position != r.position {
		r.Fatalf("inside a transaction, the position went from %q to %q", r.position, c.Position)
	}
	if c.Transactions > 0 && (c.CommitTime.IsZero() || c.Position == r.position) {
		r.Fatalf("%d transactions committed at %v lead from %q to %q", c.Transactions, c.CommitTime, r.position, c.Position)
	}
	r.position, r.inside = c.Position, c.Open
	for _, tc := range c.Tables {
		t := r.byID(tc.Table.ID)
		if t == nil {
			r.Fatalf("changes to table %s, which was not asked for", tc.Table)
		}
		r.apply(t, tc)
	}
	for _, id := range c.Passed {
		if t := r.byID(id); t != nil && t.moved {
			continue
		}
		if _, ok := r.joins[id]; !ok {
			r.Fatalf("table %s has passed, and did not wait to", id)
		}
		delete(r.joins, id)
	}
}

func (r *reader) byID(id penstock.TableID) *copied {
	for _, t := range r.tables {
		if t.shape.ID == id {
			return t
		}
	}
	return nil
}

// apply applies the changes to one table, one by one.
func (r *reader) apply(t *copied, tc *penstock.TableChanges) {
	r.Helper()
	for i := range tc.Rows.Vectors {
		if n := tc.Rows.Vectors[i].Len(); n != len(tc.Ops) {
			r.Fatalf("%s: column %d has %d values for %d rows", tc.Table, i, n, len(tc.Ops))
		}
	}
	if tc.Truncated {
		t.rows = nil
		t.ops = append(t.ops, "truncate")
	}
	if t.mend {
		r.applyMending(t, tc)
		return
	}
	full := t.shape.Identity == penstock.IdentityFull
	named := -1 // by the OpOld before
	for i, op := range tc.Ops {
		row := rowOf(&tc.Rows, i)
		if named >= 0 && op != penstock.OpUpdate {
			r.Fatalf("%s: %v follows a row that names the one to be updated", tc.Table, op)
		}
		switch op {
		case penstock.OpInsert:
			r.whole(tc, i)
			if !full && t.shape.Identity != penstock.IdentityNone && t.find(row, false) >= 0 {
				r.Fatalf("%s: row %v is inserted and is there already", tc.Table, row)
			}
			t.rows = append(t.rows, row)
			t.ops = append(t.ops, fmt.Sprintf("insert %d", row.ID))
		case penstock.OpOld, penstock.OpDelete:
			at := t.find(row, full)
			if at < 0 {
				r.Fatalf("%s: %v of row %v, which is not there", tc.Table, op, row)
			}
			if op == penstock.OpOld {
				named = at
				continue
			}
			t.rows = slices.Delete(t.rows, at, at+1)
			t.ops = append(t.ops, fmt.Sprintf("delete %d", row.ID))
		case penstock.OpUpdate:
			at, how := named, "rename"
			if at < 0 {
				at, how = t.find(row, false), "update"
			}
			if at < 0 || full && named < 0 || t.shape.Identity == penstock.IdentityNone {
				r.Fatalf("%s: row %v is updated, and nothing tells which", tc.Table, row)
			}
			if full {
				r.whole(tc, i)
			}
			row = merge(&tc.Rows, i, row, t.rows[at])
			t.ops = append(t.ops, fmt.Sprintf("%s %d to %d", how, t.rows[at].ID, row.ID))
			t.rows[at], named = row, -1
		default:
			r.Fatalf("%s: operation %d is not known", tc.Table, op)
		}
	}
	if named >= 0 {
		r.Fatalf("%s: the last row names one to be updated, and nothing follows", tc.Table)
	}
}

// whole fails if a row has unchanged values.
func (r *reader) whole(tc *penstock.TableChanges, row int) {
	r.Helper()
	for i := range tc.Rows.Vectors {
		if tc.Rows.Vectors[i].IsUnchanged(row) {
			r.Fatalf("%s: row %d comes without its column %d", tc.Table, row, i)
		}
	}
}

// find returns where a row is, by its id or by all of it; -1 if nowhere.
func (t *copied) find(row Row, whole bool) int {
	return slices.IndexFunc(t.rows, func(o Row) bool { return o.ID == row.ID && (!whole || o == row) })
}

// rowOf reads row i; what is not there reads as zero.
func rowOf(rows *penstock.Rows, i int) Row {
	return Row{ID: rows.Vectors[0].Int64(i), N: rows.Vectors[1].Int64(i), Body: string(bytes.Clone(rows.Vectors[2].Bytes(i)))}
}

// merge fills in unchanged values.
func merge(rows *penstock.Rows, i int, row, old Row) Row {
	if rows.Vectors[1].IsUnchanged(i) {
		row.N = old.N
	}
	if rows.Vectors[2].IsUnchanged(i) {
		row.Body = old.Body
	}
	return row
}

// catchUp reads up to a mark that it sets now, and compares all tables with
// those of the source.
func (r *reader) catchUp() {
	r.Helper()
	r.toMark(r.mark())
	for name := range r.tables {
		r.compare(name)
	}
}

// mark sets a mark at the source.
func (e *env) mark() int64 {
	e.Helper()
	e.marked++
	e.do(func(tx Tx) { tx.Insert(marks, Row{ID: e.marked}) })
	return e.marked
}

// toMark reads until a mark has arrived, and everything before it.
func (r *reader) toMark(mark int64) {
	r.Helper()
	for r.inside || r.tables[marks].find(Row{ID: mark}, false) < 0 {
		r.next(1 << 20)
	}
}

func (r *reader) compare(name string) {
	r.Helper()
	order := func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.N, b.N), cmp.Compare(a.Body, b.Body))
	}
	got, want := slices.Clone(r.tables[name].rows), r.s.Rows(r.T, name)
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	if !slices.Equal(got, want) {
		r.Fatalf("table %s has %d rows, want %d\n got %.300s\nwant %.300s", name, len(got), len(want), fmt.Sprint(got), fmt.Sprint(want))
	}
}

// wantOps checks what the stream has delivered of a table.
func (r *reader) wantOps(table string, want ...string) {
	r.Helper()
	if got := r.tables[table].ops; !slices.Equal(got, want) {
		r.Fatalf("table %s: the stream delivered %q, want %q", table, got, want)
	}
}
