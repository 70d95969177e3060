package pgsource

import (
	"math"

	"penstock"
)

const (
	microsPerSecond = 1_000_000
	microsPerDay    = 86400 * microsPerSecond
	// maxTimestampDays bounds timestamps to what microseconds since 1970 can
	// count, the years to 294246. PostgreSQL counts from 2000 and so has thirty
	// years more, which are values that do not fit.
	maxTimestampDays = math.MaxInt64/microsPerDay - 1
	// pgEpochDays is 2000-01-01 in days since 1970-01-01.
	pgEpochDays = 10957
)

// scanner reads text from its front.
type scanner struct{ b []byte }

// digits reads at least one digit.
func (s *scanner) digits() (n int64, ok bool) {
	i := 0
	for i < len(s.b) && s.b[i] >= '0' && s.b[i] <= '9' && i < 18 {
		n = n*10 + int64(s.b[i]-'0')
		i++
	}
	s.b = s.b[i:]
	return n, i > 0
}

// accept reads c if it comes next.
func (s *scanner) accept(c byte) bool {
	if len(s.b) > 0 && s.b[0] == c {
		s.b = s.b[1:]
		return true
	}
	return false
}

func (s *scanner) acceptWord(w string) bool {
	if len(s.b) >= len(w) && string(s.b[:len(w)]) == w {
		s.b = s.b[len(w):]
		return true
	}
	return false
}

// fraction reads the digits after a decimal point, up to six, as microseconds.
func (s *scanner) fraction() (micros int64, ok bool) {
	unit := int64(microsPerSecond)
	for len(s.b) > 0 && s.b[0] >= '0' && s.b[0] <= '9' {
		if unit == 1 {
			return 0, false
		}
		unit /= 10
		micros += int64(s.b[0]-'0') * unit
		s.b = s.b[1:]
		ok = true
	}
	return micros, ok
}

// clock reads hours:minutes:seconds[.fraction] as microseconds.
func (s *scanner) clock() (micros int64, ok bool) {
	h, ok1 := s.digits()
	ok1 = ok1 && s.accept(':')
	m, ok2 := s.digits()
	ok2 = ok2 && s.accept(':')
	sec, ok3 := s.digits()
	if !ok1 || !ok2 || !ok3 {
		return 0, false
	}
	micros = (h*3600 + m*60 + sec) * microsPerSecond
	if s.accept('.') {
		f, ok := s.fraction()
		if !ok {
			return 0, false
		}
		micros += f
	}
	return micros, true
}

// zone reads +hh[:mm[:ss]] as seconds east of UTC.
func (s *scanner) zone() (seconds int64, ok bool) {
	sign := int64(1)
	if s.accept('-') {
		sign = -1
	} else if !s.accept('+') {
		return 0, false
	}
	unit := int64(3600)
	for {
		n, ok := s.digits()
		if !ok {
			return 0, false
		}
		seconds += n * unit
		unit /= 60
		if unit == 0 || !s.accept(':') {
			return sign * seconds, true
		}
	}
}

// daysFromCivil returns the days from 1970-01-01 to a date of the proleptic
// Gregorian calendar, in which year 0 is 1 BC.
func daysFromCivil(y, m, d int64) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	era := y / 400
	if y < 0 {
		era = (y - 399) / 400
	}
	yoe := y - era*400
	doy := (153*(m-3)+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468
}

// date reads year-month-day; the era follows later in the text.
func (s *scanner) date() (y, m, d int64, ok bool) {
	y, ok1 := s.digits()
	ok1 = ok1 && s.accept('-')
	m, ok2 := s.digits()
	ok2 = ok2 && s.accept('-')
	d, ok3 := s.digits()
	return y, m, d, ok1 && ok2 && ok3
}

// era reads " BC" if it is there and returns the astronomical year.
func (s *scanner) era(y int64) int64 {
	if s.acceptWord(" BC") {
		return 1 - y
	}
	return y
}

func textDate(v *penstock.Vector, b []byte) bool {
	switch string(b) {
	case "infinity":
		v.AppendInt32(penstock.DateInfinity)
		return true
	case "-infinity":
		v.AppendInt32(-penstock.DateInfinity)
		return true
	}
	s := scanner{b}
	y, m, d, ok := s.date()
	y = s.era(y)
	if !ok || len(s.b) > 0 {
		return false
	}
	v.AppendInt32(int32(daysFromCivil(y, m, d)))
	return true
}

