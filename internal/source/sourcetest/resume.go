package sourcetest

import (
	"slices"
	"strings"

	"penstock"
)

// begin reads the first chunks of a load of one table, and returns what a
// destination would remember of it.
func (r *reader) begin(name string, chunks int) *penstock.PartialLoad {
	r.Helper()
	l := r.load(name)
	if n := len(l.Chunks()); n < chunks {
		r.Skipf("the source reads the table in %d chunks", n)
	}
	if _, ok := l.Resumes(r.tables[name].shape.ID); ok {
		r.Fatal("a load goes on with nothing")
	}
	begun := &penstock.PartialLoad{Snapshot: l.Snapshot()}
	for _, c := range l.Chunks()[:chunks] {
		r.ok(r.readChunk(l, c))
		begun.Chunks = append(begun.Chunks, c.Token)
	}
	r.ok(l.Close())
	return begun
}

// goOn opens a load that goes on with what was begun of a table, if it does.
func (r *reader) goOn(name string, begun *penstock.PartialLoad) (l penstock.Load, resumes bool) {
	r.Helper()
	shapes := r.look(name)
	l, err := r.capture.Load(r.ctx, shapes, map[penstock.TableID]*penstock.PartialLoad{shapes[0].ID: begun})
	r.ok(err)
	r.Cleanup(func() { l.Close() })
	join, resumes := l.Resumes(shapes[0].ID)
	if resumes {
		r.joins[shapes[0].ID] = join
	} else {
		r.joins[shapes[0].ID] = l.Snapshot()
		r.tables[name].rows = nil
	}
	r.tables[name].shape = shapes[0]
	return l, resumes
}

// testResume: loads that broke go on with the chunks that are missing, three
// times, and what they have together becomes right with the stream: with
// inserts that replace, deletes of what is not there, and rows read again by
// key where an update does not say everything.
func testResume(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	e.insert("t", 1, 3000)
	large := strings.Repeat("x", 3000)
	e.do(func(tx Tx) {
		for id := int64(1); id <= 3000; id += 30 {
			tx.Update("t", id, map[string]any{"body": large})
		}
	})
	r := e.reader()
	begun := r.begin("t", 1)
	r.tables["t"].mend = true
	change := func(n int64) {
		e.do(func(tx Tx) {
			for id := n; id <= 3000; id += 30 {
				tx.Update("t", id, map[string]any{"n": 1000 * n}) // large values stay as they are
			}
			tx.Delete("t", 2+n)
			tx.Insert("t", Row{ID: 2 + n, N: n, Body: "the key is used again"})
			tx.Delete("t", 20+30*n)
			tx.Update("t", 31+30*n, map[string]any{"id": 5000 + n}) // with its large value
			tx.Insert("t", Row{ID: 31 + 30*n, N: n, Body: "and its key is used again"})
			tx.Insert("t", rows(6000+10*n, 6005+10*n)...)
		})
	}
	for n := int64(1); n <= 3; n++ {
		change(n)
		l, resumes := r.goOn("t", begun)
		if !resumes {
			e.Fatal("the load does not go on")
		}
		for _, c := range l.Chunks() {
			if slices.Contains(begun.Chunks, c.Token) {
				e.Fatalf("chunk %q is to be read again", c.Token)
			}
		}
		change(n + 10)
		missing := l.Chunks()
		if n < 3 {
			missing = missing[:min(1, len(missing))]
		}
		for _, c := range missing {
			r.ok(r.readChunk(l, c))
			begun.Chunks = append(begun.Chunks, c.Token)
		}
		begun.Snapshot, _ = l.Resumes(r.tables["t"].shape.ID)
		r.ok(l.Close())
	}
	change(25)
	r.open()
	r.catchUpMending("t")
}

// testResumeNot: a truncated table starts again, and so does one that nothing
// tells the rows of apart.
func testResumeNot(e *env) {
	e.createKinds(3000)
	r := e.reader()
	whole := r.begin("whole", 1)
	if l, resumes := r.goOn("whole", whole); resumes {
		e.Error("a table without a key goes on")
	} else {
		r.read(l, l.Chunks()...)
		e.ok(l.Close())
	}
	keyed := r.begin("keyed", 1)
	e.do(func(tx Tx) { tx.Truncate("keyed") })
	e.insert("keyed", 5, 10)
	l, resumes := r.goOn("keyed", keyed)
	if resumes {
		e.Error("a truncated table goes on")
	}
	r.read(l, l.Chunks()...)
	e.ok(l.Close())
	r.open()
	r.catchUp()
}

