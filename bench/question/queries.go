package question

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"penstock/bench/lab"
	"penstock/bench/measure"
	"penstock/bench/report"
)

// The 22 queries of TPC-H, clause 2.4 of its specification, with the
// parameters of its validation runs.
//
//go:embed tpch/*.sql
var tpchFiles embed.FS

const (
	alone   = "DuckDB alone"
	apply1k = "penstock, 1,000 changes/s"
	apply10 = "penstock, 10,000 changes/s"

	total  = "total"  // seconds for all 22, each the median of its times
	geo    = "geo"    // ms, their geometric mean
	rounds = "rounds" // of all 22 in a window
	writes = "writes" // changes per second
)

var queries = &Question{
	Name: "queries",
	Frame: report.Result{
		Title: "Queries",
		Asks: "The 22 queries of TPC-H, one after the other and again, over a replicated schema, by one client at the SQL endpoint, and the same over the same rows in an embedded DuckDB of the same " +
			"version that has read them from files, with the memory and threads that the program gives its engine. Then again while applications change orders, spread uniformly, with their line items, at a steady rate. " +
			"The answers are compared as well, and the tables with the source at the end.",
		Metrics: []report.Metric{
			{Key: total, Title: "seconds for all 22", Digits: 2, Spread: true}, {Key: geo, Title: "geometric mean, ms", Digits: 1, Spread: true},
			{Key: ours, Title: "CPU s per round", Digits: 2}, {Key: writes, Title: "changes/s"}, {Key: peak, Title: "peak RSS, MiB"}, {Key: others, Title: "others, %", Digits: 1},
		},
		Ratios: []report.Ratio{
			{Title: "penstock / DuckDB alone", Metric: total, Arm: penstock, To: alone},
			{Title: "1,000 changes/s / idle", Metric: total, Arm: apply1k, To: penstock},
			{Title: "10,000 changes/s / idle", Metric: total, Arm: apply10, To: penstock},
		},
		Charts: report.Chart{Title: "TPC-H, all 22 queries", Axis: "seconds", Metrics: []string{total}},
	},
	Cases: []Case{{Name: "TPC-H", Run: queriesCase}},
	Judge: judgeQueries,
}

func judgeQueries(r *report.Result) (goals []report.Goal) {
	for _, c := range r.Cases {
		goals = goalAtMost(goals, "idle: to DuckDB alone", c.Ratio(total, penstock, alone), 1.1, 1, "")
		goals = goalAtMost(goals, "while applying 1,000 changes/s: to idle", c.Ratio(total, apply1k, penstock), 1.5, 1, "")
		goals = goalAtMost(goals, "while applying 10,000 changes/s: to idle", c.Ratio(total, apply10, penstock), 1.5, 1, "")
	}
	return memoryGoal(goals, r)
}

// asker is the setting of the case.
type asker struct {
	env     *lab.Env
	scale   float64
	window  time.Duration
	source  *lab.Server
	program *lab.Penstock
	alone   *lab.Alone
	text    []string // the queries
}

func queriesCase(ctx context.Context, env *lab.Env, scale Scale) (c report.Case, err error) {
	q := &asker{env: env, scale: 1, window: time.Minute}
	if scale.Quick {
		q.scale, q.window = 0.05, 3*time.Second
	}
	if err := q.setup(ctx); err != nil {
		return c, err
	}
	c.Setting = fmt.Sprintf("scale factor %v, windows of %v, `memory` of %d MiB", q.scale, q.window, q.program.Memory)
	err = alternate(ctx, env, &c, scale.windows(2), []arm{
		{alone, q.besides},
		{penstock, func(ctx context.Context) (report.Run, error) { return q.replicated(ctx, 0) }},
		{apply1k, func(ctx context.Context) (report.Run, error) { return q.replicated(ctx, 1000) }},
		{apply10, func(ctx context.Context) (report.Run, error) { return q.replicated(ctx, 10_000) }},
	})
	return c, err
}

const (
	queriesMemory  = 2048 // MiB, of which the engine has half
	queriesWriters = 4
)

