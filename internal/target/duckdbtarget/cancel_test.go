package duckdbtarget

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"penstock"
	"penstock/internal/target/targettest"
)

// TestCancelledApply cancels batches at any moment: whatever the engine was
// about, either all of a batch is there and its position, or nothing of it
// (promise 2).
func TestCancelledApply(t *testing.T) {
	t.Parallel()
	w := openWarehouse(t, testConfig(t))
	spec := penstock.DatabaseSpec{Name: "cancelled", Integration: "i", SourceARN: "arn", SourceDatabase: "s"}
	shape := &penstock.Table{ID: "1", Schema: "public", Name: "t", Identity: penstock.IdentityKey, Key: []int{0}, Columns: []penstock.Column{
		{ID: 1, Name: "id", Type: penstock.Type{Kind: penstock.TypeInt32}}, {ID: 2, Name: "n", Type: penstock.Type{Kind: penstock.TypeInt32}},
		{ID: 3, Name: "big", Type: penstock.Type{Kind: penstock.TypeText}},
	}}
	ctx := t.Context()
	model := map[int32]int32{}
	open := func() penstock.Destination {
		t.Helper()
		d, err := w.Open(ctx, spec)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := open()
	rows := penstock.NewRows(shape)
	for id := range int32(2000) {
		appendRow(rows, id, 0, true)
		model[id] = 0
	}
	for _, err := range []error{d.Ensure(ctx, shape), targettest.Append(ctx, d, "1", rows, nil), d.Loaded(ctx, map[penstock.TableID]penstock.Snapshot{"1": "s"}), d.Apply(ctx, "", &penstock.Batch{Next: "0", Swap: []penstock.TableID{"1"}})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	position, cancelled, committed := "0", 0, 0
	took := 5 * time.Millisecond
	for i := range int32(400) {
		next := fmt.Sprint(i + 1)
		batch, after := randomBatch(shape, model, i+1)
		batch.Next = penstock.Position(next)
		applying, cancel := context.WithCancel(ctx)
		stop := time.AfterFunc(rand.N(took*3/2), cancel)
		began := time.Now()
		err := d.Apply(applying, penstock.Position(position), batch)
		stop.Stop()
		cancel()
		if err == nil {
			took = (3*took + time.Since(began)) / 4
			position, model = next, after
			continue
		}
		cancelled++
		if err := d.Close(); err != nil {
			t.Fatalf("close after a cancelled batch: %v", err)
		}
		d = open()
		state, err := d.State(ctx)
		if err != nil {
			t.Fatal(err)
		}
		switch string(state.Applied) {
		case position:
		case next:
			committed++
			position, model = next, after
		default:
			t.Fatalf("the position is %q after a batch from %q to %q", state.Applied, position, next)
		}
		compareModel(t, w, model, i)
	}
	compareModel(t, w, model, -1)
	t.Logf("%d batches were cancelled, %d of them too late to be undone", cancelled, committed)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func appendRow(rows *penstock.Rows, id, n int32, whole bool) int32 {
	rows.Vectors[0].AppendInt32(id)
	rows.Vectors[1].AppendInt32(n)
	if whole {
		rows.Vectors[2].AppendString(strings.Repeat(fmt.Sprint(id), 200))
	} else {
		rows.Vectors[2].AppendUnchanged()
	}
	return int32(rows.Len() - 1)
}

// randomBatch replaces, patches, deletes and adds rows, and returns the model
// as it is to be afterwards.
func randomBatch(shape *penstock.Table, model map[int32]int32, n int32) (*penstock.Batch, map[int32]int32) {
	after := maps.Clone(model)
	rows := penstock.NewRows(shape)
	tb := penstock.TableBatch{Table: shape, Rows: rows, Base: []int32{}}
	for _, id := range rand.Perm(2200)[:100] {
		id := int32(id)
		_, there := model[id]
		switch rand.IntN(3) {
		case 0:
			r := appendRow(rows, id, n, true)
			if there {
				tb.Remove = append(tb.Remove, r)
			}
			tb.Put, tb.Base = append(tb.Put, r), append(tb.Base, -1)
			after[id] = n
		case 1:
			if there {
				r := appendRow(rows, id, n, false)
				tb.Remove, tb.Put, tb.Base = append(tb.Remove, r), append(tb.Put, r), append(tb.Base, r)
				after[id] = n
			}
		case 2:
			tb.Remove = append(tb.Remove, appendRow(rows, id, 0, true))
			delete(after, id)
		}
	}
	return &penstock.Batch{Tables: []penstock.TableBatch{tb}}, after
}

func compareModel(t *testing.T, w *Warehouse, model map[int32]int32, i int32) {
	t.Helper()
	got := queryTexts(t, w, "cancelled", "SELECT id || ' ' || n || ' ' || (big = repeat(id::VARCHAR, 200)) FROM public.t")
	want := make([]string, 0, len(model))
	for id, n := range model {
		want = append(want, fmt.Sprintf("%d %d true", id, n))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		for k := range min(len(got), len(want)) {
			if got[k] != want[k] {
				t.Fatalf("batch %d: %d rows instead of %d; %q instead of %q", i, len(got), len(want), got[k], want[k])
			}
		}
		t.Fatalf("batch %d: %d rows instead of %d", i, len(got), len(want))
	}
}

// queryTexts returns the one text column of a client's query.
func queryTexts(t *testing.T, w *Warehouse, database, sql string) (out []string) {
	t.Helper()
	s, err := w.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	st, err := s.Prepare(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	res, err := st.Query(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for {
		rows, err := res.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if rows == nil {
			return out
		}
		for r := range rows.Len() {
			out = append(out, string(rows.Vectors[0].Bytes(r)))
		}
	}
}
