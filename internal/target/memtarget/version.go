package memtarget

import (
	"encoding/binary"
	"maps"
	"slices"

	"penstock"
)

// version is the content of a table: a multiset of rows.
type version struct {
	shape penstock.Table
	rows  map[int]row      // by a number of ours, ascending in order of arrival
	index map[string][]int // identity of a row → its numbers; empty without an identity
	next  int

	history *history // nil unless it is in history mode
}

// row is a row's values in the vectors' own form; nil stands for null.
type row []*string

func newVersion(shape *penstock.Table) *version {
	return &version{shape: *shape, rows: make(map[int]row), index: make(map[string][]int)}
}

// rowOf copies row i. Unchanged values come out as null.
func rowOf(rows *penstock.Rows, i int) row {
	r := make(row, len(rows.Vectors))
	for c := range rows.Vectors {
		if v := &rows.Vectors[c]; !v.IsNull(i) && !v.IsUnchanged(i) {
			s := string(v.Raw(i))
			r[c] = &s
		}
	}
	return r
}

// identity returns what a row is found by.
func (v *version) identity(r row) string {
	switch v.shape.Identity {
	case penstock.IdentityKey:
		return identityOf(r, v.shape.Key)
	case penstock.IdentityFull:
		return identityOf(r, nil)
	}
	return ""
}

// identityOf returns the values of some columns of a row, or of all, as a text
// that tells them from others.
func identityOf(r row, columns []int) string {
	var b []byte
	add := func(s *string) {
		if s == nil {
			b = append(b, 0)
			return
		}
		b = append(b, 1)
		b = binary.AppendUvarint(b, uint64(len(*s)))
		b = append(b, *s...)
	}
	if columns == nil {
		for _, s := range r {
			add(s)
		}
	}
	for _, c := range columns {
		add(r[c])
	}
	return string(b)
}

func (v *version) add(r row) int {
	n := v.next
	v.next++
	v.restore(n, r)
	return n
}

// restore puts r in under number n.
func (v *version) restore(n int, r row) {
	v.rows[n] = r
	if v.shape.Identity != penstock.IdentityNone {
		k := v.identity(r)
		v.index[k] = append(v.index[k], n)
	}
}

func (v *version) remove(n int) {
	k := v.identity(v.rows[n])
	delete(v.rows, n)
	if ns := slices.DeleteFunc(v.index[k], func(m int) bool { return m == n }); len(ns) > 0 {
		v.index[k] = ns
	} else {
		delete(v.index, k)
	}
}

// find returns the number of a row with the identity of r.
func (v *version) find(r row) (int, bool) {
	ns := v.index[v.identity(r)]
	if len(ns) == 0 {
		return 0, false
	}
	return ns[0], true
}

// altered returns v in another shape.
func (v *version) altered(a *penstock.Alteration) *version {
	w := newVersion(a.New)
	convert := func(r row) row {
		one := penstock.NewRows(&v.shape)
		for c, s := range r {
			appendRaw(&one.Vectors[c], s)
		}
		one.Alter(a)
		return rowOf(one, 0)
	}
	w.next = v.next
	for n, r := range v.rows {
		w.restore(n, convert(r))
	}
	if v.history != nil {
		w.history = &history{since: maps.Clone(v.history.since)}
		for _, p := range v.history.past {
			w.history.past = append(w.history.past, pastRow{convert(p.row), p.from, p.to})
		}
	}
	return w
}

// copy returns the rows in order of arrival.
func (v *version) copy() *penstock.Rows {
	numbers := make([]int, 0, len(v.rows))
	for n := range v.rows {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	rows := penstock.NewRows(&v.shape)
	for _, n := range numbers {
		for c, s := range v.rows[n] {
			appendRaw(&rows.Vectors[c], s)
		}
	}
	return rows
}

// appendRaw adds a value given in the vector's own form.
func appendRaw(v *penstock.Vector, s *string) {
	if s == nil {
		v.AppendNull()
		return
	}
	b := []byte(*s)
	u64 := binary.LittleEndian.Uint64
	switch t := v.Type(); t.Width() {
	case 0:
		v.AppendBytes(b)
	case 1:
		v.AppendBool(b[0] != 0)
	case 2:
		v.AppendInt16(int16(binary.LittleEndian.Uint16(b)))
	case 4:
		v.AppendInt32(int32(binary.LittleEndian.Uint32(b)))
	case 8:
		v.AppendInt64(int64(u64(b)))
	default:
		if t.Kind == penstock.TypeUUID {
			v.AppendUUID([16]byte(b))
		} else {
			v.AppendInt128(int64(u64(b[8:])), u64(b))
		}
	}
}
