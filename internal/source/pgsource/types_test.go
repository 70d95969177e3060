package pgsource

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"penstock"
	"penstock/internal/testdb/dbtest"
)

// typeCase is a type with values of it. The server itself says what a value
// must decode to: want is an SQL expression over v that gives it in the form
// of render, or "bad" for what cannot be held.
type typeCase struct {
	sqlType string
	kind    penstock.TypeKind
	want    string
	values  []string // SQL expressions
}

const (
	plain     = `v::text`
	epoch     = `CASE WHEN NOT isfinite(v) THEN CASE WHEN v > 'epoch' THEN '9223372036854775807' ELSE '-9223372036854775807' END WHEN v >= '294247-01-10' THEN 'bad' ELSE (extract(epoch FROM v) * 1000000)::numeric(30)::text END`
	days      = `CASE WHEN isfinite(v) THEN (v - date '1970-01-01')::text WHEN v > 'epoch' THEN '2147483647' ELSE '-2147483647' END`
	clock     = `(extract(epoch FROM v) * 1000000)::int8::text`
	zoned     = `((extract(hour FROM v) * 3600 + extract(minute FROM v) * 60) * 1000000 + extract(microseconds FROM v))::int8::text || ' ' || extract(timezone FROM v)::int8::text`
	interval  = `(extract(year FROM v) * 12 + extract(month FROM v))::int8::text || ' ' || extract(day FROM v)::int8::text || ' ' || (extract(hour FROM v)::numeric * 3600000000 + extract(minute FROM v) * 60000000 + extract(microseconds FROM v))::numeric(30)::text`
	elements  = `to_json(v)::text`
	textually = `to_json(v::text[])::text`
)

func unscaled(scale int) string {
	return fmt.Sprintf(`CASE WHEN v = 'NaN' THEN 'bad' ELSE trunc(v * 1e%d)::text END`, scale)
}

