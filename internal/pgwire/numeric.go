package pgwire

import (
	"encoding/binary"
	"math/bits"
	"strconv"

	"penstock"
)

// unscaled appends the decimal digits of the integer that stands for value i
// of a vector of TypeDecimal.
func unscaled(dst []byte, v *penstock.Vector, i int) (neg bool, digits []byte) {
	if v.Type().Width() == 8 {
		x := v.Int64(i)
		u := uint64(x)
		if x < 0 {
			u = -u
		}
		return x < 0, strconv.AppendUint(dst, u, 10)
	}
	h, lo := v.Int128(i)
	hi := uint64(h)
	if h < 0 {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
	}
	const limb = 1e19 // the largest power of ten in 64 bits
	q1, r := bits.Div64(0, hi, limb)
	q0, r0 := bits.Div64(r, lo, limb)
	// q1 is at most 17 and q0 of any size, so one more step is enough
	q, r1 := bits.Div64(q1, q0, limb)
	switch {
	case q > 0:
		dst = strconv.AppendUint(dst, q, 10)
		dst = appendLimb(dst, r1)
		dst = appendLimb(dst, r0)
	case r1 > 0:
		dst = strconv.AppendUint(dst, r1, 10)
		dst = appendLimb(dst, r0)
	default:
		dst = strconv.AppendUint(dst, r0, 10)
	}
	return h < 0, dst
}

func appendLimb(dst []byte, x uint64) []byte {
	var buf [20]byte
	b := strconv.AppendUint(buf[:0], x, 10)
	for k := len(b); k < 19; k++ {
		dst = append(dst, '0')
	}
	return append(dst, b...)
}

const (
	numericNegative = 0x4000
	numericNaN      = 0xC000
	numericPInf     = 0xD000
	numericNInf     = 0xF000
)

// appendNumeric writes PostgreSQL's binary numeric: digits to the base 10000,
// of which weight+1 stand before the point. The last scale of the decimal
// digits are behind it.
func appendNumeric(dst []byte, neg bool, decimal []byte, scale int) []byte {
	// at returns the decimal digit of the power of ten p.
	at := func(p int) uint16 {
		k := len(decimal) - 1 - scale - p
		if k < 0 || k >= len(decimal) {
			return 0
		}
		return uint16(decimal[k] - '0')
	}
	group := func(w int) uint16 {
		return at(4*w+3)*1000 + at(4*w+2)*100 + at(4*w+1)*10 + at(4*w)
	}
	high := (len(decimal) - scale + 3) / 4
	low := -((scale + 3) / 4)
	for high >= low && group(high) == 0 {
		high--
	}
	for low <= high && group(low) == 0 {
		low++
	}
	n, weight, sign := high-low+1, high, uint16(0)
	if n <= 0 {
		n, weight, neg = 0, 0, false
	}
	if neg {
		sign = numericNegative
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	dst = binary.BigEndian.AppendUint16(dst, uint16(int16(weight)))
	dst = binary.BigEndian.AppendUint16(dst, sign)
	dst = binary.BigEndian.AppendUint16(dst, uint16(scale))
	for w := weight; n > 0; n-- {
		dst = binary.BigEndian.AppendUint16(dst, group(w))
		w--
	}
	return dst
}

// numericToText reads PostgreSQL's binary numeric; ok is false if it is none.
func numericToText(b []byte) (_ string, ok bool) {
	if len(b) < 8 {
		return "", false
	}
	n := int(binary.BigEndian.Uint16(b))
	weight := int(int16(binary.BigEndian.Uint16(b[2:])))
	sign := binary.BigEndian.Uint16(b[4:])
	scale := int(binary.BigEndian.Uint16(b[6:]))
	switch sign {
	case numericNaN:
		return "NaN", true
	case numericPInf:
		return "Infinity", true
	case numericNInf:
		return "-Infinity", true
	case 0, numericNegative:
	default:
		return "", false
	}
	if len(b) != 8+2*n || scale > 16383 {
		return "", false
	}
	group := func(w int) uint16 { // of the power of 10000
		if k := weight - w; k >= 0 && k < n {
			return binary.BigEndian.Uint16(b[8+2*k:])
		}
		return 0
	}
	var out []byte
	if sign == numericNegative {
		out = append(out, '-')
	}
	start := len(out)
	for w := weight; w >= 0; w-- {
		g := group(w)
		if g > 9999 {
			return "", false
		}
		if len(out) == start {
			if g == 0 && w > 0 {
				continue
			}
			out = strconv.AppendUint(out, uint64(g), 10)
			continue
		}
		out = appendPadded(out, int64(g), 4)
	}
	if len(out) == start {
		out = append(out, '0')
	}
	if scale == 0 {
		return string(out), true
	}
	out = append(out, '.')
	end := len(out) + scale
	for w := -1; len(out) < end; w-- {
		g := group(w)
		if g > 9999 {
			return "", false
		}
		out = appendPadded(out, int64(g), 4)
	}
	return string(out[:end]), true
}
