package verify

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"penstock"
)

// entry is a row, by the hashes of its key and of all of it.
type entry struct{ key, row uint64 }

func compareEntries(a, b entry) int {
	return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.row, b.row))
}

// entryBytes is about what an entry takes while it is held.
const entryBytes = 24

// find finds the rows of buckets that differ, counts and names them. Each side
// is read again: first the warehouse, whose rows in those buckets are held as
// entries; then the source, whose rows are looked up there; and the warehouse
// once more, for the rows that nobody has looked up.
func (t *tableComparison) find(ctx context.Context, source, warehouse *digest, differing []int, result *Table) error {
	t.again = true
	s := &search{t: t, digest: source, wanted: make([]bool, len(source.buckets))}
	s.choose(source, warehouse, differing, result)
	if err := t.readWarehouse(ctx, s.hold); err != nil {
		return err
	}
	slices.SortFunc(s.held, compareEntries)
	s.found = make([]bool, len(s.held))
	if err := t.readSource(ctx, s.lookUp); err != nil {
		return err
	}
	s.count(result)
	s.named.warehouse = newCopies(t.table)
	if len(s.named.extra) > 0 {
		if err := t.readWarehouse(ctx, s.copyExtra); err != nil {
			return err
		}
	}
	result.Differences = s.differences()
	return nil
}

// search is the state of find.
type search struct {
	t      *tableComparison
	digest *digest // for its buckets' numbers
	wanted []bool  // by bucket

	held  []entry // of the warehouse; sorted once it has been read
	found []bool  // those that the source has too

	mu      sync.Mutex
	missing []entry // of the source, not among those held

	named struct {
		source    *copies // some of the missing ones
		warehouse *copies
		extra     map[entry]int // of the warehouse, to be copied, and how often
	}
}

// choose chooses buckets whose rows can be held at a time, small ones first.
// What can be said of the others without looking at their rows is counted.
func (s *search) choose(source, warehouse *digest, differing []int, result *Table) {
	s.named.source = newCopies(s.t.table)
	size := func(i int) uint64 { return source.buckets[i].count + warehouse.buckets[i].count }
	slices.SortFunc(differing, func(a, b int) int { return cmp.Compare(size(a), size(b)) })
	left := uint64(s.t.request.Memory / entryBytes)
	for _, i := range differing {
		if size(i) <= left {
			left -= size(i)
			s.wanted[i] = true
			continue
		}
		have, stored := int64(source.buckets[i].count), int64(warehouse.buckets[i].count)
		result.Missing += max(have-stored, 0)
		result.Extra += max(stored-have, 0)
		switch {
		case have == 0, stored == 0: // then that is exact
		case have != stored:
			result.AtLeast = true
		case s.t.key == nil:
			result.Missing, result.Extra, result.AtLeast = result.Missing+1, result.Extra+1, true
		default:
			result.Different, result.AtLeast = result.Different+1, true
		}
	}
}

// hold takes rows of the warehouse.
func (s *search) hold(_ *penstock.Rows, keys, whole []uint64) {
	for i, key := range keys {
		if s.wanted[s.digest.in(key)] {
			s.held = append(s.held, entry{key, whole[i]})
		}
	}
}

// lookUp takes rows of the source.
func (s *search) lookUp(rows *penstock.Rows, keys, whole []uint64) {
	for i, key := range keys {
		if !s.wanted[s.digest.in(key)] {
			continue
		}
		e := entry{key, whole[i]}
		s.mu.Lock()
		if !s.take(e) {
			s.missing = append(s.missing, e)
			if s.named.source.len() < s.t.request.Keys {
				s.named.source.add(rows, i, e)
			}
		}
		s.mu.Unlock()
	}
}

// take finds an entry that is held and that no other row has taken.
func (s *search) take(e entry) bool {
	i, _ := slices.BinarySearchFunc(s.held, e, compareEntries)
	for ; i < len(s.held) && s.held[i] == e; i++ {
		if !s.found[i] {
			s.found[i] = true
			return true
		}
	}
	return false
}