var typeCases = []typeCase{
	{"boolean", penstock.TypeBool, plain, []string{`true`, `false`}},
	{"smallint", penstock.TypeInt16, plain, []string{`-32768`, `0`, `32767`}},
	{"integer", penstock.TypeInt32, plain, []string{`-2147483648`, `-1`, `0`, `2147483647`}},
	{"bigint", penstock.TypeInt64, plain, []string{`-9223372036854775808`, `-999999999999999999`, `0`, `1000000000000000000`, `9223372036854775807`}},
	{"oid", penstock.TypeInt64, plain, []string{`0`, `4294967295`}},
	{"real", penstock.TypeFloat32, `encode(float4send(v), 'hex')`, floats("1e-45", "3.4028235e38", "0.1", "16777217")},
	{"double precision", penstock.TypeFloat64, `encode(float8send(v), 'hex')`, floats("5e-324", "1.7976931348623157e308", "0.1", "9007199254740993", "1e22")},
	{"numeric(5,2)", penstock.TypeDecimal, unscaled(2), []string{`0`, `999.99`, `-999.99`, `0.01`, `-0.10`, `100`, `'NaN'`}},
	{"numeric(5,5)", penstock.TypeDecimal, unscaled(5), []string{`0`, `0.99999`, `-0.00001`, `0.1`}},
	{"numeric(18,9)", penstock.TypeDecimal, unscaled(9), []string{`999999999.999999999`, `-0.000000001`, `100000000`, `0.000100000`, `12345.0001`}},
	{"numeric(38,0)", penstock.TypeDecimal, unscaled(0), []string{`99999999999999999999999999999999999999`, `-99999999999999999999999999999999999999`, `0`, `10000000000000000000000000000000000000`, `10000`, `18446744073709551616`, `'NaN'`}},
	{"numeric(38,37)", penstock.TypeDecimal, unscaled(37), []string{`9.9999999999999999999999999999999999999`, `-0.0000000000000000000000000000000000001`, `1`, `0`, `0.0001`}},
	{"numeric(38,38)", penstock.TypeDecimal, unscaled(38), []string{`0.99999999999999999999999999999999999999`, `-0.00000000000000000000000000000000000001`}},
	{"numeric(20,3)", penstock.TypeDecimal, unscaled(3), []string{`12345678901234567.890`, `-0.001`, `1000`}},
	{"numeric(40,2)", penstock.TypeText, plain, []string{`1.10`, `-0.01`, `'NaN'`}},
	{"numeric", penstock.TypeText, plain, []string{`1.100`, `1.1`, `-0`, `1e-20`, `1e100`, `'NaN'`}},
	{"text", penstock.TypeText, plain, []string{`''`, `'a'`, `E'\ttab\nline\\'`, `'NULL'`, `'ünïcödé 🚰'`, `repeat('long ', 5000)`}},
	{"character varying(10)", penstock.TypeText, plain, []string{`''`, `'a '`}},
	{"character(5)", penstock.TypeText, `rpad(v::text, 5)`, []string{`''`, `'a'`, `'abcde'`}},
	{`"char"`, penstock.TypeText, plain, []string{`'a'`, `''`}},
	{"name", penstock.TypeText, plain, []string{`'a name'`}},
	{"bytea", penstock.TypeBytes, `encode(v, 'hex')`, []string{`''`, `'\x00'`, `'\xdeadbeef'`, `decode(repeat('ff', 5000), 'hex')`}},
	{"date", penstock.TypeDate, days, []string{`'4714-11-24 BC'`, `'0001-12-31 BC'`, `'0001-01-01'`, `'1969-12-31'`, `'1970-01-01'`, `'2000-02-29'`, `'1900-03-01'`, `'5874897-12-31'`, `'infinity'`, `'-infinity'`}},
	{"time", penstock.TypeTime, clock, []string{`'00:00'`, `'23:59:59.999999'`, `'24:00:00'`, `'12:00:00.5'`}},
	{"time(3)", penstock.TypeTime, clock, []string{`'12:00:00.123'`}},
	{"timetz", penstock.TypeTimeTZ, zoned, []string{`'00:00+00'`, `'23:59:59.999999-15:59:59'`, `'24:00:00+15:59:59'`, `'12:00+05:30'`, `'12:00-00:30'`, `'12:00-00:00:01'`}},
	{"timestamp", penstock.TypeTimestamp, epoch, instants("")},
	{"timestamp(3)", penstock.TypeTimestamp, epoch, []string{`'2024-01-02 03:04:05.678'`}},
	{"timestamptz", penstock.TypeTimestampTZ, epoch, instants("+00")},
	{"interval", penstock.TypeInterval, interval, []string{
		`'0'`, `'1 year 2 mons 3 days 04:05:06.789'`, `'-1 year -2 mons +3 days -04:05:06.789'`, `'1 mon -1 day'`, `'-1 mon 1 day'`,
		`'00:00:00.000001'`, `'-00:00:00.000001'`, `'178956970 years 7 mons 2147483647 days 2562047788:00:54.775807'`,
		`'-178956970 years -8 mons -2147483647 days -2562047788:00:54.775807'`, `'25:00:00'`, `'-1 day 23:00'`}},
	{"interval day to second(2)", penstock.TypeInterval, interval, []string{`'1 day 02:03:04.56'`}},
	{"interval(3)", penstock.TypeInterval, interval, []string{`'1.234 sec'`}},
	{"uuid", penstock.TypeUUID, `replace(v::text, '-', '')`, []string{`'00000000-0000-0000-0000-000000000000'`, `'A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11'`}},
	{"json", penstock.TypeJSON, plain, []string{`'{"b": 1,  "a": 2, "a": 3}'`, `'null'`, `' 1.50 '`, `'"\u00e4"'`}},
	{"jsonb", penstock.TypeJSON, plain, []string{`'{"b": 1,  "a": 2, "a": 3}'`, `'null'`, `'"ä\n"'`, `'[1e400]'`}},

	{"integer[]", penstock.TypeJSON, elements, []string{`'{}'`, `'{1,NULL,-3}'`, `'{{1,2},{3,4}}'`, `'[0:1]={5,6}'`, `'[-2:-1][3:4]={{5,6},{7,8}}'`}},
	{"numeric(10,2)[]", penstock.TypeJSON, elements, []string{`'{1.10,-0.01,NaN}'`}},
	{"double precision[]", penstock.TypeJSON, elements, []string{`'{1e300,-1.5,NaN,Infinity,-Infinity}'`}},
	{"boolean[]", penstock.TypeJSON, elements, []string{`'{t,f,NULL}'`}},
	{"text[]", penstock.TypeJSON, elements, []string{`'{}'`, `ARRAY['', 'NULL', NULL, 'null', 'a b', '{', '}', ',', '"', '\', '\"', ' ', 'ünï🚰']`, `ARRAY[[['a']]]`, `ARRAY[E'\b\f\n\r\t\x01\x1f\x7f']`, `ARRAY['</script>', 'a''b']`}},
	{"character(3)[]", penstock.TypeJSON, elements, []string{`ARRAY['a', NULL]`}},
	{"bytea[]", penstock.TypeJSON, textually, []string{`ARRAY['\x00ff'::bytea, '']`}},
	{"json[]", penstock.TypeJSON, elements, []string{`ARRAY['{"a": [1, "x\"y"]}', 'null', NULL, '"s"']::json[]`}},
	{"jsonb[]", penstock.TypeJSON, elements, []string{`ARRAY['{"a": {"b": "\\"}}', '1']::jsonb[]`}},
	{"timestamp[]", penstock.TypeJSON, textually, []string{`'{2024-01-02 03:04:05.6,infinity,0001-01-01 00:00:00 BC}'`}},
	{"uuid[]", penstock.TypeJSON, textually, []string{`'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'`}},
	{"interval[]", penstock.TypeJSON, textually, []string{`'{1 day,-00:00:01}'`}},
	{"mood[]", penstock.TypeJSON, textually, []string{`'{happy,"so so",NULL}'`}},
	{"oid[]", penstock.TypeJSON, `to_json(v::int8[])::text`, []string{`'{0,4294967295}'`}},
	{"int2vector", penstock.TypeJSON, `'[' || replace(v::text, ' ', ',') || ']'`, []string{`'1 2 3'`, `''`}},
	{"oidvector", penstock.TypeJSON, `'[' || replace(v::text, ' ', ',') || ']'`, []string{`'1 4294967295'`}},
	{"box[]", penstock.TypeText, plain, []string{`'{(1,1),(0,0);(3,3),(2,2)}'`}},

	{"mood", penstock.TypeText, plain, []string{`'happy'`, `'so so'`}},
	{"amount", penstock.TypeDecimal, unscaled(2), []string{`12.34`}},
	{"email", penstock.TypeText, plain, []string{`'a@b'`}},
	{"numbers", penstock.TypeJSON, elements, []string{`'{1,2}'`}},
	{"pair", penstock.TypeText, plain, []string{`ROW(1, 'a "b"')`, `ROW(NULL, '')`}},
	{"inet", penstock.TypeText, `textin(inet_out(v))`, []string{`'10.0.0.1'`, `'10.0.0.0/8'`, `'::1'`}},
	{"cidr", penstock.TypeText, plain, []string{`'10.0.0.0/8'`}},
	{"macaddr", penstock.TypeText, plain, []string{`'08:00:2b:01:02:03'`}},
	{"money", penstock.TypeText, plain, []string{`1234.5`, `-0.01`}},
	{"int4range", penstock.TypeText, plain, []string{`'[1,5)'`, `'empty'`, `'(,)'`}},
	{"tstzrange", penstock.TypeText, plain, []string{`'[2024-01-01 00:00+00,)'`}},
	{"bit(3)", penstock.TypeText, plain, []string{`B'101'`}},
	{"bit varying", penstock.TypeText, plain, []string{`B''`, `B'1'`}},
	{"point", penstock.TypeText, plain, []string{`'(1.5,-2)'`}},
	{"tsvector", penstock.TypeText, plain, []string{`'a:1 b:2'`}},
	{"xml", penstock.TypeText, `textin(xml_out(v))`, []string{`'<a b="c">ü</a>'`}},
	{"pg_lsn", penstock.TypeText, plain, []string{`'16/B374D848'`}},
	{"regclass", penstock.TypeText, plain, []string{`'pg_class'`}},
}

