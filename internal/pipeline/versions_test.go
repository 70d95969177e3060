package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"penstock"
	"penstock/internal/target/duckdbtarget"
	"penstock/internal/target/memtarget"
	"penstock/internal/target/targettest"
)

// reading is a target with a way to read what readers see of table t.
type reading struct {
	penstock.Target
	read func(t *rapid.T, database string) *penstock.Rows
}

func readingMemory(*testing.T) reading {
	target := memtarget.New()
	return reading{target, func(t *rapid.T, database string) *penstock.Rows {
		_, rows, readable := target.Read(database, "public", "t")
		if !readable {
			t.Fatal("the table is not readable")
		}
		return rows
	}}
}

func readingDuckDB(t *testing.T) reading {
	dir := t.TempDir()
	w, err := duckdbtarget.Open(t.Context(), duckdbtarget.Config{Dir: filepath.Join(dir, "warehouse"), SpillDir: filepath.Join(dir, "spill"), Memory: 256 << 20, Threads: 1, Logger: slog.New(slog.DiscardHandler)})
	ok(t, err)
	t.Cleanup(func() { w.Close() })
	return reading{w, func(t *rapid.T, database string) *penstock.Rows {
		session, err := w.Connect(context.Background(), database)
		ok(t, err)
		defer session.Close()
		st, err := session.Prepare(context.Background(), "SELECT * FROM t")
		ok(t, err)
		defer st.Close()
		res, err := st.Query(context.Background(), nil)
		ok(t, err)
		defer res.Close()
		all := &penstock.Rows{}
		for _, c := range st.Columns() {
			all.Vectors = append(all.Vectors, penstock.NewVector(c.Type))
		}
		for {
			rows, err := res.Next(context.Background())
			ok(t, err)
			if rows == nil {
				return all
			}
			for c := range all.Vectors {
				for i := range rows.Len() {
					all.Vectors[c].AppendFrom(&rows.Vectors[c], i)
				}
			}
		}
	}}
}

// TestVersionsFold holds history mode to what it is for: of a table that is
// changed at random, the versions that hold at a time are the rows that the
// source had then, for every transaction.
func TestVersionsFold(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) reading{"memory": readingMemory, "duckdb": readingDuckDB} {
		for _, shape := range []*penstock.Table{
			shapeOf(penstock.IdentityKey, 0),
			shapeOf(penstock.IdentityKey, 2, 0),
			shapeOf(penstock.IdentityFull),
			shapeOf(penstock.IdentityNone),
		} {
			t.Run(fmt.Sprintf("%s %d %v", name, shape.Identity, shape.Key), func(t *testing.T) {
				t.Parallel()
				target, n := open(t), 0
				rapid.Check(t, func(t *rapid.T) {
					n++
					fold(t, target, fmt.Sprint("d", n), shape)
				})
			})
		}
	}
}

// moment is what a table held from a time on.
type moment struct {
	since int64
	rows  []string
}

