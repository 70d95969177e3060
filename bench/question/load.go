package question

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"penstock/bench/lab"
	"penstock/bench/measure"
	"penstock/bench/report"
)

const (
	copyBinary = "psql COPY to /dev/null"
	dumped     = "pg_dump | psql"
	pgcopydb   = "pgcopydb"
)

var load = &Question{
	Name: "load",
	Frame: report.Result{
		Title: "Initial load",
		Asks: "A table is there, has been vacuumed and was just read. The clock runs from `CreateIntegration` until a query at the SQL endpoint counts all rows. Against it: " +
			"`psql -c \"COPY … TO STDOUT (FORMAT binary)\"` on one connection into /dev/null (the limit), and into a second server `pg_dump | psql` and `pgcopydb clone` with two jobs (the usual " +
			"choices), which build the primary key there as well. Their CPU is that of the programs and the second server, their peak RSS that of the programs alone.",
		Metrics: []report.Metric{
			{Key: rate, Title: "rows/s", Spread: true}, {Key: wall, Title: "seconds", Digits: 1},
			{Key: ours, Title: "its CPU s per million", Digits: 2, Spread: true}, {Key: sources, Title: "source's CPU s per million", Digits: 2},
			{Key: peak, Title: "peak RSS, MiB"}, {Key: others, Title: "others, %", Digits: 1},
		},
		Ratios: []report.Ratio{
			{Title: "penstock / psql COPY", Metric: rate, Arm: penstock, To: copyBinary},
			{Title: "penstock / pg_dump", Metric: rate, Arm: penstock, To: dumped},
			{Title: "penstock / pgcopydb", Metric: rate, Arm: penstock, To: pgcopydb},
		},
		Charts: report.Chart{Title: "Initial load", Axis: "rows/s", Metrics: []string{rate}},
	},
	Cases: []Case{
		{Name: "wide, 12 columns", Run: loadCase(lab.Wide)},
		{Name: "usual, 8 columns", Run: loadCase(lab.Orders)},
		{Name: "narrow, 3 columns", Run: loadCase(lab.Narrow)},
	},
	Judge: judgeLoad,
}

func judgeLoad(r *report.Result) (goals []report.Goal) {
	for _, c := range r.Cases {
		limit := 0.9
		if strings.HasPrefix(c.Name, "narrow") {
			limit = 0.6
		}
		goals = goalAtLeast(goals, c.Name+": to psql COPY", c.Ratio(rate, penstock, copyBinary), limit, 1, "")
		goals = goalAtLeast(goals, c.Name+": to "+dumped, c.Ratio(rate, penstock, dumped), 2.5, 1, "")
		goals = goalAtMost(goals, c.Name+": our own CPU per million rows", c.Sample(penstock, ours), 1.3, 1, " s")
	}
	return memoryGoal(goals, r)
}

// loader is the setting of a case: a source with a table and an empty second
// server.
type loader struct {
	lab.Table
	env             *lab.Env
	rows            int64
	source, replica *lab.Server
	program         *lab.Penstock
	digest          string
}

func loadCase(table lab.Table) func(context.Context, *lab.Env, Scale) (report.Case, error) {
	return func(ctx context.Context, env *lab.Env, scale Scale) (c report.Case, err error) {
		l := &loader{Table: table, env: env, rows: scale.size(10_000_000, 300_000)}
		if err := l.setup(ctx); err != nil {
			return c, err
		}
		size, err := l.source.Query(ctx, database, "SELECT pg_table_size('"+l.Name+"') >> 20")
		if err != nil {
			return c, err
		}
		c.Setting = fmt.Sprintf("%s rows, %s MiB in PostgreSQL", report.Number(float64(l.rows), 0), size)
		err = alternate(ctx, env, &c, scale.windows(2), []arm{{penstock, l.penstock}, {copyBinary, l.copy}, {dumped, l.dump}, {pgcopydb, l.pgcopydb}})
		return c, err
	}
}

func (l *loader) setup(ctx context.Context) (err error) {
	if l.source, err = l.env.StartServer(ctx, map[string]string{"shared_buffers": "2GB"}); err != nil {
		return err
	}
	if l.replica, err = l.env.StartServer(ctx, nil); err != nil {
		return err
	}
	if err := l.source.Exec(ctx, "postgres", "CREATE DATABASE "+database); err != nil {
		return err
	}
	if err := l.Fill(ctx, l.source, database, l.rows); err != nil {
		return err
	}
	if err := l.source.Exec(ctx, database, "CHECKPOINT"); err != nil {
		return err
	}
	if l.digest, err = l.Digest(ctx, l.source, database); err != nil {
		return err
	}
	l.env.Logf("  there is a table of %d rows", l.rows)
	return nil
}

// values makes a run of a window.
func (l *loader) values(w *measure.Window) report.Run {
	return report.Run{
		rate: float64(l.rows) / w.Wall.Seconds(), wall: w.Wall.Seconds(),
		ours: perMillion(w.CPU[ours], l.rows), sources: perMillion(w.CPU[sources], l.rows), others: w.Disturbed() * 100,
	}
}

