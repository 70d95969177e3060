package pipeline

import (
	"time"

	"penstock"
)

// A table in history mode has what a row was between one transaction and the
// next as a version of its own; so of several changes of a row in a batch the
// last one does not win, but each ends the version before it. What a version
// began and ended with is times, of commits, which do not go back from one
// transaction to the next. A version that ends when it begins is none: of
// several changes of a row in one transaction only the last is seen.

// past is a version that began and ended within a batch.
type past struct {
	put, base int32 // as those of entry
	from, to  int64 // microseconds
}

// versions returns what changes from the first-th on do to a table in history
// mode, and up to which. It ends before the last one where large values that
// updates have left as they were would have to be copied, since each version
// has its own: about limit bytes of them at a time (promise 7). No time is
// before floor. It may add rows to tc.Rows, to be cut off when it is called
// again.
func (c *compactor) versions(tc *penstock.TableChanges, first int, floor time.Time, limit int) (b penstock.TableBatch, end int) {
	if first == 0 {
		b = newTableBatch(tc)
	} else {
		b = penstock.TableBatch{Table: tc.Table, Rows: &tc.Rows}
	}
	b.Versions = penstock.NewVersions()
	c.at = c.at[:0]
	for i, m := range tc.Commits {
		end := len(tc.Ops)
		if i+1 < len(tc.Commits) {
			end = tc.Commits[i+1].First
		}
		at := max(m.At.UnixMicro(), floor.UnixMicro())
		for range end - m.First {
			c.at = append(c.at, at)
		}
	}
	c.gonePast = c.gonePast[:0]
	if tc.Table.Identity == penstock.IdentityKey {
		end = c.versionsByKey(tc, &b, first, limit)
	} else {
		end = c.versionsByRow(tc, &b)
	}
	return b, end
}

// empties notes that a table is emptied. Of the rows that are stored, only the
// first time ends any.
func empties(b *penstock.TableBatch, at int64) {
	if !b.Truncate {
		b.Truncate, b.Versions.EmptiedAt = true, time.UnixMicro(at).UTC()
	}
}

// ends ends the version that an entry would store.
func (c *compactor) ends(e *entry, at int64) {
	if e.put >= 0 && c.at[e.put] < at {
		c.gonePast = append(c.gonePast, past{e.put, e.base, c.at[e.put], at})
		if c.next[e.put] >= 0 {
			c.copied += int(c.whole[e.put])
		}
	}
	e.put, e.base = -1, -1
}

// takes has the stored row of an identity removed, which row names.
func (c *compactor) takes(b *penstock.TableBatch, row int32) {
	if !b.Truncate {
		b.Remove = append(b.Remove, row)
		b.Versions.RemoveAt.AppendInt64(c.at[row])
	}
}

// versionsByKey is byKey for a table in history mode.
func (c *compactor) versionsByKey(tc *penstock.TableChanges, b *penstock.TableBatch, first, limit int) (end int) {
	key := tc.Table.Key
	c.reset(len(tc.Ops) - first)
	c.keyed = true
	c.next, c.whole, c.copied = grown(c.next, len(tc.Ops)), grown(c.whole, len(tc.Ops)), 0
	for end = first; end < len(tc.Ops) && c.copied <= limit; end++ {
		i := end
		row := int32(i)
		c.next[i] = -1
		switch tc.Ops[i] {
		case penstock.OpInsert:
			e := c.find(&tc.Rows, key, row)
			c.ends(e, c.at[i])
			e.put = row
		case penstock.OpUpdate:
			c.updateVersion(tc, b, row, row)
		case penstock.OpOld:
			end++
			c.next[end] = -1
			c.updateVersion(tc, b, row, row+1)
		case penstock.OpDelete:
			e, found := c.findOrAdd(&tc.Rows, key, row)
			if !found {
				c.takes(b, row)
			}
			c.ends(e, c.at[i])
		case penstock.OpTruncate:
			empties(b, c.at[i])
			for k := range c.entries {
				c.ends(&c.entries[k], c.at[i])
			}
		}
	}
	v := b.Versions
	for i := range c.gonePast {
		p := &c.gonePast[i]
		e := entry{put: p.put, base: p.base}
		c.complete(&tc.Rows, &e)
		v.Past, v.Base = append(v.Past, e.put), append(v.Base, e.base)
		v.From.AppendInt64(p.from)
		v.To.AppendInt64(p.to)
	}
	for i := range c.entries {
		e := &c.entries[i]
		if e.put < 0 {
			continue
		}
		v.PutAt.AppendInt64(c.at[e.put])
		c.complete(&tc.Rows, e)
		b.Put, b.Base = append(b.Put, e.put), append(b.Base, e.base)
	}
	v.Base, b.Base = unlessNone(v.Base), unlessNone(b.Base)
	return end
}

