package penstock

import (
	"context"
	"time"
)

// Consistency says, as data, how far promises 1 and 2 hold for a target.
type Consistency string

const (
	// ConsistentDatabase: readers see a prefix of the source's commit order
	// across all tables of a destination database, each row exactly once.
	ConsistentDatabase Consistency = "database"
	// ConsistentTable: the same per table only; replays leave no trace.
	ConsistentTable Consistency = "table"
)

// Target is a warehouse that rows are written to. Its methods may be called
// concurrently. A driver classifies errors by Kind and never retries.
type Target interface {
	// Engine names the engine: "duckdb".
	Engine() string
	// Consistency says what readers of this target may rely on.
	Consistency() Consistency
	// Open opens a destination database, which it makes if there is none of
	// that name. One that belongs to another integration or source database
	// is refused with KindConflict, unless it is detached and of the same
	// source: then it is taken over, readable as it is, with no position.
	Open(ctx context.Context, spec DatabaseSpec) (Destination, error)
	// Detach makes a destination database an ordinary one that nobody writes
	// to: readable as it is. It may be repeated, and one that does not exist
	// is no error; one that is open for writing is refused with KindConflict.
	Detach(ctx context.Context, name string) error
	// Drop removes a destination database with everything in it, attached to an
	// integration or not. It may be repeated, and one that does not exist is no
	// error; one that is open for writing is refused with KindConflict. Whoever
	// reads it in a transaction that is open goes on doing so.
	Drop(ctx context.Context, name string) error
	// List returns the destination databases that exist.
	List(ctx context.Context) ([]DatabaseSpec, error)
	Close() error
}

// DatabaseSpec identifies a destination database. Targets store it in it.
type DatabaseSpec struct {
	Name           string
	Integration    IntegrationID // "" once detached
	SourceARN      string
	SourceDatabase string
}

// DestinationState is what a destination database knows about itself.
type DestinationState struct {
	Applied Position // "" before the first batch
	// Time is the latest Batch.CommitTime, or At, of all that were applied; zero
	// if that is not known. It survives Forget: versions of rows are never
	// older than those before them.
	Time   time.Time
	Tables []TableStatus
}

// Destination is a destination database, open for writing by one stream. All
// it is told is durable when a method returns. Table states, load progress and
// position live in the database itself, in the transactions with the rows
// they describe (promise 2).
//
// Of floating point numbers it may have one zero: what was -0 is 0 then.
//
// Methods are called by one goroutine at a time, except Chunk.
type Destination interface {
	// State returns the position and all tables.
	State(ctx context.Context) (DestinationState, error)

	// Apply applies a batch in one transaction, if the stored position is
	// prev, and refuses it with KindFenced if not. When it returns an error
	// nothing of the batch, nor of partial ones before it, has been applied.
	// KindFull means that a smaller batch may succeed; KindStale, that tables
	// in Alter cannot be changed in place, or that a row which an update in
	// Tables builds on is not there: they have to be loaded again. KindStale
	// with an Unrepresentable as its cause is about that one table, of which a
	// row is to be found by a key that cannot be held; with an Unfound, about one of
	// IdentityFull, of which rows to be removed are not there; with a Misfit, about one
	// that is not there, or not as the batch takes it for. For ErrReopen see Layout.
	//
	// A batch with Swap has no Tables and no Alter.
	Apply(ctx context.Context, prev Position, b *Batch) error

	// Ensure makes a new, empty, hidden version of each table for a load, in
	// place of an unfinished one, and sets its state to TableResyncInitiated,
	// for all tables in one transaction. A readable version stays readable as it is.
	Ensure(ctx context.Context, tables ...*Table) error
	// Keep has the chunks that are written to hidden versions outlive a load
	// that breaks, as TableStatus.Partial, for as long as the stored position
	// stays what it is now: without the changes after that, they are worth
	// nothing. joins names the snapshot that the chunks of each table show
	// together, those to come included. If there are chunks already, of a
	// version that was kept with another snapshot, the table is TableStatus.Mending.
	Keep(ctx context.Context, joins map[TableID]Snapshot) error
	// Chunk opens the writing of one chunk to the hidden version made by
	// Ensure. Several goroutines may write chunks at a time, also of one table.
	Chunk(ctx context.Context, id TableID) (ChunkWriter, error)
	// Loaded records, in one transaction, that the hidden versions hold all
	// rows of their tables' snapshots: they are kept over a restart, follow the
	// stream from now on, and wait to be swapped in.
	Loaded(ctx context.Context, joins map[TableID]Snapshot) error
	// SetStates changes table states outside of a batch, as Batch.States does.
	// A table not known yet is added.
	SetStates(ctx context.Context, states []TableStatus) error
	// Expose sets whether a table that has no readable version is read as far
	// as its hidden one is filled. A destination that has just been opened
	// exposes nothing.
	Expose(ctx context.Context, on bool) error
	// Forget clears the position: the history it belongs to is lost. Readable
	// versions stay readable; every table becomes TableResyncRequired.
	Forget(ctx context.Context) error

	// Close ends the writing; a partial batch is undone.
	Close() error
}

// ChunkWriter writes one chunk of a load, or several, in one transaction. It is
// used by one goroutine, and must be closed.
type ChunkWriter interface {
	// Append adds rows to the chunk. bad counts the values in them that are
	// null because they cannot be represented.
	Append(ctx context.Context, rows *Rows, bad BadValues) error
	// Next notes that the chunk is done, and begins another one, of any table
	// that has a hidden version, in the same transaction.
	Next(ctx context.Context, done Chunk, id TableID) error
	// Commit makes the rows durable, with the note that the chunk is done.
	Commit(ctx context.Context, done Chunk) error
	// Close undoes what has not been committed.
	Close()
}
