package question

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"penstock/bench/lab"
	"penstock/bench/measure"
	"penstock/bench/report"
)

const database = "shop"

// rig is the program with integrations of some databases of a source, which
// can be put back to where it was: its data folder is copied, and its slots, and
// however often a backlog that was written after that has been drained, it is
// there to be drained again.
type rig struct {
	env       *lab.Env
	source    *lab.Server
	program   *lab.Penstock
	databases []string
	tables    []lab.Table // in each of them

	before  string            // copy of the program's data folder
	slots   map[string]string // the program's, by database
	mark    int64             // that is written behind the backlog
	memory  int               // of the program in MiB; 0: as it is by default
	digests map[string]string // of the tables, by database and name, behind the backlog
}

// keeper names the slot that stays where the backlog of a database begins.
func keeper(database string) string { return "keeper_" + database }

// start starts the program and has it load all databases, each in an
// integration of its own.
func (r *rig) start(ctx context.Context) (err error) {
	// A source and a target have one integration between them; so that there can
	// be several, the server is as many sources.
	var sources []string
	for _, db := range r.databases {
		sources = append(sources, r.source.URL(db))
	}
	if r.program, err = r.env.NewPenstock(lab.Options{Sources: sources, Memory: r.memory,
		More: "quotas: {per_account: 200, per_target: 200, per_source: 200}\n"}); err != nil {
		return err
	}
	if err := r.program.Start(ctx); err != nil {
		return err
	}
	for i, db := range r.databases {
		if err := r.program.IntegrateFilter(ctx, db, fmt.Sprintf("source-%d", i+1), "include: "+db+".*.*"); err != nil {
			return err
		}
	}
	for _, db := range r.databases {
		if err := r.program.AwaitActive(ctx, db); err != nil {
			return err
		}
	}
	r.slots = map[string]string{}
	for _, db := range r.databases {
		err := lab.Await(ctx, 50*time.Millisecond, "the program to stream from "+db, func() (bool, error) {
			slot, err := r.source.Query(ctx, db, "SELECT coalesce(min(slot_name), '') FROM pg_replication_slots WHERE database = '"+db+"' AND active AND NOT temporary")
			r.slots[db] = slot
			return slot != "", err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// remember stops the program and makes this the place that restore goes back
// to.
func (r *rig) remember(ctx context.Context) error {
	r.program.Stop()
	r.before = r.program.DataDir() + ".before"
	if err := copyTree(ctx, r.program.DataDir(), r.before); err != nil {
		return err
	}
	for _, db := range r.databases {
		if err := r.source.DropSlot(ctx, db, keeper(db)); err != nil {
			return err
		}
		if err := r.source.CopySlot(ctx, db, r.slots[db], keeper(db)); err != nil {
			return err
		}
	}
	r.mark++
	return nil
}

// written takes note of what the source has, behind the backlog.
func (r *rig) written(ctx context.Context) error {
	r.digests = map[string]string{}
	for _, db := range r.databases {
		for _, t := range r.tables {
			digest, err := t.Digest(ctx, r.source, db)
			if err != nil {
				return err
			}
			r.digests[db+"."+t.Name] = digest
		}
	}
	return nil
}

// restore puts the stopped program back to where it was before the backlog.
func (r *rig) restore(ctx context.Context) error {
	if err := copyTree(ctx, r.before, r.program.DataDir()); err != nil {
		return err
	}
	for _, db := range r.databases {
		if err := r.source.DropSlot(ctx, db, r.slots[db]); err != nil {
			return err
		}
		if err := r.source.CopySlot(ctx, db, keeper(db), r.slots[db]); err != nil {
			return err
		}
	}
	return nil
}

// wait has a session's question answered once everything is there that was
// committed before: asking again and again took a fifth of the program's CPU.
var wait = []string{"SET penstock.wait_for = 'now'", "SET penstock.wait_timeout = '20min'"}

// drain starts the program where it was before the backlog of so many changes
// and measures until the last one can be queried, and checks the content. The
// program is stopped then.
func (r *rig) drain(ctx context.Context, changes int64, profile string) (report.Run, error) {
	if err := r.restore(ctx); err != nil {
		return nil, err
	}
	r.program.Process = nil
	w, err := measure.Open(meters(map[string]measure.Meter{ours: r.program.CPU, sources: r.source.CPU}))
	if err != nil {
		return nil, err
	}
	if err := r.program.Launch(); err != nil {
		return nil, err
	}
	defer r.program.Stop()
	profiled := r.program.Profile(profile)
	for _, db := range r.databases {
		err = errors.Join(err, r.program.AwaitRow(ctx, 50*time.Millisecond, db, "SELECT max(id) FROM public.mark", fmt.Sprint(r.mark), wait...))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	profiled()
	rss, err := r.program.PeakRSS()
	if err != nil {
		return nil, err
	}
	run := drained(w, changes)
	run[peak], run[over] = rss, rss-float64(r.program.Memory)
	for _, db := range r.databases {
		for _, t := range r.tables {
			err = errors.Join(err, t.Check(ctx, r.program, db, r.digests[db+"."+t.Name]))
		}
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, r.program.Log())
	}
	return run, err
}

// drained makes a run of a window in which so many changes were drained.
func drained(w *measure.Window, changes int64) report.Run {
	return report.Run{
		rate: float64(changes) / w.Wall.Seconds(), wall: w.Wall.Seconds(),
		ours: perMillion(w.CPU[ours], changes), sources: perMillion(w.CPU[sources], changes), others: w.Disturbed() * 100,
	}
}

func copyTree(ctx context.Context, from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "cp", "-a", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copy %s: %w\n%s", filepath.Base(from), err, out)
	}
	return nil
}

var (
	startCommand = regexp.MustCompile(`^START_REPLICATION SLOT "?(\w+)"? LOGICAL \S+ \((.*)\)$`)
	pluginOption = regexp.MustCompile(`(\w+) '([^']*)'`)
)

// parseStart returns the slot and the options of the plugin that a command of
// the replication protocol names.
func parseStart(command string) (slot, options string, err error) {
	m := startCommand.FindStringSubmatch(command)
	if m == nil {
		return "", "", fmt.Errorf("not a command that begins to stream: %s", command)
	}
	return m[1], m[2], nil
}
