package e2e

import (
	"context"
	"os/exec"
	"path/filepath"
	"time"

	"penstock/internal/testdb"
)

// chaosLosses are the ways in which history is lost, so that a position means
// nothing any more. Each is begun before a round and returns what ends it.
var chaosLosses = []struct {
	kind  string
	begin func(*chaosRun) (end func())
}{
	{"warehouse", (*chaosRun).loseWarehouse},
	{"slot", func(c *chaosRun) func() { return func() { c.loseSlot(false) } }},
	{"slot-again", func(c *chaosRun) func() { return func() { c.loseSlot(true) } }},
	{"server", func(c *chaosRun) func() { return c.loseServer(false) }},
	{"server-late", func(c *chaosRun) func() { return c.loseServer(true) }},
	{"standby", (*chaosRun).losePrimary},
}

// lose draws a loss, or takes the plan's, and begins it.
func (c *chaosRun) lose(n int) func() {
	l := chaosLosses[c.rand("lost", n).IntN(len(chaosLosses))]
	for _, x := range chaosLosses {
		if x.kind == c.plan.loss {
			l = x
		}
	}
	c.t.Logf("round %d: loses: %s", n, l.kind)
	end := l.begin(c)
	return func() {
		c.journal.note("fault", time.Now(), "lost: "+l.kind, nil)
		c.epoch.Add(1)
		end()
		c.epoch.Add(1)
	}
}

func (c *chaosRun) copyFolder(from, to string) {
	c.t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		c.t.Fatalf("cp: %v: %s", err, out)
	}
}

func (c *chaosRun) removeFolder(dir string) {
	if out, err := exec.Command("rm", "-rf", dir).CombinedOutput(); err != nil {
		c.t.Fatalf("rm: %v: %s", err, out)
	}
}

// loseWarehouse copies the data folder, and brings the copy back later.
func (c *chaosRun) loseWarehouse() func() {
	backup := filepath.Join(c.t.TempDir(), "backup")
	c.p.stop(c.t)
	c.copyFolder(c.p.dataDir, backup)
	c.restart()
	return func() {
		c.p.kill(c.t)
		c.removeFolder(c.p.dataDir)
		c.copyFolder(backup, c.p.dataDir)
		c.restart()
	}
}

// loseSlot has somebody drop the slot, while Penstock is stopped, and, if
// again, make it again under the same name.
func (c *chaosRun) loseSlot(again bool) {
	c.p.kill(c.t)
	conn, err := c.server.Conn(c.t.Context(), c.database)
	c.must(err)
	defer conn.Close(context.Background())
	await(c.t, "Penstock's sessions to end", func() bool {
		return len(mustTable(c.t, conn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'penstock'")) == 0
	})
	for _, slot := range mustTable(c.t, conn, "SELECT slot_name FROM pg_replication_slots") {
		execute(c.t, conn, "SELECT pg_drop_replication_slot('"+slot+"')")
		execute(c.t, conn, "UPDATE bank.there SET note = repeat('missed ', 500) WHERE id = 1")
		if again {
			execute(c.t, conn, "SELECT pg_create_logical_replication_slot('"+slot+"', 'pgoutput')")
		}
	}
	c.restart()
}

// loseServer copies the server's folder, and brings the copy back later. If
// late, Penstock comes back only after the copy has got further than the
// history that was lost.
func (c *chaosRun) loseServer(late bool) func() {
	data, backup := filepath.Join(c.server.Dir(), "data"), filepath.Join(c.server.Dir(), "backup")
	model := c.model.clone()
	c.serverShaken.Add(1)
	c.must(c.server.Stop())
	c.copyFolder(data, backup)
	c.must(c.server.Restart(c.t.Context()))
	return func() {
		reached := c.wal()
		if late {
			c.p.kill(c.t)
		}
		c.serverShaken.Add(1)
		c.must(c.server.Stop())
		c.removeFolder(data)
		c.copyFolder(backup, data)
		c.must(c.server.Restart(c.t.Context()))
		c.model = model
		if !late {
			return
		}
		for c.wal() < reached {
			c.must(c.server.Exec(c.t.Context(), c.database, "UPDATE bank.there SET note = repeat(md5(random()::text), 2000)"))
		}
		c.restart()
	}
}

// losePrimary promotes a standby that was behind, in the place of the server.
func (c *chaosRun) losePrimary() func() {
	standby, err := c.server.Standby(c.t.Context(), testdb.Options{Fast: true, Settings: c.settings})
	c.must(err)
	c.t.Cleanup(func() { c.must(standby.Close()) })
	c.must(standby.Detach(c.t.Context()))
	model := c.model.clone()
	return func() {
		c.serverShaken.Add(1)
		c.must(c.server.Stop())
		c.must(standby.Promote(c.t.Context()))
		c.mu.Lock()
		c.server = standby
		c.mu.Unlock()
		c.model = model
		c.between.redirect(standby.Addr())
	}
}

// wal returns the server's position.
func (c *chaosRun) wal() (n int64) {
	conn, err := c.server.Conn(c.t.Context(), "postgres")
	c.must(err)
	defer conn.Close(context.Background())
	c.must(conn.QueryRow(c.t.Context(), "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8").Scan(&n))
	return n
}
