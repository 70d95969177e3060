package pipeline

import (
	"context"
	"errors"
	"slices"
	"strings"

	"penstock"
)

// BadValuePolicy says what becomes of a value that the warehouse cannot hold.
type BadValuePolicy string

// The policies.
const (
	// NullifyBadValues stores NULL, counts and reports it (promise 5).
	NullifyBadValues BadValuePolicy = "nullify"
	// FailBadValues has the table fail at the first such value. What can be
	// read of it stays as it was before.
	FailBadValues BadValuePolicy = "fail"
)

func (p *Pipeline) strict() bool { return p.cfg.BadValues == FailBadValues }

// unrepresentable begins the reason of a table that has failed for a value.
const unrepresentable = string(penstock.ProblemBadValues) + ": "

// badValue returns what a destination, or a load, found that it may not store
// as NULL; nil if err is about something else.
func badValue(err error) *penstock.Unrepresentable {
	var u *penstock.Unrepresentable
	if penstock.KindOf(err) == penstock.KindUnrepresentable && errors.As(err, &u) {
		return u
	}
	return nil
}

func refused(u *penstock.Unrepresentable) error {
	return &penstock.Error{Kind: penstock.KindUnrepresentable, Err: u}
}

// failedFor is the state of a table that has failed for a value.
func failedFor(u *penstock.Unrepresentable) penstock.TableStatus {
	return penstock.TableStatus{Table: *u.Table, State: penstock.TableFailed, Reason: unrepresentable + u.Error() +
		"; to mend it: change them, or the column's type, at the source and refresh the table, or set on_bad_value: nullify"}
}

// staysFailed reports whether a table has failed for a value and is not to be
// loaded again by itself: another load would meet the same value.
func (p *Pipeline) staysFailed(known []penstock.TableStatus) func(*penstock.Table) bool {
	if !p.strict() {
		return func(*penstock.Table) bool { return false }
	}
	failed := map[penstock.TableID]*penstock.Table{}
	for i := range known {
		if st := &known[i]; st.State == penstock.TableFailed && strings.HasPrefix(st.Reason, unrepresentable) {
			failed[st.Table.ID] = &st.Table
		}
	}
	return func(t *penstock.Table) bool {
		was := failed[t.ID]
		return was != nil && sameAsLoaded(was, t)
	}
}

// failTable records, while the stream is open, that a table has failed for a
// value. The stream is opened anew without it: nothing of the batch has been
// applied, and it comes again.
func (p *Pipeline) failTable(ctx context.Context, u *penstock.Unrepresentable) error {
	state := failedFor(u)
	p.log.Warn("table failed", "table", u.Table.String(), "reason", state.Reason)
	if err := p.writer.do(ctx, func(d penstock.Destination) error { return d.SetStates(ctx, []penstock.TableStatus{state}) }); err != nil {
		return err
	}
	return errRejoin
}

// applyFollowed applies a batch beside the stream. A table that fails for a
// value is left out, unless a part of the transaction has been applied already.
func (l *loading) applyFollowed(ctx context.Context, a *applier, b *penstock.Batch) error {
	b.Strict = l.p.strict()
	for {
		whole := !a.inside && !b.Partial
		err := a.apply(ctx, b, true)
		var id penstock.TableID
		if u := badValue(err); u != nil {
			id = u.Table.ID
		} else if t := strayed(err); t != nil {
			id = t.ID
		} else if t := tooLarge(err); t != nil {
			id = t.Table.ID
		} else {
			return err
		}
		l.fail(id, err)
		if !whole {
			return penstock.Errorf(penstock.KindStale, "the load starts again without a table: %s", err)
		}
		b.Tables = slices.DeleteFunc(b.Tables, func(t penstock.TableBatch) bool { return t.Table.ID == id })
	}
}

// refuseBad fails loaded tables for values that only the destination found to
// be bad.
func (l *loading) refuseBad(ctx context.Context, d penstock.Destination) error {
	if !l.p.strict() {
		return nil
	}
	state, err := d.State(ctx)
	if err != nil {
		return err
	}
	for i := range state.Tables {
		st := &state.Tables[i]
		if _, ours := l.joins[st.Table.ID]; ours && st.BadValues.Total() > 0 {
			l.fail(st.Table.ID, refused(&penstock.Unrepresentable{Table: &st.Table, Values: st.BadValues}))
		}
	}
	return nil
}
