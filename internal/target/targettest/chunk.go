package targettest

import (
	"context"
	"fmt"
	"slices"

	"penstock"
)

// Append writes a chunk to the hidden version of a table.
func Append(ctx context.Context, d penstock.Destination, id penstock.TableID, rows *penstock.Rows, bad penstock.BadValues) error {
	w, err := d.Chunk(ctx, id)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Append(ctx, rows, bad); err != nil {
		return err
	}
	return w.Commit(ctx, penstock.Chunk{Token: fmt.Sprintf("%d rows", rows.Len())})
}

// chunk writes and commits a chunk of several parts.
func (e *env) chunk(d penstock.Destination, id penstock.TableID, token string, parts ...*penstock.Rows) {
	e.Helper()
	w, err := d.Chunk(e.Context(), id)
	e.ok(err)
	defer w.Close()
	for _, rows := range parts {
		e.ok(w.Append(e.Context(), rows, nil))
	}
	e.ok(w.Commit(e.Context(), penstock.Chunk{Token: token, Bytes: 100}))
}

// wantPartial checks what a load that broke has left.
func (e *env) wantPartial(d penstock.Destination, id penstock.TableID, join penstock.Snapshot, tokens ...string) {
	e.Helper()
	s := e.wantState(d, id, penstock.TableResyncInitiated, false)
	if s.Partial == nil {
		e.Fatal("nothing is left of the load")
	}
	got := slices.Sorted(slices.Values(s.Partial.Chunks))
	if s.Partial.Snapshot != join || !slices.Equal(got, tokens) || s.Partial.Rows != int64(len(tokens)) || s.Partial.Bytes != int64(100*len(tokens)) {
		e.Fatalf("left of the load: %+v; want chunks %q of %q", *s.Partial, tokens, join)
	}
}

func (e *env) wantNoPartial(d penstock.Destination, id penstock.TableID) {
	e.Helper()
	if s := e.status(d, id); s.Partial != nil {
		e.Fatalf("left of the load: %+v; want nothing", *s.Partial)
	}
}

