package query

import (
	"strconv"
	"unicode/utf8"

	"penstock/internal/awsapi/fault"
)

// checkText holds a text against the bounds of its shape.
func (s *Shape) checkText(path, text string) (Value, error) {
	n := utf8.RuneCountInString(text)
	switch {
	case n == 0 && s.Min > 0:
		return Value{}, fault.InvalidParameterValue.Errorf("The parameter %s must be provided and must not be blank.", path)
	case n < s.Min:
		return Value{}, fault.InvalidParameterValue.Errorf(
			"The parameter %s is too short: it has %d characters and must have at least %d.", path, n, s.Min)
	case s.Max > 0 && n > s.Max:
		return Value{}, fault.InvalidParameterValue.Errorf(
			"The parameter %s is too long: it has %d characters and must have at most %d.", path, n, s.Max)
	case s.Pattern != nil && !s.Pattern.MatchString(text):
		return Value{}, fault.InvalidParameterValue.Errorf("The parameter %s is not valid: '%s'. It %s.", path, shorten(text), s.Rule)
	}
	return TextValue(text), nil
}

// checkInteger reads an integer and holds it against the bounds of its shape.
func (s *Shape) checkInteger(path, text string) (Value, error) {
	i, err := strconv.Atoi(text)
	if err != nil {
		return Value{}, fault.InvalidParameterValue.Errorf("Invalid value '%s' for %s. Must be an integer.", shorten(text), path)
	}
	if s.Max > 0 && (i < s.Min || i > s.Max) {
		return Value{}, fault.InvalidParameterValue.Errorf("Invalid value %d for %s. Must be between %d and %d.", i, path, s.Min, s.Max)
	}
	return Value{kind: KindInteger, number: i}, nil
}

// shorten keeps a message readable.
func shorten(text string) string {
	const most = 100
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}
