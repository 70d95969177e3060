package duckdbtarget

import (
	"errors"
	"fmt"
	"testing"

	"penstock"
)

// TestMovedAfterLoad: once a table of many rows can be read, all of it is in the
// file, whatever the chunks that it came in, and nothing of it is in the log.
func TestMovedAfterLoad(t *testing.T) {
	t.Parallel()
	w := openWarehouse(t, testConfig(t))
	opened, err := w.Open(t.Context(), penstock.DatabaseSpec{Name: "shop", Integration: "i"})
	if err != nil {
		t.Fatal(err)
	}
	d := opened.(*Destination)
	shape := &penstock.Table{ID: "1", Schema: "public", Name: "t", Identity: penstock.IdentityKey, Key: []int{0},
		Columns: []penstock.Column{{ID: 1, Name: "id", Type: penstock.Type{Kind: penstock.TypeInt64}}}}
	if err := d.Ensure(t.Context(), shape); err != nil {
		t.Fatal(err)
	}
	const chunks, rows = 16, 10_000
	for i := range chunks {
		c, err := d.Chunk(t.Context(), "1")
		if err != nil {
			t.Fatal(err)
		}
		some := penstock.NewRows(shape)
		for r := range rows {
			some.Vectors[0].AppendInt64(int64(i*rows + r))
		}
		if err := errors.Join(c.Append(t.Context(), some, nil), c.Commit(t.Context(), penstock.Chunk{Token: fmt.Sprint(i)})); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(d.Loaded(t.Context(), map[penstock.TableID]penstock.Snapshot{"1": "s"}),
		d.Apply(t.Context(), "", &penstock.Batch{Next: "0", Swap: []penstock.TableID{"1"}})); err != nil {
		t.Fatal(err)
	}
	got, err := d.writer.texts(t.Context(), "SELECT count(DISTINCT row_group_id)::VARCHAR, bool_and(persistent)::VARCHAR FROM pragma_storage_info("+literal(d.table(d.entries["1"].Readable))+")")
	if err != nil || got[0][0] != "2" || got[0][1] != "true" {
		t.Errorf("row groups, and whether all are in the file: %q, %v", got, err)
	}
	if size := d.logSize(); size > 4096 {
		t.Errorf("%d bytes are in the log", size)
	}
	if got, err := d.writer.texts(t.Context(), "SELECT count(*)::VARCHAR FROM "+d.table(d.entries["1"].Readable)); err != nil || got[0][0] != fmt.Sprint(chunks*rows) {
		t.Errorf("%q rows, %v", got, err)
	}
}
