package duckdbtarget

import (
	"context"
	"strconv"
	"strings"

	"penstock"
)

// The engine reads a column in vectors of 2,048 rows, and has all values of a
// vector in memory at once, those above 4 KB too; so it does when it moves its
// log into the file. A table whose rows in one vector do not fit into its memory
// together makes that fail, which the engine takes for the end of the database.
// So it is known of each table with large values how much they take in the last
// vector, where rows are added, and what would be too much is refused (promise 5).

// heavyRow is how many bytes a row has that counts; 2,048 smaller ones fit.
const heavyRow = 16 << 10

// fits returns how many bytes the rows of a vector may take: with a fifth of
// the engine's memory left for all else.
func (w *Warehouse) fits() int64 { return w.cfg.Memory / 5 * 4 }

// weight is what the heavy rows of a version take that were added last. It is
// guarded by Destination.mu.
type weight struct {
	rows  int64 // added since it is counted
	heavy []*heavyPart
	dirty bool // rows have been added or removed since it was measured
}

// heavyPart is a row, or what was measured of several.
type heavyPart struct {
	at    int64 // the number of the row
	bytes int64 // 0 if it was undone
}

// last returns what the rows take that may be in the last vector.
func (w *weight) last() (sum int64) {
	n := 0
	for n < len(w.heavy) && w.heavy[n].at+int64(chunkRows) < w.rows {
		n++
	}
	w.heavy = w.heavy[n:]
	for _, h := range w.heavy {
		sum += h.bytes
	}
	return sum
}

// weigh counts n rows that are to be appended to a version by a transaction of
// c, and refuses them if they are too much.
func (d *Destination) weigh(ctx context.Context, c *conn, v *version, columns []source, n int) error {
	most := 0 // that a row may have
	for i := range columns {
		most += columns[i].longest(n)
	}
	name := d.table(v)
	d.mu.Lock()
	w := d.weights[name]
	d.mu.Unlock()
	var rows []heavyPart
	if most >= heavyRow {
		for r := range n {
			size := 0
			for i := range columns {
				size += columns[i].bytes(r, r+1)
			}
			if size >= heavyRow {
				rows = append(rows, heavyPart{int64(r), int64(size)})
			}
		}
	}
	if len(rows) > 0 && w == nil {
		var err error
		if w, err = d.weightOf(ctx, v); err != nil {
			return err
		}
	}
	if w == nil {
		return nil
	}
	return d.count(c, v, w, rows, n)
}

// count counts rows of a version, and refuses them if they are too much.
func (d *Destination) count(c *conn, v *version, w *weight, heavy []heavyPart, n int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range heavy {
		h := &heavy[i]
		h.at += w.rows
		w.heavy, w.dirty = append(w.heavy, h), true
		c.heavy = append(c.heavy, h)
	}
	w.rows += int64(n)
	sum, fits := w.last(), d.w.fits()
	if sum <= fits || len(heavy) == 0 {
		return nil
	}
	t := &penstock.TooLarge{Table: &v.Shape.Table, Bytes: sum, Fits: fits}
	t.Needs = int64(float64(d.w.cfg.Configured) * float64(sum) / float64(fits))
	return &penstock.Error{Kind: penstock.KindFull, Code: penstock.ProblemMemoryExhausted, Err: t, Mend: t.Mend()}
}

// weightOf returns what is known of a version, which is measured if it is not.
func (d *Destination) weightOf(ctx context.Context, v *version) (*weight, error) {
	name := d.table(v)
	d.mu.Lock()
	w := d.weights[name]
	d.mu.Unlock()
	if w != nil {
		return w, nil
	}
	measured, err := d.measure(ctx, v)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if w = d.weights[name]; w == nil {
		w = measured
		d.weights[name] = w
	}
	return w, nil
}

