package duckdbtarget

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"penstock"
)

func ptr(s string) *string { return &s }

// render writes a result's rows as text, by the vocabulary's own values.
func render(rows *penstock.Rows) string {
	var b strings.Builder
	for i := range rows.Len() {
		if i > 0 {
			b.WriteString("; ")
		}
		for c := range rows.Vectors {
			if c > 0 {
				b.WriteString(", ")
			}
			b.WriteString(renderValue(&rows.Vectors[c], i))
		}
	}
	return b.String()
}

func renderValue(v *penstock.Vector, i int) string {
	if v.IsNull(i) {
		return "NULL"
	}
	switch t := v.Type(); t.Kind {
	case penstock.TypeBool:
		return fmt.Sprint(v.Bool(i))
	case penstock.TypeInt16:
		return fmt.Sprint(v.Int16(i))
	case penstock.TypeInt32, penstock.TypeDate:
		return fmt.Sprint(v.Int32(i))
	case penstock.TypeInt64, penstock.TypeTime, penstock.TypeTimestamp, penstock.TypeTimestampTZ:
		return fmt.Sprint(v.Int64(i))
	case penstock.TypeFloat32:
		return fmt.Sprint(v.Float32(i))
	case penstock.TypeFloat64:
		return fmt.Sprint(v.Float64(i))
	case penstock.TypeDecimal:
		if t.Width() == 8 {
			return fmt.Sprintf("%de-%d", v.Int64(i), t.Scale)
		}
		hi, lo := v.Int128(i)
		return fmt.Sprintf("%d:%de-%d", hi, lo, t.Scale)
	case penstock.TypeTimeTZ:
		m, z := v.TimeTZ(i)
		return fmt.Sprintf("%d%+d", m, z)
	case penstock.TypeInterval:
		m, d, us := v.Interval(i)
		return fmt.Sprintf("%d/%d/%d", m, d, us)
	case penstock.TypeUUID:
		return fmt.Sprintf("%x", v.UUID(i))
	}
	return v.Text(i)
}

