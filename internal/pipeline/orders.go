package pipeline

import (
	"context"
	"fmt"
	"time"

	"penstock"
)

// order is something that somebody wants done to tables between two streams:
// what a stream delivers, and how it is applied, depends on it.
type order struct {
	do   func(ctx context.Context, d penstock.Destination) error
	done chan error // has the outcome
}

// ask has something done while no stream is open, which ends the one that is,
// to be opened anew; and waits for it. check says beforehand, while it is open,
// whether there is anything to do, or why it cannot be done. KindInvalidState if it
// does not come to pass before ctx ends.
func (p *Pipeline) ask(ctx context.Context, check func(penstock.DestinationState) (bool, error), do func(ctx context.Context, d penstock.Destination) error) error {
	sensible := false
	if err := p.now(ctx, func(d penstock.Destination) error {
		state, err := d.State(ctx)
		if err == nil {
			sensible, err = check(state)
		}
		return err
	}); err != nil || !sensible {
		return err
	}
	select {
	case p.ordering <- struct{}{}:
		defer func() { <-p.ordering }()
	case <-ctx.Done():
		return errBusy
	}
	o := &order{do, make(chan error, 1)}
	p.orders <- o
	fill(p.asked)
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
	}
	select {
	case <-p.orders: // nobody has begun it
		return errBusy
	case err := <-o.done:
		return err
	}
}

// now does something that does not matter to the stream, which may be open.
func (p *Pipeline) now(ctx context.Context, do func(penstock.Destination) error) error {
	w := p.working(ctx)
	if w == nil {
		return errNotRunning
	}
	err := w.do(ctx, do)
	switch {
	case err == errAbandoned, penstock.KindOf(err) == penstock.KindFenced && err != nil:
		return errNotRunning // it has just been closed
	case err != nil && err == ctx.Err():
		return errBusy
	}
	return err
}

var errBusy = &penstock.Error{Kind: penstock.KindInvalidState, Message: "tables are being loaded, or a large transaction is being applied, and it could not be done in time",
	Mend: "try again later"}

// carryOutOrder does what somebody has asked for, if anybody has.
func (p *Pipeline) carryOutOrder(ctx context.Context) error {
	select {
	case <-p.asked:
	default:
	}
	select {
	case o := <-p.orders:
		var failed error
		err := p.writer.do(ctx, func(d penstock.Destination) error {
			failed = o.do(ctx, d)
			state, err := d.State(ctx)
			p.status.setTables(state.Tables)
			return err
		})
		if err != nil && failed == nil {
			failed = errNotRunning
		}
		o.done <- failed
		return err
	default:
		return nil
	}
}

// refuseOrder tells whoever waits that nothing will be done.
func (p *Pipeline) refuseOrder() {
	select {
	case o := <-p.orders:
		o.done <- errNotRunning
	default:
	}
}

// applyNow applies a batch that leaves the position as it is, in turn.
func (p *Pipeline) applyNow(ctx context.Context, d penstock.Destination, b *penstock.Batch) error {
	b.Next = p.writer.position
	if err := d.Apply(ctx, p.writer.position, b); err != nil {
		return err
	}
	if b.At.After(p.writer.clock) {
		p.writer.clock = b.At
	}
	return nil
}

// SetHistory turns history mode on or off for tables. It returns how many were
// switched, once that is done, and how many could not be, since they are not
// Synced. Errors are those of HistoryChange.Select, and KindInvalidState if
// the stream does not run. It may be called at any time, from any goroutine.
func (p *Pipeline) SetHistory(ctx context.Context, c penstock.HistoryChange) (tables, skipped int, err error) {
	check := func(state penstock.DestinationState) (bool, error) {
		chosen, left, err := c.Select(state.Tables)
		skipped = left
		return len(chosen) > 0, err
	}
	err = p.ask(ctx, check, func(ctx context.Context, d penstock.Destination) error {
		state, err := d.State(ctx)
		if err != nil {
			return err
		}
		chosen, left, err := c.Select(state.Tables)
		if skipped = left; err != nil || len(chosen) == 0 {
			return err
		}
		b := &penstock.Batch{At: p.writer.instant()}
		for _, t := range chosen {
			b.Switch = append(b.Switch, penstock.Switch{Table: t.Table.ID, History: c.On})
		}
		tables = len(chosen)
		p.log.Info("history mode", "on", c.On, "tables", tables)
		return p.applyNow(ctx, d, b)
	})
	return tables, skipped, err
}

// EndRows ends all active rows of a table in history mode: what TRUNCATE does
// that a user of the warehouse runs. The source knows nothing of it. KindNotFound
// if there is no such table, KindInvalid if it has no history, KindInvalidState if
// it is being loaded, or the stream does not run.
func (p *Pipeline) EndRows(ctx context.Context, name penstock.TableName) error {
	find := func(state penstock.DestinationState) (t penstock.TableStatus, err error) {
		t, err = name.Find(state.Tables)
		switch {
		case err != nil:
		case !t.History:
			err = penstock.Errorf(penstock.KindInvalid, "table %s is not in history mode", name)
		case t.State != penstock.TableSynced && t.State != penstock.TableDroppedSource || !t.Readable:
			err = &penstock.Error{Kind: penstock.KindInvalidState, Message: fmt.Sprintf("table %s is %s", name, t.State), Mend: "try again once it is Synced"}
		}
		return t, err
	}
	check := func(state penstock.DestinationState) (bool, error) {
		_, err := find(state)
		return true, err
	}
	return p.ask(ctx, check, func(ctx context.Context, d penstock.Destination) error {
		state, err := d.State(ctx)
		if err != nil {
			return err
		}
		t, err := find(state)
		if err != nil {
			return err
		}
		// By our clock, since the source has nothing to do with it; and the time
		// of what is still to come from there does not depend on it.
		v := penstock.NewVersions()
		if v.EmptiedAt = time.Now().UTC().Truncate(time.Microsecond); !v.EmptiedAt.After(p.writer.clock) {
			v.EmptiedAt = p.writer.instant()
		}
		p.log.Info("rows ended on request", "table", t.Table.String())
		return p.applyNow(ctx, d, &penstock.Batch{Tables: []penstock.TableBatch{{Table: &t.Table, Truncate: true, Rows: penstock.NewRows(&t.Table), Versions: v}}})
	})
}

// DropKept is Archive.DropKept. KindInvalidState if the stream does not run.
func (p *Pipeline) DropKept(ctx context.Context, t penstock.TableName) error {
	return p.archive(ctx, func(a penstock.Archive) error { return a.DropKept(ctx, t) })
}

// RenameKept is Archive.RenameKept. KindInvalidState if the stream does not run.
func (p *Pipeline) RenameKept(ctx context.Context, t penstock.TableName, to string) error {
	return p.archive(ctx, func(a penstock.Archive) error { return a.RenameKept(ctx, t, to) })
}

func (p *Pipeline) archive(ctx context.Context, do func(penstock.Archive) error) error {
	return p.now(ctx, func(d penstock.Destination) error {
		a, ok := d.(penstock.Archive)
		if !ok {
			return penstock.Errorf(penstock.KindInvalid, "a %s target keeps no such tables", p.cfg.Target.Engine())
		}
		if err := do(a); err != nil {
			return err
		}
		state, err := d.State(ctx)
		p.status.setTables(state.Tables)
		return err
	})
}
