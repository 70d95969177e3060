package vector

import (
	"fmt"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"penstock"
)

var arrowTypes = [columns]arrow.DataType{
	arrow.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64,
	&arrow.TimestampType{Unit: arrow.Microsecond}, arrow.FixedWidthTypes.Boolean,
	arrow.BinaryTypes.String, arrow.BinaryTypes.String, arrow.BinaryTypes.String,
}

// TestSameValues makes sure that all forms hold the same, so that the
// benchmarks compare the same work.
func TestSameValues(t *testing.T) {
	t.Parallel()
	const n = 1000
	b := wire(n)
	vectors := penstock.NewRows(table)
	fillVectors(vectors, b)
	rows := fillRows(nil, b)

	build := newBuilders(memory.NewGoAllocator())
	build.reserve(n, 40*n)
	fillArrow(build, b)
	arrays := build.arrays()
	fillArrowGrowing(build, b)
	grown := build.arrays()

	for c := range columns {
		converted := toArrow(&vectors.Vectors[c], arrowTypes[c])
		if converted.Len() != n || converted.NullN() != vectors.Vectors[c].Nulls() {
			t.Fatalf("column %d: %d values, %d nulls", c, converted.Len(), converted.NullN())
		}
		for i := range n {
			for form, a := range map[string]arrow.Array{"vector": converted, "arrow": arrays[c], "growing": grown[c]} {
				if got, want := text(a, i), fmt.Sprint(rows[i][c]); got != want {
					t.Fatalf("column %d, row %d as %s: %s, want %s", c, i, form, got, want)
				}
			}
		}
	}

	var flats [3][columns]flat
	for i := range flats {
		flats[i] = newFlat(n)
	}
	copyVectors(&flats[0], vectors)
	copyArrays(&flats[1], &arrays)
	copyRows(&flats[2], rows)
	for c := range columns {
		for i := range n {
			if rows[i][c] == nil || flats[0][c].offsets == nil {
				continue
			}
			for f := range flats {
				x := &flats[f][c]
				if got := string(x.data[x.offsets[i]:x.offsets[i+1]]); got != rows[i][c] {
					t.Fatalf("form %d, column %d, row %d: %q, want %q", f, c, i, got, rows[i][c])
				}
			}
		}
	}
}

// text returns a value of an array as fmt prints it in the form of fillRows.
func text(a arrow.Array, i int) string {
	if a.IsNull(i) {
		return "<nil>"
	}
	if ts, ok := a.(*array.Timestamp); ok {
		return time.UnixMicro(int64(ts.Value(i))).String()
	}
	return a.ValueStr(i)
}

// sizes are batches of a quiet table and of a load.
var sizes = []int{100, 16384}

func perRow(b *testing.B, rows int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkFill(b *testing.B) {
	for _, n := range sizes {
		w := wire(n)
		b.Run(fmt.Sprintf("rows=%d/form=none", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				parseOnly(w)
			}
			perRow(b, n)
		})
		b.Run(fmt.Sprintf("rows=%d/form=vector", n), func(b *testing.B) {
			b.ReportAllocs()
			rows := penstock.NewRows(table)
			for b.Loop() {
				rows.Clear()
				fillVectors(rows, w)
			}
			perRow(b, n)
		})
		b.Run(fmt.Sprintf("rows=%d/form=arrow-reserved", n), func(b *testing.B) {
			b.ReportAllocs()
			build := newBuilders(memory.NewGoAllocator())
			for b.Loop() {
				build.reserve(n, 40*n)
				fillArrow(build, w)
				for _, a := range build.arrays() {
					a.Release()
				}
			}
			perRow(b, n)
		})
		b.Run(fmt.Sprintf("rows=%d/form=arrow-growing", n), func(b *testing.B) {
			b.ReportAllocs()
			build := newBuilders(memory.NewGoAllocator())
			for b.Loop() {
				fillArrowGrowing(build, w)
				for _, a := range build.arrays() {
					a.Release()
				}
			}
			perRow(b, n)
		})
		b.Run(fmt.Sprintf("rows=%d/form=any", n), func(b *testing.B) {
			b.ReportAllocs()
			var rows [][]any
			for b.Loop() {
				rows = fillRows(rows[:0], w)
			}
			perRow(b, n)
		})
	}
}

func BenchmarkHandOff(b *testing.B) {
	for _, n := range sizes {
		w := wire(n)
		dst := newFlat(n)
		vectors := penstock.NewRows(table)
		fillVectors(vectors, w)
		b.Run(fmt.Sprintf("rows=%d/form=vector", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.SetBytes(int64(copyVectors(&dst, vectors)))
			}
			perRow(b, n)
		})
		b.Run(fmt.Sprintf("rows=%d/form=arrow", n), func(b *testing.B) {
			b.ReportAllocs()
			build := newBuilders(memory.NewGoAllocator())
			fillArrowGrowing(build, w)
			arrays := build.arrays()
			for b.Loop() {
				b.SetBytes(int64(copyArrays(&dst, &arrays)))
			}
			perRow(b, n)
		})
		b.Run(fmt.Sprintf("rows=%d/form=any", n), func(b *testing.B) {
			b.ReportAllocs()
			rows := fillRows(nil, w)
			for b.Loop() {
				b.SetBytes(int64(copyRows(&dst, rows)))
			}
			perRow(b, n)
		})
		b.Run(fmt.Sprintf("rows=%d/form=vector-to-arrow", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for c := range columns {
					toArrow(&vectors.Vectors[c], arrowTypes[c]).Release()
				}
			}
			perRow(b, n)
		})
	}
}
