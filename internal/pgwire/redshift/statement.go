package redshift

import "strings"

// Statement is one statement and its tokens, without the semicolon after it.
type Statement struct {
	Text   string
	Tokens []Token // offsets into Text; empty for nothing but blanks and comments
}

// Split cuts a text at its semicolons. Pieces without a token are left out.
func Split(sql string) []Statement {
	var out []Statement
	tokens := Lex(sql)
	for first := 0; first < len(tokens); {
		last := first
		for last < len(tokens) && tokens[last].Kind != End {
			last++
		}
		if last > first {
			out = append(out, cut(sql, tokens[first:last]))
		}
		first = last + 1
	}
	return out
}

func cut(sql string, tokens []Token) Statement {
	from, to := tokens[0].Start, tokens[len(tokens)-1].End
	st := Statement{Text: sql[from:to], Tokens: make([]Token, len(tokens))}
	for i, t := range tokens {
		t.Start -= from
		t.End -= from
		st.Tokens[i] = t
	}
	return st
}

// Raw returns token i as it is written, "" past the end.
func (s Statement) Raw(i int) string {
	if i < 0 || i >= len(s.Tokens) {
		return ""
	}
	return s.Text[s.Tokens[i].Start:s.Tokens[i].End]
}

// Word returns token i in upper case if it is an unquoted word, else "".
func (s Statement) Word(i int) string {
	if i < 0 || i >= len(s.Tokens) || s.Tokens[i].Kind != Word {
		return ""
	}
	return strings.ToUpper(s.Raw(i))
}

// Kind returns the kind of token i, 0 past the end.
func (s Statement) Kind(i int) TokenKind {
	if i < 0 || i >= len(s.Tokens) {
		return 0
	}
	return s.Tokens[i].Kind
}

// Name returns the name that token i stands for: unquoted ones in lower case,
// quoted ones as they are; "" if it is no name.
func (s Statement) Name(i int) string {
	switch s.Kind(i) {
	case Word:
		return strings.ToLower(s.Raw(i))
	case Quoted:
		raw := s.Raw(i)
		if !strings.HasPrefix(raw, `"`) {
			return raw // U&"…" is left to the engine
		}
		raw = strings.TrimPrefix(raw, `"`)
		if !s.Tokens[i].Unterminated {
			raw = strings.TrimSuffix(raw, `"`)
		}
		return strings.ReplaceAll(raw, `""`, `"`)
	}
	return ""
}

// Value returns what token i says as the value of a setting: a word or number
// as it is written, a string without its quotes.
func (s Statement) Value(i int) string {
	raw := s.Raw(i)
	switch s.Kind(i) {
	case Quoted:
		return s.Name(i)
	case String:
		if s.Tokens[i].Unterminated {
			return raw
		}
		if n := strings.IndexByte(raw, '\''); n >= 0 && n <= 2 {
			return strings.ReplaceAll(strings.TrimSuffix(raw[n+1:], "'"), "''", "'")
		}
		if tag := strings.IndexByte(raw[1:], '$'); raw[0] == '$' && tag >= 0 && len(raw) >= 2*(tag+2) {
			return raw[tag+2 : len(raw)-tag-2]
		}
	}
	return raw
}

// path is a name with its qualifiers: database.schema.table, first to last.
type path struct {
	first, last int // tokens
	parts       []string
}

// paths returns all dotted names of a statement, single ones included.
func (s Statement) paths() []path {
	var out []path
	for i := 0; i < len(s.Tokens); i++ {
		if k := s.Kind(i); k != Word && k != Quoted {
			continue
		}
		p := path{first: i, last: i, parts: []string{s.Name(i)}}
		for s.Kind(p.last+1) == Dot && (s.Kind(p.last+2) == Word || s.Kind(p.last+2) == Quoted) {
			p.last += 2
			p.parts = append(p.parts, s.Name(p.last))
		}
		out = append(out, p)
		i = p.last
	}
	return out
}
