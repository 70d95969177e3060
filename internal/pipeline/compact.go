package pipeline

import (
	"bytes"
	"hash/maphash"
	"slices"
	"sync"

	"penstock"
)

// compactor turns the changes to one table into their net effect: of several
// changes to a row the last one wins. It keeps its memory between tables, and no batch looks into it.
type compactor struct {
	seed    maphash.Seed
	slots   []int32 // open addressing: index into entries, plus one
	entries []entry
	keyed   bool // rows are told apart by a key, in which null is no value
	// IdentityKey: links a row to the one before it in the same batch that has
	// its unchanged values, -1 if there is none.
	// IdentityFull: links the puts of equal rows.
	next []int32
	// IdentityFull only:
	all     []int   // every column
	gone    []bool  // rows that are not to be put
	removes []int32 // rows that name stored ones
	// Of tables in history mode, see versions.go:
	at       []int64 // when each row was committed
	gonePast []past
	whole    []int32 // bytes that a row with unchanged values takes when it has them, at the most
	copied   int     // bytes of versions that have to be copied
}

// entry is what becomes of the rows with one identity. Numbers are rows of the
// table's Rows; -1 is none.
type entry struct {
	key    int32 // a row with this identity
	put    int32 // the row to be stored
	remove int32 // names the stored row to be removed: one that was there before
	base   int32 // names the stored row that has put's unchanged values
}

func newCompactor() *compactor { return &compactor{seed: maphash.MakeSeed()} }

// compactors are for all streams of the process: they are worked with for moments,
// and take about as much memory as the rows that they were given.
var compactors = sync.Pool{New: func() any { return newCompactor() }}

// withCompactor has one work.
func withCompactor[T any](work func(c *compactor) T) T {
	c := compactors.Get().(*compactor)
	defer compactors.Put(c)
	return work(c)
}

// netEffect returns the net effect of tc, as compact does.
func netEffect(tc *penstock.TableChanges, mend bool) penstock.TableBatch {
	return withCompactor(func(c *compactor) penstock.TableBatch { return c.compact(tc, mend) })
}

// compact returns the net effect of tc, on a table that is being mended or not.
// It may add rows to tc.Rows.
func (c *compactor) compact(tc *penstock.TableChanges, mend bool) penstock.TableBatch {
	b := newTableBatch(tc)
	b.Mend = mend
	first := 0
	if len(tc.Commits) > 0 { // in history mode, but not yet: what was emptied is void
		if i := lastIndex(tc.Ops, penstock.OpTruncate); i >= 0 {
			b.Truncate, first = true, i+1
		}
	}
	switch tc.Table.Identity {
	case penstock.IdentityKey:
		c.byKey(tc, &b, first)
	case penstock.IdentityFull:
		c.byRow(tc, &b, first)
	default:
		b.Put = make([]int32, len(tc.Ops)-first)
		for i := range b.Put {
			b.Put[i] = int32(first + i)
		}
	}
	return b
}

// newTableBatch returns what a batch of changes says however it is compacted.
func newTableBatch(tc *penstock.TableChanges) penstock.TableBatch {
	b := penstock.TableBatch{Table: tc.Table, Truncate: tc.Truncated, Rows: &tc.Rows, BadValues: tc.BadValues}
	for _, op := range tc.Ops {
		switch op {
		case penstock.OpInsert:
			b.Inserted++
		case penstock.OpUpdate:
			b.Updated++
		case penstock.OpDelete:
			b.Deleted++
		}
	}
	return b
}

func lastIndex(ops []penstock.Op, op penstock.Op) int {
	for i := len(ops) - 1; i >= 0; i-- {
		if ops[i] == op {
			return i
		}
	}
	return -1
}

// grown returns a slice of n elements, of whatever value.
func grown[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }

