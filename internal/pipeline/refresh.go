package pipeline

import (
	"context"
	"time"

	"penstock"
)

// refreshAsked is the reason of a table that a user has loaded again.
const refreshAsked = "a refresh was asked for"

// Refresh has tables loaded again, behind a swap: what they hold stays readable
// until then (promise 6). It returns how many, once that is durable; the loads
// themselves go on by themselves, and show in the tables' states. Tables that
// are being loaded anyway are left alone. It may be called at any time, from
// any goroutine; KindInvalidState if the stream does not run.
func (p *Pipeline) Refresh(ctx context.Context, r penstock.Refresh) (tables int, err error) {
	w := p.working(ctx)
	if w == nil {
		return 0, errNotRunning
	}
	err = w.do(ctx, func(d penstock.Destination) error {
		state, err := d.State(ctx)
		if err != nil {
			return err
		}
		chosen, err := r.Select(state.Tables)
		if err != nil || len(chosen) == 0 {
			return err
		}
		states, ids := make([]penstock.TableStatus, len(chosen)), make([]penstock.TableID, len(chosen))
		for i, t := range chosen {
			ids[i] = t.Table.ID
			states[i] = penstock.TableStatus{Table: t.Table, State: penstock.TableResyncRequired, Reason: refreshAsked}
			p.retry.forget(t.Table.ID)
		}
		tables = len(states)
		if f, ok := w.capture.(penstock.Forgiver); ok {
			f.Forgive(ids)
		}
		return d.SetStates(ctx, states)
	})
	switch {
	case err == errAbandoned, penstock.KindOf(err) == penstock.KindFenced && err != nil:
		return 0, errNotRunning // it has just been closed
	case err != nil:
		return 0, err
	}
	if tables > 0 {
		p.log.Info("refresh", "tables", tables)
		p.lookNow()
	}
	return tables, nil
}

// recall tells the source what had been missed of the tables that go on.
func (p *Pipeline) recall(ctx context.Context, d penstock.Destination) error {
	f, ok := p.capture.(penstock.Forgiver)
	if !ok {
		return nil
	}
	state, err := d.State(ctx)
	if err != nil {
		return err
	}
	var tables []penstock.Table
	for i := range state.Tables {
		if st := &state.Tables[i]; streams(st) {
			tables = append(tables, st.Table)
		}
	}
	f.Recall(tables)
	return nil
}

var errNotRunning = &penstock.Error{Kind: penstock.KindInvalidState, Message: "the stream is not running at the moment",
	Mend: "see the integration's problems, and try again once it runs"}

// startPatience is how long somebody who asks for something waits for a pipeline
// that has only begun.
const startPatience = 5 * time.Second

// working returns what the pipeline works with, nil if it does not. If it has not
// yet, that is waited for, but not for long.
func (p *Pipeline) working(ctx context.Context) *running {
	if w := p.current.Load(); w != nil {
		return w
	}
	late := time.NewTimer(startPatience)
	defer late.Stop()
	select {
	case <-p.started:
	case <-late.C:
	case <-ctx.Done():
	}
	return p.current.Load()
}

// lookNow has the source's tables looked at without waiting for the next turn
// to do so.
func (p *Pipeline) lookNow() {
	select {
	case p.looks <- struct{}{}:
	default:
	}
}
