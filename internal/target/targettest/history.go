package targettest

import (
	"context"
	"time"

	"penstock"
)

// withHistory returns a shape as readers see it in history mode.
func withHistory(shape *penstock.Table) *penstock.Table {
	t := *shape
	t.Columns = append(t.Columns[:len(t.Columns):len(t.Columns)],
		column(penstock.ActiveColumn, penstock.TypeBool), column(penstock.CreateTimeColumn, penstock.TypeTimestamp), column(penstock.DeleteTimeColumn, penstock.TypeTimestamp))
	return &t
}

func moment(at int) time.Time { return time.UnixMicro(int64(at)).UTC() }

// historic builds the batch of a table in history mode row by row.
type historic struct{ *change }

func historyOf(shape *penstock.Table) historic {
	c := changesOf(shape)
	c.Versions = penstock.NewVersions()
	return historic{c}
}

// begin has a row begin.
func (h historic) begin(at int, values ...any) historic {
	h.insert(values...)
	h.Versions.PutAt.AppendInt64(int64(at))
	return h
}

// end ends the row of a key.
func (h historic) end(at int, values ...any) historic {
	h.delete(values...)
	h.Versions.RemoveAt.AppendInt64(int64(at))
	return h
}

// replace ends a row and has another begin, with unchanged values.
func (h historic) replace(at int, old, new []any) historic {
	h.patch(old, new)
	h.Versions.RemoveAt.AppendInt64(int64(at))
	h.Versions.PutAt.AppendInt64(int64(at))
	return h
}

// past adds a version that has begun and ended; base is the row of Rows that
// names the stored one which has its unchanged values, -1 for none.
func (h historic) past(from, to int, base int32, values ...any) historic {
	v := h.Versions
	v.Past, v.Base = append(v.Past, h.row(values)), append(v.Base, base)
	v.From.AppendInt64(int64(from))
	v.To.AppendInt64(int64(to))
	return h
}

// keep puts a table that is readable into history mode.
func (e *env) keep(d penstock.Destination, id penstock.TableID, at int) {
	e.Helper()
	e.toggle(d, id, true, at)
}

func (e *env) toggle(d penstock.Destination, id penstock.TableID, on bool, at int) {
	e.Helper()
	pos := e.state(d).Applied
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: pos + "+", At: moment(at), Switch: []penstock.Switch{{Table: id, History: on}}}))
	if got := e.status(d, id).History; got != on {
		e.Fatalf("history mode is on: %v, want %v", got, on)
	}
}

// wantVersions checks what readers of a table in history mode see.
func (e *env) wantVersions(shape *penstock.Table, rows ...[]any) {
	e.Helper()
	h := withHistory(shape)
	e.wantRows("shop", h, rowsOf(h, rows...))
}

func testHistory(e *env) {
	d := e.open()
	shape := orders()
	e.load(d, shape, rowsOf(shape, []any{1, "one", 10}, []any{2, nil, nil}, []any{3, "three", 30}))
	e.keep(d, shape.ID, 100)
	e.wantVersions(shape, []any{1, "one", 10, true, 100, nil}, []any{2, nil, nil, true, 100, nil}, []any{3, "three", 30, true, 100, nil})

	large := historyOf(shape)
	large.replace(110, []any{1, nil, nil}, []any{1, unchanged{}, 11}) // row 0 names it
	large.past(105, 110, 0, 1, unchanged{}, 9)
	e.apply(d, large.end(105, 2, nil, nil).end(100, 3, nil, nil).begin(107, 4, "four", 40).past(101, 102, -1, 5, "five", nil).end(108, 99, nil, nil).batch())
	now := [][]any{
		{1, "one", 10, false, 100, 110}, {1, "one", 9, false, 105, 110}, {1, "one", 11, true, 110, nil},
		{2, nil, nil, false, 100, 105}, // and of 3, which ended when it began, nothing is left
		{4, "four", 40, true, 107, nil}, {5, "five", nil, false, 101, 102}}
	e.wantVersions(shape, now...)

	// It is remembered, and so is the time.
	e.s.Restart(e.T)
	d = e.open()
	e.wantVersions(shape, now...)
	if s := e.state(d); !e.status(d, shape.ID).History || !s.Time.Equal(moment(100)) {
		e.Fatalf("the time is %v, the table %+v", s.Time, e.status(d, shape.ID))
	}
	// A batch of the other kind is refused.
	pos := e.state(d).Applied
	e.wantKind(d.Apply(e.Context(), pos, &penstock.Batch{Next: "x", Tables: []penstock.TableBatch{changesOf(shape).insert(9, nil, nil).batch()}}), penstock.KindStale)
	e.wantVersions(shape, now...)
}

