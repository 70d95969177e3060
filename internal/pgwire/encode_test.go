package pgwire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"penstock"
	"penstock/internal/testdb/dbtest"
)

// encodings are literals per type, to be written by PostgreSQL and by us.
var encodings = []struct {
	sql    string
	typ    penstock.Type
	values []string
}{
	{"bool", penstock.Type{Kind: penstock.TypeBool}, []string{"t", "f"}},
	{"int2", penstock.Type{Kind: penstock.TypeInt16}, []string{"0", "-32768", "32767"}},
	{"int4", penstock.Type{Kind: penstock.TypeInt32}, []string{"0", "-2147483648", "2147483647"}},
	{"int8", penstock.Type{Kind: penstock.TypeInt64}, []string{"0", "-9223372036854775808", "9223372036854775807"}},
	{"float4", penstock.Type{Kind: penstock.TypeFloat32}, []string{
		"0", "-0", "1", "0.1", "1e-4", "0.0001234", "9.9999e-5", "123456", "999999", "1e6", "1234567", "3.4028235e38", "1e-45",
		"NaN", "Infinity", "-Infinity", "16777216", "-2.5",
	}},
	{"float8", penstock.Type{Kind: penstock.TypeFloat64}, []string{
		"0", "-0", "1", "0.1", "0.30000000000000004", "1e-4", "9.9e-5", "1e-7", "123456789012345", "999999999999999", "1e15", "1e16",
		"1.7976931348623157e308", "5e-324", "NaN", "Infinity", "-Infinity", "-123.456", "1e100", "9007199254740993",
	}},
	{"numeric(9,2)", penstock.Type{Kind: penstock.TypeDecimal, Precision: 9, Scale: 2}, []string{
		"0", "0.01", "-0.01", "1", "10000", "9999.99", "-1234567.89", "100.10", "9990000",
	}},
	{"numeric(18,0)", penstock.Type{Kind: penstock.TypeDecimal, Precision: 18}, []string{"0", "-1", "999999999999999999", "10000", "100000000"}},
	{"numeric(5,5)", penstock.Type{Kind: penstock.TypeDecimal, Precision: 5, Scale: 5}, []string{"0", "0.00001", "-0.99999", "0.1"}},
	{"numeric(38,0)", penstock.Type{Kind: penstock.TypeDecimal, Precision: 38}, []string{
		"0", "1", "-1", "18446744073709551615", "18446744073709551616", "10000000000000000000", "-10000000000000000000",
		"99999999999999999999999999999999999999", "-99999999999999999999999999999999999999", "100000000000000000000000000000000000",
	}},
	{"numeric(38,17)", penstock.Type{Kind: penstock.TypeDecimal, Precision: 38, Scale: 17}, []string{
		"0", "0.00000000000000001", "-123456789012345678901.00000000000000001", "1.5", "999999999999999999999.99999999999999999",
	}},
	{"text", penstock.Type{Kind: penstock.TypeText}, []string{"", "a", "grün 🐘", "with 'quotes'"}},
	{"json", penstock.Type{Kind: penstock.TypeJSON}, []string{`{"a": [1,  2]}`}},
	{"bytea", penstock.Type{Kind: penstock.TypeBytes}, []string{`\x`, `\x00ff10`}},
	{"date", penstock.Type{Kind: penstock.TypeDate}, []string{
		"2024-02-29", "1970-01-01", "1969-12-31", "2000-01-01", "0001-01-01", "0001-12-31 BC", "0044-03-15 BC", "4713-01-01 BC",
		"9999-12-31", "10000-01-01", "5874897-12-31", "infinity", "-infinity", "1900-02-28", "1900-03-01",
	}},
	{"time", penstock.Type{Kind: penstock.TypeTime}, []string{"00:00:00", "23:59:59.999999", "24:00:00", "12:34:56.7", "01:02:03.000100"}},
	{"timetz", penstock.Type{Kind: penstock.TypeTimeTZ}, []string{
		"00:00:00+00", "12:34:56.7+02", "12:34:56-03:30", "24:00:00+15:59:59", "01:02:03.000100-00:00:01",
	}},
	{"timestamp", penstock.Type{Kind: penstock.TypeTimestamp}, []string{
		"2024-02-29 12:34:56.789", "1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "0044-03-15 01:02:03 BC",
		"294246-12-31 23:59:59.999999", "4713-01-01 00:00:00 BC", "infinity", "-infinity", "2000-01-01 00:00:00.1",
	}},
	{"timestamptz", penstock.Type{Kind: penstock.TypeTimestampTZ}, []string{
		"2024-02-29 12:34:56.789+00", "1969-12-31 23:59:59.999999+00", "0044-03-15 01:02:03+00 BC", "infinity", "-infinity",
	}},
	{"interval", penstock.Type{Kind: penstock.TypeInterval}, []string{
		"0", "1 year", "-1 year", "1 mon", "2 years 3 mons", "-14 mons", "1 day", "-2 days", "1 mon -1 day", "-1 mon 2 days",
		"-1 mon 2 days 03:04:05", "01:02:03.456", "-01:02:03.456", "100 years 1000000:00:00.000001", "1 day -00:00:01", "-1 day 00:00:01",
		"-1 year -2 mons 3 days -04:05:06.7", "-00:00:00.000001",
	}},
	{"uuid", penstock.Type{Kind: penstock.TypeUUID}, []string{"01234567-89ab-cdef-0123-456789abcdef", "00000000-0000-0000-0000-000000000000"}},
}

