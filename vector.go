package penstock

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"unsafe"
)

// Vector holds the values of one column, laid out as Apache Arrow lays out its
// arrays: fixed-width values side by side, variable ones as offsets into one
// byte buffer, absence as a bitmap. It is filled row by row from wire bytes
// without an allocation per value, and handed on without a loop over rows.
// docs/decisions/0001-column-format.md has the measurement that chose it.
//
// A value is present, null, or unchanged: the last stands for a value that the
// source did not send because an update left it as it was.
//
// The zero Vector is not usable; see Rows.Reset. A Vector is not safe for
// concurrent use while it is appended to.
type Vector struct {
	typ   Type
	width int
	n     int

	fixed   []byte   // n*width bytes
	offsets []uint32 // n+1 offsets into data
	data    []byte

	alias bool // data belongs to somebody else

	nulls     bitmap // set bit = null; empty while there is none
	unchanged bitmap // set bit = unchanged; empty while there is none
}

// bitmap is a growing set of row numbers; rows past its end are not in it.
type bitmap struct {
	words []uint64
	count int
}

func (b *bitmap) set(i int) {
	w := i >> 6
	for len(b.words) <= w {
		b.words = append(b.words, 0)
	}
	b.words[w] |= 1 << (i & 63)
	b.count++
}

func (b *bitmap) has(i int) bool {
	w := i >> 6
	return w < len(b.words) && b.words[w]&(1<<(i&63)) != 0
}

func (b *bitmap) reset() { b.words, b.count = b.words[:0], 0 }

func (b *bitmap) truncate(n int) {
	if b.count == 0 {
		return
	}
	if w := (n + 63) >> 6; w < len(b.words) {
		b.words = b.words[:w]
	}
	if n&63 != 0 && n>>6 < len(b.words) {
		b.words[n>>6] &= 1<<(n&63) - 1
	}
	b.count = 0
	for _, w := range b.words {
		b.count += bits.OnesCount64(w)
	}
}

// NewVector returns an empty vector for values of type t.
func NewVector(t Type) Vector {
	v := Vector{}
	v.init(t)
	return v
}

func (v *Vector) init(t Type) {
	v.typ, v.width = t, t.Width()
	v.Reset()
}

// Reset empties v and keeps its memory.
func (v *Vector) Reset() {
	v.n = 0
	if v.alias {
		v.alias, v.data = false, nil
	}
	v.fixed, v.data = v.fixed[:0], v.data[:0]
	v.nulls.reset()
	v.unchanged.reset()
	v.offsets = v.offsets[:0]
	if v.width == 0 {
		v.offsets = append(v.offsets, 0)
	}
}

// Type returns the type of v's values.
func (v *Vector) Type() Type { return v.typ }

// Len returns the number of values, absent ones included.
func (v *Vector) Len() int { return v.n }

// Size returns the bytes that v's values take, for accounting.
func (v *Vector) Size() int {
	return len(v.fixed) + len(v.data) + 4*len(v.offsets) + 8*(len(v.nulls.words)+len(v.unchanged.words))
}

// cap returns the bytes that v holds on to.
func (v *Vector) cap() int {
	return cap(v.fixed) + cap(v.data) + 4*cap(v.offsets) + 8*(cap(v.nulls.words)+cap(v.unchanged.words))
}

// AppendNull adds a null.
func (v *Vector) AppendNull() {
	v.nulls.set(v.n)
	v.appendEmpty()
}

// AppendUnchanged adds a value that the source left as it was.
func (v *Vector) AppendUnchanged() {
	v.unchanged.set(v.n)
	v.appendEmpty()
}

var zeros [16]byte

func (v *Vector) appendEmpty() {
	if v.width == 0 {
		v.offsets = append(v.offsets, uint32(len(v.data)))
	} else {
		v.fixed = append(v.fixed, zeros[:v.width]...)
	}
	v.n++
}

// AppendBool adds a value to a vector of TypeBool.
func (v *Vector) AppendBool(x bool) {
	b := byte(0)
	if x {
		b = 1
	}
	v.fixed = append(v.fixed, b)
	v.n++
}

// AppendInt16 adds a value to a vector of TypeInt16.
func (v *Vector) AppendInt16(x int16) {
	v.fixed = binary.LittleEndian.AppendUint16(v.fixed, uint16(x))
	v.n++
}

