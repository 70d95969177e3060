package duckdbtarget

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"penstock"
)

// patchTable is the temporary table in which patched rows wait, complete,
// between the removal of what they build on and their own arrival.
const patchTable = "temp.main._penstock_patch"

// splitPatches tells the rows to put that are whole from those that have
// unchanged values; the latter as indices into tb.Put.
func splitPatches(tb *penstock.TableBatch) (whole []int32, patches []int) {
	if tb.Base == nil {
		return tb.Put, nil
	}
	for i, r := range tb.Put {
		if tb.Base[i] < 0 {
			whole = append(whole, r)
		} else {
			patches = append(patches, i)
		}
	}
	return whole, patches
}

// fed is a column beside those of a table, with a value for each row of a batch
// to be put.
type fed struct {
	name   string
	source source
}

// fetchPatches fills in the unchanged values of patches from the stored rows
// that they build on, and leaves the rows in patchTable. The engine does it,
// so that values of any size pass through its memory limit, not ours.
func (d *Destination) fetchPatches(ctx context.Context, v *version, tb *penstock.TableBatch, patches []int, bad *penstock.BadValues, more ...fed) error {
	if v.Shape.Identity != penstock.IdentityKey {
		return penstock.Errorf(penstock.KindInternal, "unchanged values in a table without a key")
	}
	put, base := make([]int32, len(patches)), make([]int32, len(patches))
	number := penstock.NewVector(penstock.Type{Kind: penstock.TypeInt32})
	for i, p := range patches {
		put[i], base[i] = tb.Put[p], tb.Base[p]
		number.AppendInt32(tb.Put[p])
	}

	// Staged are the new values, which of them are unchanged, and the key of
	// the row that has those.
	var columns []source
	var names, declared []string
	var types []penstock.Type
	stage := func(name string, t penstock.Type, s source) {
		columns, names, types = append(columns, s), append(names, name), append(types, t)
		declared = append(declared, name+" "+sqlType(t))
	}
	var selected, where []string
	for c, col := range v.Shape.Columns {
		vec := &tb.Rows.Vectors[c]
		value := fmt.Sprintf("c%d", c)
		stage(value, col.Type, source{vector: vec, rows: put, column: col.ID})
		if vec.Unchanged() > 0 {
			mask := fmt.Sprintf("m%d", c)
			stage(mask, penstock.Type{Kind: penstock.TypeBool}, source{vector: vec, rows: put, mask: true})
			selected = append(selected, fmt.Sprintf("CASE WHEN s.%s THEN t.%s ELSE s.%s END AS %s", mask, ident(v.Columns[c]), value, value))
		} else {
			selected = append(selected, "s."+value)
		}
	}
	for i, c := range v.Shape.Key {
		name := fmt.Sprintf("k%d", i)
		stage(name, v.Shape.Columns[c].Type, source{vector: &tb.Rows.Vectors[c], rows: base})
		where = append(where, fmt.Sprintf("t.%s = s.%s", ident(v.Columns[c]), name))
	}

	for _, m := range more {
		m.source.rows = make([]int32, len(patches))
		for i, p := range patches {
			m.source.rows[i] = int32(p)
		}
		stage(m.name, m.source.vector.Type(), m.source)
		selected = append(selected, "s."+m.name)
	}

	// Where rows are mended, several may have the key, of which any will do,
	// or none, of which the caller is told; each is numbered for that.
	one := ""
	if tb.Mend {
		stage("n", number.Type(), source{vector: &number})
		selected = append(selected, "s.n")
		one = " QUALIFY row_number() OVER (PARTITION BY s.n) = 1"
	}

	const staged, found = "_penstock_stage", "_penstock_found"
	if err := d.writer.exec(ctx, "CREATE OR REPLACE TEMP TABLE "+staged+" ("+strings.Join(declared, ", ")+")"); err != nil {
		return err
	}
	if err := d.stage(ctx, staged, columns, len(patches), bad); err != nil {
		return err
	}
	// Where the rows are is found by their keys alone, so that of the values no more are
	// read than fetchFound has to.
	defer d.writer.inst.crew.help(helpWriter)()
	if err := d.writer.exec(ctx, "CREATE OR REPLACE TEMP TABLE "+found+" AS SELECT s.*, t.rowid AS "+foundRow+", row_number() OVER (ORDER BY t.rowid) AS "+foundNumber+
		" FROM temp.main."+staged+" AS s JOIN "+d.table(v)+" AS t ON "+strings.Join(where, " AND ")+one); err != nil {
		return err
	}
	missing := len(tb.Missing)
	if tb.Mend {
		if err := d.noteMissing(ctx, tb, staged, found); err != nil {
			return err
		}
	}
	missing = len(tb.Missing) - missing
	if err := d.writer.exec(ctx, "DROP TABLE temp.main."+staged); err != nil {
		return err
	}
	if err := d.fetchFound(ctx, v, found, strings.Join(selected, ", ")); err != nil {
		return err
	}
	n, err := d.writer.texts(ctx, "SELECT count(*)::VARCHAR FROM "+patchTable)
	if err != nil {
		return err
	}
	if n[0][0] != fmt.Sprint(len(patches)-missing) {
		return penstock.Errorf(penstock.KindStale, "apply to %s of database %q: of the %d rows that updates build on %s are there",
			tb.Table, d.db.name, len(patches), n[0][0])
	}
	return d.weighPatches(ctx, v, tb.Rows, len(patches)-missing)
}

