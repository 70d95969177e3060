package e2e

import (
	"context"
	"os/exec"
	"path/filepath"
)

// lose begins a round at whose end history is lost, in one of the ways that
// a position cannot survive, and returns what ends it: that reports whether
// Penstock is left stopped, for the source to go on without it.
func (c *chaosRun) lose(n int) func() bool {
	r := c.rand("lost", n)
	switch r.IntN(5) {
	case 0:
		return c.loseWarehouse()
	case 1:
		return func() bool { return c.loseSlot(false) }
	case 2:
		return func() bool { return c.loseSlot(true) }
	case 3:
		return c.loseServer(false)
	}
	return c.loseServer(true)
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
func (c *chaosRun) loseWarehouse() func() bool {
	backup := filepath.Join(c.t.TempDir(), "backup")
	c.p.stop(c.t)
	c.copyFolder(c.p.dataDir, backup)
	c.restart()
	return func() bool {
		c.t.Logf("an older copy of the warehouse is restored")
		c.epoch.Add(1)
		c.p.kill(c.t)
		c.removeFolder(c.p.dataDir)
		c.copyFolder(backup, c.p.dataDir)
		c.epoch.Add(1)
		c.restart()
		return false
	}
}

// loseSlot has somebody drop the slot, while Penstock is stopped, and, if
// again, make it again under the same name.
func (c *chaosRun) loseSlot(again bool) bool {
	c.t.Logf("the slot is dropped, and made again: %v", again)
	c.epoch.Add(1)
	c.p.kill(c.t)
	conn, err := c.server.Conn(c.t.Context(), c.database)
	c.must(err)
	defer conn.Close(context.Background())
	execute(c.t, conn, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'penstock'")
	for _, slot := range mustTable(c.t, conn, "SELECT slot_name FROM pg_replication_slots") {
		execute(c.t, conn, "SELECT pg_drop_replication_slot('"+slot+"')")
		execute(c.t, conn, "UPDATE bank.there SET note = repeat('missed ', 500) WHERE id = 1")
		if again {
			execute(c.t, conn, "SELECT pg_create_logical_replication_slot('"+slot+"', 'pgoutput')")
		}
	}
	c.restart()
	return false
}

// loseServer copies the server's folder, and brings the copy back later. If
// late, Penstock comes back only after the copy has got further than the
// history that was lost.
func (c *chaosRun) loseServer(late bool) func() bool {
	data, backup := filepath.Join(c.server.Dir(), "data"), filepath.Join(c.server.Dir(), "backup")
	model := c.model.clone()
	c.serverShaken.Add(1)
	c.must(c.server.Stop())
	c.copyFolder(data, backup)
	c.must(c.server.Restart(c.t.Context()))
	return func() bool {
		c.t.Logf("an older copy of the server is restored, late: %v", late)
		reached := c.wal()
		c.epoch.Add(1)
		if late {
			c.p.kill(c.t)
		}
		c.serverShaken.Add(1)
		c.must(c.server.Stop())
		c.removeFolder(data)
		c.copyFolder(backup, data)
		c.must(c.server.Restart(c.t.Context()))
		c.epoch.Add(1)
		c.model = model
		if !late {
			return false
		}
		for c.wal() < reached {
			c.must(c.server.Exec(c.t.Context(), c.database, "UPDATE bank.there SET note = repeat(md5(random()::text), 2000)"))
		}
		c.restart()
		return false
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
