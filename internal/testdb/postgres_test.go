package testdb_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

func TestServerLife(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := dbtest.New(t, testdb.Options{Fast: true, Settings: map[string]string{"application_name": "it's"}})

	var level, name, fsync string
	conn, err := s.Conn(ctx, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.QueryRow(ctx, "SELECT current_setting('wal_level'), current_setting('fsync')").Scan(&level, &fsync); err != nil {
		t.Fatal(err)
	}
	if level != "logical" || fsync != "off" {
		t.Errorf("wal_level %q, fsync %q", level, fsync)
	}
	if err := conn.QueryRow(ctx, "SELECT setting FROM pg_file_settings WHERE name = 'application_name'").Scan(&name); err != nil || name != "it's" {
		t.Errorf("setting %q, %v", name, err)
	}
	if err := s.Exec(ctx, "postgres", "CREATE TABLE t (a int)", "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)"); err != nil {
		t.Fatal(err)
	}

	for _, end := range []func() error{s.Stop, s.Kill} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if c, err := net.Dial("tcp", s.Addr()); err == nil {
			c.Close()
			t.Fatal("still listening")
		}
		url := s.URL("postgres")
		if err := s.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		if s.URL("postgres") != url {
			t.Error("another URL after a restart")
		}
		conn, err := s.Conn(ctx, "postgres")
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM t").Scan(&n); err != nil || n != 2 {
			t.Errorf("%d rows, %v", n, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error("second Close:", err)
	}
}

func TestStartReportsWhatTheServerSays(t *testing.T) {
	t.Parallel()
	dbtest.Shared(t) // skips where there is no PostgreSQL
	dir := t.TempDir()
	for p := dir; p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	s, err := testdb.Start(t.Context(), testdb.Options{Dir: dir, Settings: map[string]string{"wal_level": "nonsense"}})
	if err == nil {
		s.Close()
		t.Fatal("started")
	}
	if !strings.Contains(err.Error(), `invalid value for parameter "wal_level"`) {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestEachVersion(t *testing.T) {
	t.Parallel()
	dbtest.EachVersion(t, func(t *testing.T, major int) {
		db := dbtest.SharedOf(t, major)
		var version int
		if err := db.Conn(t).QueryRow(t.Context(), "SELECT current_setting('server_version_num')::int / 10000").Scan(&version); err != nil {
			t.Fatal(err)
		}
		if major != 0 && version != major || db.Server.Binaries.Major != version {
			t.Errorf("a server of version %d, said to be %d, instead of %d", version, db.Server.Binaries.Major, major)
		}
	})
}

func TestMissingVersion(t *testing.T) {
	t.Parallel()
	_, err := testdb.Start(t.Context(), testdb.Options{Major: 7})
	if !errors.Is(err, testdb.ErrNotInstalled) {
		t.Error(err)
	}
}

func TestSharedDatabaseIsDroppedWithItsSlots(t *testing.T) {
	t.Parallel()
	var server *testdb.Server
	var name string
	t.Run("user", func(t *testing.T) {
		d := dbtest.Shared(t)
		server, name = d.Server, d.Name
		d.Exec(t, "CREATE TABLE t (a int)", "SELECT pg_create_logical_replication_slot('"+name+"', 'pgoutput')")
	})
	if server == nil {
		t.Skip("no PostgreSQL")
	}
	conn, err := server.Conn(t.Context(), "postgres")
	if err != nil {
		t.Fatal(err)
	}
	var n int
	err = conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM pg_database WHERE datname = $1)
		+ (SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1)`, name).Scan(&n)
	if err != nil || n != 0 {
		t.Errorf("%d left, %v", n, err)
	}
}

// TestGoesWithItsProcess runs this test binary again, lets that start a server
// and kills it.
func TestGoesWithItsProcess(t *testing.T) {
	if os.Getenv("TESTDB_CHILD") == "1" {
		s := dbtest.New(t, testdb.Options{Fast: true})
		os.Stdout.WriteString("addr " + s.Addr() + "\ndir " + s.Dir() + "\n")
		select {}
	}
	t.Parallel()
	dbtest.Shared(t)
	addr, dir := killedChild(t)
	deadline := time.Now().Add(30 * time.Second)
	for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		_, statErr := os.Stat(dir)
		if err != nil && errors.Is(statErr, os.ErrNotExist) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("server: %v, folder: %v", err, statErr)
		}
	}
}

// TestStandby promotes a standby that has not received everything.
func TestStandby(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := dbtest.New(t, testdb.Options{Fast: true})
	if err := s.Exec(ctx, "postgres", "CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	b, err := s.Standby(ctx, testdb.Options{Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Detach(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Exec(ctx, "postgres", "INSERT INTO t VALUES (2)"); err != nil {
		t.Fatal(err)
	}
	if err := b.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.Exec(ctx, "postgres", "INSERT INTO t VALUES (3)"); err != nil {
		t.Fatal(err)
	}
	conn, err := b.Conn(ctx, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var sum int
	if err := conn.QueryRow(ctx, "SELECT sum(a) FROM t").Scan(&sum); err != nil || sum != 4 {
		t.Errorf("the sum is %d, %v, want what the standby had and what it got since", sum, err)
	}
}
