package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// chaosType is a type that a generated column may have.
type chaosType struct {
	sql string // as it is declared
	// text returns a value as text that the server reads; null is made elsewhere.
	text func(r *rand.Rand) string
	// few returns one of a few values, so that they are met again: for keys.
	few func(r *rand.Rand) string
	// source is how the source shows what the warehouse shows, with %[1]s for the
	// column; "" is the column itself.
	source string
	// bad is the condition of values that the warehouse cannot hold.
	bad string
	// wider are types that a column can be changed to, whatever it holds.
	wider []string
	// number says how a number becomes a value, for rows made by generate_series.
	number string
}

// beyond is the condition of moments after the last one that the warehouse has.
const beyond = "%[1]s >= '294247-01-10' AND %[1]s < 'infinity'"

// chaosTypes are the types by name of the declaration.
var chaosTypes = map[string]*chaosType{}

func init() {
	numbers := func(limit int64) func(*rand.Rand) string {
		return func(r *rand.Rand) string { return fmt.Sprint(r.Int64N(2*limit) - limit) }
	}
	upto := func(n int, format string) func(*rand.Rand) string {
		return func(r *rand.Rand) string { return fmt.Sprintf(format, 1+r.IntN(n)) }
	}
	oneOf := func(values ...string) func(*rand.Rand) string {
		return func(r *rand.Rand) string { return values[r.IntN(len(values))] }
	}
	for _, t := range []*chaosType{
		{sql: "smallint", text: numbers(1 << 15), few: upto(60, "%d"), wider: []string{"integer", "bigint", "text"}, number: "(%s)::smallint"},
		{sql: "integer", text: numbers(1 << 31), few: upto(80, "%d"), wider: []string{"bigint", "numeric", "text"}, number: "%s"},
		{sql: "bigint", text: numbers(1 << 61), few: upto(80, "%d"), wider: []string{"numeric", "text"}, number: "%s"},
		{sql: "boolean", text: oneOf("t", "f"), few: oneOf("t", "f")},
		{sql: "real", text: oneOf("0", "1.5", "-2.25e10", "NaN", "Infinity", "-Infinity", "3.4e-38"), wider: []string{"double precision"}},
		{sql: "double precision", text: oneOf("0", "1.5", "-2.25e100", "NaN", "Infinity", "-Infinity", "0.1")},
		{sql: "numeric(12,2)", text: func(r *rand.Rand) string {
			if r.IntN(20) == 0 {
				return "NaN"
			}
			return fmt.Sprintf("%d.%02d", r.Int64N(2e9)-1e9, r.IntN(100))
		}, source: "nullif(%[1]s, 'NaN')", bad: "%[1]s = 'NaN'",
			few: upto(60, "%d.50"), wider: []string{"numeric(16,2)", "numeric(14,4)", "numeric"}, number: "(%s)::numeric"},
		{sql: "numeric(16,2)", text: oneOf("0", "1.10", "-99999999999999.99", "NaN"), source: "nullif(%[1]s, 'NaN')", bad: "%[1]s = 'NaN'", wider: []string{"numeric"}},
		{sql: "numeric(14,4)", text: oneOf("0", "1.1000", "-9999999999.9999", "NaN"), source: "nullif(%[1]s, 'NaN')", bad: "%[1]s = 'NaN'", wider: []string{"numeric"}},
		{sql: "numeric", text: oneOf("0", "1.000", "-1e30", "123456789012345678901234567890.123456789", "NaN", "0.00000000000000000001")},
		{sql: "text", text: chaosText, few: upto(60, "key %d"), number: "'key ' || (%s)"},
		{sql: "character varying(40)", text: func(r *rand.Rand) string { return fmt.Sprintf("v%d", r.IntN(1000)) }, few: upto(60, "k%d"), wider: []string{"text", "character varying(80)"}, number: "'k' || (%s)"},
		{sql: "character varying(80)", text: func(r *rand.Rand) string { return fmt.Sprintf("v%d", r.IntN(1000)) }, wider: []string{"text"}},
		{sql: "character(8)", text: oneOf("", "a", "abcdefgh")},
		{sql: "bytea", text: func(r *rand.Rand) string { return fmt.Sprintf(`\x%x`, chaosNoise(r, r.IntN(40))) }},
		{sql: "date", text: oneOf("2024-02-29", "0044-03-15 BC", "infinity", "-infinity", "9999-12-31", "12345-01-01", "1970-01-01"),
			few: func(r *rand.Rand) string { return fmt.Sprintf("2024-03-%02d", 1+r.IntN(28)) }},
		{sql: "time without time zone", text: oneOf("00:00:00", "23:59:59.999999", "12:34:56.7")},
		{sql: "timestamp without time zone", text: oneOf("2024-02-29 12:00:00.123456", "0044-03-15 12:00:00 BC", "infinity", "-infinity", "9999-12-31 23:59:59.999999", "20000-01-01 00:00:00", "294276-12-31 23:59:59"),
			source: "CASE WHEN NOT (" + beyond + ") THEN %[1]s END", bad: beyond},
		{sql: "timestamp with time zone", text: oneOf("2024-02-29 12:00:00.123456+00", "0044-03-15 12:00:00+00 BC", "infinity", "-infinity", "9999-12-31 23:59:59+00", "294276-12-31 23:59:59+00"),
			source: "CASE WHEN NOT (" + beyond + ") THEN %[1]s END", bad: beyond,
			few: func(r *rand.Rand) string { return fmt.Sprintf("2024-03-01 00:%02d:00+00", r.IntN(60)) }},
		{sql: "interval", text: oneOf("1 day", "-1 year -2 mons +3 days -04:05:06.789", "00:00:00", "100 years")},
		{sql: "uuid", text: chaosUUID, few: func(r *rand.Rand) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", 1+r.IntN(60)) }},
		{sql: "json", text: oneOf(`{"b": 1, "a":[1,2, null],  "b": 2}`, `null`, `"t"`, `[]`)},
		{sql: "jsonb", text: oneOf(`{"b": 1, "a": [1, 2, null]}`, `null`, `"ö \" \\"`, `1e400`)},
		{sql: "integer[]", text: oneOf("{}", "{1,NULL,-3}", "{{1,2},{3,4}}"), source: "to_jsonb(%[1]s)"},
		{sql: "text[]", text: oneOf("{}", `{a,NULL,"b c","\"q\"","back\\slash"}`, `{"NULL","",ä}`), source: "to_jsonb(%[1]s)"},
		{sql: "boolean[]", text: oneOf("{t,f,NULL}", "{}"), source: "to_jsonb(%[1]s)"},
		{sql: "int4range", text: oneOf("empty", "[1,10)", "(,5)", "[7,)")},
		{sql: "inet", text: oneOf("10.0.0.1", "::1/64", "192.168.0.0/16")},
		{sql: "bit varying(16)", text: oneOf("", "1", "1010101010101010")},
		{sql: "money", text: oneOf("0", "-1234.56", "1000000.00")},
		{sql: "point", text: oneOf("(1,2)", "(-1.5,NaN)")},
		{sql: "chaos.mood", text: oneOf("sad", "so so", `"ok"`), few: oneOf("sad", "so so", `"ok"`)},
		{sql: "chaos.positive", text: func(r *rand.Rand) string { return fmt.Sprint(1 + r.IntN(1000)) }, few: upto(60, "%d"), number: "%s"},
		{sql: "chaos.pair", text: oneOf(`(1,a)`, `(,"b c")`, `(2,"q""q")`)},
	} {
		chaosTypes[t.sql] = t
	}
}

// chaosTypeNames is a fixed order of the types, for drawing.
var chaosTypeNames = []string{
	"smallint", "integer", "bigint", "boolean", "real", "double precision", "numeric(12,2)", "numeric", "text", "text", "text",
	"character varying(40)", "character(8)", "bytea", "date", "time without time zone", "timestamp without time zone", "timestamp with time zone", "interval", "uuid",
	"json", "jsonb", "integer[]", "text[]", "boolean[]", "int4range", "inet", "bit varying(16)", "money", "point", "chaos.mood", "chaos.positive", "chaos.pair",
}

// chaosKeyTypes are those that keys are made of.
var chaosKeyTypes = []string{"integer", "integer", "bigint", "smallint", "text", "character varying(40)", "numeric(12,2)", "uuid", "date", "timestamp with time zone", "chaos.positive"}

// chaosPrelude makes what the types need.
var chaosPrelude = []string{
	"CREATE SCHEMA chaos",
	`CREATE TYPE chaos.mood AS ENUM ('sad', 'so so', '"ok"')`,
	"CREATE DOMAIN chaos.positive AS integer CHECK (VALUE > 0)",
	"CREATE TYPE chaos.pair AS (n int, t text)",
	"CREATE TABLE chaos.kept (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n int NOT NULL, what text)",
}

// chaosText is mostly short, at times with odd characters, at times so long
// that it is stored apart and missing in updates that leave it as it is.
func chaosText(r *rand.Rand) string {
	switch n := r.IntN(10); {
	case n < 4:
		return fmt.Sprintf("text %d", r.IntN(1000))
	case n < 6:
		return []string{"", " ", "it's", `"`, `\`, "a\tb\nc", "NULL", `\N`, "Ünïcödé ✓ 🚰", "'; --", "%s", "\u00a0"}[r.IntN(12)]
	case n < 7:
		return strings.Repeat("compressible ", 400)
	}
	return fmt.Sprintf("%x", chaosNoise(r, 1200+r.IntN(3000)))
}

// chaosLarge is a text of some megabytes, as an expression.
func chaosLarge(r *rand.Rand) string {
	n := 1 + r.IntN(3)
	if r.IntN(2) == 0 {
		return fmt.Sprintf("repeat('%x', %d)", chaosNoise(r, 8), n<<16)
	}
	return fmt.Sprintf("(SELECT string_agg(md5(g::text), '') FROM generate_series(%d, %d) g)", n, n<<15)
}

func chaosNoise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func chaosUUID(r *rand.Rand) string {
	b := chaosNoise(r, 16)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// chaosValue draws a value as a literal.
func (c *chaosColumn) value(r *rand.Rand) string {
	if !c.notNull && r.IntN(8) == 0 {
		return "NULL"
	}
	return c.literal(c.kind.text(r))
}

// some draws a value of a key column, one of a few.
func (c *chaosColumn) some(r *rand.Rand) string { return c.literal(c.kind.few(r)) }

func (c *chaosColumn) literal(text string) string {
	return "'" + strings.ReplaceAll(text, "'", "''") + "'::" + c.kind.sql
}
