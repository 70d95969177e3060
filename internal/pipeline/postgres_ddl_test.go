package pipeline_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock"
	"penstock/internal/pipeline"
	"penstock/internal/source/pgsource"
	"penstock/internal/testdb/dbtest"
)

// TestPartitionsWithoutIdentity: it is the partition, not the partitioned
// table, whose replica identity decides whether the server refuses an update
// that is published, and what it logs (promise 4).
func TestPartitionsWithoutIdentity(t *testing.T) {
	const part = `CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (1000)`
	for name, schema := range map[string][]string{
		"full":    {`CREATE TABLE event (id int, v int) PARTITION BY RANGE (id)`, part, `ALTER TABLE event REPLICA IDENTITY FULL`},
		"nothing": {`CREATE TABLE event (id int PRIMARY KEY, v int) PARTITION BY RANGE (id)`, part, `ALTER TABLE event_1 REPLICA IDENTITY NOTHING`},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, append(schema, `INSERT INTO event VALUES (1, 1), (2, 2)`)...)
			b.settle(t, "public.event")
			b.db.Exec(t, `INSERT INTO event VALUES (3, 3)`)
			b.settle(t, "public.event")
			b.db.Exec(t, `UPDATE event SET v = 5 WHERE id = 1`, `DELETE FROM event WHERE id = 2`)
			await(t, "the table to fail", func() bool {
				return slices.ContainsFunc(b.pipe.Status().Tables, func(s penstock.TableStatus) bool {
					return s.State == penstock.TableFailed && strings.Contains(s.Reason, "ALTER TABLE public.event_1 REPLICA IDENTITY FULL")
				})
			})
			b.db.Exec(t, `ALTER TABLE event_1 REPLICA IDENTITY FULL`)
			b.settle(t, "public.event")
			b.db.Exec(t, `UPDATE event SET v = 6 WHERE id = 1`, `DELETE FROM event WHERE id = 3`)
			b.settle(t, "public.event")
		})
	}
}

