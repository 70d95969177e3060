package memsource

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"penstock"
)

// Database is a database of a Source. Its methods are what an application and
// its administrator do.
type Database struct {
	source *Source
	name   string

	tables    []*table
	nextTable int
	nextXID   uint64
	open      []*Tx // those that have a number, in its order
	committed map[uint64]bool

	lsn     int      // where the log ends: a number for each transaction and each Tick
	log     []record // in commit order; what nobody needs any more is cut off
	written int      // changes ever made, to know which came before others

	slots     map[penstock.IntegrationID]*slot
	beside    []*slot                                             // of loads beside a stream
	published map[penstock.IntegrationID]map[penstock.TableID]int // value of written at that time
	told      bool                                                // see Tell
	moved     chan struct{}                                       // closed when a waiting reader should look again
}

// slot is what a stream needs: history from acked on.
type slot struct {
	number int
	acked  int
	gone   bool
	user   *stream
}

// table is a table with all row versions that some snapshot may need.
type table struct {
	shape *penstock.Table // replaced, never changed, by Alter
	file  int             // another after a truncate
	rows  []*version
}

// version is a row as one transaction left it.
type version struct {
	values  []any
	created uint64 // by which transaction
	deleted uint64 // 0 if by none
}

// record is a committed transaction in the log.
type record struct {
	lsn     int // reached with it
	xid     uint64
	at      time.Time
	changes []change
}

// change is one change of a transaction.
type change struct {
	shape    *penstock.Table
	op       penstock.Op // OpInsert, OpUpdate or OpDelete, or one of these:
	old, new []any
	number   int // of Database.written
}

// What a change does beside what a penstock.Op does.
const (
	opTruncate penstock.Op = 0
	opAlter    penstock.Op = 100 + iota // shape is the new one
	opDrop
)

// Tell has the streams tell of changes of shape, as a server does that has an
// event trigger for it. Without it only the rows that follow have them.
func (db *Database) Tell() {
	db.source.mu.Lock()
	defer db.source.mu.Unlock()
	db.told = true
}

// tell logs a change of shape as a transaction.
func (db *Database) tell(op penstock.Op, shape *penstock.Table) {
	if !db.told {
		return
	}
	xid := db.nextXID
	db.nextXID++
	if db.committed == nil {
		db.committed = map[uint64]bool{}
	}
	db.committed[xid] = true
	db.written++
	db.lsn++
	db.log = append(db.log, record{lsn: db.lsn, xid: xid, at: time.Now().UTC(), changes: []change{{shape: shape, op: op, number: db.written}}})
	db.move()
}

// move has waiting readers look again.
func (db *Database) move() {
	close(db.moved)
	db.moved = make(chan struct{})
}

// Name returns the database's name.
func (db *Database) Name() string { return db.name }

// Create makes a table and returns its shape. The ID is given, and so are
// those of columns that have none; Schema is public if empty.
func (db *Database) Create(t penstock.Table) penstock.Table {
	db.source.mu.Lock()
	defer db.source.mu.Unlock()
	if t.Schema == "" {
		t.Schema = "public"
	}
	if db.find(t.String()) != nil {
		panic("memsource: table " + t.String() + " exists")
	}
	db.nextTable++
	t.ID = penstock.TableID(strconv.Itoa(db.nextTable))
	t.Columns = slices.Clone(t.Columns)
	for i := range t.Columns {
		if t.Columns[i].ID == 0 {
			t.Columns[i].ID = penstock.ColumnID(i + 1)
		}
		t.Columns[i].SourceType = cmp.Or(t.Columns[i].SourceType, t.Columns[i].Type.String())
	}
	db.tables = append(db.tables, &table{shape: &t})
	return t
}

// Alter changes a table's shape at once. change works on a copy of it, and
// gives new columns an ID never used before in the table; they are null in the
// rows there are. No open transaction may have changed the table.
func (db *Database) Alter(name string, change func(*penstock.Table)) penstock.Table {
	db.source.mu.Lock()
	defer db.source.mu.Unlock()
	t := db.idle(name)
	old, shape := t.shape, *t.shape
	shape.Columns, shape.Key = slices.Clone(old.Columns), slices.Clone(old.Key)
	change(&shape)
	from := make([]int, len(shape.Columns))
	for i := range shape.Columns {
		c := &shape.Columns[i]
		c.SourceType = cmp.Or(c.SourceType, c.Type.String())
		from[i] = slices.IndexFunc(old.Columns, func(o penstock.Column) bool { return o.ID == c.ID && o.Type == c.Type })
	}
	for _, v := range t.rows {
		values := make([]any, len(from))
		for i, f := range from {
			if f >= 0 {
				values[i] = v.values[f]
			}
		}
		v.values = values
	}
	t.shape = &shape
	db.tell(opAlter, &shape)
	return shape
}

