package duckdbtarget

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"

	"penstock"
	"penstock/internal/target/targettest"
)

// benchShape has eight columns of the kinds that tables have most.
func benchShape() *penstock.Table {
	shape := &penstock.Table{ID: "1", Schema: "public", Name: "bench", Identity: penstock.IdentityKey, Key: []int{0}}
	for i, t := range []penstock.Type{
		{Kind: penstock.TypeInt64}, {Kind: penstock.TypeInt32}, {Kind: penstock.TypeInt32}, {Kind: penstock.TypeDecimal, Precision: 12, Scale: 2},
		{Kind: penstock.TypeText}, {Kind: penstock.TypeText}, {Kind: penstock.TypeTimestampTZ}, {Kind: penstock.TypeBool},
	} {
		shape.Columns = append(shape.Columns, penstock.Column{ID: penstock.ColumnID(i), Name: fmt.Sprintf("c%d", i), Type: t})
	}
	return shape
}

func benchRow(rows *penstock.Rows, id int64, r *rand.Rand) {
	v := rows.Vectors
	v[0].AppendInt64(id)
	v[1].AppendInt32(r.Int32())
	if id%10 == 0 {
		v[2].AppendNull()
	} else {
		v[2].AppendInt32(int32(id % 1000))
	}
	v[3].AppendInt64(r.Int64N(1e12))
	v[4].AppendWith(func(b []byte) []byte { return fmt.Appendf(b, "name %d", id) })
	v[5].AppendWith(func(b []byte) []byte { return fmt.Appendf(b, "a note of some forty bytes on row %08d", r.Int32N(1e8)) })
	v[6].AppendInt64(1_700_000_000_000_000 + id)
	v[7].AppendBool(id%3 == 0)
}

func benchDestination(b *testing.B) (*Warehouse, penstock.Destination) {
	dir := b.TempDir()
	w, err := Open(b.Context(), Config{Dir: filepath.Join(dir, "warehouse"), SpillDir: filepath.Join(dir, "spill"), Memory: 2 << 30, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { w.Close() })
	d, err := w.Open(b.Context(), penstock.DatabaseSpec{Name: "bench", Integration: "i"})
	if err != nil {
		b.Fatal(err)
	}
	return w, d
}

// benchTable makes a readable table of so many rows, the position being "0" then.
func benchTable(b *testing.B, d penstock.Destination, shape *penstock.Table, size int, row func(rows *penstock.Rows, n int64)) {
	b.Helper()
	if err := d.Ensure(b.Context(), shape); err != nil {
		b.Fatal(err)
	}
	const each = 100_000
	rows := penstock.NewRows(shape)
	for from := 0; from < size; from += each {
		rows.Clear()
		for i := range each {
			row(rows, int64(from+i))
		}
		if err := targettest.Append(b.Context(), d, shape.ID, rows, nil); err != nil {
			b.Fatal(err)
		}
	}
	if err := d.Loaded(b.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s"}); err != nil {
		b.Fatal(err)
	}
	if err := d.Apply(b.Context(), "", &penstock.Batch{Next: "0", Swap: []penstock.TableID{shape.ID}}); err != nil {
		b.Fatal(err)
	}
}

// cpuSeconds returns the processor time that this process has used.
func cpuSeconds() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// report adds rows per second of wall clock and of processor time.
func report(b *testing.B, rows int64, cpu float64) {
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(rows)/cpu, "rows/cpu-s")
}

func BenchmarkAppend(b *testing.B) {
	for _, bc := range []struct {
		rows    int
		diverse []int
	}{{2048, nil}, {50_000, nil}, {50_000, []int{4, 5}}} {
		n := bc.rows
		b.Run(fmt.Sprint(n, "/diverse=", len(bc.diverse)), func(b *testing.B) {
			_, d := benchDestination(b)
			shape := benchShape()
			shape.Diverse = bc.diverse
			rows, r := penstock.NewRows(shape), rand.New(rand.NewPCG(1, 2))
			for i := range n {
				benchRow(rows, int64(i), r)
			}
			if err := d.Ensure(b.Context(), shape); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			cpu := cpuSeconds()
			b.ResetTimer()
			for b.Loop() {
				if err := targettest.Append(b.Context(), d, shape.ID, rows, nil); err != nil {
					b.Fatal(err)
				}
			}
			report(b, int64(b.N*n), cpuSeconds()-cpu)
		})
	}
}