// TestIdentityLostDuringLoad: while a first load goes on, an update of a table
// that loses its primary key must soon work again (promise 4).
func TestIdentityLostDuringLoad(t *testing.T) {
	t.Parallel()
	b := setupWith(t, 0, pgsource.DDLTriggerOff, `CREATE TABLE one (id int PRIMARY KEY)`, `CREATE TABLE two (id int PRIMARY KEY)`)
	b.settle(t, "public.one", "public.two")
	b.halt(t)
	b.db.Exec(t, `INSERT INTO one VALUES (1)`, `ALTER TABLE one ADD COLUMN v int`, `ALTER TABLE two ADD COLUMN v int`)
	slow := &slowTarget{Target: b.target, loading: make(chan struct{}, 1), release: make(chan struct{})}
	b.startInto(t, slow)
	<-slow.loading
	b.db.Exec(t, `ALTER TABLE two DROP CONSTRAINT two_pkey`, `INSERT INTO two VALUES (1)`)
	conn := b.db.Conn(t)
	deadline := time.Now().Add(30 * time.Second)
	for {
		_, err := conn.Exec(t.Context(), `UPDATE two SET v = 1`)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			close(slow.release)
			t.Fatalf("the application's update fails: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	close(slow.release)
	b.settle(t, "public.one")
}

// slowTarget holds up loads.
type slowTarget struct {
	penstock.Target
	loading chan struct{} // takes a token when one begins
	release chan struct{} // closed to let them go on
}

func (s *slowTarget) Open(ctx context.Context, spec penstock.DatabaseSpec) (penstock.Destination, error) {
	d, err := s.Target.Open(ctx, spec)
	return slowDestination{d, s}, err
}

type slowDestination struct {
	penstock.Destination
	target *slowTarget
}

func (d slowDestination) Chunk(ctx context.Context, id penstock.TableID) (penstock.ChunkWriter, error) {
	select {
	case d.target.loading <- struct{}{}:
	default:
	}
	select {
	case <-d.target.release:
	case <-ctx.Done():
	}
	return d.Destination.Chunk(ctx, id)
}

// startInto runs a pipeline into another target than b's; ended gets what Run
// returned.
func (b *bench) startInto(t *testing.T, target penstock.Target) (ended chan error) {
	cfg := b.config
	cfg.Target = target
	b.pipe = pipeline.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ended, done := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
		ended <- b.pipe.Run(ctx)
	}()
	b.stop = sync.OnceValue(func() error {
		cancel()
		<-done
		return nil
	})
	return ended
}

// TestPublicationsMeddledWith: changes that somebody kept from us by way of our
// publications are made up for by loading again (promise 2).
func TestPublicationsMeddledWith(t *testing.T) {
	b := setup(t, `CREATE TABLE one (id int PRIMARY KEY)`, `CREATE TABLE two (id int PRIMARY KEY)`)
	b.settle(t, "public.one", "public.two")
	b.halt(t)
	ended := b.startInto(t, b.target)
	name := "penstock_" + b.spec.Integration.Short()
	await(t, "the stream", func() bool { return b.pipe.Status().State == penstock.StreamCdcRefresh })
	b.db.Exec(t, `ALTER PUBLICATION `+name+` DROP TABLE one; INSERT INTO one VALUES (1)`)
	looking := b.db.Conn(t)
	await(t, "the table to be published again", func() bool {
		var n int
		if err := looking.QueryRow(t.Context(), `SELECT count(*) FROM pg_publication_tables WHERE tablename = 'one' AND pubname = $1`, name).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n > 0
	})
	b.db.Exec(t, `INSERT INTO one VALUES (2)`)
	b.settle(t, "public.one")

	b.db.Exec(t, `DROP PUBLICATION `+name, `INSERT INTO two VALUES (1)`)
	if err := <-ended; err == nil {
		t.Fatal("the stream goes on without a publication")
	}
	b.start(t)
	b.settle(t, "public.one", "public.two")
}

// TestPublicationsAltered: changes that a publication of ours kept from us, since
// somebody altered it, are made up for, also if it was for a moment or while
// nobody looked, and no table is loaded again that had nothing of it (promise 2).
func TestPublicationsAltered(t *testing.T) {
	t.Parallel()
	dbtest.EachVersion(t, publicationsAltered)
}

func publicationsAltered(t *testing.T, major int) {
	for _, c := range []struct {
		name  string
		since int      // the version that has it
		alter []string // @ is the publication
		all   bool     // concerns all tables of it
	}{
		{"updates", 0, []string{`ALTER PUBLICATION @ SET (publish = 'insert')`, `UPDATE one SET a = -a`, `DELETE FROM part WHERE id = 1`}, true},
		{"updates for a moment", 0, []string{`ALTER PUBLICATION @ SET (publish = 'insert')`, `UPDATE one SET a = -a`,
			`ALTER PUBLICATION @ SET (publish = 'insert, update, delete, truncate')`}, true},
		{"root", 0, []string{`ALTER PUBLICATION @ SET (publish_via_partition_root = false)`, `UPDATE part SET a = -a`}, true},
		{"table for a moment", 0, []string{`BEGIN; ALTER PUBLICATION @ DROP TABLE one; UPDATE one SET a = -a; ALTER PUBLICATION @ ADD TABLE one; COMMIT`}, false},
		{"filter", 15, []string{`ALTER PUBLICATION @ SET TABLE one WHERE (id > 50), two, part`, `UPDATE one SET a = -a`}, false},
		{"column list", 15, []string{`BEGIN; ALTER PUBLICATION @ DROP TABLE one; ALTER PUBLICATION @ ADD TABLE one (id); COMMIT`, `UPDATE one SET a = -a`}, false},
	} {
		for _, stopped := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stopped %v", c.name, stopped), func(t *testing.T) {
				t.Parallel()
				b := setupOn(t, major, `CREATE TABLE one (id int PRIMARY KEY, a int)`, `CREATE TABLE two (id int PRIMARY KEY)`,
					`CREATE TABLE part (id int PRIMARY KEY, a int) PARTITION BY RANGE (id)`, `CREATE TABLE part_1 PARTITION OF part DEFAULT`,
					`INSERT INTO one SELECT g, g FROM generate_series(1, 100) g`, `INSERT INTO two SELECT g FROM generate_series(1, 1000) g`, `INSERT INTO part SELECT g, g FROM generate_series(1, 100) g`)
				if b.db.Server.Binaries.Major < c.since {
					t.Skip("this version has no such thing")
				}
				b.settle(t, "public.one", "public.two", "public.part")
				b.halt(t)
				if !stopped {
					b.start(t)
					await(t, "the stream", func() bool { return b.pipe.Status().State == penstock.StreamCdcRefresh })
				}
				var statements []string
				for _, s := range c.alter {
					statements = append(statements, strings.ReplaceAll(s, "@", "penstock_"+b.spec.Integration.Short()))
				}
				b.db.Exec(t, statements...)
				if stopped {
					b.start(t)
				}
				least := int64(100)
				if c.all {
					least = 1199
				}
				await(t, "tables to be loaded again", func() bool { return b.pipe.Status().RowsLoaded >= least })
				b.settle(t, "public.one", "public.two", "public.part")
				// It is as it was, for good.
				b.db.Exec(t, `UPDATE one SET a = 7`, `UPDATE part SET a = 7`, `DELETE FROM two WHERE id < 10`)
				b.settle(t, "public.one", "public.two", "public.part")
				if n := b.pipe.Status().RowsLoaded; n > least+1 {
					t.Errorf("%d rows were loaded, want %d", n, least)
				}
			})
		}
	}
}

