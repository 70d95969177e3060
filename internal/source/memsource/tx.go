package memsource

import (
	"fmt"
	"slices"
	"time"

	"penstock"
)

// Tx is a transaction. It gets its number with its first change.
type Tx struct {
	db      *Database
	xid     uint64
	changes []change
	done    bool
}

// Bad is a value that no column's type can hold: it is null and counted where
// it is read.
var Bad any = bad{}

type bad struct{}

// Begin opens a transaction.
func (db *Database) Begin() *Tx { return &Tx{db: db} }

// Do runs f in a transaction of its own and commits it.
func (db *Database) Do(f func(*Tx)) {
	tx := db.Begin()
	f(tx)
	tx.Commit()
}

// enter locks the source and makes sure that the transaction has a number; the
// caller unlocks.
func (tx *Tx) enter() {
	tx.db.source.mu.Lock()
	if tx.done {
		tx.db.source.mu.Unlock()
		panic("memsource: the transaction has ended")
	}
	if tx.xid == 0 {
		tx.xid = tx.db.nextXID
		tx.db.nextXID++
		tx.db.open = append(tx.db.open, tx)
	}
}

func (tx *Tx) wrote(id penstock.TableID) bool {
	return slices.ContainsFunc(tx.changes, func(c change) bool { return c.shape.ID == id })
}

func (tx *Tx) note(c change) {
	tx.db.written++
	c.number = tx.db.written
	tx.changes = append(tx.changes, c)
}

// Insert adds a row. Values are nil, bool, int, int64, float64, string or Bad,
// one for each column.
func (tx *Tx) Insert(name string, values ...any) {
	tx.enter()
	defer tx.db.source.mu.Unlock()
	t := tx.db.must(name)
	if len(values) != len(t.shape.Columns) {
		panic(fmt.Sprintf("memsource: %d values for a row of %s", len(values), name))
	}
	row := make([]any, len(values))
	for i, v := range values {
		row[i] = normal(v)
	}
	t.rows = append(t.rows, &version{values: row, created: tx.xid})
	tx.note(change{shape: t.shape, op: penstock.OpInsert, new: row})
}

// Update changes one row whose first column is id, by column name, and reports
// whether there was one.
func (tx *Tx) Update(name string, id any, set map[string]any) bool {
	tx.enter()
	defer tx.db.source.mu.Unlock()
	t := tx.db.must(name)
	v := tx.row(t, id)
	if v == nil {
		return false
	}
	row := slices.Clone(v.values)
	for column, value := range set {
		i := slices.IndexFunc(t.shape.Columns, func(c penstock.Column) bool { return c.Name == column })
		if i < 0 {
			panic("memsource: no column " + column + " in " + name)
		}
		row[i] = normal(value)
	}
	v.deleted = tx.xid
	t.rows = append(t.rows, &version{values: row, created: tx.xid})
	tx.note(change{shape: t.shape, op: penstock.OpUpdate, old: v.values, new: row})
	return true
}

// Delete removes one row whose first column is id and reports whether there
// was one.
func (tx *Tx) Delete(name string, id any) bool {
	tx.enter()
	defer tx.db.source.mu.Unlock()
	t := tx.db.must(name)
	v := tx.row(t, id)
	if v == nil {
		return false
	}
	v.deleted = tx.xid
	tx.note(change{shape: t.shape, op: penstock.OpDelete, old: v.values})
	return true
}

// Truncate empties a table.
func (tx *Tx) Truncate(name string) {
	tx.enter()
	defer tx.db.source.mu.Unlock()
	t := tx.db.must(name)
	for _, v := range t.rows {
		if tx.sees(v) {
			v.deleted = tx.xid
		}
	}
	tx.note(change{shape: t.shape})
}

// row returns a row that the transaction sees.
func (tx *Tx) row(t *table, id any) *version {
	id = normal(id)
	for _, v := range t.rows {
		if v.values[0] != id || !tx.sees(v) {
			continue
		}
		if v.deleted != 0 && slices.ContainsFunc(tx.db.open, func(o *Tx) bool { return o.xid == v.deleted }) {
			panic(fmt.Sprintf("memsource: row %v of %s is being changed by transaction %d", id, t.shape, v.deleted))
		}
		return v
	}
	return nil
}

// sees reports whether a version is there for the transaction: committed, or
// its own work.
func (tx *Tx) sees(v *version) bool {
	sees := func(xid uint64) bool { return xid == tx.xid || tx.db.committed[xid] }
	return sees(v.created) && !sees(v.deleted)
}

// Commit ends the transaction; its changes are visible and in the log.
func (tx *Tx) Commit() {
	db := tx.end()
	defer db.source.mu.Unlock()
	if tx.xid == 0 {
		return
	}
	if db.committed == nil {
		db.committed = map[uint64]bool{}
	}
	db.committed[tx.xid] = true
	for _, c := range tx.changes {
		if t := db.byID(c.shape.ID); c.op == opTruncate && t != nil {
			t.file++
		}
	}
	db.lsn++
	db.log = append(db.log, record{lsn: db.lsn, xid: tx.xid, at: time.Now().UTC(), changes: tx.changes})
	db.move()
}

// Rollback ends the transaction; it has never been.
func (tx *Tx) Rollback() {
	db := tx.end()
	defer db.source.mu.Unlock()
	for _, t := range db.tables {
		for _, v := range t.rows { // they stay, so that chunks of a load do too
			if v.created == tx.xid {
				v.created = 0
			}
			if v.deleted == tx.xid {
				v.deleted = 0
			}
		}
	}
	db.move()
}

// end locks the source and ends the transaction; the caller unlocks.
func (tx *Tx) end() *Database {
	db := tx.db
	db.source.mu.Lock()
	if tx.done {
		db.source.mu.Unlock()
		panic("memsource: the transaction has ended")
	}
	tx.done = true
	db.open = slices.DeleteFunc(db.open, func(o *Tx) bool { return o == tx })
	return db
}

// normal turns an int into the int64 that values are kept as.
func normal(v any) any {
	if n, ok := v.(int); ok {
		return int64(n)
	}
	return v
}

// appendRow adds a row and returns the columns that hold Bad.
func appendRow(rows *penstock.Rows, values []any) (badColumns []int) {
	for i, x := range values {
		if x == Bad {
			badColumns = append(badColumns, i)
		}
		appendValue(&rows.Vectors[i], x)
	}
	return badColumns
}

func appendValue(v *penstock.Vector, x any) {
	switch x := x.(type) {
	case nil, bad:
		v.AppendNull()
		return
	case bool:
		v.AppendBool(x)
		return
	case float64:
		v.AppendFloat64(x)
		return
	case string:
		v.AppendString(x)
		return
	case int64:
		switch v.Type().Kind {
		case penstock.TypeInt16:
			v.AppendInt16(int16(x))
			return
		case penstock.TypeInt32, penstock.TypeDate:
			v.AppendInt32(int32(x))
			return
		case penstock.TypeInt64, penstock.TypeTime, penstock.TypeTimestamp, penstock.TypeTimestampTZ:
			v.AppendInt64(x)
			return
		}
	}
	panic(fmt.Sprintf("memsource: a %T in a column of type %s", x, v.Type()))
}
