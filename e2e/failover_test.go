package e2e

import (
	"net/url"
	"strings"
	"testing"

	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

// TestSlotFailover kills the server and promotes a standby that keeps a copy of
// our slot: replication goes on from there, with nothing lost, doubled or loaded
// again (promise 2).
func TestSlotFailover(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Major: 18, Fast: true})
	run := func(s *testdb.Server, sql ...string) {
		t.Helper()
		if err := s.Exec(t.Context(), "postgres", sql...); err != nil {
			t.Fatal(err)
		}
	}
	run(server, "SELECT pg_create_physical_replication_slot('standby')")
	standby, err := server.Standby(t.Context(), testdb.Options{Fast: true, Settings: map[string]string{
		"primary_slot_name": "standby", "sync_replication_slots": "on", "hot_standby_feedback": "on"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := standby.Close(); err != nil {
			t.Error(err)
		}
	})
	// Nobody hears of a commit through a slot before the standby has it.
	run(server, "ALTER SYSTEM SET synchronized_standby_slots = 'standby'", "SELECT pg_reload_conf()")
	run(server, writtenSchema...)
	between := newProxy(t, server.Addr())
	u, err := url.Parse(server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	u.Host = between.addr()
	p := newPenstock(t, u.String())
	p.integrate(t, "failover", "postgres")
	p.awaitActive(t, "failover")
	w := startWriters(t, server, "postgres", 2, false)
	w.awaitCommits(t, 50)
	copied := connect(t, standby, "postgres")
	var slots []string
	await(t, "the standby to have the slot", func() bool {
		slots = mustTable(t, copied, "SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE 'penstock%' AND synced AND NOT temporary AND invalidation_reason IS NULL")
		return len(slots) == 1
	})
	w.awaitCommits(t, 50)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	w.stop()
	if err := standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	between.redirect(standby.Addr())
	between.cut()
	w = startWriters(t, standby, "postgres", 2, true)
	w.awaitCommits(t, 50)
	w.stop()
	awaitEqual(t, p, copied, writtenTables)
	p.wantVerified(t, "failover")
	if now := mustTable(t, copied, "SELECT slot_name FROM pg_replication_slots"); len(now) != 1 || now[0] != slots[0] {
		t.Errorf("the slots are %q, and %q was copied", now, slots)
	}
	if strings.Contains(p.log.String(), "position lost") {
		t.Error("the position was lost")
	}
}
