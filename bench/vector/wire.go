package vector

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"
)

// The columns of a row: id int64, qty int32, price decimal(12,2), at
// timestamp, paid bool, and three texts of 10 to 40 bytes.
const columns = 8

// wire returns n rows in the form of pgoutput's TupleData with values as text:
// for each column a kind ('t' or 'n'), a length and the text. One value in
// twenty is null, except ids.
func wire(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b []byte
	value := func(s string) {
		b = append(b, 't')
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	text := func() string {
		s := make([]byte, 10+r.IntN(31))
		for i := range s {
			s[i] = 'a' + byte(r.IntN(26))
		}
		return string(s)
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range n {
		for c := range columns {
			if c > 0 && r.IntN(20) == 0 {
				b = append(b, 'n')
				continue
			}
			switch c {
			case 0:
				value(fmt.Sprint(r.Int64N(1e12)))
			case 1:
				value(fmt.Sprint(r.Int32N(1e6) - 5e5))
			case 2:
				value(fmt.Sprintf("%d.%02d", r.IntN(1e6), r.IntN(100)))
			case 3:
				value(start.Add(time.Duration(r.Int64N(3e7)) * time.Second).Add(time.Duration(r.IntN(1e6)) * time.Microsecond).Format("2006-01-02 15:04:05.000000"))
			case 4:
				value([]string{"t", "f"}[r.IntN(2)])
			default:
				value(text())
			}
		}
	}
	return b
}

// next returns the next value of the tuple, nil for null, and what follows it.
func next(b []byte) (value, rest []byte) {
	if b[0] == 'n' {
		return nil, b[1:]
	}
	n := binary.BigEndian.Uint32(b[1:])
	return b[5 : 5+n], b[5+n:]
}

func parseInt(b []byte) int64 {
	negative := b[0] == '-'
	if negative {
		b = b[1:]
	}
	n := int64(0)
	for _, c := range b {
		n = n*10 + int64(c-'0')
	}
	if negative {
		return -n
	}
	return n
}

// parseCents parses a decimal with two digits after the point, unscaled.
func parseCents(b []byte) int64 {
	n := int64(0)
	for _, c := range b {
		if c != '.' {
			n = n*10 + int64(c-'0')
		}
	}
	return n
}

// parseTime parses 2006-01-02 15:04:05.000000 into microseconds since 1970.
func parseTime(b []byte) int64 {
	two := func(i int) int64 { return int64(b[i]-'0')*10 + int64(b[i+1]-'0') }
	y, m, d := two(0)*100+two(2), two(5), two(8)
	if m <= 2 {
		y, m = y-1, m+12
	}
	days := 365*y + y/4 - y/100 + y/400 + (153*(m-3)+2)/5 + d - 1 - 719468
	seconds := days*86400 + two(11)*3600 + two(14)*60 + two(17)
	return seconds*1e6 + parseInt(b[20:26])
}
