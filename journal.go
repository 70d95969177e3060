package penstock

import (
	"context"
	"time"
)

// Journal takes note of what streams do, for people to look at later. Taking
// note does not block and cannot fail: what cannot be kept is lost, and
// nothing relies on it. All methods may be called from any goroutine.
type Journal interface {
	RecordActivity(Activity)
	RecordState(StateChange)
	RecordBadValues(BadValuesFound)
}

// History is what a Journal has kept, for a bounded time; everything the
// oldest first.
type History interface {
	Activities(ctx context.Context) ([]Activity, error)
	StateChanges(ctx context.Context) ([]StateChange, error)
	BadValues(ctx context.Context) ([]BadValuesFound, error)
}

// ActivityKind says what an Activity was, in Amazon Redshift's words
// (SYS_INTEGRATION_ACTIVITY.checkpoint_type).
type ActivityKind string

// The kinds of activity.
const (
	// ActivitySnapshot: a table was copied.
	ActivitySnapshot ActivityKind = "snapshot"
	// ActivityCDC: a batch of changes was applied.
	ActivityCDC ActivityKind = "cdc"
)

// Activity is a step of a stream that is complete: what it brought can be
// queried, or, of a snapshot, has been copied.
type Activity struct {
	ID          int64 // given by the Journal, ascending
	Integration IntegrationID
	Source      string // the source's engine, as Source.Engine names it
	Database    string // the destination database
	Kind        ActivityKind
	// From and To are the positions that the destination had and has, each as
	// its source's users write it; see Labeler. Of a snapshot both are where the
	// destination stood.
	From, To string

	Bytes        int64     // decoded
	LastCommit   time.Time // at the source, of the newest transaction; zero if there is none
	Began, Ended time.Time
	Tables       []TableActivity
}

// TableActivity is what an Activity did to one table.
type TableActivity struct {
	Table                      TableID
	Schema, Name               string
	Inserted, Updated, Deleted int64 // rows, as at the source
	Bytes                      int64 // decoded
}

// StateChange is that a table's state has become another one.
type StateChange struct {
	Integration  IntegrationID
	Database     string // the destination database
	Table        TableID
	Schema, Name string
	State        TableState
	Reason       string
	Position     string // of the destination at that time, as in Activity
	At           time.Time
}

// BadValuesFound are values of one column that were found to be bad and stored as
// NULL (promise 5).
type BadValuesFound struct {
	Integration  IntegrationID
	Database     string // the destination database
	Table        TableID
	Schema, Name string
	Column       string
	SourceType   string
	Values       int64
	At           time.Time
}

// Labeler is a Source whose positions have a form that its users know: what
// PostgreSQL's pg_current_wal_lsn() prints.
type Labeler interface {
	// Label returns a position in that form, "" for one that it does not
	// understand.
	Label(p Position) string
}
