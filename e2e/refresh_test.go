package e2e

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"penstock/internal/testdb/dbtest"
)

// TestRefresh: ALTER DATABASE … INTEGRATION REFRESH loads tables again. Whoever
// reads them meanwhile sees no error, no empty and no half-filled table
// (promise 6), and rows that go on being written are all there afterwards.
func TestRefresh(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	src := db.Conn(t)
	const begun = 20_000
	execute(t, src, `CREATE TABLE orders (id bigint PRIMARY KEY, note text); CREATE TABLE log (line text);
		INSERT INTO orders SELECT i, repeat('n', i % 50) FROM generate_series(1, `+strconv.Itoa(begun)+`) i; INSERT INTO log VALUES ('first')`)
	p := newPenstock(t, db.URL())
	p.integrate(t, "refreshed", db.Name)
	p.awaitActive(t, "refreshed")
	wh := p.warehouse(t, db.Name)

	// One who writes, one who reads: the number of rows only ever grows.
	ctx, cancel := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	writer, reader := db.Conn(t), p.warehouse(t, db.Name)
	written := begun
	busy.Go(func() {
		for ctx.Err() == nil {
			if _, err := writer.Exec(context.WithoutCancel(ctx), "INSERT INTO orders VALUES ($1, 'new')", written+1); err != nil {
				t.Errorf("the application's INSERT fails: %v", err)
				return
			}
			written++
		}
	})
	looks := 0
	busy.Go(func() {
		for least := begun; ctx.Err() == nil; looks++ {
			var n int
			if err := reader.QueryRow(context.WithoutCancel(ctx), "SELECT count(*) FROM public.orders").Scan(&n); err != nil || n < least {
				t.Errorf("a reader sees %d rows after %d: %v", n, least, err)
				return
			}
			least = n
		}
	})
	const state = `SELECT table_state FROM svv_integration_table_state WHERE table_name = '%s'`
	changed := func(name string) string {
		return mustTable(t, wh, fmt.Sprintf("SELECT table_state || ' ' || last_updated_timestamp FROM svv_integration_table_state WHERE table_name = '%s'", name))[0]
	}
	synced := func(name, before string) func() bool {
		return func() bool {
			return mustTable(t, wh, fmt.Sprintf(state, name))[0] == "Synced" && changed(name) != before
		}
	}
	for _, sql := range []string{"REFRESH TABLE public.orders", "REFRESH ALL TABLES", "REFRESH TABLES orders, log", "REFRESH ALL TABLES IN SCHEMA public"} {
		before := changed("orders")
		execute(t, wh, "ALTER DATABASE "+db.Name+" INTEGRATION "+sql)
		await(t, "orders to be loaded again after "+sql, synced("orders", before))
	}
	cancel()
	busy.Wait()
	if looks == 0 {
		t.Error("nobody has read")
	}
	await(t, "all rows to be there", func() bool {
		return mustTable(t, wh, "SELECT count(*), sum(id), sum(length(note)) FROM orders")[0] == mustTable(t, src, "SELECT count(*), sum(id), sum(length(note)) FROM orders")[0]
	})

	// What cannot be done is said in the statement.
	for sql, want := range map[string]string{
		"ALTER DATABASE " + db.Name + " INTEGRATION REFRESH TABLE public.nowhere": "table public.nowhere is not replicated into this database",
		"ALTER DATABASE dev INTEGRATION REFRESH ALL TABLES":                       "no integration replicates into database dev",
	} {
		if _, err := table(t.Context(), wh, sql); err == nil || !containsAll(err.Error(), want) {
			t.Errorf("%s: %v, want %q", sql, err, want)
		}
	}
}