// TestEncodingIsPostgreSQLs compares what we write with what a real server
// writes, in text and binary, and what we read of its binary with its text.
func TestEncodingIsPostgreSQLs(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	conn := db.Conn(t).PgConn()
	for _, e := range encodings {
		w := typeOf(penstock.ResultColumn{Type: e.typ})
		for _, value := range e.values {
			sql := fmt.Sprintf("SELECT '%s'::%s, '%[1]s'::%[2]s", strings.ReplaceAll(value, "'", "''"), e.sql)
			res := conn.ExecParams(t.Context(), sql, nil, nil, nil, []int16{0, 1}).Read()
			if res.Err != nil {
				t.Fatalf("%s: %v", sql, res.Err)
			}
			wantText, wantBinary := res.Rows[0][0], res.Rows[0][1]
			f := res.FieldDescriptions[0]
			if e.sql != "text" && (f.DataTypeOID != w.oid || f.DataTypeSize != w.size || f.TypeModifier != w.typmod) {
				t.Errorf("%s is described as %d/%d/%d, want %d/%d/%d", e.sql, w.oid, w.size, w.typmod, f.DataTypeOID, f.DataTypeSize, f.TypeModifier)
			}

			v := vectorOf(t, e.typ, wantBinary)
			if got := w.text(nil, &v, 0, &textStyle{extraFloatDigits: 1}); !bytes.Equal(got, wantText) {
				t.Errorf("%s %s: text %q, want %q", e.sql, value, got, wantText)
			}
			if got := w.binary(nil, &v, 0); !bytes.Equal(got, wantBinary) {
				t.Errorf("%s %s: binary %x, want %x", e.sql, value, got, wantBinary)
			}
			if e.typ.Kind == penstock.TypeBool {
				continue // true and t are both PostgreSQL's
			}
			got, err := parameterText(f.DataTypeOID, 1, wantBinary, 1)
			if err != nil || *got != string(wantText) {
				t.Errorf("%s %s: binary parameter read as %v (%v), want %q", e.sql, value, got, err, wantText)
			}
		}
	}
}

