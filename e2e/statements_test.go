package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"penstock/internal/failpoint"
	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

// manual has destination databases be made by statements only. It takes effect
// with the next start.
func (p *penstock) manual(t testing.TB) {
	t.Helper()
	text, err := os.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "{engine: duckdb", "{engine: duckdb, destination_database: manual", 1)
	if err := os.WriteFile(p.config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
}

// psql runs statements in psql, each by itself, and returns what it prints.
func (p *penstock) psql(t testing.TB, database string, statements ...string) string {
	t.Helper()
	path, err := exec.LookPath("psql")
	if err != nil {
		need(t, "no psql (scripts/deps.sh installs it)")
	}
	args := []string{"-X", "-At", "host=" + strings.Split(p.sql, ":")[0] + " port=" + strings.Split(p.sql, ":")[1] + " user=admin dbname='" + database + "' sslmode=require"}
	for _, s := range statements {
		args = append(args, "-c", s)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+sqlPassword)
	out, _ := cmd.CombinedOutput() // a statement that fails is part of it
	return strings.TrimSpace(string(out))
}

// sqlState runs a statement and returns its SQLSTATE, "" if it succeeds.
func sqlState(t testing.TB, conn *pgx.Conn, sql string) (state, message string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql)
	var e *pgconn.PgError
	switch {
	case err == nil:
		return "", ""
	case !errors.As(err, &e):
		t.Fatalf("%s: %v", sql, err)
	}
	return e.Code, e.Message
}

// atSource lists what is there of ours in a source database.
func atSource(t testing.TB, conn *pgx.Conn) []string {
	t.Helper()
	return mustTable(t, conn, `SELECT slot_name FROM pg_replication_slots WHERE database = current_database() AND NOT temporary
		UNION ALL SELECT pubname FROM pg_publication WHERE pubname LIKE 'penstock%'`)
}

