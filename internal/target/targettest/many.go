package targettest

import (
	"fmt"

	"penstock"
)

// testChunksTogether: chunks of several tables that are written in one
// transaction are there together or not at all, each with its own note.
func testChunksTogether(e *env) {
	d := e.open()
	a, b := orders(), shapeOf("2", "items", 1, column("id", penstock.TypeInt32))
	e.ok(d.Apply(e.Context(), "", &penstock.Batch{Next: "p"}))
	e.ok(d.Ensure(e.Context(), a, b))
	e.ok(d.Keep(e.Context(), map[penstock.TableID]penstock.Snapshot{a.ID: "s", b.ID: "s"}))
	write := func(commit bool) {
		w, err := d.Chunk(e.Context(), a.ID)
		e.ok(err)
		defer w.Close()
		e.ok(w.Append(e.Context(), rowsOf(a, []any{1, "one", 10}), penstock.BadValues{2: 1}))
		e.ok(w.Next(e.Context(), penstock.Chunk{Table: a, Token: "a1", Bytes: 100}, b.ID))
		e.ok(w.Append(e.Context(), rowsOf(b, []any{7}), nil))
		e.ok(w.Next(e.Context(), penstock.Chunk{Table: b, Token: "b1", Bytes: 100}, a.ID))
		e.ok(w.Append(e.Context(), rowsOf(a, []any{2, "two", 20}), nil))
		if commit {
			e.ok(w.Commit(e.Context(), penstock.Chunk{Table: a, Token: "a2", Bytes: 100}))
		}
	}
	write(false)
	e.wantPartial(d, a.ID, "s")
	e.wantPartial(d, b.ID, "s")
	write(true)
	e.s.Restart(e.T)
	d = e.open()
	e.wantPartial(d, a.ID, "s", "a1", "a2")
	e.wantPartial(d, b.ID, "s", "b1")
	w, err := d.Chunk(e.Context(), a.ID)
	e.ok(err)
	e.wantKind(w.Next(e.Context(), penstock.Chunk{Table: a, Token: "a3"}, "no such"), penstock.KindNotFound)
	w.Close()

	e.wantKind(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{a.ID: "s", "no such": "s"}), penstock.KindNotFound)
	e.wantPartial(d, a.ID, "s", "a1", "a2")
	e.ok(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{a.ID: "s", b.ID: "s"}))
	e.ok(d.Apply(e.Context(), "p", &penstock.Batch{Next: "q", Swap: []penstock.TableID{a.ID, b.ID}}))
	e.wantRows("shop", a, rowsOf(a, []any{1, "one", 10}, []any{2, "two", 20}))
	e.wantRows("shop", b, rowsOf(b, []any{7}))
	if got := e.status(d, a.ID).BadValues.Total(); got != 1 {
		e.Errorf("%d bad values, want 1", got)
	}
}

// testManyTables: what is done with many tables at once is what is done with
// each, and names that differ only by case, or are taken, are still found.
func testManyTables(e *env) {
	d := e.open()
	const n = 60
	var shapes []*penstock.Table
	joins := map[penstock.TableID]penstock.Snapshot{}
	var ids []penstock.TableID
	for i := range n {
		name := fmt.Sprintf("t%d", i/2)
		if i%2 == 1 {
			name = fmt.Sprintf("T%d", i/2)
		}
		t := shapeOf(penstock.TableID(fmt.Sprint(i+1)), name, 1, column("id", penstock.TypeInt32))
		if i%3 == 0 {
			t.Schema = "other"
		}
		shapes, ids, joins[t.ID] = append(shapes, t), append(ids, t.ID), "s"
	}
	fill := func(add int) {
		e.ok(d.Ensure(e.Context(), shapes...))
		for i, t := range shapes {
			e.ok(Append(e.Context(), d, t.ID, rowsOf(t, []any{i + add}), nil))
		}
		e.ok(d.Loaded(e.Context(), joins))
		e.ok(d.Apply(e.Context(), e.state(d).Applied, &penstock.Batch{Next: penstock.Position(fmt.Sprint(add)), Swap: ids}))
	}
	check := func(add int) {
		e.Helper()
		for i, t := range shapes {
			e.wantState(d, t.ID, penstock.TableSynced, true)
			e.wantRows("shop", t, rowsOf(t, []any{i + add}))
		}
	}
	fill(0)
	check(0)
	e.s.Restart(e.T)
	d = e.open()
	check(0)
	fill(1000)
	check(1000)

	// Each takes the name of the one before, which goes.
	last := shapes[n-1]
	e.ok(d.Apply(e.Context(), "1000", &penstock.Batch{Next: "p", Drop: ids[1:]}))
	shapes, ids = shapes[:1], ids[:1]
	check(1000)
	e.wantUnreadable("shop", last)
	newer := *shapes[0]
	newer.ID = "newer"
	e.ok(d.Ensure(e.Context(), &newer, last))
	e.ok(Append(e.Context(), d, newer.ID, rowsOf(&newer, []any{5}), nil))
	e.ok(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{newer.ID: "s", last.ID: "s"}))
	e.ok(d.Apply(e.Context(), "p", &penstock.Batch{Next: "q", Swap: []penstock.TableID{newer.ID, last.ID}}))
	e.wantRows("shop", &newer, rowsOf(&newer, []any{5}))
	e.wantRows("shop", last, rowsOf(last))
	e.wantState(d, shapes[0].ID, penstock.TableResyncRequired, false)
}