// updateVersion is update for a table in history mode.
func (c *compactor) updateVersion(tc *penstock.TableChanges, b *penstock.TableBatch, old, row int32) {
	rows, key := &tc.Rows, tc.Table.Key
	e, found := c.findOrAdd(rows, key, old)
	before, base := e.put, e.base
	if !found {
		c.takes(b, old)
		base = old
	}
	c.ends(e, c.at[row])
	if old != row && !sameKey(rows, key, old, row) {
		e = c.find(rows, key, row)
		c.ends(e, c.at[row])
	}
	e.put = row
	if hasUnchanged(rows, row) {
		c.next[row], e.base = before, base
		if c.whole[row] = width(rows, row); before >= 0 {
			if hasUnchanged(rows, before) {
				c.whole[row] += c.whole[before]
			} else {
				c.whole[row] += width(rows, before)
			}
		}
	}
}

// width returns the bytes of a row's values of variable length.
func width(rows *penstock.Rows, row int32) (n int32) {
	for i := range rows.Vectors {
		if v := &rows.Vectors[i]; v.Type().Width() == 0 {
			n += int32(len(v.Raw(int(row))))
		}
	}
	return n
}

// unlessNone returns nil in place of bases that are all -1.
func unlessNone(bases []int32) []int32 {
	for _, b := range bases {
		if b >= 0 {
			return bases
		}
	}
	return nil
}

// versionsByRow is byRow for a table in history mode, also for one without an
// identity, of which nothing is removed but all.
func (c *compactor) versionsByRow(tc *penstock.TableChanges, b *penstock.TableBatch) (end int) {
	c.resetByRow(tc)
	since := 0 // rows before this were emptied
	for i, op := range tc.Ops {
		row := int32(i)
		switch op {
		case penstock.OpInsert, penstock.OpUpdate:
			if tc.Table.Identity == penstock.IdentityFull {
				e := c.find(&tc.Rows, c.all, row)
				c.next[i], e.put = e.put, row
			}
		case penstock.OpDelete, penstock.OpOld:
			c.gone[i] = true
			e := c.find(&tc.Rows, c.all, row)
			if e.put < 0 {
				c.takes(b, row)
				continue
			}
			c.endsRow(e.put, c.at[i])
			e.put = c.next[e.put]
		case penstock.OpTruncate:
			empties(b, c.at[i])
			c.gone[i] = true
			for k := since; k < i; k++ {
				c.endsRow(int32(k), c.at[i])
			}
			since = i
			for k := range c.entries {
				c.entries[k].put = -1
			}
		}
	}
	v := b.Versions
	for _, p := range c.gonePast {
		v.Past = append(v.Past, p.put)
		v.From.AppendInt64(p.from)
		v.To.AppendInt64(p.to)
	}
	for i := range tc.Ops {
		if !c.gone[i] {
			b.Put = append(b.Put, int32(i))
			v.PutAt.AppendInt64(c.at[i])
		}
	}
	return len(tc.Ops)
}

// endsRow ends the version that a row would store.
func (c *compactor) endsRow(row int32, at int64) {
	if !c.gone[row] && c.at[row] < at {
		c.gonePast = append(c.gonePast, past{row, -1, c.at[row], at})
	}
	c.gone[row] = true
}