// Drop removes a table at once. No open transaction may have changed it.
func (db *Database) Drop(name string) {
	db.source.mu.Lock()
	defer db.source.mu.Unlock()
	t := db.idle(name)
	db.tables = slices.DeleteFunc(db.tables, func(o *table) bool { return o == t })
	db.tell(opDrop, t.shape)
}

// Tick moves the log on as activity does that no stream carries.
func (db *Database) Tick() {
	db.source.mu.Lock()
	defer db.source.mu.Unlock()
	db.lsn++
	db.move()
}

// LoseSlots takes away from every integration the history that it has not
// acknowledged: streams break, and their positions are lost.
func (db *Database) LoseSlots() {
	db.source.mu.Lock()
	defer db.source.mu.Unlock()
	for _, sl := range db.all() {
		sl.gone = true
	}
	clear(db.slots)
	db.beside = nil
	db.move()
}

// Disconnect breaks the streams that are open, as a restart of the server does.
func (db *Database) Disconnect() {
	db.source.mu.Lock()
	defer db.source.mu.Unlock()
	for _, sl := range db.all() {
		if sl.user != nil {
			sl.user.broken = true
			sl.user = nil
		}
	}
	db.move()
}

// Restore takes the database back to an older state in one respect: its log
// ends that many steps earlier, as after a restore from a backup.
func (db *Database) Restore(steps int) {
	db.source.mu.Lock()
	defer db.source.mu.Unlock()
	db.lsn -= steps
	db.log = slices.DeleteFunc(db.log, func(r record) bool { return r.lsn > db.lsn })
}

// Rows returns the rows of a table that a new transaction sees.
func (db *Database) Rows(name string) *penstock.Rows {
	db.source.mu.Lock()
	defer db.source.mu.Unlock()
	t := db.must(name)
	rows := penstock.NewRows(t.shape)
	for _, v := range t.rows {
		if db.shows(v, db.snapshot()) {
			appendRow(rows, v.values)
		}
	}
	return rows
}

// Columns returns how many columns a table has.
func (db *Database) Columns(name string) int {
	db.source.mu.Lock()
	defer db.source.mu.Unlock()
	return len(db.must(name).shape.Columns)
}

// all returns the slots there are.
func (db *Database) all() []*slot {
	return append(slices.Collect(maps.Values(db.slots)), db.beside...)
}

// find returns a table by its schema and name, or name in schema public.
func (db *Database) find(name string) *table {
	for _, t := range db.tables {
		if t.shape.String() == name || t.shape.Schema == "public" && t.shape.Name == name {
			return t
		}
	}
	return nil
}

func (db *Database) byID(id penstock.TableID) *table {
	for _, t := range db.tables {
		if t.shape.ID == id {
			return t
		}
	}
	return nil
}

func (db *Database) must(name string) *table {
	t := db.find(name)
	if t == nil {
		panic("memsource: no table " + name)
	}
	return t
}

// idle returns a table that no open transaction has changed.
func (db *Database) idle(name string) *table {
	t := db.must(name)
	for _, tx := range db.open {
		if tx.wrote(t.shape.ID) {
			panic(fmt.Sprintf("memsource: table %s is in use by transaction %d", name, tx.xid))
		}
	}
	return t
}

// snapshot returns what is committed now.
func (db *Database) snapshot() snapshot {
	s := snapshot{xmax: db.nextXID, upto: db.lsn}
	for _, tx := range db.open {
		s.running = append(s.running, tx.xid)
	}
	return s
}

// shows reports whether a snapshot shows a version of a row.
func (db *Database) shows(v *version, s snapshot) bool {
	sees := func(xid uint64) bool { return db.committed[xid] && s.shows(xid, 0) }
	return sees(v.created) && !sees(v.deleted)
}