// AppendInt32 adds a value to a vector of TypeInt32 or TypeDate.
func (v *Vector) AppendInt32(x int32) {
	v.fixed = binary.LittleEndian.AppendUint32(v.fixed, uint32(x))
	v.n++
}

// AppendInt64 adds a value to a vector of TypeInt64, TypeTime, TypeTimestamp,
// TypeTimestampTZ, or of TypeDecimal with a precision up to 18.
func (v *Vector) AppendInt64(x int64) {
	v.fixed = binary.LittleEndian.AppendUint64(v.fixed, uint64(x))
	v.n++
}

// AppendFloat32 adds a value to a vector of TypeFloat32.
func (v *Vector) AppendFloat32(x float32) { v.AppendInt32(int32(math.Float32bits(x))) }

// AppendFloat64 adds a value to a vector of TypeFloat64.
func (v *Vector) AppendFloat64(x float64) { v.AppendInt64(int64(math.Float64bits(x))) }

// AppendInt128 adds a value to a vector of TypeDecimal with a precision above 18.
func (v *Vector) AppendInt128(hi int64, lo uint64) { v.append16(lo, uint64(hi)) }

// AppendTimeTZ adds a value to a vector of TypeTimeTZ.
func (v *Vector) AppendTimeTZ(micros int64, secondsEast int32) {
	v.append16(uint64(micros), uint64(int64(secondsEast)))
}

// AppendInterval adds a value to a vector of TypeInterval.
func (v *Vector) AppendInterval(months, days int32, micros int64) {
	v.append16(uint64(uint32(months))|uint64(uint32(days))<<32, uint64(micros))
}

// AppendUUID adds a value to a vector of TypeUUID.
func (v *Vector) AppendUUID(u [16]byte) {
	v.fixed = append(v.fixed, u[:]...)
	v.n++
}

func (v *Vector) append16(first, second uint64) {
	v.fixed = binary.LittleEndian.AppendUint64(v.fixed, first)
	v.fixed = binary.LittleEndian.AppendUint64(v.fixed, second)
	v.n++
}

// MaxVectorData is the most bytes that the variable-length values of one
// vector may take together.
const MaxVectorData = math.MaxUint32

// AppendBytes adds a copy of b to a vector of variable length. It panics if
// the vector's data would exceed MaxVectorData; whoever fills a vector closes
// it long before.
func (v *Vector) AppendBytes(b []byte) {
	if len(b) >= largeValue {
		v.Grow(len(b))
	}
	v.data = append(v.data, b...)
	v.closeValue()
}

// largeValue is how many bytes a value has at least for which a vector grows by
// no more than it takes.
const largeValue = 1 << 20

// Grow makes room for n more bytes of variable length, and no more.
func (v *Vector) Grow(n int) {
	if cap(v.data)-len(v.data) < n {
		data := make([]byte, len(v.data), len(v.data)+n)
		copy(data, v.data)
		v.data, v.alias = data, false
	}
}

// AppendAlias adds b itself to a vector of variable length that has no bytes
// yet. b must stay as it is until the vector is reset or gets another value.
func (v *Vector) AppendAlias(b []byte) {
	if len(v.data) > 0 {
		v.AppendBytes(b)
		return
	}
	v.data, v.alias = b[:len(b):len(b)], true
	v.closeValue()
}

// AppendString adds s to a vector of variable length, as AppendBytes does.
func (v *Vector) AppendString(s string) {
	v.data = append(v.data, s...)
	v.closeValue()
}

// AppendWith adds to a vector of variable length the value that f appends to
// the slice it is given; f must do nothing else with that slice.
func (v *Vector) AppendWith(f func(dst []byte) []byte) {
	v.data = f(v.data)
	v.closeValue()
}

func (v *Vector) closeValue() {
	if uint64(len(v.data)) > MaxVectorData {
		panic(fmt.Sprintf("penstock: a vector of more than %d bytes", uint64(MaxVectorData)))
	}
	v.offsets = append(v.offsets, uint32(len(v.data)))
	v.n++
}

// AppendFrom adds value i of src, a vector of the same type.
func (v *Vector) AppendFrom(src *Vector, i int) {
	switch {
	case src.nulls.has(i):
		v.AppendNull()
	case src.unchanged.has(i):
		v.AppendUnchanged()
	case v.width == 0:
		v.AppendBytes(src.Bytes(i))
	default:
		v.fixed = append(v.fixed, src.fixed[i*v.width:(i+1)*v.width]...)
		v.n++
	}
}

