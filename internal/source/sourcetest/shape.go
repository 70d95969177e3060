package sourcetest

import (
	"fmt"
	"strings"

	"penstock"
)

func testReshaped(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	e.s.Create(e.T, "u", penstock.IdentityKey)
	e.insert("t", 1, 3)
	r := e.reader()
	r.loadAll("t", "u")
	r.open()
	e.insert("t", 4, 4)
	r.catchUp()
	r.wantOps("t", "insert 4")

	e.s.AddColumn(e.T, "t")
	e.do(func(tx Tx) {
		tx.Insert("u", Row{ID: 1})
		tx.Insert("t", Row{ID: 5})
		tx.Insert("u", Row{ID: 2})
	})
	e.do(func(tx Tx) { tx.Insert("t", Row{ID: 6}) })
	r.untilReshaped("t")
	r.toMark(e.mark())
	r.wantOps("t", "insert 4")
	r.compare("u")

	// Joined anew it goes on, exactly.
	e.ok(r.stream.Close())
	r.loadAll("t")
	if n := len(r.tables["t"].shape.Columns); n != 4 {
		e.Fatalf("table t has %d columns now, want 4", n)
	}
	r.open()
	e.do(func(tx Tx) { tx.Update("t", 6, map[string]any{"n": 60}) })
	r.catchUp()
	r.wantOps("t", "update 6 to 6")
}

// untilReshaped reads until a table is said to have another shape.
func (r *reader) untilReshaped(table string) {
	r.Helper()
	for {
		c := r.next(1 << 20)
		for _, id := range c.Reshaped {
			if t := r.byID(id); t == nil || t.shape.Name != table {
				r.Fatalf("table %s has another shape, want %s", id, table)
			}
			return
		}
	}
}

// testReshapedInLargeTransaction: the report comes with the part in which the
// row is, and not a second time.
func testReshapedInLargeTransaction(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	e.s.Create(e.T, "u", penstock.IdentityKey)
	r := e.reader()
	r.know("t", "u")
	e.s.AddColumn(e.T, "t")
	e.do(func(tx Tx) {
		for id := range int64(200) {
			tx.Insert("t", Row{ID: id})
			tx.Insert("u", Row{ID: id, Body: strings.Repeat("x", 1000)})
		}
	})
	mark := e.mark()
	r.open()
	reports := 0
	for r.tables[marks].find(Row{ID: mark}, false) < 0 {
		reports += len(r.next(16 << 10).Reshaped)
	}
	if reports != 1 {
		e.Errorf("%d reports of another shape, want 1", reports)
	}
	r.wantOps("t")
	r.compare("u")
}

func testFilter(e *env) {
	e.s.Create(e.T, "t", penstock.IdentityKey)
	e.s.Create(e.T, "other", penstock.IdentityKey)
	c := e.capture(e.id, fmt.Sprintf("include: %s.public.*, exclude: %s.public./oth.*/", e.s.Database(), e.s.Database()))
	_, err := c.Prepare(e.ctx, "")
	e.ok(err)
	tables, _, err := c.Tables(e.ctx)
	e.ok(err)
	names := ""
	for _, t := range tables {
		names += t.String() + " "
	}
	if names != "public.marks public.t " && names != "public.t public.marks " {
		e.Fatalf("the filter selects %q", names)
	}
	for _, t := range tables {
		want := penstock.Table{Identity: penstock.IdentityKey, Key: []int{0}}
		if t.Identity != want.Identity || len(t.Key) != 1 || t.Key[0] != 0 || len(t.Columns) != 3 || t.Columns[1].Name != "n" ||
			t.Columns[0].Type.Kind != penstock.TypeInt64 || t.Columns[2].Type.Kind != penstock.TypeText {
			e.Errorf("table %s has the shape %+v", &t, t)
		}
	}
}
