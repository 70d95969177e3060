package duckdbtarget

import (
	"context"
	"fmt"
	"strings"

	"penstock"
)

// endedTable is the temporary table of what is to end in a batch.
const endedTable = "temp.main._penstock_ended"

// applyVersions applies the net effect of a batch on one table in history mode:
// what has ended moves to what is past, and what has begun comes.
func (d *Destination) applyVersions(ctx context.Context, v *version, tb *penstock.TableBatch, bad *penstock.BadValues) error {
	vs := tb.Versions
	// What updates build on is fetched before it is removed.
	if len(vs.Past) > 0 {
		if err := d.addPast(ctx, v, tb, bad); err != nil {
			return err
		}
	}
	whole, patches := splitPatches(tb)
	if len(patches) > 0 {
		if err := d.fetchPatches(ctx, v, tb, patches, bad, fed{"since", source{vector: &vs.PutAt}}); err != nil {
			return err
		}
	}
	if len(tb.Remove) > 0 {
		// Looking for rows in a large table divides well.
		defer d.writer.inst.crew.help(helpWriter)()
		end := d.endKeys
		if v.Shape.Identity == penstock.IdentityFull {
			end = d.endRows
		}
		if err := end(ctx, v, tb); err != nil {
			return d.unmarked(ctx, v, tb, err)
		}
	}
	if tb.Truncate {
		if err := d.writer.execAll(ctx, d.endAll(v, vs.EmptiedAt)...); err != nil {
			return err
		}
	}
	if len(patches) > 0 {
		if err := d.writer.execAll(ctx,
			"INSERT INTO "+d.table(v)+" ("+v.columnList("")+", "+createColumn+") SELECT "+numberedColumns(len(v.Columns))+", since FROM "+patchTable,
			"DROP TABLE "+patchTable); err != nil {
			return err
		}
	}
	if len(whole) == 0 {
		return nil
	}
	since := source{vector: &vs.PutAt}
	if len(patches) > 0 { // times are those of some of the rows
		for i := range tb.Put {
			if tb.Base[i] < 0 {
				since.rows = append(since.rows, int32(i))
			}
		}
	}
	columns := versionColumns(v, tb.Rows, whole)
	place := v.History.Place
	columns = append(columns[:place:place], append([]source{since}, columns[place:]...)...)
	return d.put(ctx, d.writer, v, columns, len(whole), bad)
}

// numberedColumns returns "c0, c1, …".
func numberedColumns(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("c%d", i)
	}
	return strings.Join(names, ", ")
}

// addPast adds the versions that began and ended within a batch.
func (d *Destination) addPast(ctx context.Context, v *version, tb *penstock.TableBatch, bad *penstock.BadValues) error {
	vs := tb.Versions
	past := &penstock.TableBatch{Table: tb.Table, Rows: tb.Rows, Put: vs.Past, Base: vs.Base}
	whole, patches := splitPatches(past)
	times := []fed{{"since", source{vector: &vs.From}}, {"until", source{vector: &vs.To}}}
	if len(patches) > 0 {
		if err := d.fetchPatches(ctx, v, past, patches, bad, times...); err != nil {
			return err
		}
		if err := d.writer.execAll(ctx,
			d.intoPast(v)+"SELECT "+numberedColumns(len(v.Columns))+", since, until FROM "+patchTable,
			"DROP TABLE "+patchTable); err != nil {
			return err
		}
	}
	if len(whole) == 0 {
		return nil
	}
	var these []int32 // in From and To
	for i := range vs.Past {
		if vs.Base == nil || vs.Base[i] < 0 {
			these = append(these, int32(i))
		}
	}
	columns := versionColumns(v, tb.Rows, whole)
	var declared []string
	for i, c := range v.Shape.Columns {
		declared = append(declared, fmt.Sprintf("c%d %s", i, sqlType(c.Type)))
	}
	for _, t := range times {
		t.source.rows = these
		columns, declared = append(columns, t.source), append(declared, t.name+" TIMESTAMP")
	}
	const staged = "_penstock_stage"
	if err := d.writer.exec(ctx, "CREATE OR REPLACE TEMP TABLE "+staged+" ("+strings.Join(declared, ", ")+")"); err != nil {
		return err
	}
	if err := d.stage(ctx, staged, columns, len(whole), bad); err != nil {
		return err
	}
	return d.writer.execAll(ctx, d.intoPast(v)+"SELECT * FROM temp.main."+staged, "DROP TABLE temp.main."+staged)
}

