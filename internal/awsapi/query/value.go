package query

import (
	"fmt"
	"time"
)

// Value is a parameter that was decoded, or a member of a reply to be
// encoded. The zero Value is an empty text.
type Value struct {
	kind    Kind
	text    string
	number  int // also of a boolean: 0 or 1
	time    time.Time
	list    []Value
	entries map[string]string
	fields  map[string]Value
	shape   *Shape // of a structure that was decoded
}

// Fields are the members of a structure by their names.
type Fields map[string]Value

// TextValue returns a text.
func TextValue(s string) Value { return Value{kind: KindText, text: s} }

// IntegerValue returns an integer.
func IntegerValue(n int) Value { return Value{kind: KindInteger, number: n} }

// BooleanValue returns true or false.
func BooleanValue(b bool) Value {
	if b {
		return Value{kind: KindBoolean, number: 1}
	}
	return Value{kind: KindBoolean}
}

// TimeValue returns a moment.
func TimeValue(t time.Time) Value { return Value{kind: KindTime, time: t} }

// ListValue returns a list.
func ListValue(items []Value) Value { return Value{kind: KindList, list: items} }

// MapValue returns a map.
func MapValue(entries map[string]string) Value { return Value{kind: KindMap, entries: entries} }

// StructureValue returns a structure.
func StructureValue(fields Fields) Value { return Value{kind: KindStructure, fields: fields} }

// String returns a text; that of another kind is "".
func (v Value) String() string { return v.text }

// Has reports whether a member of a decoded structure was given. Like the
// other methods that take a name, it panics if the shape has no such member.
func (v Value) Has(name string) bool {
	v.must(name)
	_, ok := v.fields[name]
	return ok
}

// Text returns a text member, "" if it was not given.
func (v Value) Text(name string) string {
	v.must(name)
	return v.fields[name].text
}

// OptionalText returns a text member, nil if it was not given.
func (v Value) OptionalText(name string) *string {
	if !v.Has(name) {
		return nil
	}
	s := v.fields[name].text
	return &s
}

// Integer returns an integer member, 0 if it was not given.
func (v Value) Integer(name string) int {
	v.must(name)
	return v.fields[name].number
}

// Time returns a moment, the zero time if it was not given.
func (v Value) Time(name string) time.Time {
	v.must(name)
	return v.fields[name].time
}

// List returns a list member, nil if it was not given.
func (v Value) List(name string) []Value {
	v.must(name)
	return v.fields[name].list
}

// Map returns a map member, nil if it was not given.
func (v Value) Map(name string) map[string]string {
	v.must(name)
	return v.fields[name].entries
}

func (v Value) must(name string) {
	if v.shape == nil {
		panic("query: not a decoded structure")
	}
	if _, ok := v.shape.member(name); !ok {
		panic(fmt.Sprintf("query: the shape has no member %q", name))
	}
}
