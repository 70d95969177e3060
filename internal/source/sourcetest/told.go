package sourcetest

import (
	"slices"
	"testing"

	"penstock"
)

// RunTold runs the tests of a source whose stream tells of changes of shape, in
// order with the rows, so that none of them takes a load.
func RunTold(t *testing.T, open func(t *testing.T) Subject) {
	for name, test := range map[string]func(*env){
		"Told":       testTold,
		"ToldJoined": testToldJoined,
		"ToldBeside": testToldBeside,
		"Forget":     testForget,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newEnv(t, open(t)))
		})
	}
}

// alter takes over what was told of tables.
func (r *reader) alter(c *penstock.Changes) {
	r.Helper()
	for _, a := range c.Altered {
		t := r.byID(a.New.ID)
		if t == nil || !t.shape.SameShape(a.Old) || !penstock.Alterable(a.Old, a.New) {
			r.Fatalf("table %s is told to become %+v", a.Old, *a.New)
		}
		t.shape = *a.New
		t.ops = append(t.ops, "alter")
	}
	for _, id := range c.Dropped {
		t := r.byID(id)
		if t == nil || slices.ContainsFunc(c.Tables, func(tc *penstock.TableChanges) bool { return tc.Table.ID == id }) {
			r.Fatalf("table %s is told to be dropped", id)
		}
		t.ops = append(t.ops, "drop")
	}
	for _, tc := range c.Tables {
		if t := r.byID(tc.Table.ID); t != nil && !t.shape.Equal(tc.Table) {
			r.Fatalf("rows of table %s have another shape than was told", tc.Table)
		}
	}
	if len(c.Reshaped) > 0 {
		r.Fatalf("tables %v are said to have another shape, which they were told of", c.Reshaped)
	}
}

func testTold(e *env) {
	for _, name := range []string{"t", "u", "v"} {
		e.s.Create(e.T, name, penstock.IdentityKey)
	}
	e.insert("t", 1, 3)
	r := e.reader()
	r.loadAll("t", "u", "v")
	r.open()
	r.catchUp()

	// One after the other, all in one portion: first the last shape, then rows.
	e.insert("t", 4, 4)
	e.s.AddColumn(e.T, "t")
	e.insert("t", 5, 5)
	e.s.Rename(e.T, "t", "w")
	e.do(func(tx Tx) {
		tx.Insert("w", Row{ID: 6})
		tx.Insert("u", Row{ID: 1})
		tx.Insert("v", Row{ID: 1})
	})
	e.s.Drop(e.T, "v")
	told, mark := &penstock.Changes{}, e.mark()
	for r.tables[marks].find(Row{ID: mark}, false) < 0 {
		c := r.next(1 << 20)
		r.alter(c)
		told.Altered, told.Dropped = append(told.Altered, c.Altered...), append(told.Dropped, c.Dropped...)
	}
	t := r.tables["t"]
	if len(told.Altered) == 0 || len(told.Dropped) != 1 || told.Dropped[0] != r.tables["v"].shape.ID || t.shape.Name != "w" || len(t.shape.Columns) != 4 {
		e.Fatalf("told are %+v and that %v are dropped; table t is %+v", told.Altered, told.Dropped, t.shape)
	}
	delete(r.tables, "t")
	delete(r.tables, "v")
	r.tables["w"] = t
	r.compare("w")
	r.compare("u")

	// It goes on from there.
	r.reopen()
	e.do(func(tx Tx) { tx.Update("w", 5, map[string]any{"n": 50}) })
	r.catchUp()
}

// testToldJoined: what a load has seen is not told again.
func testToldJoined(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	e.insert("t", 1, 3)
	r := e.reader()
	e.s.AddColumn(e.T, "t")
	e.s.Rename(e.T, "t", "w")
	r.loadAll("w")
	e.insert("w", 4, 4)
	r.open()
	r.catchUp()
	r.wantOps("w", "insert 4")
}

// testToldBeside: a table that is loaded beside the stream, and changes
// meanwhile, is told of by the stream that brings the load up to date.
func testToldBeside(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	e.insert("t", 1, 3)
	r := e.reader()
	r.open()
	follower, ok := r.capture.(penstock.Follower)
	if !ok {
		e.Skip("the source cannot load beside the stream")
	}
	shapes := r.look("t")
	l, err := follower.LoadBeside(e.ctx, r.position, shapes)
	e.ok(err)
	defer l.Close()
	e.s.AddColumn(e.T, "t")
	e.insert("t", 4, 4)
	e.mark()
	s, err := l.Follow(e.ctx)
	e.ok(err)
	defer s.Close()
	altered := false
	for {
		c := &penstock.Changes{}
		e.ok(s.Next(e.ctx, c, 1<<20))
		for _, a := range c.Altered {
			if altered = a.New.ID == shapes[0].ID && len(a.New.Columns) == 4; !altered {
				e.Fatalf("the stream of the load tells of %+v", *a.New)
			}
		}
		for _, tc := range c.Tables {
			if !altered || len(tc.Table.Columns) != 4 || tc.Rows.Len() != 1 {
				e.Fatalf("the stream of the load has %d rows of %+v, and told of it: %v", tc.Rows.Len(), *tc.Table, altered)
			}
			return
		}
	}
}