func fold(t *rapid.T, target reading, database string, shape *penstock.Table) {
	dest, err := target.Open(context.Background(), penstock.DatabaseSpec{Name: database, Integration: "i"})
	ok(t, err)
	defer func() {
		ok(t, dest.Close())
		ok(t, target.Drop(context.Background(), database))
	}()
	at := penstock.Position("")
	clock := time.UnixMicro(1_000_000).UTC()
	apply := func(b *penstock.Batch) {
		ok(t, dest.Apply(context.Background(), at, b))
		if !b.Partial {
			at = b.Next
		}
	}
	src := &sourceTable{shape: shape}
	var moments []moment
	happened := func() {
		want := penstock.NewRows(shape)
		for _, r := range src.rows {
			r.appendTo(want, nil)
		}
		m := moment{clock.UnixMicro(), contentOf(want)}
		if n := len(moments); n > 0 && moments[n-1].since == m.since {
			moments = moments[:n-1]
		}
		moments = append(moments, m)
	}
	load := func(next penstock.Position, switches ...penstock.Switch) {
		ok(t, dest.Ensure(context.Background(), shape))
		loaded := penstock.NewRows(shape)
		for _, r := range src.rows {
			r.appendTo(loaded, nil)
		}
		ok(t, targettest.Append(context.Background(), dest, shape.ID, loaded, nil))
		ok(t, dest.Loaded(context.Background(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s"}))
		clock = clock.Add(time.Microsecond)
		apply(&penstock.Batch{Next: next, At: clock, Swap: []penstock.TableID{shape.ID}, Switch: switches})
		happened()
	}
	for range rapid.IntRange(0, 5).Draw(t, "rows before") {
		if r := src.fresh(t); r != nil {
			src.rows = append(src.rows, r)
		}
	}
	load("0", penstock.Switch{Table: shape.ID, History: true})

	compact := newCompactor()
	changes := penstock.Changes{Versioned: map[penstock.TableID]bool{shape.ID: true}}
	for b := range rapid.IntRange(1, 4).Draw(t, "batches") {
		if rapid.IntRange(0, 5).Draw(t, "reload") == 0 { // after changes that nobody has seen
			src.change(t, &penstock.Changes{})
			load(penstock.Position(fmt.Sprint("l", b)))
		}
		floor := clock
		parts := rapid.IntRange(1, 3).Draw(t, "parts")
		for part := range parts {
			changes.Reset()
			for range rapid.IntRange(0, 5).Draw(t, "transactions") {
				// The source's clock may stand still, or go back; and the part
				// before may have ended inside the transaction.
				if part == 0 || rapid.Bool().Draw(t, "another") {
					if to := clock.Add(time.Duration(rapid.IntRange(-2, 3).Draw(t, "step")) * time.Microsecond); to.After(clock) {
						clock = to
					}
				}
				changes.Begin(clock)
				for range rapid.IntRange(0, 5).Draw(t, "changes") {
					src.change(t, &changes)
				}
				happened()
			}
			batch := &penstock.Batch{Next: penstock.Position(fmt.Sprint(b + 1)), CommitTime: clock, Partial: part < parts-1}
			limit := rapid.IntRange(0, 5).Draw(t, "limit")
			for _, tc := range changes.Tables {
				rows := tc.Rows.Len()
				for first := 0; ; {
					tb, end := compact.versions(tc, first, floor, limit)
					wellFormed(t, &tb)
					if end == len(tc.Ops) {
						batch.Tables = append(batch.Tables, tb)
						break
					}
					apply(&penstock.Batch{Partial: true, Tables: []penstock.TableBatch{tb}})
					tc.Rows.Truncate(rows)
					first = end
				}
			}
			apply(batch)
		}
	}
	got := target.read(t, database)
	n := len(shape.Columns)
	for i := range got.Len() {
		active, ended := got.Vectors[n].Bool(i), !got.Vectors[n+2].IsNull(i)
		if active == ended || ended && got.Vectors[n+2].Int64(i) <= got.Vectors[n+1].Int64(i) {
			t.Fatalf("a version is active: %v, and ended: %v, or it lasted no time", active, ended)
		}
	}
	for _, m := range moments {
		there := penstock.NewRows(shape)
		for i := range got.Len() {
			if got.Vectors[n+1].Int64(i) <= m.since && (got.Vectors[n+2].IsNull(i) || got.Vectors[n+2].Int64(i) > m.since) {
				for c := range there.Vectors {
					there.Vectors[c].AppendFrom(&got.Vectors[c], i)
				}
			}
		}
		if rows := contentOf(there); !slices.Equal(rows, m.rows) {
			t.Fatalf("at %d the source had\n%q, the versions of that time are\n%q of\n%s", m.since, m.rows, rows, strings.Join(contentOf(got), "\n"))
		}
	}
	state, err := dest.State(context.Background())
	ok(t, err)
	if !state.Time.Equal(clock) || len(state.Tables) != 1 || !state.Tables[0].History {
		t.Fatalf("the clock is at %v, the destination's state is %+v", clock, state)
	}
}

// TestVersionsOfLargeRow: every version has the large value that updates have
// left as it was, but not at once (promise 7).
func TestVersionsOfLargeRow(t *testing.T) {
	t.Parallel()
	shape := shapeOf(penstock.IdentityKey, 0)
	c := penstock.Changes{Versioned: map[penstock.TableID]bool{shape.ID: true}}
	large := strings.Repeat("x", 1<<20)
	for i := range 100 {
		c.Begin(time.UnixMicro(int64(i)))
		tc := c.Table(shape)
		if i == 0 {
			cells{"1", large, large, "0"}.appendTo(&tc.Rows, nil)
			tc.Ops = append(tc.Ops, penstock.OpInsert)
			continue
		}
		cells{"1", "", "", string(rune('a' + i%20))}.appendTo(&tc.Rows, func(c int) bool { return c == 1 || c == 2 })
		tc.Ops = append(tc.Ops, penstock.OpUpdate)
	}
	tc, versions, parts := c.Tables[0], 0, 0
	for first := 0; first < len(tc.Ops); parts++ {
		var b penstock.TableBatch
		b, first = newCompactor().versions(tc, first, time.Time{}, 8<<20)
		if size := b.Rows.Size(); size > 20<<20 {
			t.Fatalf("2 MiB of values have become %d MiB", size>>20)
		}
		versions += len(b.Put) + len(b.Versions.Past)
		tc.Rows.Truncate(len(tc.Ops))
	}
	if versions != 100 || parts < 2 {
		t.Errorf("%d versions in %d parts", versions, parts)
	}
}
