package pipeline_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock"
	"penstock/internal/pipeline"
	"penstock/internal/source/pgsource"
	"penstock/internal/target/memtarget"
	"penstock/internal/testdb/dbtest"
)

// bench is one stream from a real PostgreSQL database into memory.
type bench struct {
	db     *dbtest.Database
	source *pgsource.Source
	target *memtarget.Target
	spec   penstock.CaptureSpec
	config pipeline.Config // of the next pipeline that is started
	fails  bool            // the last one may end with an error

	stop func() error  // of the running pipeline
	over chan struct{} // closed when it has ended
	pipe *pipeline.Pipeline
}

func setup(t *testing.T, schema ...string) *bench {
	t.Helper()
	t.Parallel()
	return setupOn(t, 0, schema...)
}

// setupOn is setup on a server of a major version.
func setupOn(t *testing.T, major int, schema ...string) *bench {
	t.Helper()
	return setupWith(t, major, pgsource.DDLTriggerAuto, schema...)
}

// setupWith is setupOn with a choice of how changes of tables are learnt of.
func setupWith(t *testing.T, major int, trigger pgsource.DDLTrigger, schema ...string) *bench {
	t.Helper()
	db := dbtest.SharedOf(t, major)
	db.Exec(t, schema...)
	b := newBench(t, db, pgsource.Config{DDLTrigger: trigger}, "")
	b.start(t)
	return b
}

// newBench returns a stream that is not running, of all tables of a database but
// for what the rules after the first one exclude. What from leaves open is the
// database's.
func newBench(t *testing.T, db *dbtest.Database, from pgsource.Config, rules string) *bench {
	t.Helper()
	from.Name, from.URL, from.Logger = "shop", cmp.Or(from.URL, db.URL()), logger(t)
	b := &bench{db: db, target: memtarget.New(), stop: func() error { return nil }}
	var err error
	if b.source, err = pgsource.New(from); err != nil {
		t.Fatal(err)
	}
	filter, err := b.source.ParseFilter("include: " + db.Name + ".*.*" + rules)
	if err != nil {
		t.Fatal(err)
	}
	// An integration of its own per test: tests share the server.
	b.spec = penstock.CaptureSpec{Integration: randomID(), Database: db.Name, Filter: filter}
	b.config = pipeline.Config{
		Source: b.source, Capture: b.spec, Target: b.target, Poll: 50 * time.Millisecond, Logger: logger(t),
		Spec: penstock.DatabaseSpec{Name: "shop", Integration: b.spec.Integration, SourceARN: "arn:aws:rds:us-east-1:000000000000:cluster:shop", SourceDatabase: db.Name},
	}
	t.Cleanup(func() {
		if err := b.stop(); err != nil && !b.fails {
			t.Errorf("Run: %v", err)
		}
		if err := b.source.Forget(context.Background(), b.spec.Integration); err != nil {
			t.Error(err)
		}
	})
	return b
}

func randomID() penstock.IntegrationID {
	return penstock.IntegrationID(fmt.Sprintf("%08x-0000-4000-8000-000000000001", rand.Uint32()))
}

