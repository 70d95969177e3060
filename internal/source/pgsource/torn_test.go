package pgsource

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"penstock/internal/testdb/dbtest"
)

// between has something done before a statement of a connection.
type between struct {
	sql string
	do  func()
}

// TraceQueryStart implements [pgx.QueryTracer].
func (b *between) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if data.SQL == b.sql && b.do != nil {
		do := b.do
		b.do = nil
		do()
	}
	return ctx
}

// TraceQueryEnd implements [pgx.QueryTracer].
func (b *between) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TestTornLook: a table that gets other values between two statements of a look is
// not taken for what it was, by that look or by the next one.
func TestTornLook(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{"before the columns": attributeQuery, "before the relations": relationQuery} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := dbtest.Shared(t)
			db.Exec(t, `CREATE TABLE t (id int PRIMARY KEY, a int)`, `INSERT INTO t VALUES (1, 1)`)
			config, err := pgx.ParseConfig(db.URL())
			noError(t, err)
			step := &between{sql: sql}
			config.Tracer = step
			conn, err := pgx.ConnectConfig(t.Context(), config)
			noError(t, err)
			defer conn.Close(context.Background())
			look := func() relation {
				t.Helper()
				rels, err := relations(t.Context(), conn, newTypeCache(), func(schema, _ string) bool { return schema == "public" })
				noError(t, err)
				if len(rels) != 1 {
					t.Fatalf("%d tables, want 1", len(rels))
				}
				return rels[0]
			}
			before := look()
			step.do = func() { db.Exec(t, `ALTER TABLE t ALTER a TYPE int USING a + 1000`) }
			torn := look()
			if step.do != nil {
				t.Fatal("the table was not altered")
			}
			after := look()
			if before.table.Stored.Keeps(after.table.Stored) {
				t.Errorf("%+v is taken for %+v", after.table.Stored, before.table.Stored)
			}
			if before.table.Stored.Keeps(torn.table.Stored) && torn.table.Stored.Supersedes(before.table.Stored) {
				t.Errorf("%+v takes the place of %+v without a load", torn.table.Stored, before.table.Stored)
			}
			db.Exec(t, `ALTER TABLE t ALTER a TYPE int USING a + 1000`)
			if again := look(); torn.table.Stored.Keeps(again.table.Stored) || after.table.Stored.Keeps(again.table.Stored) {
				t.Errorf("%+v is taken for %+v", again.table.Stored, torn.table.Stored)
			}
		})
	}
}