func (q *asker) setup(ctx context.Context) (err error) {
	files, err := tpchFiles.ReadDir("tpch")
	if err != nil {
		return err
	}
	for _, f := range files {
		b, err := tpchFiles.ReadFile("tpch/" + f.Name())
		if err != nil {
			return err
		}
		q.text = append(q.text, strings.TrimSpace(string(b)))
	}
	dir, err := q.env.GenerateTPCH(ctx, q.scale)
	if err != nil {
		return err
	}
	if q.source, err = q.env.StartServer(ctx, nil); err != nil {
		return err
	}
	if err := q.source.Exec(ctx, "postgres", "CREATE DATABASE "+database); err != nil {
		return err
	}
	if err := q.source.FillTPCH(ctx, database, dir); err != nil {
		return err
	}
	if q.program, err = q.env.NewPenstock(lab.Options{Memory: queriesMemory, Sources: []string{q.source.URL(database)}}); err != nil {
		return err
	}
	if err := q.program.Start(ctx); err != nil {
		return err
	}
	if err := q.program.Integrate(ctx, "tpch", database); err != nil {
		return err
	}
	if err := q.program.AwaitActive(ctx, "tpch"); err != nil {
		return err
	}
	if q.alone, err = q.env.StartAlone(queriesMemory/2, runtime.NumCPU()); err != nil {
		return err
	}
	if err := q.alone.FillTPCH(ctx, dir); err != nil {
		return err
	}
	return q.sameAnswers(ctx)
}

// sameAnswers checks that both give the same answers.
func (q *asker) sameAnswers(ctx context.Context) error {
	for i, text := range q.text {
		digest := "SELECT count(*) || ' ' || coalesce(md5(string_agg(r::varchar, '|' ORDER BY r::varchar)), '') FROM (" + text + ") AS r"
		want, err := q.alone.Ask(ctx, digest)
		if err != nil {
			return fmt.Errorf("query %d: %w", i+1, err)
		}
		got, err := q.program.Query(ctx, database, digest)
		if err != nil {
			return fmt.Errorf("query %d: %w", i+1, err)
		}
		if want = strings.TrimSpace(want); got != want {
			return fmt.Errorf("query %d answers %s in the warehouse, %s in DuckDB alone", i+1, got, want)
		}
	}
	return nil
}

// ask asks all queries again and again for a window, after one round that does
// not count.
func (q *asker) ask(ctx context.Context, cpu measure.Meter, ask func(sql string) error) (report.Run, *measure.Window, error) {
	for i, text := range q.text {
		if err := ask(text); err != nil {
			return nil, nil, fmt.Errorf("query %d: %w", i+1, err)
		}
	}
	w, err := measure.Open(meters(map[string]measure.Meter{ours: cpu, sources: q.source.CPU}))
	if err != nil {
		return nil, nil, err
	}
	times, n := make([]measure.Sample, len(q.text)), 0
	for began := time.Now(); time.Since(began) < q.window && ctx.Err() == nil; n++ {
		for i, text := range q.text {
			at := time.Now()
			if err := ask(text); err != nil {
				return nil, nil, fmt.Errorf("query %d: %w", i+1, err)
			}
			times[i] = append(times[i], time.Since(at).Seconds())
		}
	}
	if err := errors.Join(w.Close(), ctx.Err()); err != nil {
		return nil, nil, err
	}
	run, logs := report.Run{rounds: float64(n), ours: w.CPU[ours].Seconds() / float64(n), others: w.Disturbed() * 100}, 0.0
	for i, t := range times {
		m := t.Median()
		run[fmt.Sprintf("q%02d", i+1)] = m
		run[total] += m
		logs += math.Log(m * 1000)
	}
	run[geo] = math.Exp(logs / float64(len(times)))
	return run, w, nil
}

