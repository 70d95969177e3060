package targettest

import (
	"fmt"

	"penstock"
)

// column is short for a column of a kind.
func column(name string, kind penstock.TypeKind) penstock.Column {
	return penstock.Column{Name: name, Type: penstock.Type{Kind: kind}}
}

// shapeOf returns a shape whose first n columns are its key; with n = 0 it has
// no identity.
func shapeOf(id penstock.TableID, name string, n int, columns ...penstock.Column) *penstock.Table {
	t := &penstock.Table{ID: id, Schema: "public", Name: name, Columns: columns}
	for i := range columns {
		columns[i].ID = penstock.ColumnID(i + 1)
		if i < n {
			columns[i].NotNull = true
			t.Key = append(t.Key, i)
		}
	}
	if n > 0 {
		t.Identity = penstock.IdentityKey
	}
	return t
}

// orders is the table that most tests use: a key, a text, a number.
func orders() *penstock.Table {
	return shapeOf("16385", "orders", 1,
		column("id", penstock.TypeInt64), column("note", penstock.TypeText), column("amount", penstock.TypeInt32))
}

// unchanged stands for a value that the source did not send.
type unchanged struct{}

// rowsOf makes rows from Go values: nil, unchanged{}, bool, int (of any
// integer column), string (of any column of variable length).
func rowsOf(shape *penstock.Table, values ...[]any) *penstock.Rows {
	rows := penstock.NewRows(shape)
	for _, row := range values {
		for c, x := range row {
			add(&rows.Vectors[c], x)
		}
	}
	return rows
}

func add(v *penstock.Vector, x any) {
	switch x := x.(type) {
	case nil:
		v.AppendNull()
	case unchanged:
		v.AppendUnchanged()
	case bool:
		v.AppendBool(x)
	case string:
		v.AppendString(x)
	case int:
		switch v.Type().Width() {
		case 2:
			v.AppendInt16(int16(x))
		case 4:
			v.AppendInt32(int32(x))
		case 8:
			v.AppendInt64(int64(x))
		default:
			panic(fmt.Sprintf("an int for a %s", v.Type()))
		}
	default:
		panic(fmt.Sprintf("a %T for a %s", x, v.Type()))
	}
}

// change builds the batch of one table row by row.
type change struct {
	penstock.TableBatch
}

func changesOf(shape *penstock.Table) *change {
	return &change{penstock.TableBatch{Table: shape, Rows: penstock.NewRows(shape)}}
}

func (c *change) row(values []any) int32 {
	n := c.Rows.Len()
	for i, x := range values {
		add(&c.Rows.Vectors[i], x)
	}
	return int32(n)
}

func (c *change) insert(values ...any) *change {
	c.Put = append(c.Put, c.row(values))
	c.base(-1)
	return c
}

func (c *change) delete(values ...any) *change {
	c.Remove = append(c.Remove, c.row(values))
	return c
}

// update removes the row that old names and puts the row new.
func (c *change) update(old, new []any) *change {
	r := c.row(old)
	c.Remove = append(c.Remove, r)
	c.Put = append(c.Put, c.row(new))
	c.base(-1)
	return c
}

// patch is an update of which new has unchanged values.
func (c *change) patch(old, new []any) *change {
	r := c.row(old)
	c.Remove = append(c.Remove, r)
	c.Put = append(c.Put, c.row(new))
	if c.Base == nil {
		c.Base = make([]int32, 0, len(c.Put))
		for range len(c.Put) - 1 {
			c.Base = append(c.Base, -1)
		}
	}
	c.base(r)
	return c
}

func (c *change) base(r int32) {
	if c.Base != nil {
		c.Base = append(c.Base, r)
	}
}

func (c *change) batch() penstock.TableBatch { return c.TableBatch }
