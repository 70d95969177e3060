package pgwire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"penstock"
	"penstock/internal/pgwire/redshift"
)

// fakeManager answers by the database's name, and notes what it is asked.
type fakeManager struct {
	w     *fakeWarehouse
	asked chan string
}

func (m *fakeManager) note(format string, args ...any) { m.asked <- fmt.Sprintf(format, args...) }

func (m *fakeManager) Refresh(ctx context.Context, database string, r penstock.Refresh) (int, error) {
	switch database {
	case "shop":
		m.note("refresh %s %v", database, r.Tables)
		return len(r.Tables), nil
	case "slow":
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return 0, penstock.Errorf(penstock.KindNotFound, "no integration replicates into database %s", database)
}

func (m *fakeManager) CreateDatabase(_ context.Context, d penstock.NewDatabase) error {
	for _, k := range []penstock.Kind{penstock.KindIntegrationNotFound, penstock.KindNotFound, penstock.KindInvalid, penstock.KindAlreadyExists,
		penstock.KindConflict, penstock.KindInvalidState, penstock.KindFull} {
		if d.Name == k.String() {
			return &penstock.Error{Kind: k, Message: "it is " + d.Name, Mend: "mend it"}
		}
	}
	m.note("create %s from %s of %s, all states %v", d.Name, d.SourceDatabase, d.Integration, d.Options.QueryAllStates != nil)
	return nil
}

func (m *fakeManager) SetOptions(_ context.Context, database string, c penstock.OptionsChange) error {
	if database != "shop" {
		return penstock.Errorf(penstock.KindNotFound, "no integration replicates into database %s", database)
	}
	m.note("set %s %v", database, c.Apply(penstock.DatabaseOptions{}))
	return nil
}

func (m *fakeManager) SetHistory(_ context.Context, database string, c penstock.HistoryChange) (int, int, error) {
	switch {
	case database != "shop":
		return 0, 0, penstock.Errorf(penstock.KindNotFound, "no integration replicates into database %s", database)
	case len(c.Tables) > 0 && c.Tables[0].Name == "loading":
		return 0, 0, penstock.Errorf(penstock.KindInvalidState, "table loading is ResyncInitiated")
	}
	m.note("history %s %v of %v %v", database, c.On, c.Tables, c.Schemas)
	return 2, len(c.Schemas), nil
}

func (m *fakeManager) ChangeTable(_ context.Context, c redshift.ChangeTable) error {
	for _, k := range []penstock.Kind{penstock.KindNotFound, penstock.KindInvalid, penstock.KindAlreadyExists, penstock.KindInvalidState} {
		if c.Table.Name == k.String() {
			return penstock.Errorf(k, "it is %s", k)
		}
	}
	m.note("change %s %d %s %s", c.Database, c.Change, c.Table, c.To)
	return nil
}

func (m *fakeManager) DropDatabase(_ context.Context, database string) error {
	if !slices.Contains(m.w.databases, database) {
		return penstock.Errorf(penstock.KindNotFound, "there is no database %s", database)
	}
	m.note("drop %s", database)
	return nil
}

// notices collects what a connection is told besides.
type notices struct {
	mu  sync.Mutex
	all []string
}

func (n *notices) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.all
	n.all = nil
	return all
}

func managed(t *testing.T, change ...func(*Config)) (*bench, *fakeManager, *pgx.Conn, *notices) {
	t.Helper()
	m := &fakeManager{asked: make(chan string, 1)}
	b := setup(t, append(change, func(c *Config) {
		m.w = c.Warehouse.(*fakeWarehouse)
		c.Manager = m
	})...)
	cfg, err := pgx.ParseConfig(b.url("admin", "s3cret", "dev"))
	if err != nil {
		t.Fatal(err)
	}
	n := &notices{}
	cfg.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.all = append(n.all, notice.Message)
	}
	admin, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close(context.Background()) })
	return b, m, admin, n
}

// state runs a statement and returns its SQLSTATE, "" if it succeeds.
func state(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	var e *pgconn.PgError
	if err != nil && !errors.As(err, &e) {
		t.Fatalf("%s: %v", sql, err)
	}
	if e == nil {
		return ""
	}
	return e.Code
}

const fromIntegration = " FROM INTEGRATION '5B9F3B4E-0000-4000-8000-00000000002A'"