// Truncate keeps the first n values.
func (v *Vector) Truncate(n int) {
	if n >= v.n {
		return
	}
	v.n = n
	if v.width == 0 {
		v.offsets = v.offsets[:n+1]
		v.data = v.data[:v.offsets[n]]
	} else {
		v.fixed = v.fixed[:n*v.width]
	}
	v.nulls.truncate(n)
	v.unchanged.truncate(n)
}

// SetNull makes value i, which is present, null. Its bytes stay where they are.
func (v *Vector) SetNull(i int) { v.nulls.set(i) }

// IsNull reports whether value i is null.
func (v *Vector) IsNull(i int) bool { return v.nulls.has(i) }

// IsUnchanged reports whether value i is one that the source did not send.
func (v *Vector) IsUnchanged(i int) bool { return v.unchanged.has(i) }

// Nulls returns the number of nulls.
func (v *Vector) Nulls() int { return v.nulls.count }

// Unchanged returns the number of unchanged values.
func (v *Vector) Unchanged() int { return v.unchanged.count }

// Bool returns value i of a vector of TypeBool.
func (v *Vector) Bool(i int) bool { return v.fixed[i] != 0 }

// Int16 returns value i of a vector of TypeInt16.
func (v *Vector) Int16(i int) int16 { return int16(binary.LittleEndian.Uint16(v.fixed[i*2:])) }

// Int32 returns value i of a vector whose values are int32.
func (v *Vector) Int32(i int) int32 { return int32(binary.LittleEndian.Uint32(v.fixed[i*4:])) }

// Int64 returns value i of a vector whose values are int64.
func (v *Vector) Int64(i int) int64 { return int64(binary.LittleEndian.Uint64(v.fixed[i*8:])) }

// Float32 returns value i of a vector of TypeFloat32.
func (v *Vector) Float32(i int) float32 { return math.Float32frombits(uint32(v.Int32(i))) }

// Float64 returns value i of a vector of TypeFloat64.
func (v *Vector) Float64(i int) float64 { return math.Float64frombits(uint64(v.Int64(i))) }

// Int128 returns value i of a vector of TypeDecimal with a precision above 18.
func (v *Vector) Int128(i int) (hi int64, lo uint64) {
	lo, h := v.pair(i)
	return int64(h), lo
}

// TimeTZ returns value i of a vector of TypeTimeTZ.
func (v *Vector) TimeTZ(i int) (micros int64, secondsEast int32) {
	m, z := v.pair(i)
	return int64(m), int32(int64(z))
}

// Interval returns value i of a vector of TypeInterval.
func (v *Vector) Interval(i int) (months, days int32, micros int64) {
	md, us := v.pair(i)
	return int32(uint32(md)), int32(uint32(md >> 32)), int64(us)
}

// UUID returns value i of a vector of TypeUUID.
func (v *Vector) UUID(i int) (u [16]byte) {
	copy(u[:], v.fixed[i*16:])
	return u
}

func (v *Vector) pair(i int) (first, second uint64) {
	b := v.fixed[i*16 : i*16+16]
	return binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
}

// Bytes returns value i of a vector of variable length. The slice is valid
// until v changes and must not be written to.
func (v *Vector) Bytes(i int) []byte { return v.data[v.offsets[i]:v.offsets[i+1]:v.offsets[i+1]] }

// Text returns value i of a vector of variable length without copying it. The
// string is valid until v changes.
func (v *Vector) Text(i int) string {
	b := v.Bytes(i)
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Raw returns value i as bytes in the vector's own form, whatever its type, so
// that two values of one type are equal if and only if their bytes are. It is
// empty for null and unchanged values of variable length.
func (v *Vector) Raw(i int) []byte {
	if v.width == 0 {
		return v.Bytes(i)
	}
	return v.fixed[i*v.width : (i+1)*v.width : (i+1)*v.width]
}

// Fixed returns all values of a fixed-width vector side by side.
func (v *Vector) Fixed() []byte { return v.fixed }

// Varlen returns the values of a vector of variable length: value i is
// data[offsets[i]:offsets[i+1]].
func (v *Vector) Varlen() (offsets []uint32, data []byte) { return v.offsets, v.data }
