package pgsource

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"penstock"
	"penstock/internal/spill"
	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

// follower keeps a copy of keyed tables with the columns id, n and body.
type follower struct {
	*testing.T
	capture *capture
	stream  penstock.Stream
	at      penstock.Position
	tables  []penstock.Table
	rows    map[string]map[int64]string // by table and id
	ops     int
	limit   int
	commits int
	whole   func() // called at each transaction boundary
}

// follow opens a stream of all tables, which are empty, from a server that
// sends transactions as soon as they take 64 kB.
func follow(t *testing.T, url, database string) *follower {
	t.Helper()
	f := &follower{T: t, capture: captureOf(t, url+"&logical_decoding_work_mem=64kB", database), rows: map[string]map[int64]string{}, limit: 256 << 10}
	f.capture.spec.Spill = spill.New(t.TempDir(), make([]byte, 32))
	var err error
	f.at, err = f.capture.Prepare(t.Context(), "")
	noError(t, err)
	f.tables, _, err = f.capture.Tables(t.Context())
	noError(t, err)
	f.open()
	return f
}

func (f *follower) open() {
	f.Helper()
	var err error
	f.stream, err = f.capture.Stream(f.Context(), f.at, f.tables, nil)
	noError(f.T, err)
	f.Cleanup(func() { f.stream.Close() })
}

// next takes what comes.
func (f *follower) next() {
	f.Helper()
	c := &penstock.Changes{Position: f.at}
	for {
		noError(f.T, f.stream.Next(f.Context(), c, f.limit))
		f.apply(c)
		if !c.Open {
			break
		}
		c.Reset()
	}
	f.at = c.Position
	if f.whole != nil {
		f.whole()
	}
}

func (f *follower) apply(c *penstock.Changes) {
	f.Helper()
	f.commits += c.Transactions
	for _, tc := range c.Tables {
		rows := f.rows[tc.Table.Name]
		if rows == nil {
			rows = map[int64]string{}
			f.rows[tc.Table.Name] = rows
		}
		if tc.Truncated {
			clear(rows)
		}
		f.ops += len(tc.Ops)
		v := tc.Rows.Vectors
		for i, op := range tc.Ops {
			id := v[0].Int64(i)
			switch op {
			case penstock.OpInsert:
				if _, there := rows[id]; there {
					f.Errorf("%s: row %d comes twice", tc.Table.Name, id)
				}
				rows[id] = render(&v[1], i) + "|" + render(&v[2], i)
			case penstock.OpUpdate:
				body := render(&v[2], i)
				if v[2].IsUnchanged(i) {
					_, body, _ = strings.Cut(rows[id], "|")
				}
				rows[id] = render(&v[1], i) + "|" + body
			case penstock.OpDelete:
				if _, there := rows[id]; !there {
					f.Errorf("%s: row %d goes, and is not there", tc.Table.Name, id)
				}
				delete(rows, id)
			default:
				f.Errorf("%s: operation %d", tc.Table.Name, op)
			}
		}
	}
}

// until takes what comes until a row has arrived in the table "done".
func (f *follower) until(id int64) {
	f.Helper()
	for {
		if _, ok := f.rows["done"][id]; ok {
			return
		}
		f.next()
	}
}

// equal compares a table with the source.
func (f *follower) equal(conn *pgx.Conn, table string) {
	f.Helper()
	want := map[int64]string{}
	rows, err := conn.Query(f.Context(), `SELECT id, n, body FROM `+table)
	noError(f.T, err)
	var id, n int64
	var body string
	_, err = pgx.ForEachRow(rows, []any{&id, &n, &body}, func() error {
		want[id] = fmt.Sprint(n, "|", body)
		return nil
	})
	noError(f.T, err)
	if len(want) != len(f.rows[table]) {
		f.Errorf("%s: %d rows instead of %d", table, len(f.rows[table]), len(want))
	}
	for id, row := range want {
		if f.rows[table][id] != row {
			f.Errorf("%s: row %d is %.60q instead of %.60q", table, id, f.rows[table][id], row)
			return
		}
	}
}

const followedTable = `CREATE TABLE %s (id int8 PRIMARY KEY, n int8 NOT NULL, body text NOT NULL)`

// TestRandomTransactions has sessions work at the same time, in transactions
// with savepoints, most of which the server sends while they are in progress.
// Everything that arrives is checked at each transaction boundary: each session
// keeps the sum of n over its rows at zero in every transaction.
func TestRandomTransactions(t *testing.T) {
	t.Parallel()
	for _, major := range []int{0, 18} {
		t.Run(fmt.Sprint("version ", major), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			randomTransactions(t, dbtest.SharedOf(t, major), seed)
		})
	}
}

