package e2e

import (
	"fmt"
	"strings"
	"testing"

	"penstock/internal/failpoint"
	"penstock/internal/testdb/dbtest"
)

// TestKilledInALoad kills the server after each of the first chunks of a load,
// while rows move about in the table and keep their large values: the load goes
// on with the chunks that are missing, and the table is right (promise 2).
func TestKilledInALoad(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	// Three chunks, most of them stored out of line.
	db.Exec(t, "CREATE TABLE moving (id int PRIMARY KEY, n int, body text) WITH (fillfactor = 70)", "ALTER TABLE moving ALTER body SET STORAGE EXTERNAL",
		"INSERT INTO moving SELECT g, 0, lpad(g::text, 9000, '.') FROM generate_series(1, 18000) g", "CREATE TABLE bag (v int)", "ALTER TABLE bag REPLICA IDENTITY FULL", "INSERT INTO bag SELECT g % 10 FROM generate_series(1, 1000) g")
	tables := map[string]string{
		"moving": "SELECT id, n, length(body), md5(body) FROM moving ORDER BY id",
		"bag":    "SELECT v, count(*) FROM bag GROUP BY v ORDER BY v",
	}
	source := db.Conn(t)
	change := func(n int) {
		execute(t, source,
			fmt.Sprintf("UPDATE moving SET n = n + 1 WHERE id %% 20 = %d", n),
			fmt.Sprintf("DELETE FROM moving WHERE id %% 500 = %d", n),
			fmt.Sprintf("UPDATE moving SET id = id + 100000 WHERE id %% 500 = %d AND id < 100000", 10+n),
			fmt.Sprintf("INSERT INTO moving SELECT g, %d, lpad('again ' || g::text, 9000, '.') FROM generate_series(%d, 18000, 500) g", n, 10+n),
			"DELETE FROM bag WHERE ctid IN (SELECT ctid FROM bag ORDER BY v LIMIT 3)", "VACUUM moving")
	}
	p := configured(t, db.URL())
	for n := range 2 {
		p.env = []string{failpoint.Env + "=" + string(failpoint.TargetAfterAppend) + "=2:kill"}
		p.start(t)
		if n == 0 {
			p.integrate(t, "moving", db.Name)
		}
		await(t, "the server to end in the load", func() bool {
			select {
			case <-p.done:
				return true
			default:
				return false
			}
		})
		change(n)
	}
	p.env = nil
	p.start(t)
	change(5)
	p.awaitActive(t, "moving")
	change(6)
	awaitEqual(t, p, source, tables)
	assertHistory(t, p, db.Name)
	if text := p.log.String(); !strings.Contains(text, `msg="load goes on"`) {
		t.Error("no load went on")
	}
}
