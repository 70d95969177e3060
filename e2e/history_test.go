package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"penstock/internal/testdb/dbtest"
)

// historical are the tables of TestHistoryMode, and how they are read on both
// sides but for the WHERE.
var historical = map[string]string{
	"orders":  "SELECT id, state, md5(body), total FROM orders",
	"journal": "SELECT id, entry FROM journal",
	"lines":   "SELECT id, entry FROM lines",
}

// observed is what the tables held at the source at a time between two commits.
type observed struct {
	at   string
	rows map[string][]string
}

func observe(t testing.TB, source *pgx.Conn) observed {
	t.Helper()
	o := observed{rows: map[string][]string{}}
	for name, query := range historical {
		o.rows[name] = mustTable(t, source, query)
		slices.Sort(o.rows[name])
	}
	o.at = mustTable(t, source, "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')")[0]
	return o
}

// versionsAt reads what a table in history mode held at a time.
func versionsAt(t testing.TB, warehouse *pgx.Conn, query, at string) []string {
	t.Helper()
	rows := mustTable(t, warehouse, query+" WHERE _record_create_time <= '"+at+"' AND (_record_delete_time IS NULL OR _record_delete_time > '"+at+"')")
	slices.Sort(rows)
	return rows
}

// inHistoryMode makes an integration whose one destination database is made by a
// statement, with history mode from the beginning.
func inHistoryMode(t *testing.T, name string, db *dbtest.Database) *penstock {
	t.Helper()
	p := configured(t, db.URL())
	p.manual(t)
	p.start(t)
	p.integrate(t, name, db.Name)
	p.awaitActive(t, name)
	id := mustTable(t, p.warehouse(t, "dev"), "SELECT DISTINCT trim(integration_id) FROM svv_integration")[0]
	if got := p.psql(t, "dev", "CREATE DATABASE shop FROM INTEGRATION '"+id+"' DATABASE \""+db.Name+"\" SET HISTORY_MODE = TRUE"); got != "CREATE DATABASE" {
		t.Fatalf("psql prints %q", got)
	}
	return p
}

func (p *penstock) awaitSynced(t testing.TB, tables int) {
	t.Helper()
	await(t, "tables in history mode", func() bool {
		conn, err := p.connect(t.Context(), "dev")
		if err != nil {
			return false
		}
		defer conn.Close(t.Context())
		rows, err := table(t.Context(), conn, "SELECT count(*) FROM svv_integration_table_state WHERE table_state = 'Synced' AND is_history_mode")
		return err == nil && rows[0] == fmt.Sprint(tables)
	})
}

// caughtUp waits until a session sees all that has been committed, and returns it.
func (p *penstock) caughtUp(t testing.TB, database string) *pgx.Conn {
	t.Helper()
	var conn *pgx.Conn
	await(t, "the warehouse to catch up", func() bool {
		c, err := p.connect(t.Context(), database)
		if err != nil {
			return false
		}
		if _, err = c.Exec(t.Context(), "SET penstock.wait_for = 'now'"); err == nil {
			_, err = c.Exec(t.Context(), "SELECT 1")
		}
		if err != nil {
			c.Close(t.Context())
			return false
		}
		conn = c
		return true
	})
	t.Cleanup(func() { conn.Close(t.Context()) })
	return conn
}

