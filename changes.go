package penstock

import (
	"context"
	"sync"
	"time"
	"unsafe"
)

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
	// OpTruncate: the table was emptied. The row is null throughout. Only tables
	// in Changes.Versioned have it.
	OpTruncate
)

// Commit says to which transaction rows of a table belong.
type Commit struct {
	First int       // its first row; it has all up to the next Commit
	At    time.Time // when it committed; not before the Commit before it
}

// TableChanges are the changes to one table, in commit order.
type TableChanges struct {
	Table     *Table
	Truncated bool // the table was emptied before these rows
	Rows      Rows // one row per Op
	Ops       []Op

	// Commits are the transactions that the rows belong to, of a table in
	// Changes.Versioned; else it is empty.
	Commits []Commit

	// BadValues counts the values that the column's Type cannot hold and that
	// are null in Rows for that reason.
	BadValues BadValues

	versioned bool
}

// Truncate records that the table was emptied: what stood before is void,
// unless versions are kept.
func (t *TableChanges) Truncate() {
	if t.versioned {
		for i := range t.Rows.Vectors {
			t.Rows.Vectors[i].AppendNull()
		}
		t.Ops = append(t.Ops, OpTruncate)
		return
	}
	t.Truncated = true
	t.Rows.Clear()
	t.Ops = t.Ops[:0]
}

// Cut takes back all rows but the first n.
func (t *TableChanges) Cut(n int) {
	t.Rows.Truncate(n)
	t.Ops = t.Ops[:n]
	for len(t.Commits) > 0 && t.Commits[len(t.Commits)-1].First >= n {
		t.Commits = t.Commits[:len(t.Commits)-1]
	}
}

// belongs notes that rows to come belong to a transaction that committed then.
func (t *TableChanges) belongs(at time.Time) {
	if n := len(t.Commits); n > 0 {
		switch last := &t.Commits[n-1]; {
		case last.At.Equal(at):
			return
		case last.First == len(t.Ops):
			last.At = at
			return
		}
	}
	t.Commits = append(t.Commits, Commit{len(t.Ops), at})
}

// Changes is what a stream delivered: the effect of consecutive transactions
// of one source database, in commit order, per table. It is filled by
// Stream.Next and may be reused with Reset.
type Changes struct {
	Tables []*TableChanges // in the order of their first change

	// MostTables is how many tables' changes are put together at the most, beyond
	// one transaction, since a target has a use for memory for each table that it
	// writes to at once; 0 if that does not matter. Reset leaves it.
	MostTables int

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
	// Behind is set while the source is known to have much more than this for the
	// stream, from before it was opened: rows had better come in few batches than soon.
	Behind bool

	// Altered are changes of shape on the way that keep the rows that are
	// there, one for each table at the most. Rows in Tables have the new shapes.
	Altered []Alteration
	// Dropped lists tables that have been dropped at the source, or are no
	// longer selected by the filter. There are no rows of them in Tables, unless
	// versions are kept: then there are those before, and OpTruncate ends them.
	Dropped []TableID
	// Reshaped lists tables whose shape or rows have changed in a way that is
	// not in the stream. Their rows are left out from there on, until the
	// stream is opened anew with them joined.
	Reshaped []TableID
	// Passed lists tables that were joined by a snapshot and whose rows are
	// now, at Position, exactly those that snapshot and stream make together.
	Passed []TableID

	// Versioned names tables of which each transaction's version of a row is
	// wanted. It is set by whoever has c filled, while c is empty.
	Versioned map[TableID]bool

	lane  *Lane     // that the content has entered
	begun time.Time // commit time of the transaction in hand, or of one before it if that is later
	index map[TableID]*TableChanges
	last  *TableChanges // that Table returned
}

// spareTables has what Reset emptied, for the next use by whichever stream.
// Each keeping its own would keep what its largest content took, also when it idles.
var spareTables = sync.Pool{New: func() any { return new(TableChanges) }}

