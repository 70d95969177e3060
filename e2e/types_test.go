package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/jackc/pgx/v5"

	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

// typed is a column of one type with values that are hard to carry. Read is
// how the source is asked for what the warehouse should show; $ is the column.
type typed struct {
	sqlType string
	read    string // default: $
	values  []string
}

var zoo = []typed{
	{sqlType: "boolean", values: []string{"true", "false"}},
	{sqlType: "smallint", values: []string{"-32768", "32767", "0"}},
	{sqlType: "integer", values: []string{"-2147483648", "2147483647"}},
	{sqlType: "bigint", values: []string{"-9223372036854775808", "9223372036854775807"}},
	{sqlType: "numeric(10,2)", values: []string{"0", "-0.01", "99999999.99", "1.5"}},
	{sqlType: "numeric(38,0)", values: []string{"99999999999999999999999999999999999999", "-1"}},
	{sqlType: "numeric(38,37)", values: []string{"-9.9999999999999999999999999999999999999", "0.1"}},
	{sqlType: "numeric(5,5)", values: []string{"0.00001", "-0.99999"}},
	{sqlType: "numeric", values: []string{"0", "1.10", "-123456789012345678901234567890123456789012345678901234567890.123456789", "'NaN'", "1e-30"}},
	{sqlType: "real", values: []string{"0", "1.5", "-3.4028235e38", "'NaN'", "'Infinity'", "'-Infinity'", "1e-30"}},
	{sqlType: "double precision", values: []string{"0.1", "1e300", "-2.2250738585072014e-308", "'NaN'", "'Infinity'", "123456789.123456789"}},
	{sqlType: "text", values: []string{"''", "'plain'", "E'tab\\t newline\\n quote'' backslash\\\\'", "'ünïcödé 漢字 🚰'", "repeat('long', 20000)"}},
	{sqlType: "varchar(20)", values: []string{"'x'", "'trailing  '"}},
	{sqlType: "char(5)", values: []string{"'ab'", "''"}},
	{sqlType: "bytea", values: []string{"''", "'\\x00ff10'", "decode(repeat('00', 3000), 'hex')"}},
	{sqlType: "date", values: []string{"'2024-02-29'", "'1969-12-31'", "'0044-03-15 BC'", "'9999-12-31'", "'infinity'", "'-infinity'", "'10000-01-01'"}},
	{sqlType: "time", values: []string{"'00:00'", "'23:59:59.999999'", "'24:00'"}},
	{sqlType: "timetz", values: []string{"'12:34:56.789+02'", "'00:00:00-05:30'", "'01:02:03+00'"}},
	{sqlType: "timestamp", values: []string{"'2024-02-29 12:34:56.123456'", "'1900-01-01'", "'infinity'", "'-infinity'", "'0001-01-01 00:00:00 BC'", "'12345-06-07 08:09:10'"}},
	{sqlType: "timestamptz", values: []string{"'2024-02-29 12:34:56.1+05'", "'1960-01-01 00:00:00.000001+00'", "'infinity'", "'4000-01-01 BC'"}},
	{sqlType: "interval", values: []string{"'1 year 2 mons 3 days 04:05:06.789'", "'-1 day'", "'00:00'", "'-1 year +2 days -03:04:05'", "'100 hours'"}},
	{sqlType: "uuid", values: []string{"'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'80000000-0000-4000-8000-000000000001'"}},
	{sqlType: "json", values: []string{`'{"a": 1,  "b": [1, 2], "a": "twice"}'`, `'null'`, `'"text"'`}},
	{sqlType: "jsonb", values: []string{`'{"b": 1.50, "a": [null, true]}'`, `'[]'`, `'123456789012345678901234567890'`}},
	{sqlType: "int[]", read: "to_json($)", values: []string{"'{}'", "'{1,NULL,-3}'", "'{{1,2},{3,4}}'"}},
	{sqlType: "bigint[]", read: "to_json($)", values: []string{"'{9223372036854775807}'"}},
	{sqlType: "numeric(10,2)[]", read: "to_json($)", values: []string{"'{1.10,-2.00}'"}},
	{sqlType: "boolean[]", read: "to_json($)", values: []string{"'{t,f,NULL}'"}},
	{sqlType: "text[]", read: "to_json($)", values: []string{`'{a,"b c","quote\"backslash\\",NULL,"NULL","",ü}'`}},
	{sqlType: "jsonb[]", read: "to_json($)", values: []string{`ARRAY['{"a": 1}', '[1, 2]']::jsonb[]`}},
	{sqlType: "oid", values: []string{"4294967295", "0"}},
	{sqlType: "inet", values: []string{"'192.168.1.1'", "'10.0.0.0/8'", "'::1'"}},
	{sqlType: "macaddr", values: []string{"'08:00:2b:01:02:03'"}},
	{sqlType: "money", values: []string{"'$1,234.56'"}},
	{sqlType: "bit varying", values: []string{"B'10101'", "B''"}},
	{sqlType: "point", values: []string{"'(1.5,-2)'"}},
	{sqlType: "int4range", values: []string{"'[1,10)'", "'empty'"}},
	{sqlType: "xml", values: []string{"'<a b=\"c\">d</a>'"}},
	{sqlType: "tsvector", values: []string{"'fat cat'"}},
	{sqlType: "mood", values: []string{"'sad'", "'sehr glücklich'"}},
	{sqlType: "positive", values: []string{"1", "2147483647"}},
	{sqlType: "pair", values: []string{"ROW(1, 'a b')", "ROW(NULL, '')"}},
	{sqlType: "date[]", read: "to_json($::text[])", values: []string{"'{2024-02-29,infinity,\"0044-03-15 BC\"}'"}},
	{sqlType: "float8[]", read: "to_json($)", values: []string{"'{0.1,NaN,-Infinity,-0,1e300}'"}},
	{sqlType: "bytea[]", read: "to_json($::text[])", values: []string{`ARRAY['\xdeadbeef'::bytea, '']`}},
	{sqlType: "pair[]", read: "to_json($::text[])", values: []string{`ARRAY[ROW(1, 'a "b" \')]::pair[]`}},
	{sqlType: "mood[]", read: "to_json($::text[])", values: []string{"'{sad,NULL}'"}},
	{sqlType: "box[]", read: "to_json($::text[])", values: []string{"'{(1,1),(0,0);(3,3),(2,2)}'"}},
	{sqlType: "hstore", values: []string{`'a=>1, "b c"=>NULL, "q\"\\"=>"x"'`}},
	{sqlType: "citext", values: []string{"'MiXed'"}},
	{sqlType: "ltree", values: []string{"'Top.Science'"}},
	{sqlType: "numeric(40,2)", values: []string{"-1.10", "'NaN'"}},
	{sqlType: "numeric(3,-2)", values: []string{"-99900"}},
	{sqlType: "int4multirange", values: []string{"'{[1,5),[7,)}'"}},
	{sqlType: "polygon", values: []string{"'((0,0),(1,1),(2,NaN))'"}},
	{sqlType: "path", values: []string{"'[(0,0),(1e-300,Infinity)]'"}},
	{sqlType: "macaddr8", values: []string{"'08:00:2b:01:02:03:04:05'"}},
	{sqlType: "tsquery", values: []string{"'a & !b:*A'"}},
	{sqlType: "xid8", values: []string{"'18446744073709551615'"}},
	{sqlType: "pg_lsn", values: []string{"'16/B374D848'"}},
	{sqlType: "regtype", read: "$::regtype::text", values: []string{"'integer'"}},
	{sqlType: `"char"`, values: []string{"'x'"}},
	{sqlType: "name", values: []string{"'a name'"}},
	{sqlType: "jsonpath", values: []string{"'$.a[*]'"}},
	{sqlType: "timestamp(0)", values: []string{"'294246-12-31 23:59:59'", "'4713-01-01 00:00:00 BC'"}},
	{sqlType: "text GENERATED ALWAYS AS (c11 || '-' || id) STORED"},
}

