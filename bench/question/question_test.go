package question

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"penstock/bench/lab"
	"penstock/bench/report"
)

func TestParseStart(t *testing.T) {
	t.Parallel()
	slot, options, err := parseStart(`START_REPLICATION SLOT "penstock_1_2" LOGICAL 0/0 (proto_version '2', streaming 'on', publication_names '"a","b"')`)
	if err != nil || slot != "penstock_1_2" || options != `proto_version '2', streaming 'on', publication_names '"a","b"'` {
		t.Errorf("%q, %q, %v", slot, options, err)
	}
	if _, _, err := parseStart("SELECT 1"); err == nil {
		t.Error("something else is taken for the start of a stream")
	}
}

// TestAlternate: arms take turns, one that is not installed is left out, and
// one that fails, as one whose content is not right does, fails the case.
func TestAlternate(t *testing.T) {
	t.Parallel()
	env, err := lab.Open("", t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer env.Close()
	var order []string
	works := func(name string) arm {
		return arm{name, func(context.Context) (report.Run, error) {
			order = append(order, name)
			return report.Run{rate: float64(len(order))}, nil
		}}
	}
	var c report.Case
	missing := arm{"c", func(context.Context) (report.Run, error) { return nil, fmt.Errorf("c: %w", lab.ErrMissing) }}
	if err := alternate(t.Context(), env, &c, 2, []arm{works("a"), missing, works("b")}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(order, []string{"a", "b", "a", "b"}) || len(c.Sample("b", rate)) != 2 || len(c.Sample("c", rate)) != 0 {
		t.Errorf("the order was %v, runs are %v", order, c.Arms)
	}
	took := []float64{50, 5, 50, 60}
	disturbedArm := arm{"e", func(context.Context) (report.Run, error) {
		run := report.Run{others: took[0], rate: took[0]}
		took = took[1:]
		return run, nil
	}}
	if err := alternate(t.Context(), env, &c, 2, []arm{disturbedArm}); err != nil || !slices.Equal(c.Sample("e", rate), []float64{5, 50}) {
		t.Errorf("of windows that were disturbed %v count (%v)", c.Sample("e", rate), err)
	}
	broken := errors.New("another content")
	if err := alternate(t.Context(), env, &c, 1, []arm{{"d", func(context.Context) (report.Run, error) { return nil, broken }}}); !errors.Is(err, broken) {
		t.Errorf("a run that fails gives %v", err)
	}
}

// TestKeep: a case measured alone replaces its own results and no others, all cases
// replace all, and goals are judged over all.
func TestKeep(t *testing.T) {
	t.Parallel()
	env, err := lab.Open("", t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer env.Close()
	value := 0.0
	run := func(context.Context, *lab.Env, Scale) (c report.Case, err error) {
		value++
		c.Add(penstock, report.Run{rate: value})
		return c, nil
	}
	q := &Question{Name: "q", Cases: []Case{{Name: "x", Run: run}, {Name: "y", Run: run}}, Judge: func(r *report.Result) (goals []report.Goal) {
		for _, c := range r.Cases {
			goals = goalAtLeast(goals, c.Name, c.Sample(penstock, rate), 2, 0, "")
		}
		return goals
	}}
	request := Request{Dir: t.TempDir()}
	measure := func(r Request) *report.Result {
		t.Helper()
		if err := q.Measure(t.Context(), env, r); err != nil {
			t.Fatal(err)
		}
		got, err := report.Load(r.Dir+"/results", "q")
		if err != nil {
			t.Fatal(err)
		}
		return &got
	}
	got := measure(request)
	if goals := q.Judge(got); len(goals) != 2 || goals[0].Met || !goals[1].Met {
		t.Errorf("goals are %+v", goals)
	}
	request.Case, request.Append = "x", true
	got = measure(request)
	if x, y := got.Case("x").Sample(penstock, rate), got.Case("y").Sample(penstock, rate); !slices.Equal(x, []float64{1, 3}) || !slices.Equal(y, []float64{2}) {
		t.Errorf("runs are %v and %v", x, y)
	}
	request.Append = false
	if x := measure(request).Case("x").Sample(penstock, rate); !slices.Equal(x, []float64{4}) {
		t.Errorf("runs are %v", x)
	}
	// One that is interrupted keeps what it has.
	ctx, cancel := context.WithCancel(t.Context())
	q.Cases[0].Run = func(context.Context, *lab.Env, Scale) (c report.Case, err error) {
		c.Add(penstock, report.Run{rate: 9})
		cancel()
		return c, ctx.Err()
	}
	if err := q.Measure(ctx, env, request); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted measurement ends with %v", err)
	}
	if kept, err := report.Load(request.Dir+"/results", "q"); err != nil || !slices.Equal(kept.Case("x").Sample(penstock, rate), []float64{9}) {
		t.Errorf("of an interrupted measurement there is %+v (%v)", kept.Cases, err)
	}
	// What cannot be measured any more has no results from before.
	request.Case = ""
	q.Cases[0].Run = func(context.Context, *lab.Env, Scale) (c report.Case, err error) { return c, lab.ErrMissing }
	if got := measure(request); got.Case("x") != nil || len(got.Case("y").Arms) != 1 {
		t.Errorf("of a case that is skipped there is %+v", got.Cases)
	}
	request.Case = "z"
	if err := q.Measure(t.Context(), env, request); err == nil {
		t.Error("there is a case z")
	}
}

// TestAtRate: what was written more slowly than it should be meets no goal.
func TestAtRate(t *testing.T) {
	t.Parallel()
	r := &report.Result{Cases: []report.Case{{Name: "10,000 changes/s"}}}
	for _, arm := range []string{idle, busy} {
		r.Cases[0].Add(arm, report.Run{p50: 10, p99: 600, applied: 9990})
	}
	r.Cases[0].Add(busy, report.Run{p50: 10, p99: 20, applied: 4000})
	met := func() (met []bool) {
		for _, g := range judgeFreshness(r) {
			met = append(met, g.Met)
		}
		return met
	}
	if got := met(); !slices.Equal(got, []bool{true, false, false, false}) {
		t.Errorf("of p50 and p99, idle and while queries run, are met: %v", got)
	}
	r.Cases[0].Arms[1].Runs[1][applied] = 9600
	if got := met(); !slices.Equal(got, []bool{true, false, true, true}) {
		t.Errorf("at the rate are met: %v", got)
	}
}

// TestQuestions: cases and questions can be told apart, and nothing is judged
// that was not measured.
func TestQuestions(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, q := range All {
		if names[q.Name] || Find(q.Name) != q {
			t.Errorf("there are two questions %s", q.Name)
		}
		names[q.Name] = true
		cases := map[string]bool{}
		for _, c := range q.Cases {
			if cases[c.Name] {
				t.Errorf("%s has two cases %s", q.Name, c.Name)
			}
			cases[c.Name] = true
		}
		if goals := q.Judge(&report.Result{}); len(goals) > 0 {
			t.Errorf("%s: without results, %+v", q.Name, goals)
		}
	}
}

// TestMix: a backlog has the changes that it should, in all mixes. The server
// counts them; see writeBacklog.
func TestMix(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	env, err := lab.Open("", t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	}()
	s, err := env.StartServer(ctx, map[string]string{"shared_buffers": "64MB"})
	if err != nil {
		t.Fatal(err)
	}
	rows := func(name, table, want string) {
		t.Helper()
		got, err := s.Query(ctx, name, "SELECT count(*) FROM "+table)
		if err != nil || got != want {
			t.Errorf("%s: %s rows instead of %s (%v)", name, got, want, err)
		}
	}
	for i, m := range []mix{{lab.Orders, 1000, 1000, 1, false}, {lab.Numbers, 1000, 3000, 10, false}, {lab.Orders, 10000, 3000, 100, true}, {lab.Wide, 2000, 1000, 1000, false}} {
		name := fmt.Sprintf("mix_%d", i)
		if err := s.Exec(ctx, "postgres", "CREATE DATABASE "+name); err != nil {
			t.Fatal(err)
		}
		if err := m.fill(ctx, s, name); err != nil {
			t.Fatal(err)
		}
		if _, err := m.write(ctx, s, name, 1); err != nil {
			t.Errorf("%d a transaction: %v", m.perTx, err)
		}
		rows(name, m.table.Name, fmt.Sprint(m.rows+m.changes/10*3))
		if m.recent {
			rows(name, "orders WHERE id <= 9500", "9500") // none of the others has been deleted
		}
		if m.recent || m.perTx == 1000 {
			continue
		}
		// One of recent keys after one of all finds all that it changes.
		m.rows, m.changes, m.recent = m.rows+m.changes/10*4, 100, true
		if _, err := m.write(ctx, s, name, 2); err != nil {
			t.Errorf("a second backlog, of recent keys: %v", err)
		}
	}
	m := manyTables{mix{table: lab.Numbers, rows: 10_000, changes: 5000}, 10}
	if err := s.Exec(ctx, "postgres", "CREATE DATABASE many"); err != nil {
		t.Fatal(err)
	}
	if err := m.fill(ctx, s, "many"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.write(ctx, s, "many", 1); err != nil {
		t.Error(err)
	}
	for i := range m.tables {
		rows("many", m.of(i).Name, "1150")
	}
}

// TestEarly: what is to lie still is prepared before any other case of the
// question, and not for a case that nobody asked for; a failure is the case's own.
func TestEarly(t *testing.T) {
	t.Parallel()
	env, err := lab.Open("", t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer env.Close()
	var order []string
	note := func(what string, err error) (report.Case, error) {
		order = append(order, what)
		return report.Case{}, err
	}
	var fails error
	q := &Question{Name: "q", Judge: func(*report.Result) []report.Goal { return nil }, Cases: []Case{
		{Name: "x", Run: func(context.Context, *lab.Env, Scale) (report.Case, error) { return note("x", nil) }},
		{Name: "still", Early: func(context.Context, *lab.Env, Scale) (func(context.Context) (report.Case, error), error) {
			_, err := note("prepared", fails)
			return func(context.Context) (report.Case, error) { return note("still", nil) }, err
		}},
	}}
	request := Request{Dir: t.TempDir()}
	if err := q.Measure(t.Context(), env, request); err != nil || !slices.Equal(order, []string{"prepared", "x", "still"}) {
		t.Errorf("the order was %v, %v", order, err)
	}
	order, request.Case = nil, "x"
	if err := q.Measure(t.Context(), env, request); err != nil || !slices.Equal(order, []string{"x"}) {
		t.Errorf("of one case the order was %v, %v", order, err)
	}
	order, request.Case, fails = nil, "", errors.New("no room")
	if err := q.Measure(t.Context(), env, request); !errors.Is(err, fails) || !slices.Equal(order, []string{"prepared", "x"}) {
		t.Errorf("where it cannot be prepared the order was %v, %v", order, err)
	}
}