func floats(values ...string) []string {
	for i := range values {
		values[i] = "'" + values[i] + "'"
	}
	return append(values, `0`, `'-0'`, `'NaN'`, `'Infinity'`, `'-Infinity'`)
}

func instants(zone string) []string {
	out := []string{`'infinity'`, `'-infinity'`}
	for _, t := range []string{"4714-11-24 00:00:00%s BC", "0001-12-31 23:59:59.999999%s BC", "0001-01-01 00:00%s", "1969-12-31 23:59:59.999999%s",
		"1970-01-01 00:00%s", "2000-01-01 00:00%s", "2024-02-29 12:34:56.789%s", "294247-01-09 23:59:59.999999%s", "294247-01-10 00:00%s", "294276-12-31 23:59:59.999999%s"} {
		out = append(out, "'"+fmt.Sprintf(t, zone)+"'")
	}
	return out
}

// TestEveryType holds the two decoders of each type together, and both to what
// the server says: the rows are streamed as they are inserted, and loaded.
func TestEveryType(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, `CREATE TYPE mood AS ENUM ('happy', 'so so')`, `CREATE DOMAIN amount AS numeric(9,2)`,
		`CREATE DOMAIN mail AS varchar(20)`, `CREATE DOMAIN email AS mail`, `CREATE DOMAIN numbers AS int[]`, `CREATE TYPE pair AS (a int, b text)`)
	for i, c := range typeCases {
		db.Exec(t, fmt.Sprintf(`CREATE TABLE t%02d (v %s)`, i, c.sqlType))
	}
	c, tables := testCapture(t, db)
	start, err := c.Prepare(t.Context(), "")
	noError(t, err)
	stream, err := c.Stream(t.Context(), start, tables, nil)
	noError(t, err)
	defer stream.Close()
	var insert strings.Builder
	insert.WriteString("BEGIN;")
	for i, c := range typeCases {
		for _, v := range append(slices.Clone(c.values), "NULL") {
			fmt.Fprintf(&insert, "INSERT INTO t%02d VALUES (%s);", i, v)
		}
	}
	db.Exec(t, insert.String()+"COMMIT")
	var changes penstock.Changes
	for changes.Transactions == 0 {
		noError(t, stream.Next(t.Context(), &changes, 64<<20))
	}
	if len(changes.Reshaped) > 0 {
		t.Fatalf("tables %v are said to have another shape", changes.Reshaped)
	}
	load, err := c.Load(t.Context(), tables)
	noError(t, err)
	defer load.Close()

	conn, err := c.source.connect(t.Context(), db.Name)
	noError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	for i := range tables {
		tc := typeCases[i]
		table := &tables[i]
		if got := table.Columns[0].Type.Kind; got != tc.kind {
			t.Errorf("%s is carried as %s, want %s", tc.sqlType, table.Columns[0].Type, penstock.Type{Kind: tc.kind})
			continue
		}
		want, err := collect[*string](t.Context(), conn, fmt.Sprintf(`SELECT CASE WHEN NOT (v IS NULL) THEN %s END FROM public.%s ORDER BY ctid`, tc.want, table.Name))
		noError(t, err)
		streamed := changes.Table(table)
		loaded, bad := loadTable(t, load, table)
		check(t, tc, "streamed", &streamed.Rows, streamed.BadValues.Total(), want)
		check(t, tc, "loaded", loaded, bad, want)
	}
}

