package targettest

import (
	"errors"

	"penstock"
)

func testFence(e *env) {
	d := e.open()
	shape := orders()
	e.load(d, shape, nil)
	e.ok(d.Apply(e.Context(), "+", &penstock.Batch{Next: "p1", Tables: []penstock.TableBatch{
		changesOf(shape).insert(1, "one", 10).batch()}}))
	err := d.Apply(e.Context(), "+", &penstock.Batch{Next: "p2", Tables: []penstock.TableBatch{
		changesOf(shape).insert(2, "two", 20).batch()}})
	e.wantKind(err, penstock.KindFenced)
	e.wantKind(d.Apply(e.Context(), "", &penstock.Batch{Next: "p3"}), penstock.KindFenced)
	e.applied(d, "p1")
	e.wantRows("shop", shape, rowsOf(shape, []any{1, "one", 10}))
}

func testEmptyBatch(e *env) {
	d := e.open()
	e.ok(d.Apply(e.Context(), "", &penstock.Batch{Next: "p1"}))
	e.applied(d, "p1")
	e.ok(d.Apply(e.Context(), "p1", &penstock.Batch{Next: "p2"}))
	e.s.Restart(e.T)
	e.applied(e.open(), "p2")
}

func testInsertUpdateDelete(e *env) {
	d := e.open()
	shape := orders()
	e.load(d, shape, rowsOf(shape, []any{1, "one", 10}, []any{2, "two", 20}, []any{3, nil, nil}, []any{4, "", 40}))
	e.apply(d, changesOf(shape).
		insert(5, "five", 50).
		update([]any{1, nil, nil}, []any{1, "ONE", 11}).
		delete(2, nil, nil).
		delete(99, nil, nil). // names no stored row, which is no error
		update([]any{3, nil, nil}, []any{33, "moved", nil}).
		batch())
	e.wantRows("shop", shape, rowsOf(shape, []any{1, "ONE", 11}, []any{33, "moved", nil}, []any{4, "", 40}, []any{5, "five", 50}))

	// Deletes alone, then inserts alone.
	e.apply(d, changesOf(shape).delete(1, nil, nil).delete(4, nil, nil).batch())
	e.apply(d, changesOf(shape).insert(1, "again", 1).batch())
	e.wantRows("shop", shape, rowsOf(shape, []any{1, "again", 1}, []any{33, "moved", nil}, []any{5, "five", 50}))

	// Two rows that swap their keys.
	e.apply(d, changesOf(shape).
		update([]any{1, nil, nil}, []any{5, "again", 1}).
		update([]any{5, nil, nil}, []any{1, "five", 50}).
		batch())
	e.wantRows("shop", shape, rowsOf(shape, []any{5, "again", 1}, []any{33, "moved", nil}, []any{1, "five", 50}))
}

func testTruncate(e *env) {
	d := e.open()
	shape := orders()
	e.load(d, shape, rowsOf(shape, []any{1, "one", 10}, []any{2, "two", 20}))
	c := changesOf(shape).insert(2, "new", 2)
	c.Truncate = true
	e.apply(d, c.batch())
	e.wantRows("shop", shape, rowsOf(shape, []any{2, "new", 2}))

	// Rows that this very transaction put are emptied too, and a batch may
	// hold nothing but the truncate.
	pos := e.state(d).Applied
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Partial: true, Tables: []penstock.TableBatch{
		changesOf(shape).insert(3, "three", 3).batch()}}))
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: "end", Tables: []penstock.TableBatch{
		{Table: shape, Truncate: true}}}))
	e.wantRows("shop", shape, rowsOf(shape))
	e.apply(d, changesOf(shape).insert(1, "one", 1).batch())
	e.wantRows("shop", shape, rowsOf(shape, []any{1, "one", 1}))
}

func testSeveralTables(e *env) {
	d := e.open()
	a, b := orders(), shapeOf("2", "items", 1, column("id", penstock.TypeInt32), column("name", penstock.TypeText))
	b.Schema = "stock"
	e.load(d, a, nil)
	e.load(d, b, nil)
	e.apply(d, changesOf(a).insert(1, "one", 10).batch(), changesOf(b).insert(1, "nut").insert(2, "bolt").batch())
	e.apply(d, changesOf(b).delete(1, nil).batch(), changesOf(a).update([]any{1, nil, nil}, []any{2, "two", 20}).batch())
	e.wantRows("shop", a, rowsOf(a, []any{2, "two", 20}))
	e.wantRows("shop", b, rowsOf(b, []any{2, "bolt"}))
}