// Begin begins a transaction, or goes on with one, of which the commit time is
// known already: changes that follow belong to it. A source's clock may go
// back; the times of versions do not.
func (c *Changes) Begin(at time.Time) {
	if at.After(c.begun) {
		c.begun = at
	}
}

// Time returns the time of the last transaction begun, as versions have it.
func (c *Changes) Time() time.Time { return c.begun }

// Table returns the changes of t, which it adds if there are none yet, for a
// change of the transaction in hand to be added.
func (c *Changes) Table(t *Table) *TableChanges {
	if c.last == nil || c.last.Table != t { // rows of one table often come together
		c.last = c.table(t)
	}
	if c.last.versioned {
		c.last.belongs(c.begun)
	}
	return c.last
}

func (c *Changes) table(t *Table) *TableChanges {
	if tc := c.index[t.ID]; tc != nil {
		return tc
	}
	tc := spareTables.Get().(*TableChanges)
	tc.Table, tc.Truncated, tc.Ops, tc.BadValues = t, false, tc.Ops[:0], nil
	tc.Rows.Reset(t)
	tc.Commits, tc.versioned = tc.Commits[:0], c.Versioned[t.ID]
	if c.index == nil {
		c.index = make(map[TableID]*TableChanges)
	}
	c.index[t.ID] = tc
	c.Tables = append(c.Tables, tc)
	return tc
}

const commitSize = int(unsafe.Sizeof(Commit{}))

// Full reports whether nothing more should be added beyond the transaction that c
// ends with, for want of room for tables.
func (c *Changes) Full() bool { return c.MostTables > 0 && len(c.Tables) >= c.MostTables }

// Size returns the bytes that the rows take.
func (c *Changes) Size() int {
	n := 0
	for _, t := range c.Tables {
		n += t.Rows.Size() + len(t.Ops) + len(t.Commits)*commitSize
	}
	return n
}

// Empty reports whether applying c would change nothing but the position.
func (c *Changes) Empty() bool {
	return len(c.Tables) == 0 && len(c.Altered) == 0 && len(c.Dropped) == 0 && len(c.Reshaped) == 0 && len(c.Passed) == 0
}

// maxSpare bounds the memory that one Reset keeps for the next use. Of a table nothing
// is kept that is more than minSpare and four times what was used of it: else a stream
// with a few rows at a time would go on holding what somebody's largest content took.
const (
	maxSpare = 8 << 20
	minSpare = 64 << 10
)

// Enter takes a lane for a large row that is to be added, unless the content
// has it already. Reset leaves it.
func (c *Changes) Enter(ctx context.Context, l *Lane) error {
	if l == nil || c.lane == l {
		return nil
	}
	if err := l.Enter(ctx); err != nil {
		return err
	}
	c.lane = l
	return nil
}

// InLane reports whether the content has entered a lane: others may wait until
// it is applied.
func (c *Changes) InLane() bool { return c.lane != nil }

// Leave leaves the lane, for content that turned out not to need it.
func (c *Changes) Leave() {
	if c.lane != nil {
		c.lane.Leave()
		c.lane = nil
	}
}

// Reset empties c, keeping Position and Versioned. Nothing that Tables had may be
// looked at any more: its memory may be used again, by anybody.
func (c *Changes) Reset() {
	kept := 0
	for _, t := range c.Tables {
		if n := t.Rows.Cap(); kept+n <= maxSpare && n <= max(minSpare, 4*t.Rows.Size()) {
			kept += n
			spareTables.Put(t)
		}
	}
	clear(c.index)
	clear(c.Tables)
	c.last = nil
	c.Tables = c.Tables[:0]
	c.CommitTime, c.Transactions, c.Open, c.Behind, c.begun = time.Time{}, 0, false, false, time.Time{}
	c.Altered, c.Dropped, c.Reshaped, c.Passed = nil, nil, c.Reshaped[:0], c.Passed[:0]
	c.Leave()
}
