package penstock

import "context"

// Warehouse is the query side of a target: what the SQL endpoint serves.
// It lets clients read destination databases and write only to the built-in
// database; it never lets them reach files or the engine's configuration.
type Warehouse interface {
	// Databases returns the names of all databases, the built-in one included.
	Databases(ctx context.Context) ([]string, error)
	// Connect opens a session in a database; KindNotFound if there is none.
	Connect(ctx context.Context, database string) (Session, error)
}

// NameKeeper is a Warehouse that tells under which names tables are stored.
type NameKeeper interface {
	// Stored returns the readable tables of a destination database;
	// KindNotFound if there is no such database.
	Stored(ctx context.Context, database string) ([]StoredTable, error)
}

// StoredTable says under which names, and as what, a readable table is stored.
// Names differ from its own where the warehouse, which may compare names
// without case, could not tell them from others.
type StoredTable struct {
	Shape   Table // as at the source
	Schema  string
	Table   string
	Columns []string // parallel to Shape.Columns
	Types   []string // the warehouse's names for their types, likewise
}

// Sizer is a Warehouse that tells how large its tables are.
type Sizer interface {
	// Sizes returns the sizes of the readable tables of a destination database,
	// all as of one moment; KindNotFound if there is no such database. It may
	// have to count rows.
	Sizes(ctx context.Context, database string) (map[TableID]TableSize, error)
}

// TableSize is what a stored table takes.
type TableSize struct {
	Rows  int64
	Bytes int64 // on disk, in whole blocks; 0 while it is in the engine's log only, -1 if not known
}

// Session is one client's connection. Its methods are called by one goroutine
// at a time, except Interrupt.
type Session interface {
	// Prepare compiles one statement in the engine's dialect. Parameters are
	// written $1, $2 …. Errors are a *SQLError.
	Prepare(ctx context.Context, sql string) (Statement, error)
	// Exec runs statements without a result: BEGIN, COMMIT, ROLLBACK.
	Exec(ctx context.Context, sql string) error
	// Materialize makes rows queryable in this session as a temporary table
	// of that name, in place of one made before. System views come this way.
	Materialize(ctx context.Context, name string, columns []ResultColumn, rows *Rows) error
	// Interrupt ends the running statement with an error. From any goroutine.
	Interrupt()
	Close() error
}

// StatementKind says what a statement does, as far as the endpoint cares.
type StatementKind string

// The kinds of statement a warehouse tells apart.
const (
	StatementSelect StatementKind = "SELECT"
	StatementInsert StatementKind = "INSERT"
	StatementUpdate StatementKind = "UPDATE"
	StatementDelete StatementKind = "DELETE"
	StatementDDL    StatementKind = "DDL" // CREATE, ALTER, DROP
	StatementOther  StatementKind = "OTHER"
)

// ResultColumn describes one column of a result.
type ResultColumn struct {
	Name string
	Type Type
	// Engine is the engine's own name for the type: "HUGEINT". Types that the
	// vocabulary lacks arrive as TypeText.
	Engine string
}

// Statement is a compiled statement.
type Statement interface {
	Kind() StatementKind
	// Params returns the parameters' types; the zero Type where the engine
	// does not know.
	Params() []Type
	// Columns returns the result's columns; none for a statement without rows.
	Columns() []ResultColumn
	// Query runs the statement. args are texts in the form that PostgreSQL
	// uses for the parameter's type, nil for NULL.
	Query(ctx context.Context, args []*string) (Result, error)
	Close() error
}

// Result is what a statement returned, piece by piece.
type Result interface {
	// Next returns the next rows, nil at the end. They are valid until the
	// next call.
	Next(ctx context.Context) (*Rows, error)
	// Affected returns the number of rows changed, once Next returned nil.
	Affected() int64
	Close() error
}

// SQLError is an error that a client of the SQL endpoint is told.
type SQLError struct {
	State   string // SQLSTATE, five characters
	Message string
	Hint    string
	Detail  string
}

func (e *SQLError) Error() string { return e.Message + " (SQLSTATE " + e.State + ")" }
