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
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

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
	since   int      // the first server version that has the type, or these values
}

const (
	plain     = `v::text`
	epoch     = `CASE WHEN NOT isfinite(v) THEN CASE WHEN v > 'epoch' THEN '9223372036854775807' ELSE '-9223372036854775807' END WHEN v >= '294247-01-10' THEN 'bad' ELSE (('x' || encode(timestamptz_send(v::timestamptz), 'hex'))::bit(64)::int8::numeric + 946684800000000)::text END`
	days      = `CASE WHEN isfinite(v) THEN (v - date '1970-01-01')::text WHEN v > 'epoch' THEN '2147483647' ELSE '-2147483647' END`
	clock     = `(extract(epoch FROM v) * 1000000)::int8::text`
	zoned     = `((extract(hour FROM v) * 3600 + extract(minute FROM v) * 60) * 1000000 + extract(microseconds FROM v))::int8::text || ' ' || extract(timezone FROM v)::int8::text`
	interval  = `('x' || substr(encode(interval_send(v), 'hex'), 25))::bit(32)::int4 || ' ' || ('x' || substr(encode(interval_send(v), 'hex'), 17, 8))::bit(32)::int4 || ' ' || ('x' || substr(encode(interval_send(v), 'hex'), 1, 16))::bit(64)::int8`
	elements  = `to_json(v)::text`
	textually = `to_json(v::text[])::text`
)

func unscaled(scale int) string {
	return fmt.Sprintf(`CASE WHEN v = 'NaN' THEN 'bad' ELSE trunc(v * 1e%d)::text END`, scale)
}