func testHistoryTruncate(e *env) {
	d := e.open()
	shape := orders()
	e.load(d, shape, rowsOf(shape, []any{1, "one", 10}, []any{2, "two", 20}))
	e.keep(d, shape.ID, 100)
	h := historyOf(shape).end(105, 1, nil, nil).begin(120, 1, "new", 1)
	h.Truncate, h.Versions.EmptiedAt = true, moment(110)
	e.apply(d, h.batch())
	e.wantVersions(shape, []any{1, "one", 10, false, 100, 105}, []any{2, "two", 20, false, 100, 110}, []any{1, "new", 1, true, 120, nil})
}

func testHistoryFull(e *env) {
	d := e.open()
	shape := orders()
	shape.Identity, shape.Key = penstock.IdentityFull, nil
	e.load(d, shape, rowsOf(shape, []any{1, "a", 10}, []any{1, "a", 10}, []any{1, "a", 10}, []any{2, nil, nil}))
	e.keep(d, shape.ID, 100)
	e.apply(d, historyOf(shape).end(105, 1, "a", 10).end(103, 1, "a", 10).end(104, 2, nil, nil).begin(106, 2, nil, nil).batch())
	e.wantVersions(shape, []any{1, "a", 10, false, 100, 103}, []any{1, "a", 10, false, 100, 105}, []any{1, "a", 10, true, 100, nil},
		[]any{2, nil, nil, false, 100, 104}, []any{2, nil, nil, true, 106, nil})
	pos := e.state(d).Applied
	err := d.Apply(e.Context(), pos, &penstock.Batch{Next: "more", CommitTime: moment(110), Tables: []penstock.TableBatch{historyOf(shape).end(108, 1, "a", 10).end(108, 7, nil, nil).batch()}})
	e.wantUnfound("history", err, shape, 1)
	e.applied(d, pos)
}

// testHistoryPartial: of what one transaction does to a row in several parts the
// last is seen, and nothing before it is complete.
func testHistoryPartial(e *env) {
	d := e.open()
	shape := orders()
	e.load(d, shape, rowsOf(shape, []any{1, "one", 10}))
	e.keep(d, shape.ID, 100)
	pos := e.state(d).Applied
	part := func(partial bool, h historic) {
		e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: "p", CommitTime: moment(110), Partial: partial, Tables: []penstock.TableBatch{h.batch()}}))
	}
	part(true, historyOf(shape).end(110, 1, nil, nil).begin(110, 1, "one", 11))
	part(true, historyOf(shape).end(110, 1, nil, nil).begin(110, 1, "one", 12))
	e.wantVersions(shape, []any{1, "one", 10, true, 100, nil})
	part(false, historyOf(shape).begin(110, 2, "two", 20))
	e.wantVersions(shape, []any{1, "one", 10, false, 100, 110}, []any{1, "one", 12, true, 110, nil}, []any{2, "two", 20, true, 110, nil})
	if got := e.state(d).Time; !got.Equal(moment(110)) {
		e.Fatalf("the time is %v", got)
	}
}

