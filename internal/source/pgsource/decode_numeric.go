package pgsource

import (
	"encoding/binary"
	"math/bits"

	"penstock"
)

// uint128 accumulates the digits of a decimal. Up to 38 of them fit; over is
// set when a value needs more.
type uint128 struct {
	hi, lo uint64
	over   bool
}

func (u *uint128) mulAdd(mul, add uint64) {
	h1, l1 := bits.Mul64(u.lo, mul)
	h2, l2 := bits.Mul64(u.hi, mul)
	lo, c := bits.Add64(l1, add, 0)
	hi, c := bits.Add64(l2, h1, c)
	if h2 != 0 || c != 0 {
		u.over = true
	}
	u.hi, u.lo = hi, lo
}

// pow10 holds 10^0 to 10^38.
var pow10 = func() (p [penstock.MaxDecimalPrecision + 1]uint128) {
	p[0].lo = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1]
		p[i].mulAdd(10, 0)
	}
	return p
}()

func (u uint128) less(w uint128) bool { return u.hi < w.hi || u.hi == w.hi && u.lo < w.lo }

// appendDecimal adds an unscaled value, if it has no more digits than v's
// type allows.
func appendDecimal(v *penstock.Vector, neg bool, u uint128) bool {
	p := int(v.Type().Precision)
	if u.over || !u.less(pow10[p]) {
		return false
	}
	hi, lo := u.hi, u.lo
	if neg {
		var c uint64
		lo, c = bits.Add64(^lo, 1, 0)
		hi = ^hi + c
	}
	if p <= 18 {
		v.AppendInt64(int64(lo))
	} else {
		v.AppendInt128(int64(hi), lo)
	}
	return true
}

// textDecimal decodes digits with at most as many decimals as the type's scale.
// NaN and infinities do not fit.
func textDecimal(v *penstock.Vector, b []byte) bool {
	scale := int(v.Type().Scale)
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	var u uint128
	digits, decimals, point := 0, 0, false
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			if point {
				if decimals == scale {
					if c != '0' {
						return false
					}
					continue
				}
				decimals++
			}
			digits++
			if u.hi == 0 && u.lo < 1<<59 {
				u.lo = u.lo*10 + uint64(c-'0')
			} else {
				u.mulAdd(10, uint64(c-'0'))
			}
		case c == '.' && !point:
			point = true
		default:
			return false
		}
	}
	if digits == 0 {
		return false
	}
	for ; decimals < scale; decimals++ {
		u.mulAdd(10, 0)
	}
	return appendDecimal(v, neg, u)
}

const (
	numericPositive = 0x0000
	numericNegative = 0x4000
)

// binaryDecimal decodes numeric_send's form: a count of base-10000 digits, the
// weight of the first, sign, display scale, digits.
func binaryDecimal(v *penstock.Vector, b []byte) bool {
	if len(b) < 8 {
		return false
	}
	n := int(int16(binary.BigEndian.Uint16(b)))
	weight := int(int16(binary.BigEndian.Uint16(b[2:])))
	sign := binary.BigEndian.Uint16(b[4:])
	if n < 0 || len(b) != 8+2*n || sign != numericPositive && sign != numericNegative {
		return false
	}
	// The decimals that base-10000 digits after the point amount to may be up
	// to three more than the scale; those are zero.
	scale := int(v.Type().Scale)
	var u uint128
	exponent := 0 // of 10, to multiply u with at the end
	for i := range n {
		d := uint64(binary.BigEndian.Uint16(b[8+2*i:]))
		decimals := 4 * (i - weight) // after the point, once this digit is in
		if cut := decimals - scale; cut > 0 {
			if cut > 3 {
				if d != 0 {
					return false
				}
				exponent = 0
				continue
			}
			p := pow10[cut].lo
			if d%p != 0 {
				return false
			}
			u.mulAdd(10_000/p, d/p)
			exponent = 0
			continue
		}
		u.mulAdd(10_000, d)
		exponent = scale - decimals
	}
	if n > 0 && exponent > 0 {
		if exponent > penstock.MaxDecimalPrecision {
			return false
		}
		for range exponent {
			u.mulAdd(10, 0)
		}
	}
	return appendDecimal(v, sign == numericNegative, u)
}