func TestStatementsOfDatabases(t *testing.T) {
	t.Parallel()
	_, m, admin, told := managed(t)
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement} {
		for _, c := range []struct{ sql, tag, asked, told string }{
			{"ALTER DATABASE shop INTEGRATION REFRESH TABLES a, b", "ALTER DATABASE", "refresh shop [a b]", "2 tables will be loaded again; see svv_integration_table_state"},
			{"CREATE DATABASE d" + fromIntegration + " DATABASE s SET QUERY_ALL_STATES TRUE", "CREATE DATABASE", "create d from s of 5b9f3b4e-0000-4000-8000-00000000002a, all states true", ""},
			{"CREATE DATABASE d" + fromIntegration + " WITH OWNER admin CONNECTION LIMIT 5", "CREATE DATABASE", "create d from  of 5b9f3b4e-0000-4000-8000-00000000002a, all states false",
				"no effect on a replicated database: OWNER, CONNECTION LIMIT"},
			{"ALTER DATABASE shop INTEGRATION SET REFRESH_INTERVAL = 60 ACCEPTINVCHARS TRUE", "ALTER DATABASE", "set shop {true false 1m0s false false false}", ""},
			{"ALTER DATABASE shop INTEGRATION SET HISTORY_MODE TRUE FOR TABLES a, b.c", "ALTER DATABASE", "history shop true of [a b.c] []", "history mode is on for 2 more tables"},
			{"ALTER DATABASE shop INTEGRATION SET HISTORY_MODE = FALSE FOR ALL TABLES IN SCHEMA s", "ALTER DATABASE", "history shop false of [] [s]",
				"history mode is off for 2 more tables|1 table cannot be switched, not being Synced; see svv_integration_table_state, and say it again later"},
			{"TRUNCATE shop.public.orders", "TRUNCATE TABLE", "change shop 1 public.orders ", ""},
			{"DROP TABLE shop.public.orders", "DROP TABLE", "change shop 2 public.orders ", ""},
			{`ALTER TABLE shop.s."Orders" RENAME TO old`, "ALTER TABLE", "change shop 3 s.Orders old", ""},
			{`DROP TABLE IF EXISTS shop.s."not found"`, "DROP TABLE", "", `table "s.not found" does not exist, skipping`},
			{"DROP DATABASE shop", "DROP DATABASE", "drop shop", ""},
			{"DROP DATABASE IF EXISTS nowhere FORCE", "DROP DATABASE", "", `database "nowhere" does not exist, skipping`},
		} {
			tag, err := admin.Exec(t.Context(), c.sql, mode)
			if err != nil || tag.String() != c.tag {
				t.Errorf("%s: %s: %q, %v", mode, c.sql, tag, err)
			}
			asked := ""
			select {
			case asked = <-m.asked:
			default:
			}
			if got := strings.Join(told.take(), "|"); asked != c.asked || got != c.told {
				t.Errorf("%s: %s: asked for %q, told %q", mode, c.sql, asked, got)
			}
		}
	}
}