// TestUntold: what has changed values without another shape, and no event trigger
// has told of, is found by looking, also if nobody looked then; and what has not
// takes no load. Event triggers that are gone or disabled are made again (promise 2).
func TestUntold(t *testing.T) {
	t.Parallel()
	dbtest.EachVersion(t, untold)
}

func untold(t *testing.T, major int) {
	for _, c := range []struct {
		name    string
		trigger pgsource.DDLTrigger
		alter   string // of each event trigger
	}{
		{"without", pgsource.DDLTriggerOff, ""},
		{"disabled", pgsource.DDLTriggerAuto, `ALTER EVENT TRIGGER @ DISABLE`},
		{"dropped", pgsource.DDLTriggerAuto, `DROP EVENT TRIGGER @`},
	} {
		for _, stopped := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stopped %v", c.name, stopped), func(t *testing.T) {
				t.Parallel()
				b := setupWith(t, major, c.trigger, `CREATE TABLE plain (id int PRIMARY KEY, a int)`, `INSERT INTO plain SELECT g, g FROM generate_series(1, 10) g`,
					`CREATE TABLE filled (id int PRIMARY KEY)`, `INSERT INTO filled SELECT generate_series(1, 10)`, `ALTER TABLE filled ADD COLUMN a int DEFAULT 5`,
					`CREATE TYPE mood AS ENUM ('sad', 'ok')`, `CREATE DOMAIN dmood AS mood`, `CREATE TYPE pair AS (x int, y mood)`,
					`CREATE TABLE moody (id int PRIMARY KEY, m dmood[])`, `INSERT INTO moody VALUES (1, '{sad,ok}')`,
					`CREATE TABLE paired (id int PRIMARY KEY, p pair)`, `INSERT INTO paired VALUES (1, '(1,ok)')`,
					`CREATE TYPE kind AS ENUM ('a')`, `CREATE TABLE kept (id int PRIMARY KEY, k kind, n int)`, `INSERT INTO kept SELECT g, 'a', g FROM generate_series(1, 1000) g`, `ALTER TABLE kept ADD COLUMN z int DEFAULT 5`)
				tables := []string{"public.plain", "public.filled", "public.moody", "public.paired", "public.kept"}
				b.settle(t, tables...)
				b.halt(t)
				if !stopped {
					b.start(t)
					await(t, "the stream", func() bool { return b.pipe.Status().State == penstock.StreamCdcRefresh })
				}
				name := "penstock_" + b.spec.Integration.Short()
				var statements []string
				for _, event := range []string{"_ddl", "_drop", "_rewrite"} {
					if c.alter != "" {
						statements = append(statements, strings.ReplaceAll(c.alter, "@", name+event))
					}
				}
				b.db.Exec(t, slices.Concat([]string{`BEGIN`}, statements, []string{
					`ALTER TABLE plain ALTER a TYPE int USING a + 1000`, `ALTER TABLE filled ALTER a TYPE int USING a + id`,
					`ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'`, `ALTER TYPE pair ADD ATTRIBUTE z int`, `COMMIT`})...)
				if stopped {
					b.start(t)
				}
				b.settle(t, tables...)
				least := b.pipe.Status().RowsLoaded
				b.db.Exec(t, `VACUUM FULL kept`, `ALTER TYPE kind ADD VALUE 'b'`, `INSERT INTO kept VALUES (1001, 'b', 1)`)
				b.settle(t, tables...)
				await(t, "the label to be noticed", func() bool {
					return slices.ContainsFunc(b.pipe.Status().Tables, func(s penstock.TableStatus) bool {
						return len(strings.Fields(s.Table.Stored.Labels)) == 2 && s.Table.Name == "kept"
					})
				})
				b.db.Exec(t, `ALTER TABLE kept ALTER n SET NOT NULL`, `INSERT INTO kept VALUES (1002, 'b', 1)`)
				b.settle(t, tables...)
				looking := b.db.Conn(t)
				await(t, "the event triggers", func() bool {
					var n int
					if err := looking.QueryRow(t.Context(), `SELECT count(*) FROM pg_event_trigger WHERE evtname LIKE $1 AND evtenabled = 'A'`, name+"%").Scan(&n); err != nil {
						t.Fatal(err)
					}
					return n == 3 || c.trigger == pgsource.DDLTriggerOff
				})
				b.quiet(t)
				if n := b.pipe.Status().RowsLoaded; n >= least+1000 {
					t.Errorf("%d rows were loaded again in vain", n-least)
				}
				b.db.Exec(t, `ALTER TABLE plain ALTER a TYPE int USING a * 2`, `ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'`)
				b.settle(t, tables...)
			})
		}
	}
}

