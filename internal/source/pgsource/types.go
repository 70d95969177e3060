package pgsource

import (
	"slices"
	"strconv"
	"strings"

	"penstock"
)

// decode appends to v the value that b holds and reports whether v's type can
// hold it. If not, it appends nothing.
type decode func(v *penstock.Vector, b []byte) bool

// mapping is how one PostgreSQL type is carried: docs/types.md is its table.
type mapping struct {
	typ    penstock.Type
	text   decode // pgoutput's text form
	binary decode // COPY's binary form; nil: the column is sent as text, see loadExpression
}

// exactMappings are the types that have a type of their own in the vocabulary,
// by the name that format_type gives them without modifier. The rest travel
// as the text that PostgreSQL prints.
var exactMappings = map[string]mapping{
	"boolean":                     {penstock.Type{Kind: penstock.TypeBool}, textBool, binaryBool},
	"smallint":                    {penstock.Type{Kind: penstock.TypeInt16}, textInt16, binaryInt16},
	"integer":                     {penstock.Type{Kind: penstock.TypeInt32}, textInt32, binaryInt32},
	"bigint":                      {penstock.Type{Kind: penstock.TypeInt64}, textInt64, binaryInt64},
	"oid":                         {penstock.Type{Kind: penstock.TypeInt64}, textInt64, binaryOID},
	"real":                        {penstock.Type{Kind: penstock.TypeFloat32}, textFloat32, binaryFloat32},
	"double precision":            {penstock.Type{Kind: penstock.TypeFloat64}, textFloat64, binaryFloat64},
	"text":                        {penstock.Type{Kind: penstock.TypeText}, textBytes, textBytes},
	"character varying":           {penstock.Type{Kind: penstock.TypeText}, textBytes, textBytes},
	"character":                   {penstock.Type{Kind: penstock.TypeText}, textBytes, textBytes},
	"name":                        {penstock.Type{Kind: penstock.TypeText}, textBytes, textBytes},
	"bytea":                       {penstock.Type{Kind: penstock.TypeBytes}, textBytea, textBytes},
	"date":                        {penstock.Type{Kind: penstock.TypeDate}, textDate, binaryDate},
	"time without time zone":      {penstock.Type{Kind: penstock.TypeTime}, textTime, binaryInt64},
	"time with time zone":         {penstock.Type{Kind: penstock.TypeTimeTZ}, textTimeTZ, binaryTimeTZ},
	"timestamp without time zone": {penstock.Type{Kind: penstock.TypeTimestamp}, textTimestamp, binaryTimestamp},
	"timestamp with time zone":    {penstock.Type{Kind: penstock.TypeTimestampTZ}, textTimestamp, binaryTimestamp},
	"interval":                    {penstock.Type{Kind: penstock.TypeInterval}, textInterval, binaryInterval},
	"uuid":                        {penstock.Type{Kind: penstock.TypeUUID}, textUUID, binaryUUID},
	"json":                        {penstock.Type{Kind: penstock.TypeJSON}, textBytes, textBytes},
	"jsonb":                       {penstock.Type{Kind: penstock.TypeJSON}, textBytes, binaryJSONB},
	"int2vector":                  {penstock.Type{Kind: penstock.TypeJSON}, textVector, nil},
	"oidvector":                   {penstock.Type{Kind: penstock.TypeJSON}, textVector, nil},
}

// mapType returns how a type is carried. Its name is what format_type prints
// with the search_path set to pg_catalog, domains resolved to their base.
func mapType(t typeInfo) mapping {
	if t.element != "" {
		style := elementStyle(t.element)
		return mapping{typ: penstock.Type{Kind: penstock.TypeJSON}, text: func(v *penstock.Vector, b []byte) bool {
			return textArray(v, b, style, t.delimiter)
		}}
	}
	base, modifier := splitModifier(t.name)
	if base == "numeric" {
		if t, ok := decimalType(modifier); ok {
			return mapping{typ: t, text: textDecimal, binary: binaryDecimal}
		}
	}
	if m, ok := exactMappings[base]; ok {
		return m
	}
	return mapping{typ: penstock.Type{Kind: penstock.TypeText}, text: textBytes}
}

