package pgsource

import (
	"encoding/hex"
	"math"
	"strconv"
	"unsafe"

	"penstock"
)

// Decoders of the text that PostgreSQL's output functions print under the
// session settings of connect.go (DateStyle ISO, TimeZone UTC, IntervalStyle
// postgres, bytea_output hex, extra_float_digits 1).

// view returns b as a string without copying, for parsers that keep nothing.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func textBytes(v *penstock.Vector, b []byte) bool {
	v.AppendBytes(b)
	return true
}

func textBool(v *penstock.Vector, b []byte) bool {
	if len(b) != 1 || (b[0] != 't' && b[0] != 'f') {
		return false
	}
	v.AppendBool(b[0] == 't')
	return true
}

// parseInt reads a decimal integer; it is strconv.ParseInt for the common case.
func parseInt(b []byte) (n int64, ok bool) {
	neg := len(b) > 0 && b[0] == '-'
	digits := b
	if neg {
		digits = b[1:]
	}
	if len(digits) == 0 {
		return 0, false
	}
	if len(digits) > 18 {
		n, err := strconv.ParseInt(view(b), 10, 64)
		return n, err == nil
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if neg {
		n = -n
	}
	return n, true
}

func textInt16(v *penstock.Vector, b []byte) bool {
	n, ok := parseInt(b)
	if !ok || n < math.MinInt16 || n > math.MaxInt16 {
		return false
	}
	v.AppendInt16(int16(n))
	return true
}

func textInt32(v *penstock.Vector, b []byte) bool {
	n, ok := parseInt(b)
	if !ok || n < math.MinInt32 || n > math.MaxInt32 {
		return false
	}
	v.AppendInt32(int32(n))
	return true
}

func textInt64(v *penstock.Vector, b []byte) bool {
	n, ok := parseInt(b)
	if ok {
		v.AppendInt64(n)
	}
	return ok
}

func textFloat32(v *penstock.Vector, b []byte) bool {
	f, err := strconv.ParseFloat(view(b), 32)
	if err != nil {
		return false
	}
	appendFloat32(v, float32(f))
	return true
}

func textFloat64(v *penstock.Vector, b []byte) bool {
	f, err := strconv.ParseFloat(view(b), 64)
	if err != nil {
		return false
	}
	appendFloat64(v, f)
	return true
}

// appendFloat32 adds f. All NaNs become the one of PostgreSQL, so that rows
// which differ in nothing else are equal in the vectors' own form.
func appendFloat32(v *penstock.Vector, f float32) {
	if f != f {
		f = math.Float32frombits(0x7fc00000)
	}
	v.AppendFloat32(f)
}

// appendFloat64 adds f as appendFloat32 does.
func appendFloat64(v *penstock.Vector, f float64) {
	if f != f {
		f = math.Float64frombits(0x7ff8 << 48)
	}
	v.AppendFloat64(f)
}

func textBytea(v *penstock.Vector, b []byte) bool {
	if len(b) < 2 || b[0] != '\\' || b[1] != 'x' {
		return false
	}
	b = b[2:]
	if len(b)%2 != 0 || !isHex(b) {
		return false
	}
	v.AppendWith(func(dst []byte) []byte {
		dst, _ = hex.AppendDecode(dst, b)
		return dst
	})
	return true
}

func isHex(b []byte) bool {
	for _, c := range b {
		if _, ok := hexDigit(c); !ok {
			return false
		}
	}
	return true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

func textUUID(v *penstock.Vector, b []byte) bool {
	var u [16]byte
	n := 0
	for _, c := range b {
		if c == '-' {
			continue
		}
		d, ok := hexDigit(c)
		if !ok || n == 32 {
			return false
		}
		u[n/2] = u[n/2]<<4 | d
		n++
	}
	if n != 32 {
		return false
	}
	v.AppendUUID(u)
	return true
}
