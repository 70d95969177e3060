package pgsource

import (
	"bytes"
	"unicode/utf8"

	"penstock"
)

// style says how the elements of an array are written in JSON.
type style uint8

const (
	styleString style = iota // a string of the element's text
	styleNumber              // a number; NaN and infinities as strings
	styleBool
	styleJSON // as it is
)

// elementStyle returns the style of an element type by its name.
func elementStyle(name string) style {
	base, _ := splitModifier(name)
	switch base {
	case "smallint", "integer", "bigint", "oid", "real", "double precision", "numeric":
		return styleNumber
	case "boolean":
		return styleBool
	case "json", "jsonb":
		return styleJSON
	}
	return styleString
}

// maxArrayDepth is one more than PostgreSQL's limit on dimensions.
const maxArrayDepth = 7

// textArray turns the text form of an array, {1,NULL,"a b"} if its delimiter is
// a comma, into a JSON array with nested arrays for further dimensions. Lower bounds other than 1, which
// PostgreSQL prints as a prefix, are left out; see keyArray.
func textArray(v *penstock.Vector, b []byte, st style, delimiter string) bool {
	if len(b) > 0 && b[0] == '[' {
		_, b, _ = bytes.Cut(b, []byte("="))
	}
	n, ok := v.Len(), false
	v.AppendWith(func(dst []byte) []byte {
		p := arrayParser{scanner{b}, st, delimiter[0], `"\{}` + delimiter}
		dst, ok = p.array(dst, 1)
		ok = ok && len(p.b) == 0
		return dst
	})
	if !ok {
		v.Truncate(n)
	}
	return ok
}

// keyArray decodes an array in a key, where values that differ in their lower
// bounds only name two rows: one with such bounds is a string of what PostgreSQL
// prints. Others are what they are elsewhere.
func keyArray(plain decode) decode {
	return func(v *penstock.Vector, b []byte) bool {
		if len(b) == 0 || b[0] != '[' {
			return plain(v, b)
		}
		v.AppendWith(func(dst []byte) []byte { return appendElement(dst, b, styleString) })
		return true
	}
}

// textVector turns the text form of int2vector and oidvector, "1 2", into a
// JSON array.
func textVector(v *penstock.Vector, b []byte) bool {
	for _, c := range b {
		if c != ' ' && c != '-' && (c < '0' || c > '9') {
			return false
		}
	}
	v.AppendWith(func(dst []byte) []byte {
		dst = append(dst, '[')
		for i, e := range bytes.Fields(b) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendElement(dst, e, styleNumber)
		}
		return append(dst, ']')
	})
	return true
}

// arrayParser writes what array_out prints as JSON. Its methods report whether
// the text is of that form; if not, what they have written is void.
type arrayParser struct {
	scanner
	style     style
	delimiter byte
	special   string // what ends an element that is not in quotes
}

func (p *arrayParser) array(dst []byte, depth int) (out []byte, ok bool) {
	if depth > maxArrayDepth || !p.accept('{') {
		return dst, false
	}
	dst = append(dst, '[')
	if p.accept('}') {
		return append(dst, ']'), true
	}
	for {
		if dst, ok = p.element(dst, depth); !ok {
			return dst, false
		}
		switch {
		case p.accept(p.delimiter):
			dst = append(dst, ',')
		case p.accept('}'):
			return append(dst, ']'), true
		default:
			return dst, false
		}
	}
}

func (p *arrayParser) element(dst []byte, depth int) (out []byte, ok bool) {
	switch {
	case len(p.b) == 0:
		return dst, false
	case p.b[0] == '{':
		return p.array(dst, depth+1)
	case p.accept('"'):
		return p.quoted(dst)
	}
	n := bytes.IndexAny(p.b, p.special)
	if n <= 0 || p.b[n] != p.delimiter && p.b[n] != '}' {
		return dst, false
	}
	e := p.b[:n]
	p.b = p.b[n:]
	if string(e) == "NULL" {
		return append(dst, "null"...), true
	}
	return appendElement(dst, e, p.style), true
}

// quoted reads the rest of an element in quotes, in which a backslash stands
// before quotes and backslashes.
func (p *arrayParser) quoted(dst []byte) (out []byte, ok bool) {
	if p.style != styleJSON {
		dst = append(dst, '"')
	}
	for i := 0; i < len(p.b); i++ {
		c := p.b[i]
		if c == '"' {
			p.b = p.b[i+1:]
			if p.style != styleJSON {
				dst = append(dst, '"')
			}
			return dst, true
		}
		if c == '\\' {
			if i++; i == len(p.b) {
				break
			}
			c = p.b[i]
		}
		if p.style == styleJSON {
			dst = append(dst, c)
		} else {
			dst = appendJSONChar(dst, c)
		}
	}
	return dst, false
}

func appendElement(dst, e []byte, st style) []byte {
	switch {
	case st == styleJSON, st == styleNumber && isNumber(e):
		return append(dst, e...)
	case st == styleBool && string(e) == "t":
		return append(dst, "true"...)
	case st == styleBool && string(e) == "f":
		return append(dst, "false"...)
	}
	dst = append(dst, '"')
	for _, c := range e {
		dst = appendJSONChar(dst, c)
	}
	return append(dst, '"')
}

// isNumber reports whether JSON takes e for a number, as all are that
// PostgreSQL prints but NaN and the infinities.
func isNumber(e []byte) bool {
	s := scanner{e}
	s.accept('-')
	if !s.accept('0') && !s.skipDigits() {
		return false
	}
	if s.accept('.') && !s.skipDigits() {
		return false
	}
	if s.accept('e') {
		if !s.accept('-') {
			s.accept('+')
		}
		if !s.skipDigits() {
			return false
		}
	}
	return len(s.b) == 0
}

// skipDigits skips at least one digit.
func (s *scanner) skipDigits() bool {
	n := 0
	for n < len(s.b) && s.b[n] >= '0' && s.b[n] <= '9' {
		n++
	}
	s.b = s.b[n:]
	return n > 0
}

const hexDigits = "0123456789abcdef"

// appendJSONChar writes a byte of a JSON string with the escapes that JSON
// demands and no others, as PostgreSQL's to_json does.
func appendJSONChar(dst []byte, c byte) []byte {
	if c >= utf8.RuneSelf || c >= ' ' && c != '"' && c != '\\' {
		return append(dst, c)
	}
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
