package pgsource

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"penstock"
	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

// captureOf returns a capture of everything in a database.
func captureOf(t *testing.T, url, database string) *capture {
	t.Helper()
	s, err := New(Config{Name: "test", URL: url})
	noError(t, err)
	f, err := s.ParseFilter("include: " + database + ".*.*")
	noError(t, err)
	id := penstock.IntegrationID(randomHex(4) + "-0000-4000-8000-000000000001")
	c := s.Capture(penstock.CaptureSpec{Integration: id, Database: database, Filter: f}).(*capture)
	t.Cleanup(func() {
		c.Close()
		if err := s.Forget(context.Background(), id); err != nil {
			t.Log(err)
		}
	})
	return c
}

// TestRowSecurity: what policies hide from our role must not be missing from a
// load without a word.
func TestRowSecurity(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Fast: true})
	exec := func(sql ...string) { noError(t, server.Exec(t.Context(), "postgres", sql...)) }
	exec(`CREATE TABLE secret (id int PRIMARY KEY, owner text)`, `INSERT INTO secret VALUES (1, 'a'), (2, 'b')`,
		`ALTER TABLE secret ENABLE ROW LEVEL SECURITY`, `CREATE POLICY own ON secret USING (owner = 'a')`,
		`CREATE ROLE reader LOGIN REPLICATION PASSWORD 'p'`, `GRANT SELECT ON secret TO reader`, `GRANT CREATE ON DATABASE postgres TO reader`)
	admin := captureOf(t, server.URL("postgres"), "postgres")
	tables, _, err := admin.Tables(t.Context())
	noError(t, err)
	s, err := New(Config{Name: "test", URL: server.URL("postgres")})
	noError(t, err)
	s.base.User, s.base.Password = "reader", "p"
	reader := &capture{source: s, spec: admin.spec, log: s.log}
	defer reader.Close()
	conn, err := reader.conn(t.Context())
	noError(t, err)
	_, err = relations(t.Context(), conn, reader.types, func(string, string) bool { return true }) // finds the types
	noError(t, err)
	l, err := reader.Load(t.Context(), tables, nil)
	noError(t, err)
	defer l.Close()
	rows := penstock.NewRows(&tables[0])
	err = l.Read(t.Context(), l.Chunks()[0], rows, 1<<20, func(penstock.BadValues) error {
		t.Errorf("%d of 2 rows have been loaded", rows.Len())
		return nil
	})
	if penstock.KindOf(err) != penstock.KindSetting || !strings.Contains(err.Error(), "row-level security") {
		t.Errorf("%v, want an error that says what hides rows", err)
	}
}

// TestBusyTable: a transaction that never ends keeps the tables from being
// loaded that it writes to, and no others.
func TestBusyTable(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, `CREATE TABLE busy (id int PRIMARY KEY)`, `CREATE TABLE indexed (id int PRIMARY KEY)`, `CREATE TABLE free (id int PRIMARY KEY)`)
	c := captureOf(t, db.URL(), db.Name)
	tables, _, err := c.Tables(t.Context())
	noError(t, err)
	for _, sql := range []string{`BEGIN; INSERT INTO busy VALUES (1)`, `BEGIN; LOCK TABLE indexed IN SHARE MODE`} {
		_, err := db.Conn(t).Exec(t.Context(), sql)
		noError(t, err)
	}
	oids := map[uint32]string{}
	for i := range tables {
		oid, err := tableOID(tables[i].ID)
		noError(t, err)
		oids[oid] = tables[i].Name
	}
	var all []uint32
	for oid := range oids {
		all = append(all, oid)
	}
	busy, err := awaitWriters(t.Context(), c.sql, all, 50*time.Millisecond)
	noError(t, err)
	for oid, who := range busy {
		if oids[oid] != "busy" || !strings.HasPrefix(who, "pid ") {
			t.Errorf("table %s is kept from being loaded by %s", oids[oid], who)
		}
	}
	if len(busy) != 1 {
		t.Errorf("%d tables are busy, want 1", len(busy))
	}
	l := &load{capture: c}
	err = l.Read(t.Context(), penstock.Chunk{Table: &tables[0], Token: busyToken + "pid 1"}, nil, 0, nil)
	if penstock.KindOf(err) != penstock.KindStale {
		t.Errorf("a busy table is read: %v", err)
	}
}

