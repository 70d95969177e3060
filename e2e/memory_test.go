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

// TestMemoryLargeValues does the same for values that are large: as text and
// bytes of rows with a key, and of rows that are found by all their values.
func TestMemoryLargeValues(t *testing.T) {
	t.Parallel()
	memory, value := 160, 24
	if os.Getenv(largeEnv) == "1" {
		memory, value = 512, 100
	}
	m := newMemoryTest(t, memory, `CREATE TABLE texts (id int PRIMARY KEY, n int, v text)`, `CREATE TABLE bytes (id int PRIMARY KEY, n int, v bytea)`,
		`CREATE TABLE whole (id int, n int, v text)`, `ALTER TABLE whole REPLICA IDENTITY FULL`)
	m.queries = []string{`SELECT (SELECT sum(n) FROM texts), (SELECT sum(n) FROM bytes), (SELECT sum(n) FROM whole)`}
	text := func(size int) string {
		return fmt.Sprintf(`(SELECT string_agg(md5(g::text) || repeat('x', 992), '') FROM generate_series(1, %d) g)`, size*1024)
	}
	tables := []struct{ name, value, more string }{
		{"texts", text(value), `'more'`},
		{"bytes", `decode(` + text(value) + `, 'escape')`, `'\x6d6f7265'`},
		{"whole", text(value / 4), `'more'`}, // the engine has it several times, to compare
	}
	for _, table := range tables {
		// Out of line, and not compressed: a value costs the source what it holds.
		m.db.Exec(t, `ALTER TABLE `+table.name+` ALTER v SET STORAGE EXTERNAL`, `INSERT INTO `+table.name+` SELECT 1, 1, `+table.value)
	}
	m.start()
	for _, table := range tables {
		m.do("delete from "+table.name, `DELETE FROM `+table.name+` WHERE id = 1`)
		m.do("insert into "+table.name, `INSERT INTO `+table.name+` SELECT 2, 1, `+table.value)
		m.do("unchanged value of "+table.name, `UPDATE `+table.name+` SET n = 2`)
		m.do("changed value of "+table.name, `UPDATE `+table.name+` SET n = 3, v = v || `+table.more)
		// With what it replaces, that is more than the engine can have at once;
		// the table is loaded again.
		m.do("twice in one transaction of "+table.name, `BEGIN; UPDATE `+table.name+` SET n = 4, v = v || `+table.more+`; UPDATE `+table.name+` SET n = 5; COMMIT`)
	}
	// To look at the values takes memory too, so that they are compared last.
	for _, table := range tables {
		sql := `SELECT id, n, md5(v) FROM ` + table.name
		awaitEqual(t, m.p, m.conn, map[string]string{table.name: sql})
	}
}

// TestTooLargeValues: a table whose rows the warehouse cannot have in memory
// fails with what they need, the others go on, and it is there once it can be.
func TestTooLargeValues(t *testing.T) {
	t.Parallel()
	m := newMemoryTest(t, 128, `CREATE TABLE crowd (id int PRIMARY KEY, v text)`, `CREATE TABLE fine (id int PRIMARY KEY, n int)`,
		`ALTER TABLE crowd ALTER v SET STORAGE EXTERNAL`,
		`INSERT INTO crowd SELECT g, repeat('x', 1 << 20) FROM generate_series(1, 70) g`, `INSERT INTO fine VALUES (1, 1)`)
	m.queries = []string{`SELECT sum(n) FROM fine`}
	m.start()
	dev := m.p.warehouse(t, "dev")
	state := `SELECT table_state, reason LIKE 'MEMORY_EXHAUSTED: table public.crowd has neighbouring rows of % MiB%raise memory in the configuration to %' FROM svv_integration_table_state WHERE table_name = 'crowd'`
	await(t, "the table to fail", func() bool { return slices.Equal(mustTable(t, dev, state), []string{"Failed|t"}) })
	m.do("a table beside", `INSERT INTO fine VALUES (2, 2)`)
	m.queries = []string{`SELECT count(*), sum(length(v)) FROM crowd`}
	m.do("half of the rows", `DELETE FROM crowd WHERE id > 35`)
	m.do("more than fits", `INSERT INTO crowd SELECT g, repeat('x', 1 << 20) FROM generate_series(1001, 1005) g`)
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
