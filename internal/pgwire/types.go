package pgwire

import "penstock"

// The object identifiers of PostgreSQL's types that clients know by heart.
const (
	oidBool        = 16
	oidBytea       = 17
	oidChar        = 18
	oidName        = 19
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidText        = 25
	oidOID         = 26
	oidJSON        = 114
	oidFloat4      = 700
	oidFloat8      = 701
	oidUnknown     = 705
	oidBpchar      = 1042
	oidVarchar     = 1043
	oidDate        = 1082
	oidTime        = 1083
	oidTimestamp   = 1114
	oidTimestampTZ = 1184
	oidInterval    = 1186
	oidTimeTZ      = 1266
	oidNumeric     = 1700
	oidUUID        = 2950
	oidJSONB       = 3802
)

// wireType is how values of a result column look on the wire. The functions
// append one value, which is not null, without its length.
type wireType struct {
	oid    uint32
	size   int16 // -1 varies
	typmod int32 // -1 none
	text   func(dst []byte, v *penstock.Vector, i int, s *textStyle) []byte
	binary func(dst []byte, v *penstock.Vector, i int) []byte
}

// textStyle holds the settings of a session that change how values are written.
type textStyle struct {
	extraFloatDigits int
}

// wireTypes maps the vocabulary's types; Decimal gets its modifier in typeOf.
var wireTypes = map[penstock.TypeKind]wireType{
	penstock.TypeBool:        {oidBool, 1, -1, textBool, binaryBool},
	penstock.TypeInt16:       {oidInt2, 2, -1, textInt16, binaryInt16},
	penstock.TypeInt32:       {oidInt4, 4, -1, textInt32, binaryInt32},
	penstock.TypeInt64:       {oidInt8, 8, -1, textInt64, binaryInt64},
	penstock.TypeFloat32:     {oidFloat4, 4, -1, textFloat32, binaryInt32},
	penstock.TypeFloat64:     {oidFloat8, 8, -1, textFloat64, binaryInt64},
	penstock.TypeDecimal:     {oidNumeric, -1, -1, textDecimal, binaryDecimal},
	penstock.TypeText:        {oidVarchar, -1, -1, textVarlen, binaryVarlen},
	penstock.TypeBytes:       {oidBytea, -1, -1, textBytes, binaryVarlen},
	penstock.TypeDate:        {oidDate, 4, -1, textDate, binaryDate},
	penstock.TypeTime:        {oidTime, 8, -1, textTime, binaryInt64},
	penstock.TypeTimeTZ:      {oidTimeTZ, 12, -1, textTimeTZ, binaryTimeTZ},
	penstock.TypeTimestamp:   {oidTimestamp, 8, -1, textTimestamp, binaryTimestamp},
	penstock.TypeTimestampTZ: {oidTimestampTZ, 8, -1, textTimestampTZ, binaryTimestamp},
	penstock.TypeInterval:    {oidInterval, 16, -1, textInterval, binaryInterval},
	penstock.TypeUUID:        {oidUUID, 16, -1, textUUID, binaryUUID},
	penstock.TypeJSON:        {oidJSON, -1, -1, textVarlen, binaryVarlen},
}

// numericText is for integers of the engine that are wider than PostgreSQL's
// and arrive as their text.
var numericText = wireType{oidNumeric, -1, -1, textVarlen, binaryNumericText}

// typeOf returns how a result column is sent. What the vocabulary does not
// know is sent as text.
func typeOf(c penstock.ResultColumn) wireType {
	if c.Type.Kind == penstock.TypeText {
		switch c.Engine {
		case "HUGEINT", "UHUGEINT", "UBIGINT":
			return numericText
		}
	}
	w, ok := wireTypes[c.Type.Kind]
	if !ok {
		return wireTypes[penstock.TypeText]
	}
	if c.Type.Kind == penstock.TypeDecimal {
		w.typmod = int32(c.Type.Precision)<<16 | int32(c.Type.Scale) + 4
	}
	return w
}

// parameterOID returns the type to announce for a parameter of a type that
// the engine inferred; text where it did not.
func parameterOID(t penstock.Type) uint32 {
	if w, ok := wireTypes[t.Kind]; ok && t.Kind != penstock.TypeText {
		return w.oid
	}
	return oidText
}

// engineTypes names types in the engine's dialect, to cast parameters that a
// client declared and the engine cannot infer.
var engineTypes = map[uint32]string{
	oidBool: "BOOLEAN", oidInt2: "SMALLINT", oidInt4: "INTEGER", oidInt8: "BIGINT",
	oidOID: "BIGINT", oidFloat4: "REAL", oidFloat8: "DOUBLE", oidNumeric: "DECIMAL(38,10)",
	oidDate: "DATE", oidTime: "TIME", oidTimeTZ: "TIMETZ", oidTimestamp: "TIMESTAMP",
	oidTimestampTZ: "TIMESTAMPTZ", oidInterval: "INTERVAL", oidUUID: "UUID",
}
