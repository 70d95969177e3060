package penstock

import (
	"context"
	"fmt"
	"time"
)

// Versions is what a TableBatch says of a table in history mode: when versions
// of rows begin and end. Of a version that would end when it began, or before,
// nothing is kept; so a transaction makes one version of a row at the most.
type Versions struct {
	PutAt     Vector    // timestamps, parallel to Put: when the version begins
	RemoveAt  Vector    // timestamps, parallel to Remove: when it ends
	EmptiedAt time.Time // if Truncate is set: when what is left ends

	// Past are rows of Rows that began and ended within the batch; From and To
	// are parallel to it, and so is Base, which is as TableBatch.Base.
	Past     []int32
	From, To Vector
	Base     []int32
}

// NewVersions returns Versions without any.
func NewVersions() *Versions {
	t := Type{Kind: TypeTimestamp}
	return &Versions{PutAt: NewVector(t), RemoveAt: NewVector(t), From: NewVector(t), To: NewVector(t)}
}

// The columns that readers of a table in history mode see behind its own.
const (
	ActiveColumn     = "_record_is_active"   // boolean: the row is in the table now
	CreateTimeColumn = "_record_create_time" // timestamp, UTC: since when the version holds
	DeleteTimeColumn = "_record_delete_time" // timestamp, UTC: until when; null while it is active
)

// Switch turns history mode on or off for a table. What is there when it is
// turned on begins at Batch.At. When it is turned off, all versions are left as
// a table of the past, see HistoricalName, and the table has the active ones.
type Switch struct {
	Table   TableID
	History bool
}

// HistoricalName returns the name of the table in which the versions of
// another one are left.
func HistoricalName(table string, at time.Time) string {
	return table + "_historical_" + at.UTC().Format("20060102150405")
}

// HistoryChange is what ALTER DATABASE … INTEGRATION SET HISTORY_MODE asks for.
type HistoryChange struct {
	On bool
	// Tables are those that are meant; none is all that there are, of Schemas if
	// these are given.
	Tables  []TableName
	Schemas []string
}

// Future reports whether tables that come later are meant as well.
func (c HistoryChange) Future() bool { return len(c.Tables) == 0 && len(c.Schemas) == 0 }

// Select returns the tables that are to be switched, out of all of a destination
// database. Only tables that are Synced can be. skipped counts the others, of
// those that are not named. KindNotFound if there is no table that c names,
// KindInvalid if a name is that of several, KindInvalidState if it cannot be
// switched now.
func (c HistoryChange) Select(all []TableStatus) (chosen []TableStatus, skipped int, err error) {
	for _, n := range c.Tables {
		t, err := n.Find(all)
		switch {
		case err != nil:
			return nil, 0, err
		case t.History == c.On:
		case t.State != TableSynced:
			return nil, 0, &Error{Kind: KindInvalidState, Message: fmt.Sprintf("history mode can be switched for tables that are Synced only, and table %s is %s", t.Table.String(), t.State)}
		default:
			chosen = append(chosen, t)
		}
	}
	if len(c.Tables) > 0 {
		return chosen, 0, nil
	}
	for _, t := range all {
		switch {
		case !(Refresh{Scope: RefreshAll, Schemas: c.Schemas}).covers(t) || t.History == c.On || t.State == TableDroppedSource:
		case t.State != TableSynced:
			skipped++
		default:
			chosen = append(chosen, t)
		}
	}
	return chosen, skipped, nil
}

// Archive is a Destination that keeps tables which nothing is replicated into
// any more, for users to do with as they like: those that are
// TableDroppedSource, and tables of the past.
type Archive interface {
	// DropKept removes such a table. KindNotFound if there is none of that name,
	// KindInvalid if it is another kind of table.
	DropKept(ctx context.Context, t TableName) error
	// RenameKept gives such a table another name in its schema. KindAlreadyExists
	// if that is taken.
	RenameKept(ctx context.Context, t TableName, to string) error
}
