package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// chaosModel is what the generator believes the source's schema to be. It is
// made from the seed alone: statements that fail are not taken back.
type chaosModel struct {
	schemas []string
	tables  []*chaosTable
	made    int  // names given so far
	harass  bool // rows of tables without an identity are updated and deleted as well
	renamed bool // a label was: what rows print as has changed under them
}

type chaosTable struct {
	schema, name string
	columns      []*chaosColumn
	key          []string // columns of the primary key, or of the index that is the identity
	append       bool     // has no identity: only added to, and emptied
	harassed     bool     // and rows of it are updated and deleted nevertheless
	index        bool     // the identity is an index of its own
	full         bool     // REPLICA IDENTITY FULL
	parted       string   // "", "range", "list", "hash"
	parts        []*chaosPart
	refers       *chaosTable // a foreign key of column ref
	referred     bool
	parent       *chaosTable // that it inherits from; the columns are the parent's, and its own
}

type chaosPart struct {
	schema, name string
	bounds       string // FOR VALUES …
	attached     bool
	subs         []*chaosPart
}

type chaosColumn struct {
	name      string
	kind      *chaosType
	notNull   bool
	generated string // the expression
}

func (t *chaosTable) String() string  { return pgx.Identifier{t.schema, t.name}.Sanitize() }
func (p *chaosPart) String() string   { return pgx.Identifier{p.schema, p.name}.Sanitize() }
func (c *chaosColumn) String() string { return chaosQuote(c.name) }

func chaosQuote(name string) string { return pgx.Identifier{name}.Sanitize() }

