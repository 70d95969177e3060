package duckdbtarget

import "penstock"

// Store implements penstock.View: what writeRows does when it stores rows.
func (v *view) Store(t *penstock.Table, rows *penstock.Rows) (bad penstock.BadValues) {
	for i, c := range t.Columns {
		if n := nullify(&rows.Vectors[i]); n > 0 {
			bad.Count(c.ID, n)
		}
	}
	return bad
}

// nullify makes the values of a vector null that the engine cannot hold.
func nullify(v *penstock.Vector) (bad int64) {
	holds := heldOf(v)
	if holds == nil {
		return 0
	}
	for i := range v.Len() {
		if !v.IsNull(i) && !holds(i) {
			v.SetNull(i)
			bad++
		}
	}
	return bad
}

// heldOf returns what tells whether the engine holds value i of a vector; nil
// if it holds all values of the type.
func heldOf(v *penstock.Vector) func(i int) bool {
	switch t := v.Type(); t.Kind {
	case penstock.TypeText, penstock.TypeJSON:
		return func(i int) bool { return validText(v.Bytes(i)) }
	case penstock.TypeDate:
		return func(i int) bool { return holdsDate(v.Int32(i)) }
	case penstock.TypeTime:
		return func(i int) bool { return holdsTime(v.Int64(i)) }
	case penstock.TypeTimeTZ:
		return func(i int) bool { return holdsTimeTZ(v.TimeTZ(i)) }
	case penstock.TypeTimestamp, penstock.TypeTimestampTZ:
		return func(i int) bool { return holdsTimestamp(v.Int64(i)) }
	case penstock.TypeDecimal:
		if t.Precision > narrowDecimal64 {
			return func(i int) bool {
				hi, lo := v.Int128(i)
				return holdsDecimal(hi, lo, t.Precision)
			}
		}
		top := int64(powersOfTen[t.Precision].lo)
		return func(i int) bool { x := v.Int64(i); return -top < x && x < top }
	}
	return nil
}