// testChunkUndone: a chunk is there as a whole or not at all.
func testChunkUndone(e *env) {
	d := e.open()
	shape := orders()
	e.ok(d.Ensure(e.Context(), shape))
	w, err := d.Chunk(e.Context(), shape.ID)
	e.ok(err)
	e.ok(w.Append(e.Context(), rowsOf(shape, []any{1, "one", 10}), penstock.BadValues{2: 5}))
	w.Close()
	w.Close()
	e.chunk(d, shape.ID, "a", rowsOf(shape, []any{2, "two", 20}), rowsOf(shape, []any{3, "three", 30}), rowsOf(shape))
	other, err := d.Chunk(e.Context(), shape.ID) // open while the load is finished by somebody else
	e.ok(err)
	other.Close()
	e.ok(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s"}))
	e.ok(d.Apply(e.Context(), "", &penstock.Batch{Next: "p", Swap: []penstock.TableID{shape.ID}}))
	e.wantRows("shop", shape, rowsOf(shape, []any{2, "two", 20}, []any{3, "three", 30}))
	if got := e.status(d, shape.ID).BadValues.Total(); got != 0 {
		e.Errorf("%d bad values, want none: those were of the chunk that is undone", got)
	}
}

// testLoadGoesOn: what is done of a load outlives restarts, until the load is through.
func testLoadGoesOn(e *env) {
	d := e.open()
	shape := orders()
	e.ok(d.Apply(e.Context(), "", &penstock.Batch{Next: "p"}))
	e.ok(d.Ensure(e.Context(), shape))
	e.wantNoPartial(d, shape.ID)
	e.ok(d.Keep(e.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s1"}))
	e.wantPartial(d, shape.ID, "s1")
	e.chunk(d, shape.ID, "a", rowsOf(shape, []any{1, "one", 10}))
	w, err := d.Chunk(e.Context(), shape.ID)
	e.ok(err)
	e.ok(w.Append(e.Context(), rowsOf(shape, []any{9, "nine", 90}), nil))
	e.s.Restart(e.T)

	d = e.open()
	e.wantPartial(d, shape.ID, "s1", "a")
	e.chunk(d, shape.ID, "b", rowsOf(shape, []any{2, "two", 20}))
	e.s.Restart(e.T)
	d = e.open()
	e.wantPartial(d, shape.ID, "s1", "a", "b")
	if s := e.status(d, shape.ID); s.Mending {
		e.Fatal("the table is to be mended, and all its chunks are of one snapshot")
	}

	e.ok(d.Keep(e.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s1+s2"}))
	e.s.Restart(e.T)
	d = e.open()
	e.wantPartial(d, shape.ID, "s1+s2", "a", "b")
	w, err = d.Chunk(e.Context(), shape.ID)
	e.ok(err)
	e.ok(w.Append(e.Context(), rowsOf(shape, []any{3, nil, 30}), penstock.BadValues{2: 1}))
	e.ok(w.Commit(e.Context(), penstock.Chunk{Token: "c"}))
	e.ok(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s1+s2"}))
	e.s.Restart(e.T)
	d = e.open()
	s := e.wantState(d, shape.ID, penstock.TableResyncInitiated, false)
	if s.Join != "s1+s2" || !s.Mending || s.Partial != nil || s.BadValues.Total() != 1 {
		e.Fatalf("after Loaded: %+v", s)
	}
	e.ok(d.Apply(e.Context(), "p", &penstock.Batch{Next: "q", Swap: []penstock.TableID{shape.ID}}))
	e.wantRows("shop", shape, rowsOf(shape, []any{1, "one", 10}, []any{2, "two", 20}, []any{3, nil, 30}))
	if s := e.wantState(d, shape.ID, penstock.TableSynced, true); s.Mending {
		e.Fatal("the table is still to be mended after the swap")
	}
	e.load(d, shape, nil)
	if s := e.status(d, shape.ID); s.Mending || s.Partial != nil {
		e.Fatalf("after another load: %+v", s)
	}
}

// testLoadIsVoid: chunks are worth nothing once the position has moved, or the
// table has been given another state, and none are left after that.
func testLoadIsVoid(e *env) {
	for name, void := range map[string]func(penstock.Destination, *penstock.Table){
		"moved": func(d penstock.Destination, _ *penstock.Table) {
			e.ok(d.Apply(e.Context(), "p", &penstock.Batch{Next: "q"}))
		},
		"required": func(d penstock.Destination, shape *penstock.Table) {
			e.ok(d.SetStates(e.Context(), []penstock.TableStatus{{Table: *shape, State: penstock.TableResyncRequired}}))
		},
		"forgotten": func(d penstock.Destination, _ *penstock.Table) { e.ok(d.Forget(e.Context())) },
	} {
		d := e.openSpec(specOf(name))
		shape := orders()
		e.ok(d.Apply(e.Context(), "", &penstock.Batch{Next: "p"}))
		e.ok(d.Ensure(e.Context(), shape))
		e.ok(d.Keep(e.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s1"}))
		e.chunk(d, shape.ID, "a", rowsOf(shape, []any{1, "one", 10}))
		e.ok(d.Apply(e.Context(), "p", &penstock.Batch{Next: "p", States: []penstock.TableStatus{{Table: *shape, State: penstock.TableResyncInitiated}}}))
		e.wantPartial(d, shape.ID, "s1", "a")
		void(d, shape)
		e.wantNoPartial(d, shape.ID)
		e.ok(d.Close())
		d = e.openSpec(specOf(name))
		e.wantState(d, shape.ID, penstock.TableResyncRequired, false)
		e.wantNoPartial(d, shape.ID)
		e.ok(d.Ensure(e.Context(), shape))
		e.ok(d.Keep(e.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s2"}))
		e.wantPartial(d, shape.ID, "s2")
		e.ok(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s2"}))
		if e.status(d, shape.ID).Mending {
			e.Fatalf("%s: a new load is mixed with an old one", name)
		}
	}
	e.wantKind(e.openSpec(specOf("shop")).Keep(e.Context(), map[penstock.TableID]penstock.Snapshot{"no such": "s"}), penstock.KindNotFound)
}

// mending returns a table of two snapshots, with two rows of the key 1 and
// none of the key 3, and the position it is at.
func (e *env) mending(d penstock.Destination, shape *penstock.Table) {
	e.Helper()
	e.ok(d.Ensure(e.Context(), shape))
	e.ok(d.Keep(e.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s1"}))
	e.chunk(d, shape.ID, "a", rowsOf(shape, []any{1, "large", 10}, []any{4, "four", 40}))
	e.ok(d.Keep(e.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s2"}))
	e.chunk(d, shape.ID, "b", rowsOf(shape, []any{1, "large", 11}, []any{2, "two", 20}))
	e.ok(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s2"}))
}

// patched is a batch that updates rows whose note is unchanged.
func patched(shape *penstock.Table, ids ...int) penstock.TableBatch {
	c := changesOf(shape)
	c.Mend = true
	for _, id := range ids {
		c.patch([]any{id, nil, nil}, []any{id, unchanged{}, 100 + id})
	}
	return c.batch()
}

// testMend: keys are made unique, and what is missing is told.
func testMend(e *env) {
	d := e.open()
	shape := orders()
	e.mending(d, shape)
	b := &penstock.Batch{Next: "p", Tables: []penstock.TableBatch{patched(shape, 1, 3, 2)}}
	e.ok(d.Apply(e.Context(), "", b))
	tb := &b.Tables[0]
	if len(tb.Missing) != 1 || tb.Rows.Vectors[0].Int64(int(tb.Missing[0])) != 3 {
		e.Fatalf("missing: %v, want the row of key 3", tb.Missing)
	}
	c := changesOf(shape).update([]any{1, nil, nil}, []any{1, "one", 1}).delete(7, nil, nil).insert(5, "five", 50)
	c.Mend = true
	e.ok(d.Apply(e.Context(), "p", &penstock.Batch{Next: "q", Tables: []penstock.TableBatch{c.batch()}}))
	e.ok(d.Apply(e.Context(), "q", &penstock.Batch{Next: "r", Swap: []penstock.TableID{shape.ID}}))
	e.wantRows("shop", shape, rowsOf(shape, []any{1, "one", 1}, []any{2, "two", 102}, []any{4, "four", 40}, []any{5, "five", 50}))
}

// testMendPartial: the parts of a transaction see each other, and rows that
// were missing may be added by a further part.
func testMendPartial(e *env) {
	d := e.open()
	shape := orders()
	e.mending(d, shape)
	b := &penstock.Batch{Next: "p", Partial: true, Tables: []penstock.TableBatch{patched(shape, 1, 3)}}
	e.ok(d.Apply(e.Context(), "", b))
	if len(b.Tables[0].Missing) != 1 {
		e.Fatalf("missing: %v, want one row", b.Tables[0].Missing)
	}
	c := changesOf(shape).update([]any{3, nil, nil}, []any{3, "read again", 3})
	c.Mend = true
	e.ok(d.Apply(e.Context(), "", &penstock.Batch{Next: "p", Partial: true, Tables: []penstock.TableBatch{c.batch()}}))
	b = &penstock.Batch{Next: "p", Partial: true, Tables: []penstock.TableBatch{patched(shape, 3)}}
	e.ok(d.Apply(e.Context(), "", b))
	if len(b.Tables[0].Missing) != 0 {
		e.Fatalf("missing: %v, want none", b.Tables[0].Missing)
	}
	e.ok(d.Apply(e.Context(), "", &penstock.Batch{Next: "p"}))
	e.ok(d.Apply(e.Context(), "p", &penstock.Batch{Next: "q", Swap: []penstock.TableID{shape.ID}}))
	e.wantRows("shop", shape, rowsOf(shape, []any{1, "large", 101}, []any{3, "read again", 103}, []any{2, "two", 20}, []any{4, "four", 40}))
}

// testJoinAnew: the snapshot that a table waits for is replaced with a batch.
func testJoinAnew(e *env) {
	d := e.open()
	shape := orders()
	e.mending(d, shape)
	e.ok(d.Apply(e.Context(), "", &penstock.Batch{Next: "p", Partial: true, Joins: map[penstock.TableID]penstock.Snapshot{shape.ID: "s3"}}))
	if s := e.status(d, shape.ID); s.Join != "s2" {
		e.Fatalf("Join is %q before the end of the transaction", s.Join)
	}
	e.ok(d.Apply(e.Context(), "", &penstock.Batch{Next: "p"}))
	if s := e.status(d, shape.ID); s.Join != "s3" || !s.Mending {
		e.Fatalf("joined anew: %+v", s)
	}
	e.wantKind(d.Apply(e.Context(), "p", &penstock.Batch{Next: "q", Joins: map[penstock.TableID]penstock.Snapshot{"no such": "s"}}), penstock.KindInternal)
	e.s.Restart(e.T)
	d = e.open()
	if s := e.status(d, shape.ID); s.Join != "s3" || !s.Mending {
		e.Fatalf("joined anew, after a restart: %+v", s)
	}
}
