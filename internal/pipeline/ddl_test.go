package pipeline_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"penstock"
	"penstock/internal/source/pgsource"
)

// ddlCase is a change of shape.
type ddlCase struct {
	name   string
	before []string // beside the table t (id int PRIMARY KEY, a text, b int) with three rows
	sql    string
	table  string // to compare afterwards; "" for public.t
	reload bool   // it takes one, also with the event trigger
}

var ddlCases = []ddlCase{
	{name: "add column", sql: `ALTER TABLE t ADD COLUMN c int; INSERT INTO t VALUES (10, 'x', 1, 5)`},
	{name: "add column with a constant", sql: `INSERT INTO t VALUES (10, 'x', 1); UPDATE t SET b = 7 WHERE id = 1; ALTER TABLE t ADD COLUMN c numeric(10,2) NOT NULL DEFAULT 1.50, ADD COLUMN d text DEFAULT 'it''s "d" {}', ADD COLUMN e int[] DEFAULT '{1,2}', ADD COLUMN f timestamptz DEFAULT '2024-01-01', ADD COLUMN g bytea DEFAULT '\x00ff'; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (11, 'y', 2)`},
	{name: "add column with a stable default", sql: `ALTER TABLE t ADD COLUMN c timestamptz DEFAULT now(); INSERT INTO t (id) VALUES (10)`},
	{name: "add column with a volatile default", sql: `INSERT INTO t VALUES (10, 'x', 1); ALTER TABLE t ADD COLUMN c float8 DEFAULT random(); INSERT INTO t VALUES (11, 'x', 1)`, reload: true},
	{name: "add a serial column", sql: `ALTER TABLE t ADD COLUMN c serial; INSERT INTO t (id) VALUES (10)`, reload: true},
	{name: "change a default", sql: `ALTER TABLE t ADD COLUMN c int DEFAULT 5; ALTER TABLE t ALTER COLUMN c SET DEFAULT 6; INSERT INTO t (id) VALUES (10)`},
	{name: "drop column", sql: `UPDATE t SET a = 'z'; ALTER TABLE t DROP COLUMN a; INSERT INTO t VALUES (10, 5)`},
	{name: "drop and add a column of that name", sql: `UPDATE t SET a = 'z'; ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN a text DEFAULT 'new'; INSERT INTO t (id) VALUES (10)`},
	{name: "rename column", sql: `ALTER TABLE t RENAME COLUMN a TO "A b"; UPDATE t SET "A b" = 'u' WHERE id = 1`},
	{name: "exchange columns", sql: `INSERT INTO t VALUES (10, 'x', 1); ALTER TABLE t RENAME COLUMN a TO x; ALTER TABLE t RENAME COLUMN b TO a; ALTER TABLE t RENAME COLUMN x TO b; INSERT INTO t VALUES (11, 'x', 1)`},
	{name: "rename the key", sql: `ALTER TABLE t RENAME COLUMN id TO key; UPDATE t SET key = 20 WHERE key = 1`},
	{name: "rename table", sql: `INSERT INTO t VALUES (10, 'x', 1); ALTER TABLE t RENAME TO u; INSERT INTO u VALUES (11, 'x', 1)`, table: "public.u"},
	{name: "exchange tables", before: []string{`CREATE TABLE u (id int PRIMARY KEY, z text)`, `INSERT INTO u VALUES (1, 'u')`},
		sql: `ALTER TABLE t RENAME TO x; ALTER TABLE u RENAME TO t; ALTER TABLE x RENAME TO u; INSERT INTO t VALUES (9, 'z'); INSERT INTO u VALUES (9, 'z', 9)`, table: "public.t public.u"},
	{name: "set schema", before: []string{`CREATE SCHEMA "Other one"`}, sql: `INSERT INTO t VALUES (10, 'x', 1); ALTER TABLE t SET SCHEMA "Other one"; INSERT INTO "Other one".t VALUES (11, 'x', 1)`, table: "Other one.t"},
	{name: "rename schema", before: []string{`CREATE SCHEMA s`, `CREATE TABLE s.one (id int PRIMARY KEY)`, `CREATE TABLE s.two (id int)`, `INSERT INTO s.one VALUES (1)`},
		sql: `INSERT INTO s.one VALUES (2); ALTER SCHEMA s RENAME TO r; INSERT INTO r.one VALUES (3); INSERT INTO r.two VALUES (3)`, table: "r.one r.two"},
	{name: "varchar to text", before: []string{`ALTER TABLE t ADD COLUMN v varchar(10), ADD COLUMN n numeric(6,2)`, `UPDATE t SET v = 'v', n = 1.25`},
		sql: `ALTER TABLE t ALTER COLUMN v TYPE text, ALTER COLUMN n TYPE numeric(20,2); INSERT INTO t VALUES (10, 'x', 1, repeat('v', 100), 1e15)`},
	{name: "widening", before: []string{`ALTER TABLE t ADD COLUMN s smallint, ADD COLUMN r real`, `UPDATE t SET s = -1, r = 0.1`},
		sql: `INSERT INTO t VALUES (10, 'x', 1, 1, 1e10); ALTER TABLE t ALTER COLUMN id TYPE bigint, ALTER COLUMN s TYPE int, ALTER COLUMN r TYPE float8; INSERT INTO t VALUES (1234567890123, 'x', 1, 100000, 1e300); UPDATE t SET b = 5 WHERE id = 2`},
	{name: "widening with another value", sql: `ALTER TABLE t ALTER COLUMN b TYPE bigint USING b + 1; INSERT INTO t VALUES (10, 'x', 12345678901)`, reload: true},
	{name: "values by USING", sql: `INSERT INTO t VALUES (10, 'x', 1); ALTER TABLE t ALTER COLUMN b TYPE int USING b * 100; INSERT INTO t VALUES (11, 'x', 1)`, reload: true},
	{name: "int to text", sql: `ALTER TABLE t ALTER COLUMN b TYPE text; INSERT INTO t VALUES (11, 'x', 'y')`, reload: true},
	{name: "numeric with another scale", before: []string{`ALTER TABLE t ADD COLUMN n numeric(6,2)`, `UPDATE t SET n = 1.25`}, sql: `ALTER TABLE t ALTER COLUMN n TYPE numeric(8,1); INSERT INTO t VALUES (11, 'x', 1, 5.5)`, reload: true},
	{name: "drop primary key", sql: `ALTER TABLE t DROP CONSTRAINT t_pkey; INSERT INTO t VALUES (11, 'x', 1)`, reload: true},
	{name: "another primary key", sql: `INSERT INTO t VALUES (10, 'x', 4); ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (b); UPDATE t SET a = 'q' WHERE b = 2`, reload: true},
	{name: "identity full", sql: `ALTER TABLE t REPLICA IDENTITY FULL; UPDATE t SET a = 'q' WHERE b = 2`},
	{name: "several", before: []string{`CREATE TABLE gone (id int PRIMARY KEY)`},
		sql: `INSERT INTO t VALUES (10, 'x', 1); ALTER TABLE t ADD COLUMN c int DEFAULT 3; UPDATE t SET c = 4 WHERE id = 1; ALTER TABLE t DROP COLUMN a, ALTER COLUMN b SET NOT NULL; DROP TABLE gone; UPDATE t SET b = 5 WHERE id = 2; ALTER TABLE t RENAME TO v; ALTER TABLE v RENAME COLUMN c TO d; INSERT INTO v VALUES (12, 1, 2)`, table: "public.v"},
	{name: "rolled back", sql: `INSERT INTO t VALUES (10, 'x', 1); SAVEPOINT s; ALTER TABLE t DROP COLUMN a; INSERT INTO t VALUES (11, 1); ROLLBACK TO s; INSERT INTO t VALUES (12, 'x', 1); SAVEPOINT s; ALTER TABLE t RENAME TO x; DROP TABLE x; ROLLBACK TO s; UPDATE t SET b = 9`},
	{name: "truncate", before: []string{`CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t)`, `INSERT INTO child VALUES (1, 1)`},
		sql: `INSERT INTO t VALUES (10, 'x', 1); ALTER TABLE t ADD COLUMN c int DEFAULT 3; TRUNCATE t CASCADE; INSERT INTO t VALUES (11, 'x', 1, 1); ALTER TABLE t DROP COLUMN b`, table: "public.t public.child"},
	{name: "inheritance", before: []string{`CREATE TABLE child (extra int) INHERITS (t)`, `ALTER TABLE child ADD PRIMARY KEY (id)`, `INSERT INTO child VALUES (1, 'c', 1, 1)`},
		sql: `ALTER TABLE t ADD COLUMN c int DEFAULT 3; ALTER TABLE t RENAME COLUMN a TO aa; INSERT INTO child VALUES (2, 'c', 2, 2, 2)`, table: "public.t public.child"},
	{name: "rename type", before: []string{`CREATE TYPE mood AS ENUM ('sad', 'ok')`, `ALTER TABLE t ADD COLUMN m mood DEFAULT 'ok'`},
		sql: `ALTER TYPE mood RENAME TO feeling; ALTER TYPE feeling ADD VALUE 'new'; INSERT INTO t (id, m) VALUES (10, 'sad')`},
	{name: "rename an enum's label", before: []string{`CREATE TYPE mood AS ENUM ('sad', 'ok')`, `CREATE DOMAIN moods AS mood[]`, `ALTER TABLE t ADD COLUMN m moods DEFAULT '{ok}'`},
		sql: `ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'`, reload: true},
	{name: "drop a type", before: []string{`CREATE TYPE mood AS ENUM ('sad', 'ok')`, `ALTER TABLE t ADD COLUMN m mood DEFAULT 'ok'`}, sql: `DROP TYPE mood CASCADE; INSERT INTO t VALUES (10, 'x', 1)`},
	{name: "new partition", before: partitioned, sql: `CREATE TABLE p_3 PARTITION OF p FOR VALUES FROM (200) TO (300); INSERT INTO p VALUES (250, 'new'), (10, 'old')`, table: "public.p"},
	{name: "column of partitions", before: partitioned, sql: `INSERT INTO p VALUES (3, 'x'); ALTER TABLE p ADD COLUMN c int DEFAULT 5; ALTER TABLE p RENAME COLUMN v TO w; INSERT INTO p VALUES (120, 'y', 6)`, table: "public.p"},
	{name: "attach", before: append(slices.Clone(partitioned), `CREATE TABLE p_3 (id int PRIMARY KEY, v text)`, `INSERT INTO p_3 VALUES (250, 'attached')`),
		sql: `INSERT INTO p_3 VALUES (251, 'attached'); ALTER TABLE p ATTACH PARTITION p_3 FOR VALUES FROM (200) TO (300); INSERT INTO p VALUES (252, 'x')`, table: "public.p", reload: true},
	{name: "detach", before: partitioned, sql: `INSERT INTO p VALUES (3, 'x'); ALTER TABLE p DETACH PARTITION p_2; INSERT INTO p_2 VALUES (130, 'alone')`, table: "public.p public.p_2", reload: true},
	{name: "drop a partition", before: partitioned, sql: `INSERT INTO p VALUES (3, 'x'); DROP TABLE p_2`, table: "public.p", reload: true},
	{name: "truncate a partition", before: partitioned, sql: `INSERT INTO p VALUES (3, 'x'); TRUNCATE p_2`, table: "public.p", reload: true},
}

