package pipeline_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"

	"penstock"
	"penstock/internal/source/pgsource"
	"penstock/internal/testdb/dbtest"
)

// prepared is a stream that reads a publication which a DBA prepared, with a
// role that owns nothing.
func prepared(t *testing.T, major int, schema ...string) *bench {
	t.Helper()
	db := dbtest.SharedOf(t, major)
	role := "reader_" + db.Name
	db.Exec(t, `CREATE ROLE `+role+` LOGIN REPLICATION PASSWORD 'secret'`)
	t.Cleanup(func() {
		if err := db.Server.Exec(context.Background(), db.Name, `DROP OWNED BY `+role, `DROP ROLE `+role); err != nil {
			t.Error(err)
		}
	})
	db.Exec(t, schema...)
	db.Exec(t, `GRANT SELECT ON ALL TABLES IN SCHEMA public TO `+role, `ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO `+role,
		`REVOKE CREATE ON SCHEMA public FROM PUBLIC`, `REVOKE TEMPORARY ON DATABASE `+db.Name+` FROM PUBLIC`)
	u, err := url.Parse(db.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, "secret")
	b := newBench(t, db, pgsource.Config{URL: u.String(), Publication: `For "us"`}, ", exclude: "+db.Name+".public.unwanted")
	b.fails = true
	b.start(t)
	return b
}

const ourPublication = `"For ""us"""`

// names returns the tables that the target has, in order.
func (b *bench) names() []string {
	var out []string
	for _, s := range b.pipe.Status().Tables {
		out = append(out, s.Table.Name)
	}
	slices.Sort(out)
	return out
}

// problem waits for one that says all of the words.
func (b *bench) problem(t *testing.T, words ...string) penstock.Problem {
	t.Helper()
	var found penstock.Problem
	await(t, "a problem that says "+strings.Join(words, ", "), func() bool {
		for _, p := range b.pipe.Status().Problems {
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(p.Message+" "+p.Mend, w) }) {
				found = p
				return true
			}
		}
		return false
	})
	return found
}

// TestPreparedPublication: what a prepared publication has is what is carried,
// by a role that owns nothing, and the publication stays as it is.
func TestPreparedPublication(t *testing.T) {
	t.Parallel()
	dbtest.EachVersion(t, func(t *testing.T, major int) {
		b := prepared(t, major,
			`CREATE TABLE a (id int PRIMARY KEY, body text)`, `INSERT INTO a SELECT i, 'x' FROM generate_series(1, 100) i`,
			`CREATE TABLE part (id int PRIMARY KEY, n int) PARTITION BY RANGE (id)`,
			`CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (50)`, `CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (50) TO (1000)`,
			`INSERT INTO part SELECT i, i FROM generate_series(1, 99) i`,
			`CREATE TABLE bare (n int)`, `CREATE TABLE outside (id int PRIMARY KEY)`, `CREATE TABLE unwanted (id int PRIMARY KEY)`,
			`CREATE PUBLICATION `+ourPublication+` FOR TABLE a, part, bare, unwanted WITH (publish_via_partition_root = true)`)
		state := func() string {
			var s string
			if err := b.db.Conn(t).QueryRow(t.Context(), `SELECT string_agg(p::text || ' ' || COALESCE((SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_publication_tables t WHERE t.pubname = p.pubname), ''), ';') FROM pg_publication p`).Scan(&s); err != nil {
				t.Fatal(err)
			}
			return s
		}
		before := state()
		b.settle(t, "public.a", "public.part", "public.bare")
		b.problem(t, "public.bare", "refuses every UPDATE", "REPLICA IDENTITY FULL")
		if found := b.mustMend(t); len(found) > 0 {
			t.Errorf("the check finds %q", found)
		}
		b.db.Exec(t, `UPDATE a SET body = 'y' WHERE id < 50`, `DELETE FROM part WHERE id % 2 = 0`, `UPDATE part SET id = id + 100 WHERE id < 10`, `INSERT INTO bare VALUES (1)`)
		b.settle(t, "public.a", "public.part", "public.bare")
		if got := b.names(); !slices.Equal(got, []string{"a", "bare", "part"}) {
			t.Errorf("carried are %q", got)
		}
		if got := state(); got != before {
			t.Errorf("publications were %s and are %s", before, got)
		}

		// Nothing is missed of a table that leaves and comes back unseen.
		b.db.Exec(t, `BEGIN; ALTER PUBLICATION `+ourPublication+` DROP TABLE a; INSERT INTO a VALUES (1000, 'unpublished'); COMMIT`,
			`ALTER PUBLICATION `+ourPublication+` ADD TABLE a, outside`, `INSERT INTO outside VALUES (1)`)
		await(t, "the row that was not published", func() bool { return len(b.rows("public.a")) == 101 })
		b.settle(t, "public.a", "public.outside")

		// A publication that goes is waited for, and what was missed is loaded.
		b.db.Exec(t, `DROP PUBLICATION `+ourPublication, `INSERT INTO part VALUES (500, 500)`, `INSERT INTO a VALUES (2000, 'unpublished')`)
		err := b.ended(t)
		if penstock.KindOf(err) != penstock.KindUnreachable && penstock.KindOf(err) != penstock.KindSetting && !strings.Contains(err.Error(), "publication") {
			t.Errorf("without the publication Run ended with %v", err)
		}
		b.start(t)
		if err := b.ended(t); penstock.KindOf(err) != penstock.KindSetting || !strings.Contains(penstock.MendOf(err), "CREATE PUBLICATION "+ourPublication) {
			t.Errorf("without the publication Run ended with %v", err)
		}
		if found := b.mustMend(t); len(found) != 1 || !strings.HasPrefix(found[0], `CREATE PUBLICATION `+ourPublication+` FOR TABLE ONLY "public"."a", ONLY "public"."outside", "public"."part" WITH`) {
			t.Errorf("the check finds %q", found)
		}
		b.db.Exec(t, `CREATE PUBLICATION `+ourPublication+` FOR TABLE a, part WITH (publish_via_partition_root = true)`)
		b.start(t)
		await(t, "what was missed", func() bool { return len(b.rows("public.a")) == 102 })
		b.settle(t, "public.a", "public.part")
		if !slices.Equal(b.names(), []string{"a", "part"}) {
			t.Errorf("carried are %q", b.names())
		}
	})
}

