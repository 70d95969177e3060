package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// inherit makes a table that is not in the model yet the child of one that is:
// its rows are seen through the parent as well, at the source, but are its own.
func (t *chaosTable) inherit(r *rand.Rand, m *chaosModel) {
	parent := m.pick(r, func(x *chaosTable) bool {
		return x.parted == "" && len(x.key) > 0 && !x.append && !x.index && x.parent == nil && x.refers == nil &&
			!slices.ContainsFunc(x.columns, func(c *chaosColumn) bool { return c.generated != "" })
	})
	if parent == nil {
		return
	}
	own := slices.DeleteFunc(t.columns, func(c *chaosColumn) bool { return t.inKey(c) })
	t.parent, t.columns, t.key = parent, slices.Concat(parent.columns, own), slices.Clone(parent.key)
	if r.IntN(3) == 0 {
		t.key, t.full = nil, true
	}
}

// own reports whether a column is not inherited.
func (t *chaosTable) own(c *chaosColumn) bool {
	return t.parent == nil || !slices.Contains(t.parent.columns, c)
}

func (t *chaosTable) children(m *chaosModel) (children []*chaosTable) {
	for _, x := range m.tables {
		if x.parent == t {
			children = append(children, x)
		}
	}
	return children
}

// family returns a table with those that inherit from it: what happens to its
// columns happens to theirs.
func (t *chaosTable) family(m *chaosModel) []*chaosTable {
	return append([]*chaosTable{t}, t.children(m)...)
}

// disinherit makes a child a table like others.
func (m *chaosModel) disinherit(r *rand.Rand) []string {
	t := m.pick(r, func(t *chaosTable) bool { return t.parent != nil })
	if t == nil {
		return nil
	}
	parent := t.parent
	t.parent = nil
	for i, c := range t.columns {
		own := *c
		t.columns[i] = &own
	}
	return []string{fmt.Sprintf("ALTER TABLE %s NO INHERIT %s", t, parent)}
}

// divide has a partition be partitioned itself.
func (p *chaosPart) divide(r *rand.Rand, m *chaosModel) {
	for i := range 2 {
		p.subs = append(p.subs, &chaosPart{schema: p.schema, name: m.name(r, "p"), bounds: fmt.Sprintf("FOR VALUES WITH (MODULUS 2, REMAINDER %d)", i)})
	}
}

// create returns what makes a partition of something.
func (p *chaosPart) create(of fmt.Stringer) []string {
	sql := fmt.Sprintf("CREATE TABLE %s PARTITION OF %s %s", p, of, p.bounds)
	if len(p.subs) > 0 {
		sql += " PARTITION BY HASH (part)"
	}
	all := []string{sql}
	for _, s := range p.subs {
		all = append(all, s.create(p)...)
	}
	return all
}