// mapColumn returns how a column of a table is carried.
func mapColumn(t *penstock.Table, column int, info typeInfo) mapping {
	m := mapType(info)
	if info.element != "" && slices.Contains(t.Key, column) {
		m.text = keyArray(m.text)
	}
	return m
}

// form says how the bytes of a value lie in what the server sends, for those
// that are taken piece by piece.
type form uint8

const (
	formOther form = iota // only its decoder knows
	formPlain             // the bytes themselves
	formHex               // \x and two digits for each
)

// streamForm returns how pgoutput sends values of a type.
func streamForm(t typeInfo) form {
	base, _ := splitModifier(t.name)
	switch kind := mapType(t).typ.Kind; {
	case kind == penstock.TypeBytes:
		return formHex
	case kind == penstock.TypeText, t.element == "" && (base == "json" || base == "jsonb"):
		return formPlain
	}
	return formOther
}

// loadSkip returns how many bytes stand before a value of a type in what a load
// is sent, if the value is the bytes that follow, as they are; -1 if not.
func loadSkip(t typeInfo) int {
	base, _ := splitModifier(t.name)
	switch {
	case t.element == "" && base == "jsonb":
		return 1
	case mapType(t).typ.Kind == penstock.TypeBytes, streamForm(t) == formPlain:
		return 0
	}
	return -1
}

// splitModifier splits "timestamp(3) without time zone" into the name without
// modifier and "3".
func splitModifier(name string) (base, modifier string) {
	open := strings.IndexByte(name, '(')
	if open < 0 || strings.HasPrefix(name, `"`) {
		return stripIntervalFields(name), ""
	}
	end := strings.IndexByte(name, ')')
	if end < open {
		return name, ""
	}
	return stripIntervalFields(name[:open] + name[end+1:]), name[open+1 : end]
}

// stripIntervalFields turns "interval day to second" into "interval".
func stripIntervalFields(name string) string {
	if strings.HasPrefix(name, "interval ") {
		return "interval"
	}
	return name
}

// decimalType returns the decimal type of numeric(modifier), if a warehouse
// decimal holds all of its values but NaN. numeric without a modifier has no
// limits, and a scale may be negative or exceed the precision since
// PostgreSQL 15: these are carried as text.
func decimalType(modifier string) (penstock.Type, bool) {
	ps, ss, ok := strings.Cut(modifier, ",")
	p, err1 := strconv.Atoi(ps)
	s, err2 := strconv.Atoi(ss)
	if !ok || err1 != nil || err2 != nil || p < 1 || p > penstock.MaxDecimalPrecision || s < 0 || s > p {
		return penstock.Type{}, false
	}
	return penstock.Type{Kind: penstock.TypeDecimal, Precision: uint8(p), Scale: uint8(s)}, true
}

// loadExpression is the SQL that selects a column for a load in COPY's binary
// form: the column itself where its binary form is decoded, else the text that
// the type's output function prints, which is also what pgoutput sends.
// (A cast to text is not that for every type: it pads inet, and trims character.)
func loadExpression(column string, t typeInfo) string {
	if mapType(t).binary != nil {
		return column
	}
	return "pg_catalog.textin(" + t.print(column) + ")"
}

// print is the SQL of an expression of the type as its output function prints it.
func (t typeInfo) print(expression string) string {
	if t.printed != "" { // refcursor is printed by the function of text
		expression += "::" + t.printed
	}
	return t.output + "(" + expression + ")"
}

// typeNamed returns what is known of a column's type. A load may be of tables
// that another capture has found.
func typeNamed(types map[string]typeInfo, name string) typeInfo {
	if t, ok := types[name]; ok {
		return t
	}
	return typeInfo{name: name}
}

// loadDecode is the decoder for what loadExpression selects.
func loadDecode(m mapping) decode {
	if m.binary != nil {
		return m.binary
	}
	return m.text
}