func testTextKey(e *env) {
	d := e.open()
	shape := shapeOf("1", "codes", 1, column("code", penstock.TypeText), column("v", penstock.TypeInt32))
	long := "a key that is longer than what a short string may hold in place"
	e.load(d, shape, rowsOf(shape, []any{"", 0}, []any{"a", 1}, []any{"A", 2}, []any{"a ", 3}, []any{long, 4}, []any{"ä", 5}))
	e.apply(d, changesOf(shape).
		update([]any{"", nil}, []any{"", 10}).
		delete("A", nil).
		update([]any{long, nil}, []any{long + "!", 40}).
		insert("new", 6).
		batch())
	e.wantRows("shop", shape, rowsOf(shape, []any{"", 10}, []any{"a", 1}, []any{"a ", 3}, []any{long + "!", 40}, []any{"ä", 5}, []any{"new", 6}))
}

func testCompositeKey(e *env) {
	d := e.open()
	// The key's order is its own, not that of the columns.
	shape := shapeOf("1", "lines", 0, column("note", penstock.TypeText), column("no", penstock.TypeInt16), column("order", penstock.TypeText))
	shape.Identity, shape.Key = penstock.IdentityKey, []int{2, 1}
	e.load(d, shape, rowsOf(shape, []any{"x", 1, "a"}, []any{"y", 2, "a"}, []any{"z", 1, "b"}))
	e.apply(d, changesOf(shape).
		delete(nil, 1, "a").
		update([]any{nil, 1, "b"}, []any{"Z", 1, "b"}).
		insert("w", 2, "b").
		batch())
	e.wantRows("shop", shape, rowsOf(shape, []any{"y", 2, "a"}, []any{"Z", 1, "b"}, []any{"w", 2, "b"}))
}

func testUnchanged(e *env) {
	d := e.open()
	shape := shapeOf("1", "docs", 1, column("id", penstock.TypeInt64), column("body", penstock.TypeText),
		column("extra", penstock.TypeJSON), column("n", penstock.TypeInt32))
	body := "a long text, the kind that is stored out of line and not sent again by an update"
	e.load(d, shape, rowsOf(shape, []any{1, body, "{}", 1}, []any{2, nil, `{"a": 1}`, 2}, []any{3, "three", nil, 3}, []any{4, "four", "[]", 4}))
	e.apply(d, changesOf(shape).
		insert(5, "five", "5", 5).
		patch([]any{1, nil, nil, nil}, []any{1, unchanged{}, `{"b":2}`, 11}).
		patch([]any{2, nil, nil, nil}, []any{22, unchanged{}, unchanged{}, 12}). // the key changes with it
		update([]any{4, nil, nil, nil}, []any{4, "FOUR", "[4]", 14}).
		patch([]any{3, nil, nil, nil}, []any{3, "THREE", unchanged{}, 13}).
		batch())
	e.wantRows("shop", shape, rowsOf(shape, []any{1, body, `{"b":2}`, 11}, []any{22, nil, `{"a": 1}`, 12},
		[]any{3, "THREE", nil, 13}, []any{4, "FOUR", "[4]", 14}, []any{5, "five", "5", 5}))

	// Two rows exchange their keys and keep their unchanged values.
	e.apply(d, changesOf(shape).
		patch([]any{1, nil, nil, nil}, []any{4, unchanged{}, "1", 1}).
		patch([]any{4, nil, nil, nil}, []any{1, unchanged{}, "4", 4}).
		batch())
	e.wantRows("shop", shape, rowsOf(shape, []any{4, body, "1", 1}, []any{22, nil, `{"a": 1}`, 12},
		[]any{3, "THREE", nil, 13}, []any{1, "FOUR", "4", 4}, []any{5, "five", "5", 5}))
}

