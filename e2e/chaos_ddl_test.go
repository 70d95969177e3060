package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// definition draws a transaction of DDL, at times with rows around it, and
// changes the model as if it will succeed; unless it is rolled back.
func (m *chaosModel) definition(r *rand.Rand) chaosTx {
	undone := r.IntN(6) == 0
	before := m
	if undone {
		m = m.clone()
	}
	tx := chaosTx{end: "COMMIT"}
	if undone {
		tx.end = "ROLLBACK"
	}
	add := func(sql ...string) {
		for _, s := range sql {
			tx.statements = append(tx.statements, chaosStatement{sql: s})
		}
	}
	for range []int{1, 1, 1, 2, 3}[r.IntN(5)] {
		if rows := m.pick(r, nil); rows != nil && r.IntN(3) == 0 {
			tx.statements = append(tx.statements, chaosStatement{sql: rows.insert(r), guard: true})
		}
		add(m.define(r)...)
		if r.IntN(2) == 0 && len(m.tables) > 0 {
			t := m.tables[len(m.tables)-1-r.IntN(min(3, len(m.tables)))]
			for _, s := range t.statements(r) {
				if s.copy == "" {
					s.guard = true
					tx.statements = append(tx.statements, s)
				}
			}
		}
	}
	if undone {
		before.made = m.made
	}
	return tx
}

// single draws DDL that must stand alone, outside of a transaction block.
func (m *chaosModel) single(r *rand.Rand) string {
	t := m.pick(r, func(t *chaosTable) bool { return t.parted == "" && len(t.key) > 0 && !t.index })
	if t == nil {
		return "VACUUM"
	}
	if r.IntN(3) == 0 {
		return m.changeType(r)
	}
	return []string{
		fmt.Sprintf("VACUUM FULL %s", t),
		fmt.Sprintf("VACUUM FREEZE %s", t),
		fmt.Sprintf("ANALYZE %s", t),
		fmt.Sprintf("REINDEX TABLE CONCURRENTLY %s", t),
	}[r.IntN(4)]
}

// define draws one thing to do to the schema, and does it to the model.
func (m *chaosModel) define(r *rand.Rand) []string {
	for range 20 {
		if sql := m.tryDefine(r); len(sql) > 0 {
			return sql
		}
	}
	t := m.newTable(r)
	return t.create(m, r)
}

func (m *chaosModel) tryDefine(r *rand.Rand) []string {
	n := r.IntN(100)
	any := m.pick(r, nil)
	if any == nil || n < 10 && len(m.tables) < 25 {
		t := m.newTable(r)
		sql := t.create(m, r)
		if r.IntN(2) == 0 {
			sql = append(sql, t.populate(r, 1+r.IntN(500)))
		}
		return sql
	}
	switch {
	case n < 16:
		if len(m.tables) < 4 {
			return nil
		}
		m.remove(any)
		return []string{fmt.Sprintf("DROP TABLE %s CASCADE", any)}
	case n < 18:
		return m.disinherit(r)
	case n < 24:
		return m.changeSeveral(r, any)
	case n < 60:
		return m.changeColumns(r, any)
	case n < 66:
		return m.rename(r, any)
	case n < 70:
		return m.renameSwapped(r)
	case n < 75:
		return m.move(r, any)
	case n < 79:
		return m.changeSchemas(r)
	case n < 88:
		return m.changeIdentity(r, any)
	case n < 94:
		return m.changeParts(r)
	case n < 97 && any.parted == "" && len(any.key) > 0 && !any.index:
		return []string{fmt.Sprintf("CLUSTER %s USING %s", any, chaosQuote(any.constraint()))}
	case n < 99:
		return []string{fmt.Sprintf("ALTER TABLE bank.log ADD COLUMN %s int DEFAULT %d", chaosQuote(m.name(r, "extra")), r.IntN(9))}
	}
	return []string{fmt.Sprintf("CREATE INDEX ON %s (%s)", any, any.columns[0])}
}

