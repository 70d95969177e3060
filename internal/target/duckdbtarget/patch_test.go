package duckdbtarget

import (
	"fmt"
	"slices"
	"testing"

	"penstock"
)

// TestPatchFew: rows that are few in a large table are fetched some at a time, and none
// is left out, nor found that is not there; those neither that the same transaction has
// added, nor others than one where several have a key.
func TestPatchFew(t *testing.T) {
	t.Parallel()
	for _, mend := range []bool{false, true} {
		a := newApplied(t, 500_000)
		const every = 5000
		tb := penstock.TableBatch{Table: a.shape, Rows: penstock.NewRows(a.shape), Mend: mend}
		put := func(id int64) {
			row := int32(tb.Rows.Len())
			benchRow(tb.Rows, id, a.r)
			tb.Remove, tb.Put, tb.Base = append(tb.Remove, row), append(tb.Put, row), append(tb.Base, row)
		}
		// What the transaction has added before.
		more := penstock.TableBatch{Table: a.shape, Rows: penstock.NewRows(a.shape), Mend: mend}
		add := func(id int64) {
			more.Put = append(more.Put, int32(more.Rows.Len()))
			benchRow(more.Rows, id, a.r)
		}
		const added = 300
		for i := range int64(added) {
			add(int64(a.size) + i)
		}
		if mend {
			add(every) // thrice then
			add(every)
		}
		if err := a.d.Apply(t.Context(), "0", &penstock.Batch{Partial: true, Tables: []penstock.TableBatch{more}}); err != nil {
			t.Fatal(err)
		}
		for id := int64(0); id < int64(a.size); id += every {
			put(id)
		}
		put(int64(a.size)) // added just now
		put(int64(a.size + added - 1))
		if mend {
			put(-1) // is not there
		}
		unchanged := penstock.NewRows(a.shape)
		for c := range unchanged.Vectors {
			for i := range tb.Rows.Len() {
				if c == 4 {
					unchanged.Vectors[c].AppendUnchanged()
				} else {
					unchanged.Vectors[c].AppendFrom(&tb.Rows.Vectors[c], i)
				}
			}
		}
		tb.Rows = unchanged
		batch := penstock.Batch{Next: "1", Tables: []penstock.TableBatch{tb}}
		if err := a.d.Apply(t.Context(), "0", &batch); err != nil {
			t.Fatal(err)
		}
		if missing := batch.Tables[0].Missing; len(missing) > 0 != mend || mend && !slices.Equal(missing, []int32{int32(a.size/every + 2)}) {
			t.Errorf("mending %v: rows %v are missing", mend, missing)
		}
		d := a.d.(*Destination)
		got, err := d.writer.texts(t.Context(), "SELECT count(*)::VARCHAR, count(DISTINCT c0)::VARCHAR, (count(*) FILTER (c4 = 'name ' || c0))::VARCHAR, (count(*) FILTER (rowid >= ?))::VARCHAR FROM bench.public.bench", fmt.Sprint(a.size))
		if err != nil {
			t.Fatal(err)
		}
		size := fmt.Sprint(a.size + added)
		if want := []string{size, size, size, fmt.Sprint(a.size/every + added)}; !slices.Equal(got[0], want) {
			t.Errorf("mending %v: rows, keys, whole names, rows anew are %v instead of %v", mend, got[0], want)
		}
	}
}