// testReread: rows are read by key as they are now, whole, with a snapshot that
// the stream passes only when it has delivered what they show.
func testReread(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	e.insert("t", 1, 20)
	r := e.reader()
	r.loadAll("t")
	id := r.tables["t"].shape.ID
	large := strings.Repeat(`it's \ "large" `, 300)
	e.do(func(tx Tx) {
		tx.Update("t", 3, map[string]any{"n": 33, "body": large})
		tx.Delete("t", 4)
	})
	got := r.reread("t", 1, 3, 4, 99)
	slices.SortFunc(got, func(a, b Row) int { return int(a.ID - b.ID) })
	if want := []Row{{ID: 1, N: 1, Body: "row 1"}, {ID: 3, N: 33, Body: large}}; !slices.Equal(got, want) {
		e.Fatalf("read again: %.200v, want %.200v", got, want)
	}
	if got := r.reread("t"); len(got) > 0 {
		e.Errorf("no key, and rows %v", got)
	}
	r.open()
	for len(r.joins) > 0 {
		c := r.next(1 << 20)
		if i := r.tables["t"].find(Row{ID: 3, N: 33, Body: large}, true); slices.Contains(c.Passed, id) && i < 0 {
			e.Error("the stream has passed what was read again, and has not delivered it")
		}
	}
	r.catchUp()

	shape := r.tables["t"].shape
	e.s.AddColumn(e.T, "t")
	keys := penstock.NewRows(&shape)
	_, err := r.capture.Reread(e.ctx, &shape, keys, nil, r.snapshot("t"), penstock.NewRows(&shape), 1<<20, nil)
	e.wantKind(err, penstock.KindStale)
}

// snapshot returns the snapshot of a load of a table.
func (r *reader) snapshot(name string) penstock.Snapshot {
	r.Helper()
	l, err := r.capture.Load(r.ctx, r.look(name), nil)
	r.ok(err)
	defer l.Close()
	return l.Snapshot()
}

// reread reads rows again by id, and joins the table anew.
func (r *reader) reread(name string, ids ...int64) (out []Row) {
	r.Helper()
	t := r.tables[name]
	keys := penstock.NewRows(&t.shape)
	var these []int32
	for i, id := range ids {
		keys.Vectors[0].AppendInt64(id)
		keys.Vectors[1].AppendNull()
		keys.Vectors[2].AppendNull()
		these = append(these, int32(i))
	}
	rows := penstock.NewRows(&t.shape)
	join, err := r.capture.Reread(r.ctx, &t.shape, keys, these, r.joins[t.shape.ID], rows, 4<<10, func(bad penstock.BadValues) error {
		for i := range rows.Len() {
			out = append(out, rowOf(rows, i))
		}
		return nil
	})
	r.ok(err)
	if rows.Len() > 0 {
		r.Errorf("%d rows are left after the end", rows.Len())
	}
	r.joins[t.shape.ID] = join
	return out
}

// applyMending applies the changes to a table that is made of chunks of
// several snapshots.
func (r *reader) applyMending(t *copied, tc *penstock.TableChanges) {
	r.Helper()
	remove := func(id int64) (last Row, found bool) {
		t.rows = slices.DeleteFunc(t.rows, func(o Row) bool {
			if o.ID == id {
				last, found = o, true
			}
			return o.ID == id
		})
		return last, found
	}
	renamed := false
	for i, op := range tc.Ops {
		row := rowOf(&tc.Rows, i)
		switch op {
		case penstock.OpOld:
			renamed = true
			remove(row.ID)
		case penstock.OpDelete:
			remove(row.ID)
		case penstock.OpInsert:
			remove(row.ID)
			t.rows = append(t.rows, row)
		case penstock.OpUpdate:
			old, found := remove(row.ID)
			switch {
			case !tc.Rows.Vectors[2].IsUnchanged(i):
				t.rows = append(t.rows, row)
			case found && !renamed:
				t.rows = append(t.rows, merge(&tc.Rows, i, row, old))
			default:
				t.rows = append(t.rows, r.reread(t.shape.Name, row.ID)...)
				t.moved = true
			}
			renamed = false
		}
	}
}

// catchUpMending reads until the stream has passed everything that a table
// which is being mended was read from, and compares.
func (r *reader) catchUpMending(name string) {
	r.Helper()
	t := r.tables[name]
	r.toMark(r.mark())
	for t.moved { // what was read again is newer than the stream knew
		t.moved = false
		r.reopen()
		r.toMark(r.mark())
	}
	t.mend = false
	r.catchUp()
}
