package question

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"penstock/bench/lab"
	"penstock/bench/measure"
	"penstock/bench/report"
)

const (
	ordered = "after an orderly stop"
	killed  = "after SIGKILL"

	spent = "spent" // CPU, in ms
)

var start = &Question{
	Name: "start",
	Frame: report.Result{
		Title: "Starting",
		Asks: "*Ready*: from the start of the process until the API answers that it is healthy. *Restart*: one row is committed while nothing runs, and the slot is free again; from the start of the process until a " +
			"query at the SQL endpoint shows that row. With a hundred integrations the row is one of the fiftieth.",
		Metrics: []report.Metric{{Key: wall, Title: "ms", Spread: true}, {Key: spent, Title: "its CPU, ms"}, {Key: peak, Title: "RSS then, MiB"}, {Key: others, Title: "others, %", Digits: 1}},
		Charts:  report.Chart{Title: "Starting", Axis: "ms", Metrics: []string{wall}},
	},
	Cases: []Case{
		{Name: "ready, 1 integration", Run: startCase(1, false)},
		{Name: "ready, 100 integrations", Run: startCase(100, false)},
		{Name: "restart, 1 integration", Run: startCase(1, true)},
		{Name: "restart, 100 integrations", Run: startCase(100, true)},
	},
	Judge: func(r *report.Result) (goals []report.Goal) {
		if c := r.Case("ready, 100 integrations"); c != nil {
			goals = goalAtMost(goals, "ready with 100 integrations", c.Sample(ordered, wall), 500, 0, " ms")
		}
		for _, of := range []string{"restart, 1 integration", "restart, 100 integrations"} {
			if c := r.Case(of); c != nil {
				goals = goalAtMost(goals, of+", to the first change, "+ordered, c.Sample(ordered, wall), 2000, 0, " ms")
				goals = goalAtMost(goals, of+", to the first change, "+killed, c.Sample(killed, wall), 2000, 0, " ms")
			}
		}
		return memoryGoal(goals, r)
	},
}

// starter is the setting of a case: a program with integrations, each of a
// database of its own with a small table.
type starter struct {
	integrations int
	source       *lab.Server
	program      *lab.Penstock
	rows         int64 // in the table of the database that changes
}

// changing names the database that changes, the one in the middle: no order in which
// integrations are started favours it.
func (s *starter) changing() string { return name(s.integrations / 2) }

// startCase returns how a case is measured: until the first change, or only
// until the program is ready.
func startCase(integrations int, change bool) func(context.Context, *lab.Env, Scale) (report.Case, error) {
	return func(ctx context.Context, env *lab.Env, scale Scale) (c report.Case, err error) {
		n := integrations
		if scale.Quick {
			n = min(n, 5)
		}
		s := &starter{integrations: n, rows: 1000}
		if err := s.setup(ctx, env); err != nil {
			return c, err
		}
		c.Setting = countName(n, "integration") + ", each of a database with a table of 1,000 rows"
		arms := []arm{
			{ordered, func(ctx context.Context) (report.Run, error) { return s.run(ctx, syscall.SIGTERM, change) }},
			{killed, func(ctx context.Context) (report.Run, error) { return s.run(ctx, syscall.SIGKILL, change) }},
		}
		err = alternate(ctx, env, &c, scale.windows(5), arms)
		return c, err
	}
}

func name(i int) string { return fmt.Sprintf("shop_%03d", i) }

func (s *starter) setup(ctx context.Context, env *lab.Env) (err error) {
	if s.source, err = env.StartServer(ctx, map[string]string{"max_replication_slots": "120", "max_wal_senders": "120", "max_connections": "500", "shared_buffers": "256MB"}); err != nil {
		return err
	}
	if err := s.source.Exec(ctx, "postgres", "CREATE DATABASE "+name(0)); err != nil {
		return err
	}
	if err := lab.Orders.Fill(ctx, s.source, name(0), s.rows); err != nil {
		return err
	}
	for i := 1; i < s.integrations; i++ {
		if err := s.source.Exec(ctx, "postgres", "CREATE DATABASE "+name(i)+" TEMPLATE "+name(0)); err != nil {
			return err
		}
	}
	// A source and a target have one integration between them; so that there can
	// be many, the server is as many sources.
	var sources []string
	for i := range s.integrations {
		sources = append(sources, s.source.URL(name(i)))
	}
	if s.program, err = env.NewPenstock(lab.Options{Sources: sources,
		More: "quotas: {per_account: 200, per_target: 200, per_source: 200}\n"}); err != nil {
		return err
	}
	if err := s.program.Start(ctx); err != nil {
		return err
	}
	for i := range s.integrations {
		if err := s.program.IntegrateFilter(ctx, strings.ReplaceAll(name(i), "_", "-"), fmt.Sprintf("source-%d", i+1), "include: "+name(i)+".*.*"); err != nil {
			return err
		}
	}
	for i := range s.integrations {
		if err := s.program.AwaitActive(ctx, strings.ReplaceAll(name(i), "_", "-")); err != nil {
			return err
		}
	}
	env.Logf("  there are %d integrations", s.integrations)
	return nil
}

func (s *starter) run(ctx context.Context, sig syscall.Signal, change bool) (report.Run, error) {
	s.program.Signal(sig)
	err := lab.Await(ctx, 10*time.Millisecond, "the slots to be free", func() (bool, error) {
		n, err := s.source.Query(ctx, "postgres", "SELECT count(*) FROM pg_replication_slots WHERE active")
		return n == "0", err
	})
	if err != nil {
		return nil, err
	}
	s.rows++
	if err := s.source.Exec(ctx, s.changing(), lab.Orders.Insert(s.rows, s.rows)); err != nil {
		return nil, err
	}
	launched := false
	w, err := measure.Open(meters(map[string]measure.Meter{sources: s.source.CPU, ours: func() (time.Duration, error) {
		if !launched {
			return 0, nil // what there is, is of the process before
		}
		return s.program.CPU()
	}}))
	if err != nil {
		return nil, err
	}
	if err := s.program.Launch(); err != nil {
		return nil, err
	}
	launched = true
	await := func() error {
		return s.program.AwaitRow(ctx, 5*time.Millisecond, s.changing(), "SELECT count(*) FROM public.orders", fmt.Sprint(s.rows))
	}
	if change {
		err = await()
	} else {
		err = s.program.AwaitReady(ctx)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	rss, err := s.program.PeakRSS()
	if err != nil {
		return nil, err
	}
	run := report.Run{wall: ms(w.Wall), spent: ms(w.CPU[ours]), peak: rss, over: rss - float64(s.program.Memory), others: w.Disturbed() * 100}
	if err := await(); err != nil { // the integration works, too
		return nil, err
	}
	digest, err := lab.Orders.Digest(ctx, s.source, s.changing())
	if err != nil {
		return nil, err
	}
	return run, lab.Orders.Check(ctx, s.program, s.changing(), digest)
}
