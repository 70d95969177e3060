package duckdbtarget

import (
	"errors"
	"fmt"
	"testing"

	"penstock"
)

// TestMarks removes rows all over a table that has too many for what the engine
// has to remember of each. That is told, with the memory that would do, and
// nothing of what was tried stays: after it fewer rows are removed, also of those.
func TestMarks(t *testing.T) {
	t.Parallel()
	const rows = 10_000_000
	cfg := testConfig(t)
	cfg.Memory = minMemory
	cfg.Configured = 2 * minMemory
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
	d := open()
	shape := &penstock.Table{ID: "1", Schema: "public", Name: "large", Identity: penstock.IdentityKey, Key: []int{0},
		Columns: []penstock.Column{{ID: 1, Name: "id", Type: penstock.Type{Kind: penstock.TypeInt64}}}}
	if err := d.Ensure(t.Context(), shape); err != nil {
		t.Fatal(err)
	}
	for from := 0; from < rows; from += 1_000_000 {
		c, err := d.Chunk(t.Context(), "1")
		if err != nil {
			t.Fatal(err)
		}
		some := penstock.NewRows(shape)
		for i := range 1_000_000 {
			some.Vectors[0].AppendInt64(int64(from + i))
		}
		if err := errors.Join(c.Append(t.Context(), some, nil), c.Commit(t.Context(), penstock.Chunk{Token: fmt.Sprint(from)})); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(d.Loaded(t.Context(), map[penstock.TableID]penstock.Snapshot{"1": "s"}),
		d.Apply(t.Context(), "", &penstock.Batch{Next: "0", Swap: []penstock.TableID{"1"}})); err != nil {
		t.Fatal(err)
	}
	remove := func(n, stride int) error {
		tb := penstock.TableBatch{Table: shape, Rows: penstock.NewRows(shape)}
		for i := range n {
			tb.Rows.Vectors[0].AppendInt64(int64(rows - 1 - i*stride))
			tb.Remove = append(tb.Remove, int32(i))
		}
		return d.Apply(t.Context(), "0", &penstock.Batch{Next: "0", Tables: []penstock.TableBatch{tb}})
	}
	count := func(want int) {
		t.Helper()
		got, err := d.writer.texts(t.Context(), "SELECT count(*)::VARCHAR FROM "+d.table(d.entries["1"].Readable))
		if err != nil || got[0][0] != fmt.Sprint(want) {
			t.Fatalf("%v rows, %v; want %d", got, err, want)
		}
	}
	anew := func() {
		t.Helper()
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		d = open()
	}

	// A batch that is too large for the memory says nothing of the table.
	err := remove(10_000, 1000)
	if tooLarge := new(penstock.TooLarge); penstock.KindOf(err) != penstock.KindFull || errors.As(err, &tooLarge) {
		t.Fatalf("many rows all over: %v", err)
	}
	anew()
	if err := remove(100, 1000); err != nil {
		t.Fatalf("some of those: %v", err)
	}
	count(rows - 100)

	// One that is small does; somebody reads at that moment.
	reader, err := d.connection()
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.execAll(t.Context(), "BEGIN TRANSACTION READ ONLY", "SELECT max(id) FROM "+d.table(d.entries["1"].Readable)); err != nil {
		t.Fatal(err)
	}
	err = remove(4_000, 2500)
	tooLarge := new(penstock.TooLarge)
	if !errors.As(err, &tooLarge) || tooLarge.Table.ID != "1" || tooLarge.Rows < rows/2 || tooLarge.Needs < 2*minMemory {
		t.Fatalf("some rows all over: %v (%+v)", err, tooLarge)
	}
	t.Log(err)
	anew()
	count(rows - 100)
	if err := remove(100, 2500*3); err != nil { // one of them is gone already, as others may be
		t.Fatalf("some of those: %v", err)
	}
}