// TestDatabaseStatements goes through the life of destination databases that
// are made by statements: psql and pgx, a source of two databases.
func TestDatabaseStatements(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Fast: true})
	admin := connect(t, server, "postgres")
	execute(t, admin, `CREATE DATABASE one`, `CREATE DATABASE "Two-2"`)
	one, two := connect(t, server, "one"), connect(t, server, "Two-2")
	for _, c := range []*pgx.Conn{one, two} {
		execute(t, c, "CREATE TABLE orders (id int PRIMARY KEY, note text)", "INSERT INTO orders SELECT g, 'note ' || g FROM generate_series(1, 1000) g")
	}
	p := configured(t, server.URL("postgres"))
	p.manual(t)
	p.start(t)
	p.integrate(t, "stated", "one", `"Two-2"`)
	p.awaitActive(t, "stated")
	dev := p.warehouse(t, "dev")
	const views = "SELECT source_database, target_database, state FROM svv_integration ORDER BY source_database"
	pending := []string{"Two-2||PendingDbConnectState", "one||PendingDbConnectState"}
	if rows := mustTable(t, dev, views); !slices.Equal(rows, pending) {
		t.Errorf("svv_integration has %q", rows)
	}
	if left := append(atSource(t, one), atSource(t, two)...); len(left) != 0 {
		t.Errorf("there is something at the source already: %q", left)
	}
	id := mustTable(t, dev, "SELECT DISTINCT trim(integration_id) FROM svv_integration")[0]
	from := " FROM INTEGRATION '" + id + "'"

	// What cannot be is refused, by its SQLSTATE.
	for sql, want := range map[string]string{
		"CREATE DATABASE d FROM INTEGRATION '0b2b3c4d-0000-4000-8000-000000000001' DATABASE one": "42704",
		"CREATE DATABASE d" + from:                                           "22023",
		"CREATE DATABASE d" + from + " DATABASE three":                       "3D000",
		"CREATE DATABASE dev" + from + " DATABASE one":                       "42939",
		"CREATE DATABASE d" + from + " DATABASE one HISTORY_MODE SOON":       "42601",
		"CREATE DATABASE d" + from + " DATABASE one REFRESH_INTERVAL 432001": "22023",
		"ALTER DATABASE d INTEGRATION SET QUERY_ALL_STATES TRUE":             "3D000",
		"DROP DATABASE d":   "3D000",
		"DROP DATABASE dev": "42809",
	} {
		if got, message := sqlState(t, dev, sql); got != want {
			t.Errorf("%s: %s %s, want %s", sql, got, message, want)
		}
	}
	if got := p.psql(t, "dev", "BEGIN; CREATE DATABASE d"+from+" DATABASE one; COMMIT"); !strings.Contains(got, "CREATE DATABASE cannot run inside a transaction block") {
		t.Errorf("inside a transaction: %s", got)
	}

	// Both databases, by psql and by pgx. They can be connected to at once.
	if got := p.psql(t, "dev", "CREATE DATABASE one"+from+" DATABASE one", `CREATE DATABASE "Warehouse 2"`+from+` DATABASE "Two-2" SET REFRESH_INTERVAL 60 OWNER admin`); got != "CREATE DATABASE\nNOTICE:  no effect on a replicated database: OWNER\nCREATE DATABASE" {
		t.Errorf("psql prints %q", got)
	}
	p.warehouse(t, "Warehouse 2").Close(t.Context())
	awaitEqual(t, p, one, map[string]string{"orders": "SELECT id, note FROM orders ORDER BY id"})
	second := func() []string {
		conn, err := p.connect(t.Context(), "Warehouse 2")
		if err != nil {
			return nil
		}
		defer conn.Close(context.Background())
		rows, _ := table(t.Context(), conn, "SELECT count(*), sum(id) FROM orders")
		return rows
	}
	await(t, "the second database", func() bool { return slices.Equal(second(), []string{"1000|500500"}) })
	if rows := mustTable(t, dev, "SELECT target_database, state, refresh_interval, is_history_mode, auto_remediation FROM svv_integration ORDER BY 1"); !slices.Equal(rows, []string{"Warehouse 2|CdcRefreshState|60|f|f", "one|CdcRefreshState|0|f|f"}) {
		t.Errorf("svv_integration has %q", rows)
	}
	for sql, want := range map[string]string{
		"CREATE DATABASE one" + from + ` DATABASE "Two-2"`: "42P04",
		"CREATE DATABASE ONE" + from + ` DATABASE "Two-2"`: "42P04",
		"CREATE DATABASE d" + from + " DATABASE one":       "42710",
		"CREATE TABLE one.public.mine (x int)":             "25006",
	} {
		if got, message := sqlState(t, dev, sql); got != want {
			t.Errorf("%s: %s %s, want %s", sql, got, message, want)
		}
	}

	// Options are there after a crash.
	if got := p.psql(t, "dev", `ALTER DATABASE "Warehouse 2" INTEGRATION SET REFRESH_INTERVAL = 0 ACCEPTINVCHARS TRUE QUERY_ALL_STATES=TRUE`); got != "ALTER DATABASE" {
		t.Errorf("psql prints %q", got)
	}
	p.kill(t)
	p.start(t)
	dev = p.warehouse(t, "dev")
	await(t, "the options to be shown", func() bool {
		return slices.Equal(mustTable(t, dev, "SELECT target_database, refresh_interval FROM svv_integration ORDER BY 1"), []string{"Warehouse 2|0", "one|0"})
	})

	// Dropping: not under the feet of others, unless by force.
	inside := p.warehouse(t, "one")
	if got, message := sqlState(t, dev, "DROP DATABASE one"); got != "55006" {
		t.Errorf("DROP DATABASE in use: %s %s", got, message)
	}
	if got, message := sqlState(t, inside, "DROP DATABASE one FORCE"); got != "55006" {
		t.Errorf("DROP DATABASE of the current one: %s %s", got, message)
	}
	if got := p.psql(t, "dev", "DROP DATABASE one FORCE"); got != "DROP DATABASE" {
		t.Errorf("psql prints %q", got)
	}
	if _, err := table(t.Context(), inside, "SELECT 1"); err == nil {
		t.Error("a session outlives its database")
	}
	if _, err := p.connect(t.Context(), "one"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("connecting to what was dropped: %v", err)
	}
	await(t, "the source to be clean", func() bool { return len(atSource(t, one)) == 0 })
	if left := atSource(t, two); len(left) != 3 {
		t.Errorf("of the other database there is %q", left)
	}
	if files, err := filepath.Glob(filepath.Join(p.dataDir, "warehouses", "analytics", "one.duckdb*")); err != nil || len(files) != 0 {
		t.Errorf("left of its files: %q, %v", files, err)
	}
	if got := p.psql(t, "dev", "DROP DATABASE IF EXISTS one"); got != "NOTICE:  database \"one\" does not exist, skipping\nDROP DATABASE" {
		t.Errorf("psql prints %q", got)
	}

	// It comes back by a statement, with everything.
	execute(t, one, "INSERT INTO orders VALUES (2000, 'while there was nothing')")
	execute(t, dev, "CREATE DATABASE one"+from+" DATABASE 'one'")
	awaitEqual(t, p, one, map[string]string{"orders": "SELECT id, note FROM orders ORDER BY id"})

	// Databases that a deleted integration leaves can be read, and be dropped.
	p.tryDelete(t, "stated")
	await(t, "the integration to be gone", func() bool { return p.describe(t, "stated") == nil })
	if got := second(); !slices.Equal(got, []string{"1000|500500"}) {
		t.Errorf("a detached database has %q", got)
	}
	execute(t, dev, `DROP DATABASE "Warehouse 2"`, "DROP DATABASE one")
	if rows := mustTable(t, dev, "SELECT datname FROM pg_database ORDER BY 1"); !slices.Equal(rows, []string{"dev"}) {
		t.Errorf("there are %q", rows)
	}
	if files, err := filepath.Glob(filepath.Join(p.dataDir, "warehouses", "analytics", "*")); err != nil || slices.ContainsFunc(files, func(f string) bool { return !strings.HasPrefix(filepath.Base(f), "dev.duckdb") }) {
		t.Errorf("left of the files: %q, %v", files, err)
	}
	assertClean(t, one)
	assertClean(t, two)
}