func (l *loader) penstock(ctx context.Context) (run report.Run, err error) {
	before := l.env.Started()
	defer func() { err = errors.Join(err, l.env.End(before)) }()
	p, err := l.env.NewPenstock(lab.Options{Sources: []string{l.source.URL(database)}})
	if err != nil {
		return nil, err
	}
	if err := p.Start(ctx); err != nil {
		return nil, err
	}
	if err := p.Resolve(ctx, "source-1", "analytics"); err != nil {
		return nil, err
	}
	w, err := measure.Open(meters(map[string]measure.Meter{ours: p.CPU, sources: l.source.CPU}))
	if err != nil {
		return nil, err
	}
	profiled := p.Profile("load-" + l.Name)
	if err := p.Integrate(ctx, "load", database); err != nil {
		return nil, err
	}
	err = p.AwaitRow(ctx, 50*time.Millisecond, database, "SELECT count(*) FROM public."+l.Name, fmt.Sprint(l.rows))
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	profiled()
	rss, err := p.PeakRSS()
	if err != nil {
		return nil, err
	}
	run = l.values(w)
	run[peak], run[over] = rss, rss-float64(p.Memory)
	if err := l.Check(ctx, p, database, l.digest); err != nil {
		return nil, err
	}
	if err := p.AwaitActive(ctx, "load"); err != nil {
		return nil, err
	}
	return run, p.Delete(ctx, "load")
}

func (l *loader) copy(ctx context.Context) (report.Run, error) {
	psql, err := l.source.Tool("psql")
	if err != nil {
		return nil, err
	}
	return l.pipe(ctx, exec.Command(psql, "-X", "-d", l.source.URL(database), "-c", "COPY "+l.Name+" TO STDOUT (FORMAT binary)"))
}

// pipe runs programs and counts their CPU time, and that of the second server,
// as what is measured.
func (l *loader) pipe(ctx context.Context, cmds ...*exec.Cmd) (report.Run, error) {
	var all []*lab.Process
	cpu := func() (sum time.Duration, err error) {
		if sum, err = l.replica.CPU(); err != nil {
			return 0, err
		}
		for _, p := range all {
			d, err := p.CPU()
			if err != nil {
				return 0, err
			}
			sum += d
		}
		return sum, nil
	}
	w, err := measure.Open(meters(map[string]measure.Meter{ours: cpu, sources: l.source.CPU}))
	if err != nil {
		return nil, err
	}
	if all, err = l.env.Pipe(cmds...); err != nil {
		return nil, err
	}
	for _, p := range all {
		if err := p.Wait(ctx); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	run := l.values(w)
	for _, p := range all {
		run[peak] += p.EndedPeakRSS()
	}
	return run, nil
}

// into makes an empty database in the second server.
func (l *loader) into(ctx context.Context) (name string, err error) {
	const copied = "copied"
	return copied, l.replica.Exec(ctx, "postgres", "DROP DATABASE IF EXISTS "+copied, "CREATE DATABASE "+copied, "CHECKPOINT")
}

// same checks the second server's content.
func (l *loader) same(ctx context.Context, name string) error {
	digest, err := l.Digest(ctx, l.replica, name)
	if err == nil && digest != l.digest {
		err = fmt.Errorf("the second server has another content, %s instead of %s", digest, l.digest)
	}
	return err
}

func (l *loader) dump(ctx context.Context) (report.Run, error) {
	name, err := l.into(ctx)
	if err != nil {
		return nil, err
	}
	dump, err := l.source.Tool("pg_dump")
	if err != nil {
		return nil, err
	}
	psql, err := l.source.Tool("psql")
	if err != nil {
		return nil, err
	}
	run, err := l.pipe(ctx, exec.Command(dump, "-d", l.source.URL(database)),
		exec.Command(psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", l.replica.URL(name)))
	return run, errors.Join(err, l.same(ctx, name))
}

func (l *loader) pgcopydb(ctx context.Context) (report.Run, error) {
	tool, err := l.source.Tool("pgcopydb")
	if err != nil {
		return nil, err
	}
	name, err := l.into(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := l.env.TempDir("pgcopydb")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	clone := exec.Command(tool, "clone", "--source", l.source.URL(database), "--target", l.replica.URL(name), "--table-jobs", "2", "--index-jobs", "2",
		"--split-tables-larger-than", "1GB", "--dir", dir+"/work", "--no-owner", "--no-acl", "--skip-extensions")
	// The tools of PostgreSQL that it calls are looked for on PATH, or as said.
	clone.Env = append(os.Environ(), "PATH="+l.source.Binaries.Dir+":"+os.Getenv("PATH"))
	run, err := l.pipe(ctx, clone)
	return run, errors.Join(err, l.same(ctx, name))
}