func (t *chaosTable) column(name string) *chaosColumn {
	for _, c := range t.columns {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (t *chaosTable) inKey(c *chaosColumn) bool { return slices.Contains(t.key, c.name) }

// plain returns the columns that can be written and are not in the key.
func (t *chaosTable) plain() (columns []*chaosColumn) {
	for _, c := range t.columns {
		if c.generated == "" && !t.inKey(c) && c.name != "ref" {
			columns = append(columns, c)
		}
	}
	return columns
}

// clone copies the model, for a server that is set back.
func (m *chaosModel) clone() *chaosModel {
	c := &chaosModel{schemas: slices.Clone(m.schemas), made: m.made, harass: m.harass, renamed: m.renamed}
	copies, columns := map[*chaosTable]*chaosTable{}, map[*chaosColumn]*chaosColumn{}
	for _, t := range m.tables {
		n := *t
		n.columns, n.parts = nil, nil
		for _, col := range t.columns {
			if columns[col] == nil { // else inherited
				x := *col
				columns[col] = &x
			}
			n.columns = append(n.columns, columns[col])
		}
		for _, p := range t.parts {
			x := *p
			n.parts = append(n.parts, &x)
		}
		n.key = slices.Clone(t.key)
		copies[t] = &n
		c.tables = append(c.tables, &n)
	}
	for _, t := range c.tables {
		t.refers, t.parent = copies[t.refers], copies[t.parent]
	}
	return c
}

// name gives a new name, at times an odd one.
func (m *chaosModel) name(r *rand.Rand, kind string) string {
	m.made++
	base := fmt.Sprintf("%s%d", kind, m.made)
	switch r.IntN(12) {
	case 0:
		return strings.ToUpper(base)
	case 1:
		return "Odd " + base + `."x"`
	case 2:
		return "ünïcödé_" + base
	case 3:
		return []string{"select", "table", "Order", "user", "rowid", "group"}[r.IntN(6)] + fmt.Sprint(m.made)
	case 4:
		return "_" + base
	}
	return base
}

func (m *chaosModel) schema(r *rand.Rand) string { return m.schemas[r.IntN(len(m.schemas))] }

// pick returns a table that suits, nil if there is none.
func (m *chaosModel) pick(r *rand.Rand, suits func(*chaosTable) bool) *chaosTable {
	var these []*chaosTable
	for _, t := range m.tables {
		if suits == nil || suits(t) {
			these = append(these, t)
		}
	}
	if len(these) == 0 {
		return nil
	}
	return these[r.IntN(len(these))]
}

func (m *chaosModel) remove(t *chaosTable) {
	m.tables = slices.DeleteFunc(m.tables, func(x *chaosTable) bool { return x == t })
	for _, x := range m.tables {
		if x.refers == t {
			x.refers = nil
		}
	}
	for _, x := range t.children(m) {
		m.remove(x)
	}
}

func (m *chaosModel) newColumn(r *rand.Rand) *chaosColumn {
	return &chaosColumn{name: m.name(r, "c"), kind: chaosTypes[chaosTypeNames[r.IntN(len(chaosTypeNames))]]}
}

// newTable draws a table and adds it to the model.
func (m *chaosModel) newTable(r *rand.Rand) *chaosTable {
	t := &chaosTable{schema: m.schema(r), name: m.name(r, "t"), harassed: m.harass}
	for range []int{1, 1, 1, 2, 3}[r.IntN(5)] { // columns of the key
		c := &chaosColumn{name: m.name(r, "k"), kind: chaosTypes[chaosKeyTypes[r.IntN(len(chaosKeyTypes))]], notNull: true}
		t.columns = append(t.columns, c)
		t.key = append(t.key, c.name)
	}
	for range 1 + r.IntN(7) {
		t.columns = append(t.columns, m.newColumn(r))
	}
	if r.IntN(3) == 0 { // one whose name differs by case only
		c := m.newColumn(r)
		c.name = strings.ToUpper(t.columns[len(t.columns)-1].name)
		if t.column(c.name) == nil {
			t.columns = append(t.columns, c)
		}
	}
	r.Shuffle(len(t.columns), func(i, j int) { t.columns[i], t.columns[j] = t.columns[j], t.columns[i] })
	switch r.IntN(14) {
	case 12, 13:
		t.inherit(r, m)
	case 0:
		t.key, t.full = nil, true
	case 1:
		t.key, t.append = nil, true
	case 2:
		t.index = true
	case 3:
		t.append = true // REPLICA IDENTITY NOTHING
	case 4:
		t.full = true
	case 5, 6:
		t.parted = []string{"range", "list", "hash"}[r.IntN(3)]
		c := &chaosColumn{name: "part", kind: chaosTypes["integer"], notNull: true}
		t.columns = append(t.columns, c)
		t.key = append(t.key, c.name)
	case 7:
		if on := m.pick(r, func(x *chaosTable) bool {
			return len(x.key) == 1 && !x.append && !x.index && x.parted == ""
		}); on != nil {
			t.refers, on.referred = on, true
			t.columns = append(t.columns, &chaosColumn{name: "ref", kind: on.column(on.key[0]).kind})
		}
	}
	if !t.append && t.parted == "" && t.parent == nil && r.IntN(4) == 0 {
		if n := t.pickColumn(r, func(c *chaosColumn) bool { return c.kind.sql == "integer" && !t.inKey(c) }); n != nil {
			t.columns = append(t.columns, &chaosColumn{name: m.name(r, "g"), kind: chaosTypes["bigint"], generated: n.String() + "::bigint * 2"})
		}
	}
	m.tables = append(m.tables, t)
	return t
}

func (t *chaosTable) pickColumn(r *rand.Rand, suits func(*chaosColumn) bool) *chaosColumn {
	var these []*chaosColumn
	for _, c := range t.columns {
		if suits(c) {
			these = append(these, c)
		}
	}
	if len(these) == 0 {
		return nil
	}
	return these[r.IntN(len(these))]
}

func (t *chaosTable) keyList() string {
	names := make([]string, len(t.key))
	for i, k := range t.key {
		names[i] = chaosQuote(k)
	}
	return strings.Join(names, ", ")
}

// create returns the statements that make a table.
func (t *chaosTable) create(m *chaosModel, r *rand.Rand) (sql []string) {
	var defs []string
	for _, c := range t.columns {
		if !t.own(c) {
			continue
		}
		def := c.String() + " " + c.kind.sql
		switch {
		case c.generated != "":
			def += " GENERATED ALWAYS AS (" + c.generated + ") STORED"
		case c.notNull:
			def += " NOT NULL"
		}
		if c.name == "ref" && t.refers != nil {
			def += fmt.Sprintf(" REFERENCES %s ON DELETE CASCADE ON UPDATE CASCADE", t.refers)
		}
		defs = append(defs, def)
	}
	if len(t.key) > 0 && !t.index {
		defs = append(defs, "PRIMARY KEY ("+t.keyList()+")")
	}
	create := fmt.Sprintf("CREATE TABLE %s (%s)", t, strings.Join(defs, ", "))
	if t.parted != "" {
		create += " PARTITION BY " + t.parted + " (part)"
	}
	if t.parent != nil {
		create += fmt.Sprintf(" INHERITS (%s)", t.parent)
	}
	sql = append(sql, create)
	switch {
	case t.full:
		sql = append(sql, fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL", t))
	case t.append && len(t.key) > 0:
		sql = append(sql, fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY NOTHING", t))
	case t.index:
		name := m.name(r, "i")
		sql = append(sql, fmt.Sprintf("CREATE UNIQUE INDEX %s ON %s (%s)", chaosQuote(name), t, t.keyList()),
			fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY USING INDEX %s", t, chaosQuote(name)))
	}
	bounds := map[string][]string{
		"range": {"FROM (MINVALUE) TO (0)", "FROM (0) TO (50)", "FROM (50) TO (MAXVALUE)"},
		"list":  {"IN (0, 1, 2)", "IN (3, 4, 5, NULL)"},
		"hash":  {"WITH (MODULUS 2, REMAINDER 0)", "WITH (MODULUS 2, REMAINDER 1)"},
	}[t.parted]
	for _, b := range bounds {
		p := &chaosPart{schema: t.schema, name: m.name(r, "p"), bounds: "FOR VALUES " + b, attached: true}
		if r.IntN(4) == 0 {
			p.divide(r, m)
		}
		t.parts = append(t.parts, p)
		sql = append(sql, p.create(t)...)
	}
	if t.parted == "list" {
		p := &chaosPart{schema: t.schema, name: m.name(r, "p"), bounds: "DEFAULT", attached: true}
		t.parts = append(t.parts, p)
		sql = append(sql, p.create(t)...)
	}
	if t.refers != nil { // else the server looks for what refers to a row in all of them
		sql = append(sql, fmt.Sprintf("CREATE INDEX ON %s (ref)", t))
	}
	for _, c := range t.columns {
		if c.kind.sql == "text" && r.IntN(2) == 0 && t.parted == "" {
			sql = append(sql, fmt.Sprintf("ALTER TABLE %s ALTER %s SET STORAGE EXTERNAL", t, c))
		}
	}
	return sql
}

// populate returns statements that fill a table with n rows.
func (t *chaosTable) populate(r *rand.Rand, n int) string {
	var names, values []string
	for _, c := range t.columns {
		if c.generated != "" || c.name == "ref" {
			continue
		}
		names = append(names, c.String())
		switch {
		case c.name == "part":
			values = append(values, "g % 100")
		case t.inKey(c) && c.kind.number != "":
			// Beyond the few keys that single statements use, at times.
			values = append(values, fmt.Sprintf(c.kind.number, "g"))
		case t.inKey(c):
			values = append(values, c.some(r))
		default:
			values = append(values, fmt.Sprintf("(CASE g %% 3 WHEN 0 THEN %s WHEN 1 THEN %s ELSE %s END)::%s", c.value(r), c.value(r), c.value(r), c.kind.sql))
		}
	}
	sql := fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM generate_series(1, %d) g", t, strings.Join(names, ", "), strings.Join(values, ", "), n)
	if len(t.key) > 0 {
		sql += " ON CONFLICT DO NOTHING"
	}
	return sql
}
