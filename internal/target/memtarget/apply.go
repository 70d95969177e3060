package memtarget

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"penstock"
)

// Apply implements penstock.Destination.
func (d *Destination) Apply(ctx context.Context, prev penstock.Position, b *penstock.Batch) (err error) {
	defer d.target.mu.Unlock()
	pending := d.partial
	d.partial = nil // lost with any error
	if err := d.begin(ctx, "Apply"); err != nil {
		return err
	}
	if d.db.applied != prev {
		return penstock.Errorf(penstock.KindFenced, "apply to database %q: its position is %q, not %q", d.db.spec.Name, d.db.applied, prev)
	}
	if len(b.Swap) > 0 && (len(b.Tables) > 0 || len(b.Alter) > 0 || len(pending) > 0) {
		return penstock.Errorf(penstock.KindInternal, "apply to database %q: a batch with Swap has rows", d.db.spec.Name)
	}
	if u := unrepresentable(b); u != nil {
		return &penstock.Error{Kind: penstock.KindUnrepresentable, Op: fmt.Sprintf("apply to database %q", d.db.spec.Name), Err: u}
	}
	if b.Partial { // tried now, to know which rows are missing, and applied with the one that ends it
		tx := &transaction{db: d.db}
		err := tx.applyAll(append(pending, b))
		tx.rollback()
		if err != nil {
			return err
		}
		d.partial = append(pending, copyBatch(b))
		return nil
	}

	tx := &transaction{db: d.db}
	if err := tx.applyAll(append(pending, b)); err != nil {
		tx.rollback()
		return err
	}
	// From here on nothing fails.
	for _, p := range append(pending, b) {
		for _, a := range p.Alter {
			if t := d.db.tables[a.New.ID]; t != nil && t.readable != nil {
				d.db.evict(a.New.ID, &t.readable.shape, p.At)
			}
		}
		for id, join := range p.Joins {
			d.db.tables[id].status.Join = join
		}
		for _, id := range p.Swap {
			d.db.swap(id, p.At)
		}
		for _, id := range p.Retire {
			d.db.retire(id, p.At)
		}
		for _, s := range p.Switch {
			d.db.toggle(s, p.At)
		}
		for _, at := range []time.Time{p.CommitTime, p.At} {
			if at.After(d.db.time) {
				d.db.time = at
			}
		}
		for i := range p.Tables {
			if t := d.db.tables[p.Tables[i].Table.ID]; t != nil { // else dropped by a later part
				t.status.BadValues.Add(p.Tables[i].BadValues)
			}
		}
		d.db.setStates(p.States)
	}
	d.db.applied = b.Next
	return nil
}

// unrepresentable returns what a strict batch may not hold, nil if nothing.
func unrepresentable(b *penstock.Batch) *penstock.Unrepresentable {
	for i := range b.Tables {
		if t := &b.Tables[i]; b.Strict && t.BadValues.Total() > 0 {
			return &penstock.Unrepresentable{Table: t.Table, Values: t.BadValues}
		}
	}
	return nil
}

// swap makes the hidden version of a table the readable one, and any other
// table that stood under the same name unreadable.
func (db *database) swap(id penstock.TableID, at time.Time) {
	t := db.tables[id]
	db.evict(id, &t.hidden.shape, at)
	switch old := t.readable; {
	case old != nil && old.history != nil && penstock.CarriesOver(&old.shape, &t.hidden.shape):
		t.hidden.continues(old, at)
	case old != nil && old.history != nil:
		old.endAll(at)
		db.leave(old, at)
		t.hidden.begins(at)
	case t.status.History:
		t.hidden.begins(at)
	}
	t.readable, t.hidden, t.status.Join, t.status.Mending = t.hidden, nil, "", false
	t.setState(penstock.TableSynced, "")
}

