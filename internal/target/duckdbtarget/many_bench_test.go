package duckdbtarget

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"penstock"
)

// BenchmarkApplyMany applies batches of a hundred changes in each of many tables
// of a thousand rows, in turn, with the engine's memory at the default configuration.
func BenchmarkApplyMany(b *testing.B) {
	const all, rowsEach, changes = 1000, 1000, 100
	for _, block := range []int64{largestBlock, 64 << 10} {
		for _, tables := range []int{50, 200, 1000} {
			b.Run(fmt.Sprintf("block=%dKiB/tables=%d", block>>10, tables), func(b *testing.B) {
				dir, ctx := b.TempDir(), context.Background()
				w, err := Open(ctx, Config{Dir: filepath.Join(dir, "warehouse"), SpillDir: filepath.Join(dir, "spill"), Memory: 256 << 20, Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					b.Fatal(err)
				}
				defer w.Close()
				spec := penstock.DatabaseSpec{Name: "bench", Integration: "i"}
				opened, err := w.Open(ctx, spec)
				if err != nil {
					b.Fatal(err)
				}
				if block < largestBlock {
					opened.(*Destination).db.relaying.block = block
					opened.Close()
					if opened, err = w.Open(ctx, spec); err != nil {
						b.Fatal(err)
					}
				}
				d, r := opened.(*Destination), rand.New(rand.NewPCG(1, 2))
				shapes := make([]*penstock.Table, all)
				joins := map[penstock.TableID]penstock.Snapshot{}
				var ids []penstock.TableID
				for i := range shapes {
					s := *benchShape()
					s.ID, s.Name = penstock.TableID(fmt.Sprint(i)), fmt.Sprintf("t%04d", i)
					shapes[i], joins[s.ID], ids = &s, "s", append(ids, s.ID)
				}
				if err := d.Ensure(ctx, shapes...); err != nil {
					b.Fatal(err)
				}
				for _, s := range shapes {
					rows := penstock.NewRows(s)
					for id := range rowsEach {
						benchRow(rows, int64(id), r)
					}
					c, err := d.Chunk(ctx, s.ID)
					if err == nil {
						err = c.Append(ctx, rows, nil)
					}
					if err == nil {
						err = c.Commit(ctx, penstock.Chunk{Token: "1"})
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				if err := d.Loaded(ctx, joins); err != nil {
					b.Fatal(err)
				}
				if err := d.Apply(ctx, "", &penstock.Batch{Next: "0", Swap: ids}); err != nil {
					b.Fatal(err)
				}
				at, next := penstock.Position("0"), 0
				b.ResetTimer()
				cpu, n := cpuSeconds(), int64(0)
				for i := range b.N {
					batch := &penstock.Batch{Next: penstock.Position(fmt.Sprint(i + 1))}
					for range tables {
						s := shapes[next%all]
						next++
						rows := penstock.NewRows(s)
						tb := penstock.TableBatch{Table: s, Rows: rows}
						for k := range changes {
							benchRow(rows, r.Int64N(rowsEach), r)
							tb.Remove, tb.Put = append(tb.Remove, int32(k)), append(tb.Put, int32(k))
						}
						batch.Tables = append(batch.Tables, tb)
						n += changes
					}
					if err := d.Apply(ctx, at, batch); err != nil {
						b.Fatal(err)
					}
					at = batch.Next
				}
				report(b, n, cpuSeconds()-cpu)
			})
		}
	}
}