// TestDropWhereDatabasesComeByThemselves: a dropped one does not, until it is
// asked for; also over a restart.
func TestDropWhereDatabasesComeByThemselves(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	src := db.Conn(t)
	execute(t, src, "CREATE TABLE orders (id int PRIMARY KEY)", "INSERT INTO orders SELECT generate_series(1, 100)")
	p := newPenstock(t, db.URL())
	p.integrate(t, "auto", db.Name)
	p.awaitActive(t, "auto")
	dev := p.warehouse(t, "dev")
	id := mustTable(t, dev, "SELECT trim(integration_id) FROM svv_integration")[0]
	if got, message := sqlState(t, dev, "CREATE DATABASE "+db.Name+" FROM INTEGRATION '"+id+"' DATABASE "+db.Name); got != "42P04" {
		t.Errorf("creating what is there by itself: %s %s", got, message)
	}
	execute(t, dev, "DROP DATABASE "+db.Name)
	p.kill(t)
	p.start(t)
	dev = p.warehouse(t, "dev")
	await(t, "the stream to be pending", func() bool {
		return slices.Equal(mustTable(t, dev, "SELECT state, target_database FROM svv_integration"), []string{"PendingDbConnectState|"})
	})
	await(t, "the source to be clean", func() bool { return len(atSource(t, src)) == 0 })
	if rows := mustTable(t, dev, "SELECT datname FROM pg_database"); !slices.Equal(rows, []string{"dev"}) {
		t.Errorf("there are %q", rows)
	}
	execute(t, dev, "CREATE DATABASE "+db.Name+" FROM INTEGRATION '"+id+"'") // it has one source database only
	awaitEqual(t, p, src, map[string]string{"orders": "SELECT id FROM orders ORDER BY id"})
}