// BenchmarkApply applies mixed changes with uniform keys to a table of a
// million rows: 40 % inserts, 50 % updates, 10 % deletes.
func BenchmarkApply(b *testing.B) {
	const size = 1_000_000
	ctx := context.Background()
	for _, n := range []int{1, 1000, 10_000, 100_000} {
		for _, patched := range []bool{false, true} {
			name := fmt.Sprint(n)
			if patched {
				name += "-patched" // every tenth update leaves a value unchanged
			}
			b.Run(name, func(b *testing.B) {
				_, d := benchDestination(b)
				shape := benchShape()
				r := rand.New(rand.NewPCG(1, 2))
				benchTable(b, d, shape, size, func(rows *penstock.Rows, n int64) { benchRow(rows, n, r) })
				next, batch := int64(size), 0
				b.ReportAllocs()
				cpu := 0.0
				b.ResetTimer()
				for b.Loop() {
					b.StopTimer()
					tb := benchBatch(shape, n, &next, size, r, patched)
					before := cpuSeconds()
					b.StartTimer()
					err := d.Apply(ctx, penstock.Position(fmt.Sprint(batch)), &penstock.Batch{Next: penstock.Position(fmt.Sprint(batch + 1)), Tables: []penstock.TableBatch{tb}})
					if err != nil {
						b.Fatal(err)
					}
					cpu += cpuSeconds() - before
					batch++
				}
				report(b, int64(b.N*n), cpu)
			})
		}
	}
}

// applied is a table to apply batches of benchBatch to.
type applied struct {
	d     penstock.Destination
	shape *penstock.Table
	size  int
	next  int64
	at    int
	r     *rand.Rand
}