// byKey compacts a table whose rows are told apart by a key, from a row on.
func (c *compactor) byKey(tc *penstock.TableChanges, b *penstock.TableBatch, first int) {
	key := tc.Table.Key
	c.reset(len(tc.Ops))
	c.keyed = true
	c.next = grown(c.next, len(tc.Ops))
	for i := first; i < len(tc.Ops); i++ {
		row := int32(i)
		c.next[i] = -1
		switch tc.Ops[i] {
		case penstock.OpInsert:
			e := c.find(&tc.Rows, key, row)
			e.put, e.base = row, -1
		case penstock.OpUpdate:
			c.update(tc, row, row)
		case penstock.OpOld:
			i++
			c.next[i] = -1
			c.update(tc, row, row+1)
		case penstock.OpDelete:
			e, found := c.findOrAdd(&tc.Rows, key, row)
			if !found {
				e.remove = row
			}
			e.put, e.base = -1, -1
		}
	}
	removes, puts, bases := 0, 0, false
	for i := range c.entries {
		e := &c.entries[i]
		if b.Mend { // more rows may have the key than it seems
			e.remove = e.key
		}
		if e.remove >= 0 {
			removes++
		}
		if e.put >= 0 {
			puts++
			c.complete(&tc.Rows, e)
			if b.Mend && e.base >= 0 && !sameKey(&tc.Rows, key, e.base, e.put) {
				// What has the old key now may be another row, which took it
				// later. It is of no use.
				b.Missing = append(b.Missing, e.put)
				e.put, e.base = -1, -1
				puts--
				continue
			}
			bases = bases || e.base >= 0
		}
	}
	b.Remove, b.Put = make([]int32, 0, removes), make([]int32, 0, puts)
	if bases {
		b.Base = make([]int32, 0, puts)
	}
	for i := range c.entries {
		e := &c.entries[i]
		if e.remove >= 0 {
			b.Remove = append(b.Remove, e.remove)
		}
		if e.put < 0 {
			continue
		}
		b.Put = append(b.Put, e.put)
		if bases {
			b.Base = append(b.Base, e.base)
		}
	}
}

// update replaces the row with the identity of old by row, which may have
// another identity, and values that are those of the replaced row.
func (c *compactor) update(tc *penstock.TableChanges, old, row int32) {
	rows, key := &tc.Rows, tc.Table.Key
	e, found := c.findOrAdd(rows, key, old)
	if !found {
		e.remove, e.base = old, old
	}
	before, base := e.put, e.base
	if old != row && !sameKey(rows, key, old, row) {
		e.put, e.base = -1, -1
		e = c.find(rows, key, row)
	}
	e.put, e.base = row, -1
	if hasUnchanged(rows, row) {
		c.next[row], e.base = before, base
	}
}

// complete fills in the unchanged values of a row to be put with those of the
// rows before it, once and not with each of them, as the values may be large.
func (c *compactor) complete(rows *penstock.Rows, e *entry) {
	if c.next[e.put] < 0 {
		return
	}
	merged, open := int32(rows.Len()), false
	for i := range rows.Vectors {
		v := &rows.Vectors[i]
		from := e.put
		for v.IsUnchanged(int(from)) && c.next[from] >= 0 {
			from = c.next[from]
		}
		open = open || v.IsUnchanged(int(from))
		v.AppendFrom(v, int(from))
	}
	e.put = merged
	if !open {
		e.base = -1
	}
}

// resetByRow makes ready for a table whose rows are told apart by all of their
// values.
func (c *compactor) resetByRow(tc *penstock.TableChanges) {
	n := len(tc.Ops)
	c.reset(n)
	c.keyed = false
	c.all = c.all[:0]
	for i := range tc.Table.Columns {
		c.all = append(c.all, i)
	}
	c.next, c.gone = grown(c.next, n), grown(c.gone, n)
	clear(c.gone)
}

