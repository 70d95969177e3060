package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

// largeEnv names the environment variable that has tests use the sizes that
// are promised, which takes long, if it is "1".
const largeEnv = "PENSTOCK_TEST_LARGE"

// TestMemoryLargeTransaction holds promise 7: a transaction that is large
// compared to the memory goes through it, and what the process takes at its
// peak stays within memory and 128 MiB.
func TestMemoryLargeTransaction(t *testing.T) {
	t.Parallel()
	memory, rows := 128, 200_000
	if os.Getenv(largeEnv) == "1" {
		memory, rows = 512, 5_000_000
	}
	m := newMemoryTest(t, memory, `CREATE TABLE many (id int PRIMARY KEY, n int, body text)`)
	m.queries = []string{`SELECT count(*), sum(n), max(id) FROM many`, `SELECT sum(id), min(body), max(body) FROM many`}
	m.start()
	m.do("a large transaction", fmt.Sprintf(`BEGIN;
		INSERT INTO many SELECT g, g %% 10, md5(g::text) || repeat('x', 100) FROM generate_series(1, %[1]d) g;
		SAVEPOINT s; UPDATE many SET n = 100 WHERE id %% 10 = 0; ROLLBACK TO s;
		SAVEPOINT s; UPDATE many SET n = 50 WHERE id %% 20 = 0; RELEASE s;
		DELETE FROM many WHERE id %% 50 = 1;
		COMMIT`, rows))
	m.do("large updates", `UPDATE many SET n = n + 1`)
	if left, err := os.ReadDir(filepath.Join(m.p.dataDir, "spill")); err != nil || len(left) > 1 || len(left) == 1 && left[0].Name() != "analytics" {
		t.Errorf("the folder for spilled files has %v, %v", left, err)
	}
}

// TestMemoryLargeValues does the same for values that are large.
func TestMemoryLargeValues(t *testing.T) {
	t.Parallel()
	memory, value := 128, 2
	if os.Getenv(largeEnv) == "1" {
		memory, value = 512, 100
	}
	m := newMemoryTest(t, memory, `CREATE TABLE keyed (id int PRIMARY KEY, n int, t text, b bytea)`, `CREATE TABLE whole (id int, n int, t text, b bytea)`,
		`ALTER TABLE whole REPLICA IDENTITY FULL`)
	m.queries = []string{`SELECT (SELECT count(*) FROM keyed), (SELECT sum(n) FROM keyed), (SELECT count(*) FROM whole), (SELECT sum(n) FROM whole)`}
	text := fmt.Sprintf(`(SELECT string_agg(md5(g::text) || repeat('x', 992), '') FROM generate_series(1, %d) g)`, value*1024)
	bytes := `decode(` + text + `, 'escape')`
	for _, table := range []string{"keyed", "whole"} {
		// Out of line, and not compressed: a value costs the source what it holds.
		m.db.Exec(t, `ALTER TABLE `+table+` ALTER t SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL`,
			`INSERT INTO `+table+` SELECT 1, 1, `+text+`, NULL`, `INSERT INTO `+table+` SELECT 2, 1, NULL, `+bytes)
	}
	m.start()
	for _, table := range []string{"keyed", "whole"} {
		m.do("insert into "+table, `INSERT INTO `+table+` SELECT 3, 1, `+text+`, NULL`, `INSERT INTO `+table+` SELECT 4, 1, NULL, `+bytes)
		m.do("unchanged values of "+table, `UPDATE `+table+` SET n = 2 WHERE id = 3`, `UPDATE `+table+` SET n = 2 WHERE id = 4`)
		m.do("changed values of "+table, `UPDATE `+table+` SET n = 3, t = t || 'more' WHERE id = 3`, `UPDATE `+table+` SET n = 3, b = b || 'more' WHERE id = 4`)
		m.do("delete from "+table, `DELETE FROM `+table+` WHERE id = 1`)
	}
	// To look at the values takes memory too, so that they are compared last.
	awaitEqual(t, m.p, m.conn, map[string]string{"keyed": `SELECT id, n, md5(t), md5(b) FROM keyed ORDER BY id`, "whole": `SELECT id, n, md5(t), md5(b) FROM whole ORDER BY id`})
}