// TestStatementsBesideReaders: databases come and go, and options change, while
// others read; nobody who reads another database sees an error.
func TestStatementsBesideReaders(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Fast: true})
	admin := connect(t, server, "postgres")
	execute(t, admin, "CREATE DATABASE stays", "CREATE DATABASE goes")
	for _, name := range []string{"stays", "goes"} {
		execute(t, connect(t, server, name), "CREATE TABLE orders (id int PRIMARY KEY)", "INSERT INTO orders SELECT generate_series(1, 500)")
	}
	p := newPenstock(t, server.URL("postgres"))
	p.integrate(t, "busy", "stays", "goes")
	p.awaitActive(t, "busy")
	dev := p.warehouse(t, "dev")
	id := mustTable(t, dev, "SELECT DISTINCT trim(integration_id) FROM svv_integration")[0]

	ctx, cancel := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	reader, writer := p.warehouse(t, "stays"), connect(t, server, "stays")
	busy.Go(func() {
		for n := 501; ctx.Err() == nil; n++ {
			if _, err := writer.Exec(context.WithoutCancel(ctx), "INSERT INTO orders VALUES ($1)", n); err != nil {
				t.Errorf("the application's INSERT fails: %v", err)
				return
			}
		}
	})
	busy.Go(func() {
		for least := 500; ctx.Err() == nil; {
			var n int
			if err := reader.QueryRow(context.WithoutCancel(ctx), "SELECT count(*) FROM public.orders").Scan(&n); err != nil || n < least {
				t.Errorf("a reader sees %d rows after %d: %v", n, least, err)
				return
			}
			least = n
		}
	})
	for i := range 4 {
		execute(t, dev, "DROP DATABASE goes FORCE", fmt.Sprintf("ALTER DATABASE stays INTEGRATION SET REFRESH_INTERVAL %d QUERY_ALL_STATES %v ACCEPTINVCHARS %[2]v", i%2, i%2 == 0),
			"CREATE DATABASE goes FROM INTEGRATION '"+id+"' DATABASE goes")
		await(t, "the database to be loaded again", func() bool {
			rows, err := table(t.Context(), dev, "SELECT count(*) FROM goes.public.orders")
			return err == nil && slices.Equal(rows, []string{"500"})
		})
	}
	cancel()
	busy.Wait()
	p.awaitActive(t, "busy")
}

