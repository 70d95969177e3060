package e2e

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"penstock/internal/testdb/dbtest"
)

// dropSlot is a statement that drops the slot of the current database,
// whoever uses it.
const dropSlot = `DO $$ DECLARE slot name; BEGIN
	SELECT slot_name INTO slot FROM pg_replication_slots WHERE database = current_database();
	LOOP
		PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = slot AND active_pid IS NOT NULL;
		BEGIN
			PERFORM pg_drop_replication_slot(slot);
			EXIT;
		EXCEPTION WHEN object_in_use THEN
			PERFORM pg_sleep(0.01);
		END;
	END LOOP;
END $$`

// TestStopOnLostPosition: with on_lost_position: stop nothing is loaded again
// by itself: the integration has failed, what it brought stays readable, and
// it can be deleted.
func TestStopOnLostPosition(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	p := configured(t, db.URL())
	p.edit(t, "kind: cluster,", "kind: cluster, on_lost_position: stop,")
	p.start(t)
	p.integrate(t, "stopping", db.Name)
	p.awaitActive(t, "stopping")
	source := db.Conn(t)
	execute(t, source, dropSlot)
	p.awaitProblem(t, "stopping", "POSITION_LOST", "does not exist any more")
	awaitStatus(t, p.client(secretKey), "stopping", string(types.IntegrationStatusFailed))
	execute(t, source, "INSERT INTO t VALUES (2)")
	p.kill(t)
	p.start(t)
	if got := mustTable(t, p.warehouse(t, db.Name), "SELECT count(*) FROM public.t"); got[0] != "1" {
		t.Errorf("%s rows are readable, want the 1 from before", got[0])
	}
	if s := p.describe(t, "stopping").Status; s != types.IntegrationStatusFailed {
		t.Errorf("after a restart it is %s", s)
	}
	p.delete(t, "stopping")
}

// TestFailOnBadValue: with on_bad_value: fail a value that the warehouse cannot
// hold fails its table and no other; back to nullify, it is NULL and told.
func TestFailOnBadValue(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, "CREATE TABLE a (id int PRIMARY KEY, price numeric(8,2), made timestamp)", "INSERT INTO a VALUES (1, 1, now())",
		"CREATE TABLE b (id int PRIMARY KEY)", "CREATE TABLE born (id int PRIMARY KEY, price numeric(8,2))", "INSERT INTO born VALUES (1, 'NaN')")
	p := configured(t, db.URL())
	p.edit(t, "{engine: duckdb}", "{engine: duckdb, on_bad_value: fail}")
	p.start(t)
	p.integrate(t, "strict", db.Name)
	p.awaitProblem(t, "strict", "TABLE_FAILED", "public.born", "column price has values", "on_bad_value: nullify")
	source := db.Conn(t)
	awaitEqual(t, p, source, map[string]string{"a": "SELECT id, price, made FROM a"})
	before := mustTable(t, p.warehouse(t, db.Name), "SELECT id FROM public.a")
	execute(t, source, "BEGIN; INSERT INTO a VALUES (2, 'NaN', now()); INSERT INTO b VALUES (1); COMMIT", "INSERT INTO b VALUES (2)")
	p.awaitProblem(t, "strict", "TABLE_FAILED", "public.a", "column price has values")
	awaitEqual(t, p, source, map[string]string{"b": "SELECT id FROM b ORDER BY id"})
	if got := mustTable(t, p.warehouse(t, db.Name), "SELECT id FROM public.a"); len(got) != len(before) {
		t.Errorf("the failed table has %d rows, had %d", len(got), len(before))
	}
	p.kill(t)
	p.edit(t, "on_bad_value: fail", "on_bad_value: nullify")
	p.start(t)
	p.awaitProblem(t, "strict", "VALUES_NOT_REPRESENTABLE", "public.a", "in column price")
	wh := p.warehouse(t, db.Name)
	await(t, "both tables to be whole", func() bool {
		return slices.Equal(mustTable(t, wh, "SELECT count(*), count(price) FROM public.a"), []string{"2|1"}) &&
			slices.Equal(mustTable(t, wh, "SELECT count(*), count(price) FROM public.born"), []string{"1|0"})
	})
	p.awaitActive(t, "strict")
}
