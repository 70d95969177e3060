package question

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"penstock/bench/lab"
	"penstock/bench/measure"
	"penstock/bench/report"
)

const (
	recvlogical = "pg_recvlogical"
	native      = "logical replication"
)

var drain = &Question{
	Name: "drain",
	Frame: report.Result{
		Title: "Draining a backlog",
		Asks: "A backlog of changes (40 % inserts, 50 % updates spread uniformly, 10 % deletes; eight columns, about 150 bytes) waits in the replication slot of a table of a " +
			"million rows, and nothing runs. The clock runs from the start of `penstock serve` until a query at the SQL endpoint shows the last change. Against it, from copies of the same " +
			"slot: `pg_recvlogical` with the same options of the plugin writing to /dev/null, which does nothing with what it reads (the limit), and PostgreSQL's own logical replication " +
			"into a second server with the same table (the usual choice). With transactions of a million rows `pg_recvlogical` reads what the server has put together after the commit, without protocol streaming.",
		Metrics: []report.Metric{
			{Key: rate, Title: "changes/s", Spread: true}, {Key: wall, Title: "seconds", Digits: 1},
			{Key: ours, Title: "its CPU s per million", Digits: 2, Spread: true}, {Key: sources, Title: "source's CPU s per million", Digits: 2},
			{Key: peak, Title: "peak RSS, MiB"}, {Key: others, Title: "others, %", Digits: 1},
		},
		Ratios: []report.Ratio{
			{Title: "penstock / pg_recvlogical", Metric: rate, Arm: penstock, To: recvlogical},
			{Title: "penstock / logical replication", Metric: rate, Arm: penstock, To: native},
		},
		Charts: report.Chart{Title: "Draining a backlog", Axis: "changes/s", Metrics: []string{rate}},
	},
	Cases: []Case{
		{Name: "1 row per transaction", Run: drainCase(1, 2, nil)},
		{Name: "10 rows per transaction", Run: drainCase(10, 2, nil)},
		{Name: "100 rows per transaction", Run: drainCase(100, 2, nil)},
		{Name: "one transaction of a million", Run: drainCase(0, 2, []string{"proto_version=1"})},
	},
	Judge: judgeDrain,
}

func judgeDrain(r *report.Result) (goals []report.Goal) {
	for _, g := range []struct {
		name            string
		limit, ordinary float64
	}{{"1 row per transaction", 1.1, 0}, {"10 rows per transaction", 1.2, 1.6}, {"100 rows per transaction", 1.2, 1.6}, {"one transaction of a million", 1.3, 0}} {
		c := r.Case(g.name)
		if c == nil {
			continue
		}
		goals = goalAtLeast(goals, g.name+": to pg_recvlogical", c.Ratio(rate, penstock, recvlogical), g.limit, 1, "")
		if g.ordinary > 0 {
			goals = goalAtLeast(goals, g.name+": to logical replication", c.Ratio(rate, penstock, native), g.ordinary, 1, "")
		}
		goals = goalAtMost(goals, g.name+": our own CPU per million changes", c.Sample(penstock, ours), 3, 1, " s")
	}
	return memoryGoal(goals, r)
}

// drainer is the setting of a case: a rig with a backlog, and a second server
// with the same database as it was before that.
type drainer struct {
	rig
	mix
	replica      *lab.Server
	publications []string
	options      []string // of pg_recvlogical
	end          string   // of the backlog
}

// drainCase returns how a case is measured; perTx 0 is one transaction of a
// million rows. options are pg_recvlogical's, nil for the program's own.
func drainCase(perTx int64, windows int, options []string) func(context.Context, *lab.Env, Scale) (report.Case, error) {
	return func(ctx context.Context, env *lab.Env, scale Scale) (c report.Case, err error) {
		m := mix{table: lab.Orders, rows: scale.size(1_000_000, 100_000), changes: scale.size(3_000_000, 100_000), perTx: perTx}
		if perTx == 0 {
			m.changes = scale.size(1_000_000, 100_000)
			m.perTx = m.changes
		}
		d := &drainer{rig: rig{env: env, databases: []string{database}, tables: []lab.Table{m.table}}, mix: m, options: options}
		if err := d.setup(ctx); err != nil {
			return c, err
		}
		windows := scale.windows(windows)
		c.Setting = fmt.Sprintf("%s changes on a table of %s rows", report.Number(float64(m.changes), 0), report.Number(float64(m.rows), 0))
		err = alternate(ctx, env, &c, windows, []arm{
			{penstock, func(ctx context.Context) (report.Run, error) { return d.drain(ctx, d.changes, "drain") }},
			{recvlogical, d.receive},
			{native, d.native},
		})
		return c, err
	}
}

