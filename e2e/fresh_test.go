package e2e

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"penstock/internal/testdb/dbtest"
)

// TestWaitFor: a session that has set penstock.wait_for reads what it has
// written at the source before, also while others write.
func TestWaitFor(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, "CREATE TABLE own (id int PRIMARY KEY, v text)", "CREATE TABLE other (id bigserial PRIMARY KEY, v text)", "INSERT INTO own VALUES (0, '')")
	p := newPenstock(t, db.URL())
	p.integrate(t, "fresh", db.Name)
	p.awaitActive(t, "fresh")

	ctx, cancel := context.WithCancel(t.Context())
	var others sync.WaitGroup
	for range 3 {
		conn := db.Conn(t)
		others.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond) // a load that the machine can bear
			defer tick.Stop()
			for ctx.Err() == nil {
				<-tick.C
				if _, err := conn.Exec(context.WithoutCancel(ctx), "INSERT INTO other (v) SELECT repeat('x', 50) FROM generate_series(1, 20)"); err != nil {
					t.Errorf("insert: %v", err)
					return
				}
			}
		})
	}
	source, warehouse := db.Conn(t), p.warehouse(t, db.Name)
	execute(t, warehouse, "SET penstock.wait_for = 'now'", "SET penstock.wait_timeout = '60s'")
	round := func(i int) {
		t.Helper()
		execute(t, source, "INSERT INTO own VALUES ("+strconv.Itoa(i)+", 'new')")
		if got := mustTable(t, warehouse, "SELECT max(id) FROM own")[0]; got != strconv.Itoa(i) {
			t.Fatalf("round %d: the newest row is %s", i, got)
		}
	}
	for i := 1; i <= 40; i++ {
		round(i)
	}
	cancel()
	others.Wait()
	for i := 41; i <= 50; i++ { // nobody else writes
		round(i)
	}
	for i := 51; i <= 55; i++ { // what is waited for concerns no table
		execute(t, source, "CREATE TEMP TABLE x"+strconv.Itoa(i)+" (id int)")
		mustTable(t, warehouse, "SELECT 1")
	}

	// A position, as the source's users have it.
	execute(t, source, "INSERT INTO own VALUES (100, 'placed')")
	execute(t, warehouse, "SET penstock.wait_for = '"+mustTable(t, source, "SELECT pg_current_wal_lsn()")[0]+"'")
	if got := mustTable(t, warehouse, "BEGIN; SELECT max(id) FROM own; COMMIT; SELECT max(id) FROM own")[0]; got != "100" {
		t.Errorf("after a position the newest row is %s", got)
	}
	execute(t, warehouse, "SET penstock.wait_for = 'FFFF/0'", "SET penstock.wait_timeout = '100ms'")
	if _, err := table(t.Context(), warehouse, "SELECT 1"); err == nil || !containsAll(err.Error(), "has not come to FFFF/0 yet, it is at ", "57014") {
		t.Errorf("a position that does not come: %v", err)
	}
	execute(t, warehouse, "SET penstock.wait_for = 'tomorrow'")
	if _, err := table(t.Context(), warehouse, "SELECT 1"); err == nil || !containsAll(err.Error(), `"tomorrow" is not a WAL position`, "22023") {
		t.Errorf("no position: %v", err)
	}
	execute(t, warehouse, "RESET penstock.wait_for")
	mustTable(t, warehouse, "SELECT 1")
	elsewhere := p.warehouse(t, "dev") // nothing is replicated into it
	execute(t, elsewhere, "SET penstock.wait_for = 'now'")
	mustTable(t, elsewhere, "SELECT 1")
}
