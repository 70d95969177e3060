package pgwire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"penstock"
	"penstock/internal/target/duckdbtarget"
)

// setupDuckDB runs a server over a real warehouse with nothing but dev in it.
func setupDuckDB(t *testing.T) *bench {
	t.Helper()
	w, err := duckdbtarget.Open(t.Context(), duckdbtarget.Config{Dir: filepath.Join(t.TempDir(), "warehouse"), Threads: 2, Memory: 512 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bench{}
	b.server, b.stop = start(t, Config{
		Listen: "127.0.0.1:0", Users: []User{{Name: "admin", Password: "s3cret", Superuser: true}}, Warehouse: w, Views: someViews{},
		Logger:       slog.New(slog.NewTextHandler(testWriter{t}, nil)),
		DrainTimeout: time.Hour, // no test waits for it: statements end before
	})
	return b
}

// TestDuckDBTemporaryTables: in a replicated database a session's own tables are
// the engine's to change, and others those of whoever replicates.
func TestDuckDBTemporaryTables(t *testing.T) {
	t.Parallel()
	w, err := duckdbtarget.Open(t.Context(), duckdbtarget.Config{Dir: filepath.Join(t.TempDir(), "warehouse"), Threads: 2, Memory: 512 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	d, err := w.Open(t.Context(), penstock.DatabaseSpec{Name: "shop", Integration: "i"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	m := &fakeManager{asked: make(chan string, 10)}
	b := &bench{}
	b.server, b.stop = start(t, Config{Listen: "127.0.0.1:0", Users: []User{{Name: "admin", Password: "s3cret", Superuser: true}}, Warehouse: w, Views: someViews{}, Manager: m,
		Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil)), DrainTimeout: time.Hour})
	conn, err := pgx.Connect(t.Context(), b.url("admin", "s3cret", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, sql := range []string{"CREATE TEMP TABLE a (id int)", "INSERT INTO a VALUES (1)", "ALTER TABLE a RENAME TO b", "TRUNCATE b", "DELETE FROM b", "BEGIN", "DROP TABLE b", "COMMIT"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if _, err := conn.Exec(t.Context(), "DROP TABLE b"); err != nil {
		t.Error(err)
	}
	if len(m.asked) != 1 || <-m.asked != "change shop 2 b " {
		t.Error("the manager was asked for something else")
	}
}

// TestDuckDBValues: what pgx writes it reads back, in every mode.
func TestDuckDBValues(t *testing.T) {
	t.Parallel()
	conn := setupDuckDB(t).connect(t)
	_, err := conn.Exec(t.Context(), `CREATE TABLE v(n int, b boolean, i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision,
		d numeric(20,4), s varchar, x bytea, dt date, ts timestamp, tz timestamptz, iv interval, u uuid, j json)`)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2024, 2, 29, 12, 34, 56, 789000, time.UTC)
	args := []any{
		true, int16(-7), int32(70000), int64(1 << 40), float32(0.1), 0.1, "-12345.6700", "grün 'x'", []byte{0, 255},
		time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), at, at, 26 * time.Hour, "00000000-0000-0000-0000-000000000009", `{"a": 1}`,
	}
	modes := []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	}
	for n, mode := range modes {
		all := append([]any{mode, n}, args...)
		tag, err := conn.Exec(t.Context(), "INSERT INTO v VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10::bytea,$11,$12,$13,$14,$15,$16)", all...)
		if err != nil || tag.String() != "INSERT 0 1" {
			t.Fatalf("%v: %v, %v", mode, tag, err)
		}
	}
	var first []any
	for _, mode := range modes {
		rows, err := conn.Query(t.Context(), "SELECT * EXCLUDE (n) FROM v ORDER BY n", mode)
		if err != nil {
			t.Fatal(err)
		}
		all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
		if err != nil || len(all) != len(modes) {
			t.Fatalf("%v: %d rows, %v", mode, len(all), err)
		}
		if first == nil {
			first = all[0]
			if s := fmt.Sprint(first[:7], first[7:9], first[9:12]); s != "[true -7 70000 1099511627776 0.1 0.1 {-123456700 -4 false finite true}] [grün 'x' [0 255]] "+
				"[2024-02-29 00:00:00 +0000 UTC 2024-02-29 12:34:56.000789 +0000 UTC 2024-02-29 12:34:56.000789 +0000 UTC]" {
				t.Errorf("read back %s", s)
			}
		}
		for i, row := range all {
			for k := range row {
				if a, ok := row[k].(time.Time); ok {
					row[k] = a.UTC()
				}
			}
			if !reflect.DeepEqual(row, first) {
				t.Errorf("read in mode %v, written in mode %v: %v, want %v", mode, modes[i], row, first)
			}
		}
	}
}

func TestDuckDBSystemViews(t *testing.T) {
	t.Parallel()
	conn := setupDuckDB(t).connect(t)
	var lag int64
	var failed string
	for range 2 {
		err := conn.QueryRow(t.Context(), `SELECT i.current_lag, t.reason FROM svv_integration i JOIN pg_catalog.svv_integration_table_state t
			USING (integration_id) WHERE t.table_state = $1 AND trim(i.target_database) = current_database()`, "Failed").Scan(&lag, &failed)
		if err != nil || lag != 1500 || failed != "public.items: no primary key" {
			t.Errorf("%d, %q, %v", lag, failed, err)
		}
	}
	_, err := conn.Exec(t.Context(), "SELECT * FROM public.items")
	if stateOf(err) != "55000" || !strings.Contains(err.Error(), "its state is Failed") {
		t.Errorf("an unreadable table: %v", err)
	}
	if _, err := conn.Exec(t.Context(), "SELECT * FROM nothing_like_it"); stateOf(err) != "42P01" {
		t.Errorf("a missing table: %v", err)
	}
	// In a transaction of a client's own, too.
	err = pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "CREATE TABLE kept AS SELECT integration_id FROM svv_integration"); err != nil {
			return err
		}
		return tx.QueryRow(t.Context(), "SELECT count(*) FROM svv_integration").Scan(new(int))
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDuckDBTransactions(t *testing.T) {
	t.Parallel()
	conn := setupDuckDB(t).connect(t)
	count := func() (n int) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	exec := func(sql string) error {
		_, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		return err
	}
	if err := exec("CREATE TABLE t(i int); INSERT INTO t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	if err := exec("INSERT INTO t VALUES (2); SELECT * FROM missing"); stateOf(err) != "42P01" || count() != 1 {
		t.Errorf("%v, %d rows", err, count())
	}
	batch := &pgx.Batch{}
	batch.Queue("INSERT INTO t VALUES ($1)", 2)
	batch.Queue("INSERT INTO t VALUES ($1)", "no number")
	if err := conn.SendBatch(t.Context(), batch).Close(); err == nil || count() != 1 {
		t.Errorf("%v, %d rows", err, count())
	}
	rollback := errors.New("rollback")
	err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "INSERT INTO t VALUES (3)"); err != nil {
			return err
		}
		if count() != 2 {
			t.Error("does not see its own row")
		}
		return rollback
	})
	if err != rollback || count() != 1 {
		t.Errorf("%v, %d rows", err, count())
	}
	err = pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "SELECT * FROM missing")
		if _, again := tx.Exec(t.Context(), "SELECT 1"); stateOf(again) != "25P02" {
			t.Errorf("in a failed transaction: %v", again)
		}
		return err
	})
	if stateOf(err) != "42P01" || count() != 1 {
		t.Errorf("%v, %d rows", err, count())
	}
	err = pgx.BeginTxFunc(t.Context(), conn, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "INSERT INTO t VALUES (4)")
		return err
	})
	if stateOf(err) != "25006" || count() != 1 {
		t.Errorf("%v, %d rows", err, count())
	}
}