// TestOptionsTakeEffect: what the options of a destination database say holds
// at once for a stream that runs, and for one that begins.
func TestOptionsTakeEffect(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Fast: true})
	admin := connect(t, server, "postgres")
	execute(t, admin, "CREATE DATABASE raw ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	src := connect(t, server, "raw")
	execute(t, src, "CREATE TABLE notes (id int PRIMARY KEY, note text)", `INSERT INTO notes VALUES (1, 'caf' || chr(233)), (2, 'plain')`)
	p := configured(t, server.URL("postgres"))
	p.manual(t)
	p.env = []string{"PENSTOCK_FAILPOINTS=target.after-append=sleep 4s"} // the rows are there, and their load is not through; the destination is free meanwhile
	p.start(t)
	p.integrate(t, "options", "raw")
	p.awaitActive(t, "options")
	dev := p.warehouse(t, "dev")
	id := mustTable(t, dev, "SELECT trim(integration_id) FROM svv_integration")[0]
	execute(t, dev, "CREATE DATABASE raw FROM INTEGRATION '"+id+"' SET ACCEPTINVCHARS TRUE")

	// What is there of a load is shown as soon as that is wanted.
	wh := p.warehouse(t, "raw")
	state := func() string {
		return strings.Join(mustTable(t, wh, "SELECT table_state FROM svv_integration_table_state WHERE table_name = 'notes'"), "")
	}
	await(t, "the load", func() bool { return state() == "ResyncInitiated" })
	if _, err := table(t.Context(), wh, "SELECT * FROM notes"); err == nil && state() == "ResyncInitiated" {
		t.Error("a table can be read that is not loaded")
	}
	execute(t, dev, "ALTER DATABASE raw INTEGRATION SET QUERY_ALL_STATES TRUE")
	early := false
	await(t, "the table to be shown", func() bool {
		rows, err := table(t.Context(), wh, "SELECT count(*) FROM notes")
		early = early || err == nil && state() == "ResyncInitiated"
		return err == nil && slices.Equal(rows, []string{"2"})
	})
	if !early {
		t.Error("the table was not shown before it was loaded")
	}
	await(t, "the load to be through", func() bool { return state() == "Synced" })

	// A text that is not UTF-8, in the load and in the stream.
	execute(t, src, `INSERT INTO notes VALUES (3, 'na' || chr(239) || 've')`)
	want := []string{"1|caf?", "2|plain", "3|na?ve"}
	await(t, "the texts", func() bool { return slices.Equal(mustTable(t, wh, "SELECT id, note FROM notes ORDER BY id"), want) })
	execute(t, dev, "ALTER DATABASE raw INTEGRATION SET ACCEPTINVCHARS FALSE")
	execute(t, src, `INSERT INTO notes VALUES (4, chr(239))`)
	await(t, "the bad value", func() bool {
		return slices.Equal(mustTable(t, wh, "SELECT id, note FROM notes WHERE id = 4"), []string{"4|"})
	})

	// An interval holds back what comes next, until it is shortened; who waits
	// for the warehouse does not wait for it.
	execute(t, dev, "ALTER DATABASE raw INTEGRATION SET REFRESH_INTERVAL 86400")
	execute(t, src, "INSERT INTO notes VALUES (5, 'first')")
	count := func() string { return mustTable(t, wh, "SELECT count(*) FROM notes")[0] }
	execute(t, wh, "SET penstock.wait_for = 'now'")
	if got := count(); got != "5" {
		t.Errorf("who waits sees %s rows", got)
	}
	execute(t, wh, "RESET penstock.wait_for")
	execute(t, src, "INSERT INTO notes VALUES (6, 'second')")
	applied := func() string { return mustTable(t, dev, "SELECT last_replicated_checkpoint FROM svv_integration")[0] }
	before := applied()
	execute(t, src, "SELECT pg_logical_emit_message(false, 'other', 'moves on')")
	await(t, "the source to show lag", func() bool {
		return mustTable(t, dev, "SELECT current_lag > 500 FROM svv_integration")[0] == "t"
	})
	if got := count(); got != "5" || applied() != before {
		t.Errorf("%s rows within the interval", got)
	}
	execute(t, dev, "ALTER DATABASE raw INTEGRATION SET REFRESH_INTERVAL 0")
	await(t, "the row", func() bool { return count() == "6" })
}

