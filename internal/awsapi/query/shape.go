package query

import "regexp"

// Kind says what a shape holds.
type Kind uint8

// The kinds of shapes.
const (
	KindText Kind = iota
	KindInteger
	KindBoolean
	KindTime
	KindList
	KindMap // of text by text
	KindStructure
)

// Shape describes a parameter or a member of a reply. Shapes are made once,
// as tables, and never changed.
type Shape struct {
	Kind Kind

	// Min and Max bound the characters of a text or the value of an integer,
	// both inclusive. A Max of 0 is no bound.
	Min, Max int
	// Pattern, if not nil, is what the whole of a text must match; Rule says
	// the same in words, for messages: "must begin with a letter".
	Pattern *regexp.Regexp
	Rule    string

	// Item is the name of an element of a list on the wire, and Of its shape.
	// "member" is always accepted for it.
	Item string
	Of   *Shape

	// Members are those of a structure, in the order of replies.
	Members []Member
}

// Member is one member of a structure.
type Member struct {
	Name     string
	Shape    *Shape
	Required bool
	// Differs says how a parameter differs from that of AWS, "" if it does not;
	// for the documentation.
	Differs string
}

// But returns the member with what is different about it.
func (m Member) But(differs string) Member {
	m.Differs = differs
	return m
}

// member returns the member of that name.
func (s *Shape) member(name string) (Member, bool) {
	for _, m := range s.Members {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}

// WholeMatch compiles a pattern as the API documentation states them: without
// anchors, and meant to match the whole text.
func WholeMatch(pattern string) *regexp.Regexp {
	return regexp.MustCompile(`\A(?:` + pattern + `)\z`)
}

// Text is a text without bounds.
func Text() *Shape { return &Shape{Kind: KindText} }

// Integer is an integer from least to most.
func Integer(least, most int) *Shape { return &Shape{Kind: KindInteger, Min: least, Max: most} }

// Boolean is true or false.
func Boolean() *Shape { return &Shape{Kind: KindBoolean} }

// Time is a moment.
func Time() *Shape { return &Shape{Kind: KindTime} }

// List is a list whose elements are called item.
func List(item string, of *Shape) *Shape { return &Shape{Kind: KindList, Item: item, Of: of} }

// Map is a map of text by text.
func Map() *Shape { return &Shape{Kind: KindMap} }

// Structure is a structure with these members.
func Structure(members ...Member) *Shape { return &Shape{Kind: KindStructure, Members: members} }

// Required is a member that must be given.
func Required(name string, s *Shape) Member { return Member{Name: name, Shape: s, Required: true} }

// Optional is a member that may be given.
func Optional(name string, s *Shape) Member { return Member{Name: name, Shape: s} }