// testHistoryOff: all versions are left under another name, and the table is
// what it would be without.
func testHistoryOff(e *env) {
	d := e.open()
	shape := shapeOf("16385", "orders", 1, column("id", penstock.TypeInt64), column(penstock.ActiveColumn, penstock.TypeText))
	e.load(d, shape, rowsOf(shape, []any{1, "one"}, []any{2, "two"}))
	e.keep(d, shape.ID, 100)
	e.apply(d, historyOf(shape).end(110, 1, nil).begin(110, 1, "uno").batch())
	versions := [][]any{{1, "one", false, 100, 110}, {1, "uno", true, 110, nil}, {2, "two", true, 100, nil}}
	e.wantVersions(shape, versions...)
	e.toggle(d, shape.ID, false, 120)
	e.wantRows("shop", shape, rowsOf(shape, []any{1, "uno"}, []any{2, "two"}))
	left := *shape
	left.Name = penstock.HistoricalName("orders", moment(120))
	e.wantVersions(&left, versions...)
	if n := len(e.state(d).Tables); n != 1 {
		e.Fatalf("%d tables are replicated into", n)
	}
	e.apply(d, changesOf(shape).delete(1, nil).insert(3, "three").batch())
	e.wantRows("shop", shape, rowsOf(shape, []any{2, "two"}, []any{3, "three"}))

	// On and off again; what was left before stays, and stays over a restart.
	e.keep(d, shape.ID, 2_000_000)
	e.toggle(d, shape.ID, false, 3_000_000)
	e.s.Restart(e.T)
	d = e.open()
	e.wantVersions(&left, versions...)
	again := *shape
	again.Name = penstock.HistoricalName("orders", moment(3_000_000))
	e.wantVersions(&again, []any{2, "two", true, 2_000_000, nil}, []any{3, "three", true, 2_000_000, nil})

	a := d.(penstock.Archive)
	e.wantKind(a.DropKept(e.Context(), penstock.TableName{Name: "orders"}), penstock.KindInvalid)
	e.wantKind(a.DropKept(e.Context(), penstock.TableName{Name: "none"}), penstock.KindNotFound)
	e.wantKind(a.RenameKept(e.Context(), penstock.TableName{Name: left.Name}, "orders"), penstock.KindAlreadyExists)
	e.ok(a.RenameKept(e.Context(), penstock.TableName{Schema: "public", Name: left.Name}, "Attic"))
	e.ok(a.DropKept(e.Context(), penstock.TableName{Name: again.Name}))
	e.wantUnreadable("shop", &again)
	e.wantUnreadable("shop", &left)
	left.Name = "Attic"
	e.wantVersions(&left, versions...)
	e.s.Restart(e.T)
	d = e.open()
	e.wantVersions(&left, versions...)
	e.ok(d.(penstock.Archive).DropKept(e.Context(), penstock.TableName{Name: "Attic"}))
	e.wantUnreadable("shop", &left)
	e.wantRows("shop", shape, rowsOf(shape, []any{2, "two"}, []any{3, "three"}))
}

// reload loads a table anew behind what is readable, at a time.
func (e *env) reload(d penstock.Destination, shape *penstock.Table, at int, rows *penstock.Rows) {
	e.Helper()
	e.ok(d.Ensure(e.Context(), shape))
	e.ok(Append(e.Context(), d, shape.ID, rows, nil))
	e.ok(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "snap"}))
	pos := e.state(d).Applied
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: pos + "+", At: moment(at), Swap: []penstock.TableID{shape.ID}}))
}