func TestResultTypes(t *testing.T) {
	t.Parallel()
	w, _ := clientWarehouse(t)
	s := connect(t, w, "shop")
	for _, c := range []struct{ expr, engine, typ, value string }{
		{"true", "BOOLEAN", "bool", "true"},
		{"(-128)::TINYINT", "TINYINT", "int16", "-128"},
		{"255::UTINYINT", "UTINYINT", "int16", "255"},
		{"(-32768)::SMALLINT", "SMALLINT", "int16", "-32768"},
		{"65535::USMALLINT", "USMALLINT", "int32", "65535"},
		{"1", "INTEGER", "int32", "1"},
		{"4294967295::UINTEGER", "UINTEGER", "int64", "4294967295"},
		{"(-9223372036854775808)::BIGINT", "BIGINT", "int64", "-9223372036854775808"},
		{"18446744073709551615::UBIGINT", "UBIGINT", "decimal(20,0)", "0:18446744073709551615e-0"},
		{"(-1)::HUGEINT", "HUGEINT", "decimal(38,0)", "-1:18446744073709551615e-0"},
		{"170141183460469231731687303715884105727::HUGEINT", "HUGEINT", "decimal(38,0)", "9223372036854775807:18446744073709551615e-0"},
		{"340282366920938463463374607431768211455::UHUGEINT", "UHUGEINT", "text", "340282366920938463463374607431768211455"},
		{"'123456789012345678901234567890123456789012345678901234567890'::BIGNUM", "BIGNUM", "text", "123456789012345678901234567890123456789012345678901234567890"},
		{"1.5::FLOAT", "FLOAT", "float32", "1.5"},
		{"'nan'::DOUBLE", "DOUBLE", "float64", "NaN"},
		{"(-1.5)::DECIMAL(4,2)", "DECIMAL(4,2)", "decimal(4,2)", "-150e-2"},
		{"(-1.5)::DECIMAL(9,2)", "DECIMAL(9,2)", "decimal(9,2)", "-150e-2"},
		{"(-1.5)::DECIMAL(18,2)", "DECIMAL(18,2)", "decimal(18,2)", "-150e-2"},
		{"(-1.5)::DECIMAL(38,2)", "DECIMAL(38,2)", "decimal(38,2)", "-1:18446744073709551466e-2"},
		{"'x'", "VARCHAR", "text", "x"},
		{`'{"a":  1}'::JSON`, "JSON", "json", `{"a":  1}`},
		{`'\xFF'::BLOB`, "BLOB", "bytes", "\xff"},
		{"DATE '1970-01-02'", "DATE", "date", "1"},
		{"DATE 'infinity'", "DATE", "date", fmt.Sprint(penstock.DateInfinity)},
		{"TIME '24:00:00'", "TIME", "time", "86400000000"},
		{"'12:00:00+15:59:59'::TIMETZ", "TIME WITH TIME ZONE", "timetz", "43200000000+57599"},
		{"TIMESTAMP '1970-01-01 00:00:01'", "TIMESTAMP", "timestamp", "1000000"},
		{"TIMESTAMPTZ '1970-01-01 01:00:01+01'", "TIMESTAMP WITH TIME ZONE", "timestamptz", "1000000"},
		{"TIMESTAMP '-infinity'", "TIMESTAMP", "timestamp", fmt.Sprint(-math.MaxInt64)},
		{"'1970-01-01 00:00:01'::TIMESTAMP_S", "TIMESTAMP_S", "timestamp", "1000000"},
		{"'1970-01-01 00:00:01.5'::TIMESTAMP_MS", "TIMESTAMP_MS", "timestamp", "1500000"},
		{"'1970-01-01 00:00:01.123456789'::TIMESTAMP_NS", "TIMESTAMP_NS", "text", "1970-01-01 00:00:01.123456789"},
		{"INTERVAL '1 month -2 days 3 seconds'", "INTERVAL", "interval", "1/-2/3000000"},
		{"'00112233-4455-6677-8899-aabbccddeeff'::UUID", "UUID", "uuid", "00112233445566778899aabbccddeeff"},
		{"'a'::ENUM('a', 'b')", "ENUM", "text", "a"},
		{"[1, NULL, 3]", "INTEGER[]", "text", "[1, NULL, 3]"},
		{"[1, 2]::INTEGER[2]", "INTEGER[2]", "text", "[1, 2]"},
		{"{'a': 1, 'b': 'x'}", `STRUCT("a" INTEGER, "b" VARCHAR)`, "text", "{'a': 1, 'b': x}"},
		{"MAP {'k': [1]}", "MAP(VARCHAR, INTEGER[])", "text", "{k=[1]}"},
		{"'101'::BIT", "BIT", "text", "101"},
		{"NULL", "INTEGER", "int32", "NULL"},
		{"NULL::INTEGER", "INTEGER", "int32", "NULL"},
		{"7 / 2", "INTEGER", "int32", "3"},
	} {
		st, err := s.Prepare(t.Context(), "SELECT "+c.expr+" AS x")
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		col := st.Columns()[0]
		if col.Name != "x" || col.Engine != c.engine || col.Type.String() != c.typ {
			t.Errorf("%s: column %q is %s, handed out as %s; want %s as %s", c.expr, col.Name, col.Engine, col.Type, c.engine, c.typ)
		}
		rows, err := query(t, s, "SELECT "+c.expr+" AS x")
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
		} else if got := render(rows); got != c.value {
			t.Errorf("%s: got %s, want %s", c.expr, got, c.value)
		}
	}

	// Casts keep the order and the other columns.
	rows, err := query(t, s, "SELECT i, [i] AS l, i + 1 AS l FROM range(5) t(i) ORDER BY i DESC; -- end")
	if err != nil {
		t.Fatal(err)
	}
	if got := render(rows); got != "4, [4], 5; 3, [3], 4; 2, [2], 3; 1, [1], 2; 0, [0], 1" {
		t.Errorf("got %s", got)
	}
}

