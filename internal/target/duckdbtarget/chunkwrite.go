package duckdbtarget

import (
	"encoding/binary"
	"math/bits"
	"runtime"
	"unicode/utf8"
	"unsafe"

	duck "github.com/duckdb/duckdb-go-bindings"

	"penstock"
)

// source says where the values of one column of the engine come from: value i
// is that of row rows[i] of vector, or of row i if rows is nil.
type source struct {
	vector *penstock.Vector
	rows   []int32
	column penstock.ColumnID // that values which the engine cannot hold count for
	// mask makes a BOOLEAN column that is true where the value is unchanged.
	mask bool
}

// chunkRows is the number of rows in one chunk of the engine.
var chunkRows = int(duck.VectorSize())

// chunkBytes is how many bytes of text and bytes one chunk may have, if that is
// more than one row: the appender copies a chunk as a whole.
const chunkBytes = 8 << 20

// chunkOf returns how many of the rows from one on, of n, make the next chunk,
// and the bytes of text and bytes that they have.
func chunkOf(columns []source, from, n int) (count, size int) {
	count = min(chunkRows, n-from)
	for i := range columns {
		size += columns[i].bytes(from, from+count)
	}
	if size <= chunkBytes {
		return count, size
	}
	size = 0
	for i := range count {
		row := 0
		for c := range columns {
			row += columns[c].bytes(from+i, from+i+1)
		}
		if i > 0 && size+row > chunkBytes {
			return i, size
		}
		size += row
	}
	return count, size
}

// bytes returns how many bytes of variable length the rows [from, to) have.
func (s *source) bytes(from, to int) (n int) {
	offsets, _ := s.vector.Varlen()
	switch {
	case len(offsets) == 0 || s.mask:
	case s.rows == nil:
		n = int(offsets[to] - offsets[from])
	default:
		for _, r := range s.rows[from:to] {
			n += int(offsets[r+1] - offsets[r])
		}
	}
	return n
}

// longest returns how many bytes the longest value of variable length has, of n rows.
func (s *source) longest(n int) (most int) {
	offsets, _ := s.vector.Varlen()
	switch {
	case len(offsets) == 0 || s.mask:
	case s.rows == nil:
		from := offsets[0]
		for _, to := range offsets[1 : n+1] {
			most = max(most, int(to-from))
			from = to
		}
	default:
		for _, r := range s.rows[:n] {
			most = max(most, int(offsets[r+1]-offsets[r]))
		}
	}
	return most
}

// writeRows appends n rows to an appender, column by column through chunks of
// the engine, and counts in bad the values that it cannot hold and that became
// NULL. The caller holds the connection.
func writeRows(app duck.Appender, columns []source, n int, bad *penstock.BadValues) error {
	types := make([]duck.LogicalType, len(columns))
	for i := range types {
		types[i] = duck.AppenderColumnType(app, duck.IdxT(i))
	}
	defer func() {
		for i := range types {
			duck.DestroyLogicalType(&types[i])
		}
	}()
	chunk := duck.CreateDataChunk(types)
	defer duck.DestroyDataChunk(&chunk)

	// Long strings are not copied into the chunk but pointed to. The appender
	// copies them when it takes the chunk.
	var pins runtime.Pinner
	defer pins.Unpin()
	for _, c := range columns {
		if _, data := c.vector.Varlen(); len(data) > 0 {
			pins.Pin(unsafe.SliceData(data))
		}
	}
	for from, count := 0, 0; from < n; from += count {
		var size int
		count, size = chunkOf(columns, from, n)
		duck.DataChunkReset(chunk)
		for i, c := range columns {
			w := columnWriter{vec: duck.DataChunkGetVector(chunk, duck.IdxT(i)), src: c.vector, from: from, count: count}
			if c.rows != nil {
				w.rows = c.rows[from : from+count]
				w.from = int(w.rows[0])
				w.gather = !contiguous(w.rows)
			}
			if c.mask {
				w.writeMask()
			} else {
				w.write()
			}
			bad.Count(c.column, w.bad)
		}
		duck.DataChunkSetSize(chunk, duck.IdxT(count))
		if duck.AppendDataChunk(app, chunk) != duck.StateSuccess {
			return appenderError(app)
		}
		// The appender's copy is memory that the engine does not count.
		if size > chunkBytes/2 && duck.AppenderFlush(app) != duck.StateSuccess {
			return appenderError(app)
		}
	}
	return nil
}