var typeCases = []typeCase{
	{"boolean", penstock.TypeBool, plain, []string{`true`, `false`}, 0},
	{"smallint", penstock.TypeInt16, plain, []string{`-32768`, `0`, `32767`}, 0},
	{"integer", penstock.TypeInt32, plain, []string{`-2147483648`, `-1`, `0`, `2147483647`}, 0},
	{"bigint", penstock.TypeInt64, plain, []string{`-9223372036854775808`, `-999999999999999999`, `0`, `1000000000000000000`, `9223372036854775807`}, 0},
	{"oid", penstock.TypeInt64, plain, []string{`0`, `4294967295`}, 0},
	{"real", penstock.TypeFloat32, `encode(float4send(v), 'hex')`, floats("1e-45", "3.4028235e38", "0.1", "16777217"), 0},
	{"double precision", penstock.TypeFloat64, `encode(float8send(v), 'hex')`, floats("5e-324", "1.7976931348623157e308", "0.1", "9007199254740993", "1e22"), 0},
	{"numeric(5,2)", penstock.TypeDecimal, unscaled(2), []string{`0`, `999.99`, `-999.99`, `0.01`, `-0.10`, `100`, `'NaN'`}, 0},
	{"numeric(5,5)", penstock.TypeDecimal, unscaled(5), []string{`0`, `0.99999`, `-0.00001`, `0.1`}, 0},
	{"numeric(18,9)", penstock.TypeDecimal, unscaled(9), []string{`999999999.999999999`, `-0.000000001`, `100000000`, `0.000100000`, `12345.0001`}, 0},
	{"numeric(38,0)", penstock.TypeDecimal, unscaled(0), []string{`99999999999999999999999999999999999999`, `-99999999999999999999999999999999999999`, `0`, `10000000000000000000000000000000000000`, `10000`, `18446744073709551616`, `'NaN'`}, 0},
	{"numeric(38,37)", penstock.TypeDecimal, unscaled(37), []string{`9.9999999999999999999999999999999999999`, `-0.0000000000000000000000000000000000001`, `1`, `0`, `0.0001`}, 0},
	{"numeric(38,38)", penstock.TypeDecimal, unscaled(38), []string{`0.99999999999999999999999999999999999999`, `-0.00000000000000000000000000000000000001`}, 0},
	{"numeric(20,3)", penstock.TypeDecimal, unscaled(3), []string{`12345678901234567.890`, `-0.001`, `1000`}, 0},
	{"numeric(40,2)", penstock.TypeText, plain, []string{`1.10`, `-0.01`, `'NaN'`}, 0},
	{"numeric", penstock.TypeText, plain, []string{`1.100`, `1.1`, `-0`, `1e-20`, `1e100`, `'NaN'`}, 0},
	{"text", penstock.TypeText, plain, []string{`''`, `'a'`, `E'\ttab\nline\\'`, `'NULL'`, `'ünïcödé 🚰'`, `repeat('long ', 5000)`}, 0},
	{"character varying(10)", penstock.TypeText, plain, []string{`''`, `'a '`}, 0},
	{"character(5)", penstock.TypeText, `rpad(v::text, 5)`, []string{`''`, `'a'`, `'abcde'`}, 0},
	{`"char"`, penstock.TypeText, plain, []string{`'a'`, `''`}, 0},
	{"name", penstock.TypeText, plain, []string{`'a name'`}, 0},
	{"bytea", penstock.TypeBytes, `encode(v, 'hex')`, []string{`''`, `'\x00'`, `'\xdeadbeef'`, `decode(repeat('ff', 5000), 'hex')`}, 0},
	{"date", penstock.TypeDate, days, []string{`'4714-11-24 BC'`, `'0001-12-31 BC'`, `'0001-01-01'`, `'1969-12-31'`, `'1970-01-01'`, `'2000-02-29'`, `'1900-03-01'`, `'5874897-12-31'`, `'infinity'`, `'-infinity'`}, 0},
	{"time", penstock.TypeTime, clock, []string{`'00:00'`, `'23:59:59.999999'`, `'24:00:00'`, `'12:00:00.5'`}, 0},
	{"time(3)", penstock.TypeTime, clock, []string{`'12:00:00.123'`}, 0},
	{"timetz", penstock.TypeTimeTZ, zoned, []string{`'00:00+00'`, `'23:59:59.999999-15:59:59'`, `'24:00:00+15:59:59'`, `'12:00+05:30'`, `'12:00-00:30'`, `'12:00-00:00:01'`}, 0},
	{"timestamp", penstock.TypeTimestamp, epoch, instants(""), 0},
	{"timestamp(3)", penstock.TypeTimestamp, epoch, []string{`'2024-01-02 03:04:05.678'`}, 0},
	{"timestamptz", penstock.TypeTimestampTZ, epoch, instants("+00"), 0},
	{"interval", penstock.TypeInterval, interval, []string{
		`'0'`, `'1 year 2 mons 3 days 04:05:06.789'`, `'-1 year -2 mons +3 days -04:05:06.789'`, `'1 mon -1 day'`, `'-1 mon 1 day'`,
		`'00:00:00.000001'`, `'-00:00:00.000001'`, `'25:00:00'`, `'-1 day 23:00'`,
		`make_interval(0, 2147483647) + make_interval(0, 0, 0, 2147483646, 2147483647, 59, 59.999999)`, `make_interval(0, -2147483647) + make_interval(0, 0, 0, -2147483648, -2147483647, 0, -0.000001)`}, 0},
	{"interval", penstock.TypeInterval, `CASE WHEN v > '0' THEN '2147483647 2147483647 9223372036854775807' ELSE '-2147483648 -2147483648 -9223372036854775808' END`, []string{`'infinity'`, `'-infinity'`}, 17},
	{"interval day to second(2)", penstock.TypeInterval, interval, []string{`'1 day 02:03:04.56'`}, 0},
	{"interval(3)", penstock.TypeInterval, interval, []string{`'1.234 sec'`}, 0},
	{"uuid", penstock.TypeUUID, `replace(v::text, '-', '')`, []string{`'00000000-0000-0000-0000-000000000000'`, `'A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11'`}, 0},
	{"json", penstock.TypeJSON, plain, []string{`'{"b": 1,  "a": 2, "a": 3}'`, `'null'`, `' 1.50 '`, `'"\u00e4"'`}, 0},
	{"jsonb", penstock.TypeJSON, plain, []string{`'{"b": 1,  "a": 2, "a": 3}'`, `'null'`, `'"ä\n"'`, `'[1e400]'`}, 0},

	{"integer[]", penstock.TypeJSON, elements, []string{`'{}'`, `'{1,NULL,-3}'`, `'{{1,2},{3,4}}'`, `'[0:1]={5,6}'`, `'[-2:-1][3:4]={{5,6},{7,8}}'`}, 0},
	{"numeric(10,2)[]", penstock.TypeJSON, elements, []string{`'{1.10,-0.01,NaN}'`}, 0},
	{"double precision[]", penstock.TypeJSON, elements, []string{`'{1e300,-1.5,NaN,Infinity,-Infinity}'`}, 0},
	{"boolean[]", penstock.TypeJSON, elements, []string{`'{t,f,NULL}'`}, 0},
	{"text[]", penstock.TypeJSON, elements, []string{`'{}'`, `ARRAY['', 'NULL', NULL, 'null', 'a b', '{', '}', ',', '"', '\', '\"', ' ', 'ünï🚰']`, `ARRAY[[['a']]]`, `ARRAY[E'\b\f\n\r\t\x01\x1f\x7f']`, `ARRAY['</script>', 'a''b']`}, 0},
	{"character(3)[]", penstock.TypeJSON, elements, []string{`ARRAY['a', NULL]`}, 0},
	{"bytea[]", penstock.TypeJSON, textually, []string{`ARRAY['\x00ff'::bytea, '']`}, 0},
	{"json[]", penstock.TypeJSON, elements, []string{`ARRAY['{"a": [1, "x\"y"]}', 'null', NULL, '"s"']::json[]`}, 0},
	{"jsonb[]", penstock.TypeJSON, elements, []string{`ARRAY['{"a": {"b": "\\"}}', '1']::jsonb[]`}, 0},
	{"timestamp[]", penstock.TypeJSON, textually, []string{`'{2024-01-02 03:04:05.6,infinity,0001-01-01 00:00:00 BC}'`}, 0},
	{"uuid[]", penstock.TypeJSON, textually, []string{`'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'`}, 0},
	{"interval[]", penstock.TypeJSON, textually, []string{`'{1 day,-00:00:01}'`}, 0},
	{"mood[]", penstock.TypeJSON, textually, []string{`'{happy,"so so",NULL}'`}, 0},
	{"oid[]", penstock.TypeJSON, `to_json(v::int8[])::text`, []string{`'{0,4294967295}'`}, 0},
	{"int2vector", penstock.TypeJSON, `'[' || replace(v::text, ' ', ',') || ']'`, []string{`'1 2 3'`, `''`}, 0},
	{"oidvector", penstock.TypeJSON, `'[' || replace(v::text, ' ', ',') || ']'`, []string{`'1 4294967295'`}, 0},
	{"box[]", penstock.TypeJSON, `to_json(v::text[])::text`, []string{`'{(1,1),(0,0);(3,3),(2,2);NULL}'`, `'{}'`}, 0},
	{"amount[]", penstock.TypeJSON, elements, []string{`'{1.10,NULL,NaN}'`}, 0},
	{"email[]", penstock.TypeJSON, elements, []string{`ARRAY['a@b', '1', 'true']::email[]`}, 0},
	{"document[]", penstock.TypeJSON, elements, []string{`ARRAY['{"a": 1}', '"x"']::document[]`}, 0},
	{"numbers[]", penstock.TypeJSON, textually, []string{`ARRAY['{1,2}']::numbers[]`}, 0},
	{"pair[]", penstock.TypeJSON, textually, []string{`ARRAY[ROW(1, 'a "b" \'), ROW(NULL, NULL)]::pair[]`}, 0},
	{"money[]", penstock.TypeJSON, textually, []string{`'{1.5,"$1,234.56"}'`}, 0},
	{"inet[]", penstock.TypeJSON, `to_json(v)::text`, []string{`'{10.0.0.1,10.0.0.0/8,::1,fe80::/10}'`}, 0},
	{"date[]", penstock.TypeJSON, textually, []string{`'{2024-02-29,infinity,-infinity,"0044-03-15 BC",10000-01-01}'`}, 0},
	{"timestamptz[]", penstock.TypeJSON, textually, []string{`'{2024-02-29 12:34:56.789+05}'`}, 0},
	{"real[]", penstock.TypeJSON, elements, []string{`'{0.1,-0,1e-45,3.4e38,NaN,-Infinity}'`}, 0},
	{"int4range[]", penstock.TypeJSON, textually, []string{`'{"[1,5)",empty,NULL}'`}, 0},
	{"bit(3)[]", penstock.TypeJSON, textually, []string{`'{101,000}'`}, 0},
	{"tsvector[]", penstock.TypeJSON, textually, []string{`ARRAY['a:1 ''it''''s'':2'::tsvector]`}, 0},
	{"name[]", penstock.TypeJSON, textually, []string{`'{a,"b c"}'`}, 0},
	{"mild[]", penstock.TypeJSON, textually, []string{`'{happy,"so so",NULL}'`}, 0},
	{"moods", penstock.TypeJSON, textually, []string{`'{happy,"so so",NULL}'`}, 0},
	{`"Odd ""t"`, penstock.TypeText, plain, []string{`'x'`}, 0},
	{`"Odd ""t"[]`, penstock.TypeJSON, textually, []string{`ARRAY['x', 'y"{},\ ']::"Odd ""t"[]`}, 0},

	{"mood", penstock.TypeText, plain, []string{`'happy'`, `'so so'`}, 0},
	{"mild", penstock.TypeText, plain, []string{`'happy'`, `'so so'`}, 0},
	{"milder", penstock.TypeText, plain, []string{`'happy'`}, 0},
	{"oddly", penstock.TypeText, plain, []string{`'x'`, `E'y"{},\\ '`}, 0},
	{"moodrange", penstock.TypeText, plain, []string{`moodrange('happy', 'so so')`}, 0},
	{"moodspan", penstock.TypeText, plain, []string{`moodrange('happy', 'so so')`}, 0},
	{"span", penstock.TypeText, plain, []string{`'[1,5)'`}, 0},
	{"spans", penstock.TypeText, plain, []string{`'{[1,5),[7,)}'`}, 14},
	{"codes", penstock.TypeJSON, elements, []string{`ARRAY['ab', 'c']::codes`}, 0},
	{"moodpair", penstock.TypeText, plain, []string{`ROW(1, 'so so')`}, 0},
	{"moodycouple", penstock.TypeText, plain, []string{`ROW(1, 'so so')`}, 0},
	{"amount", penstock.TypeDecimal, unscaled(2), []string{`12.34`}, 0},
	{"email", penstock.TypeText, plain, []string{`'a@b'`}, 0},
	{"numbers", penstock.TypeJSON, elements, []string{`'{1,2}'`}, 0},
	{"pair", penstock.TypeText, plain, []string{`ROW(1, 'a "b"')`, `ROW(NULL, '')`}, 0},
	{"inet", penstock.TypeText, `textin(inet_out(v))`, []string{`'10.0.0.1'`, `'10.0.0.0/8'`, `'::1'`, `'2001:db8::ff00:42:8329/64'`, `'::ffff:1.2.3.4'`}, 0},
	{"cidr", penstock.TypeText, plain, []string{`'10.0.0.0/8'`, `'2001:db8::/32'`}, 0},
	{"macaddr8", penstock.TypeText, plain, []string{`'08:00:2b:01:02:03:04:05'`}, 0},
	{"macaddr", penstock.TypeText, plain, []string{`'08:00:2b:01:02:03'`}, 0},
	{"money", penstock.TypeText, plain, []string{`1234.5`, `-0.01`}, 0},
	{"int4range", penstock.TypeText, plain, []string{`'[1,5)'`, `'empty'`, `'(,)'`}, 0},
	{"int4multirange", penstock.TypeText, plain, []string{`'{}'`, `'{[1,5),[7,)}'`}, 14},
	{"textrange", penstock.TypeText, plain, []string{`textrange('a"b', 'c,d')`, `'empty'`}, 0},
	{"numrange", penstock.TypeText, plain, []string{`'[-1.50,NaN)'`}, 0},
	{"daterange", penstock.TypeText, plain, []string{`'[infinity,infinity]'`, `'[0044-03-15 BC,)'`}, 0},
	{"numeric(3,-2)", penstock.TypeText, plain, []string{`12345`, `-99900`}, 15},
	{"numeric(2,4)", penstock.TypeText, plain, []string{`0.0012`}, 15},
	{"numeric", penstock.TypeText, plain, []string{`'Infinity'`, `'-Infinity'`}, 14},
	{"numeric(1000,500)", penstock.TypeText, plain, []string{`repeat('9', 500)::numeric`, `-1`}, 0},
	{"numeric", penstock.TypeText, plain, []string{`repeat('7', 20000)::numeric`, `(repeat('7', 20000) || '.' || repeat('3', 16383))::numeric`}, 0},
	{"tstzrange", penstock.TypeText, plain, []string{`'[2024-01-01 00:00+00,)'`}, 0},
	{"bit(3)", penstock.TypeText, plain, []string{`B'101'`}, 0},
	{"bit varying", penstock.TypeText, plain, []string{`B''`, `B'1'`}, 0},
	{"bit varying(5)", penstock.TypeText, plain, []string{`B'10101'`}, 0},
	{"point", penstock.TypeText, `textin(point_out(v))`, []string{`'(1.5,-2)'`, `'(NaN,Infinity)'`, `'(1e-300,-1e300)'`}, 0},
	{"line", penstock.TypeText, `textin(line_out(v))`, []string{`'{1,2,3}'`}, 0},
	{"lseg", penstock.TypeText, `textin(lseg_out(v))`, []string{`'[(0,0),(1.5,1)]'`}, 0},
	{"box", penstock.TypeText, `textin(box_out(v))`, []string{`'(1,1),(0,0)'`}, 0},
	{"path", penstock.TypeText, `textin(path_out(v))`, []string{`'((0,0),(1,1),(2,0))'`, `'[(0,0),(1,1)]'`}, 0},
	{"polygon", penstock.TypeText, `textin(poly_out(v))`, []string{`'((0,0),(1,1),(2,0))'`}, 0},
	{"circle", penstock.TypeText, `textin(circle_out(v))`, []string{`'<(1,2),3.5>'`}, 0},
	{"tsquery", penstock.TypeText, plain, []string{`'a & !b | ''c d'':*A'`}, 0},
	{"jsonpath", penstock.TypeText, plain, []string{`'$.a[*] ? (@ > 1)'`}, 0},
	{"xid", penstock.TypeText, plain, []string{`'4294967295'`}, 0},
	{"xid8", penstock.TypeText, plain, []string{`'18446744073709551615'`}, 0},
	{"cid", penstock.TypeText, plain, []string{`'7'`}, 0},
	{"tid", penstock.TypeText, plain, []string{`'(0,1)'`}, 0},
	{"txid_snapshot", penstock.TypeText, plain, []string{`'10:20:10,14,15'`}, 0},
	{"pg_snapshot", penstock.TypeText, plain, []string{`'10:20:10,14,15'`}, 0},
	{"regtype", penstock.TypeText, plain, []string{`'integer'`, `'public.mood'`}, 0},
	{"regprocedure", penstock.TypeText, plain, []string{`'lower(text)'`}, 0},
	{"regoperator", penstock.TypeText, plain, []string{`'+(integer,integer)'`}, 0},
	{"regrole", penstock.TypeText, plain, []string{`'postgres'`}, 0},
	{"regnamespace", penstock.TypeText, plain, []string{`'public'`}, 0},
	{"refcursor", penstock.TypeText, plain, []string{`'c'`}, 0},
	{"public.hstore", penstock.TypeText, plain, []string{`'a=>1, "b c"=>NULL, "q\"\\"=>"x"'`, `''`}, 0},
	{"public.hstore[]", penstock.TypeJSON, textually, []string{`ARRAY['a=>"1,2"', '']::public.hstore[]`}, 0},
	{"public.citext", penstock.TypeText, plain, []string{`'MiXed'`}, 0},
	{"public.citext[]", penstock.TypeJSON, textually, []string{`ARRAY['MiXed', NULL]::public.citext[]`}, 0},
	{"public.ltree", penstock.TypeText, plain, []string{`'Top.Science.Astronomy'`, `''`}, 0},
	{"public.cube", penstock.TypeText, `textin(public.cube_out(v))`, []string{`'(1,2),(3,4)'`}, 0},
	{"public.isbn13", penstock.TypeText, plain, []string{`'978-0-393-04002-9'`}, 0},
	{"public.seg", penstock.TypeText, `textin(public.seg_out(v))`, []string{`'1.5 .. 2'`}, 0},
	{"tsvector", penstock.TypeText, plain, []string{`'a:1 b:2'`}, 0},
	{"xml", penstock.TypeText, `textin(xml_out(v))`, []string{`'<a b="c">ü</a>'`}, 0},
	{"pg_lsn", penstock.TypeText, plain, []string{`'16/B374D848'`}, 0},
	{"regclass", penstock.TypeText, plain, []string{`'pg_class'`}, 0},
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
	dbtest.EachVersion(t, testEveryType)
}