// TestQuietServer: a server is not to blame for what nobody has read.
func TestQuietServer(t *testing.T) {
	t.Parallel()
	f := &feedback{}
	f.heard.Store(time.Now().Add(-time.Hour).UnixNano())
	if q := f.quiet(); q != 0 {
		t.Errorf("the server has kept nobody waiting, and is quiet for %s", q)
	}
	done := f.listen()
	if q := f.quiet(); q > time.Minute {
		t.Errorf("the server has been quiet for %s since just now", q)
	}
	f.heard.Store(time.Now().Add(-time.Hour).UnixNano())
	if q := f.quiet(); q < time.Hour {
		t.Errorf("the server has been quiet for %s, not an hour", q)
	}
	done()
	if q := f.quiet(); q != 0 {
		t.Errorf("nobody listens, and the server is quiet for %s", q)
	}
}

// TestNewTimeline: a position that a new timeline contains is one of that
// timeline from then on, also once the stream has got beyond where it began.
func TestNewTimeline(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Fast: true})
	c := captureOf(t, server.URL("postgres"), "postgres")
	at, err := c.Prepare(t.Context(), "")
	noError(t, err)
	for range 2 {
		c.Close()
		noError(t, server.Stop())
		noError(t, os.WriteFile(filepath.Join(server.Dir(), "data", "standby.signal"), nil, 0o600))
		noError(t, server.Restart(t.Context()))
		noError(t, server.Exec(t.Context(), "postgres", `SELECT pg_promote()`, `CHECKPOINT`))
		before, err := decodePosition(at)
		noError(t, err)
		at, err = c.Prepare(t.Context(), at)
		if err != nil {
			t.Fatalf("the position on timeline %d: %v", before.timeline, err)
		}
		p, err := decodePosition(at)
		noError(t, err)
		if p.timeline != before.timeline+1 {
			t.Errorf("the position stays on timeline %d", p.timeline)
		}
		noError(t, server.Exec(t.Context(), "postgres", `SELECT pg_logical_emit_message(true, 'x', 'y')`))
		conn, err := c.conn(t.Context())
		noError(t, err)
		state, err := readServer(t.Context(), conn)
		noError(t, err)
		p.lsn = state.now // as if the stream had got there
		at = p.encode()
	}
}

// TestDroppedWhileLooked: a table that goes away between a look at the catalog
// and what follows is no failure of the others.
func TestDroppedWhileLooked(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, `CREATE TABLE gone (id int PRIMARY KEY)`, `CREATE TABLE stays (id int PRIMARY KEY)`)
	c := captureOf(t, db.URL(), db.Name)
	tables, _, err := c.Tables(t.Context())
	noError(t, err)
	conn := db.Conn(t)
	_, err = conn.Exec(t.Context(), `BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class`)
	noError(t, err)
	db.Exec(t, `ALTER PUBLICATION `+publicationName(c.spec.Integration)+` DROP TABLE gone, stays`, `DROP TABLE gone`)
	pieces, err := (&load{capture: c}).pieces(t.Context(), conn, tables)
	noError(t, err)
	again, err := (&load{capture: c}).pieces(t.Context(), c.sql, tables)
	noError(t, err)
	if len(pieces) != 2 || len(again) != 2 {
		t.Errorf("there are %d and %d pieces of 2 tables", len(pieces), len(again))
	}
	for _, p := range slices.Concat(pieces, again) {
		if (p.table.Name == "gone") != (p.file == 0) {
			t.Errorf("table %s is in file %d", p.table.Name, p.file)
		}
	}
	rels := map[uint32]*relation{}
	for i := range tables {
		oid, err := tableOID(tables[i].ID)
		noError(t, err)
		rels[oid] = &relation{table: tables[i], oid: oid, owned: true, identity: "d"}
	}
	c.marks = nil
	refused, _, err := c.publish(t.Context(), c.sql, rels)
	noError(t, err)
	for oid, r := range rels {
		if err := refused[oid]; (r.table.Name == "gone") != isGone(err) {
			t.Errorf("table %s is refused: %v", r.table.Name, err)
		} else if err != nil && c.refusal(r, err).Severity != penstock.SeverityWarning {
			t.Errorf("table %s: %+v", r.table.Name, c.refusal(r, err))
		}
	}
}