func (q *asker) besides(ctx context.Context) (report.Run, error) {
	run, _, err := q.ask(ctx, q.alone.CPU, func(sql string) error {
		_, err := q.alone.Ask(ctx, sql)
		return err
	})
	if err != nil {
		return nil, err
	}
	rss, err := measure.PeakRSS(q.alone.PID())
	run[peak] = float64(rss) / (1 << 20)
	return run, err
}

// replicated asks the warehouse while so many changes a second are applied.
func (q *asker) replicated(ctx context.Context, perSecond int) (report.Run, error) {
	if err := q.program.ForgetPeak(); err != nil {
		return nil, err
	}
	conn, err := q.program.Connect(ctx, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	loadCtx, stop := context.WithCancel(ctx)
	defer stop()
	writers, writersCtx := errgroup.WithContext(loadCtx)
	var changes atomic.Int64
	if perSecond > 0 {
		for w := range int64(queriesWriters) {
			writers.Go(func() error { return q.write(writersCtx, w, float64(perSecond)/queriesWriters, &changes) })
		}
	}
	before, began := changes.Load(), time.Now()
	run, _, err := q.ask(ctx, q.program.CPU, func(sql string) error {
		if err := writersCtx.Err(); err != nil && ctx.Err() == nil {
			return fmt.Errorf("the writers: %w", err)
		}
		_, err := conn.PgConn().Exec(ctx, sql).ReadAll()
		return err
	})
	written := float64(changes.Load()-before) / time.Since(began).Seconds()
	stop()
	if err := writers.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	if perSecond > 0 {
		run[writes] = written
		if written < 0.95*float64(perSecond) {
			q.env.Logf("  THE MACHINE COULD NOT WRITE MORE THAN %.0f changes a second", written)
		}
	}
	rss, err := q.program.PeakRSS()
	if err != nil {
		return nil, err
	}
	run[peak], run[over] = rss, rss-float64(q.program.Memory)
	return run, q.check(ctx)
}

// write changes orders with their line items, ten orders in a transaction, at
// so many changes a second until its context ends. Each writer has orders of
// its own.
func (q *asker) write(ctx context.Context, writer int64, perSecond float64, changes *atomic.Int64) error {
	conn, err := q.source.Conn(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	const orders = 10
	of, key := lab.TPCHOrders(q.scale), lab.TPCHOrderKey("n")
	began, written := time.Now(), 0.0
	for ctx.Err() == nil {
		if ahead := time.Duration(written/perSecond*float64(time.Second)) - time.Since(began); ahead > 0 {
			select {
			case <-time.After(ahead):
			case <-ctx.Done():
				continue
			}
		}
		numbers := make([]int64, orders)
		for i := range numbers {
			numbers[i] = 1 + rand.Int64N(of/queriesWriters)*queriesWriters + writer
		}
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			o, err := tx.Exec(ctx, "UPDATE orders SET o_totalprice = o_totalprice + 1 FROM (SELECT "+key+" AS k FROM unnest($1::bigint[]) n) s WHERE o_orderkey = k", numbers)
			if err != nil {
				return err
			}
			l, err := tx.Exec(ctx, "UPDATE lineitem SET l_tax = 0.08 - l_tax FROM (SELECT "+key+" AS k FROM unnest($1::bigint[]) n) s WHERE l_orderkey = k", numbers)
			written += float64(o.RowsAffected() + l.RowsAffected())
			changes.Add(o.RowsAffected() + l.RowsAffected())
			return err
		})
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// check compares the tables that were changed with the source once all has
// been applied.
func (q *asker) check(ctx context.Context) error {
	for _, t := range lab.TPCH[6:] {
		want, err := t.Digest(ctx, q.source, database)
		if err != nil {
			return err
		}
		conn, err := q.program.Connect(ctx, database)
		if err != nil {
			return err
		}
		_, err = conn.PgConn().Exec(ctx, "SET penstock.wait_for = 'now'; SET penstock.wait_timeout = '120s'; SELECT 1").ReadAll()
		conn.Close(context.WithoutCancel(ctx))
		if err != nil {
			return err
		}
		if err := t.Check(ctx, q.program, database, want); err != nil {
			return err
		}
	}
	return nil
}