func randomTransactions(t *testing.T, db *dbtest.Database, seed uint64) {
	for _, table := range []string{"t", "u", "done"} {
		db.Exec(t, fmt.Sprintf(followedTable, table), `ALTER TABLE `+table+` ALTER body SET STORAGE EXTERNAL`)
	}
	f := follow(t, db.URL(), db.Name)
	f.whole = func() {
		for table, rows := range f.rows {
			sum := int64(0)
			for _, row := range rows {
				var n int64
				fmt.Sscan(row, &n)
				sum += n
			}
			if sum != 0 {
				t.Fatalf("the sum over %s is %d, and it is half of a transaction that can be seen", table, sum)
			}
		}
	}
	const sessions = 3
	r := rand.New(rand.NewPCG(seed, 1))
	var open [sessions]*worker
	for i := range open {
		open[i] = &worker{t: t, conn: db.Conn(t), rand: r, next: int64(i+1) * 1_000_000}
	}
	for range 400 { // one step of one session after the other, so that a seed replays
		open[r.IntN(sessions)].step()
	}
	for _, w := range open {
		if w.depth > 0 {
			w.end()
		}
	}
	db.Exec(t, `INSERT INTO done VALUES (1, 0, '')`)
	f.until(1)
	for _, table := range []string{"t", "u"} {
		f.equal(db.Conn(t), table)
	}
	t.Logf("%d operations in %d transactions", f.ops, f.commits)
}

// worker is a session at work.
type worker struct {
	t     *testing.T
	conn  *pgx.Conn
	rand  *rand.Rand
	next  int64
	depth int // 1 in a transaction, more in savepoints
}

func (w *worker) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.conn.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatalf("%.80s: %v", sql, err)
	}
}

func (w *worker) step() {
	if w.depth == 0 {
		w.exec(`BEGIN`)
		w.depth = 1
		return
	}
	switch n := w.rand.IntN(20); {
	case n < 3 && w.depth < 5:
		w.exec(fmt.Sprintf(`SAVEPOINT s%d`, w.depth))
		w.depth++
	case n < 5 && w.depth > 1:
		w.depth--
		w.exec(fmt.Sprintf(`ROLLBACK TO s%d`, w.depth))
		w.exec(fmt.Sprintf(`RELEASE s%d`, w.depth))
	case n < 6 && w.depth > 1:
		w.depth = 1 + w.rand.IntN(w.depth-1)
		w.exec(fmt.Sprintf(`RELEASE s%d`, w.depth))
	case n < 8:
		w.end()
	default:
		w.change()
	}
}

// change inserts, updates or deletes pairs of rows whose n add up to zero.
func (w *worker) change() {
	table := []string{"t", "u"}[w.rand.IntN(2)]
	first := w.next
	mine := fmt.Sprintf(`id / 1000000 = %d AND id / 2 %% 7 = %d`, w.next/1_000_000, w.rand.IntN(7))
	switch w.rand.IntN(5) {
	case 0:
		w.exec(`DELETE FROM ` + table + ` WHERE ` + mine)
	case 1:
		w.exec(`UPDATE ` + table + ` SET n = n * 2 WHERE ` + mine)
	case 2:
		w.exec(`UPDATE `+table+` SET body = body || $1 WHERE `+mine, strings.Repeat("y", w.rand.IntN(3000)))
	default:
		pairs := 1 + int64(w.rand.IntN(200))
		w.next += 2 * pairs
		w.exec(`INSERT INTO `+table+` SELECT g, CASE g % 2 WHEN 0 THEN 1 ELSE -1 END * (g / 2), repeat('x', $1) FROM generate_series($2::int8, $3::int8) g`,
			w.rand.IntN(2500), first, w.next-1)
	}
}

// end commits, or rolls back one time in four.
func (w *worker) end() {
	if w.rand.IntN(4) == 0 {
		w.exec(`ROLLBACK`)
	} else {
		w.exec(`COMMIT`)
	}
	w.depth = 0
}