// byRow compacts a table whose rows are told apart by nothing but all their
// values, so that equal rows are interchangeable, from a row on.
func (c *compactor) byRow(tc *penstock.TableChanges, b *penstock.TableBatch, first int) {
	c.resetByRow(tc)
	c.removes = c.removes[:0]
	puts := 0
	for i, op := range tc.Ops[first:] {
		i += first
		row := int32(i)
		e := c.find(&tc.Rows, c.all, row)
		switch op {
		case penstock.OpInsert, penstock.OpUpdate:
			c.next[i], e.put = e.put, row
			puts++
		case penstock.OpDelete, penstock.OpOld:
			c.gone[i] = true
			if e.put >= 0 { // an equal row came with this batch: it takes that one's place
				c.gone[e.put] = true
				puts--
				e.put = c.next[e.put]
			} else {
				c.removes = append(c.removes, row)
			}
		}
	}
	b.Remove, b.Put = slices.Clone(c.removes), make([]int32, 0, puts)
	for i := first; i < len(tc.Ops); i++ {
		if !c.gone[i] {
			b.Put = append(b.Put, int32(i))
		}
	}
}

// reset prepares for at most n entries; an update of a key may need two rows,
// which are two ops, so n ops never need more.
func (c *compactor) reset(n int) {
	size := 16
	for size < 2*n {
		size *= 2
	}
	if cap(c.slots) < size {
		c.slots = make([]int32, size)
	} else {
		c.slots = c.slots[:size]
		clear(c.slots)
	}
	c.entries = c.entries[:0]
}

// find returns the entry of a row's identity, adding an empty one if needed.
// The pointer is good until the next call.
func (c *compactor) find(rows *penstock.Rows, columns []int, row int32) *entry {
	e, _ := c.findOrAdd(rows, columns, row)
	return e
}

// findOrAdd also says whether there was an entry. A key that could not be
// represented names no row, so that no two of them are the same.
func (c *compactor) findOrAdd(rows *penstock.Rows, columns []int, row int32) (e *entry, found bool) {
	if c.keyed && nullIn(rows, columns, row) {
		return c.add(row), false
	}
	mask := len(c.slots) - 1
	for at := int(c.hash(rows, columns, row)) & mask; ; at = (at + 1) & mask {
		i := c.slots[at]
		if i == 0 {
			e := c.add(row)
			c.slots[at] = int32(len(c.entries))
			return e, false
		}
		if e := &c.entries[i-1]; sameKey(rows, columns, e.key, row) {
			return e, true
		}
	}
}

func (c *compactor) add(row int32) *entry {
	c.entries = append(c.entries, entry{key: row, put: -1, remove: -1, base: -1})
	return &c.entries[len(c.entries)-1]
}

func nullIn(rows *penstock.Rows, columns []int, row int32) bool {
	for _, col := range columns {
		if v := &rows.Vectors[col]; v.Nulls() > 0 && v.IsNull(int(row)) {
			return true
		}
	}
	return false
}

func (c *compactor) hash(rows *penstock.Rows, columns []int, row int32) uint64 {
	var h uint64
	for _, col := range columns {
		v := &rows.Vectors[col]
		h = h*0x9E3779B97F4A7C15 + maphash.Bytes(c.seed, v.Raw(int(row)))
		if v.IsNull(int(row)) {
			h++
		}
	}
	return h
}

func sameKey(rows *penstock.Rows, columns []int, a, b int32) bool {
	if a == b {
		return true
	}
	for _, col := range columns {
		v := &rows.Vectors[col]
		if v.IsNull(int(a)) != v.IsNull(int(b)) || !bytes.Equal(v.Raw(int(a)), v.Raw(int(b))) {
			return false
		}
	}
	return true
}

func hasUnchanged(rows *penstock.Rows, row int32) bool {
	for i := range rows.Vectors {
		if v := &rows.Vectors[i]; v.Unchanged() > 0 && v.IsUnchanged(int(row)) {
			return true
		}
	}
	return false
}
