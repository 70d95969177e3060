package question

import (
	"context"
	"fmt"

	"penstock/bench/lab"
	"penstock/bench/report"
)

const (
	uniform = "uniform keys"
	recents = "recent keys"
)

// growthMemory is the program's, in MiB: what the engine has in memory of a table
// that is changed all over is eight bytes for each of its rows.
const growthMemory = 2048

// sizes are the rows of the tables that are compared.
var sizes = []int64{100_000, 1_000_000, 10_000_000, 50_000_000}

func sizeName(rows int64) string {
	if rows < 1_000_000 {
		return fmt.Sprintf("%d thousand rows", rows/1000)
	}
	return fmt.Sprintf("%d million rows", rows/1_000_000)
}

var growth = &Question{
	Name: "growth",
	Frame: report.Result{
		Title: "Growth",
		Asks: "What a change costs while a backlog is drained, as in the first question (a hundred rows per transaction, five columns without text), by the size of the table: with changes spread uniformly over all keys, " +
			"and with changes of the last twentieth of the keys; the sizes, each on servers of its own, take turns. Then by the number of tables, among which a million rows and a million changes are divided, a table in each " +
			"transaction, in turn; and by the number of integrations of one process, each of a database of its own, likewise. The program has 2 GiB of memory.",
		Metrics: []report.Metric{
			{Key: ours, Title: "our CPU s per million", Digits: 2, Spread: true}, {Key: rate, Title: "changes/s"}, {Key: wall, Title: "seconds", Digits: 1},
			{Key: sources, Title: "source's CPU s per million", Digits: 2}, {Key: peak, Title: "peak RSS, MiB"}, {Key: others, Title: "others, %", Digits: 1},
		},
		Charts: report.Chart{Title: "Our CPU per change", Axis: "CPU s per million changes", Metrics: []string{ours}},
	},
	Cases: []Case{
		{Name: uniform, Run: sizesCase(false)},
		{Name: recents, Run: sizesCase(true)},
		{Name: "1 table", Run: tablesCase(1)},
		{Name: "100 tables", Run: tablesCase(100)},
		{Name: "1,000 tables", Run: tablesCase(1000)},
		{Name: "1 integration", Run: integrationsCase(1)},
		{Name: "5 integrations", Run: integrationsCase(5)},
		{Name: "20 integrations", Run: integrationsCase(20)},
	},
	Judge: judgeGrowth,
}

func judgeGrowth(r *report.Result) (goals []report.Goal) {
	for _, g := range []struct {
		keys string
		most float64
	}{{recents, 1.5}, {uniform, 3}} {
		if c := r.Case(g.keys); c != nil {
			small, large := c.Sample(sizeName(1_000_000), ours), c.Sample(sizeName(50_000_000), ours)
			goals = goalAtMost(goals, "a change of 50 million rows to one of a million, "+g.keys, quotient(large.Median(), small.Median()), g.most, 1, "")
		}
	}
	return memoryGoal(goals, r)
}

// sizesCase measures tables of all sizes, which take turns.
func sizesCase(recent bool) func(context.Context, *lab.Env, Scale) (report.Case, error) {
	return func(ctx context.Context, env *lab.Env, scale Scale) (c report.Case, err error) {
		changes := scale.size(2_000_000, 20_000)
		c.Setting = fmt.Sprintf("%s changes", report.Number(float64(changes), 0))
		var arms []arm
		for _, rows := range sizes {
			m := mix{table: lab.Numbers, rows: scale.size(rows, max(rows/100, 10_000)), changes: changes, perTx: 100, recent: recent}
			r, err := backlogOf(ctx, env, m)
			if err != nil {
				return c, err
			}
			env.Logf("  there is a table of %d rows", m.rows)
			arms = append(arms, arm{sizeName(rows), func(ctx context.Context) (report.Run, error) { return r.drain(ctx, changes, "growth") }})
		}
		err = alternate(ctx, env, &c, scale.windows(2), arms)
		return c, err
	}
}