var partitioned = []string{
	`CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)`,
	`CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (100)`, `CREATE TABLE p_2 PARTITION OF p FOR VALUES FROM (100) TO (200)`,
	`INSERT INTO p VALUES (1, 'one'), (101, 'two')`,
}

// TestDDL changes shapes, in one transaction with rows, with and without the
// event trigger: the target has what the source has afterwards; and where the
// target can make the change in place, nothing is loaded again.
func TestDDL(t *testing.T) {
	for _, trigger := range []pgsource.DDLTrigger{pgsource.DDLTriggerAuto, pgsource.DDLTriggerOff} {
		for _, c := range ddlCases {
			t.Run(fmt.Sprintf("trigger %d/%s", trigger, c.name), func(t *testing.T) { testDDL(t, trigger, c) })
		}
	}
}

func testDDL(t *testing.T, trigger pgsource.DDLTrigger, c ddlCase) {
	schema := []string{`CREATE TABLE t (id int PRIMARY KEY, a text, b int)`, `INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2), (3, NULL, 3)`,
		`CREATE TABLE mark (id int PRIMARY KEY)`}
	t.Parallel()
	b := setupWith(t, 0, trigger, append(schema, c.before...)...)
	tables := strings.Fields(cmpOr(c.table, "public.t"))
	if strings.Contains(c.table, "Other") {
		tables = []string{c.table}
	}
	await(t, "everything to be synced", func() bool {
		n := 0
		for _, s := range b.pipe.Status().Tables {
			if s.State != penstock.TableSynced {
				return false
			}
			n++
		}
		return n > 0
	})
	loaded := b.pipe.Status().RowsLoaded
	b.db.Exec(t, slices.Concat([]string{`BEGIN`}, strings.Split(c.sql, "; "), []string{`COMMIT`, `INSERT INTO mark VALUES (1)`})...)
	b.settle(t, append(tables, "public.mark")...)
	for _, table := range tables {
		b.sameShape(t, table)
	}
	// The poller has another look, and finds nothing to do.
	b.db.Exec(t, `INSERT INTO mark VALUES (2)`)
	b.settle(t, append(tables, "public.mark")...)
	reloaded := func() bool { return b.pipe.Status().RowsLoaded > loaded }
	if c.reload {
		await(t, "a reload", reloaded)
	}
	b.quiet(t)
	if n := b.pipe.Status().RowsLoaded - loaded; trigger == pgsource.DDLTriggerAuto && n > 0 && !c.reload {
		t.Errorf("%d rows were loaded again", n)
	}
	want := b.sourceNames(t)
	await(t, "the tables "+fmt.Sprint(want), func() bool { return slices.Equal(b.readable(), want) })
}

