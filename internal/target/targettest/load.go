package targettest

import (
	"fmt"
	"maps"
	"sync"

	"penstock"
)

func testLoadJoinSwap(e *env) {
	d := e.open()
	shape := orders()
	e.ok(d.SetStates(e.Context(), []penstock.TableStatus{{Table: *shape, State: penstock.TableResyncRequired}}))
	e.wantState(d, shape.ID, penstock.TableResyncRequired, false)
	e.ok(d.Ensure(e.Context(), shape))
	e.wantState(d, shape.ID, penstock.TableResyncInitiated, false)
	e.wantUnreadable("shop", shape)
	e.ok(Append(e.Context(), d, shape.ID, rowsOf(shape, []any{1, "one", 10}, []any{2, "two", 20}), nil))
	e.wantUnreadable("shop", shape)
	if s := e.status(d, shape.ID); s.Join != "" {
		e.Fatalf("Join is %q before Loaded", s.Join)
	}
	e.ok(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "snapshot 7"}))
	if s := e.wantState(d, shape.ID, penstock.TableResyncInitiated, false); s.Join != "snapshot 7" || !s.Table.Equal(shape) {
		e.Fatalf("after Loaded: %+v", s)
	}
	e.wantUnreadable("shop", shape)

	// It follows the stream while hidden.
	e.ok(d.Apply(e.Context(), "", &penstock.Batch{Next: "p1", Tables: []penstock.TableBatch{
		changesOf(shape).insert(3, "three", 30).delete(1, nil, nil).batch()}}))
	e.wantUnreadable("shop", shape)

	e.ok(d.Apply(e.Context(), "p1", &penstock.Batch{Next: "p2", Swap: []penstock.TableID{shape.ID},
		States: []penstock.TableStatus{{Table: *shape, State: penstock.TableSynced}}}))
	if s := e.wantState(d, shape.ID, penstock.TableSynced, true); s.Join != "" {
		e.Fatalf("Join is %q after the swap", s.Join)
	}
	e.wantRows("shop", shape, rowsOf(shape, []any{2, "two", 20}, []any{3, "three", 30}))
	e.applied(d, "p2")
	e.wantKind(Append(e.Context(), d, shape.ID, rowsOf(shape, []any{9, "", 0}), nil), penstock.KindNotFound)
	e.wantKind(Append(e.Context(), d, "no such", rowsOf(shape, []any{9, "", 0}), nil), penstock.KindNotFound)
	e.wantKind(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{"no such": "s"}), penstock.KindNotFound)
}

func testReloadKeepsReadable(e *env) {
	d := e.open()
	shape := orders()
	old := rowsOf(shape, []any{1, "one", 10})
	e.load(d, shape, old)
	pos := e.state(d).Applied

	// The new version has another shape, and a new name.
	next := shapeOf(shape.ID, "purchases", 1, column("id", penstock.TypeInt64), column("amount", penstock.TypeText))
	e.ok(d.Ensure(e.Context(), next))
	e.wantState(d, shape.ID, penstock.TableResyncInitiated, true)
	e.wantRows("shop", shape, old)
	e.ok(Append(e.Context(), d, shape.ID, rowsOf(next, []any{5, "fifty"}), nil))

	// Ensure once more puts an empty version in its place.
	e.ok(d.Ensure(e.Context(), next))
	e.ok(Append(e.Context(), d, shape.ID, rowsOf(next, []any{6, "sixty"}), nil))
	e.ok(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s"}))
	if s := e.status(d, shape.ID); !s.Table.Equal(next) {
		e.Fatalf("the shape is %+v, want the one that rows go to: %+v", s.Table, *next)
	}
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: "p1", Tables: []penstock.TableBatch{
		changesOf(next).insert(7, "seventy").batch()}}))
	e.wantRows("shop", shape, old)
	e.ok(d.Apply(e.Context(), "p1", &penstock.Batch{Next: "p2", Swap: []penstock.TableID{shape.ID}}))
	e.wantRows("shop", next, rowsOf(next, []any{6, "sixty"}, []any{7, "seventy"}))
	e.wantUnreadable("shop", shape)

	// And again under the same name.
	e.load(d, next, rowsOf(next, []any{8, "eighty"}))
	e.wantRows("shop", next, rowsOf(next, []any{8, "eighty"}))
}

