package targettest

import (
	"errors"

	"penstock"
)

// testStrict: a strict batch with a value that is NULL for want of something
// better is refused, as a whole, and says which columns it is about.
func testStrict(e *env) {
	d := e.open()
	shape := orders()
	e.load(d, shape, rowsOf(shape, []any{1, "a", nil}))
	at := e.state(d).Applied
	refused := func(b *penstock.Batch) {
		e.Helper()
		b.Strict = true
		err := d.Apply(e.Context(), at, b)
		e.wantKind(err, penstock.KindUnrepresentable)
		var u *penstock.Unrepresentable
		if !errors.As(err, &u) || u.Table.ID != shape.ID || u.Values[shape.Columns[2].ID] != 1 {
			e.Errorf("refused with %v, which does not name the column", err)
		}
	}
	bad := func() penstock.TableBatch {
		c := changesOf(shape).insert(3, "c", nil).batch()
		c.BadValues = penstock.BadValues{shape.Columns[2].ID: 1}
		return c
	}
	refused(&penstock.Batch{Next: "bad", Tables: []penstock.TableBatch{bad()}})
	// Parts of the transaction that were accepted go with it.
	e.ok(d.Apply(e.Context(), at, &penstock.Batch{Next: "part", Partial: true, Strict: true, Tables: []penstock.TableBatch{changesOf(shape).insert(2, "b", nil).batch()}}))
	refused(&penstock.Batch{Next: "bad", Tables: []penstock.TableBatch{bad()}})
	e.applied(d, at)
	e.wantRows("shop", shape, rowsOf(shape, []any{1, "a", nil}))
	if n := e.status(d, shape.ID).BadValues.Total(); n != 0 {
		e.Errorf("%d bad values are counted that are not there", n)
	}
	e.ok(d.Apply(e.Context(), at, &penstock.Batch{Next: "good", Strict: true, Tables: []penstock.TableBatch{changesOf(shape).insert(2, "b", nil).batch()}}))
	e.wantRows("shop", shape, rowsOf(shape, []any{1, "a", nil}, []any{2, "b", nil}))
}

// testNamelessRows: rows whose keys cannot be held are taken, but none is found
// by such a key: the table is to be loaded again.
func testNamelessRows(e *env) {
	d := e.open()
	shape := orders()
	e.load(d, shape, rowsOf(shape, []any{1, "a", 1}, []any{nil, "bad", 2}, []any{nil, "bad too", 3}))
	at := e.state(d).Applied
	for what, c := range map[string]*change{
		"delete": changesOf(shape).insert(2, "b", 2).delete(nil, nil, nil),
		"update": changesOf(shape).update([]any{nil, "bad", 2}, []any{nil, "worse", 2}),
		"rekey":  changesOf(shape).update([]any{nil, "bad", 2}, []any{7, "good", 2}),
		"patch":  changesOf(shape).patch([]any{nil, nil, nil}, []any{nil, unchanged{}, 4}),
	} {
		err := d.Apply(e.Context(), at, &penstock.Batch{Next: "bad", Tables: []penstock.TableBatch{c.batch()}})
		e.wantKind(err, penstock.KindStale)
		var u *penstock.Unrepresentable
		if !errors.As(err, &u) || u.Table.ID != shape.ID || u.Values[shape.Columns[0].ID] != 1 {
			e.Errorf("%s: refused with %v, which does not name the key", what, err)
		}
	}
	e.applied(d, at)
	e.apply(d, changesOf(shape).insert(nil, "bad", 2).delete(1, nil, nil).batch())
	e.wantRows("shop", shape, rowsOf(shape, []any{nil, "bad", 2}, []any{nil, "bad too", 3}, []any{nil, "bad", 2}))
}
