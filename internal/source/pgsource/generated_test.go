package pgsource

import (
	"slices"
	"testing"

	"penstock"
	"penstock/internal/testdb/dbtest"
)

// TestGeneratedIdentity (promise 4): tables whose replica identity has
// generated columns can still be updated by the application, whatever the
// server's version thinks of publishing them.
func TestGeneratedIdentity(t *testing.T) {
	t.Parallel()
	dbtest.EachVersion(t, func(t *testing.T, major int) {
		db := dbtest.SharedOf(t, major)
		newer := db.Server.Binaries.Major >= publishesGenerated
		want := map[string]penstock.Identity{"whole": penstock.IdentityFull, "keyed": penstock.IdentityNone, "twofold": penstock.IdentityFull, "beside": penstock.IdentityKey}
		db.Exec(t, `CREATE TABLE whole (a int, b int GENERATED ALWAYS AS (a + 1) STORED)`, `ALTER TABLE whole REPLICA IDENTITY FULL`,
			`CREATE TABLE keyed (a int, b int GENERATED ALWAYS AS (a + 1) STORED PRIMARY KEY)`,
			`CREATE TABLE twofold (a int, b int GENERATED ALWAYS AS (a + 1) STORED PRIMARY KEY)`, `ALTER TABLE twofold REPLICA IDENTITY FULL`,
			`CREATE TABLE beside (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a + 1) STORED)`)
		if newer {
			db.Exec(t, `CREATE TABLE fleeting (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a + 1) VIRTUAL)`, `ALTER TABLE fleeting REPLICA IDENTITY FULL`,
				`CREATE TABLE mixed (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a + 1) VIRTUAL)`)
			want["keyed"], want["twofold"], want["fleeting"], want["mixed"] = penstock.IdentityKey, penstock.IdentityKey, penstock.IdentityNone, penstock.IdentityKey
		}
		c, tables := testCapture(t, db)
		if newer { // as a version of ours would have left it that knew nothing of this
			db.Exec(t, `ALTER PUBLICATION `+publicationName(c.spec.Integration)+` SET (publish_generated_columns = none)`)
			_, _, err := c.Tables(t.Context())
			noError(t, err)
		}
		if len(tables) != len(want) {
			t.Errorf("%d tables, want %d", len(tables), len(want))
		}
		for _, table := range tables {
			if table.Identity != want[table.Name] {
				t.Errorf("%s is identified by %v, want %v", table.Name, table.Identity, want[table.Name])
			}
			if !slices.ContainsFunc(table.Columns, func(c penstock.Column) bool { return c.Name == "b" }) {
				t.Errorf("%s has not its generated column", table.Name)
			}
			db.Exec(t, `INSERT INTO `+table.Name+` VALUES (1), (2)`, `UPDATE `+table.Name+` SET a = a + 10`, `DELETE FROM `+table.Name+` WHERE a = 11`)
		}
	})
}