func testUnchangedWithoutBase(e *env) {
	d := e.open()
	shape := orders()
	e.load(d, shape, rowsOf(shape, []any{1, "one", 1}))
	pos := e.state(d).Applied
	err := d.Apply(e.Context(), pos, &penstock.Batch{Next: "p", Tables: []penstock.TableBatch{
		changesOf(shape).insert(5, "five", 5).patch([]any{9, nil, nil}, []any{9, unchanged{}, 2}).batch()}})
	e.wantKind(err, penstock.KindStale)
	e.applied(d, pos)
	e.wantRows("shop", shape, rowsOf(shape, []any{1, "one", 1}))
}

func testFullIdentity(e *env) {
	d := e.open()
	shape := shapeOf("1", "log", 0, column("a", penstock.TypeInt32), column("b", penstock.TypeText), column("c", penstock.TypeFloat64))
	shape.Identity = penstock.IdentityFull
	rows := rowsOf(shape)
	put := func(rows *penstock.Rows, a, b any, c float64) {
		add(&rows.Vectors[0], a)
		add(&rows.Vectors[1], b)
		rows.Vectors[2].AppendFloat64(c)
	}
	for range 3 {
		put(rows, 1, "x", 1.5)
		put(rows, nil, nil, 0)
	}
	put(rows, 2, "", 2)
	e.load(d, shape, rows)

	// Of three equal rows two go, and one of those that are null.
	c := changesOf(shape)
	remove := func(a, b any, f float64) {
		c.Remove = append(c.Remove, int32(c.Rows.Len()))
		put(c.Rows, a, b, f)
	}
	remove(1, "x", 1.5)
	remove(nil, nil, 0)
	remove(1, "x", 1.5)
	c.Put = append(c.Put, int32(c.Rows.Len()))
	put(c.Rows, 2, "", 2)
	e.apply(d, c.batch())

	want := rowsOf(shape)
	put(want, 1, "x", 1.5)
	put(want, nil, nil, 0)
	put(want, nil, nil, 0)
	put(want, 2, "", 2)
	put(want, 2, "", 2)
	e.wantRows("shop", shape, want)

	// More removals than there are equal rows, and of a row that is not there: nothing is done.
	pos := e.state(d).Applied
	for what, removals := range map[string]func(){
		"more":    func() { remove(1, "x", 1.5); remove(1, "x", 1.5) },
		"another": func() { remove(nil, nil, 0); remove(1, nil, 1.5) },
	} {
		c = changesOf(shape)
		removals()
		e.wantUnfound(what, d.Apply(e.Context(), pos, &penstock.Batch{Next: "more", Tables: []penstock.TableBatch{c.batch()}}), shape, 1)
	}
	e.applied(d, pos)
	e.wantRows("shop", shape, want)
}

// wantUnfound checks that an error tells how many rows of a table were not found.
func (e *env) wantUnfound(what string, err error, shape *penstock.Table, rows int64) {
	e.Helper()
	e.wantKind(err, penstock.KindStale)
	var u *penstock.Unfound
	if !errors.As(err, &u) || u.Table.ID != shape.ID || u.Rows != rows {
		e.Errorf("%s: refused with %v, which does not tell of %d rows that are not there", what, err, rows)
	}
}

func testNoIdentity(e *env) {
	d := e.open()
	shape := shapeOf("1", "events", 0, column("a", penstock.TypeInt32))
	e.load(d, shape, rowsOf(shape, []any{1}))
	e.apply(d, changesOf(shape).insert(1).insert(nil).batch())
	e.wantRows("shop", shape, rowsOf(shape, []any{1}, []any{1}, []any{nil}))
	c := changesOf(shape).insert(7)
	c.Truncate = true
	e.apply(d, c.batch())
	e.wantRows("shop", shape, rowsOf(shape, []any{7}))
}

