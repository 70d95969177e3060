package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

// TestSlotDropped: what the source has forgotten is loaded again, behind what
// can be read, and nothing is missing or double after it.
func TestSlotDropped(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, writtenSchema...)
	p := newPenstock(t, db.URL())
	p.integrate(t, "dropped", db.Name)
	p.awaitActive(t, "dropped")
	w := startWriters(t, db.Server, db.Name, 1, true)
	w.awaitCommits(t, 20)
	source := db.Conn(t)
	slot := mustTable(t, source, "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()")[0]
	execute(t, source, `DO $$ BEGIN
		LOOP
			PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '`+slot+`' AND active_pid IS NOT NULL;
			BEGIN
				PERFORM pg_drop_replication_slot('`+slot+`');
				EXIT;
			EXCEPTION WHEN object_in_use THEN
				PERFORM pg_sleep(0.01);
			END;
		END LOOP;
	END $$`)
	await(t, "another slot", func() bool {
		rows := mustTable(t, source, "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()")
		return len(rows) == 1 && rows[0] != slot
	})
	w.awaitCommits(t, 20)
	w.stop()
	awaitEqual(t, p, source, writtenTables)
	p.awaitActive(t, "dropped")
}

// TestOlderBackup: a data folder from a backup is behind what the source has
// given up. That is noticed, and everything loaded again (promise 2).
func TestOlderBackup(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, writtenSchema...)
	p := newPenstock(t, db.URL())
	p.integrate(t, "older", db.Name)
	p.awaitActive(t, "older")
	p.stop(t)
	backup := filepath.Join(p.dir, "backup")
	if err := os.CopyFS(backup, os.DirFS(p.dataDir)); err != nil {
		t.Fatal(err)
	}
	source := db.Conn(t)
	confirmed := func() string {
		return mustTable(t, source, "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE database = current_database()")[0]
	}
	then := confirmed()
	p.start(t)
	w := startWriters(t, db.Server, db.Name, 1, true)
	w.awaitCommits(t, 30)
	w.stop()
	awaitEqual(t, p, source, writtenTables)
	await(t, "the source to give up what was applied", func() bool { return confirmed() != then })
	p.kill(t)
	if err := os.RemoveAll(p.dataDir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(backup, p.dataDir); err != nil {
		t.Fatal(err)
	}
	execute(t, source, "DELETE FROM keyed WHERE id <= 10", "INSERT INTO append VALUES (1, 'after the backup')")
	p.start(t)
	awaitEqual(t, p, source, writtenTables)
	p.awaitActive(t, "older")
}

// TestServerPutBack puts the server back to an older copy of its files, and has
// it get further than it had been before anybody looks: its identifier, its
// timeline and its slot are the same, and its history is not (promise 2).
func TestServerPutBack(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Fast: true})
	run := func(sql ...string) {
		t.Helper()
		if err := server.Exec(t.Context(), "postgres", sql...); err != nil {
			t.Fatal(err)
		}
	}
	run("CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'from before')")
	tables := map[string]string{"t": "SELECT id, v FROM t ORDER BY id"}
	p := newPenstock(t, server.URL("postgres"))
	p.integrate(t, "put-back", "postgres")
	p.awaitActive(t, "put-back")
	run("INSERT INTO t VALUES (2, 'kept')")
	equal := func() {
		t.Helper()
		source := connect(t, server, "postgres")
		awaitEqual(t, p, source, tables)
		source.Close(t.Context())
	}
	equal()
	data, backup := filepath.Join(server.Dir(), "data"), filepath.Join(server.Dir(), "backup")
	move := func(from, to string) {
		t.Helper()
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("sh", "-c", `rm -rf "$2" && cp -a "$1" "$2"`, "sh", from, to).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	move(data, backup)
	run("INSERT INTO t VALUES (3, 'lost')", "UPDATE t SET v = 'lost' WHERE id = 1")
	equal()
	p.kill(t)
	move(backup, data)
	run("INSERT INTO t SELECT g, 'after' FROM generate_series(4, 20000) g", "UPDATE t SET v = v || '!' WHERE id > 10")
	p.start(t)
	equal()
	run("INSERT INTO t VALUES (3, 'new')")
	equal()
}