// TestRemedy: tables that differ from their source, as only a fault of the
// warehouse or of ours makes them, are found and loaded again: on request, and
// by themselves.
func TestRemedy(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	src := db.Conn(t)
	execute(t, src, "CREATE TABLE orders (id int PRIMARY KEY, note text)", "INSERT INTO orders SELECT g, 'n' FROM generate_series(1, 500) g",
		"CREATE SCHEMA other", "CREATE TABLE other.kept (id int PRIMARY KEY)", "INSERT INTO other.kept VALUES (1)")
	p := newPenstock(t, db.URL())
	p.integrate(t, "remedied", db.Name)
	p.awaitActive(t, "remedied")
	right := map[string]string{"orders": "SELECT id, note FROM orders ORDER BY id", "kept": "SELECT id FROM other.kept ORDER BY id"}
	refresh := "ALTER DATABASE " + db.Name + " INTEGRATION REFRESH REMEDIABLE TABLES"
	if got := p.psql(t, "dev", refresh); got != "NOTICE:  nothing to remedy: no table that could be compared differs from its source\nALTER DATABASE" {
		t.Errorf("psql prints %q", got)
	}
	spoil := func() {
		if code := p.stop(t); code != 0 {
			t.Fatalf("penstock ended with %d", code)
		}
		p.corrupt(t, db.Name, "DELETE FROM public.orders WHERE id = 7", "INSERT INTO public.orders VALUES (8, 'twice')", "INSERT INTO other.kept VALUES (2)")
		p.start(t)
		p.awaitActive(t, "remedied")
	}
	spoil()
	if got := p.psql(t, "dev", refresh+" IN SCHEMA public"); got != "NOTICE:  1 table will be loaded again; see svv_integration_table_state\nALTER DATABASE" {
		t.Errorf("psql prints %q", got)
	}
	awaitEqual(t, p, src, map[string]string{"orders": right["orders"]})
	wh := p.warehouse(t, db.Name)
	if rows := mustTable(t, wh, right["kept"]); len(rows) != 2 {
		t.Errorf("a table of another schema was loaded again: %q", rows)
	}
	execute(t, wh, refresh)
	awaitEqual(t, p, src, right)

	execute(t, wh, "ALTER DATABASE "+db.Name+" INTEGRATION SET AUTO_REMEDIATION TRUE")
	if rows := mustTable(t, wh, "SELECT auto_remediation FROM svv_integration"); !slices.Equal(rows, []string{"t"}) {
		t.Errorf("svv_integration has %q", rows)
	}
	spoil()
	awaitEqual(t, p, src, right)
}

// TestKilledWhileDropping: a server that is killed at any step of dropping a
// destination database finishes that when it is back, and makes it anew on
// request.
func TestKilledWhileDropping(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	src := db.Conn(t)
	execute(t, src, "CREATE TABLE orders (id int PRIMARY KEY)", "INSERT INTO orders SELECT generate_series(1, 100)")
	p := newPenstock(t, db.URL())
	p.integrate(t, "dropped", db.Name)
	p.awaitActive(t, "dropped")
	for _, point := range []failpoint.Point{failpoint.TargetBeforeRemove, failpoint.TargetAfterRemove, failpoint.ControlFileDropped, failpoint.SourceSlotsDropped, failpoint.ControlStreamCleaned} {
		awaitEqual(t, p, src, map[string]string{"orders": "SELECT id FROM orders ORDER BY id"})
		p.stop(t)
		p.env = []string{failpoint.Env + "=" + string(point) + "=kill"}
		p.start(t)
		// The statement may come to its end before the server does.
		_, _ = p.warehouse(t, "dev").Exec(t.Context(), "DROP DATABASE "+db.Name+" FORCE")
		<-p.done
		p.env = nil
		p.start(t)
		dev := p.warehouse(t, "dev")
		await(t, "the stream to be pending after "+string(point), func() bool {
			return slices.Equal(mustTable(t, dev, "SELECT state, target_database FROM svv_integration"), []string{"PendingDbConnectState|"})
		})
		await(t, "the source to be clean after "+string(point), func() bool { return len(atSource(t, src)) == 0 })
		if files, err := filepath.Glob(filepath.Join(p.dataDir, "warehouses", "analytics", db.Name+"*")); err != nil || len(files) != 0 {
			t.Errorf("%s: left of its files: %q, %v", point, files, err)
		}
		id := mustTable(t, dev, "SELECT trim(integration_id) FROM svv_integration")[0]
		execute(t, dev, "CREATE DATABASE "+db.Name+" FROM INTEGRATION '"+id+"'")
	}
	awaitEqual(t, p, src, map[string]string{"orders": "SELECT id FROM orders ORDER BY id"})
}