// TestPreparedTransactions: what was prepared is delivered when it is
// committed, and not before, whether it is large or small, and also if server
// and stream have been started again in between.
func TestPreparedTransactions(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Fast: true, Settings: map[string]string{"max_prepared_transactions": "10"}})
	exec := func(sql ...string) {
		t.Helper()
		noError(t, server.Exec(t.Context(), "postgres", sql...))
	}
	exec(fmt.Sprintf(followedTable, "t"), fmt.Sprintf(followedTable, "done"))
	f := follow(t, server.URL("postgres"), "postgres")
	prepare := func(name string, first, last int) {
		t.Helper()
		exec(fmt.Sprintf(`BEGIN; INSERT INTO t SELECT g, 0, repeat('x', 500) FROM generate_series(%d, %d) g;
			SAVEPOINT s; INSERT INTO t SELECT -g, 0, repeat('x', 500) FROM generate_series(%[1]d, %[2]d) g; ROLLBACK TO s; PREPARE TRANSACTION '%[3]s'`, first, last, name))
	}
	marks := int64(0)
	want := func(rows int) {
		t.Helper()
		marks++
		exec(fmt.Sprintf(`INSERT INTO done VALUES (%d, 0, '')`, marks))
		f.until(marks)
		if n := len(f.rows["t"]); n != rows {
			t.Fatalf("there are %d rows, want %d", n, rows)
		}
	}
	prepare("large", 1, 2000)
	prepare("small", 10_001, 10_001)
	prepare("large and rolled back", 20_001, 22_000)
	prepare("large and later", 30_001, 32_000)
	prepare("small and later", 40_001, 40_001)
	want(0)
	exec(`COMMIT PREPARED 'small'`, `ROLLBACK PREPARED 'large and rolled back'`)
	want(1)
	exec(`COMMIT PREPARED 'large'`)
	want(2001)

	f.stream.Ack(f.at)
	f.capture.Close()
	noError(t, f.stream.Close())
	noError(t, server.Kill())
	noError(t, server.Restart(t.Context()))
	exec(`COMMIT PREPARED 'small and later'`)
	var err error
	f.at, err = f.capture.Prepare(t.Context(), f.at)
	noError(t, err)
	f.open()
	want(2002)
	exec(`COMMIT PREPARED 'large and later'`)
	want(4002)
	conn, err := server.Conn(t.Context(), "postgres")
	noError(t, err)
	defer conn.Close(context.Background())
	f.equal(conn, "t")
}

// TestForeignMessages: what others write into the log, and where transactions
// say they come from, is not ours.
func TestForeignMessages(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, fmt.Sprintf(followedTable, "t"), fmt.Sprintf(followedTable, "done"))
	f := follow(t, db.URL(), db.Name)
	origin := "penstock_test_" + randomHex(4)
	db.Exec(t, `SELECT pg_replication_origin_create('`+origin+`')`)
	t.Cleanup(func() {
		noError(t, db.Server.Exec(context.Background(), db.Name, `SELECT pg_replication_origin_drop('`+origin+`')`))
	})
	for _, rows := range []int{1, 1000} {
		db.Exec(t, fmt.Sprintf(`BEGIN; SELECT pg_replication_origin_session_setup('%[1]s'); SELECT pg_replication_origin_xact_setup('0/1', now());
			INSERT INTO t SELECT g, 0, repeat('x', 500) FROM generate_series(%[2]d, %[3]d) g;
			SELECT pg_logical_emit_message(true, 'somebody', repeat('m', 3000000)); SELECT pg_logical_emit_message(false, 'somebody', repeat('m', 3000000));
			INSERT INTO t SELECT -g, 0, repeat('x', 500) FROM generate_series(%[2]d, %[3]d) g; COMMIT;
			SELECT pg_replication_origin_session_reset()`, origin, 10*rows, 11*rows))
	}
	db.Exec(t, `SELECT pg_logical_emit_message(false, '', '')`, `SELECT pg_logical_emit_message(true, 'somebody', '')`, `INSERT INTO done VALUES (1, 0, '')`)
	f.until(1)
	f.equal(db.Conn(t), "t")
	if f.commits < 3 {
		t.Errorf("%d transactions", f.commits)
	}
}

// TestIdleDatabase: the slot of a database in which nothing happens moves on
// while others write, without a write of ours.
func TestIdleDatabase(t *testing.T) {
	t.Parallel()
	db, busy := dbtest.Shared(t), dbtest.Shared(t)
	db.Exec(t, fmt.Sprintf(followedTable, "t"))
	busy.Exec(t, fmt.Sprintf(followedTable, "t"))
	f := follow(t, db.URL(), db.Name)
	conn := db.Conn(t)
	var flushed, target lsn
	look := func(sql string, args ...any) (at lsn) {
		t.Helper()
		var text string
		noError(t, conn.QueryRow(t.Context(), sql, args...).Scan(&text))
		at, err := parseLSN(text)
		noError(t, err)
		return at
	}
	busy.Exec(t, `INSERT INTO t SELECT g, 0, repeat('x', 1000) FROM generate_series(1, 5000) g`)
	target = look(`SELECT pg_current_wal_lsn()::text`)
	deadline := time.Now().Add(time.Minute)
	for flushed < target {
		if time.Now().After(deadline) {
			t.Fatalf("the slot stands at %s, the server at %s", flushed, target)
		}
		f.next()
		f.stream.Ack(f.at)
		flushed = look(`SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE database = current_database() AND slot_name LIKE 'penstock%'`)
	}
	if f.ops > 0 {
		t.Errorf("%d operations in an idle database", f.ops)
	}
}