// TestHistoryMode writes into tables of each kind while the server is killed and
// shapes change, and then reads back every state that the source was in.
func TestHistoryMode(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t,
		"CREATE TABLE orders (id int PRIMARY KEY, state text, body text, total numeric(12,2))",
		"ALTER TABLE orders ALTER COLUMN body SET STORAGE EXTERNAL",
		"CREATE TABLE journal (id int, entry text)", "ALTER TABLE journal REPLICA IDENTITY FULL",
		"CREATE TABLE lines (id int, entry text)",
		"INSERT INTO orders SELECT g, 'new', repeat(md5(g::text), 200), g FROM generate_series(1, 300) g",
		"INSERT INTO journal SELECT g % 50, 'entry' FROM generate_series(1, 200) g", "INSERT INTO lines SELECT g, 'line' FROM generate_series(1, 50) g")
	p := inHistoryMode(t, "history", db)
	p.awaitSynced(t, 3)
	source := db.Conn(t)
	observations := []observed{observe(t, source)}
	one := func(i int) {
		id := func() int { return 1 + rand.IntN(320) }
		switch i % 8 {
		case 0:
			execute(t, source, fmt.Sprintf("UPDATE orders SET state = 's%d', total = total + 1 WHERE id BETWEEN %d AND %d + 20", i, id(), id()))
		case 1:
			execute(t, source, fmt.Sprintf("BEGIN; UPDATE orders SET state = 'twice' WHERE id = %d; UPDATE orders SET state = 'once' WHERE id < 10; DELETE FROM orders WHERE id = 5; INSERT INTO orders VALUES (5, 'back', repeat('x', %d), 1) ON CONFLICT DO NOTHING; COMMIT", id(), 10*i))
		case 2:
			execute(t, source, fmt.Sprintf("UPDATE orders SET id = %d WHERE id = (SELECT min(id) FROM orders WHERE id > 20)", 1000+i))
		case 3:
			execute(t, source, fmt.Sprintf("DELETE FROM journal WHERE id = %d", i%50), fmt.Sprintf("UPDATE journal SET entry = 'e%d' WHERE id < %d", i, i%40))
		case 4:
			execute(t, source, fmt.Sprintf("DELETE FROM orders WHERE id = %d", id()), fmt.Sprintf("INSERT INTO lines VALUES (%d, 'line'), (%d, 'line')", i, i))
		case 5:
			execute(t, source, fmt.Sprintf("INSERT INTO orders SELECT g, 'many', repeat(md5(g::text), 100), 0 FROM generate_series(%d, %d) g", 10_000+100*i, 10_000+100*i+40))
		case 6:
			execute(t, source, fmt.Sprintf("BEGIN; INSERT INTO journal VALUES (%d, 'gone'); SAVEPOINT s; TRUNCATE journal; ROLLBACK TO s; UPDATE journal SET entry = 'kept' WHERE entry = 'gone'; COMMIT", i))
		case 7:
			if i == 63 {
				execute(t, source, "TRUNCATE orders, lines", "INSERT INTO orders SELECT g, 'after', 'short', g FROM generate_series(1, 300) g")
			}
			execute(t, source, "UPDATE orders SET body = body || 'y' WHERE id % 50 = 1")
		}
	}
	for i := range 120 {
		one(i)
		observations = append(observations, observe(t, source))
		if i%30 == 17 {
			p.kill(t)
			p.start(t)
		}
		if i == 70 {
			execute(t, source, "ALTER TABLE orders ADD COLUMN note text DEFAULT 'none'", "ALTER TABLE journal RENAME COLUMN entry TO said", "ALTER TABLE journal RENAME COLUMN said TO entry")
		}
	}
	warehouse := p.caughtUp(t, "shop")
	for name, query := range historical {
		for i, o := range observations {
			if got := versionsAt(t, warehouse, query, o.at); !slices.Equal(got, o.rows[name]) {
				t.Fatalf("%s at %s, observation %d of %d: %d versions hold, the source had %d rows\n%.500q\n%.500q", name, o.at, i, len(observations), len(got), len(o.rows[name]), got, o.rows[name])
			}
		}
	}
	if wrong := mustTable(t, warehouse, "SELECT count(*) FROM orders WHERE _record_is_active <> (_record_delete_time IS NULL) OR _record_delete_time <= _record_create_time"); wrong[0] != "0" {
		t.Errorf("%s versions make no sense", wrong[0])
	}
	if notes := mustTable(t, warehouse, "SELECT DISTINCT note FROM orders WHERE _record_is_active"); !slices.Equal(notes, []string{"none"}) {
		t.Errorf("the new column has %q", notes)
	}
	p.wantVerified(t, "history")
}

