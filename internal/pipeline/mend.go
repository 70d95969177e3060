package pipeline

import (
	"context"
	"slices"

	"penstock"
)

// mender applies batches to tables that were loaded from several snapshots,
// until the stream has passed them all. Rows that changes build on may be
// missing then; they are read again at the source, by key, as they are by now.
// A row that is newer than the batch is put right again by what the stream
// still delivers, so the table waits until the stream has passed that too.
// It belongs to one stream, and is used by one goroutine.
type mender struct {
	p     *Pipeline
	joins map[penstock.TableID]penstock.Snapshot // of tables that are being mended
	moved map[penstock.TableID]bool              // joins has a later one than the stream knows
}

func newMender(p *Pipeline, joins map[penstock.TableID]penstock.Snapshot) *mender {
	return &mender{p: p, joins: joins, moved: map[penstock.TableID]bool{}}
}

// mends reports whether a table is being mended.
func (m *mender) mends(id penstock.TableID) bool { return m.joins[id] != "" }

// apply applies a batch of the stream. What is read again becomes a part of the
// same transaction of the destination, since readers must not see one without
// the other once the table is swapped in.
func (m *mender) apply(ctx context.Context, a *applier, b *penstock.Batch) error {
	if !slices.ContainsFunc(b.Tables, func(tb penstock.TableBatch) bool {
		return tb.Mend && (tb.Base != nil || tb.Missing != nil)
	}) {
		return a.apply(ctx, b, false)
	}
	first, last := *b, *b
	first.Partial, first.States = true, nil
	last.Drop, last.Alter, last.Tables, last.Joins = nil, nil, nil, map[penstock.TableID]penstock.Snapshot{}
	if err := a.apply(ctx, &first, false); err != nil {
		return err
	}
	for i := range first.Tables {
		tb := &first.Tables[i]
		if len(tb.Missing) == 0 {
			continue
		}
		join, err := m.reread(ctx, a, b, tb)
		if penstock.KindOf(err) == penstock.KindStale && err != nil {
			// The transaction cannot be completed, so the destination is opened anew.
			m.p.log.Warn("a table cannot be mended and will be loaded again", "table", tb.Table.String(), "error", err)
			m.p.beyond = append(m.p.beyond, penstock.TableStatus{Table: *tb.Table, State: penstock.TableResyncRequired, Reason: err.Error()})
			return errAbandoned
		}
		if err != nil {
			return err
		}
		last.Joins[tb.Table.ID] = join
		m.joins[tb.Table.ID], m.moved[tb.Table.ID] = join, true
	}
	return a.apply(ctx, &last, false)
}

// reread adds the rows that are missing, as far as they are still there.
func (m *mender) reread(ctx context.Context, a *applier, b *penstock.Batch, tb *penstock.TableBatch) (penstock.Snapshot, error) {
	m.p.log.Debug("rows are read again", "table", tb.Table.String(), "rows", len(tb.Missing))
	var rows penstock.Rows
	rows.Reset(tb.Table)
	var all []int32
	return m.p.capture.Reread(ctx, tb.Table, tb.Rows, tb.Missing, m.joins[tb.Table.ID], &rows, min(loadBuffer, m.p.limit()), func(bad penstock.BadValues) error {
		for i := len(all); i < rows.Len(); i++ {
			all = append(all, int32(i))
		}
		these := all[:rows.Len()]
		m.p.repair(&rows)
		return a.apply(ctx, &penstock.Batch{Next: b.Next, Partial: true, Strict: b.Strict, Tables: []penstock.TableBatch{
			{Table: tb.Table, Rows: &rows, Mend: true, Remove: these, Put: these, BadValues: bad}}}, false)
	})
}

// passed returns which of the tables that the stream has passed are right now,
// and whether others have to wait for more than the stream knew of.
func (m *mender) passed(tables []penstock.TableID) (right []penstock.TableID, later bool) {
	for _, id := range tables {
		if m.moved[id] {
			later = true
			continue
		}
		delete(m.joins, id)
		right = append(right, id)
	}
	return right, later
}

// startAgain has those tables loaded again that could not be mended.
func (p *Pipeline) startAgain(ctx context.Context, d penstock.Destination) error {
	if len(p.beyond) == 0 {
		return nil
	}
	if err := d.SetStates(ctx, p.beyond); err != nil {
		return err
	}
	p.beyond = nil
	return nil
}
