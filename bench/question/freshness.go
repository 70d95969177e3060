package question

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"penstock/bench/lab"
	"penstock/bench/measure"
	"penstock/bench/report"
)

const (
	p50     = "p50"  // ms
	p99     = "p99"  // ms
	most    = "max"  // ms
	cores   = "core" // CPU time per time
	queried = "queries"
	applied = "applied" // changes per second
	idle    = "idle"
	busy    = "while queries run"
	silent  = "after silence"
)

var freshness = &Question{
	Name: "freshness",
	Frame: report.Result{
		Title: "Freshness",
		Asks: "Applications change a table of a million rows (30 % inserts, 40 % updates spread uniformly, 30 % deletes, so that it keeps its size; five rows per transaction, at 10,000 a second fifty, `synchronous_commit` on) at a steady rate. " +
			"Twenty times a second one row more is committed in another table; its lag runs from when the client was told that it is committed until a query at the SQL endpoint, asked again every " +
			"five milliseconds, answers with it. *Idle* asks nothing else of the warehouse; *while queries run* one session asks aggregations over the whole table, one after the other, without " +
			"a pause. CPU is measured in windows of their own, without those who ask for the newest row. What was written more slowly than it should be meets no goal.",
		Metrics: []report.Metric{
			{Key: p50, Title: "p50, ms", Spread: true}, {Key: p99, Title: "p99, ms", Spread: true}, {Key: most, Title: "max, ms"},
			{Key: cores, Title: "its CPU, of a core", Digits: 2}, {Key: ours, Title: "its CPU s per million", Digits: 1}, {Key: applied, Title: "changes/s"}, {Key: queried, Title: "queries/s", Digits: 1},
			{Key: peak, Title: "peak RSS, MiB"}, {Key: others, Title: "others, %", Digits: 1},
		},
		Charts: report.Chart{Title: "From commit to queryable", Axis: "ms", Metrics: []string{p50, p99, most}, Arms: []string{idle, busy}, Log: true},
	},
	Cases: []Case{
		{Name: "100 changes/s", Run: freshnessCase(100, 1)},
		{Name: "1,000 changes/s", Run: freshnessCase(1000, 2)},
		{Name: "10,000 changes/s", Run: freshnessCase(10000, 2)},
		{Name: "silence", Early: silenceCase},
	},
	Judge: judgeFreshness,
}

func judgeFreshness(r *report.Result) (goals []report.Goal) {
	for _, g := range []struct {
		name           string
		rate, p50, p99 float64
	}{{"1,000 changes/s", 1000, 100, 500}, {"10,000 changes/s", 10_000, 200, 500}} {
		c := r.Case(g.name)
		if c == nil {
			continue
		}
		var lags []report.Goal
		lags = goalAtMost(lags, g.name+": p50", c.Sample(idle, p50), g.p50, 0, " ms")
		lags = goalAtMost(lags, g.name+": p99", c.Sample(idle, p99), g.p99, 0, " ms")
		goals = append(goals, atRate(lags, c.Sample(idle, applied), g.rate)...)
		lags = goalAtMost(nil, g.name+": p50 while queries run", c.Sample(busy, p50), 2*g.p50, 0, " ms")
		lags = goalAtMost(lags, g.name+": p99 while queries run", c.Sample(busy, p99), 2*g.p99, 0, " ms")
		goals = append(goals, atRate(lags, c.Sample(busy, applied), g.rate)...)
	}
	if c := r.Case("1,000 changes/s"); c != nil {
		goals = goalAtMost(goals, "1,000 changes/s: our own CPU", c.Sample(idle, cores), 0.25, 2, " of a core")
	}
	return memoryGoal(goals, r)
}

// enough is the part of a rate that has to be written for a window to be one at that
// rate.
const enough = 0.95