// testHistoryReload: a load does not lose what is past, and what it does not
// change goes on.
func testHistoryReload(e *env) {
	for _, identity := range []penstock.Identity{penstock.IdentityKey, penstock.IdentityFull, penstock.IdentityNone} {
		name := map[penstock.Identity]string{penstock.IdentityKey: "keyed", penstock.IdentityFull: "whole", penstock.IdentityNone: "bare"}[identity]
		d := e.openSpec(specOf("shop"))
		shape := shapeOf(penstock.TableID(name), name, 0, column("id", penstock.TypeInt64), column("note", penstock.TypeText), column("span", penstock.TypeInterval))
		if shape.Identity = identity; identity == penstock.IdentityKey {
			shape.Key = []int{0}
		}
		month := func(id int, note any, months, days int32) *penstock.Rows {
			rows := rowsOf(shape)
			rows.Vectors[0].AppendInt64(int64(id))
			add(&rows.Vectors[1], note)
			rows.Vectors[2].AppendInterval(months, days, 0)
			return rows
		}
		rows := month(1, "one", 0, 30)
		more := func(id int, note any) {
			rows.Vectors[0].AppendInt64(int64(id))
			add(&rows.Vectors[1], note)
			rows.Vectors[2].AppendNull()
		}
		more(2, nil)
		more(3, "three")
		more(4, "four")
		e.load(d, shape, rows)
		e.keep(d, shape.ID, 100)
		if identity != penstock.IdentityNone {
			e.apply(d, historyOf(shape).end(110, 4, "four", nil).batch())
		}

		rows = month(1, "one", 1, 0) // another value than 30 days
		more(2, nil)
		more(3, "THREE")
		more(5, "five")
		if identity != penstock.IdentityKey {
			more(2, nil)
		}
		e.reload(d, shape, 200, rows)
		h := withHistory(shape)
		want := rowsOf(h)
		put := func(id int, note any, span []int32, active bool, from int, to any) {
			want.Vectors[0].AppendInt64(int64(id))
			add(&want.Vectors[1], note)
			if span != nil {
				want.Vectors[2].AppendInterval(span[0], span[1], 0)
			} else {
				want.Vectors[2].AppendNull()
			}
			want.Vectors[3].AppendBool(active)
			want.Vectors[4].AppendInt64(int64(from))
			add(&want.Vectors[5], to)
		}
		put(1, "one", []int32{0, 30}, false, 100, 200)
		put(1, "one", []int32{1, 0}, true, 200, nil)
		put(2, nil, nil, true, 100, nil)
		put(3, "three", nil, false, 100, 200)
		put(3, "THREE", nil, true, 200, nil)
		put(5, "five", nil, true, 200, nil)
		if identity == penstock.IdentityNone {
			put(4, "four", nil, false, 100, 200)
		} else {
			put(4, "four", nil, false, 100, 110)
		}
		if identity != penstock.IdentityKey {
			put(2, nil, nil, true, 200, nil)
		}
		e.wantRows("shop", h, want)
		e.wantState(d, shape.ID, penstock.TableSynced, true)
		e.ok(d.Close())
	}
}

// testHistoryReloadOfShape: older versions take the shape that a load brings,
// where they can; where not, they are left.
func testHistoryReloadOfShape(e *env) {
	d := e.open()
	shape := orders()
	e.load(d, shape, rowsOf(shape, []any{1, "one", 10}, []any{2, "two", 20}))
	e.keep(d, shape.ID, 100)
	e.apply(d, historyOf(shape).end(110, 1, nil, nil).begin(110, 1, "one", 11).batch())

	wider := shapeOf(shape.ID, "sales", 2, column("id", penstock.TypeInt64), column("amount", penstock.TypeInt64), column("tax", penstock.TypeInt32))
	wider.Columns[1].ID, wider.Columns[2].ID = 3, 4
	e.reload(d, wider, 200, rowsOf(wider, []any{1, 11, nil}, []any{2, 20, 5}))
	e.wantVersions(wider, []any{1, 10, nil, false, 100, 110}, []any{1, 11, nil, true, 110, nil}, []any{2, 20, nil, false, 100, 200}, []any{2, 20, 5, true, 200, nil})
	e.wantUnreadable("shop", shape)
	e.apply(d, historyOf(wider).end(210, 1, 11, nil).begin(210, 1, 12, 7).batch())

	other := *wider
	other.Columns = append([]penstock.Column(nil), wider.Columns...)
	other.Columns[2].Type = penstock.Type{Kind: penstock.TypeText}
	e.reload(d, &other, 300, rowsOf(&other, []any{1, 12, "seven"}))
	e.wantVersions(&other, []any{1, 12, "seven", true, 300, nil})
	wider.Name = penstock.HistoricalName("sales", moment(300))
	e.wantVersions(wider, []any{1, 10, nil, false, 100, 110}, []any{1, 11, nil, false, 110, 210}, []any{1, 12, 7, false, 210, 300},
		[]any{2, 20, nil, false, 100, 200}, []any{2, 20, 5, false, 200, 300})
}

