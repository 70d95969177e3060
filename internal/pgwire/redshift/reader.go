package redshift

import (
	"strconv"

	"penstock"
)

// reader reads a statement token by token.
type reader struct {
	st Statement
	i  int
}

// more reports whether there is a further token.
func (r *reader) more() bool { return r.i < len(r.st.Tokens) }

// word takes the next token if it is that keyword.
func (r *reader) word(w string) bool {
	if r.st.Word(r.i) != w {
		return false
	}
	r.i++
	return true
}

// words takes the next tokens if they are these keywords.
func (r *reader) words(all ...string) bool {
	for k, w := range all {
		if r.st.Word(r.i+k) != w {
			return false
		}
	}
	r.i += len(all)
	return true
}

// equals takes an equals sign, if there is one.
func (r *reader) equals() {
	if r.st.Raw(r.i) == "=" {
		r.i++
	}
}

// name takes a name.
func (r *reader) name() (string, error) {
	n := r.st.Name(r.i)
	if n == "" {
		return "", syntaxError(r.st, r.i)
	}
	r.i++
	return n, nil
}

// literal takes a text in quotes.
func (r *reader) literal() (string, error) {
	if r.st.Kind(r.i) != String || r.st.Tokens[r.i].Unterminated {
		return "", syntaxError(r.st, r.i)
	}
	v := r.st.Value(r.i)
	r.i++
	return v, nil
}

// nameOrLiteral takes a name, or a text that is one.
func (r *reader) nameOrLiteral() (string, error) {
	if r.st.Kind(r.i) == String {
		return r.literal()
	}
	return r.name()
}

// number takes an integer, which may have a sign.
func (r *reader) number() (int64, error) {
	text := r.st.Raw(r.i)
	at := r.i
	if text == "-" || text == "+" {
		at++
		text += r.st.Raw(at)
	}
	if r.st.Kind(at) != Number {
		return 0, syntaxError(r.st, r.i)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, syntaxError(r.st, at)
	}
	r.i = at + 1
	return n, nil
}

// list calls item for each of several things with commas between them.
func (r *reader) list(item func() error) error {
	for {
		if err := item(); err != nil {
			return err
		}
		if r.st.Kind(r.i) != Comma {
			return nil
		}
		r.i++
	}
}

// table takes the name of a table, with or without its schema.
func (r *reader) table() (t penstock.TableName, err error) {
	if t.Name, err = r.name(); err != nil || r.st.Kind(r.i) != Dot {
		return t, err
	}
	r.i++
	t.Schema = t.Name
	t.Name, err = r.name()
	return t, err
}
