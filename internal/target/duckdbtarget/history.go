package duckdbtarget

import (
	"context"
	"fmt"
	"strings"
	"time"

	"penstock"
)

// A table in history mode is two tables of the engine: the active rows, which
// are what any other table is and one column more, since when they are, and
// what is past, which rows are only ever added to. Readers see a view of both.
// So applying changes, altering and comparing are the same as ever, and cost
// no more however long the history is.

// historyTables are the tables behind a version in history mode, in its schema.
type historyTables struct {
	Active string `json:"active"`
	Past   string `json:"past"`
	// Place is how many of the version's columns stand before the time in
	// Active: those that came later stand behind it.
	Place int `json:"place"`
}

// Columns behind those of the version: in Active the second, in Past all, the
// first of which is always false: a DELETE may name it.
var (
	activeColumn = ident(penstock.ActiveColumn)
	createColumn = ident(penstock.CreateTimeColumn)
	deleteColumn = ident(penstock.DeleteTimeColumn)
)

var timestampType = penstock.Type{Kind: penstock.TypeTimestamp}

// rows returns the name of the table that the rows of a version are in.
func (v *version) rows() string {
	if v.History != nil {
		return v.History.Active
	}
	return v.Table
}

// tables returns the names of the tables that hold what readers see.
func (v *version) tables() []string {
	if v.History != nil {
		return []string{v.History.Active, v.History.Past}
	}
	return []string{v.Table}
}

// past returns the quoted name of the table of what is past.
func (d *Destination) past(v *version) string {
	return ident(d.db.alias) + "." + ident(v.Schema) + "." + ident(v.History.Past)
}

// altered returns h after the version's columns have changed.
func (h *historyTables) altered(a *penstock.Alteration) *historyTables {
	c := *h
	c.Place = 0
	for i := range a.New.Columns {
		if at := a.Source(i); at >= 0 && at < h.Place {
			c.Place++
		}
	}
	return &c
}

// columnList returns the quoted names of a version's columns, each after prefix.
func (v *version) columnList(prefix string) string {
	var b strings.Builder
	for i, c := range v.Columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(prefix + ident(c))
	}
	return b.String()
}

// selectVersions returns the query that readers of a version see. What is active
// is a constant of each side, so that the engine leaves out one of them where a
// query asks for the other.
func (d *Destination) selectVersions(v *version) string {
	columns := v.columnList("")
	return "SELECT " + columns + ", true AS " + activeColumn + ", " + createColumn + ", NULL::TIMESTAMP AS " + deleteColumn + " FROM " + d.table(v) +
		" UNION ALL SELECT " + columns + ", false, " + createColumn + ", " + deleteColumn + " FROM " + d.past(v)
}

func (d *Destination) createView(v *version) string {
	return "CREATE VIEW " + d.named(v) + " AS " + d.selectVersions(v)
}

// intoPast returns the beginning of a statement that adds to what is past; a
// query of the version's columns and two times follows.
func (d *Destination) intoPast(v *version) string {
	return "INSERT INTO " + d.past(v) + " (" + v.columnList("") + ", " + createColumn + ", " + deleteColumn + ") "
}

// stamp returns a time as a literal.
func stamp(at time.Time) string {
	return "make_timestamp(" + fmt.Sprint(at.UnixMicro()) + ")"
}

// endAll returns the statements that end all active rows.
func (d *Destination) endAll(v *version, at time.Time) []string {
	return []string{
		d.intoPast(v) + "SELECT " + v.columnList("") + ", " + createColumn + ", " + stamp(at) + " FROM " + d.table(v) + " WHERE " + createColumn + " < " + stamp(at),
		"DELETE FROM " + d.table(v),
	}
}

// end ends all active rows of a version.
func (tx *metaChange) end(v *version, at time.Time) {
	tx.tables = append(tx.tables, tx.d.endAll(v, at)...)
}

// begin turns the readable version of a table into one in history mode.
func (tx *metaChange) begin(id penstock.TableID, e *entry, at time.Time) {
	d, v := tx.d, *e.Readable
	v.History = &historyTables{Active: fmt.Sprintf("%s%x_%d_active", keptPrefix, string(id), e.Loads), Past: fmt.Sprintf("%s%x_%d_past", keptPrefix, string(id), e.Loads),
		Place: len(v.Columns)}
	tx.tables = append(tx.tables, "ALTER TABLE "+d.named(&v)+" RENAME TO "+ident(v.History.Active))
	tx.renameColumns(&v, storedColumns(&v.Shape.Table, true))
	var columns strings.Builder
	for i, c := range v.Shape.Columns {
		columns.WriteString(ident(v.Columns[i]) + " " + sqlType(c.Type) + ", ")
	}
	tx.tables = append(tx.tables,
		// The engine takes no expression there, but a literal.
		"ALTER TABLE "+d.table(&v)+" ADD COLUMN "+createColumn+" TIMESTAMP DEFAULT "+literal(at.UTC().Format("2006-01-02 15:04:05.999999")),
		"ALTER TABLE "+d.table(&v)+" ALTER COLUMN "+createColumn+" DROP DEFAULT",
		"CREATE TABLE "+d.past(&v)+" ("+columns.String()+activeColumn+" BOOLEAN DEFAULT false, "+createColumn+" TIMESTAMP, "+deleteColumn+" TIMESTAMP)",
		d.createView(&v))
	e.Readable, e.History = &v, true
	tx.named(id)
}