// atRate takes back goals that were met while less was written than should have been.
func atRate(goals []report.Goal, written measure.Sample, rate float64) []report.Goal {
	if len(written) == 0 || written.Min() >= enough*rate {
		return goals
	}
	for i := range goals {
		goals[i].Met = false
		goals[i].Got += fmt.Sprintf(" at %s changes/s", report.Number(written.Min(), 0))
	}
	return goals
}

// fresher is the setting of a case: the program follows a source that
// applications write to.
type fresher struct {
	env     *lab.Env
	rows    int64
	rate    int64 // changes per second
	calls   int64 // of the function, in a transaction
	source  *lab.Server
	program *lab.Penstock

	called      atomic.Int64 // the function, so far
	probes      int64        // so far
	window, cpu time.Duration
}

// perCall is how many changes a call of the function makes.
const perCall = 5

func freshnessCase(rate int64, windows int) func(context.Context, *lab.Env, Scale) (report.Case, error) {
	return func(ctx context.Context, env *lab.Env, scale Scale) (c report.Case, err error) {
		f := &fresher{env: env, rate: rate, calls: max(1, rate/1000), rows: scale.size(1_000_000, 100_000), window: 60 * time.Second, cpu: 20 * time.Second}
		if scale.Quick {
			f.window, f.cpu = 4*time.Second, 2*time.Second
		}
		if err := f.setup(ctx); err != nil {
			return c, err
		}
		c.Setting = fmt.Sprintf("table of %s rows, windows of %v for the lag and %v for the CPU", report.Number(float64(f.rows), 0), f.window, f.cpu)
		err = alternate(ctx, env, &c, scale.windows(windows), []arm{
			{idle, func(ctx context.Context) (report.Run, error) { return f.run(ctx, false) }},
			{busy, func(ctx context.Context) (report.Run, error) { return f.run(ctx, true) }},
		})
		return c, err
	}
}

