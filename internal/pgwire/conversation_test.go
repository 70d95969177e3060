package pgwire

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"penstock"
)

func insert(n int64) *fakeAnswer { return &fakeAnswer{affected: n} }

func query(sql string) *pgproto3.Query { return &pgproto3.Query{String: sql} }

func TestSimpleQuery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.w.on("SELECT i FROM n", numbers(4))
	b.w.on("INSERT", insert(2))
	b.w.on("CREATE TABLE x(i int)", &fakeAnswer{kind: penstock.StatementDDL})
	w := b.login(t)
	for _, c := range []struct {
		sql  string
		want []string
	}{
		{"", []string{"EmptyQueryResponse", "Ready I"}},
		{" -- nothing\n;;", []string{"EmptyQueryResponse", "Ready I"}},
		{"SELECT i FROM n;", []string{"Columns i:23:0", "Row 1", "Row 2", "Row 3", "Row 4", "Complete SELECT 4", "Ready I"}},
		{"CREATE TABLE x(i int)", []string{"Complete CREATE TABLE", "Ready I"}},
		{"missing", []string{"ERROR 42P01 Table does not exist: missing", "Ready I"}},
		{"COPY t FROM '/etc/passwd'", []string{"ERROR 42501 permission denied: COPY would reach files outside the warehouse", "Ready I"}},
		{"COPY t FROM STDIN", []string{"ERROR 0A000 COPY is not supported", "Ready I"}},
		{"ATTACH 'x'", []string{"ERROR 42501 permission denied: ATTACH would reach files or the configuration of the warehouse", "Ready I"}},
		{"SAVEPOINT a", []string{"ERROR 0A000 SAVEPOINT is not supported", "Ready I"}},
		{"\xff", []string{`ERROR 22021 invalid byte sequence for encoding "UTF8"`, "Ready I"}},
	} {
		w.send(query(c.sql))
		w.expect(c.want...)
	}
	b.w.history()

	// Several statements are one transaction.
	w.send(query("INSERT; INSERT"))
	w.expect("Complete INSERT 0 2", "Complete INSERT 0 2", "Ready I")
	w.send(query("INSERT; missing; INSERT"))
	w.expect("Complete INSERT 0 2", "ERROR 42P01 Table does not exist: missing", "Ready I")
	w.send(query("INSERT"))
	w.expect("Complete INSERT 0 2", "Ready I")
	w.send(query("BEGIN; INSERT; COMMIT; INSERT"))
	w.expect("Complete BEGIN", "Complete INSERT 0 2", "Complete COMMIT", "Complete INSERT 0 2", "Ready I")
	w.send(query("INSERT; BEGIN; INSERT"))
	w.expect("Complete INSERT 0 2", "Complete BEGIN", "Complete INSERT 0 2", "Ready T")
	w.send(query("ROLLBACK; SELECT i FROM n"))
	w.expect("Complete ROLLBACK", "Columns i:23:0", "Row 1", "Row 2", "Row 3", "Row 4", "Complete SELECT 4", "Ready I")
	want := strings.Fields("BEGIN INSERT INSERT COMMIT BEGIN INSERT ROLLBACK INSERT BEGIN INSERT COMMIT BEGIN INSERT COMMIT " +
		"BEGIN INSERT INSERT ROLLBACK BEGIN SELECT COMMIT")
	var got []string
	for _, h := range b.w.history() {
		got = append(got, strings.Fields(h)[0])
	}
	if !slices.Equal(got, want) {
		t.Errorf("the engine ran %v, want %v", got, want)
	}
}