// TestHistoryStatements goes through what users do with tables in history mode:
// psql and pgx.
func TestHistoryStatements(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, "CREATE TABLE a (id int PRIMARY KEY, v text)", "CREATE TABLE b (id int PRIMARY KEY, v text)", "INSERT INTO a VALUES (1, 'one'), (2, 'two')", "INSERT INTO b VALUES (1, 'one')")
	p := newPenstock(t, db.URL())
	p.integrate(t, "stated", db.Name)
	p.awaitActive(t, "stated")
	source := db.Conn(t)
	alter := func(rest string) string {
		return "ALTER DATABASE \"" + db.Name + "\" INTEGRATION SET HISTORY_MODE " + rest
	}
	print := func(database, want string, statements ...string) {
		t.Helper()
		if got := p.psql(t, database, statements...); got != want {
			t.Errorf("%q: psql prints %q, want %q", statements, got, want)
		}
	}
	rows := func(sql string, want ...string) {
		t.Helper()
		conn := p.caughtUp(t, db.Name)
		defer conn.Close(t.Context())
		if got := mustTable(t, conn, sql); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
	modes := func(want ...string) {
		t.Helper()
		dev := p.warehouse(t, "dev")
		defer dev.Close(t.Context())
		await(t, strings.Join(want, " "), func() bool {
			got, err := table(t.Context(), dev, "SELECT table_name, table_state, is_history_mode FROM svv_integration_table_state ORDER BY 1")
			return err == nil && slices.Equal(got, want)
		})
	}
	print("dev", "NOTICE:  history mode is on for 1 more table\nALTER DATABASE", alter("= TRUE FOR TABLE public.a"))
	modes("a|Synced|t", "b|Synced|f")
	execute(t, source, "UPDATE a SET v = 'uno' WHERE id = 1", "DELETE FROM a WHERE id = 2", "INSERT INTO a VALUES (3, 'three')")
	rows("SELECT id, v, _record_is_active, _record_delete_time IS NULL FROM a ORDER BY 1, 3", "1|one|f|f", "1|uno|t|t", "2|two|f|f", "3|three|t|t")
	rows("SELECT id, v FROM b", "1|one")

	// What may be done to it here, and what not.
	shop := p.caughtUp(t, db.Name)
	for sql, want := range map[string]string{
		"UPDATE a SET v = 'x'": "", "INSERT INTO a VALUES (9)": "", "TRUNCATE b": "42501", "DROP TABLE a": "42501", "ALTER TABLE a RENAME TO c": "42501",
		"DELETE FROM b": "25006", "TRUNCATE none": "42P01", "DROP TABLE none": "42P01", "ALTER TABLE a ADD COLUMN x int": "", "CREATE TABLE c (id int)": "25006",
		"BEGIN; TRUNCATE a; COMMIT": "",
	} {
		_, err := shop.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		if err == nil {
			t.Errorf("%s is possible", sql)
		} else if want != "" && !strings.Contains(err.Error(), "SQLSTATE "+want) {
			t.Errorf("%s: %v, want %s", sql, err, want)
		}
		if strings.HasPrefix(sql, "BEGIN") {
			execute(t, shop, "ROLLBACK")
		}
	}
	tag, err := shop.Exec(t.Context(), "DELETE FROM a WHERE id = $1", 1)
	if err != nil || tag.String() != "DELETE 1" {
		t.Errorf("%q, %v", tag, err)
	}
	rows("SELECT id, v FROM a ORDER BY 1", "1|uno", "2|two", "3|three")
	print(db.Name, "DELETE 1\nTRUNCATE TABLE", "DELETE FROM a WHERE _record_delete_time < now()", "TRUNCATE TABLE a")
	rows("SELECT id, v, _record_is_active FROM a ORDER BY 1", "1|uno|f", "3|three|f")
	execute(t, source, "UPDATE a SET v = 'drei' WHERE id = 3")
	rows("SELECT id, v, _record_is_active FROM a ORDER BY 1, 2", "1|uno|f", "3|drei|t", "3|three|f")

	// All of them, those that come included; and off again.
	print("dev", "NOTICE:  history mode is on for 1 more table\nALTER DATABASE", alter("TRUE"))
	execute(t, source, "CREATE TABLE c (id int PRIMARY KEY, v text)", "INSERT INTO c VALUES (1, 'one')")
	modes("a|Synced|t", "b|Synced|t", "c|Synced|t")
	if got := mustTable(t, p.warehouse(t, "dev"), "SELECT is_history_mode FROM svv_integration"); !slices.Equal(got, []string{"t"}) {
		t.Errorf("svv_integration has %q", got)
	}
	p.kill(t)
	p.start(t)
	modes("a|Synced|t", "b|Synced|t", "c|Synced|t")
	execute(t, source, "DELETE FROM b", "INSERT INTO b VALUES (2, 'two')")
	p.caughtUp(t, db.Name)
	print("dev", "NOTICE:  history mode is off for 2 more tables\nALTER DATABASE", alter("FALSE FOR TABLES a, b"))
	modes("a|Synced|f", "b|Synced|f", "c|Synced|t")
	rows("SELECT * FROM b", "2|two")
	left := mustTable(t, p.caughtUp(t, db.Name), "SELECT table_name FROM information_schema.tables WHERE table_name LIKE 'b~_historical~_%' ESCAPE '~'")
	if len(left) != 1 {
		t.Fatalf("left is %q", left)
	}
	rows("SELECT id, v, _record_is_active FROM "+left[0]+" ORDER BY 1", "1|one|f", "2|two|t")
	print(db.Name, "ALTER TABLE\nDROP TABLE", "ALTER TABLE "+left[0]+" RENAME TO attic", "DROP TABLE public.attic")
	execute(t, source, "INSERT INTO b VALUES (3, 'three')")
	rows("SELECT * FROM b ORDER BY 1", "2|two", "3|three")

	// A table that is dropped at the source stays, until somebody drops it here.
	execute(t, source, "DROP TABLE c")
	modes("a|Synced|f", "b|Synced|f", "c|DroppedSource|t")
	rows("SELECT v, _record_is_active FROM c", "one|f")
	print(db.Name, "DROP TABLE", "DROP TABLE c")
	modes("a|Synced|f", "b|Synced|f")
	print("dev", "NOTICE:  1 table will be loaded again; see svv_integration_table_state\nALTER DATABASE", `ALTER DATABASE "`+db.Name+`" INTEGRATION REFRESH TABLE a`)
	await(t, "the table to be loaded again", func() bool {
		v, code := p.verify(t, "stated")
		return code == 0 && v.wrong(true) == ""
	})
}