// testCapture returns a capture of all tables of a database.
func testCapture(t *testing.T, db *dbtest.Database) (*capture, []penstock.Table) {
	t.Helper()
	s, err := New(Config{Name: "test", URL: db.URL()})
	noError(t, err)
	f, err := s.ParseFilter("include: " + db.Name + ".*.*")
	noError(t, err)
	id := penstock.IntegrationID(fmt.Sprintf("%08x-0000-4000-8000-000000000001", rand.Uint32()))
	c := s.Capture(penstock.CaptureSpec{Integration: id, Database: db.Name, Filter: f}).(*capture)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Forget(context.WithoutCancel(t.Context()), id); err != nil {
			t.Error(err)
		}
	})
	tables, _, err := c.Tables(t.Context())
	noError(t, err)
	return c, tables
}

func loadTable(t *testing.T, load penstock.Load, table *penstock.Table) (rows *penstock.Rows, bad int64) {
	t.Helper()
	rows, part := penstock.NewRows(table), penstock.NewRows(table)
	for _, chunk := range load.Chunks() {
		if chunk.Table.ID != table.ID {
			continue
		}
		noError(t, load.Read(t.Context(), chunk, part, 4<<10, func(n penstock.BadValues) error {
			bad += n.Total()
			for i := range part.Len() {
				for c := range part.Vectors {
					rows.Vectors[c].AppendFrom(&part.Vectors[c], i)
				}
			}
			return nil
		}))
	}
	return rows, bad
}

