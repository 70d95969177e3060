package redshift

import "strings"

// TokenKind is the kind of a Token.
type TokenKind uint8

// The kinds of tokens.
const (
	Word     TokenKind = iota + 1 // an unquoted name or keyword
	Quoted                        // a "quoted" name
	String                        // 'text', E'text', $$text$$ and the other quoted literals
	Number                        // 12, 1.5e3
	Param                         // $1
	Operator                      // one or more operator characters: <=, ::, ~
	Comma                         // ,
	Dot                           // .
	Open                          // ( or [
	Close                         // ) or ]
	End                           // ;
	Other                         // anything else, one character
)

// Token is a piece of a text, without the blanks and comments around it.
type Token struct {
	Kind  TokenKind
	Start int // offsets into the text
	End   int
	// Unterminated is set on a String or Quoted that the text ends within.
	Unterminated bool
}

// Lex returns the tokens of sql by PostgreSQL's rules, with
// standard_conforming_strings on. It accepts every text: what is no SQL comes
// out as tokens that are none either, for the engine to refuse.
func Lex(sql string) []Token {
	l := lexer{s: sql}
	var tokens []Token
	for l.skipBlank(); l.i < len(l.s); l.skipBlank() {
		tokens = append(tokens, l.next())
	}
	return tokens
}

type lexer struct {
	s string
	i int
}

func (l *lexer) at(k int) byte {
	if l.i+k < len(l.s) {
		return l.s[l.i+k]
	}
	return 0
}

// skipBlank passes over white space and comments, nested ones included.
func (l *lexer) skipBlank() {
	for l.i < len(l.s) {
		switch c := l.s[l.i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
			l.i++
		case c == '-' && l.at(1) == '-':
			if n := strings.IndexAny(l.s[l.i:], "\r\n"); n >= 0 {
				l.i += n
			} else {
				l.i = len(l.s)
			}
		case c == '/' && l.at(1) == '*':
			l.skipComment()
		default:
			return
		}
	}
}

func (l *lexer) skipComment() {
	depth := 0
	for l.i < len(l.s) {
		switch {
		case l.s[l.i] == '/' && l.at(1) == '*':
			depth++
			l.i += 2
		case l.s[l.i] == '*' && l.at(1) == '/':
			depth--
			l.i += 2
			if depth == 0 {
				return
			}
		default:
			l.i++
		}
	}
}

func (l *lexer) next() Token {
	start, c := l.i, l.s[l.i]
	token := func(k TokenKind) Token { return Token{Kind: k, Start: start, End: l.i} }
	switch {
	case c == '\'':
		return l.quoted(start, String, '\'', false)
	case c == '"':
		return l.quoted(start, Quoted, '"', false)
	case isWordStart(c):
		if n := l.literalPrefix(); n > 0 {
			l.i += n
			return l.quoted(start, String, '\'', c == 'e' || c == 'E')
		}
		if (c == 'u' || c == 'U') && l.at(1) == '&' && l.at(2) == '"' {
			l.i += 2
			return l.quoted(start, Quoted, '"', false)
		}
		for l.i < len(l.s) && isWordPart(l.s[l.i]) {
			l.i++
		}
		return token(Word)
	case isDigit(c) || c == '.' && isDigit(l.at(1)):
		l.number()
		return token(Number)
	case c == '$' && isDigit(l.at(1)):
		for l.i++; l.i < len(l.s) && isDigit(l.s[l.i]); l.i++ {
		}
		return token(Param)
	case c == '$':
		if tag := l.dollarTag(); tag != "" {
			l.i += len(tag)
			n := strings.Index(l.s[l.i:], tag)
			if n < 0 {
				l.i = len(l.s)
				return Token{Kind: String, Start: start, End: l.i, Unterminated: true}
			}
			l.i += n + len(tag)
			return token(String)
		}
	case strings.IndexByte("+-*/<>=~!@#%^&|`?:", c) >= 0:
		l.operator()
		return token(Operator)
	}
	l.i++
	switch c {
	case ',':
		return token(Comma)
	case '.':
		return token(Dot)
	case '(', '[':
		return token(Open)
	case ')', ']':
		return token(Close)
	case ';':
		return token(End)
	}
	return token(Other)
}

// literalPrefix returns the length of a prefix such as E, B, X, N or U& that
// directly precedes a quote, or 0.
func (l *lexer) literalPrefix() int {
	switch l.s[l.i] | 0x20 {
	case 'e', 'b', 'x', 'n':
		if l.at(1) == '\'' {
			return 1
		}
	case 'u':
		if l.at(1) == '&' && l.at(2) == '\'' {
			return 2
		}
	}
	return 0
}

// quoted reads from the opening quote at l.i to the closing one; a doubled
// quote stands for itself.
func (l *lexer) quoted(start int, kind TokenKind, quote byte, backslash bool) Token {
	for l.i++; l.i < len(l.s); l.i++ {
		switch c := l.s[l.i]; {
		case c == '\\' && backslash:
			l.i++
		case c == quote && l.at(1) == quote:
			l.i++
		case c == quote:
			l.i++
			return Token{Kind: kind, Start: start, End: l.i}
		}
	}
	l.i = len(l.s)
	return Token{Kind: kind, Start: start, End: l.i, Unterminated: true}
}

// dollarTag returns the opening $tag$ at l.i, "" if there is none.
func (l *lexer) dollarTag() string {
	for k := 1; l.i+k < len(l.s); k++ {
		c := l.s[l.i+k]
		if c == '$' {
			return l.s[l.i : l.i+k+1]
		}
		if !isWordPart(c) || k == 1 && isDigit(c) {
			return ""
		}
	}
	return ""
}

func (l *lexer) number() {
	for l.i < len(l.s) && (isDigit(l.s[l.i]) || l.s[l.i] == '_') {
		l.i++
	}
	if l.at(0) == '.' && l.at(1) != '.' {
		for l.i++; l.i < len(l.s) && isDigit(l.s[l.i]); l.i++ {
		}
	}
	if l.at(0)|0x20 == 'e' {
		k := 1
		if l.at(1) == '+' || l.at(1) == '-' {
			k = 2
		}
		if isDigit(l.at(k)) {
			for l.i += k; l.i < len(l.s) && isDigit(l.s[l.i]); l.i++ {
			}
		}
	}
}

// operator reads operator characters up to where a comment begins.
func (l *lexer) operator() {
	for l.i++; l.i < len(l.s); l.i++ {
		c := l.s[l.i]
		if strings.IndexByte("+-*/<>=~!@#%^&|`?:", c) < 0 ||
			c == '-' && l.at(1) == '-' || c == '/' && l.at(1) == '*' {
			return
		}
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isWordStart(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= 0x80
}

func isWordPart(c byte) bool { return isWordStart(c) || isDigit(c) || c == '$' }
