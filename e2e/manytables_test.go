package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"penstock/internal/testdb/dbtest"
)

// TestManyTables: a database of many small tables, PENSTOCK_TEST_TABLES of them,
// and one with as many columns as PostgreSQL has.
func TestManyTables(t *testing.T) {
	t.Parallel()
	n := 100
	if s := os.Getenv("PENSTOCK_TEST_TABLES"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	db := dbtest.Shared(t)
	src := db.Conn(t)
	for from := 0; from < n; from += 500 {
		execute(t, src, fmt.Sprintf(`DO $$ BEGIN FOR i IN %d..%d LOOP
			EXECUTE format('CREATE TABLE t%%s (id int PRIMARY KEY, note text)', i);
			EXECUTE format('INSERT INTO t%%s VALUES (1, ''first'')', i); END LOOP; END $$`, from, min(from+500, n)-1))
	}
	columns := make([]string, 1600)
	for i := range columns {
		columns[i] = fmt.Sprintf("c%d bool", i)
	}
	columns[0] = "c0 int PRIMARY KEY"
	execute(t, src, "CREATE TABLE wide ("+strings.Join(columns, ", ")+")", "INSERT INTO wide (c0, c1599) VALUES (1, true)")
	p := newPenstock(t, db.URL())
	began := time.Now()
	p.integrate(t, "many", db.Name)
	p.awaitActive(t, "many")
	t.Logf("%d tables loaded in %s", n, time.Since(began))
	began = time.Now()
	execute(t, src, fmt.Sprintf("INSERT INTO t%d VALUES (2, 'second')", n-1), "INSERT INTO wide (c0, c1, c1599) VALUES (2, false, true)", "UPDATE wide SET c800 = true WHERE c0 = 1")
	awaitEqual(t, p, src, map[string]string{fmt.Sprintf("t%d", n-1): fmt.Sprintf("SELECT id, note FROM t%d ORDER BY id", n-1), "wide": "SELECT c0, c1, c800, c1599 FROM wide ORDER BY c0"})
	t.Logf("changes were there after %s", time.Since(began))
}
