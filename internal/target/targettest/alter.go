package targettest

import (
	"errors"

	"penstock"
)

// altered returns a shape with the ID, identity and key of another.
func altered(from *penstock.Table, name string, columns ...penstock.Column) *penstock.Table {
	t := *from
	t.Name, t.Columns = name, columns
	return &t
}

// withID is column with an ID.
func withID(id penstock.ColumnID, name string, kind penstock.TypeKind) penstock.Column {
	c := column(name, kind)
	c.ID = id
	return c
}

// fillOf makes the row of an alteration.
func fillOf(shape *penstock.Table, values ...any) *penstock.Rows { return rowsOf(shape, values) }

// applyBatch applies a batch from wherever the destination is.
func (e *env) applyBatch(d penstock.Destination, b penstock.Batch) {
	e.Helper()
	pos := e.state(d).Applied
	b.Next = pos + "+"
	e.ok(d.Apply(e.Context(), pos, &b))
}

// testAlter changes columns, with rows in the same batch.
func testAlter(e *env) {
	d := e.open()
	one := orders() // id 1, note 2, amount 3
	e.load(d, one, rowsOf(one, []any{1, "one", 10}, []any{2, "two", 20}, []any{3, "three", 30}))

	two := altered(one, "orders", one.Columns[0], withID(3, "amount", penstock.TypeInt64), withID(4, "note", penstock.TypeText), withID(5, "flag", penstock.TypeBool))
	two.Columns[0].NotNull = true
	e.applyBatch(d, penstock.Batch{
		Alter: []penstock.Alteration{{Old: one, New: two, Fill: fillOf(two, nil, nil, `it's "new"`, nil)}},
		Tables: []penstock.TableBatch{changesOf(two).
			insert(4, 40, "four", true).
			patch([]any{1, nil, nil, nil}, []any{1, unchanged{}, unchanged{}, false}).
			delete(2, nil, nil, nil).batch()},
	})
	e.wantRows("shop", two, rowsOf(two, []any{1, 10, `it's "new"`, false}, []any{3, 30, `it's "new"`, nil}, []any{4, 40, "four", true}))
	if s := e.wantState(d, one.ID, penstock.TableSynced, true); !s.Table.Equal(two) {
		e.Fatalf("the shape is %+v, want %+v", s.Table, *two)
	}

	// Two columns that exchange their names, and a name of another case.
	three := altered(two, "orders", two.Columns[0], withID(3, "NOTE", penstock.TypeInt64), withID(4, "amount", penstock.TypeText), withID(5, "note", penstock.TypeBool))
	e.applyBatch(d, penstock.Batch{
		Alter:  []penstock.Alteration{{Old: two, New: three}},
		Tables: []penstock.TableBatch{changesOf(three).delete(1, nil, nil, nil).batch()},
	})
	want := rowsOf(three, []any{3, 30, `it's "new"`, nil}, []any{4, 40, "four", true})
	e.wantRows("shop", three, want)

	// Everything but the key goes, and comes back under the same names.
	four := altered(three, "orders", three.Columns[0], withID(6, "note", penstock.TypeText), withID(7, "amount", penstock.TypeInt32))
	e.applyBatch(d, penstock.Batch{Alter: []penstock.Alteration{{Old: three, New: four, Fill: fillOf(four, nil, nil, 5)}}})
	e.wantRows("shop", four, rowsOf(four, []any{3, nil, 5}, []any{4, nil, 5}))
	e.s.Restart(e.T)
	d = e.open()
	e.wantRows("shop", four, rowsOf(four, []any{3, nil, 5}, []any{4, nil, 5}))
	e.apply(d, changesOf(four).update([]any{3, nil, nil}, []any{3, "x", 6}).batch())
	e.wantRows("shop", four, rowsOf(four, []any{3, "x", 6}, []any{4, nil, 5}))
	e.load(d, four, rowsOf(four, []any{9, "again", 1}))
	e.wantRows("shop", four, rowsOf(four, []any{9, "again", 1}))
}