// TestNamesExchanged: a load reads by names, which do not respect snapshots. The
// rows of a table that has taken another's name meanwhile are not taken for its.
func TestNamesExchanged(t *testing.T) {
	t.Parallel()
	for what, exchange := range map[string]string{
		"tables":  `BEGIN; ALTER TABLE s.a RENAME TO between; ALTER TABLE s.b RENAME TO a; ALTER TABLE s.between RENAME TO b; COMMIT`,
		"schemas": `BEGIN; ALTER SCHEMA s RENAME TO between; ALTER SCHEMA other RENAME TO s; ALTER SCHEMA between RENAME TO other; COMMIT`,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			db := dbtest.Shared(t)
			db.Exec(t, `CREATE SCHEMA s`, `CREATE SCHEMA other`, `CREATE TABLE s.a (id int PRIMARY KEY, v text)`, `INSERT INTO s.a VALUES (1, 'of a')`,
				`CREATE TABLE s.b (LIKE s.a INCLUDING ALL)`, `INSERT INTO s.b VALUES (1, 'of b'), (2, 'of b')`,
				`CREATE TABLE other.a (LIKE s.a INCLUDING ALL)`, `INSERT INTO other.a VALUES (1, 'of the other')`)
			c := captureOf(t, db.URL(), db.Name)
			tables, _, err := c.Tables(t.Context())
			noError(t, err)
			l, err := c.Load(t.Context(), tables, nil)
			noError(t, err)
			defer l.Close()
			_, err = db.Conn(t).Exec(t.Context(), exchange)
			noError(t, err)
			for _, chunk := range l.Chunks() {
				if chunk.Table.Name != "a" {
					continue
				}
				err := l.Read(t.Context(), chunk, penstock.NewRows(chunk.Table), 1<<20, func(penstock.BadValues) error { return nil })
				if stale := penstock.KindOf(err) == penstock.KindStale && err != nil; stale != (chunk.Table.Schema == "s" || what == "schemas") {
					t.Errorf("table %s is read by the name that it had: %v", chunk.Table, err)
				}
			}
			for i := range tables {
				keys := penstock.NewRows(&tables[i])
				keys.Vectors[0].AppendInt32(1)
				keys.Vectors[1].AppendNull()
				rows := penstock.NewRows(&tables[i])
				if _, err := c.Reread(t.Context(), &tables[i], keys, []int32{0}, l.Snapshot(), rows, 1<<20, func(penstock.BadValues) error {
					if want := map[string]string{"s.a": "of a", "s.b": "of b", "other.a": "of the other"}[tables[i].String()]; rows.Len() > 0 && rows.Vectors[1].Text(0) != want {
						t.Errorf("of %s a row is read again that is %s", &tables[i], rows.Vectors[1].Text(0))
					}
					return nil
				}); err != nil && penstock.KindOf(err) != penstock.KindStale {
					t.Error(err)
				}
			}
		})
	}
}