// named are tables whose names, and those of whose columns, are hard to carry.
var named = []string{
	`CREATE SCHEMA "My Schéma"`, `CREATE SCHEMA penstock`, `CREATE SCHEMA "SELECT"`,
	`CREATE TABLE "My Schéma"."tab.le ""q""" (id int PRIMARY KEY, "Col ""umn"" .x" text, "select" int, "ünï 漢" text)`,
	`CREATE TABLE "SELECT"."from" ("where" int PRIMARY KEY, "GROUP" int, "group" int, "Group" int)`,
	`CREATE TABLE "Case" (id int PRIMARY KEY, v text)`, `CREATE TABLE "case" (id int PRIMARY KEY, v text)`, `CREATE TABLE "CASE" (id int PRIMARY KEY, v text)`,
	`CREATE TABLE penstock.tables (id int PRIMARY KEY, entry text, rowid int, _hidden int, "~1" int)`,
	`CREATE TABLE "` + strings.Repeat("x", 63) + `" ("` + strings.Repeat("y", 63) + `" int PRIMARY KEY, " leading" int, "tab	" int)`,
	`CREATE TABLE _ (id int PRIMARY KEY, __ int)`,
}

// compareNamed compares all tables under the names that the mapping tells.
func compareNamed(t *testing.T, source, warehouse *pgx.Conn) {
	t.Helper()
	mapping := mustTable(t, warehouse, "SELECT source_schema_name, source_table_name, target_schema_name, target_table_name, source_column_name, target_column_name FROM svv_integration_table_mapping")
	type pair struct{ source, target []string }
	tables, columns := map[string]*pair{}, map[string]*pair{}
	for _, row := range mapping {
		f := strings.Split(row, "|")
		key := f[0] + "." + f[1]
		if tables[key] == nil {
			tables[key], columns[key] = &pair{f[:2], f[2:4]}, &pair{}
		}
		columns[key].source = append(columns[key].source, pgx.Identifier{f[4]}.Sanitize()+"::text")
		columns[key].target = append(columns[key].target, pgx.Identifier{f[5]}.Sanitize()+"::text")
	}
	if len(tables) != 1+8 {
		t.Errorf("%d tables are in the mapping: %q", len(tables), mapping)
	}
	for key, names := range tables {
		if names.source[1] == "zoo" {
			continue
		}
		query := func(c, n []string) string {
			return "SELECT " + strings.Join(c, ", ") + " FROM " + pgx.Identifier(n).Sanitize() + " ORDER BY 1"
		}
		want := mustTable(t, source, query(columns[key].source, names.source))
		await(t, "the rows of "+key, func() bool {
			return slices.Equal(mustTable(t, warehouse, query(columns[key].target, names.target)), want)
		})
	}
}

