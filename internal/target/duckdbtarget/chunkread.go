package duckdbtarget

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unsafe"

	duck "github.com/duckdb/duckdb-go-bindings"

	"penstock"
)

// resultType says how values of a type of the engine are handed out.
type resultType struct {
	column penstock.ResultColumn
	engine duck.Type
	width  duck.Type // of the integers in which decimals are kept
	cast   string    // the type to cast to first, "" for none
}

// resultTypeOf decides how a column is handed out: exactly, and as text where
// the vocabulary has no such type.
func resultTypeOf(name string, t duck.LogicalType) resultType {
	r := resultType{engine: duck.GetTypeId(t)}
	r.column = penstock.ResultColumn{Name: name, Engine: typeName(t)}
	kind := func(k penstock.TypeKind) resultType {
		r.column.Type.Kind = k
		return r
	}
	decimal := func(p, s uint8) resultType {
		r.column.Type.Precision, r.column.Type.Scale = p, s
		return kind(penstock.TypeDecimal)
	}
	switch r.engine {
	case duck.TypeBoolean:
		return kind(penstock.TypeBool)
	case duck.TypeTinyInt, duck.TypeUTinyInt, duck.TypeSmallInt:
		return kind(penstock.TypeInt16)
	case duck.TypeUSmallInt, duck.TypeInteger:
		return kind(penstock.TypeInt32)
	case duck.TypeUInteger, duck.TypeBigInt:
		return kind(penstock.TypeInt64)
	case duck.TypeUBigInt:
		return decimal(20, 0)
	case duck.TypeHugeInt:
		// Its largest numbers have 39 digits; an int128 holds them.
		return decimal(penstock.MaxDecimalPrecision, 0)
	case duck.TypeFloat:
		return kind(penstock.TypeFloat32)
	case duck.TypeDouble:
		return kind(penstock.TypeFloat64)
	case duck.TypeDecimal:
		r.width = duck.DecimalInternalType(t)
		return decimal(duck.DecimalWidth(t), duck.DecimalScale(t))
	case duck.TypeVarchar:
		if strings.EqualFold(duck.LogicalTypeGetAlias(t), "JSON") {
			return kind(penstock.TypeJSON)
		}
		return kind(penstock.TypeText)
	case duck.TypeBlob:
		return kind(penstock.TypeBytes)
	case duck.TypeDate:
		return kind(penstock.TypeDate)
	case duck.TypeTime:
		return kind(penstock.TypeTime)
	case duck.TypeTimeTZ:
		return kind(penstock.TypeTimeTZ)
	case duck.TypeTimestamp:
		return kind(penstock.TypeTimestamp)
	case duck.TypeTimestampTZ:
		return kind(penstock.TypeTimestampTZ)
	case duck.TypeTimestampS, duck.TypeTimestampMS:
		r.cast, r.engine = "TIMESTAMP", duck.TypeTimestamp
		return kind(penstock.TypeTimestamp)
	case duck.TypeInterval:
		return kind(penstock.TypeInterval)
	case duck.TypeUUID:
		return kind(penstock.TypeUUID)
	}
	r.cast, r.engine = "VARCHAR", duck.TypeVarchar
	return kind(penstock.TypeText)
}

// typeName returns the engine's own name for a type.
func typeName(t duck.LogicalType) string {
	child := func(c duck.LogicalType) string {
		defer duck.DestroyLogicalType(&c)
		return typeName(c)
	}
	if alias := duck.LogicalTypeGetAlias(t); alias != "" {
		return alias
	}
	switch id := duck.GetTypeId(t); id {
	case duck.TypeDecimal:
		return fmt.Sprintf("DECIMAL(%d,%d)", duck.DecimalWidth(t), duck.DecimalScale(t))
	case duck.TypeList:
		return child(duck.ListTypeChildType(t)) + "[]"
	case duck.TypeArray:
		return fmt.Sprintf("%s[%d]", child(duck.ArrayTypeChildType(t)), duck.ArrayTypeArraySize(t))
	case duck.TypeMap:
		return "MAP(" + child(duck.MapTypeKeyType(t)) + ", " + child(duck.MapTypeValueType(t)) + ")"
	case duck.TypeStruct:
		var fields []string
		for i := range duck.StructTypeChildCount(t) {
			fields = append(fields, ident(duck.StructTypeChildName(t, i))+" "+child(duck.StructTypeChildType(t, i)))
		}
		return "STRUCT(" + strings.Join(fields, ", ") + ")"
	default:
		if name, ok := typeNames[id]; ok {
			return name
		}
		return "UNKNOWN"
	}
}