// mustMend returns the statements that a check finds to be necessary.
func (b *bench) mustMend(t *testing.T) (statements []string) {
	t.Helper()
	findings, err := b.source.Check(t.Context(), b.spec.Filter)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if f.Severity == penstock.SeverityAttention {
			statements = append(statements, f.Mend)
		}
	}
	return statements
}

// ended waits until the pipeline has ended by itself.
func (b *bench) ended(t *testing.T) error {
	t.Helper()
	select {
	case <-b.over:
	case <-t.Context().Done():
		t.Fatal("the pipeline does not end")
	}
	return b.stop()
}

// TestPreparedInPart: row filters and column lists are those of the load as
// well as of the stream, and told.
func TestPreparedInPart(t *testing.T) {
	t.Parallel()
	for _, major := range []int{0, 18} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			b := prepared(t, major,
				`CREATE SCHEMA other`, `GRANT USAGE ON SCHEMA other TO PUBLIC`,
				`CREATE TABLE sold (id int PRIMARY KEY, secret text, n int)`, `INSERT INTO sold SELECT i, 'secret', i FROM generate_series(1, 10) i`,
				`CREATE TABLE few (id int, kind text, PRIMARY KEY (id, kind))`, `INSERT INTO few SELECT i, CASE WHEN i % 2 = 0 THEN 'even' ELSE 'odd' END FROM generate_series(1, 10) i`,
				`CREATE PUBLICATION `+ourPublication+` FOR TABLE sold (id, n), few WHERE (kind = 'even')`)
			await(t, "the rows", func() bool { return len(b.rows("public.sold")) == 10 && len(b.rows("public.few")) == 5 })
			b.problem(t, "public.sold", "column list")
			b.problem(t, "public.few", "row filter", "even")
			b.db.Exec(t, `INSERT INTO sold VALUES (11, 'secret', 11)`, `UPDATE sold SET n = 0, secret = 'more' WHERE id = 1`,
				`INSERT INTO few VALUES (11, 'odd'), (12, 'even')`, `UPDATE few SET kind = 'odd' WHERE id = 2`, `UPDATE few SET kind = 'even' WHERE id = 1`)
			await(t, "the changes", func() bool {
				sold, few := b.rows("public.sold"), b.rows("public.few")
				return len(sold) == 11 && slices.Contains(sold, "|01000000|00000000") && len(few) == 6 && slices.Contains(few, "|01000000|6576656e")
			})
			// Another filter is another content.
			b.db.Exec(t, `ALTER PUBLICATION `+ourPublication+` SET TABLE sold, few WHERE (kind = 'odd')`)
			await(t, "the other rows", func() bool {
				return len(b.rows("public.few")) == 6 && slices.Contains(b.rows("public.few"), "|02000000|6f6464")
			})
			await(t, "all columns", func() bool { return slices.Contains(b.rows("public.sold"), "|0b000000|736563726574|0b000000") })
			b.db.Exec(t, `UPDATE sold SET n = 5 WHERE id = 3`, `DELETE FROM few WHERE id = 3`)
			b.settle(t, "public.sold", "public.few")
		})
	}
}

