package duckdbtarget

import (
	"math"
	"path/filepath"
	"testing"

	"penstock"
	"penstock/internal/target/targettest"
)

// TestOneZero: zeros of both signs are one zero, from the beginning and not from
// when the engine compresses them, and a row is found by either.
func TestOneZero(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: filepath.Join(t.TempDir(), "warehouse")}
	w := openWarehouse(t, cfg)
	spec := penstock.DatabaseSpec{Name: "shop", Integration: "i"}
	open := func() *Destination {
		t.Helper()
		d, err := w.Open(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		return d.(*Destination)
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	d := open()
	table := &penstock.Table{ID: "1", Schema: "public", Name: "t", Identity: penstock.IdentityFull, Columns: []penstock.Column{
		{ID: 1, Name: "id", Type: penstock.Type{Kind: penstock.TypeInt64}},
		{ID: 2, Name: "f", Type: penstock.Type{Kind: penstock.TypeFloat32}}, {ID: 3, Name: "d", Type: penstock.Type{Kind: penstock.TypeFloat64}}}}
	minus := math.Copysign(0, -1)
	put := func(rows *penstock.Rows, id int64, x float64) {
		rows.Vectors[0].AppendInt64(id)
		rows.Vectors[1].AppendFloat32(float32(x))
		rows.Vectors[2].AppendFloat64(x)
	}
	ok(d.Ensure(t.Context(), table))
	const n = 3000
	rows := penstock.NewRows(table)
	for i := range int64(n) {
		put(rows, i, []float64{minus, 0}[i%2])
	}
	ok(targettest.Append(t.Context(), d, table.ID, rows, nil))
	ok(d.Loaded(t.Context(), map[penstock.TableID]penstock.Snapshot{table.ID: "s"}))
	ok(d.Apply(t.Context(), "", &penstock.Batch{Next: "1", Swap: []penstock.TableID{table.ID}}))

	wantZeros := func(when, want string) {
		t.Helper()
		got := queryTexts(t, w, "shop", "SELECT count(*)::VARCHAR FROM public.t WHERE f::VARCHAR = '0.0' AND d::VARCHAR = '0.0'")
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v zeros, want %s", when, got, want)
		}
	}
	wantZeros("loaded", "3000")

	remove := func(prev, next penstock.Position, id int64, x float64) {
		t.Helper()
		gone := penstock.NewRows(table)
		put(gone, id, x)
		ok(d.Apply(t.Context(), prev, &penstock.Batch{Next: next, Tables: []penstock.TableBatch{{Table: table, Rows: gone, Remove: []int32{0}}}}))
	}
	remove("1", "2", 0, minus)
	remove("2", "3", 1, 0)
	ok(w.Close()) // moves all into the file
	w = openWarehouse(t, cfg)
	wantZeros("opened again", "2998")
	d = open()
	remove("3", "4", 2, minus)
	remove("4", "5", 3, 0)
	wantZeros("removed", "2996")
}