// TestPublishedByName: a table that has taken another's name before that was
// published does not stay published in its place: without a replica identity the
// application could not update it (promise 4).
func TestPublishedByName(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, `CREATE TABLE keyed (id int PRIMARY KEY)`, `CREATE TABLE bare (id int)`, `INSERT INTO bare VALUES (1)`)
	c := captureOf(t, db.URL(), db.Name)
	tables, _, err := c.Tables(t.Context())
	noError(t, err)
	main := publicationName(c.spec.Integration)
	rels := map[uint32]*relation{}
	for i := range tables {
		oid, err := tableOID(tables[i].ID)
		noError(t, err)
		rels[oid] = &relation{table: tables[i], oid: oid, owned: true}
	}
	db.Exec(t, `ALTER PUBLICATION `+main+` DROP TABLE keyed`, `ALTER PUBLICATION `+appendPublicationName(c.spec.Integration)+` DROP TABLE bare`,
		`ALTER TABLE keyed RENAME TO between`, `ALTER TABLE bare RENAME TO keyed`, `ALTER TABLE between RENAME TO bare`)
	c.marks = nil
	refused, _, err := c.publish(t.Context(), c.sql, rels)
	noError(t, err)
	for oid, r := range rels {
		if !isGone(refused[oid]) {
			t.Errorf("table %s is published by its name: %v", r.table.Name, refused[oid])
		}
	}
	_, _, err = c.Tables(t.Context())
	noError(t, err)
	db.Exec(t, `UPDATE keyed SET id = 2`)
	members, err := publicationMembers(t.Context(), c.sql, main)
	noError(t, err)
	if len(members) != 1 {
		t.Errorf("published for updates: %v", members)
	}
}

// TestLockedTables: whoever locks a table, a partition or one with generated
// columns among them, keeps no look at the others waiting.
func TestLockedTables(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, `CREATE TABLE free (id int PRIMARY KEY)`, `CREATE TABLE computed (id int PRIMARY KEY, x int GENERATED ALWAYS AS (id * 2) STORED)`,
		`CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id)`, `CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (9)`)
	c := captureOf(t, db.URL(), db.Name)
	before, _, err := c.Tables(t.Context())
	noError(t, err)
	fresh := captureOf(t, db.URL(), db.Name)
	_, err = db.Conn(t).Exec(t.Context(), `BEGIN; LOCK TABLE computed, part IN ACCESS EXCLUSIVE MODE`)
	noError(t, err)
	now, _, err := c.Tables(t.Context())
	noError(t, err)
	if !slices.EqualFunc(before, now, func(a, b penstock.Table) bool { return a.Equal(&b) }) {
		t.Errorf("while tables are locked there are %v, not %v", now, before)
	}
	rels, _, err := fresh.selected(t.Context(), mustConn(t, fresh))
	noError(t, err)
	for _, r := range rels {
		if r.locked != (r.table.Name == "computed") {
			t.Errorf("table %s: locked is %v", r.table.Name, r.locked)
		}
	}
}

func mustConn(t *testing.T, c *capture) *pgx.Conn {
	t.Helper()
	conn, err := c.conn(t.Context())
	noError(t, err)
	return conn
}

// TestIdentityChangedWhileLooked: a table whose replica identity has changed
// since it was looked at is not published as what it was, and the others are.
func TestIdentityChangedWhileLooked(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, `CREATE TABLE full_now (id int PRIMARY KEY)`, `CREATE TABLE keyless_now (id int PRIMARY KEY)`, `CREATE TABLE stays (id int PRIMARY KEY)`)
	c := captureOf(t, db.URL(), db.Name)
	tables, _, err := c.Tables(t.Context())
	noError(t, err)
	db.Exec(t, `ALTER PUBLICATION `+publicationName(c.spec.Integration)+` DROP TABLE full_now, keyless_now, stays`,
		`ALTER TABLE full_now REPLICA IDENTITY FULL`, `ALTER TABLE keyless_now DROP CONSTRAINT keyless_now_pkey`)
	rels := map[uint32]*relation{}
	for i := range tables {
		oid, err := tableOID(tables[i].ID)
		noError(t, err)
		rels[oid] = &relation{table: tables[i], oid: oid, owned: true, identity: "d"}
	}
	c.marks = nil
	refused, _, err := c.publish(t.Context(), c.sql, rels)
	noError(t, err)
	members, err := publicationMembers(t.Context(), c.sql, publicationName(c.spec.Integration))
	noError(t, err)
	for oid, r := range rels {
		_, member := members[oid]
		if stays := r.table.Name == "stays"; member != stays || isGone(refused[oid]) == stays {
			t.Errorf("table %s: published %t, refused: %v", r.table.Name, member, refused[oid])
		}
	}
}

