package penstock

import "time"

// Op says what one row in TableChanges did.
type Op uint8

const (
	// OpInsert: the row is new.
	OpInsert Op = iota + 1
	// OpUpdate: the row replaces the one with the same identity, or, if the
	// row before it is an OpOld, the one which that names. Values may be
	// unchanged.
	OpUpdate
	// OpDelete: the row named by the identity columns is gone. Other columns
	// are null unless the table's identity is IdentityFull.
	OpDelete
	// OpOld: the identity that the row of the next OpUpdate had before.
	OpOld
)

// TableChanges are the changes to one table, in commit order.
type TableChanges struct {
	Table     *Table
	Truncated bool // the table was emptied before these rows
	Rows      Rows // one row per Op
	Ops       []Op

	// BadValues counts the values that the column's Type cannot hold and that
	// are null in Rows for that reason.
	BadValues BadValues
}

// Truncate records that the table was emptied: what stood before is void.
func (t *TableChanges) Truncate() {
	t.Truncated = true
	t.Rows.Clear()
	t.Ops = t.Ops[:0]
}

// Changes is what a stream delivered: the effect of consecutive transactions
// of one source database, in commit order, per table. It is filled by
// Stream.Next and may be reused with Reset.
type Changes struct {
	Tables []*TableChanges // in the order of their first change

	// Position is the last transaction boundary that the content reaches.
	Position Position
	// CommitTime is when the last transaction in it committed at the source;
	// zero if it contains none.
	CommitTime time.Time
	// Transactions counts the complete transactions contained.
	Transactions int
	// Open is set while the content ends inside a transaction, because that
	// one exceeds the limit given to Next; the rest follows with later calls.
	Open bool

	// Altered are changes of shape on the way that keep the rows that are
	// there, one for each table at the most. Rows in Tables have the new shapes.
	Altered []Alteration
	// Dropped lists tables that have been dropped at the source, or are no
	// longer selected by the filter. There are no rows of them in Tables.
	Dropped []TableID
	// Reshaped lists tables whose shape or rows have changed in a way that is
	// not in the stream. Their rows are left out from there on, until the
	// stream is opened anew with them joined.
	Reshaped []TableID
	// Passed lists tables that were joined by a snapshot and whose rows are
	// now, at Position, exactly those that snapshot and stream make together.
	Passed []TableID

	index map[TableID]*TableChanges
	last  *TableChanges // that Table returned
	spare []*TableChanges
}

// Table returns the changes of t, which it adds if there are none yet.
func (c *Changes) Table(t *Table) *TableChanges {
	// Rows of one table often come together.
	if c.last != nil && c.last.Table == t {
		return c.last
	}
	c.last = c.table(t)
	return c.last
}

func (c *Changes) table(t *Table) *TableChanges {
	if tc := c.index[t.ID]; tc != nil {
		return tc
	}
	var tc *TableChanges
	if n := len(c.spare); n > 0 {
		tc, c.spare = c.spare[n-1], c.spare[:n-1]
	} else {
		tc = &TableChanges{}
	}
	tc.Table, tc.Truncated, tc.Ops, tc.BadValues = t, false, tc.Ops[:0], nil
	tc.Rows.Reset(t)
	if c.index == nil {
		c.index = make(map[TableID]*TableChanges)
	}
	c.index[t.ID] = tc
	c.Tables = append(c.Tables, tc)
	return tc
}

// Size returns the bytes that the rows take.
func (c *Changes) Size() int {
	n := 0
	for _, t := range c.Tables {
		n += t.Rows.Size() + len(t.Ops)
	}
	return n
}

// Empty reports whether applying c would change nothing but the position.
func (c *Changes) Empty() bool {
	return len(c.Tables) == 0 && len(c.Altered) == 0 && len(c.Dropped) == 0 && len(c.Reshaped) == 0 && len(c.Passed) == 0
}

// maxSpare bounds the memory that Reset keeps for the next use.
const maxSpare = 8 << 20

// Reset empties c, keeping Position, and some memory for reuse.
func (c *Changes) Reset() {
	held := 0
	for _, t := range c.spare {
		held += t.Rows.Cap()
	}
	for _, t := range c.Tables {
		if n := t.Rows.Cap(); held+n <= maxSpare {
			c.spare = append(c.spare, t)
			held += n
		}
	}
	clear(c.index)
	c.last = nil
	c.Tables = c.Tables[:0]
	c.CommitTime, c.Transactions, c.Open = time.Time{}, 0, false
	c.Altered, c.Dropped, c.Reshaped, c.Passed = nil, nil, c.Reshaped[:0], c.Passed[:0]
}
