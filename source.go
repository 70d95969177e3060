package penstock

import "context"

// Source is one database server that rows are read from. Constructing one
// neither dials nor starts anything; its methods may be called concurrently.
//
// A driver classifies errors by Kind and never retries: retry, order and
// backoff live in the pipeline.
type Source interface {
	// Engine returns the engine's name as SVV_INTEGRATION.source shows it:
	// "PostgreSQL", "MySQL".
	Engine() string

	// ParseFilter parses a data filter by this engine's grammar, an empty one
	// included if the engine has a default.
	ParseFilter(text string) (Filter, error)

	// Databases returns the source databases that a filter names, each of
	// which is a stream with a destination database of its own. An engine
	// whose one stream covers the server returns one empty name.
	Databases(f Filter) []string

	// Check examines whether the source is ready for an integration with this
	// filter. It returns what it found, each finding with the statement that
	// mends it, and an error only if it could not look (KindUnreachable).
	Check(ctx context.Context, f Filter) ([]Finding, error)

	// Capture returns the reader of one stream. It does not dial.
	Capture(spec CaptureSpec) Capture

	// Forget removes everything that captures of this integration put on the
	// server, in all databases. It may be repeated; nothing left is no error.
	Forget(ctx context.Context, id IntegrationID) error

	// ForgetStream is Forget for what the captures of one source database, one
	// of Databases, put on the server. The integration's others go on.
	ForgetStream(ctx context.Context, id IntegrationID, database string) error

	// Close releases what the source holds. Captures are closed by their users.
	Close() error
}

// CaptureSpec says what a Capture reads.
type CaptureSpec struct {
	Integration IntegrationID
	Database    string // one of Source.Databases
	Filter      Filter
	// Spill takes what does not fit in memory. Without it the source is asked
	// to keep transactions to itself until they commit, where it can.
	Spill Spill
	// Lane, if set, is what large rows go through.
	Lane *Lane

	// Waiting, if set, is told while a method of the Capture waits for
	// something that somebody may want to end, and, with nil, when it goes on.
	Waiting func(*Finding)
}

// Capture reads one stream of a source: the committed rows of one database
// that a filter selects. Its methods are called by one goroutine at a time,
// but for what a Load allows.
type Capture interface {
	// Prepare makes sure that a stream from the position can be opened, and
	// returns the position to open it from. For "" it makes whatever the
	// stream needs at the source, replacing leftovers of an earlier attempt,
	// and returns the first position. For a stored position it verifies that
	// the source still has everything after it, and returns KindPositionLost
	// if not; it never starts anew by itself.
	Prepare(ctx context.Context, at Position) (Position, error)

	// Tables returns the tables that the filter selects now, and the findings
	// about those, and about others that it would select but cannot carry.
	// From its return on, changes to the returned tables are in the stream.
	Tables(ctx context.Context) ([]Table, []Finding, error)

	// Latest returns a position that covers all that Tables has seen by now. It
	// serves to be compared with, not to open a stream from.
	Latest(ctx context.Context) (Position, error)
	// Covers reports whether a stream that is at a position has delivered all
	// that another position covers. It may be called from any goroutine.
	Covers(at, other Position) bool

	// Load opens one consistent view of tables that Tables returned. The
	// join of its rows with the stream is exact: see Load.Snapshot. begun is
	// what earlier loads of some of them have left, for the same position of
	// the stream: see Load.Resumes.
	Load(ctx context.Context, tables []Table, begun map[TableID]*PartialLoad) (Load, error)

	// Reread reads the rows of a table that have one of the given keys, as
	// they are at the source now, and hands them over as Load.Read does. keys
	// are rows of the table of which only the key columns are looked at, and
	// these says which of them count. It returns the snapshot to join the
	// table with from now on in place of join: the stream has passed it only
	// when it has delivered everything that the rows read show. It may be
	// called while other methods of the Capture are in use by another
	// goroutine. KindStale means that the rows cannot be had that way, so
	// that the table has to be loaded again.
	Reread(ctx context.Context, t *Table, keys *Rows, these []int32, join Snapshot, rows *Rows, limit int, flush func(bad BadValues) error) (Snapshot, error)

	// Stream opens the stream of changes after the position. tables are the
	// tables to deliver, with the shapes that the destination has; joins names
	// those whose rows come from a load that the stream has not passed yet.
	Stream(ctx context.Context, from Position, tables []Table, joins map[TableID]Snapshot) (Stream, error)

	// Retained returns what the server keeps for us.
	Retained(ctx context.Context) (Retention, error)
	// GiveUp has the server keep nothing for the stream any more. The position
	// is lost by it. It may be repeated, and leaves the rest to Forget.
	GiveUp(ctx context.Context) error

	// Close releases connections. It leaves at the source what the stream
	// needs to go on later.
	Close() error
}

// Forgiver is a Capture that remembers what it has missed.
type Forgiver interface {
	// Recall says which tables are there already, each with what had been missed
	// of it when it was loaded, and with how its changes were delivered: more than
	// that, or another way, is worth a finding, though nobody looked when it happened. It is called before tables are looked at.
	Recall(tables []Table)
	// Forgive says that tables are going to be loaded again, so that what has been
	// missed of them up to now is no longer worth a finding. It may be called
	// from any goroutine while other methods are in use.
	Forgive(ids []TableID)
}