func newApplied(t *testing.T, size int) *applied {
	t.Helper()
	ctx := t.Context()
	w := openWarehouse(t, Config{Dir: filepath.Join(t.TempDir(), "warehouse")})
	d, err := w.Open(ctx, penstock.DatabaseSpec{Name: "bench", Integration: "i"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	a := &applied{d: d, shape: benchShape(), size: size, next: int64(size), r: rand.New(rand.NewPCG(1, 2))}
	rows := penstock.NewRows(a.shape)
	for i := range size {
		benchRow(rows, int64(i), a.r)
	}
	for _, err := range []error{
		d.Ensure(ctx, a.shape), targettest.Append(ctx, d, a.shape.ID, rows, nil), d.Loaded(ctx, map[penstock.TableID]penstock.Snapshot{a.shape.ID: "s"}),
		d.Apply(ctx, "", &penstock.Batch{Next: "0", Swap: []penstock.TableID{a.shape.ID}}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func (a *applied) batch(n int) penstock.TableBatch {
	return benchBatch(a.shape, n, &a.next, a.size, a.r, false)
}

func (a *applied) apply(t *testing.T, tb penstock.TableBatch) {
	err := a.d.Apply(t.Context(), penstock.Position(fmt.Sprint(a.at)), &penstock.Batch{Next: penstock.Position(fmt.Sprint(a.at + 1)), Tables: []penstock.TableBatch{tb}})
	if err != nil {
		t.Fatal(err)
	}
	a.at++
}

// TestApplyingAllocates: what applying a batch allocates on our side is little
// for each chunk of the engine, and nothing for a row.
func TestApplyingAllocates(t *testing.T) { // alone, since others' allocations count as well
	a := newApplied(t, 40_000)
	allocations := func(n int) float64 {
		tb := a.batch(n)
		return testing.AllocsPerRun(3, func() { a.apply(t, tb) })
	}
	few, many := allocations(100), allocations(20_000)
	if perRow := (many - few) / 19_900; perRow > 0.02 {
		t.Errorf("%v allocations for 100 rows, %v for 20,000: %.3f for each more", few, many, perRow)
	}
}

// TestApplyingCost: a change costs no more in a large batch than in a small one. The
// least of several runs, taking turns, counts.
func TestApplyingCost(t *testing.T) { // alone, since it takes time
	a := newApplied(t, 100_000)
	const few, many = 2500, 20_000
	least := map[int]float64{}
	for range 5 {
		for _, n := range []int{few, many} {
			tb := a.batch(n)
			before := cpuSeconds()
			a.apply(t, tb)
			if took := (cpuSeconds() - before) / float64(n); least[n] == 0 || took < least[n] {
				least[n] = took
			}
		}
	}
	if ratio := least[many] / least[few]; ratio > 1.5 {
		t.Errorf("a change of %d costs %.1f times as much as one of %d", many, ratio, few)
	}
}

func benchBatch(shape *penstock.Table, n int, next *int64, size int, r *rand.Rand, patched bool) penstock.TableBatch {
	tb := penstock.TableBatch{Table: shape, Rows: penstock.NewRows(shape)}
	seen := make(map[int64]bool, n)
	key := func(class int64) int64 { // rows of class 0 are deleted, others updated
		for {
			if k := r.Int64N(int64(size)); !seen[k] && (k%4 == 0) == (class == 0) {
				seen[k] = true
				return k
			}
		}
	}
	for i := range n {
		row := int32(tb.Rows.Len())
		switch {
		case i%10 < 4:
			benchRow(tb.Rows, *next, r)
			*next++
			tb.Put = append(tb.Put, row)
			tb.Base = append(tb.Base, -1)
		case i%10 < 9:
			benchRow(tb.Rows, key(1), r)
			tb.Remove, tb.Put = append(tb.Remove, row), append(tb.Put, row)
			tb.Base = append(tb.Base, -1)
		default:
			benchRow(tb.Rows, key(0), r)
			tb.Remove = append(tb.Remove, row)
		}
	}
	if !patched {
		tb.Base = nil
		return tb
	}
	for i, r := range tb.Put {
		if r%10 == 5 {
			tb.Base[i] = r
		}
	}
	// The same rows once more, with a value unchanged.
	rows := penstock.NewRows(shape)
	for c := range rows.Vectors {
		for i := range tb.Rows.Len() {
			if c == 5 && i%10 == 5 {
				rows.Vectors[c].AppendUnchanged()
			} else {
				rows.Vectors[c].AppendFrom(&tb.Rows.Vectors[c], i)
			}
		}
	}
	tb.Rows = rows
	return tb
}

// BenchmarkQuery measures what a small statement costs a client.
func BenchmarkQuery(b *testing.B) {
	w, _ := clientWarehouse(b)
	s := connect(b, w, "shop")
	b.Run("prepare", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := query(b, s, "SELECT id, note FROM orders WHERE id = 1"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("execute", func(b *testing.B) {
		st, err := s.Prepare(b.Context(), "SELECT id, note FROM orders WHERE id = $1")
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			res, err := st.Query(b.Context(), []*string{ptr("1")})
			if err != nil {
				b.Fatal(err)
			}
			for {
				rows, err := res.Next(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				if rows == nil {
					break
				}
			}
		}
	})
	b.Run("rows", func(b *testing.B) {
		const n = 1_000_000
		cpu := cpuSeconds()
		b.ReportAllocs()
		for b.Loop() {
			st, err := s.Prepare(b.Context(), fmt.Sprintf("SELECT i, i::INTEGER, 'row number ' || i, i::DECIMAL(12,2) FROM range(%d) t(i)", n))
			if err != nil {
				b.Fatal(err)
			}
			res, err := st.Query(b.Context(), nil)
			if err != nil {
				b.Fatal(err)
			}
			for {
				rows, err := res.Next(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				if rows == nil {
					break
				}
			}
		}
		report(b, int64(b.N*n), cpuSeconds()-cpu)
	})
}
