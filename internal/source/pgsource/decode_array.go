package pgsource

import (
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

// textArray turns the text form of an array, {1,NULL,"a b"}, into a JSON array
// with nested arrays for further dimensions. Lower bounds other than 1, which
// PostgreSQL prints as a prefix, are left out.
func textArray(v *penstock.Vector, b []byte, st style) bool {
	if len(b) > 0 && b[0] == '[' {
		for i, c := range b {
			if c == '=' {
				b = b[i+1:]
				break
			}
		}
	}
	if !validArray(b) {
		return false
	}
	v.AppendWith(func(dst []byte) []byte { return appendArray(dst, b, st) })
	return true
}

// validArray checks the structure, so that appendArray need not.
func validArray(b []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\', !quoted && c == '\\':
			i++
			if i >= len(b) {
				return false
			}
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			depth++
			if depth > maxArrayDepth {
				return false
			}
		case c == '}':
			depth--
			if depth == 0 {
				return i == len(b)-1
			}
		case depth == 0:
			return false
		}
	}
	return false
}

func appendArray(dst, b []byte, st style) []byte {
	for i := 0; i < len(b); {
		switch c := b[i]; c {
		case '{':
			dst = append(dst, '[')
			i++
		case '}':
			dst = append(dst, ']')
			i++
		case ',':
			dst = append(dst, ',')
			i++
		case '"':
			var e []byte
			escaped := false
			start := i + 1
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					if !escaped {
						escaped = true
						e = append(e, b[start:i]...)
					}
					i++
				}
				if escaped {
					e = append(e, b[i])
				}
			}
			if !escaped {
				e = b[start:i]
			}
			i++
			dst = appendElement(dst, e, st)
		default:
			start := i
			for b[i] != ',' && b[i] != '}' {
				i++
			}
			if e := b[start:i]; isNullWord(e) {
				dst = append(dst, "null"...)
			} else {
				dst = appendElement(dst, e, st)
			}
		}
	}
	return dst
}

func isNullWord(e []byte) bool { return string(e) == "NULL" }

func appendElement(dst, e []byte, st style) []byte {
	switch st {
	case styleNumber:
		if len(e) > 0 && (e[len(e)-1] >= '0' && e[len(e)-1] <= '9') {
			return append(dst, e...)
		}
	case styleBool:
		if string(e) == "t" {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case styleJSON:
		return append(dst, e...)
	}
	return appendJSONString(dst, e)
}

const hexDigits = "0123456789abcdef"

// appendJSONString writes s with the escapes that JSON demands and no others,
// as PostgreSQL's to_json does.
func appendJSONString(dst, s []byte) []byte {
	dst = append(dst, '"')
	for len(s) > 0 {
		c := s[0]
		if c >= utf8.RuneSelf || c >= ' ' && c != '"' && c != '\\' {
			dst = append(dst, c)
		} else {
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\b':
				dst = append(dst, '\\', 'b')
			case '\f':
				dst = append(dst, '\\', 'f')
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
		}
		s = s[1:]
	}
	return append(dst, '"')
}