func TestTransactionStatus(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.w.on("INSERT", insert(1))
	b.w.on("SELECT i FROM n", numbers(1))
	w := b.login(t)
	aborted := "ERROR 25P02 current transaction is aborted, commands ignored until end of transaction block"
	for _, c := range []struct {
		sql  string
		want []string
	}{
		{"COMMIT", []string{"WARNING 25P01 there is no transaction in progress", "Complete COMMIT", "Ready I"}},
		{"ROLLBACK", []string{"WARNING 25P01 there is no transaction in progress", "Complete ROLLBACK", "Ready I"}},
		{"START TRANSACTION", []string{"Complete START TRANSACTION", "Ready T"}},
		{"BEGIN", []string{"WARNING 25001 there is already a transaction in progress", "Complete BEGIN", "Ready T"}},
		{"INSERT", []string{"Complete INSERT 0 1", "Ready T"}},
		{"missing", []string{"ERROR 42P01 Table does not exist: missing", "Ready E"}},
		{"INSERT", []string{aborted, "Ready E"}},
		{"SHOW timezone", []string{aborted, "Ready E"}},
		{"END", []string{"Complete ROLLBACK", "Ready I"}},
		{"begin work", []string{"Complete BEGIN", "Ready T"}},
		{"ROLLBACK TO a", []string{"ERROR 0A000 ROLLBACK … TO is not supported", "Ready E"}},
		{"ABORT", []string{"Complete ROLLBACK", "Ready I"}},
		{"BEGIN READ ONLY", []string{"Complete BEGIN", "Ready T"}},
		{"SELECT i FROM n", []string{"Columns i:23:0", "Row 1", "Complete SELECT 1", "Ready T"}},
		{"INSERT", []string{"ERROR 25006 cannot execute INSERT in a read-only transaction", "Ready E"}},
		{"ROLLBACK", []string{"Complete ROLLBACK", "Ready I"}},
	} {
		w.send(query(c.sql))
		w.expect(c.want...)
	}
	b.w.on("COMMIT", &fakeAnswer{queryErr: errors.New("conflict")})
	w.send(query("BEGIN"))
	w.untilReady()
	w.send(query("COMMIT"))
	w.expect("ERROR XX000 conflict", "Ready I")
}

func TestSettingsOverTheWire(t *testing.T) {
	t.Parallel()
	w := setup(t).login(t)
	for _, c := range []struct {
		sql  string
		want []string
	}{
		{"SHOW server_version", []string{"Columns server_version:1043:0", "Row 8.0.2", "Complete SHOW", "Ready I"}},
		{"SHOW transaction isolation level", []string{"Columns transaction_isolation:1043:0", "Row repeatable read", "Complete SHOW", "Ready I"}},
		{"SHOW nothing_known", []string{`ERROR 42704 unrecognized configuration parameter "nothing_known"`, "Ready I"}},
		{"SET application_name TO 'a ''b'", []string{"Status application_name=a 'b", "Complete SET", "Ready I"}},
		{"SET query_group = etl", []string{"Complete SET", "Ready I"}},
		{"SET readonly=1", []string{"Complete SET", "Ready I"}},
		{"SHOW readonly", []string{"Columns readonly:1043:0", "Row 1", "Complete SHOW", "Ready I"}},
		{`SET search_path TO "$user", sales`, []string{"Complete SET", "Ready I"}},
		{"SHOW search_path", []string{"Columns search_path:1043:0", "Row $user, sales", "Complete SHOW", "Ready I"}},
		{"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED", []string{"Complete SET", "Ready I"}},
		{"SET TIME ZONE 'Europe/Berlin'", []string{"WARNING 01000 timestamps with time zone are shown in UTC; SET timezone has no effect", "Complete SET", "Ready I"}},
		{"SET client_encoding = 'latin1'", []string{`ERROR 0A000 client_encoding "latin1" is not supported: all text is UTF8`, "Ready I"}},
		{"SET NAMES 'utf8'", []string{"Complete SET", "Ready I"}},
		{"SET server_version = '15'", []string{`ERROR 55P02 parameter "server_version" cannot be changed`, "Ready I"}},
		{"SET statement_timeout = 'soon'", []string{`ERROR 22023 invalid value for parameter "statement_timeout": "soon"`, "Ready I"}},
		{"SET statement_timeout = '90 s'; SHOW statement_timeout", []string{"Complete SET", "Columns statement_timeout:1043:0", "Row 90s", "Complete SHOW", "Ready I"}},
		{"SET statement_timeout TO DEFAULT; SHOW statement_timeout", []string{"Complete SET", "Columns statement_timeout:1043:0", "Row 0", "Complete SHOW", "Ready I"}},
		{"SET extra_float_digits = -2", []string{"Complete SET", "Ready I"}},
		{"SET x", []string{`ERROR 42601 syntax error at or near "x"`, "Ready I"}},
		{"SET ROLE bob", []string{"ERROR 0A000 SET ROLE is not supported", "Ready I"}},
		{"RESET ALL", []string{"Status application_name=", "Complete RESET", "Ready I"}},
		{"UNLISTEN *", []string{"Complete UNLISTEN", "Ready I"}},
		{"DISCARD ALL", []string{"Complete DISCARD ALL", "Ready I"}},
		{"DEALLOCATE x", []string{`ERROR 26000 prepared statement "x" does not exist`, "Ready I"}},
		// A rollback takes settings back, and SET LOCAL ends with its transaction.
		{"BEGIN; SET application_name = a", []string{"Complete BEGIN", "Status application_name=a", "Complete SET", "Ready T"}},
		{"ROLLBACK", []string{"Status application_name=", "Complete ROLLBACK", "Ready I"}},
		{"BEGIN; SET LOCAL application_name = b", []string{"Complete BEGIN", "Status application_name=b", "Complete SET", "Ready T"}},
		{"COMMIT", []string{"Status application_name=", "Complete COMMIT", "Ready I"}},
		{"SET LOCAL application_name = b", []string{"WARNING 01000 SET LOCAL can only be used in transaction blocks", "Complete SET", "Ready I"}},
	} {
		w.send(query(c.sql))
		w.expect(c.want...)
	}
}

