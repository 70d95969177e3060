package pipeline_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"penstock"
	"penstock/internal/source/pgsource"
	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

// smallChunks has tables of some hundred rows read in several chunks.
var smallChunks = pgsource.Config{Loading: pgsource.Loading{Chunk: 64 << 10}}

// supervise runs pipelines until the test ends, another whenever one fails, so
// that b.pipe is not to be looked at.
func (b *bench) supervise(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			b.start(t)
			select {
			case <-b.over:
			case <-ctx.Done():
			}
			b.stop()
		}
	}()
	b.fails = true
	t.Cleanup(func() { cancel(); <-done })
}

// fill makes keyed tables of several chunks each.
func fill(t *testing.T, db *dbtest.Database, names ...string) (all []string) {
	for _, name := range names {
		db.Exec(t, "CREATE TABLE "+name+" (id int PRIMARY KEY, n int, body text) WITH (fillfactor = 80)",
			"INSERT INTO "+name+" SELECT g, g % 7, repeat('row ' || g || ' ', 30) FROM generate_series(1, 1000) g")
		all = append(all, "public."+name)
	}
	return all
}

// TestSourceRestartedInALoad restarts the server in the middle of a first load,
// in order and as a crash would, while rows change: the load goes on with the
// chunks that are missing (promise 2).
func TestSourceRestartedInALoad(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testdb.Server) error{"stopped": (*testdb.Server).Stop, "killed": (*testdb.Server).Kill} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := dbtest.New(t, testdb.Options{Fast: true})
			db := &dbtest.Database{Server: server, Name: "postgres"}
			tables := fill(t, db, "one", "two")
			b := newBench(t, db, smallChunks, "")
			b.config.Connections = 1
			var commits, reads atomic.Int64
			b.target.Intercept(func(op string) error {
				if op == "Append" {
					reads.Add(1)
				}
				if op != "Commit" || commits.Add(1) != 3 {
					return nil
				}
				if err := end(server); err != nil {
					t.Error(err)
				}
				if err := server.Restart(context.Background()); err != nil {
					t.Error(err)
				}
				for _, table := range tables {
					if err := server.Exec(context.Background(), "postgres", "UPDATE "+table+" SET n = n + 1, id = -id WHERE id % 5 = 0", "DELETE FROM "+table+" WHERE id % 50 = 1"); err != nil {
						t.Error(err)
					}
				}
				return nil
			})
			b.supervise(t)
			await(t, "the load", func() bool { return b.rows("public.one") != nil && b.rows("public.two") != nil })
			b.settle(t, tables...)
			all := commits.Load() // of chunks; three are not read again
			if n := reads.Load(); n > all+2 {
				t.Errorf("%d chunks were read for %d that were committed", n, all)
			}
		})
	}
}

// begun returns the tables of which the target has chunks of a load that broke.
func (b *bench) begun(t *testing.T) (names []string) {
	t.Helper()
	d, err := b.target.Open(t.Context(), b.config.Spec)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	state, err := d.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range state.Tables {
		if s.Partial != nil && len(s.Partial.Chunks) > 0 {
			names = append(names, s.Table.Name)
		}
	}
	return names
}