// TestTypes carries every type, loaded and streamed, and compares what a
// client of the warehouse reads with what a client of the source reads.
func TestTypes(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Fast: true, Settings: map[string]string{"lc_monetary": "C", "intervalstyle": "iso_8601", "datestyle": "German", "timezone": "Asia/Kathmandu", "bytea_output": "escape"}})
	ctx := t.Context()
	source, err := server.Conn(ctx, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close(context.Background())
	exec := func(sql string) {
		t.Helper()
		if _, err := source.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	exec("SET intervalstyle = postgres; SET datestyle = ISO; SET timezone = UTC; SET bytea_output = hex")
	exec("CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree")
	for _, sql := range named {
		exec(sql)
	}
	exec("CREATE TYPE mood AS ENUM ('sad', 'sehr glücklich'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE TYPE pair AS (a int, b text)")
	rows := 0
	names, types := []string{}, []string{}
	for i, z := range zoo {
		names = append(names, fmt.Sprintf("c%d", i))
		types = append(types, fmt.Sprintf("c%d %s", i, z.sqlType))
		rows = max(rows, len(z.values))
	}
	exec("CREATE TABLE zoo (id int PRIMARY KEY, " + strings.Join(types, ", ") + ")")
	insert := func(from int) {
		for r := range rows {
			values := []string{fmt.Sprint(from + r)}
			for _, z := range zoo {
				v := "NULL"
				if strings.Contains(z.sqlType, "GENERATED") {
					v = "DEFAULT"
				} else if r < len(z.values) {
					v = z.values[r]
				}
				values = append(values, v)
			}
			exec("INSERT INTO zoo VALUES (" + strings.Join(values, ", ") + ")")
		}
	}
	fill := func(n int) {
		for _, sql := range named {
			if table, definition, ok := strings.Cut(strings.TrimPrefix(sql, "CREATE TABLE "), " ("); ok {
				values := strings.Repeat(fmt.Sprintf(", %d", n), strings.Count(definition, ", "))
				exec(fmt.Sprintf("INSERT INTO %s VALUES (%d%s)", table, n, values))
			}
		}
	}
	insert(0)
	fill(1)
	p := newPenstock(t, server.URL("postgres"))
	if _, err := p.client(secretKey).CreateIntegration(ctx, &rds.CreateIntegrationInput{
		IntegrationName: aws.String("zoo"), SourceArn: aws.String(p.arn(t, "shop")), TargetArn: aws.String(p.arn(t, "analytics")), DataFilter: aws.String("include: postgres.*.*"),
	}); err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, p.client(secretKey), "zoo", "active")
	insert(100)
	fill(2)
	exec("UPDATE zoo SET id = id + 1000 WHERE id % 2 = 1")

	warehouse := p.warehouse(t, "postgres")
	await(t, "the last row", func() bool {
		return mustTable(t, warehouse, "SELECT count(*) FROM zoo WHERE id > 1000")[0] == mustTable(t, source, "SELECT count(*) FROM zoo WHERE id > 1000")[0]
	})
	for i, z := range zoo {
		read := z.read
		if read == "" {
			read = "$"
		}
		want := mustTable(t, source, fmt.Sprintf("SELECT id, %s, %s IS NULL FROM zoo ORDER BY id", strings.ReplaceAll(read, "$", names[i]), names[i]))
		got := mustTable(t, warehouse, fmt.Sprintf("SELECT id, %s, %s IS NULL FROM zoo ORDER BY id", names[i], names[i]))
		for r := range want {
			if r >= len(got) || got[r] != want[r] {
				t.Errorf("%s: the warehouse shows %.200q, the source %.200q", z.sqlType, got[min(r, len(got)-1)], want[r])
			}
		}
	}
	compareNamed(t, source, warehouse)
	p.wantVerified(t, "zoo")
}
