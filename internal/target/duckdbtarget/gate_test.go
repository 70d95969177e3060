package duckdbtarget

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"penstock"
	"penstock/internal/target/targettest"
)

// TestMarksTakeRoom: the marks of removed rows count among what a table takes, once
// until the log is moved.
func TestMarksTakeRoom(t *testing.T) {
	t.Parallel()
	g := newGate(minMemory)
	for range 2 {
		g.write("1", 3)
		g.mark("1")
	}
	if want := 3 + markRoom/columnRoom; g.columns != want {
		t.Errorf("a table of three columns of which rows were removed counts as %d, want %d", g.columns, want)
	}
	g.moved(true)
	if g.mark("1"); g.columns != markRoom/columnRoom {
		t.Errorf("once the log was moved its marks count as %d", g.columns)
	}
}

// TestLogBesideLoads: the write-ahead log does not grow with what the stream
// writes while chunks overlap all the time.
func TestLogBesideLoads(t *testing.T) {
	t.Parallel()
	w := openWarehouse(t, testConfig(t))
	opened, err := w.Open(t.Context(), penstock.DatabaseSpec{Name: "shop", Integration: "i"})
	if err != nil {
		t.Fatal(err)
	}
	d := opened.(*Destination)
	const limit = 1 << 20
	d.gate.limit = limit
	streamed := &penstock.Table{ID: "1", Schema: "public", Name: "streamed", Columns: []penstock.Column{{ID: 1, Name: "v", Type: penstock.Type{Kind: penstock.TypeInt64}}}}
	loaded := *streamed
	loaded.ID, loaded.Name = "2", "loaded"
	rows := penstock.NewRows(streamed)
	var put []int32
	for i := range 10_000 {
		rows.Vectors[0].AppendInt64(int64(i) * 1_000_003)
		put = append(put, int32(i))
	}
	for _, err := range []error{d.Ensure(t.Context(), streamed), d.Loaded(t.Context(), map[penstock.TableID]penstock.Snapshot{"1": "s"}),
		d.Apply(t.Context(), "", &penstock.Batch{Next: "0", Swap: []penstock.TableID{"1"}}), d.Ensure(t.Context(), &loaded)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	const batches = 150 // of 80 kB
	ctx, stop := context.WithCancel(t.Context())
	g, ctx := errgroup.WithContext(ctx)
	for n := range 3 {
		g.Go(func() error {
			for i := 0; ctx.Err() == nil; i++ {
				c, err := d.Chunk(ctx, "2")
				if err == nil {
					err = c.Append(ctx, rows, nil)
				}
				if err == nil {
					err = c.Commit(ctx, penstock.Chunk{Token: fmt.Sprint(n, " ", i)})
				}
				if c != nil {
					c.Close()
				}
				if err != nil && ctx.Err() == nil {
					return err
				}
			}
			return nil
		})
	}
	largest := int64(0)
	for i := range batches {
		err := d.Apply(t.Context(), penstock.Position(fmt.Sprint(i)), &penstock.Batch{Next: penstock.Position(fmt.Sprint(i + 1)),
			Tables: []penstock.TableBatch{{Table: streamed, Rows: rows, Put: put}}})
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, d.logSize())
	}
	stop()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if largest > 5*limit {
		t.Errorf("the log has grown to %d KiB", largest>>10)
	}
	if d.gate.open != 0 {
		t.Errorf("%d chunks are still open", d.gate.open)
	}
}

// TestLogIsMoved: between two batches the log is moved into the file once it is full, long
// before the engine would by itself.
func TestLogIsMoved(t *testing.T) {
	t.Parallel()
	a := newApplied(t, 1000)
	d := a.d.(*Destination)
	written, largest := int64(0), int64(0)
	for i := range 15 {
		tb := penstock.TableBatch{Table: a.shape, Rows: penstock.NewRows(a.shape)}
		for row := range int32(50_000) {
			benchRow(tb.Rows, a.next, a.r)
			tb.Put = append(tb.Put, row)
			a.next++
		}
		before := d.logSize()
		if err := a.d.Apply(t.Context(), penstock.Position(fmt.Sprint(i)), &penstock.Batch{Next: penstock.Position(fmt.Sprint(i + 1)), Tables: []penstock.TableBatch{tb}}); err != nil {
			t.Fatal(err)
		}
		size := d.logSize()
		written, largest = written+max(size-before, 0), max(largest, size)
	}
	if written < fullLog || largest >= fullLog {
		t.Errorf("the log had %d MiB at the most, of at least %d that were written", largest>>20, written>>20)
	}
}

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
		some := penstock.NewRows(shape)
		for r := range rows {
			some.Vectors[0].AppendInt64(int64(i*rows + r))
		}
		if err := targettest.Append(t.Context(), d, "1", some, nil); err != nil {
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
