package query

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"penstock/internal/awsapi/fault"
)

// Far more than any request of the modelled sizes has.
const (
	maxParams = 2000
	maxName   = 256 // bytes
	maxWords  = 10  // of a name
)

// Param is one parameter as sent, decoded.
type Param struct{ Name, Value string }

// ParseForm decodes a form body or a query string. The parameters keep their
// order; names may repeat. Text that could not be sent back in XML is refused
// here, for all parameters alike.
func ParseForm(raw string) ([]Param, error) {
	var params []Param
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		if len(params) == maxParams {
			return nil, fault.InvalidQueryParameter.Errorf("The request has more than %d parameters.", maxParams)
		}
		rawName, rawValue, _ := strings.Cut(part, "=")
		name, err1 := url.QueryUnescape(rawName)
		value, err2 := url.QueryUnescape(rawValue)
		if err1 != nil || err2 != nil {
			return nil, fault.MalformedQueryString.Errorf("The query string contains a percent sign that does not begin an escape.")
		}
		if !wellFormed(name) {
			return nil, fault.InvalidQueryParameter.Errorf("The request has a parameter whose name is not well-formed: %.60q.", name)
		}
		if !utf8.ValidString(value) {
			return nil, fault.InvalidParameterValue.Errorf("The parameter %s is not valid UTF-8.", name)
		}
		if i := strings.IndexFunc(value, notInXML); i >= 0 {
			r, _ := utf8.DecodeRuneInString(value[i:])
			return nil, fault.InvalidParameterValue.Errorf("The parameter %s contains the character %U, which is not allowed.", name, r)
		}
		params = append(params, Param{name, value})
	}
	return params, nil
}

// wellFormed reports whether a name is made of dot-separated words.
func wellFormed(name string) bool {
	if len(name) > maxName || strings.Count(name, ".") >= maxWords {
		return false
	}
	for word := range strings.SplitSeq(name, ".") {
		if word == "" {
			return false
		}
		for i := range len(word) {
			c := word[i]
			switch {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == ':':
			default:
				return false
			}
		}
	}
	return true
}

// notInXML reports whether XML 1.0 cannot hold a character.
func notInXML(r rune) bool {
	switch {
	case r == '\t', r == '\n', r == '\r':
		return false
	case r < 0x20, r == 0xFFFE, r == 0xFFFF:
		return true
	}
	return false
}