// evict makes unreadable what stands under the name of a table. Versions of
// rows are left under another name.
func (db *database) evict(id penstock.TableID, shape *penstock.Table, at time.Time) {
	for other, o := range db.tables {
		if other != id && o.readable != nil && o.readable.shape.Schema == shape.Schema && o.readable.shape.Name == shape.Name {
			if o.readable.history != nil {
				db.leave(o.readable, at)
			}
			o.readable = nil
			if o.status.State == penstock.TableDroppedSource {
				delete(db.tables, other)
				continue
			}
			o.setState(penstock.TableResyncRequired, fmt.Sprintf("its name %s was taken by a newer table", shape))
		}
	}
}

// transaction applies rows and can take them back.
type transaction struct {
	db   *database
	undo []func()
}

func (tx *transaction) rollback() {
	for _, f := range slices.Backward(tx.undo) {
		f()
	}
}

func (tx *transaction) applyAll(batches []*penstock.Batch) error {
	for _, b := range batches {
		if err := tx.apply(b); err != nil {
			return err
		}
	}
	return nil
}

func (tx *transaction) apply(b *penstock.Batch) error {
	for _, id := range b.Drop {
		if t := tx.db.tables[id]; t != nil {
			delete(tx.db.tables, id)
			tx.undo = append(tx.undo, func() { tx.db.tables[id] = t })
		}
	}
	for i := range b.Alter {
		if err := tx.alter(&b.Alter[i]); err != nil {
			return err
		}
	}
	for id := range b.Joins {
		if t := tx.db.tables[id]; t == nil || t.hidden == nil || t.status.Join == "" {
			return penstock.Errorf(penstock.KindInternal, "join table %s anew: it has no loaded version", id)
		}
	}
	for i := range b.Tables {
		if err := tx.applyTable(&b.Tables[i]); err != nil {
			return err
		}
	}
	for _, id := range b.Swap {
		if t := tx.db.tables[id]; t == nil || t.hidden == nil || t.status.Join == "" {
			return penstock.Errorf(penstock.KindInternal, "swap table %s: it has no loaded version", id)
		}
	}
	return nil
}

func (tx *transaction) alter(a *penstock.Alteration) error {
	t := tx.db.tables[a.New.ID]
	if t == nil || t.current() == nil {
		return penstock.NewMisfit(a.Old, "cannot be altered, as it is not there")
	}
	if !t.current().shape.SameShape(a.Old) || !penstock.Alterable(a.Old, a.New) {
		return penstock.Errorf(penstock.KindStale, "alter %s: it cannot become %s in place", a.Old, a.New)
	}
	known, readable, hidden, bad := t.known, t.readable, t.hidden, t.status.BadValues.Clone()
	tx.undo = append(tx.undo, func() { t.known, t.readable, t.hidden, t.status.BadValues = known, readable, hidden, bad })
	t.known = *a.New
	t.status.BadValues.Keep(a.New)
	if t.hidden != nil {
		t.hidden = hidden.altered(a)
	} else {
		t.readable = readable.altered(a)
	}
	return nil
}

func (tx *transaction) applyTable(tb *penstock.TableBatch) error {
	t := tx.db.tables[tb.Table.ID]
	if t == nil || t.current() == nil {
		return penstock.NewMisfit(tb.Table, "is not there, and has changes")
	}
	v := t.current()
	if !v.shape.SameShape(tb.Table) {
		return penstock.NewMisfit(tb.Table, "has another shape than its changes")
	}
	if (tb.Versions != nil) != (v.history != nil) {
		return penstock.NewMisfit(tb.Table, "is in history mode and its changes are not, or the other way round")
	}
	if tb.Truncate && tb.Versions == nil {
		rows, index := v.rows, v.index
		v.rows, v.index = make(map[int]row), make(map[string][]int)
		tx.undo = append(tx.undo, func() { v.rows, v.index = rows, index })
	}

	if v.shape.Identity == penstock.IdentityKey {
		if err := tb.Nameless(tb.NullKeys(tb.Remove)); err != nil {
			return err
		}
	}
	put, err := v.whole(tb, tb.Put, tb.Base)
	if err != nil {
		return err
	}
	if tb.Versions != nil {
		past, err := v.whole(tb, tb.Versions.Past, tb.Versions.Base)
		if err != nil {
			return err
		}
		tx.undo = append(tx.undo, v.save())
		return v.unfound(tb, v.applyVersions(tb, put, past))
	}
	found := 0
	for _, r := range tb.Remove {
		for {
			n, ok := v.find(rowOf(tb.Rows, int(r)))
			if !ok {
				break
			}
			found++
			old := v.rows[n]
			v.remove(n)
			tx.undo = append(tx.undo, func() { v.restore(n, old) })
			if !tb.Mend {
				break
			}
		}
	}
	for _, r := range put {
		n := v.add(r)
		tx.undo = append(tx.undo, func() { v.remove(n) })
	}
	return v.unfound(tb, found)
}

