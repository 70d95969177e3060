package redshift

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Version is what version() answers. Clients find out by the word Redshift in
// it which dialect they speak with.
const Version = "PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 " +
	"(Red Hat 3.4.2-6.fc3), Redshift " + PadbVersion

// PadbVersion is the release of Redshift that the endpoint resembles.
const PadbVersion = "1.0.77467"

// Environment is what a session knows and the engine has no idea of.
type Environment struct {
	Database string
	User     string
	Backend  uint32 // the number that pg_backend_pid() returns
	// Casts gives types, in the engine's words, to parameters ($1 is Casts[0])
	// that the client declared and the engine could not infer; "" for none.
	Casts []string
}

// Rewritten is a statement in the engine's dialect.
type Rewritten struct {
	SQL string
	// Views are the system views that it mentions, which must be filled
	// before it is prepared.
	Views []string
}

// Rewrite translates a statement into the engine's dialect.
func Rewrite(st Statement, env Environment) Rewritten {
	r := rewriter{st: st, env: env, items: selectItems(st), with: map[int]string{}}
	for _, p := range st.paths() {
		r.path(p)
	}
	r.operators()
	r.binaryLiterals()
	r.casts()
	return Rewritten{SQL: r.text(), Views: r.views}
}

type rewriter struct {
	st    Statement
	env   Environment
	items map[int]bool   // tokens that begin an item of a select list
	with  map[int]string // what stands in the place of a token
	views []string
}

// text puts the statement together again, blanks and comments included.
func (r *rewriter) text() string {
	if len(r.with) == 0 {
		return r.st.Text
	}
	var b strings.Builder
	at := 0
	for i, t := range r.st.Tokens {
		b.WriteString(r.st.Text[at:t.Start])
		if s, ok := r.with[i]; ok {
			b.WriteString(s)
		} else {
			b.WriteString(r.st.Raw(i))
		}
		at = t.End
	}
	b.WriteString(r.st.Text[at:])
	return b.String()
}

// replace puts s in the place of tokens first to last.
func (r *rewriter) replace(first, last int, s string) {
	r.with[first] = s
	for i := first + 1; i <= last; i++ {
		r.with[i] = ""
	}
}

func (r *rewriter) path(p path) {
	if r.st.Kind(p.first-1) == Dot {
		return
	}
	name := p.parts[len(p.parts)-1]
	qualifier := ""
	if len(p.parts) > 1 {
		qualifier = p.parts[len(p.parts)-2]
	}
	if len(p.parts) == 1 || qualifier == "pg_catalog" {
		if systemViews[name] != nil && r.st.Kind(p.last+1) != Open {
			if len(p.parts) > 1 {
				r.replace(p.first, p.last, name)
			}
			if !slices.Contains(r.views, name) {
				r.views = append(r.views, name)
			}
			return
		}
	}
	if len(p.parts) == 1 || len(p.parts) == 2 && qualifier == "pg_catalog" {
		r.function(p, name)
	}
	if _, done := r.with[p.first]; !done && len(p.parts) == 2 && qualifier == "pg_catalog" && r.st.Raw(p.last+1) == "(" {
		r.replace(p.first, p.last-1, "") // where the engine has the function is its own affair
	}
}

// function replaces what the session knows better than the engine by its
// value, and keeps the name that a result column would have.
func (r *rewriter) function(p path, name string) {
	if r.st.Kind(p.last) != Word {
		return
	}
	parens := r.st.Raw(p.last+1) == "(" && r.st.Raw(p.last+2) == ")"
	value := ""
	switch name {
	case "version":
		value = quoteLiteral(Version)
	case "current_database":
		value = quoteLiteral(r.env.Database)
	case "pg_backend_pid":
		value = strconv.FormatUint(uint64(r.env.Backend), 10)
	case "current_user", "session_user":
		value = quoteLiteral(r.env.User)
		if !parens && r.named(p.first) {
			return
		}
	case "pg_get_userbyid": // everything belongs to one owner
		r.constant(p, r.env.User)
		return
	case "pg_encoding_to_char":
		r.constant(p, "UTF8")
		return
	default:
		return
	}
	last := p.last
	if parens {
		last += 2
	} else if name != "current_user" && name != "session_user" {
		return
	}
	if r.items[p.first] && endsItem(r.st, last+1) {
		value += " AS " + name
	}
	r.replace(p.first, last, value)
}