func testUnfinishedLoad(e *env) {
	d := e.open()
	a, b := orders(), shapeOf("2", "items", 1, column("id", penstock.TypeInt32))
	old := rowsOf(a, []any{1, "one", 10})
	e.load(d, a, old)
	for _, shape := range []*penstock.Table{a, b} {
		e.ok(d.Ensure(e.Context(), shape))
	}
	e.ok(Append(e.Context(), d, a.ID, rowsOf(a, []any{2, "two", 20}), nil))
	e.ok(Append(e.Context(), d, b.ID, rowsOf(b, []any{1}), nil))
	e.ok(d.Close())

	d = e.open()
	e.wantState(d, a.ID, penstock.TableResyncRequired, true)
	e.wantState(d, b.ID, penstock.TableResyncRequired, false)
	e.wantRows("shop", a, old)
	e.wantUnreadable("shop", b)
	e.wantKind(Append(e.Context(), d, a.ID, old, nil), penstock.KindNotFound)
	e.load(d, b, rowsOf(b, []any{2}))
	e.wantRows("shop", b, rowsOf(b, []any{2}))
}

// testExpose: what there is of a first load can be read while it is exposed,
// and gives way to the whole; a table that is loaded again shows what it had.
func testExpose(e *env) {
	d := e.open()
	a, b := orders(), shapeOf("2", "items", 1, column("id", penstock.TypeInt32))
	had := rowsOf(b, []any{1})
	e.load(d, b, had)
	for _, shape := range []*penstock.Table{a, b} {
		e.ok(d.Ensure(e.Context(), shape))
	}
	e.wantUnreadable("shop", a)
	e.ok(d.Expose(e.Context(), true))
	e.ok(d.Expose(e.Context(), true))
	e.wantRows("shop", a, rowsOf(a))
	e.chunk(d, a.ID, "1", rowsOf(a, []any{1, "one", 10}))
	e.chunk(d, b.ID, "2", rowsOf(b, []any{2}))
	e.wantRows("shop", a, rowsOf(a, []any{1, "one", 10}))
	e.wantRows("shop", b, had)
	e.wantState(d, a.ID, penstock.TableResyncInitiated, false)

	// It shows what follows the load as well, begins again with it, and can be hidden.
	e.ok(d.Ensure(e.Context(), a))
	e.wantRows("shop", a, rowsOf(a))
	e.chunk(d, a.ID, "3", rowsOf(a, []any{2, "two", 20}))
	e.ok(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{a.ID: "snap"}))
	e.apply(d, changesOf(a).insert(3, "three", 30).batch())
	all := rowsOf(a, []any{2, "two", 20}, []any{3, "three", 30})
	e.wantRows("shop", a, all)
	e.ok(d.Expose(e.Context(), false))
	e.wantUnreadable("shop", a)
	e.ok(d.Expose(e.Context(), true))
	e.wantRows("shop", a, all)

	// Nothing is exposed after opening, until that is said again.
	e.ok(d.Close())
	e.s.Restart(e.T)
	d = e.open()
	e.wantUnreadable("shop", a)
	e.ok(d.Expose(e.Context(), true))
	e.wantRows("shop", a, all)
	pos := e.state(d).Applied
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: pos + "+", Swap: []penstock.TableID{a.ID}}))
	e.wantRows("shop", a, all)
	e.wantState(d, a.ID, penstock.TableSynced, true)
	e.ok(d.Expose(e.Context(), false))
	e.wantRows("shop", a, all)

	// A table that is dropped, or forgotten, is exposed no more.
	e.ok(d.Expose(e.Context(), true))
	c := shapeOf("3", "more", 1, column("id", penstock.TypeInt32))
	e.ok(d.Ensure(e.Context(), c))
	e.wantRows("shop", c, rowsOf(c))
	pos = e.state(d).Applied
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: pos + "+", Drop: []penstock.TableID{c.ID}}))
	e.wantUnreadable("shop", c)
	e.ok(d.Ensure(e.Context(), c))
	e.ok(d.Forget(e.Context()))
	e.wantUnreadable("shop", c)
	e.wantRows("shop", a, all)
}