func TestParams(t *testing.T) {
	t.Parallel()
	w, _ := clientWarehouse(t)
	s := connect(t, w, "dev")
	if _, err := query(t, s, `CREATE TABLE p (b BOOLEAN, i2 SMALLINT, i4 INTEGER, i8 BIGINT, h HUGEINT, f FLOAT, d DOUBLE, n DECIMAL(10,2), n38 DECIMAL(38,5),
		v VARCHAR, j JSON, x BLOB, dt DATE, tm TIME, tz TIMETZ, ts TIMESTAMP, tstz TIMESTAMPTZ, iv INTERVAL, u UUID, l INTEGER[], e ENUM('a','b'))`); err != nil {
		t.Fatal(err)
	}
	texts := []string{"t", "-5", "7", "9223372036854775807", "170141183460469231731687303715884105727", "1.5", "-Infinity", "12345678.90", "-1.00001",
		"text", `{"a": 1}`, `\x00ff`, "infinity", "24:00:00", "12:00:00+02", "2020-01-01 00:00:00.000001", "2020-01-01 02:00:00+02", "1 mon 2 days 00:00:03",
		"00112233-4455-6677-8899-aabbccddeeff", "[1, 2]", "b"}
	args := make([]*string, len(texts))
	marks := make([]string, len(texts))
	for i := range texts {
		args[i], marks[i] = &texts[i], fmt.Sprintf("$%d", i+1)
	}
	st, err := s.Prepare(t.Context(), "INSERT INTO p VALUES ("+strings.Join(marks, ", ")+")")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(st.Params()); got != "[bool int16 int32 int64 decimal(38,0) float32 float64 decimal(10,2) decimal(38,5) text json bytes date time timetz timestamp timestamptz interval uuid invalid invalid]" {
		t.Errorf("parameter types: %s", got)
	}
	for range 2 {
		res, err := st.Query(t.Context(), args)
		if err != nil {
			t.Fatal(err)
		}
		if rows, err := res.Next(t.Context()); rows != nil || err != nil {
			t.Fatal(rows, err)
		}
		if res.Affected() != 1 {
			t.Errorf("%d rows changed, want 1", res.Affected())
		}
		res.Close()
	}
	rows, err := query(t, s, "SELECT * FROM p LIMIT 1")
	if err != nil {
		t.Fatal(err)
	}
	want := `true, -5, 7, 9223372036854775807, 9223372036854775807:18446744073709551615e-0, 1.5, -Inf, 1234567890e-2, -1:18446744073709451615e-5, ` +
		`text, {"a": 1}, ` + "\x00\xff" + `, 2147483647, 86400000000, 43200000000+7200, 1577836800000001, 1577836800000000, 1/2/3000000, 00112233445566778899aabbccddeeff, [1, 2], b`
	if got := render(rows); got != want {
		t.Errorf("stored\n%s\nwant\n%s", got, want)
	}
	for i := range args {
		args[i] = nil
	}
	if res, err := st.Query(t.Context(), args); err != nil {
		t.Errorf("all null: %v", err)
	} else {
		res.Close()
	}

	for _, c := range []struct {
		sql, arg, state string
	}{
		{"SELECT * FROM p WHERE i4 = $1", "x", "22P02"},
		{"SELECT * FROM p WHERE i2 = $1", "70000", "22003"},
		{"SELECT * FROM p WHERE b = $1", "maybe", "22P02"},
		{"SELECT * FROM p WHERE dt = $1", "yesterdayish", "22007"},
		{"SELECT * FROM p WHERE x = $1", "zz", "22P02"},
		{"SELECT * FROM p WHERE u = $1", "zz", "22P02"},
	} {
		if _, err := query(t, s, c.sql, ptr(c.arg)); stateOf(err) != c.state {
			t.Errorf("%s with %q: %v, want %s", c.sql, c.arg, err, c.state)
		}
	}
	if rows, err := query(t, s, "SELECT count(*) FROM p WHERE i4 = $1 AND v = $2 AND n < $3", ptr("7"), ptr("text"), ptr("12345678901.5")); err != nil || render(rows) != "2" {
		t.Errorf("%v, %v", rows, err)
	}
	if rows, err := query(t, s, "SELECT $1, $1 || 'y', $2::INT + 1", ptr("x"), ptr("41")); err != nil || render(rows) != "x, xy, 42" {
		t.Errorf("%v, %v", rows, err)
	}
	if rows, err := query(t, s, "SELECT count(*) FROM p WHERE n = $1", ptr("12345678.901")); err != nil || render(rows) != "0" {
		t.Errorf("a rounded parameter: %v, %v", rows, err)
	}
	if rows, err := query(t, s, "SELECT $1 + 1, i + CAST( $2 AS INT) FROM range(2) t(i)", ptr("41"), ptr("2")); err != nil || render(rows) != "42, 2; 42, 3" {
		t.Errorf("%v, %v", rows, err)
	}
	if rows, err := query(t, s, "SELECT [$1], 'it costs $1', $$ $1 $$ -- $1", ptr("x")); err != nil || render(rows) != "[x], it costs $1,  $1 " {
		t.Errorf("%v, %v", rows, err)
	}
	if rows, err := query(t, s, "SELECT i FROM range(10) t(i) ORDER BY i LIMIT $1 OFFSET $2", ptr("2"), ptr("3")); err != nil || render(rows) != "3; 4" {
		t.Errorf("%v, %v", rows, err)
	}
	if _, err := query(t, s, "SELECT $1", nil); err != nil {
		t.Error(err)
	}
	if _, err := query(t, s, "SELECT $1"); stateOf(err) != "08P01" {
		t.Errorf("a missing argument: %v", err)
	}
	if _, err := query(t, s, "SELECT $name", ptr("x")); stateOf(err) != "42P02" {
		t.Errorf("a named parameter: %v", err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	w, _ := clientWarehouse(t)
	s := connect(t, w, "shop")
	for sql, state := range map[string]string{
		"SELEC 1":                          "42601",
		"":                                 "42601",
		"-- nothing":                       "42601",
		"SELECT * FROM nowhere":            "42P01",
		"SELECT * FROM nowhere.nothing":    "42P01",
		"SELECT * FROM dev.public.nothing": "42P01",
		"SELECT nothing FROM orders":       "42703",
		"SELECT o.nothing FROM orders o":   "42703",
		"SELECT nofunction(1)":             "42883",
		"SELECT 1 / 0 AS x, 1 % 0":         "",
		"SELECT 'x'::INTEGER":              "22P02",
		"SELECT 99999::SMALLINT":           "22003",
		"SELECT 9223372036854775807 + 1":   "22003",
		"SELECT 'x'::DATE":                 "22007",
		"SELECT id, count(*) FROM orders":  "42803",
		"SELECT 1 WHERE 'x'":               "22P02",
		"SELECT id FROM orders, orders o2": "42702",
		"INSERT INTO orders VALUES (1)":    "42601",
		"SELECT * FROM missing.public.t":   "3D000",
		"SELECT 'a' + DATE '2020-01-01'":   "42883",
		"SELECT error('boo')":              "22023",
		"SELECT cast(1 AS notype)":         "42704",
	} {
		_, err := query(t, s, sql)
		if got := stateOf(err); got != state {
			t.Errorf("%s: %v, want %s", sql, err, state)
		}
		if err != nil && strings.Contains(err.Error(), w.cfg.Dir) {
			t.Errorf("%s: the error shows a path: %v", sql, err)
		}
	}
}

func TestStreaming(t *testing.T) {
	t.Parallel()
	w, _ := clientWarehouse(t)
	s := connect(t, w, "shop")
	st, err := s.Prepare(t.Context(), "SELECT i, repeat('x', 1000) FROM range(100000000) t(i)")
	if err != nil {
		t.Fatal(err)
	}
	res, err := st.Query(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for n := 0; n < 100_000; {
		rows, err := res.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n += rows.Len()
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.Sys) - int64(before.Sys); grown > 64<<20 {
		t.Errorf("reading a large result took %d MB", grown>>20)
	}
	// Another statement ends it.
	if rows, err := query(t, s, "SELECT 1"); err != nil || render(rows) != "1" {
		t.Fatal(rows, err)
	}
	if _, err := res.Next(t.Context()); stateOf(err) != "34000" {
		t.Errorf("the old result: %v", err)
	}
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	w, _ := clientWarehouse(t)
	const endless = "SELECT count(*) FROM range(1000000000000) t(i) WHERE i % 7 = 3"
	s := connect(t, w, "shop")
	done := make(chan error)
	go func() {
		_, err := query(t, s, endless)
		done <- err
	}()
	for {
		s.Interrupt() // nothing runs yet, perhaps
		select {
		case err := <-done:
			if stateOf(err) != "57014" {
				t.Errorf("interrupted: %v", err)
			}
		default:
			runtime.Gosched()
			continue
		}
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		st, err := s.Prepare(ctx, endless)
		if err == nil {
			_, err = st.Query(ctx, nil)
		}
		done <- err
	}()
	cancel()
	if err := <-done; stateOf(err) != "57014" {
		t.Errorf("canceled: %v", err)
	}
	if rows, err := query(t, s, "SELECT 1"); err != nil || render(rows) != "1" {
		t.Errorf("after an interrupt: %v, %v", rows, err)
	}

	// Close ends what runs.
	go func() {
		_, err := query(t, s, endless)
		done <- err
	}()
	s.Close()
	if err := <-done; err == nil {
		t.Error("a closed session went on")
	}
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	w, _ := clientWarehouse(t)
	s, other := connect(t, w, "dev"), connect(t, w, "dev")
	run := func(s penstock.Session, sql string) string {
		t.Helper()
		rows, err := query(t, s, sql)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return render(rows)
	}
	exec := func(s penstock.Session, sql, state string) {
		t.Helper()
		if err := s.Exec(t.Context(), sql); stateOf(err) != state || (err == nil) != (state == "") {
			t.Fatalf("%s: %v, want %q", sql, err, state)
		}
	}
	run(s, "CREATE TABLE t (i INTEGER)")
	exec(s, "COMMIT", "25P01")
	exec(s, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ WRITE", "")
	exec(s, "begin", "25001")
	run(s, "INSERT INTO t VALUES (1)")
	if got := run(other, "SELECT count(*) FROM t"); got != "0" {
		t.Errorf("another session sees %s rows before the commit", got)
	}
	exec(s, "COMMIT;", "")
	if got := run(other, "SELECT count(*) FROM t"); got != "1" {
		t.Errorf("another session sees %s rows after the commit", got)
	}
	exec(s, "START TRANSACTION", "")
	run(s, "DELETE FROM t")
	exec(s, "ROLLBACK", "")
	if got := run(s, "SELECT count(*) FROM t"); got != "1" {
		t.Errorf("%s rows after a rollback", got)
	}
	exec(s, "BEGIN READ ONLY", "")
	if _, err := query(t, s, "INSERT INTO t VALUES (2)"); stateOf(err) != "25006" {
		t.Errorf("a write in a read-only transaction: %v", err)
	}
	if _, err := query(t, s, "SELECT 1"); stateOf(err) != "25P02" {
		t.Errorf("in an aborted transaction: %v", err)
	}
	exec(s, "ROLLBACK", "")
	exec(s, "SET x = 1", "42501")
	exec(s, "COPY t TO 'x'", "42501")
	exec(s, "ROLLBACK TO x", "25P01")

	// One snapshot over a transaction.
	exec(s, "BEGIN", "")
	run(s, "SELECT * FROM t")
	run(other, "INSERT INTO t VALUES (2)")
	if got := run(s, "SELECT count(*) FROM t"); got != "1" {
		t.Errorf("a transaction sees %s rows", got)
	}
	exec(s, "END", "")

	// RETURNING, and the count of rows.
	st, err := s.Prepare(t.Context(), "UPDATE t SET i = i + 10 RETURNING i")
	if err != nil {
		t.Fatal(err)
	}
	if st.Kind() != penstock.StatementUpdate || len(st.Columns()) != 1 {
		t.Errorf("%s with columns %v", st.Kind(), st.Columns())
	}
	if got := run(s, "UPDATE t SET i = i + 10 RETURNING i"); got != "11; 12" {
		t.Errorf("RETURNING gave %s", got)
	}
	if got := run(s, "SELECT sum(i) FROM t"); got != "0:23e-0" {
		t.Errorf("sum is %s", got)
	}
}

func TestMaterialize(t *testing.T) {
	t.Parallel()
	w, _ := clientWarehouse(t)
	s := connect(t, w, "shop")
	columns := []penstock.ResultColumn{{Name: "integration_id", Type: penstock.Type{Kind: penstock.TypeText}}, {Name: "n", Type: penstock.Type{Kind: penstock.TypeInt64}}}
	for n := range int64(3) {
		rows := &penstock.Rows{Vectors: []penstock.Vector{penstock.NewVector(columns[0].Type), penstock.NewVector(columns[1].Type)}}
		rows.Vectors[0].AppendString("a long identifier that is not kept in place")
		rows.Vectors[1].AppendInt64(n)
		if err := s.Materialize(t.Context(), "svv_integration", columns, rows); err != nil {
			t.Fatal(err)
		}
		got, err := query(t, s, "SELECT n, integration_id FROM svv_integration")
		if err != nil || render(got) != fmt.Sprintf("%d, a long identifier that is not kept in place", n) {
			t.Fatalf("%v, %v", got, err)
		}
	}
	if _, err := query(t, connect(t, w, "shop"), "SELECT * FROM svv_integration"); stateOf(err) != "42P01" {
		t.Errorf("another session sees it: %v", err)
	}
}

func TestConnect(t *testing.T) {
	t.Parallel()
	w, _ := clientWarehouse(t)
	names, err := w.Databases(t.Context())
	if err != nil || strings.Join(names, " ") != "dev shop" {
		t.Errorf("databases: %v, %v", names, err)
	}
	for _, name := range []string{"", "nothing", "SHOP", "memory", "system"} {
		if _, err := w.Connect(t.Context(), name); penstock.KindOf(err) != penstock.KindNotFound {
			t.Errorf("connect to %q: %v", name, err)
		}
	}
}

// TestSchemaNamedLikeDatabase: the engine would not decide between the two.
func TestSchemaNamedLikeDatabase(t *testing.T) {
	t.Parallel()
	w, d := clientWarehouse(t)
	shape := d.entries["1"].Readable.Shape.Table
	shape.ID, shape.Schema = "2", "shop"
	if err := d.Ensure(t.Context(), &shape); err != nil {
		t.Fatal(err)
	}
	if err := d.Loaded(t.Context(), map[penstock.TableID]penstock.Snapshot{"2": "s"}); err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(t.Context(), "p", &penstock.Batch{Next: "q", Swap: []penstock.TableID{"2"}}); err != nil {
		t.Fatal(err)
	}
	s := connect(t, w, "shop")
	for _, sql := range []string{
		"SELECT count(*) FROM shop.orders", `SELECT count(*) FROM "shop" . "orders"`, "SELECT count(*) FROM shop.shop.orders",
		"SELECT (SELECT count(*) FROM shop.orders) + (SELECT count(*) FROM Shop.orders AS x)", "SELECT count(shop.orders.id) FROM shop.orders",
		"WITH ü AS (SELECT 'ä', * FROM shop.orders) SELECT count(*) FROM ü JOIN shop.orders o ON true",
	} {
		if rows, err := query(t, s, sql); err != nil || render(rows) != "0" {
			t.Errorf("%s: %v, %v", sql, rows, err)
		}
	}
}
