package targettest

import (
	"context"
	"errors"
	"slices"

	"penstock"
)

// view opens a view, or skips the test of a target that has none.
func (e *env) view(d penstock.Destination) penstock.View {
	e.Helper()
	viewer, ok := d.(penstock.Viewer)
	if !ok {
		e.Skip("the target has no views")
	}
	v, err := viewer.View(e.Context())
	e.ok(err)
	e.Cleanup(func() { v.Close() })
	return v
}

// wantViewed checks that a view shows exactly these rows of a table, in
// portions of about the limit.
func (e *env) wantViewed(v penstock.View, shape *penstock.Table, limit int, want *penstock.Rows) {
	e.Helper()
	got, portion := penstock.NewRows(shape), penstock.NewRows(shape)
	e.ok(v.Read(e.Context(), shape.ID, portion, limit, func() error {
		if portion.Len() == 0 {
			e.Error("an empty portion")
		}
		for c := range got.Vectors {
			for i := range portion.Len() {
				got.Vectors[c].AppendFrom(&portion.Vectors[c], i)
			}
		}
		return nil
	}))
	counted, err := v.Count(e.Context(), shape.ID)
	if e.ok(err); counted != int64(got.Len()) {
		e.Fatalf("%s: a view counts %d rows and shows %d", shape, counted, got.Len())
	}
	if g, w := sorted(got), sorted(want); !slices.Equal(g, w) {
		e.Fatalf("%s: a view shows other rows\n got (%d): %s\nwant (%d): %s", shape, len(g), excerpt(g), len(w), excerpt(w))
	}
}

// testView: a view shows what was there when it was opened, whatever happens
// afterwards.
func testView(e *env) {
	d := e.open()
	shape, other := orders(), orders()
	other.ID, other.Name = "2", "Orders"
	e.load(d, shape, rowsOf(shape, []any{1, "one", 10}, []any{2, "two", 20}))
	e.load(d, other, rowsOf(other, []any{7, "seven", 70}))
	at := e.state(d).Applied
	v := e.view(d)
	before := []*penstock.Rows{rowsOf(shape, []any{1, "one", 10}, []any{2, "two", 20}), rowsOf(other, []any{7, "seven", 70})}

	e.apply(d, changesOf(shape).update([]any{1, nil, nil}, []any{1, "eins", 11}).delete(2, nil, nil).insert(3, "three", 30).batch())
	e.wantViewed(v, shape, 1<<20, before[0])
	e.load(d, shape, rowsOf(shape, []any{4, "four", 40}))
	pos := e.state(d).Applied
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: pos + "+", Drop: []penstock.TableID{other.ID}}))
	e.wantViewed(v, shape, 1, before[0])
	e.wantViewed(v, other, 1<<20, before[1])
	if st := v.State(); st.Applied != at || len(st.Tables) != 2 || st.Tables[0].State != penstock.TableSynced {
		e.Fatalf("the view's state is %+v, want that of %q", st, at)
	}
	now := e.view(d)
	e.wantViewed(now, shape, 1<<20, rowsOf(shape, []any{4, "four", 40}))
	for _, id := range []penstock.TableID{other.ID, "unknown"} {
		_, err := now.Count(e.Context(), id)
		e.wantKind(err, penstock.KindNotFound)
		e.wantKind(now.Read(e.Context(), id, penstock.NewRows(other), 1, func() error { return nil }), penstock.KindNotFound)
	}

	enough := errors.New("enough")
	if err := v.Read(e.Context(), shape.ID, penstock.NewRows(shape), 1, func() error { return enough }); !errors.Is(err, enough) {
		e.Fatalf("got %v, want the error of flush", err)
	}
	ctx, cancel := context.WithCancel(e.Context())
	cancel()
	if err := v.Read(ctx, shape.ID, penstock.NewRows(shape), 1, func() error { return nil }); !errors.Is(err, context.Canceled) {
		e.Fatalf("got %v, want %v", err, context.Canceled)
	}
	e.ok(d.Close())
	e.wantViewed(v, shape, 1<<20, before[0])
}

// testViewOfAllTypes: a view hands out what was stored, and would store it so
// again.
func testViewOfAllTypes(e *env) {
	d := e.open()
	shape, rows := everyType()
	e.load(d, shape, rows)
	e.wantViewed(e.view(d), shape, 1<<20, rows)
	if bad := e.view(d).Store(shape, rows); bad.Total() != 0 {
		e.Fatalf("%d values count as bad", bad.Total())
	}
	e.wantRows("shop", shape, rows)
}