// memoryTest watches what the program takes.
type memoryTest struct {
	*testing.T
	p     *penstock
	db    *dbtest.Database
	conn  *pgx.Conn
	limit int // MiB
	// queries are asked of source and warehouse: the first, which costs
	// little, until it is equal.
	queries []string
}

// newMemoryTest configures a program with so many MiB of memory, which is not
// started yet.
func newMemoryTest(t *testing.T, memory int, schema ...string) *memoryTest {
	t.Helper()
	server := dbtest.New(t, testdb.Options{Fast: true, Settings: map[string]string{"max_wal_size": "4GB", "shared_buffers": "256MB"}})
	db := &dbtest.Database{Server: server, Name: "postgres"}
	db.Exec(t, schema...)
	p := configured(t, db.URL())
	config, err := os.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.config, fmt.Appendf(config, "memory: %dMiB\n", memory), 0o600); err != nil {
		t.Fatal(err)
	}
	return &memoryTest{T: t, p: p, db: db, limit: memory + 128, conn: db.Conn(t)}
}

// start starts the program and waits until the tables have been loaded.
func (m *memoryTest) start() {
	m.Helper()
	m.p.start(m.T)
	m.p.integrate(m.T, "large", m.db.Name)
	m.equal("load")
}

// do changes the source and waits until the warehouse has it.
func (m *memoryTest) do(what string, sql ...string) {
	m.Helper()
	m.db.Exec(m.T, sql...)
	m.equal(what)
}

func (m *memoryTest) equal(what string) {
	m.Helper()
	began := time.Now()
	want := mustTable(m.T, m.conn, m.queries[0])
	for {
		got, err := m.ask(m.queries[0])
		if err == nil && slices.Equal(got, want) {
			break
		}
		select {
		case <-m.p.done:
			m.Fatalf("%s: penstock serve has ended", what)
		default:
		}
		if time.Since(began) > 10*patience {
			m.Fatalf("%s: %q instead of %q (error %v); at the peak %d MiB", what, got, want, err, m.peak())
		}
		time.Sleep(100 * time.Millisecond)
	}
	took := time.Since(began)
	peak := m.peak()
	for _, sql := range m.queries[1:] {
		got, err := m.ask(sql)
		if want := mustTable(m.T, m.conn, sql); err != nil || !slices.Equal(got, want) {
			m.Errorf("%s: %s: %.200q instead of %.200q (error %v)", what, sql, got, want, err)
		}
	}
	m.Logf("%s: queryable after %v; at the peak %d MiB, of %d MiB, and %d MiB after comparing", what, took.Round(time.Millisecond), peak, m.limit, m.peak())
	if peak > m.limit {
		m.Errorf("%s: %d MiB at the peak, %d MiB are allowed", what, peak, m.limit)
	}
	m.forgetPeak()
}

func (m *memoryTest) ask(sql string) ([]string, error) {
	conn, err := m.p.connect(m.Context(), m.db.Name)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.Background())
	return table(m.Context(), conn, sql)
}

var peakPattern = regexp.MustCompile(`VmHWM:\s+(\d+)`)

// peak returns the most that the program has had resident, in MiB.
func (m *memoryTest) peak() int {
	m.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.p.cmd.Process.Pid))
	if err != nil {
		m.Fatal(err)
	}
	kib, err := strconv.Atoi(string(peakPattern.FindSubmatch(status)[1]))
	if err != nil {
		m.Fatal(err)
	}
	return kib >> 10
}

// forgetPeak has the peak counted anew, where the kernel can.
func (m *memoryTest) forgetPeak() {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", m.p.cmd.Process.Pid), []byte("5"), 0)
}
