package pipeline_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"penstock"
	"penstock/internal/testdb/dbtest"
)

// columnsOf returns the names of a table's columns in the target.
func (b *bench) columnsOf(table string) (names []string) {
	for _, s := range b.pipe.Status().Tables {
		if s.Table.String() == table {
			for _, c := range s.Table.Columns {
				names = append(names, c.Name)
			}
		}
	}
	return names
}

// TestGeneratedColumns: rows that come by the stream have the generated
// columns that loaded ones have.
func TestGeneratedColumns(t *testing.T) {
	t.Parallel()
	dbtest.EachVersion(t, func(t *testing.T, major int) {
		b := setupOn(t, major,
			`CREATE TYPE mood AS ENUM ('sad', 'not "sad"')`, `CREATE DOMAIN positive AS int CHECK (VALUE > 0)`, `CREATE DOMAIN doc AS jsonb`,
			`CREATE FUNCTION once(n int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT n'`, `CREATE FUNCTION twice(n int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT once(n) * 2'`,
			`CREATE TABLE g (half numeric(10,2) GENERATED ALWAYS AS (price / 2) STORED, id int PRIMARY KEY, price numeric, "Odd ""name" text, s1 text, c1 int[],
			  j jsonb, d doc, m mood, p positive, at timestamptz, b bytea, f float8, day date,
			  "Lower" varchar(200) GENERATED ALWAYS AS (lower("Odd ""name" || ':' || coalesce(s1, '∅'))) STORED,
			  sum int GENERATED ALWAYS AS (twice(c1[1]) + p) STORED,
			  js text GENERATED ALWAYS AS (j ->> 'a' || (d ->> 'b')) STORED,
			  js2 jsonb GENERATED ALWAYS AS (j || d) STORED,
			  moods mood[] GENERATED ALWAYS AS (ARRAY[m, NULL]) STORED,
			  utc timestamp GENERATED ALWAYS AS (at AT TIME ZONE 'Asia/Kathmandu') STORED,
			  hash text GENERATED ALWAYS AS (md5(b)) STORED, root float8 GENERATED ALWAYS AS (f * f) STORED, next date GENERATED ALWAYS AS (day + 1) STORED,
			  dom positive GENERATED ALWAYS AS (p + 1) STORED, fixed char(5) GENERATED ALWAYS AS (left(s1, 3)) STORED, constant int GENERATED ALWAYS AS (42) STORED)`,
			`CREATE TABLE whole (a int, b int GENERATED ALWAYS AS (a % 3) STORED, c text)`, `ALTER TABLE whole REPLICA IDENTITY FULL`,
			`CREATE TABLE keyed (a int, k int GENERATED ALWAYS AS (a * 10) STORED PRIMARY KEY)`, `ALTER TABLE keyed REPLICA IDENTITY FULL`,
			`CREATE TABLE parts (id int, v int, w int GENERATED ALWAYS AS (v + id) STORED, PRIMARY KEY (id)) PARTITION BY RANGE (id)`,
			`CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (100)`, `CREATE TABLE high PARTITION OF parts FOR VALUES FROM (100) TO (1000)`)
		tables := []string{"public.g", "public.whole", "public.keyed", "public.parts"}
		if b.db.Server.Binaries.Major >= 18 {
			b.db.Exec(t, `CREATE TABLE virtual (id int PRIMARY KEY, a int, b text, v int GENERATED ALWAYS AS (a * 2), s text GENERATED ALWAYS AS (b || a) STORED)`,
				`INSERT INTO virtual VALUES (1, 2, 'x')`)
			tables = append(tables, "public.virtual")
		}
		insert := func(id int) string {
			return fmt.Sprintf(`INSERT INTO g (id, price, "Odd ""name", s1, c1, j, d, m, p, at, b, f, day) VALUES
			  (%[1]d, 10.25 + %[1]d, E'ÄB\t"\\', NULL, '{3,4}', '{"a": "x\"y", "n": [1]}', '{"b": "z"}', 'not "sad"', %[1]d + 1, '2024-03-01 23:00+00', '\x00ff', 0.1, '0044-03-15 BC'),
			  (%[1]d + 1, NULL, NULL, '', NULL, NULL, '"text"', NULL, 7, 'infinity', '', 'NaN', 'infinity')`, id)
		}
		b.db.Exec(t, insert(1), `INSERT INTO whole SELECT i FROM generate_series(1, 5) i`, `INSERT INTO keyed VALUES (1), (2)`, `INSERT INTO parts VALUES (1, 1), (200, 2)`)
		b.settle(t, tables...)
		b.db.Exec(t, insert(11), `UPDATE g SET price = price + 1, c1 = '{7}', s1 = 'streamed'`, `UPDATE g SET id = id + 100 WHERE id = 2`, `DELETE FROM g WHERE id = 11`,
			`INSERT INTO whole VALUES (4), (4), (NULL)`, `UPDATE whole SET a = a + 1, c = 'x' WHERE a = 4`, `DELETE FROM whole WHERE ctid = (SELECT min(ctid) FROM whole WHERE a = 5)`,
			`UPDATE keyed SET a = 5 WHERE k = 10`, `DELETE FROM keyed WHERE k = 20`, `INSERT INTO keyed VALUES (9)`,
			`INSERT INTO parts VALUES (2, 2), (300, 3)`, `UPDATE parts SET v = 9`, `UPDATE parts SET id = 301 WHERE id = 1`,
			`BEGIN; TRUNCATE whole; INSERT INTO whole SELECT i FROM generate_series(1, 3000) i; COMMIT`)
		if len(tables) == 5 {
			b.db.Exec(t, `UPDATE virtual SET a = 5`, `INSERT INTO virtual VALUES (2, 1, 'y'), (3, NULL, NULL)`)
		}
		b.settle(t, tables...)
		for _, want := range []string{"half", "Lower", "sum", "js", "js2", "moods", "utc", "hash", "root", "next", "dom", "fixed", "constant"} {
			if !slices.Contains(b.columnsOf("public.g"), want) {
				t.Errorf("column %s is left out", want)
			}
		}
		if got := b.columnsOf("public.whole"); len(got) != 3 {
			t.Errorf("columns %q", got)
		}
		for _, s := range b.pipe.Status().Tables {
			if s.State != penstock.TableSynced || s.BadValues.Total() > 0 {
				t.Errorf("table %s is %s, %v bad values", &s.Table, s.State, s.BadValues)
			}
		}
	})
}