// silenceCase measures the first commit after nothing has happened for ten
// minutes, while the other cases are measured with other servers.
func silenceCase(ctx context.Context, env *lab.Env, scale Scale) (func(context.Context) (report.Case, error), error) {
	f := &fresher{env: env, rows: scale.size(1_000_000, 100_000)}
	silence := 10 * time.Minute
	if scale.Quick {
		silence = 5 * time.Second
	}
	if err := f.setup(ctx); err != nil {
		return nil, err
	}
	since := time.Now()
	run := func(ctx context.Context) (report.Run, error) {
		select {
		case <-time.After(time.Until(since.Add(silence))):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		lags, err := f.probe(ctx, func() bool { return false })
		if err != nil {
			return nil, err
		}
		since = time.Now()
		return report.Run{most: lags.Max()}, f.check(ctx)
	}
	return func(ctx context.Context) (c report.Case, err error) {
		c.Setting = fmt.Sprintf("table of %s rows, the first commit after %v or more without any", report.Number(float64(f.rows), 0), silence)
		err = alternate(ctx, env, &c, scale.windows(1), []arm{{silent, run}})
		return c, err
	}, nil
}

// The function's calls are numbered. Of two, the first inserts two rows, updates two and
// deletes one, and the second inserts one, updates two and deletes two, so that the table
// keeps its size: windows that follow each other are of the same table. What is deleted is
// every tenth of the rows from before, which are never updated, and then those that were
// inserted, in order.
const changeFunction = `
CREATE FUNCTION change(base bigint, k bigint) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
	second bigint := k %% 2;
	i bigint := base + k / 2 * 3 + second * 2; -- inserted before
	u bigint := k * 2; -- updated before
	d bigint := k / 2 * 3 + second; -- deleted before
BEGIN
	INSERT INTO orders SELECT %s FROM generate_series(i + 1, i + 2 - second) g;
	UPDATE orders SET amount = amount + 1, status = (status + 1) %% 7, note = md5(id::text || amount::text)
	WHERE id = ANY (ARRAY(SELECT x / 9 * 10 + x %% 9 + 1 FROM (SELECT (g * 556207) %% (base / 10 * 9) AS x FROM generate_series(u + 1, u + 2) g) s));
	DELETE FROM orders WHERE id = ANY (ARRAY(SELECT CASE WHEN g < base / 10 THEN (g + 1) * 10 ELSE base + g - base / 10 + 1 END FROM generate_series(d, d + second) g));
END $body$`

func (f *fresher) setup(ctx context.Context) (err error) {
	if f.source, err = f.env.StartServer(ctx, nil); err != nil {
		return err
	}
	if err := f.source.Exec(ctx, "postgres", "CREATE DATABASE "+database); err != nil {
		return err
	}
	if err := lab.Orders.Fill(ctx, f.source, database, f.rows); err != nil {
		return err
	}
	if err := f.source.Exec(ctx, database, "CREATE TABLE probe (id bigint PRIMARY KEY)", "INSERT INTO probe VALUES (0)",
		fmt.Sprintf(changeFunction, lab.Orders.Values()), "CHECKPOINT"); err != nil {
		return err
	}
	if f.program, err = f.env.NewPenstock(lab.Options{Sources: []string{f.source.URL(database)}}); err != nil {
		return err
	}
	if err := f.program.Start(ctx); err != nil {
		return err
	}
	if err := f.program.Integrate(ctx, "fresh", database); err != nil {
		return err
	}
	return f.program.AwaitActive(ctx, "fresh")
}

// run has applications write, and measures the lag and then the CPU.
func (f *fresher) run(ctx context.Context, queries bool) (report.Run, error) {
	if err := f.program.ForgetPeak(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	load, loadCtx := errgroup.WithContext(ctx)
	end := make(chan struct{})
	var once sync.Once
	stop := func() { once.Do(func() { close(end) }) }
	defer stop()
	const writers = 4
	for range writers {
		load.Go(func() error { return f.write(loadCtx, end, writers) })
	}
	var asked atomic.Int64
	if queries {
		load.Go(func() error { return f.query(loadCtx, end, &asked) })
	}
	// Until what starting makes slower is over.
	if _, err := f.probe(loadCtx, timer(f.window/10)); err != nil {
		return nil, errors.Join(err, load.Wait())
	}
	before := asked.Load()
	var lags measure.Sample
	w, changes, err := f.during(func() (err error) {
		lags, err = f.probe(loadCtx, timer(f.window))
		return err
	})
	if err != nil {
		return nil, errors.Join(err, load.Wait())
	}
	run := report.Run{p50: lags.Median(), p99: lags.Quantile(0.99), most: lags.Max(), applied: float64(changes) / w.Wall.Seconds(), others: w.Disturbed() * 100}
	if queries {
		run[queried] = float64(asked.Load()-before) / w.Wall.Seconds()
	}
	if got := run[applied]; got < enough*float64(f.rate) {
		f.env.Logf("  THE MACHINE COULD NOT WRITE MORE THAN %.0f changes a second", got)
	}
	w, changes, err = f.during(func() error {
		select {
		case <-time.After(f.cpu):
		case <-loadCtx.Done():
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	stop()
	if err := load.Wait(); err != nil {
		return nil, err
	}
	rss, err := f.program.PeakRSS()
	if err != nil {
		return nil, err
	}
	run[peak], run[over], run[others] = rss, rss-float64(f.program.Memory), max(run[others], w.Disturbed()*100)
	run[cores] = w.CPU[ours].Seconds() / w.Wall.Seconds()
	if !queries {
		run[ours] = perMillion(w.CPU[ours], changes)
	}
	if _, err := f.probe(ctx, func() bool { return false }); err != nil {
		return nil, err
	}
	return run, f.check(ctx)
}

// during measures while something runs, and counts the changes.
func (f *fresher) during(do func() error) (w *measure.Window, changes int64, err error) {
	if w, err = measure.Open(meters(map[string]measure.Meter{ours: f.program.CPU, sources: f.source.CPU})); err != nil {
		return nil, 0, err
	}
	before := f.called.Load()
	err = errors.Join(do(), w.Close())
	return w, (f.called.Load() - before) * perCall, err
}

// timer returns what is true until a time has passed.
func timer(d time.Duration) func() bool {
	end := time.Now().Add(d)
	return func() bool { return time.Now().Before(end) }
}

// write commits transactions at its share of the rate until end.
func (f *fresher) write(ctx context.Context, end <-chan struct{}, writers int64) error {
	conn, err := f.source.Conn(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	every := time.Duration(float64(time.Second) * perCall * float64(f.calls*writers) / float64(f.rate))
	for at := time.Now(); ; at = at.Add(every) {
		select {
		case <-time.After(time.Until(at)):
		case <-end:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
		next := f.called.Add(f.calls)
		if _, err := conn.Exec(ctx, "SELECT change($1, k) FROM generate_series($2::bigint, $3::bigint) k", f.rows, next-f.calls, next-1); err != nil {
			return err
		}
	}
}

// query asks analytical questions, one after the other, until end.
func (f *fresher) query(ctx context.Context, end <-chan struct{}, asked *atomic.Int64) error {
	conn, err := f.program.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for i := 0; ; i++ {
		select {
		case <-end:
			return nil
		default:
		}
		sql := []string{
			"SELECT status, count(*), sum(amount), avg(amount) FROM public.orders GROUP BY status ORDER BY status",
			"SELECT customer, sum(amount) AS total FROM public.orders WHERE paid GROUP BY customer ORDER BY total DESC LIMIT 10",
			"SELECT date_trunc('month', created) AS month, count(*), count(DISTINCT customer) FROM public.orders GROUP BY 1 ORDER BY 1",
		}[i%3]
		if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
		asked.Add(1)
	}
}

// probe commits a row twenty times a second for as long as more says, at least
// one, and returns how many milliseconds after each it could be read.
func (f *fresher) probe(ctx context.Context, more func() bool) (lags measure.Sample, err error) {
	writer, err := f.source.Conn(ctx, database)
	if err != nil {
		return nil, err
	}
	defer writer.Close(context.WithoutCancel(ctx))
	reader, err := f.program.Connect(ctx, database)
	if err != nil {
		return nil, err
	}
	defer reader.Close(context.WithoutCancel(ctx))

	g, ctx := errgroup.WithContext(ctx)
	committed := make(chan time.Time, 1<<16)
	first := f.probes + 1
	g.Go(func() error {
		defer close(committed)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			f.probes++
			if _, err := writer.Exec(ctx, "INSERT INTO probe VALUES ($1)", f.probes); err != nil {
				return err
			}
			committed <- time.Now()
			if !more() {
				return nil
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	g.Go(func() error {
		next := first // of which the lag is not known
		for at := range committed {
			for {
				newest, seen, err := f.newest(ctx, reader)
				if err != nil {
					return err
				}
				if newest >= next {
					// Those behind it that it shows too became readable now as well.
					lags = append(lags, ms(seen.Sub(at)))
					for next++; next <= newest; next++ {
						at, ok := <-committed
						if !ok {
							return nil
						}
						lags = append(lags, ms(seen.Sub(at)))
					}
					break
				}
				select {
				case <-time.After(5 * time.Millisecond):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		return nil
	})
	return lags, g.Wait()
}

func ms(d time.Duration) float64 { return max(0, d.Seconds()*1000) }

// newest returns the newest row that a query shows, and when it had answered.
func (f *fresher) newest(ctx context.Context, reader *pgx.Conn) (id int64, at time.Time, err error) {
	err = reader.QueryRow(ctx, "SELECT max(id) FROM public.probe").Scan(&id)
	return id, time.Now(), err
}

// check compares the content; nobody writes.
func (f *fresher) check(ctx context.Context) error {
	digest, err := lab.Orders.Digest(ctx, f.source, database)
	if err != nil {
		return err
	}
	return lab.Orders.Check(ctx, f.program, database, digest)
}