// constant makes a call answer the same whatever its argument, which is looked
// at only so that it stays one.
func (r *rewriter) constant(p path, value string) {
	if r.st.Raw(p.last+1) == "(" {
		r.replace(p.first, p.last+1, "coalesce("+quoteLiteral(value)+",''||")
	}
}

// named reports whether the name at token i is an alias or is being defined.
func (r *rewriter) named(i int) bool {
	return r.st.Word(i-1) == "AS" || r.st.Kind(i+1) == Dot
}

// operators unwraps OPERATOR(pg_catalog.~), drops COLLATE pg_catalog.default,
// and takes pg_catalog away from types after ::, all of which psql writes.
func (r *rewriter) operators() {
	for i := range r.st.Tokens {
		if r.st.Raw(i) == "::" && r.st.Word(i+1) == "PG_CATALOG" && r.st.Kind(i+2) == Dot {
			r.replace(i+1, i+2, "")
		}
		switch r.st.Word(i) {
		case "OPERATOR":
			if r.st.Raw(i+1) == "(" && r.st.Word(i+2) == "PG_CATALOG" && r.st.Kind(i+3) == Dot &&
				r.st.Kind(i+4) == Operator && r.st.Raw(i+5) == ")" {
				r.replace(i, i+5, " "+r.st.Raw(i+4)+" ")
			}
		case "COLLATE":
			if r.st.Word(i+1) == "PG_CATALOG" && r.st.Kind(i+2) == Dot && r.st.Name(i+3) == "default" {
				r.replace(i, i+3, "")
			} else if r.st.Name(i+1) == "default" {
				r.replace(i, i+1, "")
			}
		}
	}
}

// binaryLiterals respells '\x00ff'::bytea, which the engine would read as one
// byte and two letters. Without the cast nobody knows that it is no text.
func (r *rewriter) binaryLiterals() {
	for i := range r.st.Tokens {
		raw := r.st.Raw(i)
		if r.st.Kind(i) != String || !strings.HasPrefix(raw, `'\x`) || r.st.Tokens[i].Unterminated {
			continue
		}
		typ := ""
		if r.st.Raw(i+1) == "::" || r.st.Word(i+1) == "AS" && r.st.Raw(i-1) == "(" {
			typ = r.st.Name(i + 2)
		}
		b, err := hex.DecodeString(raw[3 : len(raw)-1])
		if err != nil || typ != "bytea" && typ != "varbyte" {
			continue
		}
		out := []byte{'\''}
		for _, x := range b {
			out = fmt.Appendf(out, `\x%02x`, x)
		}
		r.with[i] = string(append(out, '\''))
	}
}

func (r *rewriter) casts() {
	for i := range r.st.Tokens {
		if r.st.Kind(i) != Param {
			continue
		}
		n, err := strconv.Atoi(r.st.Raw(i)[1:])
		if err == nil && n >= 1 && n <= len(r.env.Casts) && r.env.Casts[n-1] != "" {
			r.with[i] = "CAST(" + r.st.Raw(i) + " AS " + r.env.Casts[n-1] + ")"
		}
	}
}

// selectItems returns the tokens that begin an item of a select list, at any
// depth.
func selectItems(st Statement) map[int]bool {
	items := map[int]bool{}
	list := []bool{false} // per depth: inside a select list
	for i := range st.Tokens {
		top := len(list) - 1
		switch st.Kind(i) {
		case Open:
			list = append(list, false)
			continue
		case Close:
			if top > 0 {
				list = list[:top]
			}
			continue
		case Comma:
			if list[top] {
				items[i+1] = true
			}
			continue
		}
		switch st.Word(i) {
		case "SELECT":
			list[top] = true
			items[i+1] = true
		case "DISTINCT", "ALL":
			if items[i] {
				items[i+1] = true
			}
		case "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION", "EXCEPT", "INTERSECT", "WINDOW", "QUALIFY", "OFFSET", "INTO":
			list[top] = false
		}
	}
	return items
}

// endsItem reports whether an item of a select list has ended before token i.
func endsItem(st Statement, i int) bool {
	switch st.Kind(i) {
	case 0, Comma, Close:
		return true
	}
	switch st.Word(i) {
	case "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION", "EXCEPT", "INTERSECT", "WINDOW", "QUALIFY", "OFFSET", "INTO":
		return true
	}
	return false
}

func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