// TestTableReplaced: a table that another one takes the place of, in one transaction,
// stays readable as it was until that has been loaded (promise 6).
func TestTableReplaced(t *testing.T) {
	const insert = `INSERT INTO @ SELECT id, 'new' FROM generate_series(1, 20) id`
	for name, statements := range map[string]string{
		"renamed first":      `ALTER TABLE t RENAME TO t_old; CREATE TABLE t (LIKE t_old INCLUDING ALL); ` + strings.ReplaceAll(insert, "@", "t") + `; DROP TABLE t_old`,
		"made first":         `CREATE TABLE t_new (LIKE t INCLUDING ALL); ` + strings.ReplaceAll(insert, "@", "t_new") + `; ALTER TABLE t RENAME TO t_old; ALTER TABLE t_new RENAME TO t; DROP TABLE t_old`,
		"changed as well":    `DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (7, 'late'); DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, a text); ` + strings.ReplaceAll(insert, "@", "t"),
		"by a query":         `ALTER TABLE t RENAME TO t_old; CREATE TABLE t AS SELECT id, upper(a) AS a FROM t_old; ALTER TABLE t ADD PRIMARY KEY (id); DROP TABLE t_old`,
		"out of the filter":  `ALTER TABLE t RENAME TO excluded; CREATE TABLE t (LIKE excluded INCLUDING ALL); ` + strings.ReplaceAll(insert, "@", "t"),
		"with another shape": `DROP TABLE t; CREATE TABLE t (id bigint PRIMARY KEY, z int, a text); INSERT INTO t VALUES (1, 2, 'x')`,
	} {
		for _, trigger := range []pgsource.DDLTrigger{pgsource.DDLTriggerAuto, pgsource.DDLTriggerOff} {
			t.Run(fmt.Sprintf("%s, trigger %d", name, trigger), func(t *testing.T) {
				t.Parallel()
				db := dbtest.Shared(t)
				db.Exec(t, `CREATE TABLE t (id int PRIMARY KEY, a text)`, `INSERT INTO t VALUES (1, 'old'), (2, 'old')`, `CREATE TABLE other (id int PRIMARY KEY)`)
				b := newBench(t, db, pgsource.Config{DDLTrigger: trigger}, ", exclude: "+db.Name+".public.excluded")
				b.start(t)
				b.settle(t, "public.t", "public.other")
				b.quiet(t)
				b.halt(t)
				slow := &slowTarget{Target: b.target, loading: make(chan struct{}, 1), release: make(chan struct{})}
				b.startInto(t, slow)
				old := b.rows("public.t")
				b.db.Exec(t, slices.Concat([]string{`BEGIN`}, strings.Split(statements, "; "), []string{`COMMIT`, `INSERT INTO other VALUES (1)`})...)
				holes := 0
				look := func() {
					// What is not told of comes too late to leave out the rows before it.
					if got := b.rows("public.t"); got == nil || trigger == pgsource.DDLTriggerAuto && !slices.Equal(got, old) {
						holes++
						t.Errorf("%d rows can be read, not those that there were", len(got))
					}
				}
				await(t, "the load", func() bool {
					look()
					return len(slow.loading) > 0 || holes > 0
				})
				b.settle(t, "public.other")
				look()
				close(slow.release)
				b.settle(t, "public.t")
				b.db.Exec(t, `INSERT INTO t (id, a) VALUES (100, 'more')`, `UPDATE t SET a = 'changed' WHERE id = 1`)
				b.settle(t, "public.t")
				want := b.sourceNames(t)
				await(t, "the tables "+fmt.Sprint(want), func() bool { return slices.Equal(b.readable(), want) && allSynced(b.pipe.Status()) })
			})
		}
	}
}