// unfound returns an error if fewer rows than all have been found by their values.
func (v *version) unfound(tb *penstock.TableBatch, found int) error {
	if v.shape.Identity != penstock.IdentityFull {
		return nil
	}
	return tb.Removed(int64(found))
}

// whole returns rows of a batch with the values that are unchanged, which the
// stored rows have that base names.
func (v *version) whole(tb *penstock.TableBatch, these, base []int32) ([]row, error) {
	out := make([]row, 0, len(these))
next:
	for i, r := range these {
		whole := rowOf(tb.Rows, int(r))
		for c := range tb.Rows.Vectors {
			if !tb.Rows.Vectors[c].IsUnchanged(int(r)) {
				continue
			}
			if base == nil || base[i] < 0 {
				return nil, penstock.Errorf(penstock.KindInternal, "apply to %s: an unchanged value without a row that has it", tb.Table)
			}
			n, ok := v.find(rowOf(tb.Rows, int(base[i])))
			if !ok && tb.Mend {
				tb.Missing = append(tb.Missing, r)
				continue next
			}
			if !ok {
				return nil, penstock.Errorf(penstock.KindStale, "apply to %s: the row that an update builds on is not there", tb.Table)
			}
			whole[c] = v.rows[n][c]
		}
		out = append(out, whole)
	}
	return out, nil
}

// copyBatch copies a batch with its rows, which the caller reuses.
func copyBatch(b *penstock.Batch) *penstock.Batch {
	c := *b
	c.Retire, c.Switch = slices.Clone(b.Retire), slices.Clone(b.Switch)
	c.Swap, c.Drop, c.Alter, c.States, c.Joins = slices.Clone(b.Swap), slices.Clone(b.Drop), slices.Clone(b.Alter), slices.Clone(b.States), maps.Clone(b.Joins)
	c.Tables = slices.Clone(b.Tables)
	for i := range c.Tables {
		tb := &c.Tables[i]
		shape := *tb.Table
		tb.Table = &shape
		tb.Remove, tb.Put, tb.Base, tb.Missing = slices.Clone(tb.Remove), slices.Clone(tb.Put), slices.Clone(tb.Base), nil
		if tb.Versions != nil {
			tb.Versions = copyVersions(tb.Versions)
		}
		if tb.Rows == nil {
			continue
		}
		rows := penstock.NewRows(&shape)
		for n := range tb.Rows.Vectors {
			for r := range tb.Rows.Vectors[n].Len() {
				rows.Vectors[n].AppendFrom(&tb.Rows.Vectors[n], r)
			}
		}
		tb.Rows = rows
	}
	return &c
}

func copyVersions(v *penstock.Versions) *penstock.Versions {
	c := penstock.NewVersions()
	c.EmptiedAt, c.Past, c.Base = v.EmptiedAt, slices.Clone(v.Past), slices.Clone(v.Base)
	for to, from := range map[*penstock.Vector]*penstock.Vector{&c.PutAt: &v.PutAt, &c.RemoveAt: &v.RemoveAt, &c.From: &v.From, &c.To: &v.To} {
		for i := range from.Len() {
			to.AppendFrom(from, i)
		}
	}
	return c
}
