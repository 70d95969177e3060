package penstock

import "strconv"

// TypeKind is the family of a Type.
type TypeKind uint8

// The kinds, each with the form of its values in a Vector. Fixed-width values
// are little-endian; Text, JSON and Bytes are of variable length.
const (
	TypeBool        TypeKind = iota + 1 // 1 byte, 0 or 1
	TypeInt16                           // int16
	TypeInt32                           // int32
	TypeInt64                           // int64
	TypeFloat32                         // IEEE 754, NaN and infinities included
	TypeFloat64                         // IEEE 754, NaN and infinities included
	TypeDecimal                         // unscaled: int64 for a precision up to 18, else int128
	TypeText                            // UTF-8
	TypeBytes                           // any bytes
	TypeDate                            // int32 days since 1970-01-01; see DateInfinity
	TypeTime                            // int64 microseconds since midnight, 24:00:00 included
	TypeTimeTZ                          // int64 microseconds since midnight, then int64 seconds east of UTC
	TypeTimestamp                       // int64 microseconds since 1970-01-01 00:00 without a zone; see TimestampInfinity
	TypeTimestampTZ                     // int64 microseconds since 1970-01-01 00:00 UTC
	TypeInterval                        // int32 months, int32 days, int64 microseconds; infinite if all three are the largest or smallest
	TypeUUID                            // 16 bytes in the order in which a UUID is written
	TypeJSON                            // UTF-8, the text as the source has it
)

// Infinite dates and timestamps, negated for minus infinity.
const (
	DateInfinity      = 1<<31 - 1
	TimestampInfinity = 1<<63 - 1
)

// MaxDecimalPrecision is the largest precision that a TypeDecimal may have.
// Numbers that may need more are carried as their exact text.
const MaxDecimalPrecision = 38

// Type is what a column holds, in terms independent of any engine. Sources map
// their types to it, targets map it to theirs; docs/types.md has both maps.
type Type struct {
	Kind      TypeKind
	Precision uint8 // of TypeDecimal: 1 to 38
	Scale     uint8 // of TypeDecimal: 0 to Precision
}

// Width returns the bytes that one value takes in a Vector, 0 if they vary.
func (t Type) Width() int {
	switch t.Kind {
	case TypeBool:
		return 1
	case TypeInt16:
		return 2
	case TypeInt32, TypeFloat32, TypeDate:
		return 4
	case TypeInt64, TypeFloat64, TypeTime, TypeTimestamp, TypeTimestampTZ:
		return 8
	case TypeDecimal:
		if t.Precision <= 18 {
			return 8
		}
		return 16
	case TypeTimeTZ, TypeInterval, TypeUUID:
		return 16
	}
	return 0
}

var typeNames = [...]string{
	TypeBool: "bool", TypeInt16: "int16", TypeInt32: "int32", TypeInt64: "int64",
	TypeFloat32: "float32", TypeFloat64: "float64", TypeDecimal: "decimal", TypeText: "text",
	TypeBytes: "bytes", TypeDate: "date", TypeTime: "time", TypeTimeTZ: "timetz",
	TypeTimestamp: "timestamp", TypeTimestampTZ: "timestamptz", TypeInterval: "interval",
	TypeUUID: "uuid", TypeJSON: "json",
}

func (t Type) String() string {
	if t.Kind == TypeDecimal {
		return "decimal(" + strconv.Itoa(int(t.Precision)) + "," + strconv.Itoa(int(t.Scale)) + ")"
	}
	if int(t.Kind) < len(typeNames) && t.Kind != 0 {
		return typeNames[t.Kind]
	}
	return "invalid"
}