// TestGeneratedFromUnchanged: an expression over a large value that an update
// has not sent, alone and with others.
func TestGeneratedFromUnchanged(t *testing.T) {
	t.Parallel()
	dbtest.EachVersion(t, func(t *testing.T, major int) {
		b := setupOn(t, major, `CREATE TABLE doc (id int PRIMARY KEY, title text, body text, n int,
			  size int GENERATED ALWAYS AS (length(body)) STORED, words tsvector GENERATED ALWAYS AS (to_tsvector('simple', title || ' ' || left(body, 20))) STORED, twice int GENERATED ALWAYS AS (n * 2) STORED)`,
			`ALTER TABLE doc ALTER body SET STORAGE EXTERNAL`,
			`INSERT INTO doc SELECT i, 'title ' || i, repeat('body ' || i || ' ', 1000), i FROM generate_series(1, 20) i`)
		b.settle(t, "public.doc")
		b.db.Exec(t, `UPDATE doc SET n = n + 1`)
		b.settle(t, "public.doc")
		b.db.Exec(t, `UPDATE doc SET title = 'another' WHERE id < 5`)
		b.settle(t, "public.doc")
		// Several versions of a row: what the earlier ones were is gone.
		b.db.Exec(t, `UPDATE doc SET title = 'first' WHERE id = 7`, `UPDATE doc SET title = 'second' WHERE id = 7`, `UPDATE doc SET title = 'first', id = 70 WHERE id = 8; UPDATE doc SET body = body || '!' WHERE id = 70`,
			`UPDATE doc SET title = 'gone' WHERE id = 9`, `DELETE FROM doc WHERE id = 9`, `BEGIN; SAVEPOINT a; UPDATE doc SET title = 'inner' WHERE id = 10; COMMIT`)
		b.settle(t, "public.doc")
	})
}