// TestPinOutlastsLockTimeout: a pin waits for a transaction that is open at the
// source for longer than our statements wait for locks.
func TestPinOutlastsLockTimeout(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	c := captureOf(t, db.URL(), db.Name)
	open := db.Conn(t)
	_, err := open.Exec(t.Context(), `BEGIN; SELECT txid_current()`)
	noError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var p penstock.Pin
	pinned := make(chan error, 1)
	go func() {
		var err error
		p, err = c.Pin(ctx, position{}.encode(), func() {})
		pinned <- err
	}()
	limit, err := time.ParseDuration(lockTimeout)
	noError(t, err)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	var waiting time.Time
	for waiting.IsZero() || time.Since(waiting) < limit+limit/4 {
		select {
		case err := <-pinned:
			t.Fatalf("pinned while a transaction was open: %v", err)
		case <-poll.C:
		}
		var waits bool
		noError(t, open.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid' AND transactionid = txid_current()::text::xid)`).Scan(&waits))
		if waits && waiting.IsZero() {
			waiting = time.Now()
		}
	}
	_, err = open.Exec(ctx, `COMMIT`)
	noError(t, err)
	noError(t, <-pinned)
	noError(t, p.Close())
}

// TestNoLogin: what is to be done about a role that is not let in depends on why.
func TestNoLogin(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Fast: true})
	noError(t, server.Exec(t.Context(), "postgres", `CREATE ROLE barred PASSWORD 'p'`, `CREATE ROLE rejected LOGIN PASSWORD 'p'`, `CREATE ROLE "Mine" LOGIN PASSWORD 'p'`))
	hba := filepath.Join(server.Dir(), "data", "pg_hba.conf")
	rules, err := os.ReadFile(hba)
	noError(t, err)
	noError(t, os.WriteFile(hba, append([]byte("host all rejected all reject\nhost all missing all trust\n"), rules...), 0o600))
	noError(t, server.Exec(t.Context(), "postgres", `SELECT pg_reload_conf()`))
	for _, c := range []struct{ role, password, mend string }{
		{"Mine", "another", `ALTER ROLE "Mine" PASSWORD '…'; or, if there is none: CREATE ROLE "Mine" LOGIN REPLICATION PASSWORD '…'`},
		{"missing", "p", `CREATE ROLE "missing" LOGIN REPLICATION PASSWORD '…'`},
		{"barred", "p", `ALTER ROLE "barred" LOGIN`},
		{"rejected", "p", `add to pg_hba.conf: host all "rejected" 127.0.0.1/32 scram-sha-256; then SELECT pg_reload_conf()`},
	} {
		s, err := New(Config{Name: "test", URL: server.URL("postgres")})
		noError(t, err)
		s.base.User, s.base.Password = c.role, c.password
		var findings []penstock.Finding
		noError(t, retryUntil(t.Context(), func() (bool, error) { // until the rules have been read
			var err error
			findings, err = s.Check(t.Context(), penstock.Filter{})
			return len(findings) == 1 && findings[0].Mend == c.mend, err
		}))
		if len(findings) != 1 || findings[0].Mend != c.mend || findings[0].Code != penstock.ProblemSourceRights {
			t.Errorf("role %s: %+v, want %s", c.role, findings, c.mend)
		}
	}
}

