package pipeline

import (
	"context"
	"slices"
	"time"

	"penstock"
)

// keeper knows of which tables every version is kept, while a stream is open.
// Such a table is, until it is swapped in, loaded and followed like any other.
// It belongs to one stream, and all but versioned to the applier.
type keeper struct {
	p         *Pipeline
	versioned map[penstock.TableID]bool // that have versions now, or once they are swapped in; not changed
	begins    map[penstock.TableID]bool // of these: by the default for new tables
	keeps     map[penstock.TableID]bool // of these: whose rows go to the readable version
	latest    time.Time                 // of a transaction that has been handed over
}

func newKeeper(p *Pipeline, t *turn) *keeper {
	k := &keeper{p: p, versioned: map[penstock.TableID]bool{}, begins: map[penstock.TableID]bool{}, keeps: map[penstock.TableID]bool{}}
	for _, table := range t.tables {
		id := table.ID
		if begins := t.fresh[id] && p.options.Load().HistoryMode; begins || t.history[id] {
			k.versioned[id], k.begins[id] = true, begins
			k.keeps[id] = t.joins[id] == ""
		}
	}
	return k
}

// unfinished is a table of which not all changes are in a batch.
type unfinished struct {
	changes *penstock.TableChanges
	next    int // the first that is not
	floor   time.Time
}

// begin adds to a batch what it does to tables in history mode, as much as may
// be in it, and returns those of which there is more.
func (k *keeper) begin(b *penstock.Batch, c *penstock.Changes) (rest []*unfinished) {
	floor := k.latest
	if k.p.writer.clock.After(floor) {
		floor = k.p.writer.clock
	}
	if k.latest = floor; c.Time().After(floor) {
		k.latest = c.Time()
	}
	b.At = k.latest
	for _, tc := range c.Tables {
		if k.keeps[tc.Table.ID] {
			u := &unfinished{tc, 0, floor}
			if b.Tables = append(b.Tables, k.part(u)); u.next < len(tc.Ops) {
				rest = append(rest, u)
			}
		}
	}
	for _, id := range c.Dropped {
		if !k.versioned[id] {
			b.Drop = append(b.Drop, id)
			continue
		}
		b.Retire = append(b.Retire, id)
		b.At = k.latest.Add(time.Microsecond)
	}
	return rest
}

// part returns the next changes of a table.
func (k *keeper) part(u *unfinished) penstock.TableBatch {
	u.changes.Rows.Truncate(len(u.changes.Ops)) // what the part before has added
	return withCompactor(func(c *compactor) (tb penstock.TableBatch) {
		tb, u.next = c.versions(u.changes, u.next, u.floor, k.p.limit()/2)
		return tb
	})
}

// applyInParts applies a batch that is followed by more of some of its tables,
// in one transaction of the destination. The batch that failed, if one did, is
// returned with the error.
func (r *replication) applyInParts(ctx context.Context, a *applier, b *penstock.Batch, rest []*unfinished) (*penstock.Batch, error) {
	first, last := *b, *b
	first.Partial, first.States, first.Retire = true, nil, nil
	last.Drop, last.Alter, last.Tables = nil, nil, nil
	if err := r.mender.apply(ctx, a, &first); err != nil {
		return &first, err
	}
	for len(rest) > 0 {
		part := &penstock.Batch{Next: b.Next, Partial: true, Strict: b.Strict}
		for _, u := range rest {
			part.Tables = append(part.Tables, r.keeper.part(u))
		}
		if err := a.apply(ctx, part, false); err != nil {
			return part, err
		}
		rest = slices.DeleteFunc(rest, func(u *unfinished) bool { return u.next == len(u.changes.Ops) })
	}
	return &last, a.apply(ctx, &last, false)
}

// swap returns the batch that swaps tables in.
func (k *keeper) swap(next penstock.Position, tables []penstock.TableID) *penstock.Batch {
	b := &penstock.Batch{Next: next, Swap: tables, At: k.p.writer.instant()}
	for _, id := range tables {
		if k.begins[id] {
			b.Switch = append(b.Switch, penstock.Switch{Table: id, History: true})
		}
	}
	return b
}

// swapped takes note of tables that are readable now.
func (k *keeper) swapped(tables []penstock.TableID) {
	for _, id := range tables {
		k.keeps[id] = k.versioned[id]
	}
}