// backlogOf returns a rig of its own with a table and a backlog of it.
func backlogOf(ctx context.Context, env *lab.Env, m mix) (r *rig, err error) {
	r = &rig{env: env, memory: growthMemory, databases: []string{database}, tables: []lab.Table{m.table}}
	if r.source, err = env.StartServer(ctx, map[string]string{"shared_buffers": "4GB"}); err != nil {
		return nil, err
	}
	if err := r.source.Exec(ctx, "postgres", "CREATE DATABASE "+database); err != nil {
		return nil, err
	}
	if err := m.fill(ctx, r.source, database); err != nil {
		return nil, err
	}
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	if err := r.remember(ctx); err != nil {
		return nil, err
	}
	if _, err := m.write(ctx, r.source, database, r.mark); err != nil {
		return nil, err
	}
	return r, r.written(ctx)
}

// filler makes what a database has and writes its backlog.
type filler interface {
	fill(ctx context.Context, s *lab.Server, database string) error
	write(ctx context.Context, s *lab.Server, database string, mark int64) (end string, err error)
}

func tablesCase(tables int) func(context.Context, *lab.Env, Scale) (report.Case, error) {
	return func(ctx context.Context, env *lab.Env, scale Scale) (report.Case, error) {
		n := tables
		if scale.Quick {
			n = (tables + 9) / 10
		}
		m := manyTables{mix{table: lab.Numbers, rows: scale.size(1_000_000, 20_000), changes: scale.size(1_000_000, 20_000)}, n}
		r := &rig{env: env, memory: growthMemory, databases: []string{database}}
		for i := range n {
			r.tables = append(r.tables, m.of(i))
		}
		setting := fmt.Sprintf("%s changes of tables of %s rows", report.Number(float64(m.changes), 0), report.Number(float64(m.rows)/float64(n), 0))
		return divided(ctx, r, m, setting, m.changes, scale)
	}
}

func integrationsCase(integrations int) func(context.Context, *lab.Env, Scale) (report.Case, error) {
	return func(ctx context.Context, env *lab.Env, scale Scale) (report.Case, error) {
		n := int64(integrations)
		if scale.Quick {
			n = (n + 4) / 5
		}
		m := mix{table: lab.Numbers, rows: scale.size(1_000_000, 40_000) / n, changes: scale.size(1_000_000, 40_000) / n, perTx: 100}
		r := &rig{env: env, memory: growthMemory, tables: []lab.Table{m.table}}
		for i := range n {
			r.databases = append(r.databases, fmt.Sprintf("%s%d", database, i+1))
		}
		setting := fmt.Sprintf("%s changes of a table of %s rows in each database", report.Number(float64(m.changes), 0), report.Number(float64(m.rows), 0))
		return divided(ctx, r, m, setting, m.changes*n, scale)
	}
}

// divided measures with what is divided among tables or databases.
func divided(ctx context.Context, r *rig, f filler, setting string, changes int64, scale Scale) (c report.Case, err error) {
	if r.source, err = r.env.StartServer(ctx, nil); err != nil {
		return c, err
	}
	for _, db := range r.databases {
		if err := r.source.Exec(ctx, "postgres", "CREATE DATABASE "+db); err != nil {
			return c, err
		}
		if err := f.fill(ctx, r.source, db); err != nil {
			return c, err
		}
	}
	if err := r.start(ctx); err != nil {
		return c, err
	}
	if err := r.remember(ctx); err != nil {
		return c, err
	}
	for _, db := range r.databases {
		if _, err := f.write(ctx, r.source, db, r.mark); err != nil {
			return c, err
		}
	}
	if err := r.written(ctx); err != nil {
		return c, err
	}
	c.Setting = setting
	err = alternate(ctx, r.env, &c, scale.windows(2), []arm{{uniform, func(ctx context.Context) (report.Run, error) { return r.drain(ctx, changes, "growth") }}})
	return c, err
}