// TestSchemasInPublication: schemas that somebody has added to a publication of ours
// are taken out again, as the application could not change their tables without a
// replica identity (promise 4); and with another owner it goes on as it is.
func TestSchemasInPublication(t *testing.T) {
	t.Parallel()
	dbtest.EachVersion(t, func(t *testing.T, major int) {
		db := dbtest.SharedOf(t, major)
		db.Exec(t, `CREATE TABLE keyed (id int PRIMARY KEY)`, `CREATE TABLE bare (id int)`, `INSERT INTO bare VALUES (1)`)
		c := captureOf(t, db.URL(), db.Name)
		_, _, err := c.Tables(t.Context()) // makes the publications
		noError(t, err)
		before, _, err := c.Tables(t.Context())
		noError(t, err)
		name, role := publicationName(c.spec.Integration), "owner_"+c.spec.Integration.Short()
		db.Exec(t, `CREATE ROLE `+role, `ALTER PUBLICATION `+name+` OWNER TO `+role)
		if db.Server.Binaries.Major >= publishesSchemas {
			db.Exec(t, `ALTER PUBLICATION `+name+` ADD TABLES IN SCHEMA public`)
		}
		after, findings, err := c.Tables(t.Context())
		noError(t, err)
		db.Exec(t, `UPDATE bare SET id = 2`, `ALTER PUBLICATION `+name+` OWNER TO CURRENT_USER`, `DROP ROLE `+role)
		if !slices.EqualFunc(before, after, func(a, b penstock.Table) bool { return a.Equal(&b) && a.Published == b.Published && a.Published != "" }) {
			t.Errorf("tables were %+v, are %+v: %+v", before, after, findings)
		}
		c.marks, c.prepared = nil, false
		db.Exec(t, `DROP PUBLICATION `+name, `CREATE PUBLICATION `+name+` FOR ALL TABLES`)
		_, _, err = c.Tables(t.Context())
		noError(t, err)
		db.Exec(t, `UPDATE bare SET id = 3`)
		members, err := publicationMembers(t.Context(), c.sql, name)
		noError(t, err)
		if len(members) != 1 {
			t.Errorf("published for updates: %v", members)
		}
	})
}

// TestTriggersLost: event triggers that are disabled or dropped are made again, and
// are a problem for as long as that cannot be.
func TestTriggersLost(t *testing.T) {
	t.Parallel()
	for _, major := range []int{13, 15, 18} {
		server := dbtest.New(t, testdb.Options{Fast: true, Major: major})
		noError(t, server.Exec(t.Context(), "postgres", `CREATE ROLE replicator SUPERUSER LOGIN PASSWORD 'p'`))
		c := captureOf(t, server.URL("postgres"), "postgres")
		c.source.base.User, c.source.base.Password = "replicator", "p"
		_, err := c.Prepare(t.Context(), "")
		noError(t, err)
		admin, err := server.Conn(t.Context(), "postgres")
		noError(t, err)
		defer admin.Close(t.Context())
		name := publicationName(c.spec.Integration)
		for _, step := range []struct {
			what    string
			sql     []string
			problem bool
		}{
			{"as they were made", nil, false},
			{"one is disabled", []string{`ALTER EVENT TRIGGER ` + name + `_drop DISABLE`}, false},
			{"one is for few sessions only", []string{`ALTER EVENT TRIGGER ` + name + `_ddl ENABLE REPLICA`}, false},
			{"one is dropped", []string{`DROP EVENT TRIGGER ` + name + `_rewrite`}, false},
			{"all are dropped", []string{`DROP SCHEMA ` + name + ` CASCADE`}, false},
			{"the schema says nothing", []string{`COMMENT ON SCHEMA ` + name + ` IS NULL`}, false},
			{"one is disabled, and the role is no superuser", []string{`ALTER ROLE replicator NOSUPERUSER REPLICATION`, `ALTER EVENT TRIGGER ` + name + `_drop DISABLE`}, true},
			{"it is enabled again", []string{`ALTER EVENT TRIGGER ` + name + `_drop ENABLE ALWAYS`}, false},
			{"it is dropped", []string{`DROP EVENT TRIGGER ` + name + `_drop`}, true},
			{"the role is a superuser again", []string{`ALTER ROLE replicator SUPERUSER`}, false},
		} {
			for _, sql := range step.sql {
				_, err := admin.Exec(t.Context(), sql)
				noError(t, err)
			}
			_, findings, err := c.Tables(t.Context())
			noError(t, err)
			problem := slices.ContainsFunc(findings, func(f penstock.Finding) bool { return f.Code == penstock.ProblemSourceRights && f.Table == "" })
			there, _, err := readTrigger(t.Context(), admin, c.spec.Integration)
			noError(t, err)
			if problem != step.problem || (there == len(triggerEvents)) == problem || c.told.Load() == problem {
				t.Errorf("%d, %s: %d are there, a problem is %t, told is %t: %+v", major, step.what, there, problem, c.told.Load(), findings)
			}
		}
	}
}

