package duckdbtarget

import (
	"context"
	"slices"
	"strconv"

	"penstock"
)

// The engine's files consist of blocks of one size, which is chosen when a file
// is made. When a row is added to a table that is in the file, each of its
// columns gets a block for values and one for nulls, whatever is in them, and
// when the log is moved into the file all of these, and as many of the file's,
// are in memory at once. So a file has smaller blocks than the engine's own if
// its tables are wide for the memory that there is; for others those of the
// engine take less disk, and less time to scan. A file whose tables have become
// too wide for it is laid out anew (relayout.go).
const (
	largestBlock  = 256 << 10 // the engine's own
	smallestBlock = 16 << 10
	// columnBlocks is how many blocks of a column have to fit into the engine's
	// memory, and roomyBlocks how many there is to be room for in a new file.
	columnBlocks = 4
	roomyBlocks  = 6
	// A new file for more than manyTables gets blocks of blockOfMany, since a batch
	// that adds to all of them would have more in memory than there is of it, and be
	// swapped out and in. For tooManyTables what is known of all those blocks takes more
	// than they save.
	manyTables    = 100
	tooManyTables = 3000
	blockOfMany   = 64 << 10
)

var _ penstock.Layout = (*Destination)(nil)

// blockFor returns the size of the blocks of a new file: the largest one with
// which a table of so many columns has room.
func (w *Warehouse) blockFor(columns int) int64 {
	block := int64(largestBlock)
	for block > smallestBlock && roomyBlocks*int64(columns)*block > w.cfg.Memory {
		block /= 2
	}
	return block
}

// cramped reports whether a table of so many columns does not work in a file
// with such blocks.
func (w *Warehouse) cramped(columns int, block int64) bool {
	return columnBlocks*int64(columns)*block > w.cfg.Memory
}

// relaying is what is known of a database that is to be laid out anew.
type relaying struct {
	block  int64 // the size of blocks that was asked for; 0: none
	failed error // why that did not work when it was last tried
}

// Fits implements penstock.Layout.
func (d *Destination) Fits(ctx context.Context, tables []penstock.Table) error {
	if err := d.usable("make room"); err != nil {
		return err
	}
	var widest *penstock.Table
	for i := range tables {
		if t := &tables[i]; widest == nil || len(t.Columns) > len(widest.Columns) {
			widest = t
		}
	}
	if widest == nil {
		return nil
	}
	if d.isEmpty() && d.db.relaying.failed == nil {
		block := d.w.blockFor(len(widest.Columns))
		if len(tables) > manyTables && len(tables) < tooManyTables {
			block = min(block, blockOfMany)
		}
		if block < d.block { // costs nothing yet
			d.db.relaying.block = block
			return penstock.ErrReopen
		}
	}
	return d.room(widest)
}

// isEmpty reports whether there is no table in the database yet.
func (d *Destination) isEmpty() bool {
	for _, e := range d.entries {
		if e.current() != nil {
			return false
		}
	}
	return true
}

// fitsAltered returns an error if a batch would make a table too wide, as Fits
// does.
func (d *Destination) fitsAltered(alter []penstock.Alteration) error {
	for i := range alter {
		if a := &alter[i]; len(a.New.Columns) > len(a.Old.Columns) {
			if err := d.room(a.New); err != nil {
				return err
			}
		}
	}
	return nil
}

// room returns an error if the file's blocks are too large for a table.
func (d *Destination) room(t *penstock.Table) error {
	columns, w := len(t.Columns), d.w
	if !w.cramped(columns, d.block) {
		return nil
	}
	r := &d.db.relaying
	possible := !w.cramped(columns, smallestBlock)
	if possible && d.block > smallestBlock && r.failed == nil {
		r.block = w.blockFor(columns)
		return penstock.ErrReopen
	}
	large := &penstock.TooLarge{Table: t, Columns: columns, Bytes: columnBlocks * int64(columns) * d.block, Fits: w.cfg.Memory}
	if !possible {
		large.Bytes = columnBlocks * int64(columns) * smallestBlock
	}
	large.Needs = int64(float64(w.cfg.Configured) * float64(large.Bytes) / float64(w.cfg.Memory))
	if r.failed != nil {
		large.Instead = penstock.MendOf(r.failed)
		r.failed = nil // it is tried again when the table is
	}
	return &penstock.Error{Kind: penstock.KindFull, Code: penstock.ProblemMemoryExhausted, Err: large, Mend: large.Mend()}
}

// wants returns the size of the blocks that the database should have: what was
// asked for, or what its tables need by now, as when there is less memory than there was.
func (d *Destination) wants() int64 {
	want := d.block
	if r := &d.db.relaying; r.block > 0 {
		want = min(want, r.block)
	}
	widest := 0
	for _, e := range d.entries {
		if v := e.current(); v != nil && !e.Left {
			widest = max(widest, len(v.Columns))
		}
	}
	if d.w.cramped(widest, d.block) && d.db.relaying.failed == nil {
		want = min(want, d.w.blockFor(widest))
	}
	return want
}

// blockSize returns the size of the blocks of a database.
func blockSize(ctx context.Context, c *conn, alias string) (int64, error) {
	rows, err := c.texts(ctx, "SELECT database_name, block_size::VARCHAR FROM pragma_database_size()")
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(rows, func(r []string) bool { return fold(r[0]) == fold(alias) })
	if i < 0 {
		return 0, penstock.Errorf(penstock.KindInternal, "the engine does not tell the size of the blocks of %q", alias)
	}
	return strconv.ParseInt(rows[i][1], 10, 64)
}