var typeNames = map[duck.Type]string{
	duck.TypeBoolean: "BOOLEAN", duck.TypeTinyInt: "TINYINT", duck.TypeSmallInt: "SMALLINT", duck.TypeInteger: "INTEGER",
	duck.TypeBigInt: "BIGINT", duck.TypeUTinyInt: "UTINYINT", duck.TypeUSmallInt: "USMALLINT", duck.TypeUInteger: "UINTEGER",
	duck.TypeUBigInt: "UBIGINT", duck.TypeHugeInt: "HUGEINT", duck.TypeUHugeInt: "UHUGEINT", duck.TypeFloat: "FLOAT",
	duck.TypeDouble: "DOUBLE", duck.TypeTimestamp: "TIMESTAMP", duck.TypeTimestampS: "TIMESTAMP_S",
	duck.TypeTimestampMS: "TIMESTAMP_MS", duck.TypeTimestampNS: "TIMESTAMP_NS", duck.TypeTimestampTZ: "TIMESTAMP WITH TIME ZONE",
	duck.TypeDate: "DATE", duck.TypeTime: "TIME", duck.TypeTimeTZ: "TIME WITH TIME ZONE", duck.TypeInterval: "INTERVAL",
	duck.TypeVarchar: "VARCHAR", duck.TypeBlob: "BLOB", duck.TypeBit: "BIT", duck.TypeBigNum: "BIGNUM", duck.TypeUUID: "UUID",
	duck.TypeEnum: "ENUM", duck.TypeUnion: "UNION", duck.TypeSQLNull: "NULL",
}

// readChunk appends the rows of a chunk to rows. The types are those of its
// columns after any cast.
func readChunk(chunk duck.DataChunk, types []resultType, rows *penstock.Rows) {
	readRange(chunk, types, rows, 0, int(duck.DataChunkGetSize(chunk)))
}

// readRange appends the rows of a chunk from one to before another.
func readRange(chunk duck.DataChunk, types []resultType, rows *penstock.Rows, from, to int) {
	for c := range types {
		vec := duck.DataChunkGetVector(chunk, duck.IdxT(c))
		readVector(duck.VectorGetData(vec), duck.VectorGetValidity(vec), &types[c], &rows.Vectors[c], from, to)
	}
}

// appendEach appends the values that f appends one by one, and nulls.
func appendEach(validity unsafe.Pointer, v *penstock.Vector, from, to int, f func(i int)) {
	for i := from; i < to; i++ {
		if isValid(validity, i) {
			f(i)
		} else {
			v.AppendNull()
		}
	}
}

func readVector(data, validity unsafe.Pointer, t *resultType, v *penstock.Vector, from, to int) {
	each := func(f func(i int)) { appendEach(validity, v, from, to, f) }
	switch t.engine {
	case duck.TypeBoolean:
		each(func(i int) { v.AppendBool(at[uint8](data, i) != 0) })
	case duck.TypeTinyInt:
		each(func(i int) { v.AppendInt16(int16(at[int8](data, i))) })
	case duck.TypeUTinyInt:
		each(func(i int) { v.AppendInt16(int16(at[uint8](data, i))) })
	case duck.TypeSmallInt:
		each(func(i int) { v.AppendInt16(at[int16](data, i)) })
	case duck.TypeUSmallInt:
		each(func(i int) { v.AppendInt32(int32(at[uint16](data, i))) })
	case duck.TypeInteger, duck.TypeDate, duck.TypeFloat:
		each(func(i int) { v.AppendInt32(at[int32](data, i)) })
	case duck.TypeUInteger:
		each(func(i int) { v.AppendInt64(int64(at[uint32](data, i))) })
	case duck.TypeBigInt, duck.TypeDouble, duck.TypeTime, duck.TypeTimestamp, duck.TypeTimestampTZ:
		each(func(i int) { v.AppendInt64(at[int64](data, i)) })
	case duck.TypeUBigInt:
		each(func(i int) { v.AppendInt128(0, at[uint64](data, i)) })
	case duck.TypeHugeInt:
		each(func(i int) { x := at[[2]uint64](data, i); v.AppendInt128(int64(x[1]), x[0]) })
	case duck.TypeDecimal:
		readDecimals(data, t, v, each)
	case duck.TypeTimeTZ:
		each(func(i int) { v.AppendTimeTZ(unpackTimeTZ(at[uint64](data, i))) })
	case duck.TypeInterval:
		each(func(i int) {
			x := at[struct {
				months, days int32
				micros       int64
			}](data, i)
			v.AppendInterval(x.months, x.days, x.micros)
		})
	case duck.TypeUUID:
		each(func(i int) {
			x := at[[2]uint64](data, i)
			var u [16]byte
			binary.BigEndian.PutUint64(u[:], x[1]^1<<63)
			binary.BigEndian.PutUint64(u[8:], x[0])
			v.AppendUUID(u)
		})
	case duck.TypeVarchar, duck.TypeBlob:
		each(func(i int) { v.AppendBytes(stringAt(data, i)) })
	default:
		panic("duckdbtarget: a result of " + t.column.Engine)
	}
}

func readDecimals(data unsafe.Pointer, t *resultType, v *penstock.Vector, each func(func(int))) {
	switch t.width {
	case duck.TypeSmallInt:
		each(func(i int) { v.AppendInt64(int64(at[int16](data, i))) })
	case duck.TypeInteger:
		each(func(i int) { v.AppendInt64(int64(at[int32](data, i))) })
	case duck.TypeBigInt:
		each(func(i int) { v.AppendInt64(at[int64](data, i)) })
	default:
		each(func(i int) { x := at[[2]uint64](data, i); v.AppendInt128(int64(x[1]), x[0]) })
	}
}

func at[T any](data unsafe.Pointer, i int) T {
	var x T
	return *(*T)(unsafe.Add(data, i*int(unsafe.Sizeof(x))))
}