func testPartial(e *env) {
	d := e.open()
	shape := orders()
	e.load(d, shape, rowsOf(shape, []any{1, "one", 10}))
	pos := e.state(d).Applied
	before := rowsOf(shape, []any{1, "one", 10})

	apply := func(b *penstock.Batch, c *change) {
		e.Helper()
		b.Tables = []penstock.TableBatch{c.batch()}
		e.ok(d.Apply(e.Context(), pos, b))
		c.Rows.Clear() // belongs to the caller again
	}
	apply(&penstock.Batch{Next: "mid", Partial: true}, changesOf(shape).insert(2, "two", 20).update([]any{1, nil, nil}, []any{1, "ONE", 11}))
	e.wantRows("shop", shape, before)
	e.applied(d, pos)
	apply(&penstock.Batch{Next: "mid", Partial: true}, changesOf(shape).delete(2, nil, nil).insert(3, "three", 30))
	e.wantRows("shop", shape, before)
	apply(&penstock.Batch{Next: "end"}, changesOf(shape).patch([]any{3, nil, nil}, []any{3, unchanged{}, 33}))
	e.applied(d, "end")
	e.wantRows("shop", shape, rowsOf(shape, []any{1, "ONE", 11}, []any{3, "three", 33}))
}

func testPartialUndoneByError(e *env) {
	d := e.open()
	shape := orders()
	e.load(d, shape, rowsOf(shape, []any{1, "one", 10}))
	pos := e.state(d).Applied
	partial := func() {
		e.Helper()
		e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: "mid", Partial: true, Tables: []penstock.TableBatch{
			changesOf(shape).insert(2, "two", 20).delete(1, nil, nil).batch()}}))
	}
	partial()
	e.wantKind(d.Apply(e.Context(), "elsewhere", &penstock.Batch{Next: "end"}), penstock.KindFenced)
	e.wantRows("shop", shape, rowsOf(shape, []any{1, "one", 10}))

	partial()
	err := d.Apply(e.Context(), pos, &penstock.Batch{Next: "end", Tables: []penstock.TableBatch{
		changesOf(shape).patch([]any{9, nil, nil}, []any{9, unchanged{}, 2}).batch()}})
	e.wantKind(err, penstock.KindStale)
	e.applied(d, pos)

	e.apply(d, changesOf(shape).insert(3, "three", 30).batch())
	e.wantRows("shop", shape, rowsOf(shape, []any{1, "one", 10}, []any{3, "three", 30}))
}

func testPartialUndoneByClose(e *env) {
	d := e.open()
	shape := orders()
	e.load(d, shape, rowsOf(shape, []any{1, "one", 10}))
	pos := e.state(d).Applied
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: "mid", Partial: true, Tables: []penstock.TableBatch{
		changesOf(shape).insert(2, "two", 20).delete(1, nil, nil).batch()}}))
	e.ok(d.Close())
	d = e.open()
	e.applied(d, pos)
	e.wantRows("shop", shape, rowsOf(shape, []any{1, "one", 10}))
	e.apply(d, changesOf(shape).insert(3, "three", 30).batch())
	e.wantRows("shop", shape, rowsOf(shape, []any{1, "one", 10}, []any{3, "three", 30}))
}

func testManyRows(e *env) {
	d := e.open()
	shape := orders()
	const n = 30_000 // more than fits any engine's chunk, and not a multiple of one
	rows := rowsOf(shape)
	for i := range n {
		add(&rows.Vectors[0], i)
		if i%7 == 0 {
			add(&rows.Vectors[1], nil)
		} else {
			add(&rows.Vectors[1], "row number whatever, long enough to be out of line")
		}
		add(&rows.Vectors[2], i%100)
	}
	e.load(d, shape, rows)
	e.wantRows("shop", shape, rows)

	c, want := changesOf(shape), rowsOf(shape)
	for i := range n {
		switch i % 5 {
		case 0:
			c.delete(i, nil, nil)
			continue
		case 1:
			c.update([]any{i, nil, nil}, []any{i, "updated", i})
			add(&want.Vectors[0], i)
			add(&want.Vectors[1], "updated")
			add(&want.Vectors[2], i)
		case 2:
			c.patch([]any{i, nil, nil}, []any{i + n, unchanged{}, nil})
			add(&want.Vectors[0], i+n)
			want.Vectors[1].AppendFrom(&rows.Vectors[1], i)
			add(&want.Vectors[2], nil)
		default:
			for k := range want.Vectors {
				want.Vectors[k].AppendFrom(&rows.Vectors[k], i)
			}
		}
	}
	e.apply(d, c.batch())
	e.wantRows("shop", shape, want)
}
