package verify

import "penstock"

// Table is what the comparison of one table has found.
type Table struct {
	Schema, Name string
	State        penstock.TableState `json:",omitempty"`
	// NotCompared is a sentence that says why the table was not compared; ""
	// if it was.
	NotCompared string `json:",omitempty"`

	Rows          int64 // at the source
	WarehouseRows int64
	// Missing rows are not in the warehouse, Extra ones only there, Different
	// ones in both under one key. A table without a key has no Different ones.
	Missing, Extra, Different int64
	// AtLeast is set when there are so many that not all have been counted.
	AtLeast bool `json:",omitempty"`
	// BadValues counts the values that the warehouse cannot hold and that are
	// null there, as they should.
	BadValues int64 `json:",omitempty"`
	// Differences names some of the rows.
	Differences []Difference `json:",omitempty"`
	Seconds     float64
}

// Differs reports whether something is wrong with the table.
func (t *Table) Differs() bool { return t.Missing+t.Extra+t.Different > 0 }

// Difference names a row that is not as it should be.
type Difference struct {
	Kind DifferenceKind
	// Key are the values of the key; of the whole row, where there is no key.
	Key []Value
	// Columns are the names of those that differ, of a Different row.
	Columns []string `json:",omitempty"`
}

// DifferenceKind says what is wrong with a row.
type DifferenceKind string

// The kinds of difference.
const (
	Missing   DifferenceKind = "missing"
	Extra     DifferenceKind = "extra"
	Different DifferenceKind = "different"
)

// Value is a value as text; nil is null.
type Value struct {
	Column string
	Text   *string
}
