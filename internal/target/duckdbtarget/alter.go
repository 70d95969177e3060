package duckdbtarget

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"penstock"
)

// The engine changes a table in place at next to no cost: renaming and
// dropping columns touch its catalog only, a new column with one value in all
// rows is stored as that, a wider type rewrites its column. It refuses, at
// COMMIT, to change a table of which rows were deleted before in the same
// transaction; so changes come first. A table cannot move to another schema:
// it is copied, at some millions of rows a second.

// move is an alteration under way.
type move struct {
	*penstock.Alteration
	entry *entry
	v     version // as far as it has got

	withdrawn bool // has a name of ours
}

// alter makes changes of shape, inside the writer's transaction. KindStale
// means that a table cannot be changed in place.
func (d *Destination) alter(ctx context.Context, tx *metaChange, alterations []penstock.Alteration) error {
	moves := make([]*move, len(alterations))
	for i := range alterations {
		a := &alterations[i]
		e := tx.entry(a.New.ID)
		if e == nil || e.current() == nil {
			return penstock.NewMisfit(a.Old, "cannot be altered, as it is not there")
		}
		moves[i] = &move{Alteration: a, entry: e, v: *e.current()}
		if !moves[i].v.Shape.SameShape(a.Old) || !penstock.Alterable(a.Old, a.New) {
			return d.stale(a, errors.New("it has another shape than expected"))
		}
		if v := &moves[i].v; v.History != nil {
			if err := d.writer.exec(ctx, "DROP VIEW "+d.named(v)); err != nil { // to be made anew
				return err
			}
		}
		if err := d.alterColumns(ctx, moves[i]); err != nil {
			return d.stale(a, err)
		}
	}
	// Names may be exchanged between tables: all are given up before one is
	// taken.
	schemas := tx.newSchemas(moves)
	for i, m := range moves {
		if m.renamed() {
			if err := d.withdraw(ctx, tx, m, schemas[m.New.Schema], i); err != nil {
				return d.stale(m.Alteration, err)
			}
		}
		m.v.Shape = storedShape{*m.New}
		m.entry.Known = m.v.Shape
		m.entry.Bad.Keep(m.New)
		m.entry.set(m.v)
		tx.named(m.New.ID)
	}
	for _, m := range moves {
		if m.withdrawn {
			if err := d.name(ctx, tx, m); err != nil {
				return d.stale(m.Alteration, err)
			}
		}
		if m.v.History != nil {
			if err := d.writer.exec(ctx, d.createView(&m.v)); err != nil {
				return d.stale(m.Alteration, err)
			}
		}
	}
	return nil
}

// stale makes of what stands in the way of an alteration an error that has the
// table loaded again, unless it stands in the way of anything else as well.
func (d *Destination) stale(a *penstock.Alteration, err error) error {
	f := d.fault(err, "alter %s of database %q", a.Old, d.db.name)
	switch kind := penstock.KindOf(f); {
	case kind == penstock.KindFull && penstock.ProblemOf(f) != penstock.ProblemDiskFull, kind == penstock.KindInternal:
		return &penstock.Error{Kind: penstock.KindStale, Message: fmt.Sprintf("table %s cannot be changed to its new shape in place", a.Old), Err: err}
	}
	return f
}

// renamed reports whether readers will find the table under another name. A
// hidden version gets its name when it is swapped in; it only has to be in the
// right schema.
func (m *move) renamed() bool {
	was := &m.v.Shape
	return was.Schema != m.New.Schema || was.Name != m.New.Name && m.entry.Hidden == nil
}

// set replaces the version that rows go to.
func (e *entry) set(v version) {
	if e.Hidden != nil {
		e.Hidden = &v
	} else {
		e.Readable = &v
	}
}

// newSchemas returns under which names the schemas that tables move to are
// stored.
func (tx *metaChange) newSchemas(moves []*move) map[string]string {
	schemas := map[string]string{}
	taken := map[string]bool{}
	for _, m := range moves {
		if s := m.New.Schema; m.renamed() && schemas[s] == "" {
			schemas[s] = tx.storedSchema(s, taken)
			taken[fold(schemas[s])] = true
		}
	}
	return schemas
}

