package penstock

// Rows is a set of rows, one vector per column, all of the same length.
type Rows struct {
	Vectors []Vector
}

// NewRows returns empty rows with one vector per column of t.
func NewRows(t *Table) *Rows {
	r := &Rows{}
	r.Reset(t)
	return r
}

// Reset empties r, gives it the columns of t and keeps what memory it can.
func (r *Rows) Reset(t *Table) {
	if cap(r.Vectors) < len(t.Columns) {
		r.Vectors = append(r.Vectors[:cap(r.Vectors)], make([]Vector, len(t.Columns)-cap(r.Vectors))...)
	}
	r.Vectors = r.Vectors[:len(t.Columns)]
	for i := range t.Columns {
		r.Vectors[i].init(t.Columns[i].Type)
	}
}

// Len returns the number of rows.
func (r *Rows) Len() int {
	if len(r.Vectors) == 0 {
		return 0
	}
	return r.Vectors[0].n
}

// Size returns the bytes that the values take, for accounting.
func (r *Rows) Size() int {
	n := 0
	for i := range r.Vectors {
		n += r.Vectors[i].Size()
	}
	return n
}

// Cap returns the bytes that r holds on to, filled or not.
func (r *Rows) Cap() int {
	n := 0
	for i := range r.Vectors {
		n += r.Vectors[i].cap()
	}
	return n
}

// Clear removes all rows and keeps columns and memory.
func (r *Rows) Clear() {
	for i := range r.Vectors {
		r.Vectors[i].Reset()
	}
}

// Truncate keeps the first n rows.
func (r *Rows) Truncate(n int) {
	for i := range r.Vectors {
		r.Vectors[i].Truncate(n)
	}
}
