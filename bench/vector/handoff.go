package vector

import (
	"encoding/binary"
	"time"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"penstock"
)

// flat is a column as a warehouse takes it: memory of its own that is written
// to, with its size known before.
type flat struct {
	fixed, data []byte
	offsets     []uint32
}

func newFlat(rows int) (f [columns]flat) {
	for c := range f {
		if w := table.Columns[c].Type.Width(); w > 0 {
			f[c].fixed = make([]byte, rows*w)
		} else {
			f[c].offsets, f[c].data = make([]uint32, rows+1), make([]byte, rows*40)
		}
	}
	return f
}

// copyVectors copies the values of rows to dst, and returns the bytes copied.
func copyVectors(dst *[columns]flat, rows *penstock.Rows) (n int) {
	for c := range dst {
		n += copy(dst[c].fixed, rows.Vectors[c].Fixed())
		offsets, data := rows.Vectors[c].Varlen()
		n += 4*copy(dst[c].offsets, offsets) + copy(dst[c].data, data)
	}
	return n
}

// copyArrays copies the values of arrow arrays to dst. Booleans are bits there
// and bytes in a warehouse.
func copyArrays(dst *[columns]flat, arrays *[columns]arrow.Array) (n int) {
	for c, a := range arrays {
		switch a := a.(type) {
		case *array.Boolean:
			for i := range a.Len() {
				dst[c].fixed[i] = 0
				if a.Value(i) {
					dst[c].fixed[i] = 1
				}
			}
			n += a.Len()
		case *array.String:
			offsets := a.Data().Buffers()[1].Bytes()
			n += copy(unsafe.Slice((*byte)(unsafe.Pointer(&dst[c].offsets[0])), 4*len(dst[c].offsets)), offsets)
			n += copy(dst[c].data, a.Data().Buffers()[2].Bytes())
		default:
			n += copy(dst[c].fixed, a.Data().Buffers()[1].Bytes())
		}
	}
	return n
}

// copyRows writes the values of rows to dst.
func copyRows(dst *[columns]flat, rows [][]any) (n int) {
	for c := range dst {
		f := &dst[c]
		end := uint32(0)
		for i, row := range rows {
			switch v := row[c].(type) {
			case int64:
				binary.LittleEndian.PutUint64(f.fixed[i*8:], uint64(v))
				n += 8
			case int32:
				binary.LittleEndian.PutUint32(f.fixed[i*4:], uint32(v))
				n += 4
			case time.Time:
				binary.LittleEndian.PutUint64(f.fixed[i*8:], uint64(v.UnixMicro()))
				n += 8
			case bool:
				f.fixed[i] = 0
				if v {
					f.fixed[i] = 1
				}
				n++
			case string:
				end += uint32(copy(f.data[end:], v))
				n += len(v)
			}
			if f.offsets != nil {
				f.offsets[i+1] = end
			}
		}
	}
	return n
}

// toArrow returns an arrow array of the vector's values: over the same memory,
// except that the bitmap of what is present is made anew, and booleans are.
// The array is valid until the vector changes.
func toArrow(v *penstock.Vector, t arrow.DataType) arrow.Array {
	n := v.Len()
	var present *memory.Buffer
	if v.Nulls() > 0 {
		bits := make([]byte, (n+7)/8)
		for i := range n {
			if !v.IsNull(i) {
				bits[i/8] |= 1 << (i % 8)
			}
		}
		present = memory.NewBufferBytes(bits)
	}
	buffers := []*memory.Buffer{present}
	switch offsets, data := v.Varlen(); {
	case v.Type().Kind == penstock.TypeBool:
		bits := make([]byte, (n+7)/8)
		for i, x := range v.Fixed() {
			bits[i/8] |= x << (i % 8)
		}
		buffers = append(buffers, memory.NewBufferBytes(bits))
	case v.Type().Width() == 0:
		raw := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(offsets))), 4*len(offsets))
		buffers = append(buffers, memory.NewBufferBytes(raw), memory.NewBufferBytes(data))
	default:
		buffers = append(buffers, memory.NewBufferBytes(v.Fixed()))
	}
	return array.MakeFromData(array.NewData(t, n, buffers, nil, v.Nulls(), 0))
}