// TestDuckDBPortals: rows in portions, while the session does other things.
func TestDuckDBPortals(t *testing.T) {
	t.Parallel()
	w := setupDuckDB(t).login(t)
	sync := &pgproto3.Sync{}
	w.send(query("CREATE TABLE t(i int); BEGIN"))
	w.untilReady()
	w.send(&pgproto3.Parse{Query: "SELECT range::int AS i FROM range(10000)"}, &pgproto3.Bind{DestinationPortal: "p"}, &pgproto3.Execute{Portal: "p", MaxRows: 2}, sync)
	w.expect("ParseComplete", "BindComplete", "Row 0", "Row 1", "PortalSuspended", "Ready T")
	w.send(query("INSERT INTO t SELECT 7"))
	w.expect("Complete INSERT 0 1", "Ready T")
	w.send(&pgproto3.Execute{Portal: "p", MaxRows: 1}, sync)
	w.expect("Row 2", "PortalSuspended", "Ready T")
	w.send(&pgproto3.Execute{Portal: "p"}, sync)
	if got := w.untilReady(); len(got) != 9999 || got[9996] != "Row 9999" || got[9997] != "Complete SELECT 9997" {
		t.Errorf("%d messages, the last are %q", len(got), got[max(0, len(got)-3):])
	}
	w.send(query("COMMIT"))
	w.expect("Complete COMMIT", "Ready I")
}

