package query

import (
	"strconv"
	"strings"
	"time"
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

// checkBoolean reads true or false.
func (s *Shape) checkBoolean(path, text string) (Value, error) {
	switch strings.ToLower(text) {
	case "true":
		return BooleanValue(true), nil
	case "false":
		return BooleanValue(false), nil
	}
	return Value{}, fault.InvalidParameterValue.Errorf("Invalid value '%s' for %s. Must be true or false.", shorten(text), path)
}

// timeLayouts are the forms of ISO 8601 that SDKs and people write. A time
// without a zone is UTC.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"}

// checkTime reads a moment.
func (s *Shape) checkTime(path, text string) (Value, error) {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return TimeValue(t.UTC()), nil
		}
	}
	return Value{}, fault.InvalidParameterValue.Errorf("Invalid value '%s' for %s. Must be a time in ISO 8601 format, such as 2026-01-02T03:04:05Z.", shorten(text), path)
}

// shorten keeps a message readable.
func shorten(text string) string {
	const most = 100
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}
