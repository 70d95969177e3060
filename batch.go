package penstock

import (
	"fmt"
	"time"
)

// Batch is what a Destination applies in one transaction: the net effect of
// consecutive source transactions, the position they lead to, and what becomes
// of tables on the way.
type Batch struct {
	// Next is the position that the destination has reached once the batch is
	// applied.
	Next Position
	// CommitTime is the source's commit time of the last transaction in it.
	CommitTime time.Time
	// At is when versions begin and end that do so by the batch, and not by
	// its rows: by Swap, Retire and Switch. It is after the time of all batches
	// before; see DestinationState.Time.
	At time.Time
	// Partial is set when the batch ends inside a source transaction. What it
	// holds becomes visible, and Next is stored, only with the first following
	// batch that is not partial.
	Partial bool

	// Strict has the destination refuse the batch, with KindUnrepresentable,
	// if a value of it is NULL only because it cannot be represented.
	Strict bool

	// Drop lists tables that are removed with all their versions, before
	// anything else. The batch has no rows of them.
	Drop []TableID
	// Alter are changes of shape, made before rows are applied, which have the
	// new shapes. They concern the version of a table that rows go to. No part
	// before in the same source transaction has rows of these tables. Another
	// table that stands under the name that one takes, and takes none itself,
	// is not readable any more and becomes TableResyncRequired; rows of it are void.
	Alter []Alteration

	Tables []TableBatch

	// Joins replaces TableStatus.Join of tables that are joined: rows in the
	// batch are newer than it tells.
	Joins map[TableID]Snapshot

	// Swap lists tables whose hidden, loaded version becomes the readable one,
	// and whose state becomes TableSynced. A table in history mode keeps the
	// versions that it has: rows that are in the hidden version as well stay
	// active, the others end at At, and what else is in it begins then. Where
	// the columns have changed so that the older versions cannot take the new
	// shape, they are left as a table of the past, as by a Switch.
	Swap []TableID
	// Retire lists tables in history mode that are gone from the source. After
	// Tables have been applied their active rows end at At, what is hidden of
	// them goes, and their state becomes TableDroppedSource.
	Retire []TableID
	// Switch turns history mode on and off, after Swap, for tables that are
	// readable and have nothing hidden; others, and those that are as they
	// should be, stay as they are.
	Switch []Switch
	// States are changes of table states, applied with the batch. Only Table,
	// State, Reason and BadValues (added to the stored count) are looked at.
	States []TableStatus
}

// TableBatch is the net effect of a batch on one table: first the table is
// emptied if Truncate is set, then the rows named by Remove go, then those in
// Put come. It goes to the table's hidden version while it has one.
type TableBatch struct {
	Table    *Table
	Truncate bool
	Rows     *Rows

	// Mend is set for a table that is TableStatus.Mending, whose identity is
	// IdentityKey: of its rows several may have the same key, and rows that
	// changes build on may be missing.
	Mend bool

	// Remove are rows of Rows whose identity names the rows to remove. With
	// IdentityKey at most one stored row goes for each, and none is no error;
	// with Mend, all that have the key. With IdentityFull exactly one of the
	// equal stored rows goes for each.
	Remove []int32
	// Put are rows of Rows to add.
	Put []int32
	// Base is parallel to Put, or nil if no value in Put is unchanged: Base[i]
	// is the row of Rows, also in Remove, whose key names the stored row that
	// has the values which are unchanged in Put[i]; -1 if all are present.
	// If that row is not there, Apply fails with KindStale; with Mend, it
	// leaves the row of Rows out and adds it to Missing, and any of several
	// that have the key will do. Of rows that are in Missing already nothing is
	// put.
	Base    []int32
	Missing []int32

	// Versions is set if and only if the rows go to the readable version of a
	// table in history mode. Then rows named by Remove go first, and end; the
	// table is emptied after that, which ends what is left; and Put comes.
	Versions *Versions

	Inserted, Updated, Deleted int64 // at the source, for the record
	BadValues                  BadValues
}

// NullKeys counts the values that are null in the key of the given rows. A key
// has no nulls at the source: they stand for what could not be represented.
func (b *TableBatch) NullKeys(these []int32) (bad BadValues) {
	if len(these) == 0 {
		return nil
	}
	for _, c := range b.Table.Key {
		v := &b.Rows.Vectors[c]
		if v.Nulls() == 0 {
			continue
		}
		for _, r := range these {
			if v.IsNull(int(r)) {
				bad.Count(b.Table.Columns[c].ID, 1)
			}
		}
	}
	return bad
}

// Unfound is the cause of an error of KindStale: a table of IdentityFull does not
// hold what the source says it held, so it is not what it should be.
type Unfound struct {
	Table *Table
	Rows  int64 // of those to be removed that are not there
}

func (u *Unfound) Error() string {
	return fmt.Sprintf("table %s: %d of the rows that have been changed or deleted at the source are not in the warehouse as they were", u.Table, u.Rows)
}

// Removed returns the error of an Apply that was to remove rows by all their
// values and found n of them; nil if those are all.
func (b *TableBatch) Removed(n int64) error {
	if missing := int64(len(b.Remove)) - n; missing > 0 {
		return &Error{Kind: KindStale, Err: &Unfound{Table: b.Table, Rows: missing}}
	}
	return nil
}

// Misfit is the cause of an error of KindStale: a destination does not have a table
// as what is applied takes it for. Nobody should ever see one; but a table that is
// loaded again fits, where a stream that tries the same once more stands still for ever.
type Misfit struct {
	Table *Table
	Why   string
}

func (m *Misfit) Error() string { return fmt.Sprintf("table %s in the warehouse %s", m.Table, m.Why) }

// NewMisfit returns the error that a Misfit is the cause of.
func NewMisfit(t *Table, why string) error {
	return &Error{Kind: KindStale, Err: &Misfit{Table: t, Why: why}}
}

// Nameless is the error of an Apply that was to find rows by keys that cannot
// be held, which bad counts; nil if it counts none.
func (b *TableBatch) Nameless(bad BadValues) error {
	if bad.Total() == 0 {
		return nil
	}
	return &Error{Kind: KindStale, Message: "rows were changed whose key cannot be held", Err: &Unrepresentable{Table: b.Table, Values: bad}}
}
