package verify

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"penstock"
)

// maxText is how much of a long value is shown.
const maxText = 200

// textOf returns a value as text for people to recognise it by, much as
// PostgreSQL prints it; nil for null.
func textOf(v *penstock.Vector, i int) *string {
	if v.IsNull(i) {
		return nil
	}
	s := text(v, i)
	if len(s) > maxText {
		cut := maxText
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return &s
}

func text(v *penstock.Vector, i int) string {
	switch t := v.Type(); t.Kind {
	case penstock.TypeBool:
		return strconv.FormatBool(v.Bool(i))
	case penstock.TypeInt16:
		return strconv.Itoa(int(v.Int16(i)))
	case penstock.TypeInt32:
		return strconv.Itoa(int(v.Int32(i)))
	case penstock.TypeInt64:
		return strconv.FormatInt(v.Int64(i), 10)
	case penstock.TypeFloat32:
		return strconv.FormatFloat(float64(v.Float32(i)), 'g', -1, 32)
	case penstock.TypeFloat64:
		return strconv.FormatFloat(v.Float64(i), 'g', -1, 64)
	case penstock.TypeDecimal:
		return decimal(v, i, t)
	case penstock.TypeBytes:
		b := v.Bytes(i)
		return `\x` + hex.EncodeToString(b[:min(len(b), maxText)])
	case penstock.TypeDate:
		if d := v.Int32(i); d != penstock.DateInfinity && d != -penstock.DateInfinity {
			return moment(time.Unix(int64(d)*86_400, 0), "-01-02")
		}
		return infinity(v.Int32(i) > 0)
	case penstock.TypeTime:
		return clock(v.Int64(i))
	case penstock.TypeTimeTZ:
		micros, east := v.TimeTZ(i)
		return clock(micros) + zone(east)
	case penstock.TypeTimestamp, penstock.TypeTimestampTZ:
		us := v.Int64(i)
		if us == penstock.TimestampInfinity || us == -penstock.TimestampInfinity {
			return infinity(us > 0)
		}
		layout := "-01-02 15:04:05.999999"
		if t.Kind == penstock.TypeTimestampTZ {
			layout += "-07"
		}
		return moment(time.UnixMicro(us), layout)
	case penstock.TypeInterval:
		months, days, micros := v.Interval(i)
		return fmt.Sprintf("%d months %d days %s", months, days, clock(micros))
	case penstock.TypeUUID:
		u := v.UUID(i)
		return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
	}
	return v.Text(i)
}

func infinity(positive bool) string {
	if positive {
		return "infinity"
	}
	return "-infinity"
}

// moment formats t by a layout that begins after the year.
func moment(t time.Time, layout string) string {
	t = t.UTC()
	year, era := t.Year(), ""
	if year <= 0 {
		year, era = 1-year, " BC"
	}
	return fmt.Sprintf("%04d", year) + t.Format(layout) + era
}

func clock(micros int64) string {
	sign := ""
	u := uint64(micros)
	if micros < 0 {
		sign, u = "-", -u
	}
	s := fmt.Sprintf("%s%02d:%02d:%02d", sign, u/3_600_000_000, u/60_000_000%60, u/1_000_000%60)
	if rest := u % 1_000_000; rest > 0 {
		s += strings.TrimRight(fmt.Sprintf(".%06d", rest), "0")
	}
	return s
}

func zone(east int32) string {
	sign := '+'
	if east < 0 {
		sign, east = '-', -east
	}
	s := fmt.Sprintf("%c%02d", sign, east/3600)
	if east%3600 > 0 {
		s += fmt.Sprintf(":%02d", east/60%60)
	}
	return s
}

// decimal puts the point where it belongs.
func decimal(v *penstock.Vector, i int, t penstock.Type) string {
	n := new(big.Int)
	if t.Width() == 8 {
		n.SetInt64(v.Int64(i))
	} else {
		hi, lo := v.Int128(i)
		n.Lsh(n.SetInt64(hi), 64)
		n.Add(n, new(big.Int).SetUint64(lo))
	}
	digits, sign := n.String(), ""
	if n.Sign() < 0 {
		digits, sign = digits[1:], "-"
	}
	scale := int(t.Scale)
	if scale == 0 {
		return sign + digits
	}
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale-len(digits)+1) + digits
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}
