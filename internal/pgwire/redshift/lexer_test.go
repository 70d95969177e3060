package redshift

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sql  string
		want []string
	}{
		{"", nil},
		{" ;; -- nothing\n ; /* at /* all */ ; */ ", nil},
		{"a;b ; c", []string{"a", "b", "c"}},
		{"select ';', 'it''s;', 'back\\';x", []string{"select ';', 'it''s;', 'back\\'", "x"}},
		{`select e'a\';', E'\\';x`, []string{`select e'a\';', E'\\'`, "x"}},
		{`select "a;""b;";x`, []string{`select "a;""b;"`, "x"}},
		{"select $$;$$, $a$;$$;$b$;$a$;x", []string{"select $$;$$, $a$;$$;$b$;$a$", "x"}},
		{"select a$b$;c$b$", []string{"select a$b$", "c$b$"}},
		{"select $1;$2", []string{"select $1", "$2"}},
		{"a -- ;\n;b", []string{"a", "b"}},
		{"a /* ; /* ; */ ; */ + 1;b", []string{"a /* ; /* ; */ ; */ + 1", "b"}},
		{"1-- ;\n+2;b", []string{"1-- ;\n+2", "b"}},
		{"x'00;', b'1;', n';', u&';';y", []string{"x'00;', b'1;', n';', u&';'", "y"}},
		{`U&";";y`, []string{`U&";"`, "y"}},
		{"'never ends;", []string{"'never ends;"}},
		{"$$never ends;", []string{"$$never ends;"}},
		{`"never ends;`, []string{`"never ends;`}},
		{"/* never ends;", nil},
		{"grün;größe", []string{"grün", "größe"}},
		{"1..2;3.e5;.5", []string{"1..2", "3.e5", ".5"}},
	} {
		var got []string
		for _, st := range Split(c.sql) {
			got = append(got, st.Text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q is cut into %q, want %q", c.sql, got, c.want)
		}
	}
}

func TestLex(t *testing.T) {
	t.Parallel()
	names := map[TokenKind]string{
		Word: "w", Quoted: "q", String: "s", Number: "n", Param: "p", Operator: "o",
		Comma: "c", Dot: "d", Open: "(", Close: ")", End: ";", Other: "?",
	}
	for sql, want := range map[string]string{
		`select a."B c", 'x' from t where i>=$1::int`: "w:select w:a d:. q:\"B c\" c:, s:'x' w:from w:t w:where w:i o:>= p:$1 o::: w:int",
		"a[1]+b(2)":     "w:a (:[ n:1 ):] o:+ w:b (:( n:2 ):)",
		"1e5 1e 1.5e-3": "n:1e5 n:1 w:e n:1.5e-3",
		"$ \\ {":        "?:$ ?:\\ ?:{",
		"a--b\n-1":      "w:a o:- n:1",
	} {
		st := Statement{Text: sql, Tokens: Lex(sql)}
		var got []string
		for i, tok := range st.Tokens {
			got = append(got, names[tok.Kind]+":"+st.Raw(i))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %s, want %s", sql, strings.Join(got, " "), want)
		}
	}
}

func TestValue(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"'it''s'": "it's", "$$a$$": "a", "$x$a$x$": "a", `"A""b"`: `A"b`, "word": "word", "12": "12",
		"E'a'": "a", "''": "", "'open": "'open", "$$open": "$$open",
	} {
		if got := (Statement{Text: sql, Tokens: Lex(sql)}).Value(0); got != want {
			t.Errorf("%s is %q, want %q", sql, got, want)
		}
	}
}

// FuzzLex: every text is lexed, its tokens follow each other, and a statement
// that nothing is replaced in stays as it is.
func FuzzLex(f *testing.F) {
	for _, s := range []string{
		"select 1; select '2'", "$a$ x $a$", "e'\\", "/* /* */", `"a`, "$1$$", "u&'", "1e+", "a.b.c(version(), current_user)",
		"SET a TO 'b', $$", "COPY x FROM", "select $9999999999999999999", "collate pg_catalog.default", "operator(pg_catalog.~)",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		end := 0
		for _, tok := range Lex(sql) {
			if tok.Start < end || tok.End <= tok.Start || tok.End > len(sql) {
				t.Fatalf("token %+v after %d in %q", tok, end, sql)
			}
			end = tok.End
		}
		for _, st := range Split(sql) {
			if len(st.Tokens) == 0 || !strings.Contains(sql, st.Text) {
				t.Fatalf("%q is cut into %q", sql, st.Text)
			}
			_, _ = Classify(st)
			_ = st.Tag()
			for i := range st.Tokens {
				_ = st.Value(i)
			}
			r := Rewrite(st, Environment{Database: "d", User: "u", Backend: 1, Casts: []string{"INTEGER"}})
			if r.SQL == "" && st.Text != "" && !strings.Contains(strings.ToLower(st.Text), "collate") {
				t.Fatalf("%q is rewritten to nothing", st.Text)
			}
			_ = Explain(st, "d", nil)
			_ = fmt.Sprint(st.paths())
		}
	})
}
