package pgwire

import (
	"encoding/hex"
	"math"
	"strconv"

	"penstock"
)

// The functions here write values as PostgreSQL's output functions do, with
// DateStyle ISO, IntervalStyle postgres and bytea_output hex.

func textBool(dst []byte, v *penstock.Vector, i int, _ *textStyle) []byte {
	if v.Bool(i) {
		return append(dst, 't')
	}
	return append(dst, 'f')
}

func textInt16(dst []byte, v *penstock.Vector, i int, _ *textStyle) []byte {
	return strconv.AppendInt(dst, int64(v.Int16(i)), 10)
}

func textInt32(dst []byte, v *penstock.Vector, i int, _ *textStyle) []byte {
	return strconv.AppendInt(dst, int64(v.Int32(i)), 10)
}

func textInt64(dst []byte, v *penstock.Vector, i int, _ *textStyle) []byte {
	return strconv.AppendInt(dst, v.Int64(i), 10)
}

func textFloat32(dst []byte, v *penstock.Vector, i int, s *textStyle) []byte {
	return appendFloat(dst, float64(v.Float32(i)), 32, s.extraFloatDigits)
}

func textFloat64(dst []byte, v *penstock.Vector, i int, s *textStyle) []byte {
	return appendFloat(dst, v.Float64(i), 64, s.extraFloatDigits)
}

// appendFloat writes the shortest text that reads back as f, or, with extra
// digits of zero and less, as many digits as are certain.
func appendFloat(dst []byte, f float64, bits, extra int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	certain, small, fixed := 15, 1e-4, 1e15
	if bits == 32 {
		certain, small, fixed = 6, float64(float32(1e-4)), 1e6
	}
	if extra <= 0 {
		return strconv.AppendFloat(dst, f, 'g', max(certain+extra, 1), bits)
	}
	if a := math.Abs(f); a != 0 && (a < small || a >= fixed) {
		return strconv.AppendFloat(dst, f, 'e', -1, bits)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, bits)
}

func textDecimal(dst []byte, v *penstock.Vector, i int, _ *textStyle) []byte {
	var buf [40]byte
	neg, digits := unscaled(buf[:0], v, i)
	return appendScaled(dst, neg, digits, int(v.Type().Scale))
}

// appendScaled writes digits with the last scale of them behind a point.
func appendScaled(dst []byte, neg bool, digits []byte, scale int) []byte {
	if neg {
		dst = append(dst, '-')
	}
	if scale == 0 {
		return append(dst, digits...)
	}
	if n := len(digits) - scale; n > 0 {
		dst = append(dst, digits[:n]...)
		digits = digits[n:]
	} else {
		dst = append(dst, '0')
	}
	dst = append(dst, '.')
	for k := len(digits); k < scale; k++ {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}

func textVarlen(dst []byte, v *penstock.Vector, i int, _ *textStyle) []byte {
	return append(dst, v.Bytes(i)...)
}

func textBytes(dst []byte, v *penstock.Vector, i int, _ *textStyle) []byte {
	return hex.AppendEncode(append(dst, '\\', 'x'), v.Bytes(i))
}

func textUUID(dst []byte, v *penstock.Vector, i int, _ *textStyle) []byte {
	return appendUUID(dst, v.UUID(i))
}

func appendUUID(dst []byte, u [16]byte) []byte {
	from := 0
	for _, to := range [...]int{4, 6, 8, 10, 16} {
		if from > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, u[from:to])
		from = to
	}
	return dst
}

func textDate(dst []byte, v *penstock.Vector, i int, _ *textStyle) []byte {
	return appendDate(dst, v.Int32(i))
}

func textTime(dst []byte, v *penstock.Vector, i int, _ *textStyle) []byte {
	return appendClock(dst, v.Int64(i))
}

func textTimeTZ(dst []byte, v *penstock.Vector, i int, _ *textStyle) []byte {
	micros, east := v.TimeTZ(i)
	return appendOffset(appendClock(dst, micros), east)
}

func textTimestamp(dst []byte, v *penstock.Vector, i int, _ *textStyle) []byte {
	return appendTimestamp(dst, v.Int64(i), "")
}

func textTimestampTZ(dst []byte, v *penstock.Vector, i int, _ *textStyle) []byte {
	return appendTimestamp(dst, v.Int64(i), "+00")
}

func textInterval(dst []byte, v *penstock.Vector, i int, _ *textStyle) []byte {
	return appendInterval(dst, v, i)
}

func appendInterval(dst []byte, v *penstock.Vector, i int) []byte {
	months, days, micros := v.Interval(i)
	return appendIntervalParts(dst, months, days, micros)
}