// TestFailedTableRenamed: what can be read of a table that is not carried any more
// has the name that the table has at the source.
func TestFailedTableRenamed(t *testing.T) {
	b := setup(t, `CREATE TABLE bare (id int)`, `INSERT INTO bare VALUES (1)`)
	b.settle(t, "public.bare")
	failed := func(name string) func() bool {
		return func() bool {
			return slices.ContainsFunc(b.pipe.Status().Tables, func(s penstock.TableStatus) bool {
				return s.State == penstock.TableFailed && s.Readable && s.Table.String() == name && strings.Contains(s.Reason, name)
			})
		}
	}
	b.db.Exec(t, `UPDATE bare SET id = 2`)
	await(t, "the table to fail", failed("public.bare"))
	b.db.Exec(t, `ALTER TABLE bare RENAME TO other`)
	await(t, "the table to be renamed", failed("public.other"))
	if got := b.rows("public.other"); len(got) != 1 || b.rows("public.bare") != nil {
		t.Errorf("under the new name there are %v", got)
	}
}

// TestTransactionAroundDDL: what can be read of a table is never half of a
// transaction, also not while it is loaded again (promises 1 and 6).
func TestTransactionAroundDDL(t *testing.T) {
	t.Parallel()
	b := setupWith(t, 0, pgsource.DDLTriggerOff, `CREATE TABLE account (id int PRIMARY KEY, balance int)`, `INSERT INTO account VALUES (1, 100), (2, 100)`)
	b.settle(t, "public.account")
	b.halt(t)
	slow := &slowTarget{Target: b.target, loading: make(chan struct{}, 1), release: make(chan struct{})}
	b.startInto(t, slow)
	b.db.Exec(t, `BEGIN; UPDATE account SET balance = 0 WHERE id = 1; ALTER TABLE account ADD COLUMN x int; UPDATE account SET balance = 200 WHERE id = 2; COMMIT`)
	<-slow.loading
	if got, want := fmt.Sprint(b.rows("public.account")), "[|01000000|64000000 |02000000|64000000]"; got != want {
		t.Errorf("%s can be read", got)
	}
	close(slow.release)
	b.settle(t, "public.account")
}