// TestForeignPublication: a publication of ours that is another role's is read on for
// as long as it is right; what takes that it is ours again is told, with the statement.
func TestForeignPublication(t *testing.T) {
	t.Parallel()
	for _, major := range []int{13, 15, 18} {
		server := dbtest.New(t, testdb.Options{Fast: true, Major: major})
		noError(t, server.Exec(t.Context(), "postgres", `CREATE ROLE replicator REPLICATION LOGIN PASSWORD 'p'`, `CREATE ROLE other`, `GRANT CREATE ON DATABASE postgres TO replicator, other`,
			`CREATE TABLE one (id int PRIMARY KEY)`, `CREATE TABLE two (id int PRIMARY KEY)`, `CREATE TABLE three (id int PRIMARY KEY)`,
			`ALTER TABLE one OWNER TO replicator`, `ALTER TABLE two OWNER TO replicator`, `ALTER TABLE three OWNER TO replicator`))
		c := captureOf(t, server.URL("postgres"), "postgres")
		c.source.base.User, c.source.base.Password = "replicator", "p"
		admin, err := server.Conn(t.Context(), "postgres")
		noError(t, err)
		defer admin.Close(t.Context())
		t.Cleanup(func() { noError(t, server.Exec(context.Background(), "postgres", `ALTER ROLE replicator SUPERUSER`)) }) // for what is left to be removed
		name := publicationName(c.spec.Integration)
		give, back := `ALTER PUBLICATION @ OWNER TO other`, `ALTER PUBLICATION "`+name+`" OWNER TO "replicator"`
		anew := `BEGIN; DROP PUBLICATION @; CREATE PUBLICATION @ FOR TABLE one, two, three WITH (publish_via_partition_root = true` + withGenerated(admin) + `); COMMIT`
		var published []string
		for _, step := range []struct {
			what    string
			sql     string
			mend    string // of the publication, or the error's
			refused int    // tables
			again   bool   // they are to be loaded again
			fails   bool
		}{
			{"as it was made", ``, ``, 0, true, false},
			{"looked at once more", ``, ``, 0, false, false},
			{"given away", give, back, 0, false, false},
			{"looked at again", ``, back, 0, false, false},
			{"given back", back, ``, 0, false, false},
			{"without a table, and given away", give + `; ALTER PUBLICATION @ DROP TABLE three`, back, 1, false, false},
			{"given back again", back, ``, 1, false, false}, // and to be loaded again
			{"made anew", anew, back, 3, true, false},
			{"of which there is no more to tell", ``, back, 3, true, false},
			{"and given to us", back, ``, 3, true, false},
			{"which is all", ``, ``, 0, true, false},
			{"altered", give + `; ALTER PUBLICATION @ SET (publish = 'insert')`, back, 0, false, true},
			{"for all tables", `DROP PUBLICATION @; CREATE PUBLICATION @ FOR ALL TABLES`, `DROP PUBLICATION "` + name + `"`, 0, false, true},
		} {
			_, err := admin.Exec(t.Context(), strings.ReplaceAll(step.sql, "@", name), pgx.QueryExecModeSimpleProtocol)
			noError(t, err)
			tables, findings, err := c.Tables(t.Context())
			if step.fails != (err != nil) || step.fails && (penstock.ProblemOf(err) != penstock.ProblemSourceRights || penstock.KindOf(err) != penstock.KindSetting || penstock.MendOf(err) != step.mend) {
				t.Fatalf("%d, %s: %v", major, step.what, err)
			}
			mend, refused := "", 0
			for _, f := range findings {
				if f.Table == "" && f.Code == penstock.ProblemSourceRights {
					mend = f.Mend
				} else if f.Table != "" {
					refused++
				}
			}
			var now []string
			for _, table := range tables {
				now = append(now, table.Published)
			}
			if again := !step.again && !step.fails && slices.ContainsFunc(now, func(p string) bool { return !slices.Contains(published, p) }); again || !step.fails && (mend != step.mend || refused != step.refused) {
				t.Errorf("%d, %s: published as %v, was %v; findings %+v", major, step.what, now, published, findings)
			}
			if published = now; step.mend == "" {
				continue
			}
			f, err := c.source.ParseFilter("include: postgres.*.*")
			noError(t, err)
			findings, err = c.source.Check(t.Context(), f)
			noError(t, err)
			if !slices.ContainsFunc(findings, func(f penstock.Finding) bool { return f.Mend == step.mend && f.Severity == penstock.SeverityAttention }) {
				t.Errorf("%d, %s: check finds %+v, want %s", major, step.what, findings, step.mend)
			}
		}
	}
}