func TestDuckDBCancel(t *testing.T) {
	t.Parallel()
	b := setupDuckDB(t)
	const endless = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"
	conn := b.connect(t)
	if _, err := conn.Exec(t.Context(), "SET statement_timeout = 200"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), endless); stateOf(err) != "57014" || !strings.Contains(err.Error(), "statement timeout") {
		t.Errorf("timeout: %v", err)
	}
	if _, err := conn.Exec(t.Context(), "SET statement_timeout = 0"); err != nil {
		t.Fatal(err)
	}

	// A client that leaves does not leave its statement behind: the server
	// would wait for that.
	w := b.login(t)
	w.send(query(endless))
	for deadline := time.Now().Add(limit); !b.server.busy(w.process); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the statement does not run")
		}
	}
	_ = w.Close()
	b.stop()
}

// busy reports whether a connection runs something.
func (s *Server) busy(process uint32) bool {
	s.registry.mu.Lock()
	c := s.registry.byID[process]
	s.registry.mu.Unlock()
	c.running.mu.Lock()
	defer c.running.mu.Unlock()
	return c.running.session != nil
}

func TestDuckDBPsql(t *testing.T) {
	t.Parallel()
	b := setupDuckDB(t)
	out, errs := psql(t, b.url("admin", "s3cret", "dev"), "-At", "-c", "CREATE TABLE t(i int, s varchar)",
		"-c", "INSERT INTO t VALUES (1, 'a;b'), (2, NULL)", "-c", "SELECT * FROM t ORDER BY i", "-c", `\dt`, "-c", `\l`, "-c", `\dn`,
		"-c", "SELECT version()", "-c", "SELECT sum(i), count(*) FROM t", "-c", "UPDATE t SET i = 3", "-c", "TRUNCATE t")
	for _, want := range []string{
		"CREATE TABLE\nINSERT 0 2\n1|a;b\n2|\n", "public|t|table|admin\n", "dev|admin|UTF8|C|C|", "Redshift 1.0.", "3|2\n", "UPDATE 2\nTRUNCATE TABLE\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("psql does not print %q but %q", want, out)
		}
	}
	if errs != "" {
		t.Errorf("psql complains: %s", errs)
	}
	out, _ = psql(t, b.url("admin", "s3cret", "dev"), "-c", "SELECT count(*), sum(1), 1 AS \"x(y)\"")
	if !strings.HasPrefix(strings.Join(strings.Fields(out), " "), "count | sum | x(y)") {
		t.Errorf("columns are named %s", out)
	}
}
