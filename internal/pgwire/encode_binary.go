package pgwire

import (
	"encoding/binary"
	"math"

	"penstock"
)

// The functions here write values as PostgreSQL's send functions do: in
// network byte order, dates and timestamps counted from 2000-01-01.

func binaryBool(dst []byte, v *penstock.Vector, i int) []byte {
	if v.Bool(i) {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func binaryInt16(dst []byte, v *penstock.Vector, i int) []byte {
	return binary.BigEndian.AppendUint16(dst, uint16(v.Int16(i)))
}

func binaryInt32(dst []byte, v *penstock.Vector, i int) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(v.Int32(i)))
}

func binaryInt64(dst []byte, v *penstock.Vector, i int) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(v.Int64(i)))
}

func binaryVarlen(dst []byte, v *penstock.Vector, i int) []byte {
	return append(dst, v.Bytes(i)...)
}

func binaryUUID(dst []byte, v *penstock.Vector, i int) []byte {
	u := v.UUID(i)
	return append(dst, u[:]...)
}

func binaryDate(dst []byte, v *penstock.Vector, i int) []byte {
	days := v.Int32(i)
	switch {
	case days == penstock.DateInfinity:
	case days < math.MinInt32+epochDays: // minus infinity, or out of PostgreSQL's reach
		days = math.MinInt32
	default:
		days -= epochDays
	}
	return binary.BigEndian.AppendUint32(dst, uint32(days))
}

func binaryTimestamp(dst []byte, v *penstock.Vector, i int) []byte {
	micros := v.Int64(i)
	switch {
	case micros == penstock.TimestampInfinity:
	case micros < math.MinInt64+epochMicros: // minus infinity, or out of PostgreSQL's reach
		micros = math.MinInt64
	default:
		micros -= epochMicros
	}
	return binary.BigEndian.AppendUint64(dst, uint64(micros))
}

func binaryTimeTZ(dst []byte, v *penstock.Vector, i int) []byte {
	micros, east := v.TimeTZ(i)
	dst = binary.BigEndian.AppendUint64(dst, uint64(micros))
	return binary.BigEndian.AppendUint32(dst, uint32(-east)) // PostgreSQL counts to the west
}

func binaryInterval(dst []byte, v *penstock.Vector, i int) []byte {
	months, days, micros := v.Interval(i)
	dst = binary.BigEndian.AppendUint64(dst, uint64(micros))
	dst = binary.BigEndian.AppendUint32(dst, uint32(days))
	return binary.BigEndian.AppendUint32(dst, uint32(months))
}

func binaryDecimal(dst []byte, v *penstock.Vector, i int) []byte {
	var buf [40]byte
	neg, digits := unscaled(buf[:0], v, i)
	return appendNumeric(dst, neg, digits, int(v.Type().Scale))
}

func binaryNumericText(dst []byte, v *penstock.Vector, i int) []byte {
	digits := v.Bytes(i)
	neg := len(digits) > 0 && digits[0] == '-'
	if neg {
		digits = digits[1:]
	}
	return appendNumeric(dst, neg, digits, 0)
}