// renameColumns gives the columns of the table that a version's rows are in
// other names, by way of names of ours, as they may be exchanged.
func (tx *metaChange) renameColumns(v *version, names []string) {
	var last []string
	for i, name := range names {
		if name == v.Columns[i] {
			continue
		}
		table, ours := "ALTER TABLE "+tx.d.table(v)+" RENAME COLUMN ", fmt.Sprintf("%scolumn_%d", hiddenPrefix, i)
		tx.tables = append(tx.tables, table+ident(v.Columns[i])+" TO "+ident(ours))
		last = append(last, table+ident(ours)+" TO "+ident(name))
	}
	tx.tables = append(tx.tables, last...)
	v.Columns = names
}

// toggle turns history mode on or off.
func (tx *metaChange) toggle(s penstock.Switch) {
	e := tx.entry(s.Table)
	if e == nil || e.Readable == nil || e.Hidden != nil || e.History == s.History {
		return
	}
	at := tx.d.pending.at
	if s.History {
		tx.begin(s.Table, e, at)
		return
	}
	v := *e.Readable
	tx.leave(s.Table, &v, at)
	tx.tables = append(tx.tables, "DROP VIEW "+tx.d.named(&v), "DROP TABLE "+tx.d.past(&v), "ALTER TABLE "+tx.d.table(&v)+" DROP COLUMN "+createColumn)
	tx.renameColumns(&v, storedColumns(&v.Shape.Table, false))
	tx.tables = append(tx.tables, "ALTER TABLE "+tx.d.table(&v)+" RENAME TO "+ident(v.Table))
	v.History = nil
	e.Readable, e.History = &v, false
	tx.named(s.Table)
}

// leave makes a table of the past of all versions of a table's rows.
func (tx *metaChange) leave(id penstock.TableID, v *version, at time.Time) {
	shape := v.Shape.Table
	shape.ID = penstock.TableID(fmt.Sprintf("%s@%d", id, at.UnixMicro()))
	shape.Name, shape.Identity, shape.Key, shape.Parts = penstock.HistoricalName(shape.Name, at), penstock.IdentityNone, nil, ""
	shape.Columns = append(shape.Columns[:len(shape.Columns):len(shape.Columns)],
		penstock.Column{ID: -1, Name: penstock.ActiveColumn, Type: penstock.Type{Kind: penstock.TypeBool}},
		penstock.Column{ID: -2, Name: penstock.CreateTimeColumn, Type: timestampType},
		penstock.Column{ID: -3, Name: penstock.DeleteTimeColumn, Type: timestampType})
	l := version{Shape: storedShape{shape}, Schema: v.Schema, Table: tx.freeTable(shape.ID, v.Schema, shape.Name),
		Columns: append(v.Columns[:len(v.Columns):len(v.Columns)], penstock.ActiveColumn, penstock.CreateTimeColumn, penstock.DeleteTimeColumn)}
	tx.tables = append(tx.tables, "CREATE TABLE "+tx.d.table(&l)+" AS "+tx.d.selectVersions(v))
	e := &entry{Known: l.Shape, Readable: &l, Left: true}
	e.setState(penstock.TableDroppedSource, "the history of "+v.Shape.Table.String()+" until then")
	tx.entries[shape.ID] = e
	tx.named(shape.ID)
}

// rename gives a table that nothing is replicated into another name.
func (tx *metaChange) rename(id penstock.TableID, e *entry, name string) {
	v := *e.Readable
	from := tx.d.named(&v)
	v.Shape.Name = name
	v.Table = tx.freeTable(id, v.Schema, name)
	if v.History != nil {
		tx.tables = append(tx.tables, "DROP VIEW "+from, tx.d.createView(&v))
	} else {
		tx.tables = append(tx.tables, "ALTER TABLE "+from+" RENAME TO "+ident(v.Table))
	}
	e.Readable, e.Known = &v, v.Shape
	tx.named(id)
}

// retire ends a table that is gone from the source, and keeps its history.
func (tx *metaChange) retire(id penstock.TableID) {
	e := tx.entry(id)
	if e == nil || e.Readable == nil || e.Readable.History == nil {
		tx.drop(id)
		return
	}
	if e.Hidden != nil {
		tx.dropHidden(id, e)
		tx.released = append(tx.released, id)
	}
	tx.end(e.Readable, tx.d.pending.at)
	e.setState(penstock.TableDroppedSource, "it was dropped at the source, or the filter does not select it any more")
}

