package pgsource

import (
	"slices"
	"strings"

	"penstock"
)

// told handles a message that somebody wrote into the WAL. Those of our event
// trigger change what is known of tables from here on.
func (s *stream) told(b []byte, c *penstock.Changes) error {
	m, err := parseLogicalMessage(b)
	s.ours = s.ours || err == nil && m.prefix == markPrefix && len(m.content) == 0
	if err != nil || !m.transactional || len(m.content) == 0 || m.prefix != publicationName(s.capture.spec.Integration) {
		return err
	}
	ddl, err := parseDDL(m.content)
	if err != nil {
		// Of another version of the function, perhaps; what it said will show
		// in the rows that follow and with the next look at the tables.
		s.capture.log.Warn("a message of the event trigger is not understood", "error", err)
		return nil
	}
	if t := s.tables[uint32(ddl.Rewritten)]; t != nil {
		t.rewrite.add(s.tx, &ddl)
		if !s.delivers(t) {
			t.rewrite = rewrite{} // its rows were loaded later
		}
	}
	for _, oid := range ddl.Dropped {
		s.dropped(uint32(oid), c)
	}
	for _, r := range ddl.shapes(s.types) {
		s.replaced.newcomer(s, &r)
		for part := range strings.FieldsSeq(r.table.Parts) {
			if t := s.tables[partOID(part)]; t != nil && s.delivers(t) {
				s.gone(t, c) // it was a table of its own
			}
		}
		if t := s.tables[r.oid]; t != nil && s.delivers(t) {
			s.alter(t, &r, &ddl, c)
		}
	}
	return nil
}

// alter takes over the new shape of a table.
func (s *stream) alter(t *streamTable, r *relation, m *ddlMessage, c *penstock.Changes) {
	if !s.capture.spec.Filter.Match(s.capture.spec.Database, r.table.Schema, r.table.Name) {
		if !s.replaced.drops(s, t, c) {
			s.gone(t, c)
		}
		return
	}
	s.replaced.changes(s, t)
	how := t.rewrite
	if how.tx != s.tx {
		how = rewrite{}
	}
	t.rewrite = rewrite{}
	if !r.carriable() {
		s.reshape(t, c)
		return
	}
	if (!r.told || strings.Contains(t.table.Parts, generatedParts)) && !renamedOnly(t.table, r) {
		s.reshape(t, c)
		return
	}
	a, ok := alteration(t.table, r, how, m, s.types)
	switch {
	case !ok || t.sent && !a.Old.Equal(a.New):
		s.reshape(t, c)
	case !a.Old.Equal(a.New), !t.sent && a.New.Stored.Supersedes(a.Old.Stored):
		c.Alter(a)
		t.table, t.width = a.New, rowWidth(a.New)
		if !slices.EqualFunc(a.Old.Columns, a.New.Columns, func(x, y penstock.Column) bool { return x.ID == y.ID && x.Type == y.Type }) {
			t.plan = nil // a Relation message comes before the next row
		}
	}
}

// reshape has a table loaded again: its rows are left out from here on.
func (s *stream) reshape(t *streamTable, c *penstock.Changes) {
	t.dead = true
	c.Reshaped = append(c.Reshaped, t.table.ID)
	s.takeBack(t, c)
}

// dropped ends a table that was dropped at the source. If it was a partition,
// its rows are gone without a trace from the table that it was of.
func (s *stream) dropped(oid uint32, c *penstock.Changes) {
	if t := s.tables[oid]; t != nil && !s.replaced.drops(s, t, c) {
		s.gone(t, c)
	}
	for _, t := range s.tables {
		if t.table.Parts != "" && s.delivers(t) && slices.ContainsFunc(strings.Fields(t.table.Parts), func(p string) bool { return partOID(p) == oid }) {
			s.reshape(t, c)
		}
	}
}

// gone ends a table, which is dropped or no longer to be carried. Whether a
// snapshot has seen that does not matter: nothing of it can be loaded any more.
func (s *stream) gone(t *streamTable, c *penstock.Changes) {
	if t.gone {
		return
	}
	t.dead, t.gone = true, true
	c.Reshaped = slices.DeleteFunc(c.Reshaped, func(id penstock.TableID) bool { return id == t.table.ID })
	c.Drop(t.table)
}
