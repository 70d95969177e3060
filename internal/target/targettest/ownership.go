package targettest

import (
	"slices"

	"penstock"
)

func testOwnership(e *env) {
	d := e.open()
	e.applied(d, "")
	e.ok(d.Close())

	foreign := specOf("shop")
	foreign.Integration = another
	_, err := e.s.Target().Open(e.Context(), foreign)
	e.wantKind(err, penstock.KindConflict)

	other := specOf("shop")
	other.SourceDatabase = "hr"
	_, err = e.s.Target().Open(e.Context(), other)
	e.wantKind(err, penstock.KindConflict)

	e.openSpec(specOf("crm"))
	specs, err := e.s.Target().List(e.Context())
	e.ok(err)
	if want := []penstock.DatabaseSpec{specOf("crm"), specOf("shop")}; !slices.Equal(specs, want) {
		e.Fatalf("List returned %v, want %v", specs, want)
	}
}

func testOpenTwice(e *env) {
	d := e.open()
	_, err := e.s.Target().Open(e.Context(), specOf("shop"))
	e.wantKind(err, penstock.KindConflict)
	e.ok(d.Close())
	e.open()
}

func testDetach(e *env) {
	e.ok(e.s.Target().Detach(e.Context(), "shop")) // not there: nothing writes to it
	d := e.open()
	shape := orders()
	want := rowsOf(shape, []any{1, "one", 10})
	e.load(d, shape, want)
	e.wantKind(e.s.Target().Detach(e.Context(), "shop"), penstock.KindConflict)
	e.ok(d.Close())
	e.ok(e.s.Target().Detach(e.Context(), "shop"))
	e.ok(e.s.Target().Detach(e.Context(), "shop"))

	check := func() {
		e.Helper()
		e.wantRows("shop", shape, want)
		specs, err := e.s.Target().List(e.Context())
		e.ok(err)
		detached := specOf("shop")
		detached.Integration = ""
		if len(specs) != 1 || specs[0] != detached {
			e.Fatalf("List returned %v, want %v", specs, detached)
		}
	}
	check()
	e.s.Restart(e.T)
	check()

	// Of another source it is not to be had, detached or not.
	foreign := specOf("shop")
	foreign.SourceARN += "2"
	_, err := e.s.Target().Open(e.Context(), foreign)
	e.wantKind(err, penstock.KindConflict)
}

func testAdopt(e *env) {
	d := e.open()
	shape := orders()
	want := rowsOf(shape, []any{1, "one", 10})
	e.load(d, shape, want)
	e.ok(d.Close())
	e.ok(e.s.Target().Detach(e.Context(), "shop"))

	spec := specOf("shop")
	spec.Integration = another
	d = e.openSpec(spec)
	e.applied(d, "")
	e.wantState(d, shape.ID, penstock.TableResyncRequired, true)
	e.wantRows("shop", shape, want)

	want = rowsOf(shape, []any{2, "two", 20})
	e.load(d, shape, want)
	e.wantRows("shop", shape, want)
	e.ok(d.Close())
	_, err := e.s.Target().Open(e.Context(), specOf("shop"))
	e.wantKind(err, penstock.KindConflict)
}

func testDropDatabase(e *env) {
	target := e.s.Target()
	e.ok(target.Drop(e.Context(), "shop")) // not there
	d := e.open()
	shape := orders()
	e.load(d, shape, rowsOf(shape, []any{1, "one", 10}))
	e.wantKind(target.Drop(e.Context(), "shop"), penstock.KindConflict)
	e.openSpec(specOf("crm"))
	e.ok(d.Close())
	e.ok(target.Drop(e.Context(), "shop"))
	e.ok(target.Drop(e.Context(), "shop"))

	check := func() {
		e.Helper()
		e.wantUnreadable("shop", shape)
		specs, err := e.s.Target().List(e.Context())
		e.ok(err)
		if len(specs) != 1 || specs[0] != specOf("crm") {
			e.Fatalf("List returned %v, want %v", specs, specOf("crm"))
		}
	}
	check()
	e.s.Restart(e.T)
	check()

	// The name is free, for whomever, and nothing of before is left.
	spec := specOf("shop")
	spec.Integration, spec.SourceARN = another, spec.SourceARN+"2"
	d = e.openSpec(spec)
	e.applied(d, "")
	if tables := e.state(d).Tables; len(tables) != 0 {
		e.Fatalf("a new database has the tables %v", tables)
	}
	e.ok(d.Close())

	// A detached one goes too.
	e.ok(e.s.Target().Detach(e.Context(), "shop"))
	e.ok(e.s.Target().Drop(e.Context(), "shop"))
	check()
}

func testReopen(e *env) {
	d := e.open()
	shape := orders()
	want := rowsOf(shape, []any{1, "one", 10})
	e.load(d, shape, want)
	before := e.state(d)
	e.ok(d.Close())

	check := func(d penstock.Destination) {
		e.Helper()
		after := e.state(d)
		if after.Applied != before.Applied {
			e.Fatalf("position is %q, want %q", after.Applied, before.Applied)
		}
		if s := e.wantState(d, shape.ID, penstock.TableSynced, true); !s.Table.Equal(shape) {
			e.Fatalf("the shape is %+v, want %+v", s.Table, *shape)
		}
		e.wantRows("shop", shape, want)
	}
	d = e.open()
	check(d)
	e.ok(d.Close())
	e.wantClosed(d)
	e.s.Restart(e.T)
	check(e.open())
}

// wantClosed checks that a closed destination writes no more.
func (e *env) wantClosed(d penstock.Destination) {
	e.Helper()
	if err := d.Apply(e.Context(), "", &penstock.Batch{Next: "x"}); err == nil {
		e.Fatal("a closed destination applied a batch")
	}
	e.ok(d.Close())
}
