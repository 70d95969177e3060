package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	duck "github.com/duckdb/duckdb-go-bindings"

	"penstock/internal/testdb/dbtest"
)

// verified is what penstock verify --output json prints.
type verified struct {
	Integration string
	Equal       bool
	Databases   []struct {
		SourceDatabase, Error string
		HeldSeconds, Seconds  float64
		Tables                []struct {
			Schema, Name, State, NotCompared string
			Rows, WarehouseRows, BadValues   int64
			Missing, Extra, Different        int64
			AtLeast                          bool
			Differences                      []verifiedRow
		}
	}
}

type verifiedRow struct {
	Kind string
	Key  []struct {
		Column string
		Text   *string
	}
	Columns []string
}

func (r verifiedRow) String() string {
	s := r.Kind
	for _, v := range r.Key {
		text := "NULL"
		if v.Text != nil {
			text = *v.Text
		}
		s += " " + v.Column + "=" + text
	}
	return strings.Join(append([]string{s}, r.Columns...), " ")
}

// verify runs penstock verify.
func (p *penstock) verify(t testing.TB, args ...string) (v verified, code int) {
	t.Helper()
	cmd := exec.Command(binary(t), append([]string{"verify", "--output", "json", "--wait", patience.String(), "--config", p.config}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	p.assertDiscreet(t, stdout.String()+stderr.String())
	if err := json.Unmarshal(stdout.Bytes(), &v); err != nil {
		t.Fatalf("verify %v ends with %d, %v:\n%s%s", args, cmd.ProcessState.ExitCode(), err, &stdout, &stderr)
	}
	return v, cmd.ProcessState.ExitCode()
}

// wrong says what is not equal; "" if nothing. Tables that could not be compared
// count only if all should be.
func (v verified) wrong(all bool) string {
	var out []string
	for _, d := range v.Databases {
		if all && d.Error != "" {
			out = append(out, d.Error)
		}
		for _, x := range d.Tables {
			name := x.Schema + "." + x.Name + ": "
			if all && x.NotCompared != "" {
				out = append(out, name+x.NotCompared)
			}
			if x.Missing+x.Extra+x.Different > 0 {
				out = append(out, fmt.Sprintf("%s%d missing, %d too many, %d different of %d rows: %v", name, x.Missing, x.Extra, x.Different, x.Rows, x.Differences))
			}
		}
	}
	return strings.Join(out, "\n")
}

// wantVerified has penstock verify find all tables equal.
func (p *penstock) wantVerified(t testing.TB, integration string) {
	t.Helper()
	if v, code := p.verify(t, integration); code != 0 || len(v.Databases) == 0 || v.wrong(true) != "" {
		t.Errorf("penstock verify ends with %d: %s", code, v.wrong(true))
	}
}

// verify compares in the midst of everything, or once everything is settled:
// then a table may still turn out to be due for another load, which a look at
// the source's tables has found and the stream gets to later.
func (c *chaosRun) verify(settled bool) {
	for tries := 3; ; tries-- {
		c.mustRun()
		v, code := c.p.verify(c.t, "chaotic")
		if wrong := v.wrong(false); wrong != "" {
			c.violation("penstock verify ends with %d: %s", code, wrong)
			return
		}
		if !settled || code == 0 && v.wrong(true) == "" {
			return
		}
		if tries == 0 {
			c.violation("penstock verify ends with %d: %s", code, v.wrong(true))
			return
		}
		c.settle(c.t.Context())
	}
}

// corrupt changes the file of a destination database, as only a fault could.
func (p *penstock) corrupt(t testing.TB, database string, statements ...string) {
	t.Helper()
	var db duck.Database
	var conn duck.Connection
	path := filepath.Join(p.dataDir, "warehouses", "analytics", database+".duckdb")
	if duck.Open(path, &db) != duck.StateSuccess || duck.Connect(db, &conn) != duck.StateSuccess {
		t.Fatal("the warehouse's file cannot be opened")
	}
	defer duck.Close(&db)
	defer duck.Disconnect(&conn)
	for _, sql := range statements {
		var res duck.Result
		if duck.Query(conn, sql, &res) != duck.StateSuccess {
			t.Fatalf("%s: %s", sql, duck.ResultError(&res))
		}
		duck.DestroyResult(&res)
	}
}

// TestVerify: what is right is found to be right, and every row that is not is
// found, by its key.
func TestVerify(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, `CREATE TABLE item (id int, part text, price numeric(10,2), note text, at timestamptz DEFAULT now(), data jsonb, PRIMARY KEY (id, part))`,
		`INSERT INTO item SELECT g, 'p' || g % 3, g / 7.0, repeat('n', g % 50), now(), jsonb_build_object('g', g) FROM generate_series(1, 5000) g`,
		`CREATE TABLE bag (x float8, words text[])`, `ALTER TABLE bag REPLICA IDENTITY FULL`,
		`INSERT INTO bag SELECT g % 10, ARRAY['a', NULL] FROM generate_series(1, 1000) g`,
		`CREATE TABLE "Log" (line text)`, `CREATE TABLE "log" (line text)`, `INSERT INTO "Log" VALUES ('one'), ('two')`,
		`CREATE TABLE part (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)`,
		`CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')`,
		`CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')`,
		`INSERT INTO part SELECT g, date '2020-01-01' + g FROM generate_series(1, 600) g`,
		`CREATE TABLE bad (id int PRIMARY KEY, n numeric(10,2), d date)`, `INSERT INTO bad VALUES (1, 'NaN', NULL), (2, 2, '2020-01-01')`)
	p := newPenstock(t, db.URL())
	p.integrate(t, "verified", db.Name)
	p.awaitActive(t, "verified")
	db.Exec(t, `UPDATE item SET price = -1 WHERE id % 10 = 0`, `DELETE FROM item WHERE id % 11 = 0`, `DELETE FROM bag WHERE x = 3`, `INSERT INTO bad VALUES (3, 'NaN', NULL)`)

	v, code := p.verify(t, "verified")
	if code != 0 || !v.Equal || len(v.Databases) != 1 || len(v.Databases[0].Tables) != 6 || v.Integration != "verified" {
		t.Fatalf("exit code %d: %+v", code, v)
	}
	rows := int64(0)
	for _, x := range v.Databases[0].Tables {
		rows += x.Rows
		if bad := x.BadValues; x.Rows != x.WarehouseRows || (bad == 2) != (x.Name == "bad") {
			t.Errorf("%+v", x)
		}
	}
	if rows != 4546+900+2+600+3 {
		t.Errorf("%d rows have been compared", rows)
	}
	if out, code := p.run(t, "verify", "verified", "public.item", db.Name+".public.Log"); code != 0 || !containsAll(out, "  public.item", "4546 rows", "equal\n", "  public.Log") || strings.Contains(out, "bag") {
		t.Errorf("exit code %d:\n%s", code, out)
	}

	if code := p.stop(t); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if out, code := p.run(t, "verify", "verified"); code != 1 || !containsAll(out, "no server runs on data_dir") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	p.corrupt(t, db.Name, `DELETE FROM public.item WHERE id IN (1, 2)`, `UPDATE public.item SET price = price + 0.01, note = NULL WHERE id = 4`,
		`INSERT INTO public.item SELECT 10001, part, price, note, "at", data FROM public.item WHERE id = 5`, `INSERT INTO public.item SELECT * FROM public.item WHERE id = 7`,
		`DELETE FROM public.bag WHERE rowid = (SELECT min(rowid) FROM public.bag)`, `INSERT INTO public.bag VALUES (77, NULL)`,
		`UPDATE public.part SET id = 1000 WHERE id = 600`)
	p.start(t)
	v, code = p.verify(t, "verified")
	if code != 1 || v.Equal {
		t.Errorf("exit code %d: %+v", code, v)
	}
	got := map[string]string{}
	for _, x := range v.Databases[0].Tables {
		var s []string
		for _, d := range x.Differences {
			s = append(s, d.String())
		}
		if x.NotCompared != "" || x.Missing+x.Extra+x.Different != int64(len(s)) {
			t.Errorf("%+v", x)
		}
		got[x.Name] = strings.Join(s, "\n")
	}
	want := map[string]string{
		"item": "missing id=1 part=p1\nmissing id=2 part=p2\ndifferent id=4 part=p1 price note\nextra id=7 part=p1\nextra id=10001 part=p2",
		"bag":  "missing x=1 words=[\"a\",null]\nextra x=77 words=NULL",
		"part": "missing id=600 day=2021-08-23\nextra id=1000 day=2021-08-23", "Log": "", "log": "", "bad": "",
	}
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s:\n%s\nwant\n%s", name, got[name], text)
		}
	}
	if out, code := p.run(t, "verify", "verified", "--keys", "2"); code != 1 || !containsAll(out, "! public.item", "2 missing, 2 too many, 1 different", "and 3 more", "not equal", `missing id="1" part="p1"`) {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	for line, want := range map[string]struct {
		code int
		out  string
	}{
		"verify":                          {2, "takes an integration"},
		"verify nobody":                   {2, "there is no integration nobody"},
		"verify verified public.nothing":  {2, "has no table public.nothing"},
		"verify verified --output yaml":   {2, "text or json"},
		"verify verified --wait 0s":       {2, "--wait"},
		"verify verified --config /not/a": {1, "no configuration file"},
	} {
		cmd := exec.Command(binary(t), strings.Fields(line)...)
		if !strings.Contains(line, "--config") {
			cmd.Args = append(cmd.Args, "--config", p.config)
		}
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != want.code || !containsAll(string(out), want.out) {
			t.Errorf("%s ends with %d: %s", line, code, out)
		}
	}
}