// testExposedName: a table that becomes readable has its name, whatever is
// exposed under it.
func testExposedName(e *env) {
	d := e.open()
	e.ok(d.Expose(e.Context(), true))
	old, younger := orders(), orders()
	younger.ID = "777"
	e.ok(d.Ensure(e.Context(), old))
	e.chunk(d, old.ID, "4", rowsOf(old, []any{1, "one", 10}))
	want := rowsOf(younger, []any{2, "two", 20})
	e.load(d, younger, want)
	e.wantRows("shop", younger, want)
	e.ok(d.Expose(e.Context(), false))
	e.wantRows("shop", younger, want)
}

func testLoadedSurvivesRestart(e *env) {
	d := e.open()
	shape := orders()
	e.ok(d.Ensure(e.Context(), shape))
	e.ok(Append(e.Context(), d, shape.ID, rowsOf(shape, []any{1, "one", 10}), nil))
	e.ok(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s"}))
	e.s.Restart(e.T)
	d = e.open()
	if s := e.wantState(d, shape.ID, penstock.TableResyncInitiated, false); s.Join != "s" {
		e.Fatalf("Join is %q, want it kept", s.Join)
	}
	e.apply(d, changesOf(shape).insert(2, "two", 20).batch())
	pos := e.state(d).Applied
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: "p", Swap: []penstock.TableID{shape.ID}}))
	e.wantRows("shop", shape, rowsOf(shape, []any{1, "one", 10}, []any{2, "two", 20}))
}

func testAppendConcurrently(e *env) {
	d := e.open()
	shapes := []*penstock.Table{orders(), orders()}
	shapes[1].ID, shapes[1].Name = "2", "returns"
	wants := make([]*penstock.Rows, len(shapes))
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	for s, shape := range shapes {
		e.ok(d.Ensure(e.Context(), shape))
		wants[s] = rowsOf(shape)
		for g := range 3 {
			for i := range 4 {
				add(&wants[s].Vectors[0], g*10+i)
				add(&wants[s].Vectors[1], "n")
				add(&wants[s].Vectors[2], nil)
			}
			wg.Go(func() {
				for i := range 4 {
					if err := Append(e.Context(), d, shape.ID, rowsOf(shape, []any{g*10 + i, "n", nil}), penstock.BadValues{1: 1}); err != nil {
						errs <- fmt.Errorf("append: %w", err)
					}
				}
			})
		}
	}
	// A batch for another table may be applied meanwhile.
	e.ok(d.Apply(e.Context(), "", &penstock.Batch{Next: "p1"}))
	wg.Wait()
	close(errs)
	for err := range errs {
		e.Fatal(err)
	}
	for s, shape := range shapes {
		e.ok(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s"}))
		if got := e.status(d, shape.ID).BadValues.Total(); got != 12 {
			e.Errorf("%d bad values, want 12", got)
		}
		pos := e.state(d).Applied
		e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: pos + "+", Swap: []penstock.TableID{shape.ID}}))
		e.wantRows("shop", shape, wants[s])
	}
}

func testSwapTakesName(e *env) {
	d := e.open()
	old := orders()
	e.load(d, old, rowsOf(old, []any{1, "one", 10}))
	// Dropped and made again at the source, or renamed away: another ID.
	now := orders()
	now.ID = "99"
	e.load(d, now, rowsOf(now, []any{2, "two", 20}))
	e.wantRows("shop", now, rowsOf(now, []any{2, "two", 20}))
	e.wantState(d, now.ID, penstock.TableSynced, true)
	e.wantState(d, old.ID, penstock.TableResyncRequired, false)

	// Drop and Swap in one batch.
	next := orders()
	next.ID = "100"
	e.ok(d.Ensure(e.Context(), next))
	e.ok(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{next.ID: "s"}))
	pos := e.state(d).Applied
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: "p", Drop: []penstock.TableID{now.ID, old.ID}, Swap: []penstock.TableID{next.ID}}))
	if n := len(e.state(d).Tables); n != 1 {
		e.Fatalf("%d tables are known, want 1", n)
	}
	e.wantRows("shop", next, rowsOf(next))
}