// testAlterFull: rows that are found by all their values, and may be equal.
func testAlterFull(e *env) {
	d := e.open()
	one := shapeOf("7", "bag", 0, column("a", penstock.TypeInt16), column("b", penstock.TypeText))
	one.Identity = penstock.IdentityFull
	e.load(d, one, rowsOf(one, []any{1, "x"}, []any{1, "x"}, []any{2, "y"}))
	two := altered(one, "bag", withID(1, "rowid", penstock.TypeInt32), withID(2, "b", penstock.TypeText), withID(3, "c", penstock.TypeInt64))
	e.applyBatch(d, penstock.Batch{
		Alter:  []penstock.Alteration{{Old: one, New: two, Fill: fillOf(two, nil, nil, 7)}},
		Tables: []penstock.TableBatch{changesOf(two).delete(1, "x", 7).insert(3, "z", 8).batch()},
	})
	e.wantRows("shop", two, rowsOf(two, []any{1, "x", 7}, []any{2, "y", 7}, []any{3, "z", 8}))
}

// testAlterNames renames tables, also such that exchange their names, and
// moves them to other schemas, with rows in the same batch.
func testAlterNames(e *env) {
	d := e.open()
	a, b := orders(), orders()
	b.ID, b.Name = "16386", "purchases"
	a.Schema = "sales"
	e.load(d, a, rowsOf(a, []any{1, "a", 1}))
	e.load(d, b, rowsOf(b, []any{1, "b", 1}))
	newA, newB := *a, *b
	newA.Schema, newA.Name, newB.Schema, newB.Name = b.Schema, b.Name, a.Schema, a.Name
	e.applyBatch(d, penstock.Batch{
		Alter:  []penstock.Alteration{{Old: a, New: &newA}, {Old: b, New: &newB}},
		Tables: []penstock.TableBatch{changesOf(&newA).insert(2, "a", 2).batch(), changesOf(&newB).update([]any{1, nil, nil}, []any{1, "B", 1}).batch()},
	})
	wantA, wantB := rowsOf(a, []any{1, "a", 1}, []any{2, "a", 2}), rowsOf(b, []any{1, "B", 1})
	e.wantRows("shop", &newA, wantA)
	e.wantRows("shop", &newB, wantB)

	// A schema under another name, and a table that takes the name of one that
	// is dropped with the same batch.
	laterB, laterA := newB, newA
	laterB.Schema, laterB.Name = "Trade", "ORDERS"
	c := orders()
	c.ID, c.Name = "16387", "third"
	e.load(d, c, rowsOf(c, []any{5, "c", 5}))
	laterA.Name = "third"
	e.applyBatch(d, penstock.Batch{
		Drop:  []penstock.TableID{c.ID},
		Alter: []penstock.Alteration{{Old: &newB, New: &laterB}, {Old: &newA, New: &laterA}},
	})
	e.wantUnreadable("shop", &newA)
	e.wantUnreadable("shop", &newB)
	e.wantRows("shop", &laterA, wantA)
	e.wantRows("shop", &laterB, wantB)
	e.s.Restart(e.T)
	d = e.open()
	e.wantRows("shop", &laterA, wantA)
	e.wantRows("shop", &laterB, wantB)
	if n := len(e.state(d).Tables); n != 2 {
		e.Errorf("%d tables are known, want 2", n)
	}

	// What stands under the new name, and should not, makes way.
	onto := laterB
	onto.Schema, onto.Name = laterA.Schema, laterA.Name
	e.applyBatch(d, penstock.Batch{Alter: []penstock.Alteration{{Old: &laterB, New: &onto}}})
	e.wantRows("shop", &onto, wantB)
	e.wantState(d, laterA.ID, penstock.TableResyncRequired, false)
}

