package pgsource

import (
	"slices"
	"strings"

	"penstock"
)

// rewrite says why the server has rewritten a table in the current
// transaction, as pg_event_trigger_table_rewrite_reason does. Other reasons,
// another persistence or access method, leave the values as they are.
type rewrite struct {
	tx       uint64 // the transaction for which it holds
	filled   bool   // with a default that may differ from row to row
	retyped  bool   // a column has another type, or another value by USING
	computed bool   // or may have, as the statement is not known to have no USING
}

const (
	rewriteDefault = 2
	rewriteType    = 4
)

func (r *rewrite) add(tx uint64, m *ddlMessage) {
	if r.tx != tx {
		*r = rewrite{tx: tx}
	}
	r.filled = r.filled || m.Reason&rewriteDefault != 0
	if m.Reason&rewriteType != 0 {
		r.retyped = true
		r.computed = r.computed || !m.Plain
	}
}

// alteration returns what a command has done to a table as a change that the
// destination can make in place. ok is false if it cannot: the table has to be
// loaded again. It is a pure function of what is known and what is told.
func alteration(old *penstock.Table, r *relation, how rewrite, m *ddlMessage, types *typeCache) (a penstock.Alteration, ok bool) {
	table := r.table
	table.Missed, table.Published = old.Missed, old.Published
	a = penstock.Alteration{Old: old, New: &table}
	switch {
	case slices.Contains(m.Reload, jsonOID(r.oid)), how.filled, how.computed, !penstock.Alterable(old, &table), !sameParts(old.Parts, table.Parts, m.Created, how.retyped):
		return a, false
	}
	for i, c := range table.Columns {
		if at := a.Source(i); at >= 0 && !keepsValues(old.Columns[at], c, how.retyped, m.Tag) {
			return a, false
		}
	}
	added := a.Added()
	if len(added) > 0 && how.retyped {
		return a, false // their values are in the rewritten rows only
	}
	return a, fill(&a, added, r.oid, m, types)
}

// fill takes over the values that rows which are there have in new columns.
func fill(a *penstock.Alteration, added []int, oid uint32, m *ddlMessage, types *typeCache) bool {
	row := penstock.NewRows(a.New)
	filled := false
	for i, c := range a.New.Columns {
		v := &row.Vectors[i]
		value, ok := m.fill(oid, c.Name)
		if !ok && slices.Contains(added, i) {
			return false
		}
		if value == nil || !slices.Contains(added, i) {
			v.AppendNull()
			continue
		}
		at := slices.IndexFunc(m.Types, func(t ddlType) bool { return t.Name == c.SourceType })
		if at < 0 || !mapType(types.info(typeRef{uint32(m.Types[at].OID), m.Types[at].Typmod})).text(v, []byte(*value)) {
			return false
		}
		filled = true
	}
	if filled {
		a.Fill = row
	}
	return true
}

// renamedOnly makes of what is told of a table with generated columns its shape
// as it is known, under the name that it has now. It reports false if more than
// that has changed: then the table has to be looked at.
func renamedOnly(old *penstock.Table, r *relation) bool {
	parts, _, generated := strings.Cut(old.Parts, generatedParts)
	if !generated || strings.TrimSpace(parts) != r.table.Parts {
		return false
	}
	for _, c := range old.Columns {
		if !slices.Contains(r.table.Columns, c) {
			return false
		}
	}
	known := *old
	known.Schema, known.Name, known.Stored = r.table.Schema, r.table.Name, r.table.Stored
	if known.Schema == old.Schema && known.Name == old.Name {
		return false
	}
	r.table = known
	return true
}

// keepsValues reports whether the values of a column are what they were, or
// the same in a wider type, after a command that may have retyped it.
func keepsValues(old, new penstock.Column, retyped bool, tag string) bool {
	if old.SourceType == new.SourceType {
		return old.Type == new.Type
	}
	if tag == "ALTER TYPE" || tag == "ALTER DOMAIN" || tag == "ALTER SCHEMA" {
		return old.Type == new.Type // the type has another name
	}
	from, _ := splitModifier(old.SourceType)
	to, _ := splitModifier(new.SourceType)
	if retyped {
		return widening[from] == to || widening[widening[from]] == to && to != ""
	}
	// Without a rewrite the stored bytes are the same, which says nothing of
	// how another type prints them.
	return from == to || from == "character varying" && to == "text"
}

// widening are types, and those whose values all of theirs are.
var widening = map[string]string{"smallint": "integer", "integer": "bigint", "real": "double precision"}

// sameParts reports whether a table has the partitions that it had, and no
// others but for new, empty ones. A retyped partition is in another file.
func sameParts(old, new string, created []jsonOID, retyped bool) bool {
	if old == new {
		return true
	}
	before := strings.Fields(old)
	kept := 0
	for _, part := range strings.Fields(new) {
		oid := partOID(part)
		switch {
		case slices.Contains(before, part), retyped && slices.ContainsFunc(before, func(b string) bool { return partOID(b) == oid }):
			kept++
		case !slices.Contains(created, jsonOID(oid)):
			return false
		}
	}
	return kept == len(before)
}

// partOID returns the partition that an entry of Table.Parts names.
func partOID(part string) uint32 {
	oid, _, _ := strings.Cut(part, "/")
	n, err := tableOID(penstock.TableID(oid))
	if err != nil {
		return 0
	}
	return n
}