// TestChangedWhileStopped: what was done to tables while nobody read the stream
// is told once somebody does, as it was done, and takes no load; and a statement
// of the application works right after the replica identity is gone (promise 4).
func TestChangedWhileStopped(t *testing.T) {
	b := setup(t, `CREATE TABLE t (id int PRIMARY KEY, a text)`, `INSERT INTO t VALUES (1, 'one'), (2, 'two')`,
		`CREATE TABLE bare (id int CONSTRAINT bare_key PRIMARY KEY, a text)`, `INSERT INTO bare VALUES (1, 'one')`, `CREATE TABLE gone (id int PRIMARY KEY)`)
	b.settle(t, "public.t", "public.bare", "public.gone")
	b.halt(t)
	b.db.Exec(t,
		`INSERT INTO t VALUES (3, 'three')`, `ALTER TABLE t ADD COLUMN b int DEFAULT 5`, `UPDATE t SET b = 6 WHERE id = 1`,
		`INSERT INTO gone VALUES (1)`, `DROP TABLE gone`, `ALTER TABLE t RENAME TO u`, `ALTER TABLE u DROP COLUMN a`, `INSERT INTO u VALUES (4, 7)`)
	b.start(t)
	b.settle(t, "public.u")
	await(t, "the other table to go", func() bool { return b.rows("public.gone") == nil })
	if n := b.pipe.Status().RowsLoaded; n != 0 {
		t.Errorf("%d rows were loaded again", n)
	}
	b.halt(t)
	b.db.Exec(t, `ALTER TABLE bare DROP CONSTRAINT bare_key`, `UPDATE bare SET a = 'changed'`, `INSERT INTO bare VALUES (1, 'again')`, `DELETE FROM bare WHERE a = 'changed'`)
	b.start(t)
	b.settle(t, "public.bare")
	b.db.Exec(t, `ALTER TABLE bare REPLICA IDENTITY FULL`, `INSERT INTO bare VALUES (1, 'again')`)
	b.settle(t, "public.bare")
}

// TestNamesExchangedForAWhile: rows that came while two columns had each other's
// name are in the right ones also if nobody looked meanwhile.
func TestNamesExchangedForAWhile(t *testing.T) {
	t.Parallel()
	b := setupWith(t, 0, pgsource.DDLTriggerOff, `CREATE TABLE t (id int PRIMARY KEY, a text, b text)`, `INSERT INTO t VALUES (1, 'a', 'b')`)
	b.settle(t, "public.t")
	const exchange = `ALTER TABLE t RENAME a TO between; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME between TO b; `
	b.db.Exec(t, `BEGIN; `+exchange+`INSERT INTO t (id, a, b) VALUES (2, 'into b', 'into a'); `+exchange+`COMMIT`)
	b.settle(t, "public.t")
}

// TestPartitionAwayForAWhile: what was done to a partition while it was none is
// in the table once it is one again, also if nobody looked meanwhile.
func TestPartitionAwayForAWhile(t *testing.T) {
	t.Parallel()
	b := setupWith(t, 0, pgsource.DDLTriggerOff, `CREATE TABLE t (id int PRIMARY KEY, a int) PARTITION BY RANGE (id)`,
		`CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (100)`, `CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (100) TO (200) PARTITION BY RANGE (id)`,
		`CREATE TABLE t_21 PARTITION OF t_2 DEFAULT`, `INSERT INTO t SELECT g, g FROM generate_series(0, 199) g`)
	b.settle(t, "public.t")
	b.db.Exec(t, `BEGIN; ALTER TABLE t DETACH PARTITION t_1; UPDATE t_1 SET a = -a; DELETE FROM t_1 WHERE id = 7; ALTER TABLE t ATTACH PARTITION t_1 FOR VALUES FROM (0) TO (100); COMMIT`)
	b.settle(t, "public.t")
	b.db.Exec(t, `BEGIN; ALTER TABLE t DETACH PARTITION t_2; UPDATE t_2 SET a = -a; ALTER TABLE t ATTACH PARTITION t_2 FOR VALUES FROM (100) TO (200); COMMIT`)
	b.settle(t, "public.t")
}