// readable returns the names of the tables that can be read.
func (b *bench) readable() (names []string) {
	for _, s := range b.pipe.Status().Tables {
		if s.Readable {
			names = append(names, s.Table.String())
		}
	}
	slices.Sort(names)
	return names
}

// sourceTables lists the tables of the source.
func (b *bench) sourceTables(t *testing.T) []penstock.Table {
	t.Helper()
	spec := b.spec
	spec.Integration = randomID()
	c := b.source.Capture(spec)
	defer c.Close()
	defer b.source.Forget(t.Context(), spec.Integration)
	tables, _, err := c.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

func (b *bench) sourceNames(t *testing.T) (names []string) {
	t.Helper()
	for _, x := range b.sourceTables(t) {
		names = append(names, x.String())
	}
	slices.Sort(names)
	return names
}

// sameShape waits until a table that can be read has the source's shape.
func (b *bench) sameShape(t *testing.T, table string) {
	t.Helper()
	for _, want := range b.sourceTables(t) {
		if want.String() != table {
			continue
		}
		await(t, fmt.Sprintf("table %s to have the shape %+v", table, want), func() bool {
			got, _, _ := b.target.Read("shop", want.Schema, want.Name)
			got.Columns = slices.Clone(got.Columns)
			for i := range got.Columns {
				got.Columns[i].NotNull = want.Columns[min(i, len(want.Columns)-1)].NotNull // noticed with the next change only
			}
			return got.SameShape(&want)
		})
		return
	}
	t.Errorf("the source has no table %s", table)
}

// quiet waits until everything is synced and the poller has had nothing to do
// about the source as it is now.
func (b *bench) quiet(t *testing.T) {
	t.Helper()
	await(t, "everything to be synced", func() bool {
		for _, s := range b.pipe.Status().Tables {
			if s.State != penstock.TableSynced {
				return false
			}
		}
		return b.pipe.Status().Loading == nil
	})
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
