package pgwire

import (
	"math"
	"strconv"

	"penstock"
)

const (
	microsPerSecond = int64(1_000_000)
	microsPerDay    = 86_400 * microsPerSecond
	// days from 1970-01-01, where the vocabulary counts from, to 2000-01-01,
	// where PostgreSQL does
	epochDays   = 10_957
	epochMicros = epochDays * microsPerDay
)

// civil returns the date that lies a number of days after 1970-01-01, in the
// Gregorian calendar carried on into the past; the year before 1 is 0.
func civil(days int64) (year int64, month, day int) {
	z := days + 719_468 // since 0000-03-01
	era := z / 146_097
	if z < 0 {
		era = (z - 146_096) / 146_097
	}
	doe := z - era*146_097
	yoe := (doe - doe/1460 + doe/36_524 - doe/146_096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = int(doy - (153*mp+2)/5 + 1)
	month = int(mp + 3)
	if month > 12 {
		month -= 12
	}
	year = yoe + era*400
	if month <= 2 {
		year++
	}
	return year, month, day
}

func appendPadded(dst []byte, x int64, width int) []byte {
	var buf [20]byte
	b := strconv.AppendInt(buf[:0], x, 10)
	for k := len(b); k < width; k++ {
		dst = append(dst, '0')
	}
	return append(dst, b...)
}

// appendCivil writes a date and reports whether BC is to follow it.
func appendCivil(dst []byte, days int64) (_ []byte, bc bool) {
	year, month, day := civil(days)
	if year <= 0 {
		bc = true
		year = 1 - year
	}
	dst = appendPadded(dst, year, 4)
	dst = append(dst, '-')
	dst = appendPadded(dst, int64(month), 2)
	dst = append(dst, '-')
	return appendPadded(dst, int64(day), 2), bc
}

func appendDate(dst []byte, days int32) []byte {
	switch days {
	case penstock.DateInfinity:
		return append(dst, "infinity"...)
	case -penstock.DateInfinity:
		return append(dst, "-infinity"...)
	}
	dst, bc := appendCivil(dst, int64(days))
	if bc {
		dst = append(dst, " BC"...)
	}
	return dst
}

// appendClock writes a time of day, up to 24:00:00.
func appendClock(dst []byte, micros int64) []byte {
	dst = appendPadded(dst, micros/(3600*microsPerSecond), 2)
	dst = append(dst, ':')
	dst = appendPadded(dst, micros/(60*microsPerSecond)%60, 2)
	dst = append(dst, ':')
	return appendSeconds(dst, micros%(60*microsPerSecond))
}

// appendSeconds writes seconds with two digits, and microseconds without the
// zeros at their end.
func appendSeconds(dst []byte, micros int64) []byte {
	dst = appendPadded(dst, micros/microsPerSecond, 2)
	fraction := micros % microsPerSecond
	if fraction == 0 {
		return dst
	}
	dst = append(dst, '.')
	dst = appendPadded(dst, fraction, 6)
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// appendOffset writes an offset from UTC as +hh, +hh:mm or +hh:mm:ss.
func appendOffset(dst []byte, east int32) []byte {
	sign := byte('+')
	if east < 0 {
		sign, east = '-', -east
	}
	dst = append(dst, sign)
	dst = appendPadded(dst, int64(east/3600), 2)
	if east%3600 != 0 {
		dst = append(dst, ':')
		dst = appendPadded(dst, int64(east/60%60), 2)
	}
	if east%60 != 0 {
		dst = append(dst, ':')
		dst = appendPadded(dst, int64(east%60), 2)
	}
	return dst
}

func appendTimestamp(dst []byte, micros int64, zone string) []byte {
	switch micros {
	case penstock.TimestampInfinity:
		return append(dst, "infinity"...)
	case -penstock.TimestampInfinity:
		return append(dst, "-infinity"...)
	}
	days := micros / microsPerDay
	clock := micros % microsPerDay
	if clock < 0 {
		days--
		clock += microsPerDay
	}
	dst, bc := appendCivil(dst, days)
	dst = append(dst, ' ')
	dst = append(appendClock(dst, clock), zone...)
	if bc {
		dst = append(dst, " BC"...)
	}
	return dst
}

// appendIntervalParts writes an interval in PostgreSQL's own style.
func appendIntervalParts(dst []byte, months, days int32, micros int64) []byte {
	switch {
	case months == math.MaxInt32 && days == math.MaxInt32 && micros == math.MaxInt64:
		return append(dst, "infinity"...)
	case months == math.MinInt32 && days == math.MinInt32 && micros == math.MinInt64:
		return append(dst, "-infinity"...)
	}
	start := len(dst)
	before := false // the part written last is negative
	part := func(x int32, unit string) {
		if x == 0 {
			return
		}
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		if before && x > 0 {
			dst = append(dst, '+')
		}
		dst = strconv.AppendInt(dst, int64(x), 10)
		dst = append(dst, ' ')
		dst = append(dst, unit...)
		if x != 1 {
			dst = append(dst, 's')
		}
		before = x < 0
	}
	part(months/12, "year")
	part(months%12, "mon")
	part(days, "day")
	if micros == 0 && len(dst) > start {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	u := uint64(micros)
	if micros < 0 {
		dst = append(dst, '-')
		u = -u
	} else if before {
		dst = append(dst, '+')
	}
	const hour = uint64(3600 * microsPerSecond)
	dst = appendPadded(dst, int64(u/hour), 2)
	dst = append(dst, ':')
	dst = appendPadded(dst, int64(u%hour)/(60*microsPerSecond), 2)
	dst = append(dst, ':')
	return appendSeconds(dst, int64(u)%(60*microsPerSecond))
}
