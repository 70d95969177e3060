package duckdbtarget

import (
	"context"
	"fmt"
	"strings"

	"penstock"
)

// removeRows removes, for each row in tb.Remove, exactly one of the stored
// rows that equal it in every column. One that there is not is an error.
func (d *Destination) removeRows(ctx context.Context, v *version, tb *penstock.TableBatch) error {
	const staged = "_penstock_gone"
	var declared, grouped, same []string
	for c, col := range v.Shape.Columns {
		name := fmt.Sprintf("c%d", c)
		declared = append(declared, name+" "+sqlType(col.Type))
		grouped = append(grouped, distinguishing(name, col.Type))
		same = append(same, distinguishing("t."+ident(v.Columns[c]), col.Type)+" IS NOT DISTINCT FROM "+distinguishing("g."+name, col.Type))
	}
	if err := d.writer.exec(ctx, "CREATE OR REPLACE TEMP TABLE "+staged+" ("+strings.Join(declared, ", ")+")"); err != nil {
		return err
	}
	if err := d.stage(ctx, staged, columnsOf(tb.Rows, tb.Remove), len(tb.Remove), new(penstock.BadValues)); err != nil {
		return err
	}
	values := make([]string, len(v.Columns))
	for c := range values {
		values[c] = fmt.Sprintf("any_value(c%d) AS c%d", c, c)
	}
	defer d.writer.inst.crew.help(helpWriter)() // looking for them divides well
	// g: each distinct row to remove, and how often. The stored rows that
	// equal it are numbered, and that many of them go.
	n, err := d.writer.count(ctx,
		"DELETE FROM "+d.table(v)+" WHERE rowid IN (SELECT row FROM ("+
			"SELECT t.rowid AS row, g.often, row_number() OVER (PARTITION BY g.id) AS nth"+
			" FROM (SELECT "+strings.Join(values, ", ")+", count(*) AS often, row_number() OVER () AS id FROM temp.main."+staged+
			" GROUP BY "+strings.Join(grouped, ", ")+") AS g"+
			" JOIN "+d.table(v)+" AS t ON "+strings.Join(same, " AND ")+
			") WHERE nth <= often)")
	if err == nil {
		err = tb.Removed(n)
	}
	if err != nil {
		return err
	}
	return d.writer.exec(ctx, "DROP TABLE temp.main."+staged)
}
