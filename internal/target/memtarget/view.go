package memtarget

import (
	"context"

	"penstock"
)

var (
	_ penstock.Viewer = (*Destination)(nil)
	_ penstock.View   = (*view)(nil)
)

// view implements penstock.View by a copy.
type view struct {
	state penstock.DestinationState
	rows  map[penstock.TableID]*penstock.Rows
}

// View implements penstock.Viewer.
func (d *Destination) View(ctx context.Context) (penstock.View, error) {
	defer d.target.mu.Unlock()
	if err := d.begin(ctx, "View"); err != nil {
		return nil, err
	}
	v := &view{state: d.db.state(), rows: map[penstock.TableID]*penstock.Rows{}}
	for id, t := range d.db.tables {
		if t.readable != nil {
			v.rows[id] = t.readable.copy()
		}
	}
	return v, nil
}

// State implements penstock.View.
func (v *view) State() penstock.DestinationState { return v.state }

// Count implements penstock.View.
func (v *view) Count(_ context.Context, id penstock.TableID) (int64, error) {
	if v.rows[id] == nil {
		return 0, penstock.Errorf(penstock.KindNotFound, "count table %s: it is not readable", id)
	}
	return int64(v.rows[id].Len()), nil
}

// Read implements penstock.View.
func (v *view) Read(ctx context.Context, id penstock.TableID, rows *penstock.Rows, limit int, flush func() error) error {
	all := v.rows[id]
	if all == nil {
		return penstock.Errorf(penstock.KindNotFound, "read table %s: it is not readable", id)
	}
	for i := range all.Len() {
		for c := range rows.Vectors {
			rows.Vectors[c].AppendFrom(&all.Vectors[c], i)
		}
		if rows.Size() < limit && i+1 < all.Len() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := flush(); err != nil {
			return err
		}
		rows.Clear()
	}
	return nil
}

// Store implements penstock.View: there is nothing that is not held.
func (v *view) Store(*penstock.Table, *penstock.Rows) penstock.BadValues { return nil }

// Close implements penstock.View; there is nothing to release.
func (v *view) Close() error { return nil }