func TestExtendedQuery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.w.on("SELECT i FROM n", numbers(7))
	b.w.on("SELECT $1, $2", &fakeAnswer{
		params:  []penstock.Type{{Kind: penstock.TypeInt64}, {Kind: penstock.TypeText}},
		columns: numbers(0).columns,
	})
	b.w.on("INSERT", insert(3))
	w := b.login(t)
	sync := &pgproto3.Sync{}

	w.send(&pgproto3.Parse{Name: "s", Query: "SELECT i FROM n"}, &pgproto3.Describe{ObjectType: 'S', Name: "s"}, sync)
	w.expect("ParseComplete", "Parameters []", "Columns i:23:0", "Ready I")
	w.send(&pgproto3.Bind{PreparedStatement: "s", ResultFormatCodes: []int16{1}}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, sync)
	got := w.untilReady()
	if got[1] != "Columns i:23:1" || got[2] != "Row \x00\x00\x00\x01" || len(got) != 11 {
		t.Errorf("binary result: %q", got)
	}

	// A row limit suspends the portal; Sync ends it outside a transaction.
	w.send(&pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "s"}, &pgproto3.Execute{Portal: "p", MaxRows: 2},
		&pgproto3.Execute{Portal: "p", MaxRows: 5}, &pgproto3.Execute{Portal: "p", MaxRows: 5}, &pgproto3.Execute{Portal: "p"}, sync)
	w.expect("BindComplete", "Row 1", "Row 2", "PortalSuspended", "Row 3", "Row 4", "Row 5", "Row 6", "Row 7", "PortalSuspended",
		"Complete SELECT 0", "Complete SELECT 0", "Ready I")
	w.send(&pgproto3.Execute{Portal: "p"}, sync)
	w.expect(`ERROR 34000 portal "p" does not exist`, "Ready I")

	// In a transaction it outlives Sync, and other statements.
	w.send(query("BEGIN"))
	w.untilReady()
	w.send(&pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "s"}, &pgproto3.Execute{Portal: "p", MaxRows: 2}, sync)
	w.expect("BindComplete", "Row 1", "Row 2", "PortalSuspended", "Ready T")
	w.send(query("INSERT"))
	w.expect("Complete INSERT 0 3", "Ready T")
	w.send(&pgproto3.Execute{Portal: "p", MaxRows: 4}, &pgproto3.Execute{Portal: "p"}, &pgproto3.Close{ObjectType: 'P', Name: "p"}, sync)
	w.expect("Row 3", "Row 4", "Row 5", "Row 6", "PortalSuspended", "Row 7", "Complete SELECT 1", "CloseComplete", "Ready T")
	w.send(query("COMMIT"))
	w.untilReady()

	// Parameters, in text and binary.
	w.send(&pgproto3.Parse{Query: "SELECT $1, $2"}, &pgproto3.Describe{ObjectType: 'S'},
		&pgproto3.Bind{ParameterFormatCodes: []int16{1, 0}, Parameters: [][]byte{{0, 0, 0, 0, 0, 0, 1, 0}, nil}}, &pgproto3.Execute{}, sync)
	w.expect("ParseComplete", "Parameters [20 25]", "Columns i:23:0", "BindComplete", "Complete SELECT 0", "Ready I")
	if h := b.w.history(); h[len(h)-1] != "SELECT $1, $2 256|NULL" {
		t.Errorf("ran %q", h)
	}

	// After an error everything up to the Sync is passed over.
	w.send(&pgproto3.Parse{Query: "missing"}, &pgproto3.Bind{}, &pgproto3.Execute{}, query("INSERT"), &pgproto3.Flush{}, sync)
	w.expect("ERROR 42P01 Table does not exist: missing", "Ready I")
	for want, messages := range map[string][]pgproto3.FrontendMessage{
		`ERROR 42P05 prepared statement "s" already exists`:                                     {&pgproto3.Parse{Name: "s", Query: "INSERT"}},
		`ERROR 42601 cannot insert multiple commands into a prepared statement`:                 {&pgproto3.Parse{Query: "INSERT; INSERT"}},
		`ERROR 26000 prepared statement "no" does not exist`:                                    {&pgproto3.Bind{PreparedStatement: "no"}},
		`ERROR 26000 unnamed prepared statement does not exist`:                                 {&pgproto3.Describe{ObjectType: 'S'}},
		`ERROR 34000 portal "no" does not exist`:                                                {&pgproto3.Describe{ObjectType: 'P', Name: "no"}},
		`ERROR 08P01 bind message supplies 1 parameters, but prepared statement "s" requires 0`: {&pgproto3.Bind{PreparedStatement: "s", Parameters: [][]byte{nil}}},
		`ERROR 08P01 bind message has 2 result formats but query has 1 columns`:                 {&pgproto3.Bind{PreparedStatement: "s", ResultFormatCodes: []int16{0, 1}}},
		`ERROR 22023 unsupported format code: 7`:                                                {&pgproto3.Bind{PreparedStatement: "s", ResultFormatCodes: []int16{7}}},
	} {
		if strings.Contains(want, "unnamed") {
			w.send(query(""))
			w.untilReady()
		}
		w.send(append(messages, sync)...)
		w.expect(want, "Ready I")
	}
	w.send(&pgproto3.FunctionCall{Function: 1}, sync)
	w.expect("ERROR 0A000 function calls by message are not supported", "Ready I")
	w.expect("Ready I")

	// Nothing and what is answered here, prepared.
	w.send(&pgproto3.Parse{Query: " "}, &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, sync)
	w.expect("ParseComplete", "BindComplete", "NoData", "EmptyQueryResponse", "Ready I")
	w.send(&pgproto3.Parse{Query: "SHOW server_version"}, &pgproto3.Describe{ObjectType: 'S'}, &pgproto3.Bind{}, &pgproto3.Execute{}, sync)
	w.expect("ParseComplete", "Parameters []", "Columns server_version:1043:0", "BindComplete", "Row 8.0.2", "Complete SHOW", "Ready I")
	w.send(&pgproto3.Close{ObjectType: 'S', Name: "s"}, &pgproto3.Close{ObjectType: 'S', Name: "never"}, &pgproto3.Bind{PreparedStatement: "s"}, sync)
	w.expect("CloseComplete", "CloseComplete", `ERROR 26000 prepared statement "s" does not exist`, "Ready I")
}