// withdraw gives a table a name of ours, in the schema that it is to be in.
func (d *Destination) withdraw(ctx context.Context, tx *metaChange, m *move, schema string, number int) error {
	from, was := d.table(&m.v), m.v
	left := was.Schema
	m.v.Schema, m.v.Table, m.withdrawn = schema, fmt.Sprintf("%smove_%d", hiddenPrefix, number), true
	switch {
	case was.History != nil && schema == left: // its view has gone, and its tables keep their names
		return nil
	case was.History != nil:
		m.entry.set(m.v)
		if err := d.moveKept(ctx, &was, &m.v); err != nil {
			return err
		}
		return d.dropEmptySchema(ctx, tx, left)
	case schema == left:
		return d.writer.exec(ctx, "ALTER TABLE "+from+" RENAME TO "+ident(m.v.Table))
	}
	m.entry.set(m.v)
	if err := d.writer.execAll(ctx,
		"CREATE SCHEMA IF NOT EXISTS "+ident(d.db.alias)+"."+ident(schema),
		"CREATE TABLE "+d.table(&m.v)+" AS SELECT * FROM "+from,
		"DROP TABLE "+from,
	); err != nil {
		return err
	}
	return d.dropEmptySchema(ctx, tx, left)
}

// name gives a table the name of its new shape.
func (d *Destination) name(ctx context.Context, tx *metaChange, m *move) error {
	from := d.table(&m.v)
	if m.entry.Hidden != nil {
		m.v.Table = fmt.Sprintf("%s%x_%d", hiddenPrefix, string(m.New.ID), m.entry.Loads)
	} else {
		tx.evict(m.New.ID, &m.v, d.pending.at)
		if err := d.flush(ctx, tx); err != nil {
			return err
		}
		m.v.Table = tx.freeTable(m.New.ID, m.v.Schema, m.New.Name)
	}
	m.entry.set(m.v)
	tx.named(m.New.ID)
	if err := d.hide(ctx, d.writer, tx); err != nil { // what is exposed under that name
		return err
	}
	if m.v.History != nil {
		return nil
	}
	return d.writer.exec(ctx, "ALTER TABLE "+from+" RENAME TO "+ident(m.v.Table))
}

// dropEmptySchema removes a schema that a table has left and no other is in.
func (d *Destination) dropEmptySchema(ctx context.Context, tx *metaChange, schema string) error {
	if schema == "public" {
		return nil
	}
	for _, e := range tx.all() {
		for _, v := range []*version{e.Readable, e.Hidden} {
			if v != nil && v.Schema == schema {
				return nil
			}
		}
	}
	return d.writer.exec(ctx, "DROP SCHEMA "+ident(d.db.alias)+"."+ident(schema))
}

// mostDescribed bounds what the engine keeps in memory while a table is altered:
// for each statement a description of all its columns, some 600 bytes for one, until
// the transaction has ended.
const mostDescribed = 100_000

// alterColumns changes the columns of a table; in history mode, also of that
// of what is past.
func (d *Destination) alterColumns(ctx context.Context, m *move) error {
	names := m.columnNames()
	defaults := make([]string, len(names))
	for _, i := range m.Added() {
		var err error
		if defaults[i], err = d.fill(ctx, m.Alteration, i); err != nil {
			return err
		}
	}
	statements := m.columnStatements(d.table(&m.v), names, defaults)
	if m.v.History != nil {
		statements = append(statements, m.columnStatements(d.past(&m.v), names, defaults)...)
		m.v.History = m.v.History.altered(m.Alteration)
	}
	if len(statements)*len(names) > mostDescribed {
		return fmt.Errorf("too many of its %d columns change at once", len(names))
	}
	m.v.Columns = names
	return d.writer.execAll(ctx, statements...)
}

