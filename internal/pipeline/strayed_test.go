package pipeline_test

import (
	"slices"
	"strings"
	"testing"

	"penstock"
	"penstock/internal/testdb/dbtest"
)

// TestRowsThatAreNotFound has the source tell of rows that are not in the
// warehouse as it says they were. PostgreSQL 13 and 14 do so by themselves: what is logged of a
// partition's row that is older than a column with a constant default is without
// that. On the others the warehouse's copy is changed behind the pipeline's back. The table is
// loaded again, and nothing stays of the old versions.
func TestRowsThatAreNotFound(t *testing.T) {
	t.Parallel()
	dbtest.EachVersion(t, func(t *testing.T, major int) {
		b := setupOn(t, major,
			`CREATE TABLE log (day int, body text) PARTITION BY RANGE (day)`,
			`CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (1) TO (100)`,
			`ALTER TABLE log REPLICA IDENTITY FULL`, `ALTER TABLE log_1 REPLICA IDENTITY FULL`,
			`INSERT INTO log SELECT g, 'row ' || g FROM generate_series(1, 20) g`,
			`CREATE TABLE other (id int PRIMARY KEY)`)
		b.settle(t, "public.log")
		b.db.Exec(t, `ALTER TABLE log ADD COLUMN level int DEFAULT 7`, `INSERT INTO log VALUES (30, 'new', 8)`)
		b.settle(t, "public.log")
		b.lose(t, "public.log", 0, 1, 2)
		b.db.Exec(t, `UPDATE log SET body = body || '!' WHERE day % 3 = 0; DELETE FROM log WHERE day % 3 = 1; INSERT INTO other VALUES (1)`)
		b.settle(t, "public.log", "public.other")
		await(t, "all tables to be synced", func() bool {
			return !slices.ContainsFunc(b.pipe.Status().Tables, func(s penstock.TableStatus) bool { return s.State != penstock.TableSynced })
		})
	})
}

// lose removes rows from the target between two pipelines.
func (b *bench) lose(t *testing.T, table string, these ...int32) {
	t.Helper()
	b.halt(t)
	d, err := b.target.Open(t.Context(), b.config.Spec)
	if err != nil {
		t.Fatal(err)
	}
	st, err := d.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	schema, name, _ := strings.Cut(table, ".")
	shape, rows, _ := b.target.Read("shop", schema, name)
	err = d.Apply(t.Context(), st.Applied, &penstock.Batch{Next: st.Applied, Tables: []penstock.TableBatch{{Table: &shape, Rows: rows, Remove: these}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	b.start(t)
}