// Surveyor is a Capture that knows how the values of tables are spread.
type Surveyor interface {
	// Survey sets Diverse in tables that are about to be loaded. It may be called
	// from any goroutine while other methods are in use.
	Survey(ctx context.Context, tables []Table) error
}

// Load is a consistent view of tables while they are copied.
type Load interface {
	// Snapshot names what the load sees. The stream leaves out of a table
	// joined with it exactly the transactions that it shows already.
	Snapshot() Snapshot
	// Resumes reports whether a load that was begun earlier goes on: then the
	// chunks of the table are those that are missing, perhaps none, and the
	// snapshot returned is the one to join it with: that of all its chunks
	// together, which shows what the oldest shows and is passed when the newest
	// is. Otherwise what was begun is void, and Chunks has all of the table.
	Resumes(id TableID) (Snapshot, bool)
	// Chunks returns the pieces in which the tables are read. Every table has
	// at least one, unless its load resumes. The chunks of a table that resumes
	// are disjoint from those that are done.
	Chunks() []Chunk
	// Read reads one chunk into rows, calling flush whenever rows hold about
	// limit bytes, and at the end if they hold any; flush empties them. bad
	// counts values in rows that are null because they cannot be represented. It
	// may be called by several goroutines, each with rows of its own. It
	// returns KindStale if the table is no longer what Load saw: then all of
	// that table must be loaded again from a new Load.
	Read(ctx context.Context, c Chunk, rows *Rows, limit int, flush func(bad BadValues) error) error
	// Close ends the view.
	Close() error
}

// Follower is a Capture that can load tables while its stream stays open for
// others. Without it a load is made while the stream is closed.
type Follower interface {
	// LoadBeside is Capture.Load, except that it may be called, and the load
	// used, while other methods of the Capture are in use by another goroutine.
	// at is a position of the open stream. KindQuota means that the source
	// cannot have one more stream; a Load with the stream closed may work.
	LoadBeside(ctx context.Context, at Position, tables []Table) (FollowedLoad, error)
}

// FollowedLoad is a Load that can be brought up to date by a stream of its own.
type FollowedLoad interface {
	Load
	// Follow opens a stream of the changes to the load's tables that the load
	// does not show. It is called once, after the chunks have been read.
	Follow(ctx context.Context) (FollowingStream, error)
}

// FollowingStream is the stream of a FollowedLoad. Its positions belong to it
// alone, and it reports nothing in Passed.
type FollowingStream interface {
	Stream
	// Reached reports whether everything has been delivered that the main
	// stream delivers up to a position.
	Reached(p Position) bool
	// Snapshot names what load and stream have delivered together by now, at
	// a transaction boundary, for joining it with the main stream.
	Snapshot() Snapshot
}

// Chunk is a piece of a table to load.
type Chunk struct {
	Table *Table
	// Bytes is about how much the chunk takes at the source, for progress.
	Bytes int64
	// Token is the driver's own description of the piece, and of what it was
	// a piece of, so that a later Load knows whether it is one still.
	Token string
}

// PartialLoad is what chunks that are done have brought of a table.
type PartialLoad struct {
	// Snapshot is the one that they are to be joined with, as Load.Snapshot or
	// Load.Resumes gave it.
	Snapshot Snapshot
	// Chunks are their Tokens; Rows and Bytes are of all of them together.
	Chunks      []string
	Rows, Bytes int64
}

// Stream delivers changes in commit order, each transaction once, nothing at
// or before the position it was opened from.
type Stream interface {
	// Next adds to c at least one of: complete transactions, a later
	// Position, an entry in Reshaped or Passed. It blocks until there is one,
	// then takes what more is there without waiting, until c holds about
	// limit bytes or is Full, and returns at a transaction boundary, or, where a single
	// transaction exceeds the limit, inside it with c.Open set. The caller may
	// pass the same c again to have more added, unless c.Open is set, Reshaped
	// or Passed are not empty, or it is full. KindPositionLost means that the
	// source has what follows and will never be able to read it.
	Next(ctx context.Context, c *Changes, limit int) error
	// Wake makes a Next that waits at a transaction boundary return with what
	// it has, possibly nothing. If none waits, the next one does not. It may
	// be called from any goroutine.
	Wake()
	// Until keeps the stream from going beyond a position: Next begins no
	// transaction that p does not cover, but completes one that it is inside
	// of; it reports p as a Position once it is there, and then waits. "" lifts
	// that. It holds when Until returns, and may be called from any goroutine.
	Until(p Position)
	// Ack tells the source that everything up to the position is durable at
	// the target and may be forgotten (promise 3). It does not wait. It may be
	// called while Next runs.
	Ack(p Position)
	// Close ends the stream. It may be called while Next runs, which then fails.
	Close() error
}

// Lister is a Source that can list what a database has, selected by a filter
// or not, so that users see what a filter does.
type Lister interface {
	// ListTables returns everything in a source database that looks like a
	// table, by schema and name. KindSetting with ProblemDatabaseMissing if
	// there is no such database.
	ListTables(ctx context.Context, database string) ([]ListedTable, error)
}

// ListedTable is something that looks like a table.
type ListedTable struct {
	Schema, Name string
	Kind         string // in words: "table", "view"
	Carried      bool   // replication carries tables of that kind
}

// ByHand is a Source that can say how to remove by hand what Forget removes.
type ByHand interface {
	// ForgetByHand returns the statements to run in each database.
	ForgetByHand(id IntegrationID) []string
}
