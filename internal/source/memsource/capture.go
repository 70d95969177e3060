package memsource

import (
	"context"
	"slices"

	"penstock"
)

// capture implements penstock.Capture.
type capture struct {
	db   *Database
	spec penstock.CaptureSpec
}

var _ penstock.Capture = (*capture)(nil)

// Prepare implements penstock.Capture.
func (c *capture) Prepare(ctx context.Context, at penstock.Position) (penstock.Position, error) {
	db, s := c.db, c.db.source
	defer s.mu.Unlock()
	if err := s.begin(ctx, "Prepare"); err != nil {
		return "", err
	}
	if at != "" {
		_, _, err := c.resume(at)
		return at, err
	}
	if old := db.slots[c.spec.Integration]; old != nil {
		old.gone = true
	}
	delete(db.published, c.spec.Integration)
	c.publish()
	s.slots++
	sl := &slot{number: s.slots, acked: db.lsn}
	db.slots[c.spec.Integration] = sl
	db.move()
	return c.position(sl, db.lsn), nil
}

func (c *capture) position(sl *slot, lsn int) penstock.Position {
	return position{system: c.db.source.system, name: c.db.name, slot: sl.number, lsn: lsn}.encode()
}

// resume verifies a position.
func (c *capture) resume(at penstock.Position) (*slot, position, error) {
	p, err := decodePosition(at)
	if err != nil {
		return nil, p, err
	}
	lost := func(why string) (*slot, position, error) {
		return nil, p, penstock.Errorf(penstock.KindPositionLost, "resume from %s: %s", at, why)
	}
	sl := c.db.slots[c.spec.Integration]
	switch {
	case p.system != c.db.source.system:
		return lost("it is of another server")
	case p.name != c.db.name:
		return lost("it is of another database")
	case sl == nil || sl.number != p.slot:
		return lost("its slot is gone")
	case p.lsn < sl.acked:
		return lost("the history after it has been given up")
	case p.lsn > c.db.lsn:
		return lost("the server has not been there")
	}
	return sl, p, nil
}

// Tables implements penstock.Capture.
func (c *capture) Tables(ctx context.Context) ([]penstock.Table, []penstock.Finding, error) {
	s := c.db.source
	defer s.mu.Unlock()
	if err := s.begin(ctx, "Tables"); err != nil {
		return nil, nil, err
	}
	tables := c.publish()
	var findings []penstock.Finding
	for _, f := range s.findings {
		if f.Database == "" || f.Database == c.db.name {
			findings = append(findings, f)
		}
	}
	return tables, findings, nil
}

// Latest implements penstock.Capture.
func (c *capture) Latest(ctx context.Context) (penstock.Position, error) {
	s := c.db.source
	defer s.mu.Unlock()
	if err := s.begin(ctx, "Latest"); err != nil {
		return "", err
	}
	return position{system: s.system, name: c.db.name, lsn: c.db.lsn}.encode(), nil
}

// Covers implements penstock.Capture.
func (c *capture) Covers(at, other penstock.Position) bool {
	a, err1 := decodePosition(at)
	b, err2 := decodePosition(other)
	return err1 == nil && err2 == nil && a.lsn >= b.lsn
}

// publish has the stream carry the changes to the tables that the filter
// selects, from now on.
func (c *capture) publish() (tables []penstock.Table) {
	db := c.db
	before := db.published[c.spec.Integration]
	now := map[penstock.TableID]int{}
	for _, t := range db.tables {
		shape := t.shape
		if !c.spec.Filter.Match(db.name, shape.Schema, shape.Name) || slices.ContainsFunc(db.source.findings, func(f penstock.Finding) bool {
			return f.Table == shape.String() && f.Severity == penstock.SeverityAttention
		}) {
			continue
		}
		since, ok := before[shape.ID]
		if !ok {
			since = db.written
		}
		now[shape.ID] = since
		tables = append(tables, *shape)
	}
	for id, since := range before {
		if db.byID(id) == nil {
			now[id] = since // dropped since: what was done to it before is in the log
		}
	}
	db.published[c.spec.Integration] = now
	return tables
}

// Retained implements penstock.Capture: a byte for each step of the log.
func (c *capture) Retained(ctx context.Context) (r penstock.Retention, err error) {
	s := c.db.source
	defer s.mu.Unlock()
	if err := s.begin(ctx, "Retained"); err != nil {
		return r, err
	}
	if sl := c.db.slots[c.spec.Integration]; sl != nil {
		r.Bytes = int64(c.db.lsn - sl.acked)
		r.Cause = "nobody has acknowledged it"
	}
	return r, nil
}

// GiveUp implements penstock.Capture.
func (c *capture) GiveUp(ctx context.Context) error {
	s := c.db.source
	defer s.mu.Unlock()
	if err := s.begin(ctx, "GiveUp"); err != nil {
		return err
	}
	if sl := c.db.slots[c.spec.Integration]; sl != nil {
		sl.gone = true
		delete(c.db.slots, c.spec.Integration)
	}
	return nil
}

// Close implements penstock.Capture; there is nothing to release.
func (c *capture) Close() error { return nil }
