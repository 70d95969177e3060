package penstock

import (
	"fmt"
	"strings"
	"testing"
)

func text(r *Rows) string {
	var b strings.Builder
	for i := range r.Len() {
		for c := range r.Vectors {
			v := &r.Vectors[c]
			switch {
			case v.IsNull(i):
				b.WriteString("-")
			case v.IsUnchanged(i):
				b.WriteString("?")
			case v.Type().Kind == TypeText:
				b.WriteString(v.Text(i))
			case v.Type().Kind == TypeFloat64:
				fmt.Fprint(&b, v.Float64(i))
			case v.width == 16:
				hi, lo := v.Int128(i)
				fmt.Fprintf(&b, "%d:%d", hi, int64(lo))
			default:
				fmt.Fprint(&b, v.integer(i))
			}
			b.WriteString(" ")
		}
		b.WriteString("/ ")
	}
	return b.String()
}

func shape(columns ...Column) *Table {
	return &Table{ID: "1", Schema: "public", Name: "t", Columns: columns, Identity: IdentityKey, Key: []int{0}}
}

func column(id ColumnID, name string, kind TypeKind) Column {
	t := Type{Kind: kind}
	if kind == TypeDecimal {
		t.Precision, t.Scale = 10, 2
	}
	return Column{ID: id, Name: name, Type: t}
}

func TestAlterChanges(t *testing.T) {
	t.Parallel()
	one := shape(column(1, "id", TypeInt16), column(2, "a", TypeText), column(3, "f", TypeFloat32), column(4, "d", TypeDecimal))
	c := &Changes{}
	tc := c.Table(one)
	for i, op := range []Op{OpInsert, OpUpdate, OpDelete} {
		tc.Ops = append(tc.Ops, op)
		tc.Rows.Vectors[0].AppendInt16(int16(-i))
		if op == OpUpdate {
			tc.Rows.Vectors[1].AppendUnchanged()
		} else {
			tc.Rows.Vectors[1].AppendString("x")
		}
		tc.Rows.Vectors[2].AppendFloat32(0.5)
		tc.Rows.Vectors[3].AppendInt64(-125)
	}

	// A column more, with a value for the rows that are there.
	two := shape(append(one.Columns[:4:4], column(5, "n", TypeInt32))...)
	fill := NewRows(two)
	for i := range 4 {
		fill.Vectors[i].AppendNull()
	}
	fill.Vectors[4].AppendInt32(7)
	// Then columns renamed, dropped, widened, and one more without a value.
	wide := column(4, "d", TypeDecimal)
	wide.Type.Precision = 30
	three := shape(column(1, "key", TypeInt64), column(3, "f", TypeFloat64), wide, column(5, "n", TypeInt64), column(6, "a", TypeText))
	three.Name = "u"
	for _, step := range [][2]*Table{{one, two}, {two, three}, {one, three}} {
		if !Alterable(step[0], step[1]) {
			t.Errorf("from %v to %v is no alteration", step[0].Columns, step[1].Columns)
		}
	}
	c.Alter(Alteration{Old: one, New: two, Fill: fill})
	tc.Ops = append(tc.Ops, OpInsert)
	tc.Rows.Vectors[0].AppendInt16(9)
	for i := 1; i < 5; i++ {
		tc.Rows.Vectors[i].AppendNull()
	}
	c.Alter(Alteration{Old: two, New: three})

	if got, want := text(&tc.Rows), "0 0.5 -1:-125 7 - / -1 0.5 -1:-125 7 - / -2 0.5 -1:-125 7 - / 9 - - - - / "; got != want || tc.Table != three {
		t.Errorf("the rows are\n%s, want\n%s", got, want)
	}
	if len(c.Altered) != 1 || c.Altered[0].Old != one || c.Altered[0].New != three || text(c.Altered[0].Fill) != "- - - 7 - / " {
		t.Errorf("the alteration is %+v with %s", c.Altered, text(c.Altered[0].Fill))
	}
	if added := c.Altered[0].Added(); fmt.Sprint(added) != "[3 4]" {
		t.Errorf("added are %v", added)
	}

	c.Drop(three)
	if len(c.Altered) != 0 || len(c.Tables) != 0 || len(c.Dropped) != 1 || c.Empty() {
		t.Errorf("after the drop: %+v", c)
	}
	c.Reset()
	if !c.Empty() {
		t.Errorf("after the reset: %+v", c)
	}
}

func TestAlterable(t *testing.T) {
	t.Parallel()
	id, a, b := column(1, "id", TypeInt32), column(2, "a", TypeText), column(3, "b", TypeInt32)
	from := shape(id, a, b)
	for name, to := range map[string]*Table{
		"order":    shape(id, b, a),
		"front":    shape(column(9, "new", TypeText), id, a, b),
		"between":  shape(id, column(9, "new", TypeText), b),
		"type":     shape(id, column(2, "a", TypeBytes), b),
		"narrower": shape(column(1, "id", TypeInt16), a, b),
		"key":      {ID: "1", Columns: from.Columns, Identity: IdentityKey, Key: []int{2}},
		"identity": {ID: "1", Columns: from.Columns, Identity: IdentityFull},
		"table":    {ID: "2", Columns: from.Columns, Identity: IdentityKey, Key: []int{0}},
		"nothing":  {ID: "1", Identity: IdentityKey, Key: []int{0}},
	} {
		if Alterable(from, to) {
			t.Errorf("%s: counts as an alteration", name)
		}
	}
}
