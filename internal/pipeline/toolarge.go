package pipeline

import (
	"context"
	"errors"
	"slices"
	"time"

	"penstock"
)

// A table whose rows the target cannot have in memory fails, and the others go
// on (promise 5). It is loaded again: rows that did not fit because others came
// with them, or had just gone, fit then. If they do not, it is tried now and
// then, as they may have gone.
const (
	minTooLargePause = time.Second
	maxTooLargePause = time.Hour
)

// tooLarge returns which table a destination has no memory for; nil if err is
// about something else.
func tooLarge(err error) *penstock.TooLarge {
	var t *penstock.TooLarge
	if errors.As(err, &t) {
		return t
	}
	return nil
}

// tooLargeState is the state of a table that has failed for want of memory.
func tooLargeState(t *penstock.TooLarge) penstock.TableStatus {
	what := "values"
	if t.Columns > 0 {
		what = "columns"
	}
	if t.Rows > 0 {
		what = "rows"
	}
	return penstock.TableStatus{Table: *t.Table, State: penstock.TableFailed,
		Reason: string(penstock.ProblemMemoryExhausted) + ": " + t.Error() + "; to mend it: " + t.Mend() + ", or remove " + what + " at the source or the table from the data filter"}
}

// blame names the table to which it is due that a batch does not fit into the
// target's memory, if a smaller batch would be of no use: either the batch is
// larger than it may be already, because of a row, or it is as small as can be.
func (p *Pipeline) blame(b *penstock.Batch, err error) *penstock.TooLarge {
	if t := tooLarge(err); t != nil {
		return t
	}
	if penstock.ProblemOf(err) != penstock.ProblemMemoryExhausted {
		return nil
	}
	var largest *penstock.TableBatch
	size := 0
	for i := range b.Tables {
		tb := &b.Tables[i]
		n := tb.Rows.Size()
		if tb.Base != nil {
			n += p.limit() // what it builds on may be large
		}
		if largest == nil || n > size {
			largest, size = tb, n
		}
	}
	if largest == nil || p.limit() > minLimit && size < 2*p.limit() {
		return nil
	}
	return &penstock.TooLarge{Table: largest.Table, Bytes: int64(largest.Rows.Size())}
}

// failTooLarge records, while the stream is open, that a table has failed for
// want of memory. The stream is opened anew without it, and so is the destination,
// which may have to give up what the batch has left in memory.
func (p *Pipeline) failTooLarge(ctx context.Context, t *penstock.TooLarge) error {
	if err := p.recordTooLarge(ctx, t); err != nil {
		return err
	}
	return errAbandoned
}

func (p *Pipeline) recordTooLarge(ctx context.Context, t *penstock.TooLarge) error {
	state := tooLargeState(t)
	p.log.Warn("table failed", "table", t.Table.String(), "reason", state.Reason)
	p.retry.holdBack(t.Table.ID, minTooLargePause, maxTooLargePause)
	return p.writer.do(ctx, func(d penstock.Destination) error { return d.SetStates(ctx, []penstock.TableStatus{state}) })
}

// fit returns those of the tables to be loaded that the destination can have;
// the others fail. penstock.ErrReopen if it has to be laid out anew for them.
func (p *Pipeline) fit(ctx context.Context, tables []penstock.Table) ([]penstock.Table, error) {
	for {
		err := p.writer.do(ctx, func(d penstock.Destination) error {
			if l, ok := d.(penstock.Layout); ok {
				return l.Fits(ctx, tables)
			}
			return nil
		})
		t := tooLarge(err)
		if t == nil {
			return tables, err
		}
		id := t.Table.ID
		if err := p.recordTooLarge(ctx, t); err != nil {
			return nil, err
		}
		tables = slices.DeleteFunc(slices.Clone(tables), func(x penstock.Table) bool { return x.ID == id })
	}
}