func testHistoryAlter(e *env) {
	d := e.open()
	shape := orders()
	e.load(d, shape, rowsOf(shape, []any{1, "one", 10}, []any{2, "two", 20}))
	e.keep(d, shape.ID, 100)
	e.apply(d, historyOf(shape).end(110, 1, nil, nil).begin(110, 1, "one", 11).batch())

	// A column is dropped, one renamed, one widened and one added, and the
	// table goes to another schema under another name.
	altered := shapeOf(shape.ID, "Sales", 1, column(penstock.DeleteTimeColumn, penstock.TypeInt64), column("total", penstock.TypeInt64), column("tax", penstock.TypeInt32))
	altered.Schema = "ledger"
	altered.Columns[1].ID, altered.Columns[2].ID = 3, 4
	fill := rowsOf(altered, []any{nil, nil, 7})
	pos := e.state(d).Applied
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: pos + "+", CommitTime: moment(120), Alter: []penstock.Alteration{{Old: shape, New: altered, Fill: fill}},
		Tables: []penstock.TableBatch{historyOf(altered).end(120, 2, nil, nil).begin(120, 2, 21, 8).past(115, 116, -1, 3, 30, nil).batch()}}))
	e.wantUnreadable("shop", shape)
	e.wantVersions(altered, []any{1, 10, 7, false, 100, 110}, []any{1, 11, 7, true, 110, nil}, []any{2, 20, 7, false, 100, 120}, []any{2, 21, 8, true, 120, nil},
		[]any{3, 30, nil, false, 115, 116})
	e.s.Restart(e.T)
	d = e.open()
	e.apply(d, historyOf(altered).replace(130, []any{2, nil, nil}, []any{2, 22, 9}).batch())
	e.toggle(d, altered.ID, false, 140)
	e.wantRows("shop", altered, rowsOf(altered, []any{1, 11, 7}, []any{2, 22, 9}))
}

// testHistoryRetire: a table that is gone from the source stays, with all that
// has ended, and another one may take its name.
func testHistoryRetire(e *env) {
	d := e.open()
	shape, plain := orders(), shapeOf("2", "plain", 1, column("id", penstock.TypeInt64))
	e.load(d, shape, rowsOf(shape, []any{1, "one", 10}))
	e.load(d, plain, rowsOf(plain, []any{1}))
	e.keep(d, shape.ID, 100)
	e.ok(d.Ensure(e.Context(), shape)) // is being loaded again
	retire := func(at int, tables ...penstock.TableBatch) {
		pos := e.state(d).Applied
		e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: pos + "+", At: moment(at), Tables: tables, Retire: []penstock.TableID{shape.ID, plain.ID}}))
	}
	retire(110)
	e.wantVersions(shape, []any{1, "one", 10, false, 100, 110})
	e.wantState(d, shape.ID, penstock.TableDroppedSource, true)
	e.wantUnreadable("shop", plain)

	// It comes back, and goes on.
	e.reload(d, shape, 120, rowsOf(shape, []any{1, "one", 10}))
	back := [][]any{{1, "one", 10, false, 100, 110}, {1, "one", 10, true, 120, nil}}
	e.wantVersions(shape, back...)
	retire(130, historyOf(shape).begin(125, 2, "two", 20).batch())
	gone := [][]any{{1, "one", 10, false, 100, 110}, {1, "one", 10, false, 120, 130}, {2, "two", 20, false, 125, 130}}
	e.wantVersions(shape, gone...)
	e.s.Restart(e.T)
	d = e.open()
	e.wantState(d, shape.ID, penstock.TableDroppedSource, true)

	// Another table of the name.
	other := orders()
	other.ID = "77"
	e.reload(d, other, 140, rowsOf(other, []any{8, "eight", 80}))
	e.wantRows("shop", other, rowsOf(other, []any{8, "eight", 80}))
	left := *shape
	left.Name = penstock.HistoricalName("orders", moment(140))
	e.wantVersions(&left, gone...)
	if n := len(e.state(d).Tables); n != 1 {
		e.Fatalf("%d tables are replicated into", n)
	}
	// One that is gone can be renamed and dropped.
	e.keep(d, other.ID, 150)
	pos := e.state(d).Applied
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: pos + "+", At: moment(160), Retire: []penstock.TableID{other.ID}}))
	e.ok(d.(penstock.Archive).RenameKept(e.Context(), penstock.TableName{Name: "orders"}, "old"))
	e.wantUnreadable("shop", other)
	other.Name = "old"
	e.wantVersions(other, []any{8, "eight", 80, false, 150, 160})
	e.ok(d.(penstock.Archive).DropKept(e.Context(), penstock.TableName{Name: "old"}))
	e.wantUnreadable("shop", other)
	if n := len(e.state(d).Tables); n != 0 {
		e.Fatalf("%d tables are known", n)
	}
}