// TestPreparedShapes: publications of schemas and of everything; partitions by
// themselves; inserts only.
func TestPreparedShapes(t *testing.T) {
	t.Parallel()
	partitioned := []string{`CREATE TABLE part (id int PRIMARY KEY) PARTITION BY LIST (id)`, `CREATE TABLE part1 PARTITION OF part FOR VALUES IN (1, 3)`,
		`CREATE TABLE part2 PARTITION OF part FOR VALUES IN (2, 4)`, `CREATE TABLE plain (id int PRIMARY KEY)`, `INSERT INTO part VALUES (1), (2)`}
	for name, with := range map[string]string{"schema": `FOR TABLES IN SCHEMA public`, "all": `FOR ALL TABLES`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := prepared(t, 0, append(partitioned, `CREATE PUBLICATION `+ourPublication+` `+with)...)
			b.settle(t, "public.part1", "public.part2", "public.plain")
			b.problem(t, "partitions by themselves", "publish_via_partition_root = true")
			b.db.Exec(t, `INSERT INTO part VALUES (3), (4)`, `DELETE FROM part WHERE id = 1`, `TRUNCATE part2`, `CREATE TABLE late (id int PRIMARY KEY)`, `INSERT INTO late VALUES (1)`)
			b.settle(t, "public.part1", "public.part2", "public.late")
			if got := b.names(); !slices.Equal(got, []string{"late", "part1", "part2", "plain"}) {
				t.Errorf("carried are %q", got)
			}
			b.db.Exec(t, `ALTER PUBLICATION `+ourPublication+` SET (publish_via_partition_root = true)`)
			b.settle(t, "public.part", "public.plain")
			await(t, "the partitions to be one table", func() bool { return slices.Equal(b.names(), []string{"late", "part", "plain"}) })
		})
	}
	t.Run("inserts", func(t *testing.T) {
		t.Parallel()
		b := prepared(t, 0, `CREATE TABLE log (id int PRIMARY KEY, line text)`, `INSERT INTO log VALUES (1, 'first')`,
			`CREATE PUBLICATION `+ourPublication+` FOR TABLE log WITH (publish = 'insert')`)
		b.settle(t, "public.log")
		b.problem(t, "publishes insert only", "updates, deletes and TRUNCATE")
		b.db.Exec(t, `INSERT INTO log VALUES (2, 'second')`)
		b.settle(t, "public.log")
		b.db.Exec(t, `TRUNCATE log`, `INSERT INTO log VALUES (3, 'third')`)
		b.settle(t, "public.log")
		b.db.Exec(t, `UPDATE log SET line = 'changed'`)
		b.problem(t, "public.log", "updated or deleted", "publish = ")
	})
	t.Run("updates without deletes", func(t *testing.T) {
		t.Parallel()
		b := prepared(t, 0, `CREATE TABLE log (id int PRIMARY KEY)`, `CREATE PUBLICATION `+ourPublication+` FOR TABLE log WITH (publish = 'insert, update')`)
		if err := b.ended(t); penstock.KindOf(err) != penstock.KindSetting || !strings.Contains(err.Error(), "only together") {
			t.Errorf("Run ended with %v", err)
		}
	})
}