// constraint names the primary key as the server does. That is right for short
// plain names only; else the statement fails, and nothing comes of it.
func (t *chaosTable) constraint() string { return t.name + "_pkey" }

func (m *chaosModel) changeColumns(r *rand.Rand, t *chaosTable) []string {
	alter := func(format string, args ...any) []string {
		return []string{fmt.Sprintf("ALTER TABLE %s ", t) + fmt.Sprintf(format, args...)}
	}
	used := func(c *chaosColumn) bool { // by something that depends on it
		return slices.ContainsFunc(t.columns, func(g *chaosColumn) bool { return strings.HasPrefix(g.generated, c.String()+"::") }) ||
			slices.ContainsFunc(m.tables, func(x *chaosTable) bool { return x.refers == t && t.inKey(c) })
	}
	free := func(c *chaosColumn) bool {
		return !t.inKey(c) && c.name != "ref" && c.name != "part" && t.own(c) && !used(c) &&
			!slices.ContainsFunc(t.children(m), func(x *chaosTable) bool { return x.inKey(c) })
	}
	switch n := r.IntN(100); {
	case n < 40: // add
		c := m.newColumn(r)
		for _, x := range t.family(m) {
			x.columns = append(x.columns, c)
		}
		switch r.IntN(4) {
		case 0:
			return alter("ADD COLUMN %s %s DEFAULT %s", c, c.kind.sql, c.value(r))
		case 1:
			c.kind = chaosTypes["uuid"]
			return alter("ADD COLUMN %s uuid DEFAULT gen_random_uuid()", c)
		case 2:
			c.notNull = true
			return alter("ADD COLUMN %s %s NOT NULL DEFAULT %s", c, c.kind.sql, c.literal(c.kind.text(r)))
		}
		return alter("ADD COLUMN %s %s", c, c.kind.sql)
	case n < 60: // drop
		c := t.pickColumn(r, free)
		if c == nil || len(t.columns) < 3 {
			return nil
		}
		again := m.newColumn(r)
		again.name = c.name
		back := r.IntN(3)
		for _, x := range t.family(m) {
			x.columns = slices.DeleteFunc(x.columns, func(x *chaosColumn) bool { return x == c })
			if back > 0 {
				x.columns = append(x.columns, again)
			}
		}
		switch back {
		case 1: // and have one of that name again
			return alter("DROP COLUMN %s, ADD COLUMN %s %s", c, again, again.kind.sql)
		case 2:
			return slices.Concat(alter("DROP COLUMN %s", c), alter("ADD COLUMN %s %s", again, again.kind.sql))
		}
		return alter("DROP COLUMN %s", c)
	case n < 75: // rename, also one of the key
		c := t.pickColumn(r, func(c *chaosColumn) bool { return c.name != "ref" && c.name != "part" && t.own(c) && !used(c) })
		if c == nil {
			return nil
		}
		old := c.name
		c.name = m.name(r, "c")
		for _, x := range t.family(m) {
			if i := slices.Index(x.key, old); i >= 0 {
				x.key[i] = c.name
			}
		}
		return alter("RENAME COLUMN %s TO %s", chaosQuote(old), c)
	case n < 82: // exchange two names
		a, b := t.pickColumn(r, free), t.pickColumn(r, free)
		if a == nil || a == b {
			return nil
		}
		sql := slices.Concat(alter("RENAME COLUMN %s TO between", a), alter("RENAME COLUMN %s TO %s", b, a), alter("RENAME COLUMN between TO %s", b))
		a.name, b.name = b.name, a.name
		return sql
	case n < 95: // type
		c := t.pickColumn(r, func(c *chaosColumn) bool {
			return len(c.kind.wider) > 0 && c.generated == "" && free(c)
		})
		if c == nil {
			return nil
		}
		c.kind = chaosTypes[c.kind.wider[r.IntN(len(c.kind.wider))]]
		if r.IntN(4) == 0 && c.kind.sql == "bigint" {
			return alter("ALTER COLUMN %s TYPE bigint USING %s * 3", c, c)
		}
		return alter("ALTER COLUMN %s TYPE %s", c, c.kind.sql)
	}
	c := t.pickColumn(r, func(c *chaosColumn) bool { return free(c) && c.generated == "" })
	if c == nil {
		return nil
	}
	c.notNull = false
	return alter("ALTER COLUMN %s DROP NOT NULL", c)
}