// TestFloatDigits compares extra_float_digits of zero and less with a real
// server, as Redshift's clients ask for it.
func TestFloatDigits(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	conn := db.Conn(t)
	for _, digits := range []int{0, -3, -15} {
		if _, err := conn.Exec(t.Context(), fmt.Sprintf("SET extra_float_digits = %d", digits)); err != nil {
			t.Fatal(err)
		}
		for _, f := range []float64{0, 1, 0.1, 1.0 / 3, 100000, 123456789.123456789, 1e15, 1e14, 1e-5, -2.5e-7} {
			var want8, want4 string
			err := conn.QueryRow(t.Context(), fmt.Sprintf("SELECT '%[1]g'::float8::text, '%[1]g'::float4::text", f), pgx.QueryExecModeSimpleProtocol).Scan(&want8, &want4)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(appendFloat(nil, f, 64, digits)); got != want8 {
				t.Errorf("float8 %g with %d: %s, want %s", f, digits, got, want8)
			}
			if got := string(appendFloat(nil, float64(float32(f)), 32, digits)); got != want4 {
				t.Errorf("float4 %g with %d: %s, want %s", f, digits, got, want4)
			}
		}
	}
}

// TestWideIntegers sends what the engine has and PostgreSQL has not.
func TestWideIntegers(t *testing.T) {
	t.Parallel()
	w := typeOf(penstock.ResultColumn{Type: penstock.Type{Kind: penstock.TypeText}, Engine: "HUGEINT"})
	if w.oid != oidNumeric {
		t.Fatalf("OID %d, want numeric", w.oid)
	}
	for _, s := range []string{"0", "-170141183460469231731687303715884105728", "170141183460469231731687303715884105727", "10000", "12"} {
		v := penstock.NewVector(penstock.Type{Kind: penstock.TypeText})
		v.AppendString(s)
		back, ok := numericToText(w.binary(nil, &v, 0))
		if !ok || back != s {
			t.Errorf("%s came back as %s", s, back)
		}
	}
}

// vectorOf makes a vector of one value out of PostgreSQL's binary form.
func vectorOf(t *testing.T, typ penstock.Type, b []byte) penstock.Vector {
	t.Helper()
	v := penstock.NewVector(typ)
	be := binary.BigEndian
	switch typ.Kind {
	case penstock.TypeBool:
		v.AppendBool(b[0] == 1)
	case penstock.TypeInt16:
		v.AppendInt16(int16(be.Uint16(b)))
	case penstock.TypeInt32, penstock.TypeFloat32:
		v.AppendInt32(int32(be.Uint32(b)))
	case penstock.TypeInt64, penstock.TypeFloat64, penstock.TypeTime:
		v.AppendInt64(int64(be.Uint64(b)))
	case penstock.TypeText, penstock.TypeJSON, penstock.TypeBytes:
		v.AppendBytes(b)
	case penstock.TypeDate:
		switch d := int32(be.Uint32(b)); d {
		case 1<<31 - 1:
			v.AppendInt32(penstock.DateInfinity)
		case -1 << 31:
			v.AppendInt32(-penstock.DateInfinity)
		default:
			v.AppendInt32(d + epochDays)
		}
	case penstock.TypeTimestamp, penstock.TypeTimestampTZ:
		switch m := int64(be.Uint64(b)); m {
		case 1<<63 - 1:
			v.AppendInt64(penstock.TimestampInfinity)
		case -1 << 63:
			v.AppendInt64(-penstock.TimestampInfinity)
		default:
			v.AppendInt64(m + epochMicros)
		}
	case penstock.TypeTimeTZ:
		v.AppendTimeTZ(int64(be.Uint64(b)), -int32(be.Uint32(b[8:])))
	case penstock.TypeInterval:
		v.AppendInterval(int32(be.Uint32(b[12:])), int32(be.Uint32(b[8:])), int64(be.Uint64(b)))
	case penstock.TypeUUID:
		v.AppendUUID([16]byte(b))
	case penstock.TypeDecimal:
		text, ok := numericToText(b)
		x, isInt := new(big.Int).SetString(strings.Replace(text, ".", "", 1), 10)
		if !ok || !isInt {
			t.Fatalf("%x is no numeric", b)
		}
		if typ.Precision <= 18 {
			v.AppendInt64(x.Int64())
			break
		}
		mask := new(big.Int).SetUint64(1<<64 - 1)
		lo := new(big.Int).And(x, mask).Uint64()
		hi := new(big.Int).Rsh(x, 64).Int64()
		v.AppendInt128(hi, lo)
	}
	return v
}
