package penstock

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Filter is a parsed data filter: an ordered list of include and exclude
// rules, of which the last that matches a table decides. ParseFilter makes it.
// It is immutable and may be used by several goroutines. The zero Filter has
// no rules and selects every table.
type Filter struct {
	text  string
	rules []FilterRule
}

// FilterRule is one rule of a Filter.
type FilterRule struct {
	Include bool
	Parts   []FilterPart // database.table or database.schema.table
	text    string
}

// FilterPart is one name in a rule: a literal, any name, or a full-match regex.
type FilterPart struct {
	literal string
	regex   *regexp.Regexp // compiled leftmost-longest; nil unless a regex
	any     bool
}

// String returns the filter as it was given, byte for byte; the default that
// stands for an empty one, if that was given.
func (f Filter) String() string { return f.text }

// Rules returns the rules in the order of the text, which is the order in
// which they are evaluated.
func (f Filter) Rules() []FilterRule { return slices.Clone(f.rules) }

// Match reports whether the filter selects the table of that name: database
// and table, or database, schema and table, as the filter was parsed for.
// Names are compared as they are, upper and lower case told apart.
func (f Filter) Match(names ...string) bool {
	include, _ := f.Decide(names...)
	return include
}

// Decide is Match that also returns the index in Rules of the rule that
// decided: the last one that matches, or -1 if none does, in which case the
// table is excluded unless there are no rules at all.
func (f Filter) Decide(names ...string) (include bool, rule int) {
	for i, r := range slices.Backward(f.rules) {
		if r.Match(names...) {
			return r.Include, i
		}
	}
	return len(f.rules) == 0, -1
}