// endKeys ends the rows named by the keys in tb.Remove.
func (d *Destination) endKeys(ctx context.Context, v *version, tb *penstock.TableBatch) error {
	if v.Shape.Identity != penstock.IdentityKey {
		return penstock.Errorf(penstock.KindInternal, "remove rows of a table without an identity")
	}
	var columns []source
	var declared, same []string
	for i, c := range v.Shape.Key {
		columns = append(columns, source{vector: &tb.Rows.Vectors[c], rows: tb.Remove, column: v.Shape.Columns[c].ID})
		declared = append(declared, fmt.Sprintf("k%d %s", i, sqlType(v.Shape.Columns[c].Type)))
		same = append(same, fmt.Sprintf("t.%s = g.k%d", ident(v.Columns[c]), i))
	}
	columns, declared = append(columns, source{vector: &tb.Versions.RemoveAt}), append(declared, "until TIMESTAMP")
	on := strings.Join(same, " AND ")
	var bad penstock.BadValues
	if err := d.stageEnded(ctx, declared, columns, len(tb.Remove), &bad); err != nil {
		return err
	}
	if err := tb.Nameless(bad); err != nil {
		return err
	}
	return d.writer.execAll(ctx,
		d.intoPast(v)+"SELECT "+v.columnList("t.")+", t."+createColumn+", g.until FROM "+d.table(v)+" AS t JOIN "+endedTable+" AS g ON "+on+" WHERE t."+createColumn+" < g.until",
		"DELETE FROM "+d.table(v)+" AS t USING "+endedTable+" AS g WHERE "+on,
		"DROP TABLE "+endedTable)
}

func (d *Destination) stageEnded(ctx context.Context, declared []string, columns []source, n int, bad *penstock.BadValues) error {
	if err := d.writer.exec(ctx, "CREATE OR REPLACE TEMP TABLE _penstock_ended ("+strings.Join(declared, ", ")+")"); err != nil {
		return err
	}
	return d.stage(ctx, "_penstock_ended", columns, n, bad)
}

// endRows ends, for each row in tb.Remove, exactly one of the stored rows that
// equal it in every column; one that there is not is an error. Which of them does
// not matter: none began later than one of them ends.
func (d *Destination) endRows(ctx context.Context, v *version, tb *penstock.TableBatch) error {
	var declared, given, stored, same []string
	for c, col := range v.Shape.Columns {
		name := fmt.Sprintf("c%d", c)
		declared = append(declared, name+" "+sqlType(col.Type))
		given = append(given, distinguishing(name, col.Type))
		stored = append(stored, distinguishing("t."+ident(v.Columns[c]), col.Type))
		same = append(same, stored[c]+" IS NOT DISTINCT FROM "+distinguishing("g."+name, col.Type))
	}
	columns := append(columnsOf(tb.Rows, tb.Remove), source{vector: &tb.Versions.RemoveAt})
	if err := d.stageEnded(ctx, append(declared, "until TIMESTAMP"), columns, len(tb.Remove), new(penstock.BadValues)); err != nil {
		return err
	}
	on := strings.Join(same, " AND ")
	err := d.writer.execAll(ctx,
		// Equal rows on both sides are numbered, and each number is a pair.
		"CREATE OR REPLACE TEMP TABLE _penstock_pair AS SELECT t._penstock_row AS row, g.until"+
			" FROM (SELECT *, row_number() OVER (PARTITION BY "+strings.Join(given, ", ")+" ORDER BY until) AS nth FROM "+endedTable+") AS g"+
			" JOIN (SELECT t.*, t.rowid AS _penstock_row, row_number() OVER (PARTITION BY "+strings.Join(stored, ", ")+" ORDER BY t."+createColumn+") AS _penstock_nth"+
			" FROM "+d.table(v)+" AS t SEMI JOIN "+endedTable+" AS g ON "+on+") AS t ON t._penstock_nth = g.nth AND "+on,
		d.intoPast(v)+"SELECT "+v.columnList("t.")+", t."+createColumn+", p.until FROM "+d.table(v)+" AS t JOIN temp.main._penstock_pair AS p ON t.rowid = p.row WHERE t."+createColumn+" < p.until")
	if err != nil {
		return err
	}
	n, err := d.writer.count(ctx, "DELETE FROM "+d.table(v)+" WHERE rowid IN (SELECT row FROM temp.main._penstock_pair)")
	if err == nil {
		err = tb.Removed(n)
	}
	if err != nil {
		return err
	}
	return d.writer.execAll(ctx, "DROP TABLE temp.main._penstock_pair", "DROP TABLE "+endedTable)
}