// TestVerifyUnderLoad compares again and again while several clients commit at
// the same time: there is never a difference, and replication is never held
// for long.
func TestVerifyUnderLoad(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, `CREATE TABLE accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84))`,
		`CREATE TABLE tellers (tid int PRIMARY KEY, bid int, tbalance int)`, `CREATE TABLE history (tid int, aid int, delta int, mtime timestamp)`,
		`INSERT INTO accounts SELECT g, 1, 0, 'x' FROM generate_series(1, 20000) g`, `INSERT INTO tellers SELECT g, 1, 0 FROM generate_series(1, 100) g`)
	p := newPenstock(t, db.URL())
	p.integrate(t, "loaded", db.Name)
	p.awaitActive(t, "loaded")
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 4 {
		conn := db.Conn(t)
		clients.Go(func() {
			for ctx.Err() == nil {
				a, b, d := 1+rand.IntN(20000), 1+rand.IntN(100), rand.IntN(1000)
				_, err := conn.Exec(context.Background(), fmt.Sprintf(`BEGIN; UPDATE accounts SET abalance = abalance + %d WHERE aid = %d;
					UPDATE tellers SET tbalance = tbalance + %[1]d WHERE tid = %d; INSERT INTO history VALUES (%[3]d, %[2]d, %[1]d, now()); COMMIT`, d, a, b))
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	held, rows := 0.0, int64(0)
	for range 8 {
		v, code := p.verify(t, "loaded")
		if code != 0 || !v.Equal || len(v.Databases) != 1 || len(v.Databases[0].Tables) != 3 {
			t.Fatalf("exit code %d: %+v", code, v)
		}
		held = max(held, v.Databases[0].HeldSeconds)
		for _, x := range v.Databases[0].Tables {
			rows += x.Rows
		}
	}
	stop()
	clients.Wait()
	t.Logf("%d rows compared; applying was held for %.0f ms at the most", rows, 1000*held)
}

// TestVerifyEnds: a verification ends with its client and with the server, and
// replication goes on or ends as if there had been none.
func TestVerifyEnds(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, `CREATE TABLE t (id int PRIMARY KEY)`, `INSERT INTO t VALUES (1)`)
	p := newPenstock(t, db.URL())
	p.integrate(t, "ends", db.Name)
	p.awaitActive(t, "ends")
	source, open := db.Conn(t), db.Conn(t)
	if _, err := open.Exec(t.Context(), "BEGIN; INSERT INTO t VALUES (2)"); err != nil {
		t.Fatal(err)
	}
	waits := func() bool {
		return len(mustTable(t, source, "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE_REPLICATION_SLOT%' AND state = 'active' AND datname = current_database()")) > 0
	}
	start := func() *exec.Cmd {
		cmd := exec.Command(binary(t), "verify", "ends", "--wait", "10m", "--config", p.config)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		await(t, "the source to wait for the open transaction", waits)
		return cmd
	}
	client := start()
	client.Process.Kill()
	client.Wait()
	await(t, "the slot to be given up", func() bool { return !waits() })
	db.Exec(t, `INSERT INTO t VALUES (3)`)
	awaitEqual(t, p, source, map[string]string{"t": "SELECT id FROM t ORDER BY id"})

	client = start()
	db.Exec(t, `INSERT INTO t VALUES (4)`)
	awaitEqual(t, p, source, map[string]string{"t": "SELECT id FROM t ORDER BY id"}) // while it waits
	out, code := p.run(t, "verify", "ends", "--wait", "2s")
	if code == 0 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	p.drained(t, syscall.SIGTERM)
	client.Wait()
	if code := client.ProcessState.ExitCode(); code != 1 {
		t.Errorf("a verification whose server stops ends with %d", code)
	}
	if left := mustTable(t, source, "SELECT slot_name FROM pg_replication_slots WHERE temporary AND database = current_database()"); len(left) > 0 {
		t.Errorf("left at the source: %v", left)
	}
}