// changeSeveral has several things done to a table's columns by one statement.
func (m *chaosModel) changeSeveral(r *rand.Rand, t *chaosTable) []string {
	alter := fmt.Sprintf("ALTER TABLE %s ", t)
	var actions, others []string
	for range 2 + r.IntN(3) {
		for _, sql := range m.changeColumns(r, t) {
			if action, ok := strings.CutPrefix(sql, alter); ok && !strings.HasPrefix(action, "RENAME") && len(others) == 0 {
				actions = append(actions, action)
			} else {
				others = append(others, sql)
			}
		}
	}
	if len(actions) == 0 {
		return others
	}
	return append([]string{alter + strings.Join(actions, ", ")}, others...)
}

// changeType changes a type that columns have.
func (m *chaosModel) changeType(r *rand.Rand) string {
	switch r.IntN(4) {
	case 0:
		return fmt.Sprintf("ALTER TYPE chaos.mood ADD VALUE '%s'", m.name(r, "mood"))
	case 1:
		return "ALTER DOMAIN chaos.positive ADD CONSTRAINT bounded CHECK (VALUE < 1000000)"
	case 2:
		return "ALTER DOMAIN chaos.positive DROP CONSTRAINT IF EXISTS bounded"
	}
	m.renamed = true
	return []string{"ALTER TYPE chaos.mood RENAME VALUE 'sad' TO 'blue'", "ALTER TYPE chaos.mood RENAME VALUE 'blue' TO 'sad'"}[r.IntN(2)]
}

func (m *chaosModel) rename(r *rand.Rand, t *chaosTable) []string {
	old := t.String()
	t.name = m.name(r, "t")
	return []string{fmt.Sprintf("ALTER TABLE %s RENAME TO %s", old, chaosQuote(t.name))}
}

// renameSwapped exchanges the names of two tables.
func (m *chaosModel) renameSwapped(r *rand.Rand) []string {
	a := m.pick(r, nil)
	b := m.pick(r, func(t *chaosTable) bool { return t != a && t.schema == a.schema })
	if a == nil || b == nil {
		return nil
	}
	sql := []string{
		fmt.Sprintf("ALTER TABLE %s RENAME TO between", a),
		fmt.Sprintf("ALTER TABLE %s RENAME TO %s", b, chaosQuote(a.name)),
		fmt.Sprintf("ALTER TABLE %s.between RENAME TO %s", chaosQuote(a.schema), chaosQuote(b.name)),
	}
	a.name, b.name = b.name, a.name
	return sql
}

func (m *chaosModel) move(r *rand.Rand, t *chaosTable) []string {
	to := m.schema(r)
	if to == t.schema {
		return nil
	}
	sql := fmt.Sprintf("ALTER TABLE %s SET SCHEMA %s", t, chaosQuote(to))
	t.schema = to
	return []string{sql}
}

