package e2e

import (
	"testing"

	"penstock/internal/testdb/dbtest"
)

// TestReplacedByAnother does what a migration does that puts a new table in the
// place of one that it has changed before: in one transaction the old one gets rows and
// another type, and gives its name to the new one.
func TestReplacedByAnother(t *testing.T) {
	t.Parallel()
	dbtest.EachVersion(t, func(t *testing.T, major int) {
		db := dbtest.SharedOf(t, major)
		db.Exec(t, "CREATE TABLE x (id int PRIMARY KEY, v text)", "INSERT INTO x SELECT g, 'x' || g FROM generate_series(1, 100) g",
			"CREATE TABLE y (id int PRIMARY KEY, v text)", "INSERT INTO y SELECT g, 'y' || g FROM generate_series(1, 50) g")
		p := newPenstock(t, db.URL())
		p.integrate(t, "replaced", db.Name)
		p.awaitActive(t, "replaced")
		source := db.Conn(t)
		execute(t, source, "BEGIN; INSERT INTO x VALUES (1000, 'new'); ALTER TABLE x ALTER v TYPE text USING v || 'x'; ALTER TABLE x RENAME TO x_old; ALTER TABLE y RENAME TO x; INSERT INTO x VALUES (2000, 'newer'); COMMIT")
		awaitEqual(t, p, source, map[string]string{"x": "SELECT id, v FROM x ORDER BY id", "x_old": "SELECT id, v FROM x_old ORDER BY id"})
		p.wantVerified(t, "replaced")
	})
}