// weighPatches does the same as weigh for n patched rows, whose unchanged values
// only the engine has.
func (d *Destination) weighPatches(ctx context.Context, v *version, rows *penstock.Rows, n int) error {
	w, err := d.weightOf(ctx, v)
	if err != nil {
		return err
	}
	d.mu.Lock()
	light := len(w.heavy) == 0
	d.mu.Unlock()
	if light {
		return nil
	}
	size := "0"
	for i, col := range v.Shape.Columns {
		if rows.Vectors[i].Unchanged() > 0 {
			if f := lengthOf[col.Type.Kind]; f != "" {
				size += " + coalesce(sum(" + f + "(c" + strconv.Itoa(i) + ")), 0)"
			}
		}
	}
	sum, err := d.writer.texts(ctx, "SELECT ("+size+")::BIGINT::VARCHAR FROM "+patchTable)
	if err != nil {
		return err
	}
	bytes, err := strconv.ParseInt(sum[0][0], 10, 64)
	if err != nil || bytes < heavyRow {
		return err
	}
	return d.count(d.writer, v, w, []heavyPart{{int64(n) - 1, bytes}}, n)
}

// lengthOf names the functions that say how many bytes a value has.
var lengthOf = map[penstock.TypeKind]string{penstock.TypeText: "strlen", penstock.TypeJSON: "strlen", penstock.TypeBytes: "octet_length"}

// removes notes that rows of a version are going.
func (d *Destination) removes(v *version) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w := d.weights[d.table(v)]; w != nil {
		w.dirty = true
	}
}

// lighten finds out anew what the versions take whose heavy rows are many, once
// the engine has left out those that are gone: it does so where it writes a part
// of a table anew, or nothing of it is left. Others go when the table is loaded again.
func (d *Destination) lighten(ctx context.Context) error {
	var heavy []*version
	d.mu.Lock()
	if len(d.weights) == 0 {
		d.mu.Unlock()
		return nil
	}
	for _, e := range d.entries {
		for _, v := range []*version{e.Readable, e.Hidden} {
			if v == nil {
				continue
			}
			if w := d.weights[d.table(v)]; w != nil && w.dirty && w.last() > d.w.fits()/4 {
				heavy = append(heavy, v)
			}
		}
	}
	d.mu.Unlock()
	if len(heavy) == 0 || !d.checkpoint(ctx) {
		return nil
	}
	for _, v := range heavy {
		w, err := d.measure(ctx, v)
		if err != nil {
			return err
		}
		d.mu.Lock()
		d.weights[d.table(v)] = w
		d.mu.Unlock()
	}
	return nil
}

// measure returns what the values of a version take that lie in blocks of their
// own, in the last vector of the file. No value is read for that.
// pragma_storage_info cannot be given a name with a quotation mark; then nothing
// is known of what was there before.
func (d *Destination) measure(ctx context.Context, v *version) (*weight, error) {
	if strings.Contains(d.db.alias+v.Schema+v.rows(), `"`) {
		return &weight{}, nil
	}
	c, err := d.connection()
	if err != nil {
		return nil, err
	}
	defer d.release(c)
	rows, err := c.texts(ctx, `SELECT len(additional_block_ids)::VARCHAR, count::VARCHAR FROM pragma_storage_info(`+literal(d.table(v))+`)
		WHERE len(additional_block_ids) > 0
		QUALIFY start + count > max(start + count) OVER (PARTITION BY row_group_id) - `+strconv.Itoa(chunkRows)+` AND row_group_id = max(row_group_id) OVER ()`)
	if err != nil {
		return nil, err
	}
	w := &weight{}
	for _, r := range rows {
		blocks, err1 := strconv.ParseInt(r[0], 10, 64)
		n, err2 := strconv.ParseInt(r[1], 10, 64)
		if err1 != nil || err2 != nil || n == 0 {
			continue
		}
		w.heavy = append(w.heavy, &heavyPart{0, blocks * d.block * min(n, int64(chunkRows)) / n})
	}
	return w, nil
}

// stored notes that the transaction of a connection is committed; without that,
// its rollback takes back what was counted.
func (c *conn) stored() { c.heavy = nil }

// undoHeavy takes back what was counted for a transaction that is undone.
func (d *Destination) undoHeavy(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range c.heavy {
		h.bytes = 0
	}
	c.heavy = nil
}