// columnStatements returns the statements that change the columns of a table of
// the engine to those of the new shape, which are to have names, and of which
// the new ones are filled by defaults.
func (m *move) columnStatements(quoted string, names, defaults []string) []string {
	table := "ALTER TABLE " + quoted + " "
	var first, last []string
	rename := func(from, to string) {
		first = append(first, table+"RENAME COLUMN "+ident(from)+" TO "+ident(to))
	}
	kept := map[int]bool{} // columns of Old
	for i := range names {
		at := m.Source(i)
		if at < 0 {
			continue
		}
		kept[at] = true
		if names[i] != m.v.Columns[at] {
			// By way of a name of ours, as they may be exchanged.
			ours := fmt.Sprintf("%scolumn_%d", hiddenPrefix, i)
			rename(m.v.Columns[at], ours)
			last = append(last, table+"RENAME COLUMN "+ident(ours)+" TO "+ident(names[i]))
		}
	}
	var gone []string
	for at, stored := range m.v.Columns {
		if !kept[at] {
			gone = append(gone, fmt.Sprintf("%sgone_%d", hiddenPrefix, at))
			rename(stored, gone[len(gone)-1])
		}
	}
	for _, i := range m.Added() {
		last = append(last, table+"ADD COLUMN "+ident(names[i])+" "+sqlType(m.New.Columns[i].Type)+defaults[i])
		if defaults[i] != "" {
			last = append(last, table+"ALTER COLUMN "+ident(names[i])+" DROP DEFAULT")
		}
	}
	for _, name := range gone {
		last = append(last, table+"DROP COLUMN "+ident(name))
	}
	for i, c := range m.New.Columns {
		if at := m.Source(i); at >= 0 && m.Old.Columns[at].Type != c.Type {
			last = append(last, table+"ALTER COLUMN "+ident(names[i])+" TYPE "+sqlType(c.Type))
		}
	}
	return slices.Concat(first, last)
}

// columnNames returns the names under which the columns of the new shape are
// stored. Those that are not renamed keep theirs.
func (m *move) columnNames() []string {
	taken := takenColumns(m.New, m.v.History != nil)
	names := make([]string, len(m.New.Columns))
	for i, c := range m.New.Columns {
		if at := m.Source(i); at >= 0 && m.Old.Columns[at].Name == c.Name {
			names[i] = m.v.Columns[at]
			taken[fold(names[i])] = true
		}
	}
	for i, c := range m.New.Columns {
		if names[i] == "" {
			names[i] = freeName(c.Name, func(name string) bool { return taken[name] })
			taken[fold(names[i])] = true
		}
	}
	return names
}

// fill returns the DEFAULT that puts the value of a new column into the rows
// that are there; "" if that is null. The engine takes literals only there, so
// the value goes through its text, which must lead back to it.
func (d *Destination) fill(ctx context.Context, a *penstock.Alteration, column int) (string, error) {
	if a.Fill == nil || a.Fill.Vectors[column].IsNull(0) {
		return "", nil
	}
	const staged = "_penstock_fill"
	typ := sqlType(a.New.Columns[column].Type)
	if err := d.writer.exec(ctx, "CREATE OR REPLACE TEMP TABLE "+staged+" (v "+typ+")"); err != nil {
		return "", err
	}
	var bad penstock.BadValues
	if err := d.stage(ctx, staged, []source{{vector: &a.Fill.Vectors[column], column: a.New.Columns[column].ID}}, 1, &bad); err != nil {
		return "", err
	}
	text, err := d.writer.texts(ctx, "SELECT v::VARCHAR FROM temp.main."+staged)
	if err != nil {
		return "", err
	}
	same, err := d.writer.texts(ctx, "SELECT (v IS NOT DISTINCT FROM "+literal(text[0][0])+"::"+typ+")::VARCHAR FROM temp.main."+staged)
	if err != nil {
		return "", err
	}
	if bad.Total() > 0 || same[0][0] != "true" {
		return "", fmt.Errorf("the value of the new column %s cannot be written as a literal", a.New.Columns[column].Name)
	}
	return " DEFAULT " + literal(text[0][0]), d.writer.exec(ctx, "DROP TABLE temp.main."+staged)
}