// count counts what is left on both sides, and chooses which rows of the
// warehouse are named: those that have the keys of named rows of the source,
// and some that are only there.
func (s *search) count(result *Table) {
	slices.SortFunc(s.missing, compareEntries)
	var extra []entry
	for i, e := range s.held {
		if !s.found[i] {
			extra = append(extra, e)
		}
	}
	named := map[uint64]bool{}
	for _, e := range s.named.source.entries {
		named[e.key] = true
	}
	s.named.extra = map[entry]int{}
	only := 0
	for len(s.missing) > 0 || len(extra) > 0 {
		key := nextKey(s.missing, extra)
		m, x := withKey(s.missing, key), withKey(extra, key)
		both := 0
		if s.t.key != nil {
			both = min(m, x)
		}
		result.Different += int64(both)
		result.Missing += int64(m - both)
		result.Extra += int64(x - both)
		for _, e := range extra[:x] {
			if named[key] || m == 0 && only < s.t.request.Keys {
				s.named.extra[e]++
				only++
			}
		}
		s.missing, extra = s.missing[m:], extra[x:]
	}
}

// nextKey returns the smallest key of sorted entries.
func nextKey(a, b []entry) uint64 {
	if len(b) == 0 || len(a) > 0 && a[0].key < b[0].key {
		return a[0].key
	}
	return b[0].key
}

// withKey returns how many entries at the front have a key.
func withKey(entries []entry, key uint64) int {
	n := 0
	for n < len(entries) && entries[n].key == key {
		n++
	}
	return n
}

// copyExtra takes rows of the warehouse.
func (s *search) copyExtra(rows *penstock.Rows, keys, whole []uint64) {
	for i, key := range keys {
		if e := (entry{key, whole[i]}); s.named.extra[e] > 0 {
			s.named.extra[e]--
			s.named.warehouse.add(rows, i, e)
		}
	}
}

// copies are some rows.
type copies struct {
	rows    *penstock.Rows
	entries []entry
}

func newCopies(t *penstock.Table) *copies { return &copies{rows: penstock.NewRows(t)} }

// copiesSize is from which size on no more rows are copied.
const copiesSize = 8 << 20

func (c *copies) len() int { return len(c.entries) }

func (c *copies) add(rows *penstock.Rows, i int, e entry) {
	if c.rows.Size() >= copiesSize {
		return
	}
	for k := range rows.Vectors {
		c.rows.Vectors[k].AppendFrom(&rows.Vectors[k], i)
	}
	c.entries = append(c.entries, e)
}

// differences names the rows that have been copied, in the order of their keys
// as text.
func (s *search) differences() []Difference {
	var out []Difference
	source, warehouse := s.named.source, s.named.warehouse
	used := make([]bool, warehouse.len())
	for i, e := range source.entries {
		d := Difference{Kind: Missing, Key: s.text(source.rows, i)}
		for j, x := range warehouse.entries {
			if s.t.key == nil || used[j] || x.key != e.key {
				continue
			}
			used[j] = true
			d.Kind = Different
			for k, c := range s.t.table.Columns {
				if !equal(&source.rows.Vectors[k], i, &warehouse.rows.Vectors[k], j) {
					d.Columns = append(d.Columns, c.Name)
				}
			}
			break
		}
		out = append(out, d)
	}
	for j := range warehouse.entries {
		if !used[j] {
			out = append(out, Difference{Kind: Extra, Key: s.text(warehouse.rows, j)})
		}
	}
	slices.SortFunc(out, func(a, b Difference) int {
		return cmp.Or(slices.CompareFunc(a.Key, b.Key, compareValues), cmp.Compare(a.Kind, b.Kind))
	})
	return out[:min(len(out), s.t.request.Keys)]
}

// text returns a row's key, or all of the row if it has none.
func (s *search) text(rows *penstock.Rows, i int) (out []Value) {
	columns := s.t.key
	if columns == nil {
		columns = s.t.all
	}
	for _, k := range columns {
		out = append(out, Value{Column: s.t.table.Columns[k].Name, Text: textOf(&rows.Vectors[k], i)})
	}
	return out
}

// compareValues orders values as text, shorter ones first so that positive
// numbers are in their order, and nulls last.
func compareValues(a, b Value) int {
	switch {
	case a.Text == nil || b.Text == nil:
		return cmp.Compare(boolInt(a.Text == nil), boolInt(b.Text == nil))
	}
	return cmp.Or(cmp.Compare(len(*a.Text), len(*b.Text)), cmp.Compare(*a.Text, *b.Text))
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