func (m *chaosModel) changeSchemas(r *rand.Rand) []string {
	switch r.IntN(3) {
	case 0:
		if len(m.schemas) > 4 {
			return nil
		}
		s := m.name(r, "s")
		m.schemas = append(m.schemas, s)
		return []string{"CREATE SCHEMA " + chaosQuote(s)}
	case 1:
		i := r.IntN(len(m.schemas))
		if m.schemas[i] == "public" {
			return nil
		}
		old, s := m.schemas[i], m.name(r, "s")
		m.schemas[i] = s
		for _, t := range m.tables {
			if t.schema == old {
				t.schema = s
			}
			for _, p := range t.parts {
				for _, x := range append([]*chaosPart{p}, p.subs...) {
					if x.schema == old {
						x.schema = s
					}
				}
			}
		}
		return []string{fmt.Sprintf("ALTER SCHEMA %s RENAME TO %s", chaosQuote(old), chaosQuote(s))}
	}
	i := r.IntN(len(m.schemas))
	if m.schemas[i] == "public" || len(m.schemas) < 3 {
		return nil
	}
	gone := m.schemas[i]
	m.schemas = slices.Delete(m.schemas, i, i+1)
	for _, t := range slices.Clone(m.tables) {
		t.parts = slices.DeleteFunc(t.parts, func(p *chaosPart) bool { return p.schema == gone })
		if t.schema == gone {
			m.remove(t)
		}
	}
	return []string{fmt.Sprintf("DROP SCHEMA %s CASCADE", chaosQuote(gone))}
}

// changeIdentity has a table found by something else. One that is updated has
// some identity at the end of each transaction, or none on purpose; what happens
// to the statements of an application that drops its key is for other tests.
func (m *chaosModel) changeIdentity(r *rand.Rand, t *chaosTable) []string {
	if t.parted != "" || t.referred || t.refers != nil || t.parent != nil || len(t.children(m)) > 0 {
		return nil
	}
	identity := func(what string) string { return fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY %s", t, what) }
	switch {
	case len(t.key) == 0 && (t.full || t.append): // a surrogate key
		c := &chaosColumn{name: m.name(r, "k"), kind: chaosTypes["bigint"], notNull: true}
		t.columns, t.key, t.append = append(t.columns, c), []string{c.name}, false
		sql := []string{fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY", t, c)}
		if t.full && r.IntN(2) == 0 {
			t.full = false
			sql = append(sql, identity("DEFAULT"))
		}
		return sql
	case t.append && len(t.key) > 0:
		t.append = false
		return []string{identity("DEFAULT")}
	case t.full:
		t.full = false
		return []string{identity("DEFAULT")}
	case t.index:
		t.index, t.full = false, true
		return []string{identity("FULL")}
	case r.IntN(2) == 0:
		t.full = true
		return []string{identity("FULL")}
	case m.harass && r.IntN(4) == 0:
		t.append = true
		return []string{identity("NOTHING")}
	case r.IntN(3) == 0:
		t.index = true
		i := chaosQuote(m.name(r, "i"))
		return []string{fmt.Sprintf("CREATE UNIQUE INDEX %s ON %s (%s)", i, t, t.keyList()), identity("USING INDEX " + i)}
	case len(t.key) > 1 && r.IntN(2) == 0: // the key's columns in another order
		slices.Reverse(t.key)
		return []string{fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s, ADD PRIMARY KEY (%s)", t, chaosQuote(t.constraint()), t.keyList())}
	}
	t.full, t.key = true, nil
	return []string{fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s, REPLICA IDENTITY FULL", t, chaosQuote(t.constraint()))}
}

// changeParts attaches, detaches, makes, drops and empties partitions.
func (m *chaosModel) changeParts(r *rand.Rand) []string {
	t := m.pick(r, func(t *chaosTable) bool { return t.parted != "" && len(t.parts) > 0 })
	if t == nil {
		return nil
	}
	p := t.parts[r.IntN(len(t.parts))]
	switch {
	case !p.attached:
		p.attached = true
		return []string{fmt.Sprintf("ALTER TABLE %s ATTACH PARTITION %s %s", t, p, p.bounds)}
	case r.IntN(3) == 0:
		return []string{fmt.Sprintf("TRUNCATE %s", p)}
	case r.IntN(2) == 0:
		p.attached = false
		return []string{fmt.Sprintf("ALTER TABLE %s DETACH PARTITION %s", t, p)}
	}
	old := p.String()
	p.name, p.subs = m.name(r, "p"), nil
	if r.IntN(3) == 0 {
		p.divide(r, m)
	}
	return append([]string{fmt.Sprintf("DROP TABLE %s", old)}, p.create(t)...)
}
