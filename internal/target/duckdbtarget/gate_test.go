package duckdbtarget

import (
	"context"
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"penstock"
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
