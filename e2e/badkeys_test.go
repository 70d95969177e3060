package e2e

import (
	"slices"
	"strings"
	"testing"

	"penstock/internal/testdb/dbtest"
)

// TestKeysThatCannotBeHeld: of rows whose keys the warehouse stores as NULL none
// is lost or left behind, whatever happens to them (promise 5).
func TestKeysThatCannotBeHeld(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, "CREATE TABLE number (k numeric(10,2) PRIMARY KEY, v int)",
		"CREATE TABLE pair (a int, k numeric(10,2), v int, big text, PRIMARY KEY (a, k))", "ALTER TABLE pair ALTER big SET STORAGE EXTERNAL",
		"CREATE TABLE moment (k timestamp PRIMARY KEY, v int)",
		"INSERT INTO number VALUES ('NaN', 1), (1, 1)",
		"INSERT INTO pair SELECT g, 'NaN', g, repeat('x', 5000) FROM generate_series(1, 5) g",
		"INSERT INTO moment VALUES ('294270-01-01', 1), ('294271-01-01', 2), ('2020-01-01', 3)")
	p := newPenstock(t, db.URL())
	p.integrate(t, "keys", db.Name)
	p.awaitActive(t, "keys")
	source, warehouse := db.Conn(t), p.warehouse(t, db.Name)
	settle := func(after string) {
		t.Helper()
		var want, got []string
		await(t, "source and warehouse to be equal after "+after, func() bool {
			for table, held := range map[string]string{"number": "nullif(k, 'NaN')", "pair": "nullif(k, 'NaN')", "moment": "CASE WHEN k < '294247-01-01' THEN k END"} {
				want = mustTable(t, source, "SELECT "+held+", v FROM "+table)
				got = mustTable(t, warehouse, "SELECT k, v FROM "+table)
				slices.Sort(want)
				slices.Sort(got)
				if !slices.Equal(want, got) {
					return false
				}
			}
			return true
		})
	}
	settle("the load")
	for _, sql := range []string{
		"INSERT INTO moment VALUES ('294273-01-01', 4), ('294274-01-01', 5)",
		"UPDATE number SET v = 2 WHERE k = 'NaN'",
		"UPDATE pair SET v = v * 10 WHERE a < 4",
		"UPDATE moment SET v = v + 10",
		"UPDATE pair SET k = 7 WHERE a = 3",
		"DELETE FROM number WHERE k = 'NaN'",
		"BEGIN; INSERT INTO number VALUES ('NaN', 9); UPDATE number SET v = 10 WHERE k = 'NaN'; COMMIT",
		"DELETE FROM pair WHERE a = 2",
		"DELETE FROM moment WHERE k = '294270-01-01'",
	} {
		db.Exec(t, strings.Split(sql, "; ")...)
		settle(sql)
	}

}