// Databases returns the databases that include rules name literally, each
// once, in the order of their first mention.
func (f Filter) Databases() []string {
	var names []string
	for _, r := range f.rules {
		name, ok := r.Parts[0].Literal()
		if r.Include && ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// String returns the rule as it stands in the filter's text.
func (r FilterRule) String() string { return r.text }

// Match reports whether each part of the rule matches the name in its place.
func (r FilterRule) Match(names ...string) bool {
	if len(names) != len(r.Parts) {
		return false
	}
	for i, p := range r.Parts {
		if !p.Match(names[i]) {
			return false
		}
	}
	return true
}

// Match reports whether the part matches the whole name.
func (p FilterPart) Match(name string) bool {
	switch {
	case p.any:
		return true
	case p.regex != nil:
		loc := p.regex.FindStringIndex(name)
		return loc != nil && loc[0] == 0 && loc[1] == len(name)
	default:
		return p.literal == name
	}
}

// Literal returns the name that the part stands for, if it stands for one.
func (p FilterPart) Literal() (name string, ok bool) {
	return p.literal, !p.any && p.regex == nil
}

// Limits of a data filter, those of the RDS API.
const (
	MaxFilterLength        = 25600 // characters in all
	MaxFilterPatterns      = 99
	MaxFilterPatternLength = 256 // characters of one pattern, without its keyword
)

// DefaultFilter is what an engine with two-part names takes an empty filter for.
const DefaultFilter = "include: *.*"

// ParseFilter parses a data filter whose patterns have that many parts: 2 for
// database.table, 3 for database.schema.table. Errors are KindInvalid and name
// the position, counted in characters from 1.
//
//	filter  = rule { "," rule }
//	rule    = ( "include" | "exclude" ) ":" pattern
//	pattern = name "." name [ "." name ]
//	name    = literal | '"' any characters, '""' for a quote '"' | "*" | "/" regex "/"
//
// Spaces may surround rules, colons and commas; keywords may be written in any
// case. A literal without quotes is made of letters, digits, _, $ and -. A
// regex is RE2, must match the whole name, and writes a slash as \/.
//
// With three parts each database is a stream of its own, which must be known
// without asking the server: an include rule names its database literally, an
// exclude rule may also write * for it. With two parts an empty text is
// DefaultFilter; with three there must be an include rule.
func ParseFilter(text string, parts int) (Filter, error) {
	if text == "" && parts == 2 {
		text = DefaultFilter
	}
	p := filterParser{text: text, parts: parts}
	if err := p.checkText(); err != nil {
		return Filter{}, err
	}
	f := Filter{text: text}
	for text != "" {
		r, err := p.rule()
		if err != nil {
			return Filter{}, err
		}
		f.rules = append(f.rules, r)
		if len(f.rules) > MaxFilterPatterns {
			return Filter{}, p.fault(p.pos, "there are more than %d patterns", "combine some with * or a regular expression", MaxFilterPatterns)
		}
		if p.pos == len(p.text) {
			break
		}
		p.pos++ // the comma that ended the rule
	}
	if parts == 3 && len(f.Databases()) == 0 {
		return Filter{}, &Error{
			Kind:    KindInvalid,
			Message: "Your data filter must contain at least one include statement",
			Mend:    "name a database, for example include: mydb.*.*",
		}
	}
	return f, nil
}

// filterParser walks over the text once. After checkText every character in
// it is one byte, so that pos counts characters.
type filterParser struct {
	text  string
	parts int
	pos   int
}

func (p *filterParser) fault(pos int, message, mend string, args ...any) error {
	e := Errorf(KindInvalid, message, args...)
	e.Op = "data filter at position " + strconv.Itoa(pos+1)
	e.Mend = mend
	return e
}

func (p *filterParser) checkText() error {
	n := 0
	for _, c := range p.text {
		if !filterCharacter(c) {
			return p.fault(n, "the character %q is not allowed", `use letters, digits, spaces and _ " \ - $ , * . : ? + /`, c)
		}
		n++
	}
	if n > MaxFilterLength {
		return p.fault(MaxFilterLength, "the filter is longer than %d characters", "combine patterns with * or a regular expression", MaxFilterLength)
	}
	return nil
}

func filterCharacter(c rune) bool {
	return c < 0x80 && (literalByte(byte(c)) || strings.ContainsRune(` "\,*.:?+/`, c))
}

func literalByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '$' || c == '-'
}

// peek returns the next character, 0 at the end.
func (p *filterParser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

func (p *filterParser) spaces() {
	for p.peek() == ' ' {
		p.pos++
	}
}

// word returns the run of literal characters at pos and steps over it.
func (p *filterParser) word() string {
	start := p.pos
	for p.pos < len(p.text) && literalByte(p.text[p.pos]) {
		p.pos++
	}
	return p.text[start:p.pos]
}

// rule parses one rule, and leaves pos at a comma or at the end.
func (p *filterParser) rule() (FilterRule, error) {
	var r FilterRule
	p.spaces()
	start := p.pos
	switch keyword := p.word(); {
	case strings.EqualFold(keyword, "include"):
		r.Include = true
	case strings.EqualFold(keyword, "exclude"):
	default:
		return r, p.fault(start, "a rule does not begin with include: or exclude:", "begin each rule with include: or exclude:, followed by one pattern")
	}
	p.spaces()
	if p.peek() != ':' {
		return r, p.fault(p.pos, "a colon is missing", "write a colon after include and exclude")
	}
	p.pos++
	p.spaces()
	pattern := p.pos
	for i := range p.parts {
		if i > 0 {
			if p.peek() != '.' {
				return r, p.fault(p.pos, "the pattern ends after %d of its %d names", "write the pattern as "+p.form(), i, p.parts)
			}
			p.pos++
		}
		part, err := p.part(r.Include, i == 0)
		if err != nil {
			return r, err
		}
		r.Parts = append(r.Parts, part)
	}
	end := p.pos
	if end-pattern > MaxFilterPatternLength {
		return r, p.fault(pattern, "the pattern is longer than %d characters", "shorten it with * or a regular expression", MaxFilterPatternLength)
	}
	p.spaces()
	if c := p.peek(); c == '.' {
		return r, p.fault(p.pos, "the pattern has more than %d names", "write the pattern as "+p.form(), p.parts)
	} else if c != ',' && c != 0 {
		return r, p.fault(p.pos, "a pattern is followed by %q", "separate rules by commas, and put names with other characters than letters, digits, _, $ and - in double quotes", c)
	}
	r.text = p.text[start:end]
	return r, nil
}

func (p *filterParser) form() string {
	if p.parts == 3 {
		return "database.schema.table"
	}
	return "database.table"
}

// part parses one name of a pattern.
func (p *filterParser) part(include, database bool) (FilterPart, error) {
	start := p.pos
	fixed := database && p.parts == 3 // the database has to be known beforehand
	switch c := p.peek(); {
	case c == '*':
		p.pos++
		if n := p.peek(); literalByte(n) || n == '*' {
			return FilterPart{}, p.mixed(start)
		}
		if fixed && include {
			return FilterPart{}, p.fault(start, "Your data filter must contain at least one include statement that names its database, and none with * in its place",
				"write one include rule for each database")
		}
		return FilterPart{any: true}, nil
	case c == '/' && fixed:
		return FilterPart{}, p.fault(start, "the database is a regular expression", "name the database, and use one rule for each database")
	case c == '/':
		return p.regex()
	case c == '"':
		return p.quoted()
	}
	name := p.word()
	if p.peek() == '*' {
		return FilterPart{}, p.mixed(start)
	}
	if name == "" {
		return FilterPart{}, p.fault(start, "a name is missing", `write a name, a name in double quotes, * or a regular expression between slashes`)
	}
	return FilterPart{literal: name}, nil
}

func (p *filterParser) mixed(start int) error {
	return p.fault(start, "* stands beside other characters", "* stands for a whole name; for a part of one write a regular expression such as /prefix.*/")
}

func (p *filterParser) quoted() (FilterPart, error) {
	start := p.pos
	var name strings.Builder
	for p.pos++; p.pos < len(p.text); p.pos++ {
		c := p.text[p.pos]
		if c == '"' {
			p.pos++
			if p.peek() != '"' {
				if name.Len() == 0 {
					return FilterPart{}, p.fault(start, "a quoted name is empty", "write the name between the double quotes")
				}
				return FilterPart{literal: name.String()}, nil
			}
		}
		name.WriteByte(c)
	}
	return FilterPart{}, p.fault(start, "a quoted name does not end", `close it with a double quote; one in the name is written ""`)
}

func (p *filterParser) regex() (FilterPart, error) {
	start := p.pos
	for p.pos++; p.pos < len(p.text) && p.text[p.pos] != '/'; p.pos++ {
		if p.text[p.pos] == '\\' {
			p.pos++
		}
	}
	if p.pos >= len(p.text) {
		p.pos = len(p.text)
		return FilterPart{}, p.fault(start, "a regular expression does not end", `close it with a slash; one in the expression is written \/`)
	}
	expr := p.text[start+1 : p.pos]
	p.pos++
	if expr == "" {
		return FilterPart{}, p.fault(start, "a regular expression is empty", "write one between the slashes, or * for any name")
	}
	// The dot matches any character, as a name may contain a line break.
	re, err := regexp.Compile("(?s)" + expr)
	if err != nil {
		return FilterPart{}, p.fault(start, "the regular expression /%s/ is wrong: %w", "write it in RE2 syntax", expr, err)
	}
	re.Longest() // leftmost-longest finds a match of the whole name if there is one
	return FilterPart{regex: re}, nil
}