func appenderError(app duck.Appender) error {
	data := duck.AppenderErrorData(app)
	defer duck.DestroyErrorData(&data)
	return newEngineError(duck.ErrorDataMessage(data))
}

func contiguous(rows []int32) bool {
	for i, r := range rows {
		if r != rows[0]+int32(i) {
			return false
		}
	}
	return true
}

// columnWriter fills one vector of a chunk.
type columnWriter struct {
	vec      duck.Vector
	src      *penstock.Vector
	from     int     // first row, unless gather
	rows     []int32 // rows, if gather
	count    int
	gather   bool
	validity []uint64
	bad      int64
}

// row returns the number in src of row i.
func (w *columnWriter) row(i int) int {
	if w.gather {
		return int(w.rows[i])
	}
	return w.from + i
}

func (w *columnWriter) setNull(i int) {
	if w.validity == nil {
		duck.VectorEnsureValidityWritable(w.vec)
		w.validity = unsafe.Slice((*uint64)(duck.VectorGetValidity(w.vec)), (chunkRows+63)/64)
	}
	w.validity[i>>6] &^= 1 << (i & 63)
}

// setBad makes a value null that the engine cannot hold.
func (w *columnWriter) setBad(i int) {
	w.bad++
	w.setNull(i)
}

// absent reports whether value r of the source is null or unchanged.
func (w *columnWriter) absent(r int) bool { return w.src.IsNull(r) || w.src.IsUnchanged(r) }

func (w *columnWriter) write() {
	w.writeValues()
	if w.src.Nulls() > 0 || w.src.Unchanged() > 0 {
		for i := range w.count {
			if w.absent(w.row(i)) {
				w.setNull(i)
			}
		}
	}
}

func (w *columnWriter) writeMask() {
	dst := unsafe.Slice((*bool)(duck.VectorGetData(w.vec)), w.count)
	for i := range dst {
		dst[i] = w.src.IsUnchanged(w.row(i))
	}
}

func (w *columnWriter) writeValues() {
	data := duck.VectorGetData(w.vec)
	t := w.src.Type()
	switch t.Kind {
	case penstock.TypeText, penstock.TypeJSON:
		w.writeStrings(data, true)
	case penstock.TypeBytes:
		w.writeStrings(data, false)
	case penstock.TypeDecimal:
		w.writeDecimals(data, t)
	case penstock.TypeUUID:
		dst := unsafe.Slice((*[2]uint64)(data), w.count)
		for i := range dst {
			b := w.src.Raw(w.row(i))
			dst[i] = [2]uint64{binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b) ^ 1<<63}
		}
	case penstock.TypeTimeTZ:
		dst := unsafe.Slice((*uint64)(data), w.count)
		for i := range dst {
			r := w.row(i)
			micros, east := w.src.TimeTZ(r)
			if !holdsTimeTZ(micros, east) {
				w.setBad(i)
				continue
			}
			dst[i] = packTimeTZ(micros, east)
		}
	case penstock.TypeTime:
		w.copyFixed(data, 8)
		check(w, (*int64)(data), holdsTime)
	case penstock.TypeTimestamp, penstock.TypeTimestampTZ:
		w.copyFixed(data, 8)
		check(w, (*int64)(data), holdsTimestamp)
	case penstock.TypeDate:
		w.copyFixed(data, 4)
		check(w, (*int32)(data), holdsDate)
	case penstock.TypeFloat32:
		w.copyFixed(data, 4)
		oneZero(unsafe.Slice((*float32)(data), w.count))
	case penstock.TypeFloat64:
		w.copyFixed(data, 8)
		oneZero(unsafe.Slice((*float64)(data), w.count))
	default: // the same form on both sides
		w.copyFixed(data, t.Width())
	}
}

// check makes the values null that the engine does not hold, and puts one in
// their place that it does.
func check[T any](w *columnWriter, data *T, holds func(T) bool) {
	for i, x := range unsafe.Slice(data, w.count) {
		if !holds(x) {
			w.setBad(i)
			clear(unsafe.Slice(data, w.count)[i : i+1])
		}
	}
}

