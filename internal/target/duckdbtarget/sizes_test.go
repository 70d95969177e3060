package duckdbtarget

import (
	"testing"

	"penstock"
	"penstock/internal/target/targettest"
)

// TestSizes: rows are counted exactly, whatever was deleted, and a large table
// has blocks.
func TestSizes(t *testing.T) {
	t.Parallel()
	w := openWarehouse(t, testConfig(t))
	d, err := w.Open(t.Context(), penstock.DatabaseSpec{Name: "a shop", Integration: "3f2a91bc-0000-4000-8000-000000000001", SourceDatabase: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	must := func(errs ...error) {
		t.Helper()
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	shape := func(id penstock.TableID, name string) *penstock.Table {
		return &penstock.Table{ID: id, Schema: "s'1", Name: name, Identity: penstock.IdentityKey, Key: []int{0}, Columns: []penstock.Column{
			{ID: 1, Name: "id", Type: penstock.Type{Kind: penstock.TypeInt64}, NotNull: true}}}
	}
	rows := func(s *penstock.Table, from, to int64) *penstock.Rows {
		r := penstock.NewRows(s)
		for i := from; i < to; i++ {
			r.Vectors[0].AppendInt64(i * 0x9E3779B97F4A7C) // does not compress
		}
		return r
	}
	large, empty, hidden := shape("1", `it's large`), shape("2", "empty"), shape("3", "hidden")
	quoted := shape("4", `"`)
	const n = 500_000
	must(d.Ensure(t.Context(), large), targettest.Append(t.Context(), d, "1", rows(large, 0, n), nil), d.Loaded(t.Context(), map[penstock.TableID]penstock.Snapshot{"1": "s"}),
		d.Ensure(t.Context(), empty), d.Loaded(t.Context(), map[penstock.TableID]penstock.Snapshot{"2": "s"}), d.Ensure(t.Context(), hidden), d.Ensure(t.Context(), quoted), d.Loaded(t.Context(), map[penstock.TableID]penstock.Snapshot{"4": "s"}),
		d.Apply(t.Context(), "", &penstock.Batch{Next: "1", Swap: []penstock.TableID{"1", "2", "4"}}))
	sizes, err := w.Sizes(t.Context(), "a shop")
	must(err)
	if s := sizes["1"]; len(sizes) != 3 || s.Rows != n || s.Bytes < 1<<20 || s.Bytes > 64<<20 || sizes["2"] != (penstock.TableSize{}) || sizes["4"] != (penstock.TableSize{Bytes: -1}) {
		t.Errorf("after loading: %v", sizes)
	}
	change := rows(large, 0, 1000) // all of them go, ten come again
	tb := penstock.TableBatch{Table: large, Rows: change}
	for i := range int32(1000) {
		tb.Remove = append(tb.Remove, i)
	}
	for i := range int32(10) {
		tb.Put = append(tb.Put, i)
	}
	must(d.Apply(t.Context(), "1", &penstock.Batch{Next: "2", Tables: []penstock.TableBatch{tb}}))
	sizes, err = w.Sizes(t.Context(), "a shop")
	must(err)
	if s := sizes["1"]; s.Rows != n-990 || s.Bytes < 1<<20 {
		t.Errorf("after a batch: %v", sizes)
	}
	if s, err := w.Sizes(t.Context(), BuiltIn); len(s) != 0 || err != nil {
		t.Errorf("of the built-in database: %v, %v", s, err)
	}
	if _, err := w.Sizes(t.Context(), "nowhere"); penstock.KindOf(err) != penstock.KindNotFound {
		t.Errorf("of no database: %v", err)
	}
}