func logger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(writer{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type writer struct{ t *testing.T }

func (w writer) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// start runs a pipeline, again if one was halted.
func (b *bench) start(t *testing.T) {
	t.Helper()
	b.pipe = pipeline.New(b.config)
	ctx, cancel := context.WithCancel(context.Background())
	done, over := make(chan error, 1), make(chan struct{})
	b.over = over
	go func() {
		defer close(over)
		done <- b.pipe.Run(ctx)
	}()
	b.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
}

func (b *bench) halt(t *testing.T) {
	t.Helper()
	if err := b.stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// await waits until a condition holds, and says what it waited for if not.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// rows returns a table's rows in the target, sorted, in the vectors' own form.
func (b *bench) rows(table string) []string {
	schema, name, _ := strings.Cut(table, ".")
	_, rows, ok := b.target.Read("shop", schema, name)
	if !ok {
		return nil
	}
	return render(rows)
}

func render(rows *penstock.Rows) []string {
	out := make([]string, rows.Len())
	for i := range out {
		var s strings.Builder
		for c := range rows.Vectors {
			v := &rows.Vectors[c]
			if v.IsNull(i) {
				s.WriteString("|-")
			} else {
				fmt.Fprintf(&s, "|%x", v.Raw(i))
			}
		}
		out[i] = s.String()
	}
	slices.Sort(out)
	return out
}

// sourceRows reads a table anew from the source, in COPY's binary form, which
// streamed rows never came in.
func (b *bench) sourceRows(t *testing.T, table string) []string {
	t.Helper()
	spec := b.spec
	spec.Integration = randomID()
	c := b.source.Capture(spec)
	defer c.Close()
	defer b.source.Forget(context.Background(), spec.Integration)
	tables, findings, err := c.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(tables, func(x penstock.Table) bool { return x.String() == table })
	if i < 0 {
		t.Fatalf("the source has no table %s: %v", table, findings)
	}
	l, err := c.Load(t.Context(), tables[i:i+1], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	all, part := penstock.NewRows(&tables[i]), penstock.NewRows(&tables[i])
	for _, chunk := range l.Chunks() {
		err := l.Read(t.Context(), chunk, part, 1<<20, func(penstock.BadValues) error {
			for r := range part.Len() {
				for c := range part.Vectors {
					all.Vectors[c].AppendFrom(&part.Vectors[c], r)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return render(all)
}

// settle waits until a table in the target equals the source's.
func (b *bench) settle(t *testing.T, tables ...string) {
	t.Helper()
	for _, table := range tables {
		want := b.sourceRows(t, table)
		deadline := time.Now().Add(60 * time.Second)
		for {
			got := b.rows(table)
			if got != nil && slices.Equal(got, want) || got != nil && len(want) == 0 && len(got) == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: target has %d rows, source %d; %s", table, len(got), len(want), firstDifference(got, want))
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func firstDifference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("row %d is %.100s instead of %.100s", i, got[i], want[i])
		}
	}
	return "the one begins with the other"
}

func TestLoadThenChanges(t *testing.T) {
	b := setup(t,
		`CREATE TABLE item (id int PRIMARY KEY, name text, price numeric(10,2), note text)`,
		`INSERT INTO item SELECT i, 'item ' || i, i / 3.0, repeat('x', i % 50) FROM generate_series(1, 5000) i`)
	b.settle(t, "public.item")
	b.db.Exec(t,
		`INSERT INTO item VALUES (6000, 'new', 1.5, NULL)`,
		`UPDATE item SET name = upper(name) WHERE id % 7 = 0`,
		`DELETE FROM item WHERE id % 11 = 0`,
		`UPDATE item SET id = -id WHERE id % 13 = 0`)
	b.settle(t, "public.item")
	b.db.Exec(t, `BEGIN; INSERT INTO item VALUES (7000, 'gone', 1, ''); ROLLBACK`, `TRUNCATE item; INSERT INTO item VALUES (1, 'after', 2, '')`)
	b.settle(t, "public.item")
}

func TestUnchangedTOAST(t *testing.T) {
	b := setup(t,
		`CREATE TABLE doc (id int PRIMARY KEY, n int, body text, extra text)`,
		`ALTER TABLE doc ALTER body SET STORAGE EXTERNAL, ALTER extra SET STORAGE EXTERNAL`,
		`INSERT INTO doc SELECT i, 0, repeat('body' || i, 3000), repeat('extra' || i, 3000) FROM generate_series(1, 50) i`)
	b.settle(t, "public.doc")
	b.db.Exec(t,
		`UPDATE doc SET n = n + 1`,
		`UPDATE doc SET n = n + 1 WHERE id < 20`,
		`BEGIN; UPDATE doc SET body = repeat('new', 5000) WHERE id < 10; UPDATE doc SET n = n + 1 WHERE id < 15; UPDATE doc SET id = id + 1000 WHERE id < 12; UPDATE doc SET n = 77 WHERE id > 1000; COMMIT`,
		`BEGIN; INSERT INTO doc SELECT i, 0, repeat('late' || i, 3000), NULL FROM generate_series(100, 110) i; UPDATE doc SET n = 5 WHERE id >= 100; DELETE FROM doc WHERE id = 105; COMMIT`,
		`ALTER TABLE doc REPLICA IDENTITY FULL`)
	b.settle(t, "public.doc")
	b.db.Exec(t, `UPDATE doc SET n = n + 10`, `UPDATE doc SET id = id + 5000 WHERE id % 2 = 0`)
	b.settle(t, "public.doc")
}

func TestTableWithoutKey(t *testing.T) {
	b := setup(t,
		`CREATE TABLE log (at timestamptz DEFAULT now(), what text)`,
		`CREATE TABLE bag (a int, b text)`, `ALTER TABLE bag REPLICA IDENTITY FULL`,
		`INSERT INTO log (what) SELECT 'row ' || i FROM generate_series(1, 100) i`,
		`INSERT INTO bag SELECT i % 5, 'x' FROM generate_series(1, 100) i`)
	b.settle(t, "public.log", "public.bag")
	b.db.Exec(t, `INSERT INTO log (what) VALUES ('later'), ('later')`,
		`DELETE FROM bag WHERE ctid IN (SELECT ctid FROM bag WHERE a = 1 LIMIT 3)`,
		`UPDATE bag SET b = 'y' WHERE ctid IN (SELECT ctid FROM bag WHERE a = 2 LIMIT 3)`,
		`BEGIN; INSERT INTO bag VALUES (9, NULL), (9, NULL); DELETE FROM bag WHERE ctid IN (SELECT ctid FROM bag WHERE a = 9 LIMIT 1); COMMIT`)
	b.settle(t, "public.log", "public.bag")

	// The application's update must work; that it was not seen must be said.
	b.db.Exec(t, `UPDATE log SET what = 'changed' WHERE what = 'row 1'`)
	await(t, "the table to fail", func() bool {
		return slices.ContainsFunc(b.pipe.Status().Tables, func(s penstock.TableStatus) bool {
			return s.Table.Name == "log" && s.State == penstock.TableFailed && strings.Contains(s.Reason, "REPLICA IDENTITY FULL")
		})
	})
	b.db.Exec(t, `ALTER TABLE log REPLICA IDENTITY FULL`)
	b.settle(t, "public.log")
}

func TestTablesComeAndGo(t *testing.T) {
	b := setup(t, `CREATE TABLE one (id int PRIMARY KEY)`, `INSERT INTO one VALUES (1)`)
	b.settle(t, "public.one")
	b.db.Exec(t, `CREATE TABLE two (id int PRIMARY KEY, v text)`, `INSERT INTO two SELECT i, 'v' FROM generate_series(1, 10) i`, `INSERT INTO one VALUES (2)`)
	b.settle(t, "public.one", "public.two")
	b.db.Exec(t, `ALTER TABLE two ADD COLUMN w int DEFAULT 7`, `INSERT INTO two VALUES (11, 'after', 8)`, `ALTER TABLE two DROP COLUMN v`, `INSERT INTO two VALUES (12, 9)`)
	b.settle(t, "public.two")
	b.db.Exec(t, `ALTER TABLE two RENAME TO three`, `INSERT INTO three VALUES (13, 9)`)
	b.settle(t, "public.three")
	b.db.Exec(t, `DROP TABLE three`)
	await(t, "the table to go", func() bool { return b.rows("public.three") == nil })
}

// TestArraysAsKeys: keys that differ in their lower bounds only are of two rows.
func TestArraysAsKeys(t *testing.T) {
	b := setup(t, `CREATE TABLE k (k int[], w text[], v int, other int[], PRIMARY KEY (k, w))`,
		`INSERT INTO k VALUES ('{1,2,3}', '{}', 1, '[0:1]={1,2}'), ('[0:2]={1,2,3}', '{}', 2, '{1,2}'), ('{1}', '[7:8]={a,"b \"c\\\\"}', 3, NULL), ('{1}', '{a,"b \"c\\\\"}', 4, NULL)`)
	b.settle(t, "public.k")
	b.db.Exec(t, `UPDATE k SET v = v + 100`, `INSERT INTO k VALUES ('[-1:1]={1,2,3}', '{}', 5, NULL)`)
	b.settle(t, "public.k")
	b.db.Exec(t, `UPDATE k SET k = '[2:4]={1,2,3}' WHERE k = '{1,2,3}'`, `UPDATE k SET v = v + 100 WHERE v < 103`, `DELETE FROM k WHERE w = '[7:8]={a,"b \"c\\\\"}'`)
	b.settle(t, "public.k")
	_, rows, _ := b.target.Read("shop", "public", "k")
	var keys []string
	for i := range rows.Len() {
		keys = append(keys, string(rows.Vectors[0].Raw(i)))
		if other := string(rows.Vectors[3].Raw(i)); other != "" && other != "[1,2]" {
			t.Errorf("a value that is in no key is %s", other)
		}
	}
	slices.Sort(keys)
	if want := []string{`"[-1:1]={1,2,3}"`, `"[0:2]={1,2,3}"`, `"[2:4]={1,2,3}"`, `[1]`}; !slices.Equal(keys, want) {
		t.Errorf("keys are %q, want %q", keys, want)
	}
	// In no key any more, they are what other arrays are.
	b.db.Exec(t, `ALTER TABLE k DROP CONSTRAINT k_pkey, REPLICA IDENTITY FULL`)
	b.settle(t, "public.k")
	b.db.Exec(t, `UPDATE k SET v = v + 1`, `DELETE FROM k WHERE k = '[0:2]={1,2,3}'`)
	b.settle(t, "public.k")
}

// TestTakenNames drops tables and makes others of their names while nothing
// runs: what is found about the new ones does not keep the old ones known.
func TestTakenNames(t *testing.T) {
	b := setupWith(t, 0, pgsource.DDLTriggerOff, `CREATE TABLE keyed (id int PRIMARY KEY)`, `CREATE TABLE bare (a int)`, `CREATE TABLE bag (a int)`, `ALTER TABLE bag REPLICA IDENTITY FULL`,
		`CREATE TABLE logged (a int)`, `INSERT INTO keyed VALUES (1)`, `INSERT INTO bare VALUES (1)`, `INSERT INTO bag VALUES (1)`, `INSERT INTO logged VALUES (1)`)
	b.settle(t, "public.keyed", "public.bare", "public.bag", "public.logged")
	b.halt(t)
	b.db.Exec(t, `DROP TABLE keyed, bare, bag, logged`, `CREATE TABLE keyed (a int)`, `CREATE TABLE bare (a int)`, `CREATE TABLE bag (a int)`, `CREATE UNLOGGED TABLE logged (a int)`,
		`INSERT INTO keyed VALUES (2)`, `INSERT INTO bare VALUES (2)`, `INSERT INTO bag VALUES (2)`)
	b.start(t)
	b.settle(t, "public.keyed", "public.bare", "public.bag")
	await(t, "the old tables to go", func() bool {
		tables := b.pipe.Status().Tables
		return len(tables) == 3 && !slices.ContainsFunc(tables, func(s penstock.TableStatus) bool { return s.State != penstock.TableSynced })
	})
}

// TestJoinUnderLoad adds a table while transactions that write to it are open,
// with and without a key: every row must come exactly once.
func TestJoinUnderLoad(t *testing.T) {
	t.Parallel()
	b := setupWith(t, 0, pgsource.DDLTriggerOff, `CREATE TABLE one (id int PRIMARY KEY)`)
	b.settle(t, "public.one")
	ctx := t.Context()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	b.db.Exec(t, `CREATE TABLE keyed (id bigserial PRIMARY KEY, writer int, v int)`, `CREATE TABLE keyless (v int)`)
	for w := range 3 {
		conn := b.db.Conn(t)
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				tx, err := conn.Begin(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				_, err1 := tx.Exec(ctx, `INSERT INTO keyed (writer, v) VALUES ($2, $1), ($2, $1)`, i, w)
				_, err2 := tx.Exec(ctx, `INSERT INTO keyless (v) VALUES ($1)`, i*10+w)
				_, err3 := tx.Exec(ctx, `UPDATE keyed SET v = v + 1 WHERE writer = $2 AND id % 10 = $1`, i%10, w)
				if i%5 == 4 {
					err1 = tx.Rollback(ctx)
				} else {
					err3 = cmpErr(err3, tx.Commit(ctx))
				}
				if err := cmpErr(err1, err2, err3); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	await(t, "both tables to be synced under load", func() bool {
		n := 0
		for _, s := range b.pipe.Status().Tables {
			if s.State == penstock.TableSynced && strings.HasPrefix(s.Table.Name, "key") {
				n++
			}
		}
		return n == 2
	})
	// Once more, behind a swap, and with the pipeline stopped in between.
	b.db.Exec(t, `ALTER TABLE keyed ADD COLUMN w text DEFAULT 'w'`)
	b.halt(t)
	b.start(t)
	await(t, "the reload", func() bool { return b.rows("public.keyed") != nil && b.pipe.Status().Transactions > 20 })
	close(stop)
	wg.Wait()
	b.settle(t, "public.keyed", "public.keyless")
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestPartitions carries a partitioned table as one, whatever happens to its
// partitions.
func TestPartitions(t *testing.T) {
	b := setup(t,
		`CREATE TABLE event (id int, day date, what text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)`,
		`CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')`,
		`CREATE TABLE event_2 (what text, day date NOT NULL, id int NOT NULL, gone int)`, `ALTER TABLE event_2 DROP COLUMN gone`,
		`ALTER TABLE event ATTACH PARTITION event_2 FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')`,
		`INSERT INTO event SELECT i, date '2024-01-01' + i % 60, 'loaded' FROM generate_series(1, 500) i`)
	b.settle(t, "public.event")
	b.db.Exec(t,
		`INSERT INTO event SELECT i, date '2024-01-01' + i % 60, 'streamed' FROM generate_series(1001, 1100) i`,
		`UPDATE event SET what = 'moved', day = day + 31 WHERE id < 10`,
		`DELETE FROM event WHERE id % 9 = 0`,
		`INSERT INTO event_2 (id, day, what) VALUES (5000, '2024-02-02', 'into the partition')`)
	b.settle(t, "public.event")
	b.db.Exec(t,
		`CREATE TABLE event_3 (id int, day date, what text, PRIMARY KEY (id, day))`,
		`INSERT INTO event_3 SELECT i, date '2024-03-01', 'attached' FROM generate_series(1, 50) i`,
		`ALTER TABLE event ATTACH PARTITION event_3 FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')`)
	b.settle(t, "public.event")
	b.db.Exec(t, `TRUNCATE event_1`)
	b.settle(t, "public.event")
	b.db.Exec(t, `ALTER TABLE event DETACH PARTITION event_2`, `INSERT INTO event_2 (id, day, what) VALUES (6000, '2024-02-02', 'alone')`)
	b.settle(t, "public.event")
}

// TestOpenWriter adds a table that an open transaction has written to before the
// table was published.
func TestOpenWriter(t *testing.T) {
	b := setup(t, `CREATE TABLE one (id int PRIMARY KEY)`)
	b.settle(t, "public.one")
	conn := b.db.Conn(t)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `CREATE TABLE late (id int PRIMARY KEY); INSERT INTO one VALUES (1)`); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tx, err = conn.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `INSERT INTO late SELECT generate_series(1, 10)`); err != nil {
		t.Fatal(err)
	}
	looking := b.db.Conn(t)
	await(t, "the table to be published", func() bool {
		var n int
		if err := looking.QueryRow(t.Context(), `SELECT count(*) FROM pg_publication_tables WHERE tablename = 'late'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n > 0
	})
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.settle(t, "public.one", "public.late")
}

// TestLoadBesideStream reloads a table behind a swap while it and others are
// written to: the others must go on, the old version must stay readable, and
// every row must come exactly once.
func TestLoadBesideStream(t *testing.T) {
	t.Parallel()
	b := setupWith(t, 0, pgsource.DDLTriggerOff,
		`CREATE TABLE big (id int PRIMARY KEY, v int, pad text)`, `CREATE TABLE bag (v int)`, `ALTER TABLE bag REPLICA IDENTITY FULL`, `CREATE TABLE tick (id bigserial PRIMARY KEY)`,
		`INSERT INTO big SELECT i, 0, repeat('p', 100) FROM generate_series(1, 20000) i`, `INSERT INTO bag SELECT i % 10 FROM generate_series(1, 1000) i`)
	b.settle(t, "public.big", "public.bag", "public.tick")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	conn := b.db.Conn(t)
	wg.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			_, err := conn.Exec(t.Context(), fmt.Sprintf(`INSERT INTO tick DEFAULT VALUES; UPDATE big SET v = v + 1 WHERE id %% 1000 = %d; UPDATE big SET id = id + 1000000 WHERE id = %d;
				DELETE FROM bag WHERE ctid IN (SELECT ctid FROM bag WHERE v = %d LIMIT 1); INSERT INTO bag VALUES (%d), (%d)`, i%1000, i, i%10, i%7, i%10))
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	for round := range 3 {
		b.db.Exec(t, fmt.Sprintf(`ALTER TABLE big ADD COLUMN c%d int DEFAULT %d; ALTER TABLE bag ADD COLUMN c%d int DEFAULT %d`, round, round, round, round))
		ticks := len(b.rows("public.tick"))
		await(t, "the reload", func() bool {
			n := 0
			for _, s := range b.pipe.Status().Tables {
				if !s.Readable {
					t.Fatalf("table %s is not readable while it is loaded again", &s.Table)
				}
				if s.State == penstock.TableSynced && len(s.Table.Columns) == map[string]int{"big": 4 + round, "bag": 2 + round}[s.Table.Name] {
					n++
				}
			}
			return n == 2
		})
		if got := len(b.rows("public.tick")); got == ticks {
			t.Errorf("round %d: no row of another table has arrived during the load", round)
		}
	}
	close(stop)
	wg.Wait()
	b.settle(t, "public.big", "public.bag", "public.tick")
}

// TestBadValues: a value that does not fit is NULL, counted and listed, and
// hides nothing else.
func TestBadValues(t *testing.T) {
	b := setup(t, `CREATE TABLE v (id int PRIMARY KEY, n numeric(10,2), at timestamp)`, `INSERT INTO v VALUES (1, 'NaN', '294270-01-01'), (2, 2, '2024-01-01')`)
	await(t, "the row", func() bool { return len(b.rows("public.v")) == 2 })
	b.db.Exec(t, `INSERT INTO v VALUES (3, 'NaN', NULL)`)
	await(t, "the problem", func() bool {
		return slices.ContainsFunc(b.pipe.Status().Problems, func(p penstock.Problem) bool {
			return p.Code == penstock.ProblemBadValues && p.Table == "public.v" && p.Severity == penstock.SeverityWarning && strings.Contains(p.Message, "3 values") && strings.Contains(p.Message, "in columns n, at")
		})
	})
	if got, want := b.rows("public.v"), []string{"|01000000|-|-", "|02000000|c800000000000000|00202110d70d0600", "|03000000|-|-"}; !slices.Equal(got, want) {
		t.Errorf("the target has %q, want %q", got, want)
	}
	for _, s := range b.pipe.Status().Tables {
		if s.State != penstock.TableSynced {
			t.Errorf("table %s is %s", &s.Table, s.State)
		}
	}
}