func testDrop(e *env) {
	d := e.open()
	a, b := orders(), shapeOf("2", "items", 1, column("id", penstock.TypeInt32))
	e.load(d, a, rowsOf(a, []any{1, "one", 10}))
	e.load(d, b, rowsOf(b, []any{1}))
	e.ok(d.Ensure(e.Context(), a)) // a hidden version goes with it
	pos := e.state(d).Applied
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: "p", Drop: []penstock.TableID{a.ID, "unknown"},
		Tables: []penstock.TableBatch{changesOf(b).insert(2).batch()}}))
	e.wantUnreadable("shop", a)
	e.wantRows("shop", b, rowsOf(b, []any{1}, []any{2}))
	if tables := e.state(d).Tables; len(tables) != 1 || tables[0].Table.ID != b.ID {
		e.Fatalf("tables known: %v, want only %s", tables, b.ID)
	}
}

func testForget(e *env) {
	d := e.open()
	a, b := orders(), shapeOf("2", "items", 1, column("id", penstock.TypeInt32))
	e.load(d, a, rowsOf(a, []any{1, "one", 10}))
	e.ok(d.Ensure(e.Context(), b))
	e.ok(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{b.ID: "s"}))
	e.ok(d.Forget(e.Context()))
	e.applied(d, "")
	e.wantState(d, a.ID, penstock.TableResyncRequired, true)
	if s := e.wantState(d, b.ID, penstock.TableResyncRequired, false); s.Join != "" {
		e.Fatalf("Join is %q, of a history that is lost", s.Join)
	}
	e.wantRows("shop", a, rowsOf(a, []any{1, "one", 10}))
	e.wantKind(Append(e.Context(), d, b.ID, rowsOf(b, []any{1}), nil), penstock.KindNotFound)
}

func testStates(e *env) {
	d := e.open()
	a, b := orders(), shapeOf("2", "items", 1, column("id", penstock.TypeInt32))
	e.load(d, a, nil)
	e.ok(d.SetStates(e.Context(), []penstock.TableStatus{
		{Table: *a, State: penstock.TableFailed, Reason: "it has no replica identity"},
		{Table: *b, State: penstock.TableFailed, Reason: "it is a view"},
	}))
	if s := e.wantState(d, a.ID, penstock.TableFailed, true); s.Reason != "it has no replica identity" || s.Changed.IsZero() {
		e.Fatalf("status is %+v", s)
	}
	if s := e.wantState(d, b.ID, penstock.TableFailed, false); s.Reason != "it is a view" || !s.Table.Equal(b) {
		e.Fatalf("status is %+v", s)
	}
	pos := e.state(d).Applied
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: "p", States: []penstock.TableStatus{{Table: *b, State: penstock.TableDeleted}}}))
	e.s.Restart(e.T)
	d = e.open()
	e.wantState(d, a.ID, penstock.TableFailed, true)
	if s := e.wantState(d, b.ID, penstock.TableDeleted, false); s.Reason != "" {
		e.Fatalf("the reason is still %q", s.Reason)
	}
}

func testBadValues(e *env) {
	d := e.open()
	shape := orders()
	e.ok(d.Ensure(e.Context(), shape))
	e.ok(Append(e.Context(), d, shape.ID, rowsOf(shape, []any{1, nil, nil}), penstock.BadValues{2: 1, 3: 1}))
	e.ok(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s"}))
	c := changesOf(shape).insert(2, nil, nil).batch()
	c.BadValues = penstock.BadValues{3: 3}
	e.ok(d.Apply(e.Context(), "", &penstock.Batch{Next: "p1", Tables: []penstock.TableBatch{c}}))
	e.ok(d.Apply(e.Context(), "p1", &penstock.Batch{Next: "p2", Swap: []penstock.TableID{shape.ID},
		States: []penstock.TableStatus{{Table: *shape, State: penstock.TableSynced, BadValues: penstock.BadValues{2: 1}}}}))
	if got, want := e.status(d, shape.ID).BadValues, (penstock.BadValues{2: 2, 3: 4}); !maps.Equal(got, want) {
		e.Fatalf("bad values %v, want %v", got, want)
	}
	e.s.Restart(e.T)
	d = e.open()
	if got, want := e.status(d, shape.ID).BadValues, (penstock.BadValues{2: 2, 3: 4}); !maps.Equal(got, want) {
		e.Fatalf("after a restart bad values %v, want %v", got, want)
	}
	e.ok(d.Ensure(e.Context(), shape)) // a new load counts anew
	if got := e.status(d, shape.ID).BadValues.Total(); got != 0 {
		e.Fatalf("%d bad values, want 0", got)
	}
}