func (d *drainer) setup(ctx context.Context) (err error) {
	if d.source, err = d.env.StartServer(ctx, nil); err != nil {
		return err
	}
	if d.replica, err = d.env.StartServer(ctx, nil); err != nil {
		return err
	}
	for _, s := range []*lab.Server{d.source, d.replica} {
		if err := s.Exec(ctx, "postgres", "CREATE DATABASE "+database); err != nil {
			return err
		}
		if err := d.fill(ctx, s, database); err != nil {
			return err
		}
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	if err := d.findOptions(ctx); err != nil {
		return err
	}
	if err := d.remember(ctx); err != nil {
		return err
	}
	if d.end, err = d.write(ctx, d.source, database, d.mark); err != nil {
		return err
	}
	d.env.Logf("  there is a backlog of %d changes", d.changes)
	return d.written(ctx)
}

// findOptions finds out how the program reads.
func (d *drainer) findOptions(ctx context.Context) error {
	command, err := d.source.Query(ctx, database, "SELECT min(query) FROM pg_stat_activity WHERE backend_type = 'walsender' AND query LIKE 'START_REPLICATION %'")
	if err != nil {
		return err
	}
	_, options, err := parseStart(command)
	if err != nil {
		return err
	}
	given := len(d.options) > 0
	for _, o := range pluginOption.FindAllStringSubmatch(options, -1) {
		switch {
		case o[1] == "publication_names":
			d.publications = strings.Split(o[2], ",")
		case given:
			continue
		}
		d.options = append(d.options, o[1]+"="+o[2])
	}
	if len(d.publications) == 0 {
		return fmt.Errorf("no publications in %s", command)
	}
	return nil
}

func (d *drainer) receive(ctx context.Context) (report.Run, error) {
	const slot = "receiver"
	if err := d.source.CopySlot(ctx, database, keeper(database), slot); err != nil {
		return nil, err
	}
	var receiver *lab.Process
	cpu := func() (time.Duration, error) {
		if receiver == nil {
			return 0, nil
		}
		return receiver.CPU()
	}
	w, err := measure.Open(meters(map[string]measure.Meter{ours: cpu, sources: d.source.CPU}))
	if err != nil {
		return nil, err
	}
	if receiver, err = d.env.Receive(d.source, lab.Receiver{Database: database, Slot: slot, Until: d.end, Options: d.options}); err != nil {
		return nil, err
	}
	if err := errors.Join(receiver.Wait(ctx), w.Close()); err != nil {
		return nil, err
	}
	run := drained(w, d.changes)
	run[peak] = receiver.EndedPeakRSS()
	return run, d.source.DropSlot(ctx, database, slot)
}

func (d *drainer) native(ctx context.Context) (run report.Run, err error) {
	const slot, copied = "subscriber", "copied"
	if err := d.source.CopySlot(ctx, database, keeper(database), slot); err != nil {
		return nil, err
	}
	if err := d.replica.Exec(ctx, "postgres", "DROP DATABASE IF EXISTS "+copied, "CREATE DATABASE "+copied+" TEMPLATE "+database+" STRATEGY file_copy", "CHECKPOINT"); err != nil {
		return nil, err
	}
	s, err := lab.Subscribe(ctx, d.source, database, d.replica, copied, slot, d.publications)
	if err != nil {
		return nil, err
	}
	w, err := measure.Open(meters(map[string]measure.Meter{ours: d.replica.CPU, sources: d.source.CPU}))
	if err != nil {
		return nil, err
	}
	if err := s.Begin(ctx); err != nil {
		return nil, err
	}
	conn, err := d.replica.Conn(ctx, copied)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = lab.Await(ctx, 50*time.Millisecond, "the subscription", func() (done bool, err error) {
		err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM mark WHERE id = 1)").Scan(&done)
		return done, err
	})
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	digest, err := d.table.Digest(ctx, d.replica, copied)
	if want := d.digests[database+"."+d.table.Name]; err == nil && digest != want {
		err = fmt.Errorf("the second server has another content, %s instead of %s", digest, want)
	}
	conn.Close(ctx)
	return drained(w, d.changes), errors.Join(err, s.Drop(ctx))
}
