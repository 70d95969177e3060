package duckdbtarget

import (
	"errors"
	"path/filepath"
	"strconv"
	"testing"

	"penstock"
	"penstock/internal/target/targettest"
)

func heavyWarehouse(t *testing.T, dir string) (*Warehouse, penstock.Destination) {
	t.Helper()
	w, err := Open(t.Context(), Config{Dir: filepath.Join(dir, "warehouse"), SpillDir: filepath.Join(dir, "spill"), Memory: minMemory, Configured: 2 * minMemory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	d, err := w.Open(t.Context(), penstock.DatabaseSpec{Name: "heavy", Integration: "i"})
	if err != nil {
		t.Fatal(err)
	}
	return w, d
}

func heavyRows(shape *penstock.Table, size int, ids ...int32) *penstock.Rows {
	rows := penstock.NewRows(shape)
	for _, id := range ids {
		rows.Vectors[0].AppendInt32(id)
		rows.Vectors[1].AppendBytes(make([]byte, size))
	}
	return rows
}

// TestHeavyRows: rows that the engine cannot have in memory at once are refused
// before it breaks by them, with the memory that they need, also if most of
// them were there before the process began. What is gone does not count.
func TestHeavyRows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shape := &penstock.Table{ID: "1", Schema: "public", Name: "docs", Identity: penstock.IdentityKey, Key: []int{0}, Columns: []penstock.Column{
		{ID: 1, Name: "id", Type: penstock.Type{Kind: penstock.TypeInt32}}, {ID: 2, Name: "doc", Type: penstock.Type{Kind: penstock.TypeBytes}}}}
	w, d := heavyWarehouse(t, dir)
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(err error) {
		t.Helper()
		var too *penstock.TooLarge
		if penstock.KindOf(err) != penstock.KindFull || !errors.As(err, &too) {
			t.Fatalf("not refused: %v", err)
		}
		if too.Table.Name != "docs" || too.Bytes <= too.Fits || too.Needs <= 2*minMemory || too.Needs > 4*minMemory {
			t.Errorf("refused with %+v", too)
		}
	}
	ok(d.Ensure(t.Context(), shape))
	for i := range int32(4) {
		ok(targettest.Append(t.Context(), d, shape.ID, heavyRows(shape, 10<<20, i), nil))
	}
	for range 2 { // what was refused and undone does not count
		refused(targettest.Append(t.Context(), d, shape.ID, heavyRows(shape, 12<<20, 4), nil))
	}
	ok(targettest.Append(t.Context(), d, shape.ID, heavyRows(shape, 10<<20, 4), nil))
	ok(d.Loaded(t.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s"}))
	at := penstock.Position("")
	apply := func(put *penstock.Rows, remove ...int32) error {
		next := at + "x"
		tb := penstock.TableBatch{Table: shape, Rows: heavyRows(shape, 0, remove...)}
		for i := range remove {
			tb.Remove = append(tb.Remove, int32(i))
		}
		if put != nil {
			for i := range put.Len() {
				for c := range put.Vectors {
					tb.Rows.Vectors[c].AppendFrom(&put.Vectors[c], i)
				}
				tb.Put = append(tb.Put, int32(len(remove)+i))
			}
		}
		err := d.Apply(t.Context(), at, &penstock.Batch{Next: next, Tables: []penstock.TableBatch{tb}})
		if err == nil {
			at = next
		}
		return err
	}
	ok(d.Apply(t.Context(), at, &penstock.Batch{Next: "x", Swap: []penstock.TableID{shape.ID}}))
	at = "x"
	refused(apply(heavyRows(shape, 10<<20, 5)))

	ok(d.Close())
	ok(w.Close())
	_, d = heavyWarehouse(t, dir)
	refused(apply(heavyRows(shape, 10<<20, 5)))

	ok(apply(nil, 0, 1, 2, 3, 4))
	for range 8 {
		ok(apply(heavyRows(shape, 10<<20, 5), 5)) // each takes the place of the one before
	}
	rows, err := d.(*Destination).writer.texts(t.Context(), "SELECT id::VARCHAR, octet_length(doc)::VARCHAR FROM heavy.public.docs")
	ok(err)
	if len(rows) != 1 || rows[0][0] != "5" || rows[0][1] != strconv.Itoa(10<<20) {
		t.Errorf("the rows are %q", rows)
	}
}

// TestChunkOf: a chunk has no more text than it may, unless it is one row.
func TestChunkOf(t *testing.T) {
	t.Parallel()
	v := penstock.NewVector(penstock.Type{Kind: penstock.TypeBytes})
	for _, size := range []int{1, 1, chunkBytes - 3, 2, chunkBytes + 1, 1} {
		v.AppendBytes(make([]byte, size))
	}
	for _, c := range []struct {
		rows             []int32
		from, rest, size int
	}{{nil, 0, 3, chunkBytes - 1}, {nil, 3, 1, 2}, {nil, 4, 1, chunkBytes + 1}, {nil, 5, 1, 1}, {[]int32{5, 4, 0}, 0, 1, 1}, {[]int32{5, 4, 0}, 1, 1, chunkBytes + 1}, {[]int32{5, 3, 0}, 0, 3, 4}} {
		n := v.Len()
		if c.rows != nil {
			n = len(c.rows)
		}
		if count, size := chunkOf([]source{{vector: &v, rows: c.rows}}, c.from, n); count != c.rest || size != c.size {
			t.Errorf("rows %v from %d: %d rows of %d bytes, want %d of %d", c.rows, c.from, count, size, c.rest, c.size)
		}
	}
}
