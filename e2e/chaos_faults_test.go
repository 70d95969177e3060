package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"penstock/internal/failpoint"
)

// chaosFault is something that happens during a round. When do returns, the
// system can work again.
type chaosFault struct {
	name string
	do   func(*chaosRun)
}

// chaosKinds are the kinds of faults, each with how often it comes, and how one
// is drawn.
var chaosKinds = []struct {
	kind string
	odds int
	draw func(*rand.Rand) chaosFault
}{
	{"kill", 4, func(*rand.Rand) chaosFault { return chaosFault{"kill -9", (*chaosRun).killAndStart} }},
	{"stop", 1, func(*rand.Rand) chaosFault {
		return chaosFault{"stop", func(c *chaosRun) { c.p.stop(c.t); c.restart() }}
	}},
	{"failpoint", 8, drawFailpoint},
	{"slow", 1, func(r *rand.Rand) chaosFault {
		points := fmt.Sprintf("%s=sleep %dms", failpoint.TargetBeforeCommit, 100+r.IntN(500))
		return chaosFault{"slow target", func(c *chaosRun) { c.armed(points, false) }}
	}},
	{"server-stop", 1, func(*rand.Rand) chaosFault {
		return chaosFault{"server restarted", func(c *chaosRun) {
			c.serverShaken.Add(1)
			c.must(c.server.Restart(c.t.Context()))
		}}
	}},
	{"server-kill", 2, func(*rand.Rand) chaosFault {
		return chaosFault{"server crashed", func(c *chaosRun) {
			c.serverShaken.Add(1)
			c.must(c.server.Kill())
			c.must(c.server.Restart(c.t.Context()))
		}}
	}},
	{"terminate", 2, func(r *rand.Rand) chaosFault {
		if r.IntN(2) == 0 {
			return chaosFault{"walsenders ended", func(c *chaosRun) { c.terminate("backend_type = 'walsender'") }}
		}
		return chaosFault{"backends ended", func(c *chaosRun) { c.terminate("usename = 'penstock'") }}
	}},
	{"cut", 2, func(r *rand.Rand) chaosFault {
		times := 1 + r.IntN(4)
		return chaosFault{"connections cut", func(c *chaosRun) {
			for range times {
				c.between.cut()
				c.await(c.done.Load() + 10)
			}
		}}
	}},
	{"stall", 1, func(r *rand.Rand) chaosFault {
		n := int64(100 + r.IntN(300))
		return chaosFault{"connections stalled", func(c *chaosRun) {
			c.between.stall(true)
			c.await(c.done.Load() + n)
			c.between.stall(false)
		}}
	}},
	{"away", 1, func(r *rand.Rand) chaosFault {
		return chaosFault{"source away", func(c *chaosRun) {
			c.between.shut(true)
			c.between.cut()
			c.await(c.done.Load() + 100)
			c.between.shut(false)
		}}
	}},
	{"refresh", 2, drawRefresh},
	{"verify", 1, func(*rand.Rand) chaosFault {
		return chaosFault{"verify", func(c *chaosRun) { c.verify(false) }}
	}},
	{"disk", 1, func(*rand.Rand) chaosFault { return chaosFault{"disk full", (*chaosRun).fillDisk} }},
}

// schedule draws a round's faults.
func (c *chaosRun) schedule(n int) (faults []chaosFault) {
	r := c.rand("faults", n)
	var odds []int
	for i, k := range chaosKinds {
		if c.wants(k.kind) && (k.kind != "disk" || c.enlarge != nil) {
			odds = append(odds, slices.Repeat([]int{i}, k.odds)...)
		}
	}
	if len(odds) == 0 {
		return nil
	}
	for range 3 + r.IntN(3) {
		faults = append(faults, chaosKinds[odds[r.IntN(len(odds))]].draw(r))
	}
	return faults
}

func (c *chaosRun) killAndStart() {
	c.p.kill(c.t)
	c.restart()
}

// drawFailpoint ends Penstock at one of the first passes of a point, or has
// the step fail there.
func drawFailpoint(r *rand.Rand) chaosFault {
	var points []failpoint.Point
	for _, p := range failpoint.All() {
		if s := string(p); !strings.HasPrefix(s, "control.") && p != failpoint.SourceSlotsDropped && p != failpoint.SourceAfterForgotten {
			points = append(points, p)
		}
	}
	p := points[r.IntN(len(points))]
	action := "kill"
	if r.IntN(4) == 0 {
		action = "error"
	}
	text := fmt.Sprintf("%s=%d:%s", p, 1+r.IntN(4), action)
	if action == "error" && r.IntN(2) == 0 { // a failure, and the end a little later
		text += fmt.Sprintf(",%s=%d:kill", points[r.IntN(len(points))], 2+r.IntN(6))
	}
	return chaosFault{text, func(c *chaosRun) { c.armed(text, true) }}
}

// armed runs Penstock with failpoints for a while, or until it has ended.
func (c *chaosRun) armed(points string, mayEnd bool) {
	c.p.kill(c.t)
	c.p.env = []string{failpoint.Env + "=" + points}
	c.p.launch(c.t)
	enough := c.done.Load() + 150
	for c.done.Load() < enough {
		select {
		case <-c.p.done:
			if !mayEnd {
				c.violation("penstock ended by itself: %v\n%s", c.p.cmd.ProcessState, c.p.log.tail(3000))
			}
			enough = 0
		default:
		}
		c.pause(c.t.Context())
	}
	c.p.kill(c.t)
	c.restart()
}

// terminate ends backends of ours at the server.
func (c *chaosRun) terminate(which string) {
	conn, err := c.server.Conn(c.t.Context(), "postgres")
	c.must(err)
	defer conn.Close(context.Background())
	mustTable(c.t, conn, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'penstock' AND "+which)
}

// fillDisk leaves hardly any space to the data folder for a while.
func (c *chaosRun) fillDisk() {
	c.enlarge(used(c.t, c.disk) + 2)
	c.await(c.done.Load() + 200)
	c.enlarge(2000)
}
