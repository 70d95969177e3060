package duckdbtarget

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"penstock"
)

// BenchmarkRemove removes rows that are spread over all of a table, by its key. What
// that costs for each row removed is mostly to look at the keys of all others.
func BenchmarkRemove(b *testing.B) {
	const size, n = 10_000_000, 100_000
	ctx := context.Background()
	for _, bc := range []struct {
		name  string
		types []penstock.TypeKind // of the key
	}{
		{"int", []penstock.TypeKind{penstock.TypeInt64}}, {"text", []penstock.TypeKind{penstock.TypeText}},
		{"uuid", []penstock.TypeKind{penstock.TypeUUID}}, {"int,int", []penstock.TypeKind{penstock.TypeInt32, penstock.TypeInt64}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			_, d := benchDestination(b)
			shape := &penstock.Table{ID: "1", Schema: "public", Name: "bench", Identity: penstock.IdentityKey}
			for i, kind := range append(bc.types, penstock.TypeInt32) {
				if i < len(bc.types) {
					shape.Key = append(shape.Key, i)
				}
				shape.Columns = append(shape.Columns, penstock.Column{ID: penstock.ColumnID(i), Name: fmt.Sprintf("c%d", i), Type: penstock.Type{Kind: kind}})
			}
			benchTable(b, d, shape, size, keyRow)
			r := rand.New(rand.NewPCG(1, 2))
			at, cpu := 0, 0.0
			b.ResetTimer()
			for b.Loop() {
				b.StopTimer()
				tb := penstock.TableBatch{Table: shape, Rows: penstock.NewRows(shape)}
				keys := make([]int64, n)
				for i := range keys {
					keys[i] = r.Int64N(size)
				}
				slices.Sort(keys)
				keys = slices.Compact(keys)
				r.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
				for i, k := range keys {
					keyRow(tb.Rows, k)
					tb.Remove = append(tb.Remove, int32(i))
				}
				before := cpuSeconds()
				b.StartTimer()
				err := d.Apply(ctx, penstock.Position(fmt.Sprint(at)), &penstock.Batch{Next: penstock.Position(fmt.Sprint(at + 1)), Tables: []penstock.TableBatch{tb}})
				if err != nil {
					b.Fatal(err)
				}
				cpu += cpuSeconds() - before
				at++
			}
			b.ReportMetric(cpu*1e9/float64(b.N)/size, "cpu-ns/row-looked-at")
		})
	}
}

// keyRow appends a row whose key, of whatever types, says n.
func keyRow(rows *penstock.Rows, n int64) {
	for c := range rows.Vectors {
		switch v := &rows.Vectors[c]; v.Type().Kind {
		case penstock.TypeInt32:
			v.AppendInt32(int32(n % 1000))
		case penstock.TypeInt64:
			v.AppendInt64(n)
		case penstock.TypeText:
			v.AppendWith(func(b []byte) []byte { return fmt.Appendf(b, "customer-%09d", n) })
		case penstock.TypeUUID:
			var id [16]byte
			binary.BigEndian.PutUint64(id[:], uint64(n)*0x9e3779b97f4a7c15)
			binary.BigEndian.PutUint64(id[8:], uint64(n))
			v.AppendUUID(id)
		}
	}
}

// BenchmarkPatch updates rows that are spread over all of a table of documents and
// leaves the documents unchanged: they have to be fetched, and those of other rows have
// not.
func BenchmarkPatch(b *testing.B) {
	const size, document = 200_000, 3000
	ctx := context.Background()
	for _, n := range []int{20, 200, 2000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			_, d := benchDestination(b)
			shape := &penstock.Table{ID: "1", Schema: "public", Name: "bench", Identity: penstock.IdentityKey, Key: []int{0}}
			for i, kind := range []penstock.TypeKind{penstock.TypeInt64, penstock.TypeInt32, penstock.TypeText} {
				shape.Columns = append(shape.Columns, penstock.Column{ID: penstock.ColumnID(i), Name: fmt.Sprintf("c%d", i), Type: penstock.Type{Kind: kind}})
			}
			r := rand.New(rand.NewPCG(1, 2))
			text := make([]byte, document)
			benchTable(b, d, shape, size, func(rows *penstock.Rows, n int64) {
				for i := range text {
					text[i] = 'a' + byte(r.Int32N(26))
				}
				rows.Vectors[0].AppendInt64(n)
				rows.Vectors[1].AppendInt32(0)
				rows.Vectors[2].AppendWith(func(b []byte) []byte { return append(b, text...) })
			})
			at, cpu := 0, 0.0
			b.ResetTimer()
			for b.Loop() {
				b.StopTimer()
				tb := penstock.TableBatch{Table: shape, Rows: penstock.NewRows(shape)}
				for i, k := range r.Perm(size)[:n] {
					tb.Rows.Vectors[0].AppendInt64(int64(k))
					tb.Rows.Vectors[1].AppendInt32(int32(at))
					tb.Rows.Vectors[2].AppendUnchanged()
					tb.Remove, tb.Put, tb.Base = append(tb.Remove, int32(i)), append(tb.Put, int32(i)), append(tb.Base, int32(i))
				}
				before := cpuSeconds()
				b.StartTimer()
				err := d.Apply(ctx, penstock.Position(fmt.Sprint(at)), &penstock.Batch{Next: penstock.Position(fmt.Sprint(at + 1)), Tables: []penstock.TableBatch{tb}})
				if err != nil {
					b.Fatal(err)
				}
				cpu += cpuSeconds() - before
				at++
			}
			b.ReportMetric(cpu*1e3/float64(b.N), "cpu-ms/batch")
		})
	}
}
