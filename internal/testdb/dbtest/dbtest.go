package dbtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"penstock/internal/testdb"
)

// StrictEnv names the environment variable that turns a missing PostgreSQL
// from a skipped test into a failed one when it is "1".
const StrictEnv = "PENSTOCK_TEST_STRICT"

// startLimit is how long a server may take to start, on a machine as busy as
// one that runs tests is.
const startLimit = 2 * time.Minute

// Database is a database of a test's own on a server that others use as well.
type Database struct {
	Server *testdb.Server
	Name   string
}

// URL returns the connection string of the database.
func (d *Database) URL() string { return d.Server.URL(d.Name) }

// Exec runs statements in the database and fails the test if one fails.
func (d *Database) Exec(t testing.TB, sql ...string) {
	t.Helper()
	if err := d.Server.Exec(t.Context(), d.Name, sql...); err != nil {
		t.Fatal(err)
	}
}

// Conn opens a connection that is closed with the test.
func (d *Database) Conn(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := d.Server.Conn(t.Context(), d.Name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

var shared sync.Map // major version → func() (*testdb.Server, error)

func sharedServer(major int) (*testdb.Server, error) {
	start, _ := shared.LoadOrStore(major, sync.OnceValues(func() (*testdb.Server, error) {
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		defer cancel()
		return testdb.Start(ctx, testdb.Options{
			Major:    major,
			Fast:     true,
			Settings: map[string]string{"max_connections": "500"},
		})
	}))
	return start.(func() (*testdb.Server, error))()
}

// Shared returns a fresh database on the server of this test process, which
// is started by the first call and ends with the process. The database is
// dropped after the test, together with its slots and connections. Roles and
// settings belong to all tests: who changes them wants New.
func Shared(t testing.TB) *Database {
	t.Helper()
	return SharedOf(t, 0)
}

// SharedOf is Shared on a server of a major version; 0 is the one of Shared.
func SharedOf(t testing.TB, major int) *Database {
	t.Helper()
	server, err := sharedServer(major)
	require(t, err)
	return fresh(t, server)
}

// VersionsEnv names the environment variable with the major versions that
// EachVersion goes through beside the machine's own, separated by spaces.
const VersionsEnv = "PENSTOCK_TEST_VERSIONS"

// EachVersion runs f in parallel, as a subtest each, for the version that
// Shared uses (0), and for the oldest and the newest that is supported, or
// those that VersionsEnv names.
func EachVersion(t *testing.T, f func(t *testing.T, major int)) {
	versions := strings.Fields(os.Getenv(VersionsEnv))
	if len(versions) == 0 {
		versions = []string{"13", "18"}
	}
	for _, v := range append([]string{"0"}, versions...) {
		major, err := strconv.Atoi(v)
		if err != nil {
			t.Fatalf("%s: %v", VersionsEnv, err)
		}
		name := "installed"
		if major != 0 {
			name = v
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, major)
		})
	}
}

// New starts a server for this test alone and removes it afterwards.
func New(t testing.TB, opts testdb.Options) *testdb.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	server, err := testdb.Start(ctx, opts)
	require(t, err)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func require(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, testdb.ErrNotInstalled) && os.Getenv(StrictEnv) != "1":
		t.Skipf("SKIPPED for want of PostgreSQL: %v (scripts/deps.sh installs it)", err)
	default:
		t.Fatal(err)
	}
}

var (
	databases  atomic.Int64
	unsuitable = regexp.MustCompile(`[^a-z0-9]+`)
)

func fresh(t testing.TB, server *testdb.Server) *Database {
	t.Helper()
	name := unsuitable.ReplaceAllString(strings.ToLower(t.Name()), "_")
	name = fmt.Sprintf("t%d_%s", databases.Add(1), strings.TrimPrefix(name, "test"))
	d := &Database{Server: server, Name: name[:min(len(name), 63)]}
	quoted := pgx.Identifier{d.Name}.Sanitize()
	if err := server.Exec(t.Context(), "postgres", "CREATE DATABASE "+quoted); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.drop(context.WithoutCancel(t.Context()), quoted); err != nil {
			t.Error(err)
		}
	})
	return d
}

// drop removes the database. A slot can be dropped only after its walsender
// has ended, which takes a moment after it was told to.
func (d *Database) drop(ctx context.Context, quoted string) error {
	conn, err := d.Server.Conn(ctx, "postgres")
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `ALTER DATABASE `+quoted+` ALLOW_CONNECTIONS false`); err != nil {
		return err
	}
	if err := endSessions(ctx, conn, `SELECT pid FROM pg_stat_activity WHERE datname = $1`, d.Name); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx,
		`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1`, d.Name); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `DROP DATABASE `+quoted+` WITH (FORCE)`)
	return err
}

// EndSessions ends the sessions on the server whose process IDs the query
// selects, and returns when it selects none any more.
func (d *Database) EndSessions(t testing.TB, pids string, args ...any) {
	t.Helper()
	if err := endSessions(t.Context(), d.Conn(t), pids, args...); err != nil {
		t.Fatal(err)
	}
}

// endSessions does what pg_terminate_backend does by itself from PostgreSQL 14
// on, if it is given a timeout.
func endSessions(ctx context.Context, conn *pgx.Conn, pids string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		var n int
		if err := conn.QueryRow(ctx, `SELECT count(pg_terminate_backend(pid)) FROM (`+pids+`) s(pid) WHERE pid IS NOT NULL`, args...).Scan(&n); err != nil || n == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}