// testHistoryName: the name of a table in history mode is taken by another one,
// and what it was is left; it keeps its mode, and begins anew.
func testHistoryName(e *env) {
	d := e.open()
	a, b := orders(), orders()
	b.ID = "2"
	e.load(d, a, rowsOf(a, []any{1, "one", 10}))
	e.keep(d, a.ID, 100)
	e.reload(d, b, 110, rowsOf(b, []any{2, "two", 20}))
	e.wantRows("shop", b, rowsOf(b, []any{2, "two", 20}))
	left := *a
	left.Name = penstock.HistoricalName("orders", moment(110))
	e.wantVersions(&left, []any{1, "one", 10, true, 100, nil})
	if s := e.wantState(d, a.ID, penstock.TableResyncRequired, false); !s.History {
		e.Fatalf("%+v", s)
	}
	a.Name = "others"
	e.reload(d, a, 120, rowsOf(a, []any{1, "one", 11}))
	e.wantVersions(a, []any{1, "one", 11, true, 120, nil})
}

// testHistoryForgotten: a lost position takes nothing from history.
func testHistoryForgotten(e *env) {
	d := e.open()
	shape := orders()
	e.load(d, shape, rowsOf(shape, []any{1, "one", 10}))
	e.keep(d, shape.ID, 100)
	e.toggle(d, shape.ID, false, 200)
	e.keep(d, shape.ID, 300)
	e.ok(d.Forget(context.Background()))
	if s := e.state(d); s.Applied != "" || !s.Time.Equal(moment(300)) || len(s.Tables) != 1 || !s.Tables[0].History {
		e.Fatalf("%+v", s)
	}
	left := *shape
	left.Name = penstock.HistoricalName("orders", moment(200))
	e.wantVersions(&left, []any{1, "one", 10, true, 100, nil})
	e.wantVersions(shape, []any{1, "one", 10, true, 300, nil})
	e.reload(d, shape, 400, rowsOf(shape, []any{1, "one", 11}))
	e.wantVersions(shape, []any{1, "one", 10, false, 300, 400}, []any{1, "one", 11, true, 400, nil})

	// What is compared with the source is what is active.
	view, err := d.(penstock.Viewer).View(e.Context())
	e.ok(err)
	defer view.Close()
	rows := penstock.NewRows(shape)
	e.ok(view.Read(e.Context(), shape.ID, rows, 1<<20, func() error {
		if got, want := sorted(rows), sorted(rowsOf(shape, []any{1, "one", 11})); len(got) != 1 || got[0] != want[0] {
			e.Errorf("the view has %q", got)
		}
		return nil
	}))
}
