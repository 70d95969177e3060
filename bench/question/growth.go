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

// growthMemory is the program's where tables are large, in MiB: what the engine has in
// memory of a table that is changed all over is eight bytes for each of its rows.
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
		Asks: "What a change costs while a backlog is drained, as in the first question (a hundred rows per transaction, five columns without text), by the size of the table before: with changes spread uniformly over all keys, " +
			"and with changes of the last twentieth of the keys, and 2 GiB of memory for the program. Then by the number of tables, among which a million rows and a million changes are divided, a table in each " +
			"transaction, in turn; and by the number of integrations of one process, each of a database of its own, likewise; with as much memory as the program takes by default, 512 MiB, and with 2 GiB for comparison. What is compared, each on servers of its own, takes turns.",
		Metrics: []report.Metric{
			{Key: ours, Title: "our CPU s per million", Digits: 2, Spread: true}, {Key: rate, Title: "changes/s"}, {Key: wall, Title: "seconds", Digits: 1},
			{Key: sources, Title: "source's CPU s per million", Digits: 2}, {Key: peak, Title: "peak RSS, MiB"}, {Key: others, Title: "others, %", Digits: 1},
		},
		Ratios: []report.Ratio{
			{Title: "50 million rows / 1 million", Metric: ours, Arm: sizeName(50_000_000), To: sizeName(1_000_000)},
			{Title: "1,000 tables / 1", Metric: ours, Arm: countName(1000, "table"), To: countName(1, "table")},
			{Title: "20 integrations / 1", Metric: ours, Arm: countName(20, "integration"), To: countName(1, "integration")},
		},
		Charts: report.Chart{Title: "Our CPU per change", Axis: "CPU s per million changes", Metrics: []string{ours}},
	},
	Cases: []Case{
		{Name: uniform, Run: sizesCase(false)},
		{Name: recents, Run: sizesCase(true)},
		{Name: "tables", Run: tablesCase},
		{Name: "integrations", Run: integrationsCase},
	},
	Judge: judgeGrowth,
}

func judgeGrowth(r *report.Result) (goals []report.Goal) {
	for _, g := range []struct {
		keys string
		most float64
	}{{recents, 1.5}, {uniform, 3}} {
		if c := r.Case(g.keys); c != nil {
			goals = goalAtMost(goals, "a change of 50 million rows to one of a million, "+g.keys, c.Ratio(ours, sizeName(50_000_000), sizeName(1_000_000)), g.most, 1, "")
		}
	}
	return memoryGoal(goals, r)
}

// sizesCase measures tables of all sizes, which take turns.
func sizesCase(recent bool) func(context.Context, *lab.Env, Scale) (report.Case, error) {
	return func(ctx context.Context, env *lab.Env, scale Scale) (c report.Case, err error) {
		changes := scale.size(2_000_000, 20_000)
		c.Setting = fmt.Sprintf("%s changes, of which %s insert a row and %s delete one", report.Number(float64(changes), 0), report.Number(float64(changes)*.4, 0), report.Number(float64(changes)*.1, 0))
		var arms []arm
		for _, rows := range sizes {
			m := mix{table: lab.Numbers, rows: scale.size(rows, max(rows/100, 10_000)), changes: changes, perTx: 100, recent: recent}
			r, err := backlogOf(ctx, env, m)
			if err != nil {
				return c, err
			}
			env.Logf("  there is a table of %d rows", m.rows)
			arms = append(arms, arm{sizeName(m.rows), r.drains(changes)})
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

// countName is how many there are of something: "1 table", "1,000 tables".
func countName(n int, of string) string {
	if n != 1 {
		of += "s"
	}
	return report.Number(float64(n), 0) + " " + of
}

// tablesCase measures with what is divided among few or many tables.
func tablesCase(ctx context.Context, env *lab.Env, scale Scale) (c report.Case, err error) {
	all := mix{table: lab.Numbers, rows: scale.size(1_000_000, 20_000), changes: scale.size(1_000_000, 20_000)}
	c.Setting = fmt.Sprintf("%s changes of tables of %s rows together", report.Number(float64(all.changes), 0), report.Number(float64(all.rows), 0))
	var arms []arm
	most := int(scale.size(1000, 100))
	for _, a := range []struct {
		name           string
		tables, memory int
	}{
		{"", 1, 0}, {"", int(scale.size(100, 10)), 0}, {"", most, 0}, {", 2 GiB", most, growthMemory},
	} {
		m := manyTables{all, a.tables}
		r := &rig{env: env, databases: []string{database}, memory: a.memory}
		for i := range a.tables {
			r.tables = append(r.tables, m.of(i))
		}
		arms = append(arms, arm{countName(a.tables, "table") + a.name, r.drains(m.changes)})
		if err := r.divide(ctx, m); err != nil {
			return c, err
		}
	}
	return c, alternate(ctx, env, &c, scale.windows(1), arms)
}

// integrationsCase measures with what is divided among few or many databases, each with
// an integration.
func integrationsCase(ctx context.Context, env *lab.Env, scale Scale) (c report.Case, err error) {
	rows, changes := scale.size(1_000_000, 40_000), scale.size(1_000_000, 40_000)
	c.Setting = fmt.Sprintf("%s changes of tables of %s rows together, one in each database", report.Number(float64(changes), 0), report.Number(float64(rows), 0))
	var arms []arm
	for _, n := range []int64{1, scale.size(5, 2), scale.size(20, 4)} {
		m := mix{table: lab.Numbers, rows: rows / n, changes: changes / n, perTx: 100}
		r := &rig{env: env, tables: []lab.Table{m.table}}
		for i := range n {
			r.databases = append(r.databases, fmt.Sprintf("%s%d", database, i+1))
		}
		arms = append(arms, arm{countName(int(n), "integration"), r.drains(changes)})
		if err := r.divide(ctx, m); err != nil {
			return c, err
		}
	}
	return c, alternate(ctx, env, &c, scale.windows(2), arms)
}

// drains returns how an arm is measured that drains so many changes.
func (r *rig) drains(changes int64) func(context.Context) (report.Run, error) {
	return func(ctx context.Context) (report.Run, error) { return r.drain(ctx, changes, "growth") }
}

// divide starts a server, fills its databases and writes their backlogs.
func (r *rig) divide(ctx context.Context, f filler) (err error) {
	if r.source, err = r.env.StartServer(ctx, nil); err != nil {
		return err
	}
	for _, db := range r.databases {
		if err := r.source.Exec(ctx, "postgres", "CREATE DATABASE "+db); err != nil {
			return err
		}
		if err := f.fill(ctx, r.source, db); err != nil {
			return err
		}
	}
	if err := r.start(ctx); err != nil {
		return err
	}
	if err := r.remember(ctx); err != nil {
		return err
	}
	for _, db := range r.databases {
		if _, err := f.write(ctx, r.source, db, r.mark); err != nil {
			return err
		}
	}
	return r.written(ctx)
}
