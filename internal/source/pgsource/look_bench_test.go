package pgsource

import (
	"fmt"
	"strings"
	"testing"

	"penstock/internal/testdb/dbtest"
)

// BenchmarkLook looks at a thousand tables, of which a third have a column of an enum
// of their own, as is done every second.
func BenchmarkLook(b *testing.B) {
	db := dbtest.Shared(b)
	var sql strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&sql, "CREATE TABLE t%d (id int PRIMARY KEY, a text, b int, c numeric(10,2), d date, e timestamptz DEFAULT now(), f text, g bigint);", i)
		if i%3 == 0 {
			fmt.Fprintf(&sql, "CREATE TYPE e%d AS ENUM ('a', 'b', 'c', 'd'); ALTER TABLE t%d ADD h e%d;", i, i, i)
		}
	}
	db.Exec(b, sql.String())
	c, _ := testCapture(b, db)
	for b.Loop() {
		if _, _, err := c.Tables(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
