package penstock

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// BadValues counts, by column, values that cannot be represented and are null
// in Rows, or in the warehouse, for that reason (promise 5). nil counts none.
type BadValues map[ColumnID]int64

// Count adds n values of a column.
func (b *BadValues) Count(column ColumnID, n int64) {
	if n == 0 {
		return
	}
	if *b == nil {
		*b = BadValues{}
	}
	(*b)[column] += n
}

// Add adds what others count.
func (b *BadValues) Add(others BadValues) {
	for column, n := range others {
		b.Count(column, n)
	}
}

// Total returns the number of values in all columns.
func (b BadValues) Total() (n int64) {
	for _, x := range b {
		n += x
	}
	return n
}

// Clone returns a copy that shares nothing with b.
func (b BadValues) Clone() BadValues { return maps.Clone(b) }

// Keep forgets the columns that a table does not have.
func (b BadValues) Keep(t *Table) {
	maps.DeleteFunc(b, func(id ColumnID, _ int64) bool { return t.column(id) < 0 })
}

// Names returns the names of the columns, in the order of the table. A column
// that the table has no more is left out.
func (b BadValues) Names(t *Table) (names []string) {
	for _, c := range t.Columns {
		if b[c.ID] > 0 {
			names = append(names, c.Name)
		}
	}
	return slices.Clip(names)
}

// Unrepresentable is the cause of an error of KindUnrepresentable: values of a
// table that a destination was told not to store as NULL.
type Unrepresentable struct {
	Table  *Table
	Values BadValues
}

func (u *Unrepresentable) Error() string {
	what := "values"
	switch names := u.Values.Names(u.Table); len(names) {
	case 0:
	case 1:
		what = "column " + names[0] + " has values"
	default:
		what = "columns " + strings.Join(names, ", ") + " have values"
	}
	return fmt.Sprintf("table %s: %s that the warehouse cannot hold", u.Table, what)
}
