package duckdbtarget

import (
	"errors"
	"fmt"
	"testing"

	"penstock"
	"penstock/internal/target/targettest"
)

// TestManyKeys removes more rows than the engine has memory to remember the keys
// of: its filter of the keys must not be one of those only that are in memory
// (duckdb/duckdb#25702, of later versions), nor may threads that help miss some
// (#22075).
func TestManyKeys(t *testing.T) {
	t.Parallel()
	const rows, removed = 800_000, 600_000
	cfg := testConfig(t)
	cfg.Memory = minMemory
	w := openWarehouse(t, cfg)
	dest, err := w.Open(t.Context(), penstock.DatabaseSpec{Name: "shop", Integration: "i"})
	if err != nil {
		t.Fatal(err)
	}
	d := dest.(*Destination)
	for i, shape := range []*penstock.Table{
		{ID: "1", Name: "one", Key: []int{0}}, {ID: "2", Name: "two", Key: []int{0, 1}},
	} {
		shape.Schema, shape.Identity = "public", penstock.IdentityKey
		shape.Columns = []penstock.Column{{ID: 1, Name: "a", Type: penstock.Type{Kind: penstock.TypeText}}, {ID: 2, Name: "b", Type: penstock.Type{Kind: penstock.TypeInt64}}}
		fill := func(from, to int) *penstock.Rows {
			r := penstock.NewRows(shape)
			for n := from; n < to; n++ {
				r.Vectors[0].AppendWith(func(b []byte) []byte { return fmt.Appendf(b, "%064d", n*7919%rows) })
				r.Vectors[1].AppendInt64(int64(n))
			}
			return r
		}
		if err := d.Ensure(t.Context(), shape); err != nil {
			t.Fatal(err)
		}
		for from := 0; from < rows; from += 100_000 {
			if err := targettest.Append(t.Context(), d, shape.ID, fill(from, from+100_000), nil); err != nil {
				t.Fatal(err)
			}
		}
		at, next := penstock.Position(fmt.Sprint(2*i-1)), penstock.Position(fmt.Sprint(2*i))
		if i == 0 {
			at = ""
		}
		tb := penstock.TableBatch{Table: shape, Rows: fill(0, removed)}
		for n := range removed {
			tb.Remove = append(tb.Remove, int32(n))
		}
		if err := errors.Join(d.Loaded(t.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s"}),
			d.Apply(t.Context(), at, &penstock.Batch{Next: next, Swap: []penstock.TableID{shape.ID}}),
			d.Apply(t.Context(), next, &penstock.Batch{Next: penstock.Position(fmt.Sprint(2*i + 1)), Tables: []penstock.TableBatch{tb}})); err != nil {
			t.Fatal(err)
		}
		got, err := d.writer.texts(t.Context(), "SELECT count(*)::VARCHAR, min(b)::VARCHAR FROM "+d.table(d.entries[shape.ID].Readable))
		if err != nil || got[0][0] != fmt.Sprint(rows-removed) || got[0][1] != fmt.Sprint(removed) {
			t.Errorf("%s: %v (rows, the first of them) are left, want %d from %d; %v", shape.Name, got, rows-removed, removed, err)
		}
	}
}
