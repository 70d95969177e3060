package memsource

import (
	"context"
	"errors"
	"slices"

	"penstock"
)

// pin implements penstock.Pin.
type pin struct {
	capture  *capture
	slot     int
	snapshot snapshot
	tables   []penstock.Table
	files    map[penstock.TableID]int
}

var (
	_ penstock.Pinner = (*capture)(nil)
	_ penstock.Pin    = (*pin)(nil)
)

// Pin implements penstock.Pinner. Every snapshot shows what is in the log up to
// a place here; it waits for open transactions as others have to.
func (c *capture) Pin(ctx context.Context, at penstock.Position, hold func()) (penstock.Pin, error) {
	db, s := c.db, c.db.source
	stream, err := decodePosition(at)
	if err != nil {
		return nil, err
	}
	hold()
	err = s.begin(ctx, "Pin")
	defer s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	open := slices.Clone(db.open)
	for i := slices.IndexFunc(open, isOpen); i >= 0; i = slices.IndexFunc(open, isOpen) {
		moved := db.moved
		s.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
		}
		s.mu.Lock()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, penstock.Errorf(penstock.KindConflict, "transaction %d has not ended in time", open[i].xid)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	p := &pin{capture: c, slot: stream.slot, snapshot: db.snapshot(), files: map[penstock.TableID]int{}}
	for _, t := range db.tables {
		if c.spec.Filter.Match(db.name, t.shape.Schema, t.shape.Name) {
			p.tables = append(p.tables, *t.shape)
			p.files[t.shape.ID] = t.file
		}
	}
	return p, nil
}

func isOpen(tx *Tx) bool { return !tx.done }

// Position implements penstock.Pin.
func (p *pin) Position() penstock.Position {
	s := p.capture.db.source
	return position{system: s.system, name: p.capture.db.name, slot: p.slot, lsn: p.snapshot.upto}.encode()
}

// Tables implements penstock.Pin.
func (p *pin) Tables(ctx context.Context) ([]penstock.Table, error) {
	s := p.capture.db.source
	defer s.mu.Unlock()
	if err := s.begin(ctx, "PinTables"); err != nil {
		return nil, err
	}
	return p.tables, nil
}

// Load implements penstock.Pin.
func (p *pin) Load(ctx context.Context, tables []penstock.Table) (penstock.Load, error) {
	s := p.capture.db.source
	defer s.mu.Unlock()
	if err := s.begin(ctx, "PinLoad"); err != nil {
		return nil, err
	}
	l := &load{capture: p.capture, snapshot: p.snapshot}
	for i := range tables {
		l.cut(&tables[i], p.files[tables[i].ID], nil)
	}
	return l, nil
}

// Close implements penstock.Pin; there is nothing to release.
func (p *pin) Close() error { return nil }
