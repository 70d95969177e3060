package pgsource

import (
	"slices"
	"testing"

	"penstock/internal/testdb/dbtest"
)

// TestSurvey: columns of large tables in which values hardly repeat are found,
// of a partitioned table too.
func TestSurvey(t *testing.T) {
	t.Parallel()
	dbtest.EachVersion(t, func(t *testing.T, major int) {
		db := dbtest.SharedOf(t, major)
		const fill = ` SELECT g, md5(g::text), 'city ' || g % 1000, 'name ' || g * 7919 % 100003, 'block ' || g / 10, NULL FROM generate_series(1, 150000) g`
		const shape = ` (id int PRIMARY KEY, once text, few text, many text, together text, none text)`
		db.Exec(t, `CREATE TABLE large`+shape, `INSERT INTO large`+fill, `ALTER TABLE large DROP COLUMN none, ADD COLUMN later text`,
			`CREATE TABLE small`+shape, `INSERT INTO small`+fill+` WHERE g <= 1000`,
			`CREATE TABLE parts`+shape+` PARTITION BY RANGE (id)`, `CREATE TABLE part PARTITION OF parts DEFAULT`, `INSERT INTO parts`+fill,
			`CREATE TABLE unknown`+shape+` WITH (autovacuum_enabled = false)`, `INSERT INTO unknown`+fill,
			`ANALYZE large`, `ANALYZE small`, `ANALYZE parts`)
		c := captureOf(t, db.URL(), db.Name)
		tables, _, err := c.Tables(t.Context())
		noError(t, err)
		noError(t, c.Survey(t.Context(), tables))
		for _, table := range tables {
			slices.Sort(table.Diverse)
			want := []int{0, 1, 3}
			if table.Name == "small" || table.Name == "unknown" || table.Name == "parts" && major == 13 {
				want = nil // of a partitioned table version 13 does not know how many rows it has
			}
			if !slices.Equal(table.Diverse, want) {
				t.Errorf("%s: %v, want %v", table.Name, table.Diverse, want)
			}
		}
		db.Exec(t, `ALTER VIEW pg_catalog.pg_stats RENAME TO hidden_stats`) // as where it has been revoked
		noError(t, c.Survey(t.Context(), tables))
	})
}
