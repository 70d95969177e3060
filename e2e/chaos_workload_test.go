package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// chaosTx is a transaction as it will be sent.
type chaosTx struct {
	statements []chaosStatement
	end        string // COMMIT, ROLLBACK, or PREPARE and what comes of it
}

type chaosStatement struct {
	sql   string
	copy  string // the text that COPY … FROM STDIN takes
	guard bool   // in a savepoint, so that its failure leaves the transaction usable
}

// transaction draws a transaction on the tables of the model.
func (m *chaosModel) transaction(r *rand.Rand) chaosTx {
	tx := chaosTx{end: "COMMIT"}
	switch n := r.IntN(40); {
	case n < 4:
		tx.end = "ROLLBACK"
	case n < 5:
		tx.end = "PREPARE, COMMIT"
	case n < 6:
		tx.end = "PREPARE, ROLLBACK"
	case n < 7 && r.IntN(6) == 0: // seldom, since nothing can be verified meanwhile
		return keep(r)
	}
	if r.IntN(20) == 0 {
		tx.statements = m.nested(r, 1+r.IntN(40))
		return tx
	}
	for range []int{1, 1, 2, 3, 5, 8}[r.IntN(6)] {
		t := m.pick(r, nil)
		if t == nil {
			return tx
		}
		guard := r.IntN(3) > 0
		for _, s := range t.statements(r) {
			s.guard = guard
			tx.statements = append(tx.statements, s)
		}
		if r.IntN(12) == 0 { // work that is undone
			s := t.statements(r)
			if s[0].copy != "" {
				continue
			}
			tx.statements = append(tx.statements, chaosStatement{sql: "SAVEPOINT undone"})
			tx.statements = append(tx.statements, chaosStatement{sql: s[0].sql, guard: true})
			tx.statements = append(tx.statements, chaosStatement{sql: "ROLLBACK TO SAVEPOINT undone"})
		}
	}
	return tx
}

// keep is a transaction that stays prepared while others come and go. What it
// writes nobody else wants.
func keep(r *rand.Rand) chaosTx {
	n := []int{1, 10, 5000}[r.IntN(3)]
	return chaosTx{end: "PREPARE, LATER", statements: []chaosStatement{
		{sql: fmt.Sprintf("INSERT INTO chaos.kept (n, what) SELECT g, repeat('%d ', g %% 300) FROM generate_series(1, %d) g", r.IntN(1000), n)},
		{sql: "DELETE FROM chaos.kept WHERE n % 3 = 0 AND xmin = pg_current_xact_id_if_assigned()::xid"},
	}}
}

// nested draws work under savepoints in savepoints, some of which are rolled
// back, together with what was released into them.
func (m *chaosModel) nested(r *rand.Rand, depth int) (s []chaosStatement) {
	var open []string
	for i := range depth {
		name := fmt.Sprint("level", i)
		s, open = append(s, chaosStatement{sql: "SAVEPOINT " + name}), append(open, name)
		if t := m.pick(r, nil); t != nil && r.IntN(2) == 0 {
			for _, x := range t.statements(r) {
				x.guard = true
				s = append(s, x)
			}
		}
		if at := len(open) - 1 - r.IntN(min(4, len(open))); r.IntN(3) == 0 {
			verb := []string{"RELEASE ", "ROLLBACK TO "}[r.IntN(2)]
			s = append(s, chaosStatement{sql: verb + open[at]})
			open = open[:at]
		}
	}
	return s
}

// statements draws one thing to do with a table, which may take several.
func (t *chaosTable) statements(r *rand.Rand) []chaosStatement {
	one := func(format string, args ...any) []chaosStatement {
		return []chaosStatement{{sql: fmt.Sprintf(format, args...)}}
	}
	switch n := r.IntN(100); {
	case t.append && t.harassed && n < 3:
		return one("UPDATE %s SET %s WHERE %s", t, t.assignments(r), t.where(r))
	case t.append && t.harassed && n < 6:
		return one("DELETE FROM %s WHERE %s", t, t.where(r))
	case n < 35 || t.append && n < 96:
		if r.IntN(8) == 0 {
			return []chaosStatement{t.copyIn(r)}
		}
		return one("%s", t.insert(r))
	case n < 37:
		return one("%s", t.populate(r, 200+r.IntN(2000)))
	case n < 38:
		return one("%s", t.populate(r, 20000)) // a large one
	case n < 62:
		return one("UPDATE %s SET %s WHERE %s", t, t.assignments(r), t.where(r))
	case n < 72 && len(t.key) > 0 && !t.append:
		return one("UPDATE %s SET %s WHERE %s", t, t.newKey(r), t.where(r))
	case n < 76 && len(t.key) > 0 && !t.append:
		return t.swapKeys(r)
	case n < 90:
		return one("DELETE FROM %s WHERE %s", t, t.where(r))
	case n < 93:
		return one("UPDATE %s SET %s", t, t.assignments(r))
	case n < 95:
		return one("DELETE FROM %s", t)
	case n < 98:
		return one("%s", t.insert(r))
	}
	if t.referred {
		return one("TRUNCATE %s CASCADE", t)
	}
	return one("TRUNCATE %s", t)
}

