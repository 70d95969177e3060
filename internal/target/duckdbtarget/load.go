package duckdbtarget

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"penstock"
	"penstock/internal/failpoint"
)

// Ensure implements penstock.Destination.
func (d *Destination) Ensure(ctx context.Context, tables ...*penstock.Table) error {
	if err := d.usable("begin a load"); err != nil {
		return err
	}
	tx := d.change()
	tx.before, tx.after = failpoint.TargetBeforeEnsure, failpoint.TargetAfterEnsure
	schemas := make(map[string]bool)
	for _, t := range tables {
		v := tx.ensure(t)
		if !schemas[v.Schema] {
			schemas[v.Schema] = true
			tx.tables = append(tx.tables, "CREATE SCHEMA IF NOT EXISTS "+ident(d.db.alias)+"."+ident(v.Schema))
		}
		tx.tables = append(tx.tables, d.createTable(v))
	}
	if err := d.apart(ctx, tx); err != nil {
		return d.fault(err, "begin the load of %s into database %q", list(tables), d.db.name)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range tables {
		d.loading[t.ID] = &load{}
	}
	return nil
}

// ensure gives a table a new hidden version, which is still to be made.
func (tx *metaChange) ensure(t *penstock.Table) *version {
	e := tx.entry(t.ID)
	if e == nil {
		e = &entry{}
		tx.entries[t.ID] = e
	}
	if e.Hidden != nil {
		tx.dropHidden(t.ID, e)
	}
	e.Loads++
	e.Known = storedShape{*t}
	e.Hidden = &version{
		Shape:   storedShape{*t},
		Schema:  tx.storedSchema(t.Schema, nil),
		Table:   fmt.Sprintf("%s%x_%d", hiddenPrefix, string(t.ID), e.Loads),
		Columns: storedColumns(t, e.History),
	}
	e.Bad = nil
	e.setState(penstock.TableResyncInitiated, "")
	tx.named(t.ID)
	return e.Hidden
}

// list names tables, the first one only where there are many.
func list(tables []*penstock.Table) string {
	switch len(tables) {
	case 0:
		return "no table"
	case 1:
		return tables[0].String()
	}
	return fmt.Sprintf("%s and %d more tables", tables[0], len(tables)-1)
}

// createTable returns the statement that makes the table of a version. It has
// no key and no constraint: the source has checked them, and the engine would
// pay for each. Where text hardly repeats the engine would end up with FSST too, but
// try a dictionary first for every row group, which is a quarter of what a load costs it.
func (d *Destination) createTable(v *version) string {
	var b strings.Builder
	b.WriteString("CREATE TABLE " + d.table(v) + " (")
	for i, c := range v.Shape.Columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(ident(v.Columns[i]) + " " + sqlType(c.Type))
		if sqlType(c.Type) == "VARCHAR" && slices.Contains(v.Shape.Diverse, i) {
			b.WriteString(" USING COMPRESSION fsst")
		}
	}
	b.WriteString(")")
	return b.String()
}

// engineSchemas are schemas that the engine or this package has a use for.
var engineSchemas = map[string]bool{metaSchema: true, "information_schema": true, "pg_catalog": true}

// storedSchema returns the name under which a schema of the source is stored.
// A new one gets none of those in also.
func (tx *metaChange) storedSchema(schema string, also map[string]bool) string {
	x := tx.index()
	if stored, ok := x.schemas[schema]; ok {
		return stored
	}
	return freeName(schema, func(name string) bool {
		// Readers who name no schema mean public.
		return x.taken[name] || also[name] || name == "public" && schema != "public"
	})
}

// storedTable returns the name that the hidden version of a table takes once
// it is swapped in. Its own readable version does not stand in the way.
func (tx *metaChange) storedTable(id penstock.TableID, hidden *version) string {
	if e := tx.look(id); e != nil && e.Readable != nil {
		v := e.Readable
		if v.Schema == hidden.Schema && v.Shape.Schema == hidden.Shape.Schema && v.Shape.Name == hidden.Shape.Name {
			return v.Table
		}
	}
	return tx.freeTable(id, hidden.Schema, hidden.Shape.Name)
}

// freeTable returns a name for a table that no other one has in a schema.
func (tx *metaChange) freeTable(id penstock.TableID, schema, name string) string {
	return freeName(name, func(folded string) bool {
		return folded == fold(name) && (strings.HasPrefix(folded, hiddenPrefix) || strings.HasPrefix(folded, keptPrefix)) || tx.isTaken(schema, folded, func(other penstock.TableID, e *entry) bool {
			return other != id && e.hasTable(schema, folded)
		})
	})
}

// storedColumns returns the names under which the columns of a table are
// stored. Where rows are found by the engine's row number, no column may have
// its name.
func storedColumns(t *penstock.Table, history bool) []string {
	taken := takenColumns(t, history)
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = freeName(c.Name, func(name string) bool { return taken[name] })
		taken[fold(names[i])] = true
	}
	return names
}

// takenColumns returns the names that no column of a table may be stored under.
func takenColumns(t *penstock.Table, history bool) map[string]bool {
	taken := make(map[string]bool)
	if t.Identity == penstock.IdentityFull || history {
		taken["rowid"] = true
	}
	if history {
		taken[penstock.ActiveColumn], taken[penstock.CreateTimeColumn], taken[penstock.DeleteTimeColumn] = true, true, true
	}
	return taken
}

// versionColumns returns the sources of all columns of a version, of those
// rows that are given, or of all.
func versionColumns(v *version, rows *penstock.Rows, these []int32) []source {
	columns := columnsOf(rows, these)
	for i := range columns {
		columns[i].column = v.Shape.Columns[i].ID
	}
	return columns
}

// columnsOf returns the sources of all columns of rows, of those rows that are
// given, or of all.
func columnsOf(rows *penstock.Rows, these []int32) []source {
	columns := make([]source, len(rows.Vectors))
	for i := range columns {
		columns[i] = source{vector: &rows.Vectors[i], rows: these}
	}
	return columns
}

// put appends n rows to a version, inside a transaction on c.
func (d *Destination) put(ctx context.Context, c *conn, v *version, columns []source, n int, bad *penstock.BadValues) error {
	if err := d.weigh(ctx, c, v, columns, n); err != nil {
		return err
	}
	return c.do(ctx, func() error {
		return appendRows(c, d.db.alias, v.Schema, v.rows(), columns, n, bad)
	})
}

// Loaded implements penstock.Destination.
func (d *Destination) Loaded(ctx context.Context, joins map[penstock.TableID]penstock.Snapshot) error {
	if err := d.usable("finish a load"); err != nil {
		return err
	}
	tx := d.change()
	tx.before, tx.after = failpoint.TargetBeforeLoaded, failpoint.TargetAfterLoaded
	for id, join := range joins {
		e := tx.entry(id)
		d.mu.Lock()
		l := d.loading[id]
		d.mu.Unlock()
		if e == nil || e.Hidden == nil || l == nil {
			return penstock.Errorf(penstock.KindNotFound, "finish the load of table %s of database %q: it is not being loaded", id, d.db.name)
		}
		if join == "" {
			return penstock.Errorf(penstock.KindInvalid, "finish the load of table %s of database %q: no snapshot given", id, d.db.name)
		}
		e.Join, e.Kept, e.At = join, "", ""
		e.Bad.Add(l.bad)
		tx.forgetChunks(id)
		tx.released = append(tx.released, id)
	}
	return d.fault(d.apart(ctx, tx), "finish loads of database %q", d.db.name)
}