// textTimestamp decodes both timestamp types: with TimeZone UTC the zone
// printed is +00.
func textTimestamp(v *penstock.Vector, b []byte) bool {
	switch string(b) {
	case "infinity":
		v.AppendInt64(penstock.TimestampInfinity)
		return true
	case "-infinity":
		v.AppendInt64(-penstock.TimestampInfinity)
		return true
	}
	s := scanner{b}
	y, m, d, ok := s.date()
	if !ok || !s.accept(' ') {
		return false
	}
	clock, ok := s.clock()
	if !ok {
		return false
	}
	var zone int64
	if len(s.b) > 0 && (s.b[0] == '+' || s.b[0] == '-') {
		if zone, ok = s.zone(); !ok {
			return false
		}
	}
	y = s.era(y)
	if len(s.b) > 0 {
		return false
	}
	days := daysFromCivil(y, m, d)
	if days > maxTimestampDays || days < -maxTimestampDays {
		return false
	}
	v.AppendInt64(days*microsPerDay + clock - zone*microsPerSecond)
	return true
}

func textTime(v *penstock.Vector, b []byte) bool {
	s := scanner{b}
	clock, ok := s.clock()
	if !ok || len(s.b) > 0 {
		return false
	}
	v.AppendInt64(clock)
	return true
}

func textTimeTZ(v *penstock.Vector, b []byte) bool {
	s := scanner{b}
	clock, ok := s.clock()
	if !ok {
		return false
	}
	zone, ok := s.zone()
	if !ok || len(s.b) > 0 {
		return false
	}
	v.AppendTimeTZ(clock, int32(zone))
	return true
}

// textInterval decodes IntervalStyle postgres: "-1 years +2 mons 3 days
// -04:05:06.789", each part optional, "00:00:00" if all are zero.
func textInterval(v *penstock.Vector, b []byte) bool {
	switch string(b) {
	case "infinity": // since PostgreSQL 17
		v.AppendInterval(math.MaxInt32, math.MaxInt32, math.MaxInt64)
		return true
	case "-infinity":
		v.AppendInterval(math.MinInt32, math.MinInt32, math.MinInt64)
		return true
	}
	s := scanner{b}
	var months, days, micros int64
	for first := true; len(s.b) > 0; first = false {
		if !first && !s.accept(' ') {
			return false
		}
		sign := int64(1)
		if s.accept('-') {
			sign = -1
		} else {
			s.accept('+')
		}
		rest := s.b
		n, ok := s.digits()
		if !ok {
			return false
		}
		switch {
		case s.acceptWord(" years"), s.acceptWord(" year"):
			months += sign * n * 12
		case s.acceptWord(" mons"), s.acceptWord(" mon"):
			months += sign * n
		case s.acceptWord(" days"), s.acceptWord(" day"):
			days += sign * n
		default:
			s.b = rest
			clock, ok := s.clock()
			if !ok {
				return false
			}
			micros += sign * clock
		}
	}
	if months != int64(int32(months)) || days != int64(int32(days)) {
		return false
	}
	v.AppendInterval(int32(months), int32(days), micros)
	return true
}

// fromPGDate turns COPY's days since 2000-01-01 into days since 1970-01-01.
func fromPGDate(d int32) int32 {
	switch d {
	case math.MaxInt32:
		return penstock.DateInfinity
	case math.MinInt32:
		return -penstock.DateInfinity
	}
	return d + pgEpochDays
}

// fromPGTimestamp turns COPY's microseconds since 2000 into those since 1970;
// ok is false for those that do not fit.
func fromPGTimestamp(t int64) (micros int64, ok bool) {
	switch t {
	case math.MaxInt64:
		return penstock.TimestampInfinity, true
	case math.MinInt64:
		return -penstock.TimestampInfinity, true
	}
	const limit = (maxTimestampDays + 1) * microsPerDay
	if t >= limit-pgEpoch {
		return 0, false
	}
	return t + pgEpoch, true
}