// TestRenamedPublication: a publication of ours that somebody has renamed does not stay,
// neither beside the one that took its place nor once the integration is gone; and who
// has ours to drop is told if we may not.
func TestRenamedPublication(t *testing.T) {
	t.Parallel()
	for _, major := range []int{13, 15, 18} {
		server := dbtest.New(t, testdb.Options{Fast: true, Major: major})
		noError(t, server.Exec(t.Context(), "postgres", `CREATE ROLE replicator REPLICATION LOGIN PASSWORD 'p'`, `CREATE ROLE other`, `GRANT CREATE ON DATABASE postgres TO replicator, other`,
			`CREATE TABLE one (id int PRIMARY KEY)`, `ALTER TABLE one OWNER TO replicator`, `CREATE PUBLICATION theirs`, `COMMENT ON PUBLICATION theirs IS 'kept by Penstock, named otherwise'`))
		c := captureOf(t, server.URL("postgres"), "postgres")
		c.source.base.User, c.source.base.Password = "replicator", "p"
		at, err := c.Prepare(t.Context(), "")
		noError(t, err)
		name := publicationName(c.spec.Integration)
		there := func(what string, want ...string) {
			t.Helper()
			names, err := collect[string](t.Context(), c.sql, `SELECT pubname::text FROM pg_publication ORDER BY pubname`)
			noError(t, err)
			if !slices.Equal(names, want) {
				t.Errorf("%d, %s: there are %v, want %v", major, what, names, want)
			}
		}
		noError(t, server.Exec(t.Context(), "postgres", `ALTER PUBLICATION `+name+` RENAME TO zz`))
		if _, _, err = c.Tables(t.Context()); err == nil {
			t.Errorf("%d: the stream goes on", major)
		}
		there("renamed", name+"_append", "theirs")
		if _, err = c.Prepare(t.Context(), at); penstock.KindOf(err) != penstock.KindPositionLost {
			t.Errorf("%d: prepared with %v", major, err)
		}
		_, err = c.Prepare(t.Context(), "")
		noError(t, err)
		there("prepared again", name, name+"_append", "theirs")

		noError(t, server.Exec(t.Context(), "postgres", `ALTER PUBLICATION `+name+`_append RENAME TO zz`, `ALTER PUBLICATION zz OWNER TO other`))
		_, err = c.Prepare(t.Context(), "")
		noError(t, err)
		_, findings, err := c.Tables(t.Context())
		noError(t, err)
		if len(findings) != 1 || findings[0].Code != penstock.ProblemSourceRights || findings[0].Mend != `DROP PUBLICATION "zz"` {
			t.Errorf("%d, not ours to drop: %+v", major, findings)
		}
		there("not ours to drop", name, name+"_append", "theirs", "zz")
		noError(t, server.Exec(t.Context(), "postgres", `ALTER PUBLICATION zz OWNER TO replicator`))
		noError(t, c.source.Forget(t.Context(), c.spec.Integration))
		there("forgotten", "theirs")
	}
}
