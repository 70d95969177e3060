package pgsource

import "penstock"

// replaced is what a transaction has told of tables that it drops, or takes out of
// the filter by another name, until it commits. One whose name another table has
// then, which is to be loaded, is left to readers as it was before the transaction
// until that is there (promise 6); what it was in between, under another name
// perhaps, nobody has seen at the source either.
type replaced struct {
	tx      uint64                           // the transaction for which the rest holds
	before  map[*streamTable]*penstock.Table // what tables were before it, of those that it has altered
	dropped []*streamTable
	names   map[uint32]string // of tables that are not streamed
}

func (r *replaced) at(s *stream) *replaced {
	if r.tx != s.tx {
		*r = replaced{tx: s.tx}
	}
	return r
}

// newcomer takes note of a table that is not streamed, or has another name.
func (r *replaced) newcomer(s *stream, rel *relation) {
	if s.tables[rel.oid] != nil || !rel.carriable() || len(rel.table.Columns) == 0 {
		return
	}
	if r = r.at(s); r.names == nil {
		r.names = map[uint32]string{}
	}
	r.names[rel.oid] = rel.table.String()
}

// changes takes note of a table that is about to change.
func (r *replaced) changes(s *stream, t *streamTable) {
	if r = r.at(s); r.before == nil {
		r.before = map[*streamTable]*penstock.Table{}
	}
	if r.before[t] == nil {
		r.before[t] = t.table
	}
}

// drops takes note of a table that is dropped. It reports false if that is to be
// carried out right away.
func (r *replaced) drops(s *stream, t *streamTable, c *penstock.Changes) bool {
	if !s.delivers(t) || t.sent || c.Versioned[t.table.ID] {
		return false
	}
	r = r.at(s)
	r.dropped = append(r.dropped, t)
	t.dead = true
	return true
}

// commit decides what becomes of the tables that were dropped.
func (r *replaced) commit(s *stream, c *penstock.Changes) {
	if r.tx != s.tx {
		return
	}
	taken := map[string]bool{}
	for oid, name := range r.names {
		taken[name] = taken[name] || s.tables[oid] == nil
	}
	for _, t := range r.dropped {
		was := r.before[t]
		if was == nil {
			was = t.table
		}
		if !taken[was.String()] || t.sent || !was.SameShape(t.table) {
			s.gone(t, c)
			continue
		}
		s.takeBack(t, c)
		if !was.Equal(t.table) {
			c.Alter(penstock.Alteration{Old: t.table, New: was})
			t.table = was
		}
		c.Reshaped = append(c.Reshaped, t.table.ID)
	}
	*r = replaced{}
}
