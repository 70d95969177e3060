package duckdbtarget

import (
	"fmt"
	"math"

	"penstock"
)

// sqlType returns the engine's type in which values of t are stored.
func sqlType(t penstock.Type) string {
	switch t.Kind {
	case penstock.TypeBool:
		return "BOOLEAN"
	case penstock.TypeInt16:
		return "SMALLINT"
	case penstock.TypeInt32:
		return "INTEGER"
	case penstock.TypeInt64:
		return "BIGINT"
	case penstock.TypeFloat32:
		return "FLOAT"
	case penstock.TypeFloat64:
		return "DOUBLE"
	case penstock.TypeDecimal:
		return fmt.Sprintf("DECIMAL(%d,%d)", t.Precision, t.Scale)
	case penstock.TypeText:
		return "VARCHAR"
	case penstock.TypeBytes:
		return "BLOB"
	case penstock.TypeDate:
		return "DATE"
	case penstock.TypeTime:
		return "TIME"
	case penstock.TypeTimeTZ:
		return "TIMETZ"
	case penstock.TypeTimestamp:
		return "TIMESTAMP"
	case penstock.TypeTimestampTZ:
		return "TIMESTAMPTZ"
	case penstock.TypeInterval:
		return "INTERVAL"
	case penstock.TypeUUID:
		return "UUID"
	case penstock.TypeJSON:
		return "JSON"
	}
	panic("duckdbtarget: a column of " + t.String())
}

// What the engine can hold. Infinite dates and timestamps have the same
// numbers there as in the vocabulary.
const (
	minTimestamp    = -9_223_372_022_400_000_000 // 290309-12-22 BC
	minDate         = math.MinInt32 + 2          // 5877642-06-25 BC
	dayMicros       = 86_400_000_000             // 24:00:00 included
	maxZoneSeconds  = 15*3600 + 59*60 + 59
	timeTZZoneBits  = 24
	narrowDecimal16 = 4  // digits that fit the engine's int16 decimals
	narrowDecimal32 = 9  // int32
	narrowDecimal64 = 18 // int64, and the vocabulary's
)

// holdsTimestamp reports whether the engine has a timestamp of that number.
func holdsTimestamp(micros int64) bool {
	return micros >= minTimestamp || micros == -penstock.TimestampInfinity
}

// holdsDate reports whether the engine has a date of that number.
func holdsDate(days int32) bool { return days >= minDate || days == -penstock.DateInfinity }

// holdsTime reports whether the engine has a time of that number.
func holdsTime(micros int64) bool { return micros >= 0 && micros <= dayMicros }

// holdsTimeTZ reports whether the engine has a time with that zone.
func holdsTimeTZ(micros int64, secondsEast int32) bool {
	return holdsTime(micros) && -maxZoneSeconds <= secondsEast && secondsEast <= maxZoneSeconds
}

// packTimeTZ returns the engine's form of a time with a zone: the time above,
// the zone below, counted down from its largest value so that it sorts.
func packTimeTZ(micros int64, secondsEast int32) uint64 {
	return uint64(micros)<<timeTZZoneBits | uint64(maxZoneSeconds-secondsEast)
}

func unpackTimeTZ(bits uint64) (micros int64, secondsEast int32) {
	return int64(bits >> timeTZZoneBits), maxZoneSeconds - int32(bits&(1<<timeTZZoneBits-1))
}

// powersOfTen[p] is the smallest number of more than p digits, as an int128.
var powersOfTen = func() (t [penstock.MaxDecimalPrecision + 1]struct {
	hi int64
	lo uint64
}) {
	t[0].lo = 1
	for p := 1; p < len(t); p++ {
		hi, lo := mul10(uint64(t[p-1].hi), t[p-1].lo)
		t[p].hi, t[p].lo = int64(hi), lo
	}
	return t
}()

// holdsDecimal reports whether a number has at most p digits.
func holdsDecimal(hi int64, lo uint64, p uint8) bool {
	if hi < 0 { // its absolute value
		lo = -lo
		hi = ^hi
		if lo == 0 {
			hi++
		}
		if hi < 0 {
			return false
		}
	}
	top := powersOfTen[p]
	return hi < top.hi || hi == top.hi && lo < top.lo
}