// oneZero makes 0 of every -0. The engine takes them for equal when it compresses,
// so that, of those that are stored beside each other, all become what the first one is.
func oneZero[T float32 | float64](values []T) {
	for i, x := range values {
		if x == 0 {
			values[i] = 0
		}
	}
}

func (w *columnWriter) copyFixed(data unsafe.Pointer, width int) {
	dst := unsafe.Slice((*byte)(data), w.count*width)
	src := w.src.Fixed()
	if !w.gather {
		copy(dst, src[w.from*width:])
		return
	}
	switch width {
	case 8:
		gather(data, src, w.rows, (*uint64)(nil))
	case 4:
		gather(data, src, w.rows, (*uint32)(nil))
	default:
		for i, r := range w.rows {
			copy(dst[i*width:(i+1)*width], src[int(r)*width:])
		}
	}
}

func gather[T any](data unsafe.Pointer, src []byte, rows []int32, _ *T) {
	dst := unsafe.Slice((*T)(data), len(rows))
	all := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(src))), len(src)/int(unsafe.Sizeof(dst[0])))
	for i, r := range rows {
		dst[i] = all[r]
	}
}

func (w *columnWriter) writeDecimals(data unsafe.Pointer, t penstock.Type) {
	p := t.Precision
	if p > narrowDecimal64 {
		w.copyFixed(data, 16)
		for i, x := range unsafe.Slice((*[2]uint64)(data), w.count) {
			if !holdsDecimal(int64(x[1]), x[0], p) {
				w.setBad(i)
				unsafe.Slice((*[2]uint64)(data), w.count)[i] = [2]uint64{}
			}
		}
		return
	}
	top := int64(powersOfTen[p].lo)
	for i := range w.count {
		x := w.src.Int64(w.row(i))
		if x <= -top || x >= top {
			w.setBad(i)
			x = 0
		}
		switch {
		case p <= narrowDecimal16:
			unsafe.Slice((*int16)(data), w.count)[i] = int16(x)
		case p <= narrowDecimal32:
			unsafe.Slice((*int32)(data), w.count)[i] = int32(x)
		default:
			unsafe.Slice((*int64)(data), w.count)[i] = x
		}
	}
}

// inlineString is the most bytes of a string that the engine keeps in place.
const inlineString = 12

// engineString is the engine's string: its length, then either its bytes, or
// its first four and where all of them are.
type engineString struct {
	length uint32
	head   [4]byte
	tail   [8]byte
}

func (w *columnWriter) writeStrings(data unsafe.Pointer, text bool) {
	dst := unsafe.Slice((*engineString)(data), w.count)
	offsets, bytes := w.src.Varlen()
	for i := range dst {
		r := w.row(i)
		b := bytes[offsets[r]:offsets[r+1]]
		if text && !validText(b) {
			w.setBad(i)
			b = nil
		}
		s := engineString{length: uint32(len(b))}
		if len(b) <= inlineString {
			copy(s.head[:], b)
			if len(b) > len(s.head) {
				copy(s.tail[:], b[len(s.head):])
			}
		} else {
			copy(s.head[:], b)
			binary.NativeEndian.PutUint64(s.tail[:], uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))))
		}
		dst[i] = s
	}
}

// validText reports whether b is UTF-8, quickly if it is ASCII.
func validText(b []byte) bool { return utf8.Valid(b) }

// mul10 returns ten times an unsigned int128.
func mul10(hi, lo uint64) (uint64, uint64) {
	h, l := bits.Mul64(lo, 10)
	return hi*10 + h, l
}

// isValid reports whether value i of a vector with that validity is not null.
func isValid(validity unsafe.Pointer, i int) bool {
	if validity == nil {
		return true
	}
	word := *(*uint64)(unsafe.Add(validity, i>>6*8))
	return word&(1<<(i&63)) != 0
}

// stringAt returns string i of a vector's data. It belongs to the engine and
// is valid as long as the chunk.
func stringAt(data unsafe.Pointer, i int) []byte {
	p := unsafe.Add(data, i*int(unsafe.Sizeof(engineString{})))
	n := int(*(*uint32)(p))
	if n <= inlineString {
		return unsafe.Slice((*byte)(unsafe.Add(p, 4)), n)
	}
	return unsafe.Slice(*(**byte)(unsafe.Add(p, 8)), n)
}
