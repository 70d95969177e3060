package e2e

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

// tablesEnv names the environment variable with how many tables the test of
// many tables makes. If it is set, the test measures as well, and asserts no
// times.
const tablesEnv = "PENSTOCK_TEST_TABLES"

// TestManyTables: a database of many small tables, and one with as many columns
// as PostgreSQL has, stays within the memory that the program may take
// (promise 7) and costs nearly nothing while it rests. Where it measures, there is
// no such table, so that the figures are those of small ones.
func TestManyTables(t *testing.T) {
	t.Parallel()
	n, measured := 100, false
	if s := os.Getenv(tablesEnv); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
		measured = true
	}
	server := dbtest.New(t, testdb.Options{Fast: true, Settings: map[string]string{"max_locks_per_transaction": "256"}})
	m := &memoryTest{T: t, db: &dbtest.Database{Server: server, Name: "postgres"}, limit: 512 + 128,
		queries: []string{fmt.Sprintf("SELECT id, note FROM t%d ORDER BY id", n-1)}}
	m.conn = m.db.Conn(t)
	makeTables(t, m.conn, n)
	var changes []string
	if !measured {
		makeWide(t, m.conn)
		m.queries = append(m.queries, "SELECT c0, c1, c800, c1599 FROM wide ORDER BY c0")
		changes = []string{"INSERT INTO wide (c0, c1, c1599) VALUES (2, false, true)", "UPDATE wide SET c800 = true WHERE c0 = 1"}
	}
	m.p = configured(t, m.db.URL())
	m.p.start(t)
	m.p.integrate(t, "many", m.db.Name)
	began := time.Now()
	for m.p.describe(t, "many").Status != "active" {
		if time.Since(began) > 4*patience {
			t.Fatal("waited in vain for the tables to be loaded")
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Logf("%d tables were active after %s", n, time.Since(began).Round(100*time.Millisecond))
	m.equal("load")
	m.do("changes", append(changes, fmt.Sprintf("INSERT INTO t%d VALUES (2, 'second')", n-1))...)
	if measured {
		m.rest()
		m.freshness(n)
		m.views()
	}
	m.p.kill(t)
	m.db.Exec(t, fmt.Sprintf("UPDATE t%d SET note = 'third' WHERE id = 1", n-1))
	began = time.Now()
	m.p.start(t)
	t.Logf("a new process was healthy after %s", time.Since(began).Round(time.Millisecond))
	m.equal("restart")
	if measured {
		m.rest()
		m.freshness(n)
	}
}

// makeTables makes n small tables, t0 and so on.
func makeTables(t testing.TB, src *pgx.Conn, n int) {
	t.Helper()
	for from := 0; from < n; from += 500 {
		execute(t, src, fmt.Sprintf(`DO $$ BEGIN FOR i IN %d..%d LOOP
			EXECUTE format('CREATE TABLE t%%s (id int PRIMARY KEY, note text)', i);
			EXECUTE format('INSERT INTO t%%s VALUES (1, ''first'')', i); END LOOP; END $$`, from, min(from+500, n)-1))
	}
}

// makeWide makes a table of 1,600 columns.
func makeWide(t testing.TB, src *pgx.Conn) {
	t.Helper()
	columns := make([]string, 1600)
	for i := range columns {
		columns[i] = fmt.Sprintf("c%d bool", i)
	}
	columns[0] = "c0 int PRIMARY KEY"
	execute(t, src, "CREATE TABLE wide ("+strings.Join(columns, ", ")+")", "INSERT INTO wide (c0, c1599) VALUES (1, true)")
}

// rest measures what the program takes of a core while nothing happens.
func (m *memoryTest) rest() {
	m.Helper()
	before, began := m.cpu(), time.Now()
	select {
	case <-m.p.done:
		m.Fatal("penstock serve has ended")
	case <-time.After(20 * time.Second): // what is measured, not what is waited for
	}
	m.Logf("at rest it takes %.1f %% of a core", 100*(m.cpu()-before).Seconds()/time.Since(began).Seconds())
}

// cpu returns how long the program has had a core so far.
func (m *memoryTest) cpu() time.Duration {
	m.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.p.cmd.Process.Pid))
	if err != nil {
		m.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')'):]))
	user, err1 := strconv.Atoi(fields[12])
	system, err2 := strconv.Atoi(fields[13])
	if err1 != nil || err2 != nil {
		m.Fatalf("%q", stat)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// views measures how long a look at all tables takes a user.
func (m *memoryTest) views() {
	m.Helper()
	conn, err := m.p.connect(m.Context(), "dev")
	if err != nil {
		m.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, sql := range []string{"SELECT count(*) FROM svv_integration_table_state WHERE table_state = 'Synced'", "SELECT count(*) FROM svv_integration"} {
		began := time.Now()
		rows := mustTable(m, conn, sql)
		m.Logf("%s: %s after %v", sql, rows[0], time.Since(began).Round(time.Millisecond))
	}
}

// freshness measures how long single rows take to be queryable.
func (m *memoryTest) freshness(n int) {
	m.Helper()
	conn, err := m.p.connect(m.Context(), m.db.Name)
	if err != nil {
		m.Fatal(err)
	}
	defer conn.Close(context.Background())
	const rows = 20
	var all, most time.Duration
	for i := range rows {
		table0 := fmt.Sprintf("t%d", i*(n-1)/rows)
		execute(m, m.conn, "INSERT INTO "+table0+" SELECT max(id) + 1, 'new' FROM "+table0)
		want := mustTable(m, m.conn, "SELECT max(id) FROM "+table0)[0]
		began := time.Now()
		for {
			got, err := table(m.Context(), conn, "SELECT max(id) FROM "+table0)
			if err == nil && got[0] == want {
				break
			}
			if time.Since(began) > patience {
				m.Fatalf("waited in vain for a row of %s (error %v)", table0, err)
			}
			time.Sleep(2 * time.Millisecond)
		}
		took := time.Since(began)
		all, most = all+took, max(most, took)
	}
	m.Logf("single rows are queryable after %v on average, %v at most", (all / rows).Round(time.Millisecond), most.Round(time.Millisecond))
}
