package penstock

import "slices"

// Alteration is a change of a table's shape that leaves its rows in place:
// the table or columns of it are renamed, columns are dropped, added behind
// the others, or given a wider type. Identity and key columns stay.
type Alteration struct {
	Old, New *Table // with one ID
	// Fill is one row of New: what the rows that are there have in the columns
	// that Old lacks. nil if that is null in all of them.
	Fill *Rows
}

// Alterable reports whether an Alteration can lead from one shape to another.
// What it cannot express takes a load.
func Alterable(from, to *Table) bool {
	if from.ID != to.ID || from.Identity != to.Identity || len(from.Key) != len(to.Key) || len(to.Columns) == 0 {
		return false
	}
	kept := -1 // the place in from of the last column of to that from has
	for i, c := range to.Columns {
		at := from.column(c.ID)
		switch {
		case at < 0:
			kept = len(from.Columns) // from here on all are new
		case at <= kept || !Widens(from.Columns[at].Type, c.Type) || slices.Contains(from.Key, at) != slices.Contains(to.Key, i):
			return false
		default:
			kept = at
		}
	}
	for _, k := range to.Key {
		if from.column(to.Columns[k].ID) < 0 {
			return false
		}
	}
	return true
}

// CarriesOver reports whether rows of one shape can become rows of another one:
// columns that both have stand in one order, before those that are new and will
// be null, and hold every value that they held. The key does not matter to it.
func CarriesOver(from, to *Table) bool {
	a, b := *from, *to
	a.ID, a.Identity, a.Key = b.ID, IdentityNone, nil
	b.Identity, b.Key = IdentityNone, nil
	return Alterable(&a, &b)
}

// column returns the index of the column with an ID, -1 if there is none.
func (t *Table) column(id ColumnID) int {
	return slices.IndexFunc(t.Columns, func(c Column) bool { return c.ID == id })
}

// Widens reports whether every value of a type is one of another type as
// well, and looks the same there.
func Widens(from, to Type) bool {
	switch {
	case from == to:
		return true
	case from.Kind == TypeDecimal && to.Kind == TypeDecimal:
		return from.Scale == to.Scale && from.Precision <= to.Precision
	case from.Kind == TypeFloat32:
		return to.Kind == TypeFloat64
	case from.Kind == TypeInt16:
		return to.Kind == TypeInt32 || to.Kind == TypeInt64
	case from.Kind == TypeInt32:
		return to.Kind == TypeInt64
	}
	return false
}

// Added returns the indices of the columns of New that Old lacks.
func (a *Alteration) Added() (columns []int) {
	for i, c := range a.New.Columns {
		if a.Old.column(c.ID) < 0 {
			columns = append(columns, i)
		}
	}
	return columns
}

// Source returns the index in Old of a column of New, -1 if Old lacks it.
func (a *Alteration) Source(column int) int { return a.Old.column(a.New.Columns[column].ID) }

// then returns the one alteration that has the effect of two.
func (a *Alteration) then(next Alteration) Alteration {
	both := Alteration{Old: a.Old, New: next.New, Fill: a.Fill}
	if a.Fill == nil && next.Fill == nil {
		return both
	}
	if both.Fill == nil {
		both.Fill = NewRows(a.New)
		for i := range both.Fill.Vectors {
			both.Fill.Vectors[i].AppendNull()
		}
	}
	both.Fill.Alter(&next)
	return both
}

// Alter converts rows of the old shape to the new one.
func (r *Rows) Alter(a *Alteration) {
	n, old := r.Len(), r.Vectors
	r.Vectors = make([]Vector, len(a.New.Columns))
	for i, c := range a.New.Columns {
		at := a.Source(i)
		switch {
		case at < 0:
			r.Vectors[i] = NewVector(c.Type)
			for range n {
				if a.Fill == nil {
					r.Vectors[i].AppendNull()
				} else {
					r.Vectors[i].AppendFrom(&a.Fill.Vectors[i], 0)
				}
			}
		case old[at].typ == c.Type:
			r.Vectors[i] = old[at]
		default:
			r.Vectors[i] = old[at].widened(c.Type)
		}
	}
}

// widened returns v's values in a type that v's widens to.
func (v *Vector) widened(to Type) Vector {
	w := NewVector(to)
	for i := range v.n {
		switch {
		case v.nulls.has(i):
			w.AppendNull()
		case v.unchanged.has(i):
			w.AppendUnchanged()
		case v.typ.Kind == TypeFloat32:
			w.AppendFloat64(float64(v.Float32(i)))
		case v.width == 16:
			w.AppendInt128(v.Int128(i))
		default:
			w.appendInt(v.integer(i))
		}
	}
	return w
}

// integer returns value i of a vector of integers up to int64, or of decimals
// stored as such.
func (v *Vector) integer(i int) int64 {
	switch v.width {
	case 2:
		return int64(v.Int16(i))
	case 4:
		return int64(v.Int32(i))
	}
	return v.Int64(i)
}

// appendInt adds to a vector of integers, or of decimals.
func (v *Vector) appendInt(x int64) {
	switch v.width {
	case 4:
		v.AppendInt32(int32(x))
	case 8:
		v.AppendInt64(x)
	default:
		v.AppendInt128(x>>63, uint64(x))
	}
}

// Alter has a table's shape change here: the changes before are converted to
// the new shape, so that applying the alteration first and they then has the
// same effect.
func (c *Changes) Alter(a Alteration) {
	if tc := c.index[a.New.ID]; tc != nil {
		tc.Rows.Alter(&a)
		tc.BadValues.Keep(a.New)
		tc.Table = a.New
	}
	for i := range c.Altered {
		if c.Altered[i].New.ID == a.New.ID {
			c.Altered[i] = c.Altered[i].then(a)
			return
		}
	}
	c.Altered = append(c.Altered, a)
}

// Drop has a table end here; what was known of it does not matter any more,
// unless versions are kept.
func (c *Changes) Drop(t *Table) {
	id := t.ID
	if c.Versioned[id] {
		c.Table(t).Truncate()
		c.Dropped = append(c.Dropped, id)
		return
	}
	if tc := c.index[id]; tc != nil {
		delete(c.index, id)
		c.last = nil
		c.Tables = slices.DeleteFunc(c.Tables, func(x *TableChanges) bool { return x == tc })
	}
	c.Altered = slices.DeleteFunc(c.Altered, func(a Alteration) bool { return a.New.ID == id })
	c.Dropped = append(c.Dropped, id)
}