func (t *chaosTable) insert(r *rand.Rand) string {
	var names []string
	for _, c := range t.columns {
		if c.generated == "" {
			names = append(names, c.String())
		}
	}
	var rows []string
	for range 1 + r.IntN(3) {
		var values []string
		for _, c := range t.columns {
			switch {
			case c.generated != "":
			case c.name == "part":
				values = append(values, fmt.Sprint(r.IntN(100)))
			case c.name == "ref":
				values = append(values, t.reference(r))
			case t.inKey(c):
				values = append(values, c.some(r))
			case c.kind.sql == "text" && r.IntN(200) == 0:
				values = append(values, chaosLarge(r))
			default:
				values = append(values, c.value(r))
			}
		}
		rows = append(rows, "("+strings.Join(values, ", ")+")")
	}
	sql := fmt.Sprintf("INSERT INTO %s (%s) VALUES %s", t, strings.Join(names, ", "), strings.Join(rows, ", "))
	switch {
	case len(t.key) == 0 || t.refers != nil && r.IntN(2) == 0:
	case r.IntN(2) == 0 && len(t.plain()) > 0 && !t.append:
		set := t.plain()[r.IntN(len(t.plain()))]
		// Rows that meet each other in one statement are an error.
		sql = fmt.Sprintf("INSERT INTO %s (%s) VALUES %s ON CONFLICT (%s) DO UPDATE SET %s = EXCLUDED.%s",
			t, strings.Join(names, ", "), rows[0], t.keyList(), set, set)
	case r.IntN(8) > 0:
		sql += " ON CONFLICT DO NOTHING"
	}
	return sql
}

func (t *chaosTable) reference(r *rand.Rand) string {
	if t.refers == nil {
		return "NULL"
	}
	k := t.refers.column(t.refers.key[0])
	return fmt.Sprintf("(SELECT %s FROM %s LIMIT 1 OFFSET %d)", k, t.refers, r.IntN(5))
}

// copyIn loads rows by COPY, into the columns that are numbers or text.
func (t *chaosTable) copyIn(r *rand.Rand) chaosStatement {
	var names []string
	var columns []*chaosColumn
	for _, c := range t.columns {
		if c.generated == "" && (t.inKey(c) || c.notNull || c.kind.sql == "text" || c.kind.sql == "integer") {
			columns, names = append(columns, c), append(names, c.String())
		}
	}
	var b strings.Builder
	for range 1 + r.IntN(20) {
		for i, c := range columns {
			if i > 0 {
				b.WriteByte('\t')
			}
			text := ""
			switch {
			case c.name == "part":
				text = fmt.Sprint(r.IntN(100))
			case t.inKey(c):
				text = c.kind.few(r)
			case c.name == "ref":
				text = "\\N"
			default:
				text = strings.NewReplacer("\\", `\\`, "\t", `\t`, "\n", `\n`).Replace(c.kind.text(r))
			}
			b.WriteString(text)
		}
		b.WriteByte('\n')
	}
	return chaosStatement{sql: fmt.Sprintf("COPY %s (%s) FROM STDIN", t, strings.Join(names, ", ")), copy: b.String()}
}

func (t *chaosTable) assignments(r *rand.Rand) string {
	plain := t.plain()
	if len(plain) == 0 {
		c := t.columns[0]
		return fmt.Sprintf("%s = %s", c, c) // changes nothing, and is in the stream all the same
	}
	var set []string
	for _, i := range r.Perm(len(plain))[:1+r.IntN(min(3, len(plain)))] {
		set = append(set, fmt.Sprintf("%s = %s", plain[i], plain[i].value(r)))
	}
	return strings.Join(set, ", ")
}

// where names a row by its key, or some rows.
func (t *chaosTable) where(r *rand.Rand) string {
	if len(t.key) == 0 || r.IntN(6) == 0 {
		return fmt.Sprintf("ctid IN (SELECT ctid FROM %s LIMIT %d OFFSET %d)", t, 1+r.IntN(5), r.IntN(30))
	}
	var terms []string
	for i, k := range t.key {
		c := t.column(k)
		if i > 0 && r.IntN(2) == 0 {
			break // a prefix of the key: several rows
		}
		value := ""
		if k == "part" {
			value = fmt.Sprint(r.IntN(100))
		} else {
			value = c.some(r)
		}
		terms = append(terms, fmt.Sprintf("%s = %s", c, value))
	}
	return strings.Join(terms, " AND ")
}

func (t *chaosTable) newKey(r *rand.Rand) string {
	c := t.column(t.key[r.IntN(len(t.key))])
	if c.name == "part" { // moves the row to another partition
		return fmt.Sprintf("part = %d", r.IntN(100))
	}
	return fmt.Sprintf("%s = %s", c, c.some(r))
}

// swapKeys exchanges the keys of two rows, by way of a third one.
func (t *chaosTable) swapKeys(r *rand.Rand) (s []chaosStatement) {
	c := t.column(t.key[0])
	if c.name == "part" || c.kind.number == "" {
		return []chaosStatement{{sql: fmt.Sprintf("UPDATE %s SET %s WHERE %s", t, t.newKey(r), t.where(r))}}
	}
	number := func(n int) string { return "(" + fmt.Sprintf(c.kind.number, fmt.Sprint(n)) + ")::" + c.kind.sql }
	a, b, between := number(1+r.IntN(60)), number(1+r.IntN(60)), number(9999)
	for _, step := range [][2]string{{a, between}, {b, a}, {between, b}} {
		s = append(s, chaosStatement{sql: fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s = %s", t, c, step[1], c, step[0])})
	}
	return s
}