// TestRewrittenBetweenLoads breaks a load, has its tables rewritten, and loads
// again: rows are where they were no more, so these tables start again, and the
// others go on (promises 1 and 2).
func TestRewrittenBetweenLoads(t *testing.T) {
	t.Parallel()
	dbtest.EachVersion(t, func(t *testing.T, major int) {
		if major == 13 {
			t.Skip("a table is one chunk before version 14")
		}
		db := dbtest.SharedOf(t, major)
		rewrite := map[string]string{
			"vacuumed":  "VACUUM FULL vacuumed",
			"clustered": "CLUSTER clustered USING clustered_pkey",
			"altered":   "ALTER TABLE altered ALTER n TYPE bigint",
			"emptied":   "TRUNCATE emptied; INSERT INTO emptied SELECT g, g, 'new' FROM generate_series(1, 700) g",
			"kept":      "UPDATE kept SET n = n + 1",
		}
		var names []string
		for name := range rewrite {
			names = append(names, name)
		}
		tables := fill(t, db, names...)
		for _, name := range names { // so that a rewritten table has its rows elsewhere
			db.Exec(t, "DELETE FROM "+name+" WHERE id % 3 = 0", "UPDATE "+name+" SET n = 0 WHERE id % 10 = 0")
		}
		b := newBench(t, db, smallChunks, "")
		b.fails = true
		// Broken again and again, until there is something of each table; the
		// last one has more chunks than that.
		var begun []string
		for len(begun) < len(names) {
			b.target.Intercept(once("Commit", 4, errInjected))
			b.start(t)
			<-b.over
			begun = b.begun(t)
		}
		b.target.Intercept(nil)
		for _, sql := range rewrite {
			db.Exec(t, strings.Split(sql, "; ")...)
		}
		b.start(t)
		b.settle(t, tables...)
		if n := b.pipe.Status().RowsLoaded; n == 0 || n >= 3*667+700+667 {
			t.Errorf("%d rows were loaded, which is all or none", n)
		}
		db.Exec(t, "UPDATE emptied SET n = 1", "DELETE FROM vacuumed WHERE id < 100", "UPDATE altered SET n = 3000000000 WHERE id = 10", "UPDATE kept SET n = -1 WHERE id < 50", "INSERT INTO clustered VALUES (-1, 1, '')")
		b.settle(t, tables...)
	})
}

// TestWALLimitPostgres: a slot that has got too far behind is given up, so that
// the server can remove the WAL; the tables stay readable and are loaded again
// (promises 4 and 6).
func TestWALLimitPostgres(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Fast: true, Settings: map[string]string{"max_wal_size": "64MB", "min_wal_size": "32MB"}})
	db := &dbtest.Database{Server: server, Name: "postgres"}
	tables := fill(t, db, "one", "two")
	db.Exec(t, "CREATE TABLE bulk (id int PRIMARY KEY, filler text)", "ALTER TABLE bulk ALTER filler SET STORAGE EXTERNAL")
	tables = append(tables, "public.bulk")
	b := newBench(t, db, pgsource.Config{}, "")
	b.config.WALAlarm, b.config.WALLimit = 8<<20, 48<<20
	b.start(t)
	await(t, "the load", func() bool { return b.rows("public.one") != nil && b.rows("public.bulk") != nil })
	slot := func() (name string, kept int64) {
		err := db.Conn(t).QueryRow(t.Context(), "SELECT slot_name, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::int8 FROM pg_replication_slots WHERE slot_name LIKE 'penstock%' AND NOT temporary").Scan(&name, &kept)
		if err != nil {
			return "", 0
		}
		return name, kept
	}
	first, _ := slot()
	release := stall(b.target)
	defer release()
	known := func(code penstock.ProblemCode) bool { return problemOf(b.pipe.Status(), code) != nil }
	for i := range 12 { // each 5 MB
		db.Exec(t, fmt.Sprintf("INSERT INTO bulk SELECT g, repeat(md5(g::text), 320) FROM generate_series(%d, %d) g", i*500, i*500+499))
		if i == 3 {
			await(t, "the alarm", func() bool { return known(penstock.ProblemWALRetained) })
		}
	}
	await(t, "it to be noticed", func() bool { return b.pipe.Status().RetainedWAL > b.config.WALLimit })
	db.Exec(t, "UPDATE one SET n = -1 WHERE id < 10")
	release()
	await(t, "another slot", func() bool { name, _ := slot(); return name != "" && name != first })
	if b.rows("public.one") == nil {
		t.Error("a table cannot be read while it is loaded again")
	}
	b.settle(t, tables...)
	await(t, "all to be well", func() bool {
		return allSynced(b.pipe.Status()) && !known(penstock.ProblemWALLimit) && !known(penstock.ProblemWALRetained)
	})
	db.Exec(t, "DELETE FROM bulk WHERE id % 2 = 0", "CHECKPOINT")
	b.settle(t, tables...)
	await(t, "the slot to keep little", func() bool { _, kept := slot(); return kept < b.config.WALAlarm })
}