const (
	foundRow    = "_penstock_row"    // the rowid
	foundNumber = "_penstock_number" // from 1, in the order of the rowids, not without gaps
	// mostNamed is how many rows the engine is told one by one when a statement reads
	// them, its dynamic_or_filter_threshold; of more it knows the first and the last one only.
	mostNamed = 50
	// mostFetches is how many statements are worth it to tell it more of them.
	mostFetches = 20
)

// fetchFound makes patchTable of the rows that have been found, with what is selected
// from them and their table. Each value is read with the
// 2,048 around it at the least. Where the rows are so few in a large table that most of
// those are not wanted, they are read some at a time: else all of the table would be,
// documents of some kilobytes for the most part, in each batch (BenchmarkPatch).
func (d *Destination) fetchFound(ctx context.Context, v *version, found, selected string) error {
	r, err := d.writer.texts(ctx, "SELECT count(*)::VARCHAR, coalesce(max("+foundNumber+"), 0)::VARCHAR, coalesce((max("+foundRow+") - min("+foundRow+")) // "+strconv.Itoa(chunkRows)+", 0)::VARCHAR FROM temp.main."+found)
	if err != nil {
		return err
	}
	n, err1 := strconv.Atoi(r[0][0])
	last, err2 := strconv.Atoi(r[0][1])
	between, err3 := strconv.Atoi(r[0][2]) // the first and the last one, in vectors
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	each := max(last, 1)
	if n <= mostNamed*mostFetches && between > n {
		each = mostNamed
	}
	into := "CREATE OR REPLACE TEMP TABLE _penstock_patch AS "
	for from := 0; from == 0 || from < last; from += each {
		if err := d.writer.exec(ctx, into+"SELECT "+selected+" FROM (SELECT * FROM temp.main."+found+" WHERE "+foundNumber+" > "+strconv.Itoa(from)+
			" AND "+foundNumber+" <= "+strconv.Itoa(from+each)+") AS s JOIN "+d.table(v)+" AS t ON t.rowid = s."+foundRow); err != nil {
			return err
		}
		into = "INSERT INTO " + patchTable + " "
	}
	return d.writer.exec(ctx, "DROP TABLE temp.main."+found)
}

// noteMissing fills in tb.Missing: what was staged and has not been found.
func (d *Destination) noteMissing(ctx context.Context, tb *penstock.TableBatch, staged, found string) error {
	rows, err := d.writer.texts(ctx, "SELECT n::VARCHAR FROM temp.main."+staged+" AS s WHERE NOT EXISTS (FROM temp.main."+found+" AS f WHERE f.n = s.n)")
	if err != nil {
		return err
	}
	for _, r := range rows {
		n, err := strconv.ParseInt(r[0], 10, 32)
		if err != nil {
			return err
		}
		tb.Missing = append(tb.Missing, int32(n))
	}
	return nil
}

// putPatches adds the rows that fetchPatches left.
func (d *Destination) putPatches(ctx context.Context, v *version, numbered bool) error {
	all := "*"
	if numbered {
		all = "* EXCLUDE (n)"
	}
	return d.writer.execAll(ctx,
		"INSERT INTO "+d.table(v)+" SELECT "+all+" FROM "+patchTable,
		"DROP TABLE "+patchTable)
}

// stage appends rows to a temporary table of the writer.
func (d *Destination) stage(ctx context.Context, table string, columns []source, n int, bad *penstock.BadValues) error {
	return d.writer.do(ctx, func() error {
		return appendRows(d.writer, "temp", "main", table, columns, n, bad)
	})
}