// goOn makes the hidden version of a table in history mode what is active in
// the readable one: of the rows that are active there, those that are not in it
// end, and those begin that only it has.
func (d *Destination) goOn(ctx context.Context, tx *metaChange, id penstock.TableID) error {
	if err := d.flush(ctx, tx); err != nil {
		return err
	}
	defer d.writer.inst.crew.help(helpWriter)() // comparing divides well
	e, at := tx.entry(id), d.pending.at
	hidden := *e.Hidden
	a := &penstock.Alteration{Old: &e.Readable.Shape.Table, New: &hidden.Shape.Table}
	m := &move{Alteration: a, entry: e, v: *e.Readable}
	if err := d.writer.exec(ctx, "DROP VIEW "+d.named(&m.v)); err != nil {
		return err
	}
	if err := d.alterColumns(ctx, m); err != nil {
		return err
	}
	name := tx.storedTable(id, &hidden)
	v := m.v
	v.Shape = hidden.Shape
	if v.Schema != hidden.Schema {
		was := v
		v.Schema = hidden.Schema
		if err := d.moveKept(ctx, &was, &v); err != nil {
			return err
		}
	}
	v.Table = name

	// What two rows have to agree in to be one. Equal ones are told apart by
	// number, where there may be such.
	grouped := make([]string, 0, len(v.Columns))
	same := make([]string, 0, len(v.Columns)+1)
	var values [2][]string
	for i, c := range v.Shape.Columns {
		for side, stored := range []string{v.Columns[i], hidden.Columns[i]} {
			values[side] = append(values[side], distinguishing(ident(stored), c.Type)+fmt.Sprintf(" AS c%d", i))
		}
		grouped = append(grouped, fmt.Sprintf("c%d", i))
		same = append(same, fmt.Sprintf("a.c%d IS NOT DISTINCT FROM b.c%d", i, i))
	}
	number := ""
	if v.Shape.Identity != penstock.IdentityKey {
		number = ", row_number() OVER (PARTITION BY " + strings.Join(grouped, ", ") + ") AS nth"
		same = append(same, "a.nth = b.nth")
	}
	rows := func(side int, table string) string {
		return "(SELECT *" + number + " FROM (SELECT rowid AS r, " + strings.Join(values[side], ", ") + " FROM " + table + "))"
	}
	active, loaded, join := rows(0, d.table(&v)), rows(1, d.table(&hidden)), " AS b ON "+strings.Join(same, " AND ")
	if err := d.writer.execAll(ctx,
		"CREATE OR REPLACE TEMP TABLE _penstock_ended AS SELECT a.r FROM "+active+" AS a ANTI JOIN "+loaded+join,
		"CREATE OR REPLACE TEMP TABLE _penstock_begun AS SELECT a.r FROM "+loaded+" AS a ANTI JOIN "+active+join,
		d.intoPast(&v)+"SELECT "+v.columnList("t.")+", t."+createColumn+", "+stamp(at)+" FROM "+d.table(&v)+" AS t SEMI JOIN temp.main._penstock_ended AS g ON t.rowid = g.r"+
			" WHERE t."+createColumn+" < "+stamp(at),
		"DELETE FROM "+d.table(&v)+" WHERE rowid IN (SELECT r FROM temp.main._penstock_ended)",
		"INSERT INTO "+d.table(&v)+" ("+v.columnList("")+", "+createColumn+") SELECT "+hidden.columnList("t.")+", "+stamp(at)+
			" FROM "+d.table(&hidden)+" AS t SEMI JOIN temp.main._penstock_begun AS g ON t.rowid = g.r",
		"DROP TABLE temp.main._penstock_ended",
		"DROP TABLE temp.main._penstock_begun",
		"DROP TABLE "+d.table(&hidden),
		d.createView(&v),
	); err != nil {
		return err
	}
	e.noLoad()
	e.Readable = &v
	tx.named(id)
	e.setState(penstock.TableSynced, "")
	return nil
}

// distinguishing returns an expression that differs where two values do: to
// the engine a month equals 30 days; as text they differ.
func distinguishing(column string, t penstock.Type) string {
	if t.Kind == penstock.TypeInterval {
		return column + "::VARCHAR"
	}
	return column
}

// moveKept moves the tables behind a version to another schema.
func (d *Destination) moveKept(ctx context.Context, from, to *version) error {
	return d.writer.execAll(ctx,
		"CREATE SCHEMA IF NOT EXISTS "+ident(d.db.alias)+"."+ident(to.Schema),
		"CREATE TABLE "+d.table(to)+" AS SELECT * FROM "+d.table(from),
		"DROP TABLE "+d.table(from),
		"CREATE TABLE "+d.past(to)+" AS SELECT * FROM "+d.past(from),
		"ALTER TABLE "+d.past(to)+" ALTER COLUMN "+activeColumn+" SET DEFAULT false",
		"DROP TABLE "+d.past(from))
}
