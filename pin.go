package penstock

import "context"

// Pinner is a Capture that can show its database as it was at a position of
// the stream, so that a destination can be compared with it there.
type Pinner interface {
	// Pin shows what has committed up to a position that the source chooses,
	// and nothing else. at is a position of the open stream. hold is called once
	// when all is prepared, and has to see to it that the stream is not read any
	// further (Stream.Until); then it has not been read beyond the Pin either.
	// Pin may be called, and what it returns be used, while other methods of
	// the Capture are in use by another goroutine.
	//
	// It may have to wait for transactions that are open at the source. If ctx
	// ends meanwhile the error is KindConflict and names one of them. KindQuota
	// means that the source cannot have one more stream.
	Pin(ctx context.Context, at Position, hold func()) (Pin, error)
}

// Pin is a source database as it was at a position.
type Pin interface {
	// Position is a position of the stream: what it covers is what is shown.
	Position() Position
	// Tables are those that the filter selected then, with their shapes then,
	// as far as they are of a kind that is carried.
	Tables(ctx context.Context) ([]Table, error)
	// Load opens the view of some of the tables. Its chunks return KindStale for
	// tables that cannot be shown any more as they were: emptied, rewritten
	// or dropped meanwhile.
	Load(ctx context.Context, tables []Table) (Load, error)
	// Close ends the view, also of what was loaded from it.
	Close() error
}

// Viewer is a Destination that can be read as it is at this moment.
type Viewer interface {
	// View opens a view of what is readable now; what is applied later it does
	// not show. It is called in turn with the other methods; what it returns
	// may be used beside them, and after Close.
	View(ctx context.Context) (View, error)
}

// View is a destination database as it was at a moment. Its methods are called
// by one goroutine at a time, except Store.
type View interface {
	// State is the state as it was.
	State() DestinationState
	// Count returns the number of rows in the readable version of a table.
	Count(ctx context.Context, id TableID) (int64, error)
	// Read reads the readable version of a table, of the shape that State tells,
	// into rows, calling flush whenever rows hold about limit bytes, and at the
	// end if they hold any; they are empty again after it.
	Read(ctx context.Context, id TableID, rows *Rows, limit int, flush func() error) error
	// Store makes of rows of a table what the destination stores of them: values
	// that it cannot hold become null, and are counted. It may be called by
	// several goroutines.
	Store(t *Table, rows *Rows) BadValues
	Close() error
}
