package duckdbtarget

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"penstock"
)

// The engine has eight bytes in memory for each row of every 2,048 neighbouring
// ones of which any was ever removed, and a quarter of a mebibyte for each 122,880 at the
// least: which transaction removed it. It reads them back when the rows are read,
// cannot do without them, and gives them up only when it writes those rows anew or
// the database is attached anew. A table that is changed all over therefore needs
// memory in proportion to all its rows.
//
// If there is too little of it in the middle of a removal, the marks that had been
// made stay, and nobody can remove those rows any more ("Conflict on tuple
// deletion"). The database is attached anew then.
const (
	markSize = 8
	markRoom = 256 << 10 // of a table with few rows
	// fewRemovals is how many removals are few enough for it to be due to the
	// table and not to the batch that there is not the memory for their marks.
	fewRemovals = 4096
)

// conflict reports whether the engine says that somebody else has changed the same rows.
func (e *engineError) conflict() bool {
	return strings.Contains(e.text, "Conflict on tuple deletion") || strings.Contains(e.text, "Conflict on update")
}

// spends takes note of an error of the writer after which the database has to be
// attached anew: what it left in memory would stand in the way of everybody, and
// takes room.
func (d *Destination) spends(err error) {
	var ee *engineError
	if errors.As(err, &ee) && (ee.outOfMemory() || ee.conflict()) {
		d.w.mu.Lock()
		d.db.spent = true
		d.w.mu.Unlock()
	}
}

// unmarked says, of an error of removing rows for want of memory, that it is due
// to the table, if it is.
func (d *Destination) unmarked(ctx context.Context, v *version, tb *penstock.TableBatch, err error) error {
	var ee *engineError
	if !errors.As(err, &ee) || !ee.outOfMemory() || len(tb.Remove) > fewRemovals {
		return err
	}
	d.abandon()
	d.spends(err)
	c, e := d.connection()
	if e != nil {
		return err
	}
	defer d.release(c)
	r, e := c.texts(ctx, "SELECT estimated_size::VARCHAR FROM duckdb_tables() WHERE database_name = ? AND schema_name = ? AND table_name = ?", d.db.alias, v.Schema, v.rows())
	if e != nil || len(r) != 1 {
		return err
	}
	rows, _ := strconv.ParseInt(r[0][0], 10, 64)
	marks, fits := rows*markSize, d.w.cfg.Memory/2
	if marks < fits {
		return err
	}
	large := &penstock.TooLarge{Table: tb.Table, Rows: rows, Bytes: marks, Fits: fits}
	large.Needs = int64(float64(d.w.cfg.Configured) * 2 * float64(marks) / float64(d.w.cfg.Memory))
	return &penstock.Error{Kind: penstock.KindFull, Code: penstock.ProblemMemoryExhausted, Err: large, Mend: large.Mend()}
}

// renew attaches a database anew that a failed batch has left something of in
// memory. If somebody reads it, the engine begins anew. The caller holds w.mu, and
// nobody writes to the database.
func (w *Warehouse) renew(ctx context.Context, db *database) error {
	if !db.spent || db.err != nil {
		return nil
	}
	c, err := w.inst.connect()
	if err != nil {
		return err
	}
	defer c.close()
	w.log.Info("destination database is attached anew", "database", db.name)
	if err = c.exec(ctx, "DETACH "+ident(db.alias)); err == nil {
		err = c.exec(context.WithoutCancel(ctx), "ATTACH "+literal(db.path)+" AS "+ident(db.alias))
	}
	if err != nil {
		w.log.Warn("the warehouse's engine is opened anew, since a database cannot be attached anew", "database", db.name, "error", err)
		w.inst.broken.Store(true)
		return nil // the caller begins the next instance
	}
	db.spent = false
	return nil
}
