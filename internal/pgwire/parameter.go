package pgwire

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"penstock"
)

// parameterText returns a parameter's value as PostgreSQL's text of its type,
// which is what the warehouse takes. nil is NULL.
func parameterText(oid uint32, format int16, value []byte, number int) (*string, error) {
	if value == nil {
		return nil, nil
	}
	if format == 0 {
		if !utf8.Valid(value) {
			return nil, &penstock.SQLError{State: "22021", Message: fmt.Sprintf("parameter $%d is not valid UTF-8", number)}
		}
		s := string(value)
		return &s, nil
	}
	if format != 1 {
		return nil, &penstock.SQLError{State: "22023", Message: fmt.Sprintf("unsupported format code: %d", format)}
	}
	s, err := binaryToText(oid, value)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, &penstock.SQLError{State: "22P03", Message: fmt.Sprintf("incorrect binary data format in bind parameter %d", number)}
	}
	return s, nil
}

// binaryToText reads PostgreSQL's binary form of a value; it returns nil if
// the bytes are not of that form.
func binaryToText(oid uint32, b []byte) (*string, error) {
	text := func(s string) (*string, error) { return &s, nil }
	sized := func(n int, f func() string) (*string, error) {
		if len(b) != n {
			return nil, nil
		}
		return text(f())
	}
	u32 := func() uint32 { return binary.BigEndian.Uint32(b) }
	u64 := func() uint64 { return binary.BigEndian.Uint64(b) }
	switch oid {
	case oidBool:
		return sized(1, func() string { return strconv.FormatBool(b[0] != 0) })
	case oidInt2:
		return sized(2, func() string { return strconv.Itoa(int(int16(binary.BigEndian.Uint16(b)))) })
	case oidInt4:
		return sized(4, func() string { return strconv.Itoa(int(int32(u32()))) })
	case oidOID:
		return sized(4, func() string { return strconv.FormatUint(uint64(u32()), 10) })
	case oidInt8:
		return sized(8, func() string { return strconv.FormatInt(int64(u64()), 10) })
	case oidFloat4:
		return sized(4, func() string { return string(appendFloat(nil, float64(math.Float32frombits(u32())), 32, 1)) })
	case oidFloat8:
		return sized(8, func() string { return string(appendFloat(nil, math.Float64frombits(u64()), 64, 1)) })
	case oidNumeric:
		s, ok := numericToText(b)
		if !ok {
			return nil, nil
		}
		return &s, nil
	case oidDate:
		return sized(4, func() string { return dateText(int32(u32())) })
	case oidTime:
		return sized(8, func() string { return string(appendClock(nil, int64(u64()))) })
	case oidTimeTZ:
		return sized(12, func() string {
			return string(appendOffset(appendClock(nil, int64(u64())), -int32(binary.BigEndian.Uint32(b[8:]))))
		})
	case oidTimestamp:
		return sized(8, func() string { return timestampText(int64(u64()), "") })
	case oidTimestampTZ:
		return sized(8, func() string { return timestampText(int64(u64()), "+00") })
	case oidInterval:
		return sized(16, func() string {
			days, months := binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])
			return string(appendIntervalParts(nil, int32(months), int32(days), int64(u64())))
		})
	case oidUUID:
		return sized(16, func() string { return string(appendUUID(nil, [16]byte(b))) })
	case oidBytea:
		return text(`\x` + hex.EncodeToString(b))
	case oidJSONB:
		if len(b) < 1 || b[0] != 1 {
			return nil, nil
		}
		b = b[1:]
	case 0, oidText, oidVarchar, oidBpchar, oidName, oidChar, oidUnknown, oidJSON:
	default:
		return nil, &penstock.SQLError{State: "0A000", Message: fmt.Sprintf("binary parameters of the type with OID %d are not supported", oid)}
	}
	if !utf8.Valid(b) {
		return nil, nil
	}
	return text(string(b))
}

func dateText(days int32) string {
	switch days {
	case math.MaxInt32:
		return "infinity"
	case math.MinInt32:
		return "-infinity"
	}
	dst, bc := appendCivil(nil, int64(days)+epochDays)
	if bc {
		dst = append(dst, " BC"...)
	}
	return string(dst)
}

func timestampText(micros int64, zone string) string {
	switch {
	case micros == math.MaxInt64, micros > math.MaxInt64-epochMicros:
		return "infinity"
	case micros == math.MinInt64:
		return "-infinity"
	}
	return string(appendTimestamp(nil, micros+epochMicros, zone))
}
