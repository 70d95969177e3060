package duckdbtarget

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The engine shows its parse of SELECT only. Of other statements these
// functions read as much as is needed: the first words, and where the text
// ends. They never decide alone: see police.

// token is a piece of a statement.
type token struct {
	kind       tokenKind
	start, end int
}

type tokenKind uint8

const (
	tokenSpace   tokenKind = iota + 1 // spaces and comments
	tokenWord                         // keyword, name without quotes, number
	tokenString                       // '…', E'…', $tag$…$tag$
	tokenQuoted                       // "…"
	tokenSymbol                       // any other single character
	tokenInvalid                      // something that does not end
)

// next returns the token of sql that begins at i.
func next(sql string, i int) token {
	rest := sql[i:]
	t := func(kind tokenKind, n int) token { return token{kind, i, i + n} }
	r, size := utf8.DecodeRuneInString(rest)
	switch {
	case unicode.IsSpace(r) || unicode.In(r, unicode.Zs) || r == '\uFEFF' || r == '\u200B':
		return t(tokenSpace, size)
	case strings.HasPrefix(rest, "--"):
		if n := strings.IndexAny(rest, "\n\r"); n >= 0 {
			return t(tokenSpace, n+1)
		}
		return t(tokenSpace, len(rest))
	case strings.HasPrefix(rest, "/*"):
		depth := 0
		for k := 0; k+1 < len(rest); k++ {
			switch rest[k : k+2] {
			case "/*":
				depth++
				k++
			case "*/":
				depth--
				k++
			}
			if depth == 0 {
				return t(tokenSpace, k+1)
			}
		}
		return t(tokenInvalid, len(rest))
	case r == '\'':
		return t(quoted(rest, 0, '\'', false, tokenString))
	case r == '"':
		return t(quoted(rest, 0, '"', false, tokenQuoted))
	case r == '$':
		if tag, ok := dollarTag(rest); ok {
			if n := strings.Index(rest[len(tag):], tag); n >= 0 {
				return t(tokenString, 2*len(tag)+n)
			}
			return t(tokenInvalid, len(rest))
		}
		return t(tokenSymbol, 1)
	case (r == 'e' || r == 'E') && len(rest) > 1 && rest[1] == '\'':
		return t(quoted(rest, 1, '\'', true, tokenString))
	case isWord(r):
		n := 0
		for n < len(rest) {
			r, size := utf8.DecodeRuneInString(rest[n:])
			if !isWord(r) && r != '$' {
				break
			}
			n += size
		}
		return t(tokenWord, n)
	}
	return t(tokenSymbol, size)
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// quoted returns the length of what is quoted from s[at] on.
func quoted(s string, at int, quote byte, escapes bool, kind tokenKind) (tokenKind, int) {
	for k := at + 1; k < len(s); k++ {
		switch {
		case escapes && s[k] == '\\':
			k++
		case s[k] != quote:
		case k+1 < len(s) && s[k+1] == quote:
			k++
		default:
			return kind, k + 1
		}
	}
	return tokenInvalid, len(s)
}

// dollarTag returns the $tag$ that s begins with.
func dollarTag(s string) (string, bool) {
	for k := 1; k < len(s); k++ {
		switch c := s[k]; {
		case c == '$':
			return s[:k+1], true
		case c == '_' || c >= 0x80 || 'a' <= c|0x20 && c|0x20 <= 'z' || k > 1 && '0' <= c && c <= '9':
		default:
			return "", false
		}
	}
	return "", false
}

// leadingWords returns up to n words that sql begins with, folded.
func leadingWords(sql string, n int) []string {
	var words []string
	for i := 0; i < len(sql) && len(words) < n; {
		t := next(sql, i)
		if t.kind != tokenSpace && t.kind != tokenWord {
			break
		}
		if t.kind == tokenWord {
			words = append(words, fold(sql[t.start:t.end]))
		}
		i = t.end
	}
	return words
}

// afterExplain returns what stands after EXPLAIN, ANALYZE and options.
func afterExplain(sql string) (rest string, ok bool) {
	i, depth, seen := 0, 0, 0
	for i < len(sql) {
		t := next(sql, i)
		s := sql[t.start:t.end]
		switch {
		case t.kind == tokenSpace:
		case t.kind == tokenWord && depth == 0 && seen == 0 && fold(s) == "explain":
			seen = 1
		case t.kind == tokenWord && depth == 0 && seen == 1 && fold(s) == "analyze":
			seen = 2
		case t.kind == tokenSymbol && s == "(" && seen > 0 && (depth > 0 || optionsFollow(sql[t.end:])):
			depth++
		case t.kind == tokenSymbol && s == ")" && depth > 0:
			depth--
		case depth > 0 && (t.kind == tokenWord || s == ","):
		default:
			return sql[i:], seen > 0 && depth == 0 && fold(s) != "explain"
		}
		i = t.end
	}
	return "", false
}

// optionsFollow reports whether a parenthesis after EXPLAIN opens a list of
// options, not a query.
func optionsFollow(sql string) bool {
	words := leadingWords(sql, 1)
	return len(words) == 1 && (words[0] == "analyze" || words[0] == "format")
}

// trimEnd returns sql without a closing semicolon and what follows it.
func trimEnd(sql string) string {
	end := 0 // behind the last token that counts
	for i := 0; i < len(sql); {
		t := next(sql, i)
		if t.kind != tokenSpace && sql[t.start:t.end] != ";" {
			end = t.end
		}
		i = t.end
	}
	return sql[:end]
}

// canonical returns sql without comments and without a closing semicolon: the
// form in which it is examined and run. ok is false if something in it does
// not end.
func canonical(sql string) (plain string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(sql); {
		t := next(sql, i)
		switch {
		case t.kind == tokenInvalid:
			return "", false
		case t.kind == tokenSpace && t.end-t.start > 1:
			b.WriteByte('\n') // a comment, or a space of several bytes
		default:
			b.WriteString(sql[t.start:t.end])
		}
		i = t.end
	}
	return trimEnd(b.String()), true
}