func TestStatementsOfDatabasesRefused(t *testing.T) {
	t.Parallel()
	b, _, admin, _ := managed(t)
	reader, err := pgx.Connect(t.Context(), b.url("reader", "r3ad", "dev"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close(context.Background())
	for _, sql := range []string{
		"ALTER DATABASE shop INTEGRATION REFRESH ALL TABLES", "ALTER DATABASE shop INTEGRATION SET QUERY_ALL_STATES TRUE",
		"CREATE DATABASE d" + fromIntegration, "DROP DATABASE shop", "DROP DATABASE shop FORCE",
		"ALTER DATABASE shop INTEGRATION SET HISTORY_MODE TRUE", "TRUNCATE shop.public.t", "DROP TABLE shop.public.t", "ALTER TABLE shop.public.t RENAME TO u",
	} {
		if got := state(t, reader, sql); got != "42501" {
			t.Errorf("%s by a reader: %q", sql, got)
		}
		if got := state(t, admin, "BEGIN") + state(t, admin, sql) + state(t, admin, "ROLLBACK"); got != "25001" {
			t.Errorf("%s inside a transaction: %q", sql, got)
		}
	}
	for sql, want := range map[string]string{"DELETE FROM shop.public.t": "42501", "DELETE FROM t": "42P01"} {
		if got := state(t, reader, sql); got != want {
			t.Errorf("%s by a reader: %q, want %q", sql, got, want)
		}
	}
	for sql, want := range map[string]string{
		"ALTER DATABASE none INTEGRATION REFRESH ALL TABLES":                             "42704",
		"SET statement_timeout = 50; ALTER DATABASE slow INTEGRATION REFRESH ALL TABLES": "57014",
		"ALTER DATABASE none INTEGRATION SET QUERY_ALL_STATES TRUE":                      "3D000",
		"ALTER DATABASE none INTEGRATION SET HISTORY_MODE TRUE FOR TABLE a":              "3D000",
		"ALTER DATABASE shop INTEGRATION SET HISTORY_MODE TRUE FOR TABLE loading":        "55000",
		`TRUNCATE shop.public."not found"`:                                               "42P01",
		`TRUNCATE shop.public.invalid`:                                                   "42501",
		`ALTER TABLE shop.public."already exists" RENAME TO x`:                           "42P07",
		`DROP TABLE shop.public."invalid state"`:                                         "55000",
		"ALTER DATABASE dev INTEGRATION SET QUERY_ALL_STATES TRUE":                       "42704",
		`CREATE DATABASE "integration not found"` + fromIntegration:                      "42704",
		`CREATE DATABASE "not found"` + fromIntegration:                                  "3D000",
		`CREATE DATABASE "invalid"` + fromIntegration:                                    "22023",
		`CREATE DATABASE "already exists"` + fromIntegration:                             "42710",
		`CREATE DATABASE "conflict"` + fromIntegration:                                   "42P04",
		`CREATE DATABASE "invalid state"` + fromIntegration:                              "55000",
		`CREATE DATABASE "full"` + fromIntegration:                                       "53100",
		"CREATE DATABASE dev" + fromIntegration:                                          "42939",
		`CREATE DATABASE "Main"` + fromIntegration:                                       "42939",
		"CREATE DATABASE plain":                                                          "0A000",
		"DROP DATABASE nowhere":                                                          "3D000",
		"DROP DATABASE dev":                                                              "42809",
		"DROP DATABASE dev FORCE":                                                        "42809",
	} {
		if got := state(t, admin, sql); got != want {
			t.Errorf("%s: %q, want %s", sql, got, want)
		}
	}
	_, err = admin.Exec(t.Context(), `CREATE DATABASE conflict`+fromIntegration)
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Message != "it is conflict" || e.Hint != "mend it" {
		t.Errorf("the error is %+v", e)
	}
}

func TestDropOfADatabaseInUse(t *testing.T) {
	t.Parallel()
	b, m, admin, _ := managed(t)
	block := make(chan struct{})
	b.w.on("forever", &fakeAnswer{columns: numbers(1).columns, block: block})
	var inside []*pgx.Conn
	for range 2 {
		conn, err := pgx.Connect(t.Context(), b.url("admin", "s3cret", "shop"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		inside = append(inside, conn)
	}
	if got := state(t, inside[0], "DROP DATABASE shop FORCE"); got != "55006" {
		t.Errorf("from inside: %q", got)
	}
	_, err := admin.Exec(t.Context(), "DROP DATABASE shop")
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != "55006" || e.Detail != "2 other sessions connected to it." {
		t.Fatalf("with others inside: %v", err)
	}
	if got := state(t, inside[0], "SHOW search_path"); got != "" {
		t.Errorf("a session was ended without FORCE: %s", got)
	}

	// One of them is idle, the other one at work.
	ended := make(chan error, 1)
	go func() {
		_, err := inside[1].Exec(context.Background(), "forever", pgx.QueryExecModeSimpleProtocol)
		ended <- err
	}()
	<-block
	if tag, err := admin.Exec(t.Context(), "DROP DATABASE shop FORCE"); err != nil || tag.String() != "DROP DATABASE" {
		t.Fatalf("with FORCE: %q, %v", tag, err)
	}
	if asked := <-m.asked; asked != "drop shop" {
		t.Errorf("asked for %q", asked)
	}
	if err := <-ended; !errors.As(err, &e) || e.Code != "57P01" {
		t.Errorf("the one at work is told %v", err)
	}
	if _, err := inside[0].Exec(t.Context(), "SHOW search_path"); !errors.As(err, &e) || e.Code != "57P01" {
		t.Errorf("the idle one is told %v", err)
	}
}

// A session that cannot be ended keeps its database.
func TestDropForceIsBounded(t *testing.T) {
	t.Parallel()
	b, _, admin, _ := managed(t, func(c *Config) { c.ForceTimeout = 50 * time.Millisecond })
	theirs, ours := net.Pipe()
	defer theirs.Close()
	c := newConn(b.server, ours)
	if !b.server.registry.enter(c, "shop") {
		t.Fatal("not let in")
	}
	defer b.server.registry.remove(c)
	_, err := admin.Exec(t.Context(), "DROP DATABASE shop FORCE")
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != "55006" || e.Detail != "1 other session could not be ended in time." {
		t.Errorf("told %v", err)
	}
	if !b.server.registry.enter(c, "shop") {
		t.Error("the database stays closed")
	}
}

func TestNobodyEntersADatabaseThatIsBeingDropped(t *testing.T) {
	t.Parallel()
	b, _, admin, _ := managed(t)
	if _, ok := b.server.registry.shutOff("shop"); !ok {
		t.Fatal("it is shut off already")
	}
	_, err := pgx.Connect(t.Context(), b.url("admin", "s3cret", "shop"))
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != "55000" {
		t.Errorf("connecting: %v", err)
	}
	if got := state(t, admin, "DROP DATABASE shop"); got != "55006" {
		t.Errorf("dropping it twice at a time: %q", got)
	}
	b.server.registry.reopen("shop")
	conn, err := pgx.Connect(t.Context(), b.url("admin", "s3cret", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close(t.Context())
}

func (m *fakeManager) Await(context.Context, string, string) error { return nil }