// TestUncomputable: a generated column whose expression we may not compute is
// left out, with a reason, and comes when that has changed.
func TestUncomputable(t *testing.T) {
	b := setup(t, `CREATE FUNCTION secret(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN n + 1; END'`,
		`CREATE TABLE u (id int PRIMARY KEY, v int GENERATED ALWAYS AS (secret(id)) STORED, w int GENERATED ALWAYS AS (id * 2) STORED)`, `INSERT INTO u VALUES (1)`)
	b.settle(t, "public.u")
	role := strings.ReplaceAll(b.db.Name, "-", "_")
	b.db.Exec(t, `CREATE ROLE `+role)
	t.Cleanup(func() {
		if err := b.db.Server.Exec(context.Background(), b.db.Name, `REASSIGN OWNED BY `+role+` TO postgres; DROP ROLE `+role); err != nil {
			t.Error(err)
		}
	})
	b.db.Exec(t, `ALTER FUNCTION secret OWNER TO `+role, `INSERT INTO u VALUES (2)`, `ALTER TABLE u ADD COLUMN x int`)
	await(t, "the column to go", func() bool { return slices.Equal(b.columnsOf("public.u"), []string{"id", "w", "x"}) })
	b.settle(t, "public.u")
	if !slices.ContainsFunc(b.pipe.Status().Problems, func(p penstock.Problem) bool {
		return p.Table == "public.u" && strings.Contains(p.Message, "v (it calls functions of others")
	}) {
		t.Errorf("problems: %v", b.pipe.Status().Problems)
	}
	b.db.Exec(t, `ALTER FUNCTION secret OWNER TO postgres`, `INSERT INTO u VALUES (3)`)
	await(t, "the column to come", func() bool { return slices.Equal(b.columnsOf("public.u"), []string{"id", "v", "w", "x"}) })
	b.settle(t, "public.u")
}

// TestVirtualColumnOfWholeRows: PostgreSQL refuses to update a table whose whole
// rows are its identity, if it is published for that and has a virtual column,
// which publications never have. The application never notices (promise 4).
func TestVirtualColumnOfWholeRows(t *testing.T) {
	t.Parallel()
	b := setupOn(t, 18, `CREATE TABLE added (a int, b int)`, `ALTER TABLE added REPLICA IDENTITY FULL`, `INSERT INTO added VALUES (1, 1)`,
		`CREATE TABLE whole (id int PRIMARY KEY, b int, v int GENERATED ALWAYS AS (b * 2))`, `INSERT INTO whole VALUES (1, 1)`,
		`CREATE TABLE parts (a int, b int) PARTITION BY RANGE (a)`, `CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (100)`,
		`ALTER TABLE parts REPLICA IDENTITY FULL`, `ALTER TABLE part REPLICA IDENTITY FULL`, `INSERT INTO parts VALUES (1, 1)`)
	b.db.Exec(t, `CREATE TABLE keyed (a int PRIMARY KEY, b int, v int GENERATED ALWAYS AS (b * 2)) PARTITION BY RANGE (a)`,
		`CREATE TABLE keyed_1 PARTITION OF keyed FOR VALUES FROM (0) TO (100)`, `INSERT INTO keyed VALUES (1, 1)`)
	tables := []string{"public.added", "public.whole", "public.parts", "public.keyed"}
	b.settle(t, tables...)
	b.db.Exec(t, `UPDATE added SET b = 2`, `UPDATE whole SET b = 2`, `UPDATE parts SET b = 2`, `UPDATE keyed SET b = 2`) // published, as they are
	b.settle(t, tables...)
	for _, sql := range []string{
		`ALTER TABLE added ADD COLUMN v int GENERATED ALWAYS AS (b * 2); UPDATE added SET b = b + 1`,
		`ALTER TABLE whole REPLICA IDENTITY FULL; UPDATE whole SET b = b + 1`,
		`ALTER TABLE parts ADD COLUMN v int GENERATED ALWAYS AS (b * 2); UPDATE parts SET b = b + 1`,
		`ALTER TABLE keyed_1 REPLICA IDENTITY FULL; UPDATE keyed SET b = b + 1`,
	} {
		alter, update, _ := strings.Cut(sql, "; ")
		b.db.Exec(t, alter, update, `BEGIN; `+update+`; COMMIT`)
	}
	// What was missed by then is known, and mended by an identity that can be published.
	b.db.Exec(t, `ALTER TABLE whole REPLICA IDENTITY DEFAULT`, `ALTER TABLE added DROP COLUMN v`, `ALTER TABLE parts DROP COLUMN v`, `ALTER TABLE keyed_1 REPLICA IDENTITY DEFAULT`)
	b.settle(t, tables...)
	b.db.Exec(t, `UPDATE added SET b = 9`, `UPDATE whole SET b = 9`, `UPDATE parts SET b = 9`, `UPDATE keyed SET b = 9`)
	b.settle(t, tables...)
}