// testAlterHidden alters a version that waits to be swapped in.
func testAlterHidden(e *env) {
	d := e.open()
	one := orders()
	old := rowsOf(one, []any{1, "old", 10})
	e.load(d, one, old)
	pos := e.state(d).Applied
	e.ok(d.Ensure(e.Context(), one))
	e.ok(Append(e.Context(), d, one.ID, rowsOf(one, []any{2, "two", 20}), nil))
	e.ok(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{one.ID: "snapshot"}))
	two := altered(one, "later", one.Columns[0], one.Columns[1])
	two.Schema = "archive"
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: "p1",
		Alter:  []penstock.Alteration{{Old: one, New: two}},
		Tables: []penstock.TableBatch{changesOf(two).insert(3, "three").batch()}}))
	e.wantRows("shop", one, old)
	e.wantUnreadable("shop", two)
	e.ok(d.Apply(e.Context(), "p1", &penstock.Batch{Next: "p2", Swap: []penstock.TableID{one.ID}}))
	e.wantUnreadable("shop", one)
	e.wantRows("shop", two, rowsOf(two, []any{2, "two"}, []any{3, "three"}))
}

// testAlterPartial: alterations are part of a transaction that comes in parts,
// and go with it.
func testAlterPartial(e *env) {
	d := e.open()
	one, other := orders(), orders()
	other.ID, other.Name = "2", "other"
	before := rowsOf(one, []any{1, "one", 10})
	e.load(d, one, before)
	e.load(d, other, nil)
	pos := e.state(d).Applied
	two := altered(one, "renamed", one.Columns[0], one.Columns[2])
	begin := func() {
		e.Helper()
		e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: "mid", Partial: true, Tables: []penstock.TableBatch{changesOf(other).insert(1, "", 1).batch()}}))
		e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: "mid", Partial: true, Alter: []penstock.Alteration{{Old: one, New: two}},
			Tables: []penstock.TableBatch{changesOf(two).insert(2, 20).delete(1, nil).batch()}}))
		e.wantRows("shop", one, before)
	}
	begin()
	e.wantKind(d.Apply(e.Context(), "elsewhere", &penstock.Batch{Next: "end"}), penstock.KindFenced)
	e.wantRows("shop", one, before)
	if s := e.status(d, one.ID); !s.Table.Equal(one) {
		e.Fatalf("the shape is %+v, want %+v", s.Table, *one)
	}
	begin()
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: "end", Drop: []penstock.TableID{other.ID}, Tables: []penstock.TableBatch{changesOf(two).update([]any{2, nil}, []any{3, 30}).batch()}}))
	e.wantRows("shop", two, rowsOf(two, []any{3, 30}))
	e.wantUnreadable("shop", one)
	e.wantUnreadable("shop", other)
}

// testAlterRefused: what cannot be done in place is told apart from what is
// wrong, and leaves everything as it was.
func testAlterRefused(e *env) {
	d := e.open()
	one := orders()
	before := rowsOf(one, []any{1, "one", 10})
	e.load(d, one, before)
	pos := e.state(d).Applied
	narrower := altered(one, "orders", one.Columns[0], one.Columns[1], withID(3, "amount", penstock.TypeInt16))
	another := altered(one, "orders", one.Columns[0], one.Columns[1])
	unknown := *one
	unknown.ID = "99"
	for _, a := range []penstock.Alteration{{Old: one, New: narrower}, {Old: another, New: one}, {Old: &unknown, New: &unknown}} {
		e.wantKind(d.Apply(e.Context(), pos, &penstock.Batch{Next: "end", Alter: []penstock.Alteration{a}}), penstock.KindStale)
		e.wantRows("shop", one, before)
		e.applied(d, pos)
	}
}