// check compares a table's rows with what the server says; the last is null.
func check(t *testing.T, c typeCase, how string, rows *penstock.Rows, bad int64, want []*string) {
	t.Helper()
	v := &rows.Vectors[0]
	if v.Len() != len(want) {
		t.Errorf("%s: %d values %s, want %d", c.sqlType, v.Len(), how, len(want))
		return
	}
	wantBad := int64(0)
	for i, w := range want {
		got := render(v, i)
		switch {
		case w == nil:
			if !v.IsNull(i) {
				t.Errorf("%s: %s value %d is %q, want null", c.sqlType, how, i, got)
			}
			continue
		case *w == "bad":
			wantBad++
			if !v.IsNull(i) {
				t.Errorf("%s %s: %s value is %q, want null", c.sqlType, c.values[i], how, got)
			}
			continue
		case v.IsNull(i):
			t.Errorf("%s %s: %s value is null", c.sqlType, c.values[i], how)
			continue
		}
		if got == *w {
			continue
		}
		if isArray := c.kind == penstock.TypeJSON && c.want != plain; !isArray || !sameJSON(got, *w) {
			t.Errorf("%s %s: %s value is %.200q, want %.200q", c.sqlType, c.values[i], how, got, *w)
		}
	}
	if bad != wantBad {
		t.Errorf("%s: %d bad values %s, want %d", c.sqlType, bad, how, wantBad)
	}
}

func sameJSON(a, b string) bool {
	parse := func(s string) (x any, ok bool) {
		d := json.NewDecoder(strings.NewReader(s))
		d.UseNumber()
		return x, d.Decode(&x) == nil && !d.More()
	}
	x, ok1 := parse(a)
	y, ok2 := parse(b)
	return ok1 && ok2 && reflect.DeepEqual(x, y)
}

// render writes a value in the form of typeCase.want.
func render(v *penstock.Vector, i int) string {
	if v.IsNull(i) {
		return "null"
	}
	switch v.Type().Kind {
	case penstock.TypeBool:
		return fmt.Sprint(v.Bool(i))
	case penstock.TypeInt16:
		return fmt.Sprint(v.Int16(i))
	case penstock.TypeInt32, penstock.TypeDate:
		return fmt.Sprint(v.Int32(i))
	case penstock.TypeInt64, penstock.TypeTime, penstock.TypeTimestamp, penstock.TypeTimestampTZ:
		return fmt.Sprint(v.Int64(i))
	case penstock.TypeFloat32, penstock.TypeFloat64, penstock.TypeDecimal:
		b := slices.Clone(v.Raw(i))
		slices.Reverse(b)
		if v.Type().Kind == penstock.TypeDecimal {
			return signed(b)
		}
		return hex.EncodeToString(b)
	case penstock.TypeTimeTZ:
		micros, zone := v.TimeTZ(i)
		return fmt.Sprint(micros, zone)
	case penstock.TypeInterval:
		months, days, micros := v.Interval(i)
		return fmt.Sprint(months, days, micros)
	case penstock.TypeBytes, penstock.TypeUUID:
		return hex.EncodeToString(v.Raw(i))
	}
	return string(bytes.Clone(v.Raw(i)))
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// signed reads a big-endian two's complement number.
func signed(b []byte) string {
	n := new(big.Int).SetBytes(b)
	if b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n.String()
}
