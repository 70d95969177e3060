package duckdbtarget

import (
	"fmt"
	"slices"
	"testing"

	"penstock"
	"penstock/internal/target/targettest"
)

// TestDiverse: where values are known hardly to repeat the engine is not to
// look for a dictionary; the rest is left to it.
func TestDiverse(t *testing.T) {
	t.Parallel()
	w := openWarehouse(t, testConfig(t))
	opened, err := w.Open(t.Context(), penstock.DatabaseSpec{Name: "shop", Integration: "i"})
	if err != nil {
		t.Fatal(err)
	}
	d := opened.(*Destination)
	text := penstock.Type{Kind: penstock.TypeText}
	table := &penstock.Table{ID: "1", Schema: "public", Name: "t", Identity: penstock.IdentityKey, Key: []int{0}, Diverse: []int{0, 1, 2}, Columns: []penstock.Column{
		{ID: 1, Name: "id", Type: penstock.Type{Kind: penstock.TypeInt64}}, {ID: 2, Name: "note", Type: text}, {ID: 3, Name: "status", Type: text}, {ID: 4, Name: "city", Type: text}}}
	if err := d.Ensure(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	rows := penstock.NewRows(table)
	for i := range int64(100_000) {
		rows.Vectors[0].AppendInt64(i)
		rows.Vectors[1].AppendString(fmt.Sprintf("note %d of many", i*7919%100_003))
		rows.Vectors[2].AppendString(fmt.Sprint("status ", i%5))
		rows.Vectors[3].AppendString(fmt.Sprint("city ", i%5))
	}
	if err := targettest.Append(t.Context(), d, table.ID, rows, nil); err != nil {
		t.Fatal(err)
	}
	if err := d.Loaded(t.Context(), map[penstock.TableID]penstock.Snapshot{table.ID: "s"}); err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(t.Context(), "", &penstock.Batch{Next: "1", Swap: []penstock.TableID{table.ID}}); err != nil {
		t.Fatal(err)
	}
	c, db, err := w.reader(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	stored := func() []string {
		t.Helper()
		if err := c.exec(t.Context(), "CHECKPOINT "+ident(db.alias)); err != nil {
			t.Fatal(err)
		}
		found, err := c.texts(t.Context(), "SELECT DISTINCT column_name || ' ' || compression FROM pragma_storage_info('"+db.alias+".public.t') WHERE segment_type = 'VARCHAR' ORDER BY 1")
		if err != nil {
			t.Fatal(err)
		}
		return slices.Concat(found...)
	}
	if got, want := stored(), []string{"city Dictionary", "note FSST", "status FSST"}; !slices.Equal(got, want) {
		t.Errorf("stored as %q, want %q", got, want)
	}
}
