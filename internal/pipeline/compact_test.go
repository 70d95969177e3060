package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"penstock"
	"penstock/internal/target/memtarget"
	"penstock/internal/target/targettest"
)

// TestCompactIsEquivalent holds compacted batches to what the changes do one
// by one (promise 1): a source changes a table at random, its changes are
// compacted and applied, and the target must hold what the source holds.
func TestCompactIsEquivalent(t *testing.T) {
	t.Parallel()
	for _, shape := range []*penstock.Table{
		shapeOf(penstock.IdentityKey, 0),
		shapeOf(penstock.IdentityKey, 2, 0), // in an order of its own
		shapeOf(penstock.IdentityFull),
		shapeOf(penstock.IdentityNone),
	} {
		t.Run(fmt.Sprintf("%d %v", shape.Identity, shape.Key), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) { equivalent(t, shape) })
		})
	}
}

func equivalent(t *rapid.T, shape *penstock.Table) {
	target := memtarget.New()
	dest, err := target.Open(t.Context(), penstock.DatabaseSpec{Name: "shop", Integration: "i"})
	ok(t, err)
	at := penstock.Position("")
	apply := func(b *penstock.Batch) {
		ok(t, dest.Apply(t.Context(), at, b))
		if !b.Partial {
			at = b.Next
		}
	}

	src := &sourceTable{shape: shape}
	for range rapid.IntRange(0, 5).Draw(t, "rows before") {
		if r := src.fresh(t); r != nil {
			src.rows = append(src.rows, r)
		}
	}
	ok(t, dest.Ensure(t.Context(), shape))
	loaded := penstock.NewRows(shape)
	for _, r := range src.rows {
		r.appendTo(loaded, nil)
	}
	ok(t, targettest.Append(t.Context(), dest, shape.ID, loaded, nil))
	ok(t, dest.Loaded(t.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s"}))
	apply(&penstock.Batch{Next: "0", Swap: []penstock.TableID{shape.ID}})

	compact := newCompactor()
	var changes penstock.Changes
	for b := range rapid.IntRange(1, 4).Draw(t, "batches") {
		changes.Reset()
		for range rapid.IntRange(0, 12).Draw(t, "changes") {
			src.change(t, &changes)
		}
		batch := &penstock.Batch{Next: penstock.Position(fmt.Sprint(b + 1))}
		for _, tc := range changes.Tables {
			batch.Tables = append(batch.Tables, compact.compact(tc, false))
		}
		// A batch that ends inside a transaction is seen with the next that does not.
		batch.Partial = rapid.Bool().Draw(t, "partial")
		for i := range batch.Tables {
			wellFormed(t, &batch.Tables[i])
		}
		apply(batch)
		if !batch.Partial {
			src.compare(t, target)
		}
	}
	apply(&penstock.Batch{Next: "end"})
	src.compare(t, target)
}

// TestNullIsNoValue: a null and what it looks like in a vector are two keys.
func TestNullIsNoValue(t *testing.T) {
	t.Parallel()
	shape := shapeOf(penstock.IdentityFull)
	rows := penstock.NewRows(shape)
	cells{"\x00", "", "", "\x00"}.appendTo(rows, nil)
	for column := range shape.Columns {
		r := cells{"\x00", "", "", "\x00"}
		r[column] = "-"
		r.appendTo(rows, nil)
		if all := []int{0, 1, 2, 3}; sameKey(rows, all, 0, int32(column+1)) {
			t.Errorf("column %d: null is the same as an empty value", column)
		}
	}
}

// wellFormed holds a batch to the contract of penstock.TableBatch.
func wellFormed(t *rapid.T, b *penstock.TableBatch) {
	if b.Base != nil && len(b.Base) != len(b.Put) {
		t.Fatalf("%d bases for %d rows", len(b.Base), len(b.Put))
	}
	for i, put := range b.Put {
		base := int32(-1)
		if b.Base != nil {
			base = b.Base[i]
		}
		if open := hasUnchanged(b.Rows, put); open != (base >= 0) {
			t.Fatalf("row %d has unchanged values: %v, and base %d", put, open, base)
		}
		if base >= 0 && !slices.Contains(b.Remove, base) {
			t.Fatalf("base %d is not removed", base)
		}
	}
	if b.Table.Identity != penstock.IdentityKey {
		return
	}
	for what, rows := range map[string][]int32{"put": b.Put, "remove": b.Remove} {
		for i := range rows {
			for j := range i {
				if sameKey(b.Rows, b.Table.Key, rows[i], rows[j]) {
					t.Fatalf("%s names one key twice: rows %d and %d", what, rows[j], rows[i])
				}
			}
		}
	}
}

// shapeOf returns a table of two numbers and two texts.
func shapeOf(identity penstock.Identity, key ...int) *penstock.Table {
	column := func(id penstock.ColumnID, name string, kind penstock.TypeKind) penstock.Column {
		return penstock.Column{ID: id, Name: name, Type: penstock.Type{Kind: kind}}
	}
	return &penstock.Table{ID: "1", Schema: "public", Name: "t", Identity: identity, Key: key, Columns: []penstock.Column{
		column(1, "a", penstock.TypeInt32), column(2, "b", penstock.TypeText),
		column(3, "c", penstock.TypeText), column(4, "d", penstock.TypeInt64),
	}}
}

// cells are the values of a row as text; "-" is null.
type cells []string

// appendTo adds the row; cells for which leave is true are left out as unchanged.
func (r cells) appendTo(rows *penstock.Rows, leave func(column int) bool) {
	for c := range rows.Vectors {
		v := &rows.Vectors[c]
		switch {
		case leave != nil && leave(c):
			v.AppendUnchanged()
		case r[c] == "-":
			v.AppendNull()
		case v.Type().Kind == penstock.TypeInt32:
			v.AppendInt32(int32(r[c][0]))
		case v.Type().Kind == penstock.TypeInt64:
			v.AppendInt64(int64(r[c][0]))
		default:
			v.AppendString(r[c])
		}
	}
}

// sourceTable is a table whose rows are changed one by one.
type sourceTable struct {
	shape *penstock.Table
	rows  []cells
}

func (s *sourceTable) key(r cells) string {
	var b strings.Builder
	for _, k := range s.shape.Key {
		b.WriteString(r[k] + "|")
	}
	return b.String()
}

func (s *sourceTable) draw(t *rapid.T) cells {
	r := make(cells, len(s.shape.Columns))
	for i := range r {
		values := []string{"", "x", "y", "-"}
		if slices.Contains(s.shape.Key, i) || s.shape.Columns[i].Type.Width() > 0 {
			values = []string{"1", "2", "3", "4"}
		}
		r[i] = rapid.SampledFrom(values).Draw(t, s.shape.Columns[i].Name)
	}
	return r
}

// fresh returns a row that may be inserted, or nil.
func (s *sourceTable) fresh(t *rapid.T) cells {
	r := s.draw(t)
	if s.shape.Identity == penstock.IdentityKey && slices.ContainsFunc(s.rows, func(o cells) bool { return s.key(o) == s.key(r) }) {
		return nil
	}
	return r
}

// change makes one change that the table allows, and reports it as a source does.
func (s *sourceTable) change(t *rapid.T, c *penstock.Changes) {
	kinds := []string{"insert", "insert", "update", "update", "rekey", "delete", "truncate"}
	if s.shape.Identity == penstock.IdentityNone {
		kinds = []string{"insert", "insert", "insert", "truncate"}
	}
	kind := rapid.SampledFrom(kinds).Draw(t, "kind")
	if kind == "truncate" {
		if rapid.IntRange(0, 2).Draw(t, "really") == 0 {
			s.rows = nil
			c.Table(s.shape).Truncate()
		}
		return
	}
	if kind == "insert" {
		if r := s.fresh(t); r != nil {
			s.rows = append(s.rows, r)
			s.report(c, penstock.OpInsert, r, nil)
		}
		return
	}
	if len(s.rows) == 0 {
		return
	}
	i := rapid.IntRange(0, len(s.rows)-1).Draw(t, "which")
	old := s.rows[i]
	if kind == "delete" {
		s.rows = slices.Delete(s.rows, i, i+1)
		s.report(c, penstock.OpDelete, s.identity(old), nil)
		return
	}
	row := s.draw(t)
	for k := range row {
		if rapid.Bool().Draw(t, "keep") || kind == "update" && slices.Contains(s.shape.Key, k) {
			row[k] = old[k]
		}
	}
	if s.shape.Identity == penstock.IdentityKey && s.key(row) != s.key(old) &&
		slices.ContainsFunc(s.rows, func(o cells) bool { return s.key(o) == s.key(row) }) {
		return // the key is taken
	}
	s.rows[i] = row
	leave := func(k int) bool {
		return s.shape.Identity == penstock.IdentityKey && !slices.Contains(s.shape.Key, k) && row[k] == old[k] && row[k] != "-" && rapid.Bool().Draw(t, "leave")
	}
	// A source may also name the old row when its key did not change.
	if s.shape.Identity == penstock.IdentityFull || s.key(row) != s.key(old) || rapid.Bool().Draw(t, "name the old row") {
		s.report(c, penstock.OpOld, s.identity(old), nil)
	}
	s.report(c, penstock.OpUpdate, row, leave)
}

func (s *sourceTable) report(c *penstock.Changes, op penstock.Op, r cells, leave func(int) bool) {
	tc := c.Table(s.shape)
	r.appendTo(&tc.Rows, leave)
	tc.Ops = append(tc.Ops, op)
}

// identity returns what a source says of a row to name it.
func (s *sourceTable) identity(r cells) cells {
	if s.shape.Identity == penstock.IdentityFull {
		return r
	}
	out := slices.Repeat(cells{"-"}, len(r))
	for _, k := range s.shape.Key {
		out[k] = r[k]
	}
	return out
}

func (s *sourceTable) compare(t *rapid.T, target *memtarget.Target) {
	want := penstock.NewRows(s.shape)
	for _, r := range s.rows {
		r.appendTo(want, nil)
	}
	_, got, readable := target.Read("shop", "public", "t")
	if !readable {
		t.Fatal("the table is not readable")
	}
	if g, w := contentOf(got), contentOf(want); !slices.Equal(g, w) {
		t.Fatalf("rows differ:\n got %q\nwant %q", g, w)
	}
}

// contentOf renders rows so that two sets of them can be compared.
func contentOf(rows *penstock.Rows) []string {
	out := make([]string, rows.Len())
	for i := range out {
		for c := range rows.Vectors {
			v := &rows.Vectors[c]
			if v.IsNull(i) {
				out[i] += "|-"
			} else {
				out[i] += fmt.Sprintf("|%x", v.Raw(i))
			}
		}
	}
	slices.Sort(out)
	return out
}

func ok(t interface{ Fatal(...any) }, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// benchChanges are n updates of so many distinct rows.
func benchChanges(identity penstock.Identity, key []int, n, distinct int) *penstock.TableChanges {
	tc := new(penstock.Changes).Table(shapeOf(identity, key...))
	add := func(op penstock.Op, id, version int) {
		tc.Rows.Vectors[0].AppendInt32(int32(id))
		tc.Rows.Vectors[1].AppendString("a text of some length")
		tc.Rows.Vectors[2].AppendNull()
		tc.Rows.Vectors[3].AppendInt64(int64(version))
		tc.Ops = append(tc.Ops, op)
	}
	for i := range n {
		if identity == penstock.IdentityFull {
			add(penstock.OpOld, i%distinct, i-1)
		}
		add(penstock.OpUpdate, i%distinct, i)
	}
	return tc
}

// BenchmarkCompact compacts 10,000 updates of 1,000, or of 10,000, rows.
func BenchmarkCompact(b *testing.B) {
	for _, c := range []struct {
		name     string
		identity penstock.Identity
		key      []int
		distinct int
	}{
		{"key/distinct", penstock.IdentityKey, []int{0}, 10_000},
		{"key/hot", penstock.IdentityKey, []int{0}, 1_000},
		{"full", penstock.IdentityFull, nil, 10_000},
	} {
		b.Run(c.name, func(b *testing.B) {
			const n = 10_000
			tc := benchChanges(c.identity, c.key, n, c.distinct)
			compact := newCompactor()
			rows := tc.Rows.Len()
			b.ReportAllocs()
			for b.Loop() {
				compact.compact(tc, false)
				tc.Rows.Truncate(rows)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
		})
	}
}

// TestCompactingAllocates: what compacting a batch allocates does not depend
// on how many rows it has.
func TestCompactingAllocates(t *testing.T) { // alone, since others' allocations count as well
	const allowed = 8 // the lists of rows of the batch
	for _, n := range []int{100, 10_000} {
		for name, tc := range map[string]*penstock.TableChanges{
			"distinct": benchChanges(penstock.IdentityKey, []int{0}, n, n),
			"hot":      benchChanges(penstock.IdentityKey, []int{0}, n, n/10),
			"full":     benchChanges(penstock.IdentityFull, nil, n, n),
		} {
			compact := newCompactor()
			compact.compact(tc, false)
			rows := tc.Rows.Len()
			got := testing.AllocsPerRun(10, func() {
				compact.compact(tc, false)
				tc.Rows.Truncate(rows)
			})
			if got > allowed {
				t.Errorf("%s: %v allocations for %d rows", name, got, n)
			}
		}
	}
}

// TestManyUpdatesOfLargeRow: a large value that updates leave as it was is
// copied once, however many they are (promise 7).
func TestManyUpdatesOfLargeRow(t *testing.T) {
	t.Parallel()
	shape := shapeOf(penstock.IdentityKey, 0)
	tc := &penstock.TableChanges{Table: shape, Rows: *penstock.NewRows(shape)}
	large := strings.Repeat("x", 1<<20)
	add := func(op penstock.Op, r cells, leave func(int) bool) {
		r.appendTo(&tc.Rows, leave)
		tc.Ops = append(tc.Ops, op)
	}
	add(penstock.OpInsert, cells{"1", large, large, "0"}, nil)
	for i := range 1000 {
		add(penstock.OpUpdate, cells{"1", "", "", string(rune('a' + i%20))}, func(c int) bool { return c == 1 || c == 2 })
	}
	b := newCompactor().compact(tc, false)
	if size := b.Rows.Size(); size > 5<<20 {
		t.Errorf("2 MiB of values have become %d MiB", size>>20)
	}
	if len(b.Put) != 1 || b.Base != nil || b.Rows.Vectors[1].Text(int(b.Put[0])) != large || b.Rows.Vectors[3].Int64(int(b.Put[0])) != 'a'+999%20 {
		t.Errorf("the row is not what the last update made it: %v, %v", b.Put, b.Base)
	}
}

// TestKeysThatAreNull: a key that could not be represented names no row. No
// two of them are the same, and what is to be found by one is left to the
// destination, which refuses it.
func TestKeysThatAreNull(t *testing.T) {
	t.Parallel()
	shape := shapeOf(penstock.IdentityKey, 0)
	tc := &penstock.TableChanges{Table: shape, Rows: *penstock.NewRows(shape)}
	add := func(op penstock.Op, r cells) {
		r.appendTo(&tc.Rows, nil)
		tc.Ops = append(tc.Ops, op)
	}
	for range 3 {
		add(penstock.OpInsert, cells{"-", "x", "x", "1"})
	}
	if b := newCompactor().compact(tc, false); len(b.Put) != 3 || len(b.Remove) != 0 {
		t.Errorf("of three rows %d are put and %d removed", len(b.Put), len(b.Remove))
	}
	if b := newCompactor().compact(tc, true); len(b.Remove) != 3 {
		t.Errorf("while it is mended %d rows are to be found, want all 3", len(b.Remove))
	}
	for _, op := range []penstock.Op{penstock.OpUpdate, penstock.OpDelete} {
		tc := &penstock.TableChanges{Table: shape, Rows: *penstock.NewRows(shape), Ops: []penstock.Op{penstock.OpInsert, op}}
		for range 2 {
			cells{"-", "x", "x", "1"}.appendTo(&tc.Rows, nil)
		}
		b := newCompactor().compact(tc, false)
		if b.NullKeys(b.Remove).Total() != 1 {
			t.Errorf("after operation %d no row is to be found: %v", op, b.Remove)
		}
	}
}
