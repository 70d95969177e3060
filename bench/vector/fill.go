package vector

import (
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"penstock"
)

var table = &penstock.Table{Schema: "public", Name: "orders", Columns: []penstock.Column{
	{Name: "id", Type: penstock.Type{Kind: penstock.TypeInt64}},
	{Name: "qty", Type: penstock.Type{Kind: penstock.TypeInt32}},
	{Name: "price", Type: penstock.Type{Kind: penstock.TypeDecimal, Precision: 12, Scale: 2}},
	{Name: "at", Type: penstock.Type{Kind: penstock.TypeTimestamp}},
	{Name: "paid", Type: penstock.Type{Kind: penstock.TypeBool}},
	{Name: "a", Type: penstock.Type{Kind: penstock.TypeText}},
	{Name: "b", Type: penstock.Type{Kind: penstock.TypeText}},
	{Name: "c", Type: penstock.Type{Kind: penstock.TypeText}},
}}

// fillVectors adds the rows in b to rows.
func fillVectors(rows *penstock.Rows, b []byte) {
	var v []byte
	for len(b) > 0 {
		for c := range columns {
			vec := &rows.Vectors[c]
			if v, b = next(b); v == nil {
				vec.AppendNull()
				continue
			}
			switch c {
			case 0:
				vec.AppendInt64(parseInt(v))
			case 1:
				vec.AppendInt32(int32(parseInt(v)))
			case 2:
				vec.AppendInt64(parseCents(v))
			case 3:
				vec.AppendInt64(parseTime(v))
			case 4:
				vec.AppendBool(v[0] == 't')
			default:
				vec.AppendBytes(v)
			}
		}
	}
}

// builders are arrow-go's for the same table. The decimal is an int64, which
// spares arrow-go its 16-byte form.
type builders struct {
	id, price *array.Int64Builder
	qty       *array.Int32Builder
	at        *array.TimestampBuilder
	paid      *array.BooleanBuilder
	text      [3]*array.StringBuilder
}

func newBuilders(mem memory.Allocator) *builders {
	b := &builders{
		id: array.NewInt64Builder(mem), price: array.NewInt64Builder(mem), qty: array.NewInt32Builder(mem),
		at:   array.NewTimestampBuilder(mem, &arrow.TimestampType{Unit: arrow.Microsecond}),
		paid: array.NewBooleanBuilder(mem),
	}
	for i := range b.text {
		b.text[i] = array.NewStringBuilder(mem)
	}
	return b
}

// reserve makes room for n rows with so many bytes of text per column, after
// which the unsafe appends may be used.
func (b *builders) reserve(n, text int) {
	b.id.Reserve(n)
	b.price.Reserve(n)
	b.qty.Reserve(n)
	b.at.Reserve(n)
	b.paid.Reserve(n)
	for _, t := range b.text {
		t.Reserve(n)
		t.ReserveData(text)
	}
}

// arrays finishes the builders, which are then empty and own no memory.
func (b *builders) arrays() [columns]arrow.Array {
	return [columns]arrow.Array{b.id.NewArray(), b.qty.NewArray(), b.price.NewArray(), b.at.NewArray(), b.paid.NewArray(),
		b.text[0].NewArray(), b.text[1].NewArray(), b.text[2].NewArray()}
}

// fillArrow adds the rows in b after reserve made room for them: what arrow-go
// can do at its best, where the number of rows and bytes is known before.
func fillArrow(dst *builders, b []byte) {
	var v []byte
	for len(b) > 0 {
		if v, b = next(b); v == nil {
			dst.id.UnsafeAppendBoolToBitmap(false)
		} else {
			dst.id.UnsafeAppend(parseInt(v))
		}
		if v, b = next(b); v == nil {
			dst.qty.UnsafeAppendBoolToBitmap(false)
		} else {
			dst.qty.UnsafeAppend(int32(parseInt(v)))
		}
		if v, b = next(b); v == nil {
			dst.price.UnsafeAppendBoolToBitmap(false)
		} else {
			dst.price.UnsafeAppend(parseCents(v))
		}
		if v, b = next(b); v == nil {
			dst.at.UnsafeAppendBoolToBitmap(false)
		} else {
			dst.at.UnsafeAppend(arrow.Timestamp(parseTime(v)))
		}
		if v, b = next(b); v == nil {
			dst.paid.UnsafeAppendBoolToBitmap(false)
		} else {
			dst.paid.UnsafeAppend(v[0] == 't')
		}
		for _, t := range dst.text {
			if v, b = next(b); v == nil {
				t.AppendNull()
			} else {
				t.UnsafeAppend(v)
			}
		}
	}
}

// fillArrowGrowing adds the rows in b as a stream has to: not knowing how many
// are still to come.
func fillArrowGrowing(dst *builders, b []byte) {
	var v []byte
	for len(b) > 0 {
		if v, b = next(b); v == nil {
			dst.id.AppendNull()
		} else {
			dst.id.Append(parseInt(v))
		}
		if v, b = next(b); v == nil {
			dst.qty.AppendNull()
		} else {
			dst.qty.Append(int32(parseInt(v)))
		}
		if v, b = next(b); v == nil {
			dst.price.AppendNull()
		} else {
			dst.price.Append(parseCents(v))
		}
		if v, b = next(b); v == nil {
			dst.at.AppendNull()
		} else {
			dst.at.Append(arrow.Timestamp(parseTime(v)))
		}
		if v, b = next(b); v == nil {
			dst.paid.AppendNull()
		} else {
			dst.paid.Append(v[0] == 't')
		}
		for _, t := range dst.text {
			if v, b = next(b); v == nil {
				t.AppendNull()
			} else {
				t.BinaryBuilder.Append(v)
			}
		}
	}
}

// fillRows returns dst with the rows in b added, each a slice of values.
func fillRows(dst [][]any, b []byte) [][]any {
	var v []byte
	for len(b) > 0 {
		row := make([]any, columns)
		for c := range row {
			if v, b = next(b); v == nil {
				continue
			}
			switch c {
			case 0:
				row[c] = parseInt(v)
			case 1:
				row[c] = int32(parseInt(v))
			case 2:
				row[c] = parseCents(v)
			case 3:
				row[c] = time.UnixMicro(parseTime(v))
			case 4:
				row[c] = v[0] == 't'
			default:
				row[c] = string(v)
			}
		}
		dst = append(dst, row)
	}
	return dst
}

// parseOnly parses the rows in b and keeps nothing: the part of the work that
// is the same for every form.
func parseOnly(b []byte) (sum int64) {
	var v []byte
	for len(b) > 0 {
		for c := range columns {
			if v, b = next(b); v == nil {
				continue
			}
			switch c {
			case 0, 1:
				sum += parseInt(v)
			case 2:
				sum += parseCents(v)
			case 3:
				sum += parseTime(v)
			default:
				sum += int64(len(v))
			}
		}
	}
	return sum
}
