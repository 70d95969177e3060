package penstock

import (
	"slices"
	"strings"
	"time"
)

// TableID is a table's identity at its source, stable under renames: for
// PostgreSQL the OID in decimal. Unique within a source database.
type TableID string

// ColumnID is a column's identity within its table, stable under renames and
// never reused: for PostgreSQL attnum.
type ColumnID int32

// Column describes one column of a table.
type Column struct {
	ID         ColumnID
	Name       string // as at the source, case kept
	Type       Type
	SourceType string // the source's own name for the type: "numeric(10,2)"
	NotNull    bool
}

// Identity says by what a changed row of a table is found.
type Identity uint8

const (
	// IdentityNone: updates and deletes carry nothing to find the row by, so
	// the source must not publish them; only inserts and truncates are carried.
	IdentityNone Identity = iota
	// IdentityKey: by the columns in Table.Key.
	IdentityKey
	// IdentityFull: by the whole old row; equal rows may exist several times.
	IdentityFull
)

// Table is a table's shape at one moment. It is a value: a changed shape is a
// new Table with the same ID.
type Table struct {
	ID       TableID
	Schema   string
	Name     string
	Columns  []Column
	Identity Identity
	Key      []int // indices into Columns; set if and only if Identity is IdentityKey
	// Parts names what the table is made of, where rows can come and go with a
	// part without being in the stream: for PostgreSQL the partitions of a
	// partitioned table. A table whose Parts changed has to be loaded again.
	Parts string
	// Missed is how many changes that it does not deliver the source had counted
	// when the table was looked at, plus one; 0 if it does not count. It is no
	// part of the shape: see Forgiver.
	Missed int64
	// Published names how the source delivered the table's changes when it was
	// looked at, in the driver's own words; "" if that is not known. It is no part
	// of the shape: see Forgiver.
	Published string
	// Stored is how the source stored the table's rows when it was looked at. It is
	// no part of the shape, but see Storage.Keeps.
	Stored Storage
	// Diverse are indices into Columns: columns in which values hardly repeat, for
	// all that is known when a load begins, so that a target need not look for
	// repetition in order to store them. It is no part of the shape: see Surveyor.
	Diverse []int
}

// String returns schema.table, unquoted, for messages.
func (t *Table) String() string { return t.Schema + "." + t.Name }

// Storage tells, in a driver's own words, what a source that rewrites a table
// without a word changes by that. If all is "", nothing is known.
type Storage struct {
	File    string // another once all rows have been stored anew; "" if they were while it was looked at
	Columns string // another once a column has been defined anew
	Labels  string // words, of which one is missing once values look different that are stored as they were
}

// Keeps reports whether rows that were stored in one way have the values that
// they had when they are stored in another one. If columns were defined anew as
// well as all rows stored anew, they may have been given others; if it is not known
// whether rows were stored anew, they may as well.
func (s Storage) Keeps(now Storage) bool {
	if s == (Storage{}) || now == (Storage{}) {
		return true
	}
	if (s.File != now.File || s.File == "") && s.Columns != now.Columns {
		return false
	}
	words := strings.Fields(now.Labels)
	for word := range strings.FieldsSeq(s.Labels) {
		if !slices.Contains(words, word) {
			return false
		}
	}
	return true
}

// Supersedes reports whether what is stored now should be remembered in place
// of what was, so that it is told from what is to come. That all rows were
// stored anew does not matter alone, and happens often.
func (s Storage) Supersedes(was Storage) bool {
	return s.Columns != was.Columns || s.Labels != was.Labels || was.File == "" && s.File != ""
}

// SameShape reports whether rows of t and u can stand in the same Rows, and
// are found by the same key. Names of schema and table do not matter to it.
func (t *Table) SameShape(u *Table) bool {
	return t.Identity == u.Identity && slices.Equal(t.Columns, u.Columns) && slices.Equal(t.Key, u.Key)
}

// Equal reports whether t and u agree in everything.
func (t *Table) Equal(u *Table) bool {
	return t.ID == u.ID && t.Schema == u.Schema && t.Name == u.Name && t.Parts == u.Parts && t.SameShape(u)
}

// TableState is a table's state in Amazon Redshift's words
// (SVV_INTEGRATION_TABLE_STATE.table_state).
type TableState string

// The table states.
const (
	// TableSynced: its content is that of a prefix of the source's history.
	TableSynced TableState = "Synced"
	// TableFailed: not carried until somebody acts; Reason says what to do.
	TableFailed TableState = "Failed"
	// TableDeleted: dropped at the source.
	TableDeleted TableState = "Deleted"
	// TableResyncRequired: will be loaded (again) soon.
	TableResyncRequired TableState = "ResyncRequired"
	// TableResyncInitiated: is being loaded (again), also for the first time.
	TableResyncInitiated TableState = "ResyncInitiated"
	// TableDroppedSource: gone from the source, or from the filter, and kept with
	// its history.
	TableDroppedSource TableState = "DroppedSource"
)

// TableStatus is what a destination database knows about one of its tables.
// Destinations store it in the same transactions as the rows it describes.
type TableStatus struct {
	Table    Table
	State    TableState
	Reason   string    // why, when State is not Synced: a sentence
	Changed  time.Time // of State
	Readable bool      // a consistent past state can be queried (promise 6)
	History  bool      // in history mode: every version of its rows is kept

	// Join is set while a loaded, still hidden version waits for the stream
	// to pass the snapshot it was loaded from.
	Join Snapshot
	// Mending is set while the hidden version holds chunks of more than one
	// snapshot: it becomes right only while the stream passes them, and what is
	// applied to it must be TableBatch.Mend.
	Mending bool
	// Partial is what a load that broke has left in the hidden version, if
	// another can go on with it: see Destination.Keep.
	Partial *PartialLoad
	// BadValues counts the values stored as NULL because the warehouse
	// cannot hold them, since the last load.
	BadValues BadValues
}