// TestPipelineIsOneTransaction: what changes something before one Sync is
// committed together, or not at all.
func TestPipelineIsOneTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.w.on("INSERT", insert(1))
	b.w.on("SELECT i FROM n", numbers(1))
	w := b.login(t)
	run := []pgproto3.FrontendMessage{&pgproto3.Bind{}, &pgproto3.Execute{}}
	w.send(&pgproto3.Parse{Query: "SELECT i FROM n"})
	w.send(run...)
	w.send(&pgproto3.Parse{Query: "INSERT"})
	w.send(run...)
	w.send(run...)
	w.send(&pgproto3.Sync{})
	w.expect("ParseComplete", "BindComplete", "Row 1", "Complete SELECT 1", "ParseComplete", "BindComplete", "Complete INSERT 0 1",
		"BindComplete", "Complete INSERT 0 1", "Ready I")
	w.send(&pgproto3.Parse{Query: "INSERT"})
	w.send(run...)
	w.send(&pgproto3.Parse{Query: "missing"}, &pgproto3.Sync{})
	w.expect("ParseComplete", "BindComplete", "Complete INSERT 0 1", "ERROR 42P01 Table does not exist: missing", "Ready I")
	want := []string{"SELECT i FROM n", "BEGIN", "INSERT", "INSERT", "COMMIT", "BEGIN", "INSERT", "ROLLBACK"}
	if got := b.w.history(); !slices.Equal(got, want) {
		t.Errorf("the engine ran %q, want %q", got, want)
	}
}