// testAlterAllTypes adds a column of every type, with a value.
func testAlterAllTypes(e *env) {
	d := e.open()
	one := orders()
	e.load(d, one, rowsOf(one, []any{1, "one", 10}, []any{2, "two", 20}))
	all, values := everyType()
	two := altered(one, "orders", one.Columns...)
	for i, c := range all.Columns {
		c.ID = penstock.ColumnID(100 + i)
		two.Columns = append(two.Columns[:len(two.Columns):len(two.Columns)], c)
	}
	for row := range values.Len() {
		fill := penstock.NewRows(two)
		for i := range one.Columns {
			fill.Vectors[i].AppendNull()
		}
		for i := range all.Columns {
			kind := all.Columns[i].Type.Kind
			if v := &fill.Vectors[3+i]; kind == penstock.TypeInterval && row >= 5 || kind == penstock.TypeFloat64 && row == 6 {
				v.AppendNull() // that no text of a target leads back to it takes a load; and NaN is one of many
			} else {
				v.AppendFrom(&values.Vectors[i], row)
			}
		}
		want := rowsOf(one, []any{1, "one", 10}, []any{2, "two", 20})
		a := penstock.Alteration{Old: one, New: two, Fill: fill}
		want.Alter(&a)
		pos := e.state(d).Applied
		e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: pos + "+", Alter: []penstock.Alteration{a}}))
		e.wantRows("shop", two, want)
		pos = e.state(d).Applied
		e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: pos + "+", Alter: []penstock.Alteration{{Old: two, New: one}}}))
	}
	e.wantRows("shop", one, rowsOf(one, []any{1, "one", 10}, []any{2, "two", 20}))
}

// testAlterTakesName: where a table takes the name of one that takes none itself,
// rows of that are void, and nothing else is.
func testAlterTakesName(e *env) {
	d := e.open()
	old, taker := orders(), shapeOf("2", "items", 1, column("id", penstock.TypeInt32))
	e.load(d, old, rowsOf(old, []any{1, "one", 10}))
	e.load(d, taker, rowsOf(taker, []any{1}))
	now := altered(taker, old.Name, taker.Columns...)
	take := func(parts ...penstock.Batch) {
		e.Helper()
		pos := e.state(d).Applied
		for i := range parts {
			parts[i].Next, parts[i].Partial = pos+"+", i+1 < len(parts)
			e.ok(d.Apply(e.Context(), pos, &parts[i]))
		}
	}
	gone := []penstock.TableStatus{{Table: *old, State: penstock.TableResyncRequired, Reason: "it changed"}}
	take(penstock.Batch{Alter: []penstock.Alteration{{Old: taker, New: now}}, States: gone,
		Tables: []penstock.TableBatch{changesOf(old).insert(2, "two", 20).batch(), changesOf(now).insert(2).batch()}})
	e.wantRows("shop", now, rowsOf(now, []any{1}, []any{2}))
	e.wantState(d, old.ID, penstock.TableResyncRequired, false)
	err := d.Apply(e.Context(), e.state(d).Applied, &penstock.Batch{Next: "later", Tables: []penstock.TableBatch{changesOf(old).insert(3, "three", 30).batch()}})
	e.wantKind(err, penstock.KindStale)
	if m := new(penstock.Misfit); !errors.As(err, &m) || m.Table.ID != old.ID {
		e.Errorf("refused with %v, which does not tell that %s is not there", err, old)
	}

	// Likewise with a transaction in parts, and with nothing but the mention of a table.
	e.load(d, old, rowsOf(old, []any{1, "one", 10}))
	back := altered(now, "items", now.Columns...)
	e.wantState(d, taker.ID, penstock.TableResyncRequired, false) // it was its name
	e.load(d, back, rowsOf(back, []any{7}))
	take(penstock.Batch{Alter: []penstock.Alteration{{Old: back, New: now}}, Tables: []penstock.TableBatch{changesOf(now).insert(8).batch()}},
		penstock.Batch{Tables: []penstock.TableBatch{changesOf(old).batch(), changesOf(now).insert(9).batch()}})
	e.wantRows("shop", now, rowsOf(now, []any{7}, []any{8}, []any{9}))
	e.wantState(d, old.ID, penstock.TableResyncRequired, false)
}