func testEveryType(t *testing.T, major int) {
	db := dbtest.SharedOf(t, major)
	db.Exec(t, `CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION cube; CREATE EXTENSION isn; CREATE EXTENSION seg`,
		`CREATE DOMAIN document AS json`, `CREATE TYPE textrange AS RANGE (subtype = text)`, `CREATE TYPE "Odd ""t" AS ENUM ('x', 'y"{},\ ')`,
		`CREATE TYPE mood AS ENUM ('happy', 'so so')`, `CREATE DOMAIN amount AS numeric(9,2)`,
		`CREATE DOMAIN mail AS varchar(20)`, `CREATE DOMAIN email AS mail`, `CREATE DOMAIN numbers AS int[]`, `CREATE TYPE pair AS (a int, b text)`,
		`CREATE DOMAIN mild AS mood`, `CREATE DOMAIN milder AS mild`, `CREATE DOMAIN moods AS mood[]`, `CREATE DOMAIN oddly AS "Odd ""t"`,
		`CREATE TYPE moodrange AS RANGE (subtype = mood)`, `CREATE DOMAIN moodspan AS moodrange`, `CREATE DOMAIN span AS int4range`,
		`CREATE DOMAIN codes AS character(3)[]`, `CREATE TYPE moodpair AS (a int, b mild)`, `CREATE DOMAIN moodycouple AS moodpair`)
	if db.Server.Binaries.Major >= 14 {
		db.Exec(t, `CREATE DOMAIN spans AS int4multirange`)
	}
	cases := slices.DeleteFunc(slices.Clone(typeCases), func(c typeCase) bool { return c.since > db.Server.Binaries.Major })
	for i, c := range cases {
		db.Exec(t, fmt.Sprintf(`CREATE TABLE t%03d (v %s)`, i, c.sqlType))
	}
	c, tables := testCapture(t, db)
	start, err := c.Prepare(t.Context(), "")
	noError(t, err)
	stream, err := c.Stream(t.Context(), start, tables, nil)
	noError(t, err)
	defer stream.Close()
	var insert strings.Builder
	insert.WriteString("BEGIN;")
	for i, c := range cases {
		for _, v := range append(slices.Clone(c.values), "NULL") {
			fmt.Fprintf(&insert, "INSERT INTO t%03d VALUES (%s);", i, v)
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
	load, err := c.Load(t.Context(), tables, nil)
	noError(t, err)
	defer load.Close()

	conn, err := c.source.connect(t.Context(), db.Name)
	noError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	for i := range tables {
		tc := cases[i]
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

// TestBuiltInTypes: what builtIn keeps of the types of one server is so in all versions,
// and a connection to another one need not ask for it.
func TestBuiltInTypes(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	known := map[typeRef]typeInfo{}
	dbtest.EachVersion(t, func(t *testing.T, major int) {
		db := dbtest.SharedOf(t, major)
		conn := db.Conn(t)
		_, err := conn.Exec(t.Context(), `SET search_path = pg_catalog`)
		noError(t, err)
		oids, err := collect[uint32](t.Context(), conn, `SELECT oid FROM pg_type WHERE oid < $1`, firstGenbki)
		noError(t, err)
		mods := slices.Repeat([]int32{-1}, len(oids))
		numeric := typeRef{1700, 786438} // numeric(12,2)
		oids, mods = append(oids, numeric.oid), append(mods, numeric.typmod)
		refs := make([]typeRef, len(oids))
		for i := range refs {
			refs[i] = typeRef{oids[i], mods[i]}
		}
		rows, err := conn.Query(t.Context(), typeQuery, oids, mods)
		noError(t, err)
		infos, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (i typeInfo, err error) {
			mu.Lock()
			defer mu.Unlock()
			var r typeRef
			err = row.Scan(&r.oid, &r.typmod, &i.name, &i.output, &i.printed, &i.element, &i.delimiter, &i.labels)
			if was, ok := known[r]; ok && was != i {
				t.Errorf("type %d is %+v in one version and %+v in another", r.oid, was, i)
			}
			known[r] = i
			return i, err
		})
		noError(t, err)
		if len(infos) < 150 {
			t.Errorf("%d types", len(infos))
		}
		noError(t, newTypeCache().resolve(t.Context(), conn, refs))
		again := newTypeCache()
		noError(t, again.resolve(t.Context(), nil, refs)) // there is no connection to ask
		if got := again.info(numeric).name; got != "numeric(12,2)" {
			t.Errorf("a numeric is called %q", got)
		}
	})
}

// testCapture returns a capture of all tables of a database.
func testCapture(t testing.TB, db *dbtest.Database) (*capture, []penstock.Table) {
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