// TestSuspendedPortalTooLarge: the rest of a portal is not kept without bound.
func TestSuspendedPortalTooLarge(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.PortalMemory = 1 << 20 })
	b.w.on("SELECT i FROM n", numbers(200_000))
	b.w.on("INSERT", insert(1))
	w := b.login(t)
	w.send(query("BEGIN"))
	w.untilReady()
	w.send(&pgproto3.Parse{Query: "SELECT i FROM n"}, &pgproto3.Bind{DestinationPortal: "p"}, &pgproto3.Execute{Portal: "p", MaxRows: 1}, &pgproto3.Sync{})
	w.untilReady()
	w.send(query("INSERT"))
	w.expect("Complete INSERT 0 1", "Ready T")
	w.send(&pgproto3.Execute{Portal: "p"}, &pgproto3.Sync{})
	got := w.untilReady()
	if n := len(got); n < 1000 || !strings.HasPrefix(got[n-2], "ERROR 54000 the rest of a suspended portal exceeds 1 MiB") || got[n-1] != "Ready E" {
		t.Errorf("%d messages, the last are %q", len(got), got[max(0, len(got)-2):])
	}
}

// TestChangedShape: a prepared statement whose columns are others by now.
func TestChangedShape(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := numbers(1)
	text := penstock.NewVector(penstock.Type{Kind: penstock.TypeText})
	text.AppendString("x")
	a.chunks = func() []*penstock.Rows { return []*penstock.Rows{{Vectors: []penstock.Vector{text}}} }
	b.w.on("SELECT i FROM n", a)
	w := b.login(t)
	w.send(query("SELECT i FROM n"))
	w.expect("Columns i:23:0", "ERROR 0A000 cached plan must not change result type", "Ready I")
}

// TestPanic: a connection whose engine panics ends; the others do not.
func TestPanic(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.w.on("BAD", &fakeAnswer{panics: true})
	b.w.on("SELECT i FROM n", numbers(1))
	other := b.login(t)
	w := b.login(t)
	w.send(query("BAD"))
	w.expectEnd()
	other.send(query("SELECT i FROM n"))
	other.expect("Columns i:23:0", "Row 1", "Complete SELECT 1", "Ready I")
}

// TestLargeResult goes through many flushes.
func TestLargeResult(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.w.on("SELECT i FROM n", numbers(100_000))
	rows, err := b.connect(t).Query(t.Context(), "SELECT i FROM n")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rows.Next() {
		var i int
		if err := rows.Scan(&i); err != nil {
			t.Fatal(err)
		}
		if n++; i != n {
			t.Fatal(fmt.Sprintf("row %d is %d", n, i))
		}
	}
	if rows.Err() != nil || n != 100_000 {
		t.Errorf("%d rows, %v", n, rows.Err())
	}
}
