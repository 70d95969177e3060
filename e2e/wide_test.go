package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"penstock/internal/failpoint"
)

// widest is how many columns a table of PostgreSQL can have.
const widest = 1600

// wideColumns returns declarations of columns from one number up to another:
// numbers, texts and booleans in turns.
func wideColumns(before string, from, to int) string {
	kinds := []string{"bool", "smallint", "text"}
	columns := make([]string, 0, to-from)
	for i := from; i < to; i++ {
		columns = append(columns, fmt.Sprintf("%sc%d %s", before, i, kinds[i%3]))
	}
	return strings.Join(columns, ", ")
}

// insertWide returns a statement that inserts rows of a wide table, in which one
// column in five has a value, another one in each row.
func insertWide(table string, columns, from, to int) string {
	values := make([]string, 0, columns)
	for i := 1; i < columns; i++ {
		value := []string{"g % 2 = 0", "g % 1000", "'v' || g"}[i%3]
		values = append(values, fmt.Sprintf("CASE WHEN (g + %d) %% 5 = 0 THEN %s END", i, value))
	}
	return fmt.Sprintf("INSERT INTO %s SELECT g, %s FROM generate_series(%d, %d) g", table, strings.Join(values, ", "), from, to)
}

// wideSums looks at all kinds of columns of a wide table, at its beginning and
// its end.
func wideSums(table string, columns int) []string {
	sums := []string{"count(*)", "sum(id)"}
	for i := 1; i < columns; i++ {
		if i > 20 && i < columns-20 && i%100 > 2 {
			continue
		}
		sums = append(sums, []string{"sum(c%d::int)", "sum(c%d)", "max(c%d)"}[i%3])
		sums[len(sums)-1] = fmt.Sprintf(sums[len(sums)-1], i)
	}
	return []string{fmt.Sprintf("SELECT count(*), sum(c1), count(c%d) FROM %s", columns-1, table), "SELECT " + strings.Join(sums, ", ") + " FROM " + table}
}

// TestWideTable: a table with as many columns as PostgreSQL has works with the
// memory that the program takes by default (promise 7): it is loaded, followed, and
// loaded again, over a crash and a restart, after which it is in the file.
func TestWideTable(t *testing.T) {
	t.Parallel()
	m := newMemoryTest(t, 512, "CREATE TABLE wide (id int PRIMARY KEY, "+wideColumns("", 1, widest)+")", insertWide("wide", widest, 1, 2000))
	m.queries = wideSums("wide", widest)
	m.start()
	m.do("insert", insertWide("wide", widest, 2001, 2010))
	if code := m.p.stop(t); code != 0 {
		t.Fatalf("it has ended with %d", code)
	}
	m.p.start(t)
	m.do("a row, once it is in the file", insertWide("wide", widest, 2011, 2011))
	m.do("update", "UPDATE wide SET c1 = 7, c1599 = NOT c1599 WHERE id % 100 = 3")
	m.do("delete", "DELETE FROM wide WHERE id % 10 = 4")
	m.do("many rows", insertWide("wide", widest, 3001, 4000))
	m.p.kill(t)
	m.db.Exec(t, insertWide("wide", widest, 5001, 5002))
	m.p.start(t)
	m.equal("restart after a crash")
	dev := m.p.warehouse(t, "dev")
	state := "SELECT table_state || ' ' || last_updated_timestamp FROM svv_integration_table_state WHERE table_name = 'wide'"
	before := mustTable(t, dev, state)[0]
	execute(t, dev, "ALTER DATABASE "+m.db.Name+" INTEGRATION REFRESH TABLE public.wide")
	await(t, "the table to be loaded again", func() bool {
		now := mustTable(t, dev, state)[0]
		return now != before && strings.HasPrefix(now, "Synced")
	})
	m.equal("reload")
	m.do("a row after the reload", insertWide("wide", widest, 5003, 5003))
	if problems := m.p.describe(t, "large").Errors; len(problems) != 0 {
		t.Errorf("problems: %v", problems)
	}
	m.p.wantVerified(t, "large")
}

// TestTableThatGrowsWide: a table gets ever more columns while it is followed, in
// a database that has been made for narrow ones; the database is laid out anew,
// whatever becomes of the process meanwhile, and can be read.
func TestTableThatGrowsWide(t *testing.T) {
	t.Parallel()
	m := newMemoryTest(t, 512, "CREATE TABLE wide (id int PRIMARY KEY, "+wideColumns("", 1, 100)+")", insertWide("wide", 100, 1, 300),
		"CREATE TABLE narrow (id int PRIMARY KEY, note text)", "INSERT INTO narrow SELECT g, md5(g::text) FROM generate_series(1, 200000) g")
	m.queries = wideSums("wide", 100)
	m.start()
	reader := m.p.warehouse(t, m.db.Name)
	execute(t, reader, "BEGIN READ ONLY")
	look := wideSums("wide", 100)[1]
	before := mustTable(t, reader, look)
	at, id := 100, 300
	for _, step := range []struct {
		columns int
		point   failpoint.Point
	}{{300, ""}, {600, failpoint.TargetBeforeRelaid}, {1100, failpoint.TargetAfterRelaid}, {widest, ""}} {
		if step.point != "" {
			m.p.stop(t)
			m.p.env = []string{failpoint.Env + "=" + string(step.point) + "=kill"}
			m.p.start(t)
		}
		for at < step.columns { // not too many at once, which would be a reload
			to := min(at+60, step.columns)
			m.db.Exec(t, "ALTER TABLE wide "+wideColumns("ADD COLUMN ", at, to), insertWide("wide", to, id+1, id+1))
			at, id = to, id+1
		}
		m.queries = append(wideSums("wide", at), "SELECT count(*), min(note), max(note) FROM narrow")
		if step.point == "" {
			m.equal(fmt.Sprint(at, " columns"))
			if reader != nil {
				if after := mustTable(t, reader, look); after[0] != before[0] {
					t.Errorf("a transaction that was open sees %q after %q", after, before)
				}
				execute(t, reader, "COMMIT")
				reader = nil
			}
		} else {
			select {
			case <-m.p.done:
			case <-time.After(10 * patience):
				t.Fatalf("waited in vain for it to die at %s", step.point)
			}
			m.p.env = nil
			m.p.start(t)
			m.equal(fmt.Sprint(at, " columns, after a crash at ", step.point))
		}
		m.do("a row", insertWide("wide", at, id+1, id+1))
		id++
	}
	m.p.wantVerified(t, "large")
}