// TestPartitionForAWhile: rows of a partition that came and went between two
// looks go with it.
func TestPartitionForAWhile(t *testing.T) {
	t.Parallel()
	b := setupWith(t, 0, pgsource.DDLTriggerOff, `CREATE TABLE t (id int PRIMARY KEY, a int) PARTITION BY RANGE (id)`,
		`CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (100)`, `INSERT INTO t VALUES (1, 1)`,
		`CREATE TABLE bare (id int PRIMARY KEY) PARTITION BY RANGE (id)`, `CREATE TABLE other (id int PRIMARY KEY, a int)`)
	b.settle(t, "public.t", "public.bare", "public.other")
	const part = ` PARTITION OF t FOR VALUES FROM (100) TO (200); INSERT INTO t VALUES (150, 1), (2, 2); `
	b.db.Exec(t, `BEGIN; CREATE TABLE detached`+part+`ALTER TABLE t DETACH PARTITION detached; COMMIT`)
	b.settle(t, "public.t")
	b.db.Exec(t, `BEGIN; DELETE FROM t WHERE id = 2; CREATE TABLE dropped`+part+`DROP TABLE dropped; COMMIT`)
	b.settle(t, "public.t")
	b.db.Exec(t, `BEGIN; CREATE TABLE bare_1 PARTITION OF bare DEFAULT; INSERT INTO bare VALUES (1); DROP TABLE bare_1; COMMIT`)
	b.settle(t, "public.bare")

	// Tables that are described together, and are none of each other's partitions.
	await(t, "everything to be loaded", func() bool { return allSynced(b.pipe.Status()) })
	loaded := b.pipe.Status().RowsLoaded
	b.db.Exec(t, `TRUNCATE other, t`, `INSERT INTO other VALUES (1, 1)`, `TRUNCATE other, bare`, `INSERT INTO other VALUES (2, 1)`)
	b.settle(t, "public.other", "public.bare")
	if n := b.pipe.Status().RowsLoaded; n != loaded { // t and bare, which may be loaded again, are empty
		t.Errorf("%d rows were loaded again", n-loaded)
	}
}

// TestPartitionLeaving: what DETACH … CONCURRENTLY has hidden from the table at
// the source is not in it here either, however long that waits to be completed.
func TestPartitionLeaving(t *testing.T) {
	b := setup(t, `CREATE TABLE t (id int PRIMARY KEY, a int) PARTITION BY RANGE (id)`,
		`CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (100)`, `CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (100) TO (200)`,
		`INSERT INTO t SELECT g, g FROM generate_series(0, 199) g`)
	b.settle(t, "public.t")
	reader, detacher := b.db.Conn(t), b.db.Conn(t)
	if _, err := reader.Exec(t.Context(), `BEGIN; SELECT FROM t`); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := detacher.Exec(context.Background(), `ALTER TABLE t DETACH PARTITION t_2 CONCURRENTLY`)
		ended <- err
	}()
	looking := b.db.Conn(t)
	await(t, "the partition to be leaving", func() (leaving bool) {
		if err := looking.QueryRow(t.Context(), `SELECT bool_or(inhdetachpending) FROM pg_inherits WHERE inhrelid = 't_2'::regclass`).Scan(&leaving); err != nil {
			t.Fatal(err)
		}
		return leaving
	})
	left := func() bool { return len(b.rows("public.t")) == 100 }
	await(t, "its rows to leave", left)
	b.db.Exec(t, `UPDATE t SET a = a + 1`)
	b.settle(t, "public.t")
	b.db.EndSessions(t, `SELECT pid FROM pg_stat_activity WHERE pid = $1`, detacher.PgConn().PID())
	if err := <-ended; err == nil {
		t.Fatal("the partition is detached while the table is read")
	}
	b.db.Exec(t, `INSERT INTO t_2 VALUES (150, 1) ON CONFLICT (id) DO UPDATE SET a = 0`)
	if _, err := reader.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	b.db.Exec(t, `ALTER TABLE t DETACH PARTITION t_2 FINALIZE`, `UPDATE t_2 SET a = 5 WHERE id = 151`, `UPDATE t SET a = a + 1`)
	b.settle(t, "public.t", "public.t_2")
	if !left() {
		t.Errorf("the table has %d rows", len(b.rows("public.t")))
	}
}
