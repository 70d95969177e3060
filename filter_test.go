package penstock

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestFilterSelects(t *testing.T) {
	t.Parallel()
	tests := []struct {
		parts    int
		filter   string
		in, out  string // tables selected and not, separated by spaces
		decision string // rule that decides each of in, then of out
	}{
		{2, "", "shop.orders x.y", "", "0 0"},
		{2, "include: *.*", "shop.orders", "", "0"},
		{2, "include: shop.*", "shop.orders", "shop2.orders Shop.orders", "0 -1 -1"},
		{2, "include: *.*, exclude: *.mystery", "books.crime", "books.mystery films.mystery", "0 1 1"},
		{2, "include: books./table_.*/, exclude: books.table_stephen_king", "books.table_a", "books.table_stephen_king books.xtable_a", "0 1 -1"},
		{2, "include: books.a,exclude: books.*", "", "books.a books.b", "1 1"},
		{2, "exclude: books.*,include:books.a", "books.a", "books.b c.d", "1 0 -1"},
		{2, "exclude: a.b", "", "a.b c.d", "0 -1"},
		{2, `include: b./my.*/, include: b./.*ery/, include: b./.*ste.*/`, "b.my b.myx b.every b.haste1", "b.xmyx b.eryx", "0 0 1 2 -1 -1"},
		{2, `INCLUDE :"my.db"."a""b" , Include:x.y `, `x.y`, "my.db.a", "1 -1"},
		{3, "include: shop.*.*", "shop.public.orders", "shop2.public.orders shop.orders", "0 -1 -1"},
		{3, "include: books.*.*, exclude: books./sci.*/.*", "books.public.a", "books.science.a books.sci.x", "0 1 1"},
		{3, "include: a.*.*, include: b.x.y, exclude: *.tmp.*", "a.s.t b.x.y", "a.tmp.t b.x.z", "0 1 2 -1"},
		{3, `include: a.b./x\/y\d+/`, "a.b.x/y12", "a.b.x/y a.b.x/y1z", "0 -1 -1"},
		{3, `include: a.b./\Qx.y/`, "", "a.b.xzy", "-1"},
		{3, `include: a.b./a?/`, "a.b. a.b.a", "a.b.aa", "0 0 -1"},
	}
	for _, test := range tests {
		t.Run(test.filter, func(t *testing.T) {
			t.Parallel()
			f, err := ParseFilter(test.filter, test.parts)
			if err != nil {
				t.Fatal(err)
			}
			if want := test.filter; want != "" && f.String() != want {
				t.Errorf("String() = %q", f.String())
			}
			rules := strings.Fields(test.decision)
			for i, name := range append(strings.Fields(test.in), strings.Fields(test.out)...) {
				want := i < len(strings.Fields(test.in))
				got, rule := f.Decide(strings.Split(name, ".")...)
				if got != want || fmt.Sprint(rule) != rules[i] {
					t.Errorf("Decide(%s) = %v, %d; want %v, %s", name, got, rule, want, rules[i])
				}
			}
		})
	}
}

func TestFilterDatabases(t *testing.T) {
	t.Parallel()
	f, err := ParseFilter(`include: b.*.*, exclude: c.*.*, include: "a b".x.y, include: b.z.z`, 3)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%q", f.Databases()); got != `["b" "a b"]` {
		t.Errorf("Databases() = %s", got)
	}
	if got := f.Rules()[2].String(); got != `include: "a b".x.y` {
		t.Errorf("rule 2 is %q", got)
	}
	for name, want := range map[string]bool{"a": true, "\n": true, "a\nb": true, "": true} {
		f, err := ParseFilter("include: d.s./.*/", 3)
		if err != nil {
			t.Fatal(err)
		}
		if f.Match("d", "s", name) != want {
			t.Errorf("Match(%q) = %v", name, !want)
		}
	}
	var zero Filter
	if !zero.Match("a", "b") || zero.String() != "" || zero.Databases() != nil {
		t.Error("the zero filter does not select everything")
	}
}

func TestFilterFaults(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 254)
	const missing = "Your data filter must contain at least one include statement"
	tests := []struct {
		filter string
		parts  int
		want   string // a part of the message
	}{
		{"", 3, missing},
		{"exclude: a.b.c", 3, missing},
		{"include: *.*.*", 3, missing},
		{"include: a.b.c, include: *.x.y", 3, "position 26"},
		{"include: /a/.b.c", 3, "position 10: the database is a regular expression"},
		{"exclude: /a/.b.c", 3, "the database is a regular expression"},
		{"include: a.b", 3, "position 13: the pattern ends after 2 of its 3 names"},
		{"include: a.b.c", 2, "position 13: the pattern has more than 2 names"},
		{"include: a.b.c.d", 3, "more than 3 names"},
		{"includes: a.b", 2, "position 1: a rule does not begin with include"},
		{" ", 2, "a rule does not begin with include"},
		{"include a.b", 2, "position 9: a colon is missing"},
		{"include: a.b,", 2, "position 14: a rule does not begin"},
		{"include: a.b, c.d", 2, "position 15: a rule does not begin"},
		{"include: a.b exclude: c.d", 2, `position 14: a pattern is followed by 'e'`},
		{"include: a.", 2, "position 12: a name is missing"},
		{"include: .a", 2, "position 10: a name is missing"},
		{"include: a.tab*", 2, "position 12: * stands beside other characters"},
		{"include: a.*tab", 2, "position 12: * stands beside other characters"},
		{"include: a.**", 2, "* stands beside"},
		{`include: a."b`, 2, "position 12: a quoted name does not end"},
		{`include: a.""`, 2, "a quoted name is empty"},
		{`include: a./b`, 2, "position 12: a regular expression does not end"},
		{`include: a./b\`, 2, "does not end"},
		{`include: a./b\/`, 2, "does not end"},
		{`include: a.//`, 2, "a regular expression is empty"},
		{`include: a./*b/`, 2, "the regular expression /*b/ is wrong"},
		{`include: a./b\y/`, 2, "is wrong"},
		{"include: a.b;", 2, `position 13: the character ';' is not allowed`},
		{"include: 'a'.b", 2, "position 10"},
		{"include: aé.b", 2, `position 11: the character 'é'`},
		{"include:\ta.b", 2, `position 9`},
		{"include: a.\xff", 2, "position 12"},
		{"include: " + long + ".ab", 2, "longer than 256 characters"},
		{strings.Repeat("include: a.b,", 99) + "include: a.b", 2, "more than 99 patterns"},
		{strings.Repeat("include: a.b, ", 2000), 2, "longer than 25600 characters"},
	}
	for _, test := range tests {
		_, err := ParseFilter(test.filter, test.parts)
		if KindOf(err) != KindInvalid || !strings.Contains(err.Error(), test.want) || MendOf(err) == "" {
			t.Errorf("ParseFilter(%.60q, %d): %v; want %q", test.filter, test.parts, err, test.want)
		}
	}
	for _, filter := range []string{"include: " + long + ".b", strings.Repeat("include: a.b,", 98) + "include: a.b"} {
		if _, err := ParseFilter(filter, 2); err != nil {
			t.Errorf("ParseFilter(%.60q) at its limit: %v", filter, err)
		}
	}
}

// naivePart is a part of a pattern, evaluated without the regexp package: a
// sequence of atoms, each a set of characters and how often it may repeat.
type naivePart struct {
	text  string
	atoms []naiveAtom
}

type naiveAtom struct {
	set    string // "" is any character
	lo, hi int
}

func naiveMatch(atoms []naiveAtom, name string) bool {
	if len(atoms) == 0 {
		return name == ""
	}
	a := atoms[0]
	for n := 0; ; n++ {
		if n >= a.lo && naiveMatch(atoms[1:], name[n:]) {
			return true
		}
		if n == len(name) || n == a.hi || a.set != "" && !strings.Contains(a.set, name[n:n+1]) {
			return false
		}
	}
}

func drawPart(t *rapid.T, literal bool) naivePart {
	kind := "literal"
	if !literal {
		kind = rapid.SampledFrom([]string{"literal", "quoted", "any", "regex"}).Draw(t, "kind")
	}
	exactly := func(s string) []naiveAtom {
		var atoms []naiveAtom
		for _, c := range s {
			atoms = append(atoms, naiveAtom{string(c), 1, 1})
		}
		return atoms
	}
	switch kind {
	case "any":
		return naivePart{"*", []naiveAtom{{"", 0, 1 << 30}}}
	case "quoted":
		s := rapid.StringMatching(`[ab1_."/*]{1,3}`).Draw(t, "quoted")
		return naivePart{`"` + strings.ReplaceAll(s, `"`, `""`) + `"`, exactly(s)}
	case "regex":
		p := naivePart{text: "/"}
		for range rapid.IntRange(1, 4).Draw(t, "atoms") {
			base := rapid.SampledFrom([][2]string{{"a", "a"}, {"b", "b"}, {".", ""}, {`\d`, "0123456789"}, {`\/`, "/"}, {`\.`, "."}}).Draw(t, "atom")
			a := naiveAtom{base[1], 1, 1}
			suffix := rapid.SampledFrom([]string{"", "*", "+", "?", "*?"}).Draw(t, "repeat")
			switch suffix {
			case "*", "*?":
				a.lo, a.hi = 0, 1<<30
			case "+":
				a.hi = 1 << 30
			case "?":
				a.lo = 0
			}
			p.text += base[0] + suffix
			p.atoms = append(p.atoms, a)
		}
		p.text += "/"
		return p
	}
	s := rapid.StringMatching(`[ab1_$-]{1,2}`).Draw(t, "literal")
	return naivePart{s, exactly(s)}
}

// TestFilterAgreesWithNaiveEvaluator builds filters from rules whose meaning
// is known, and evaluates both forwards and by hand.
func TestFilterAgreesWithNaiveEvaluator(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.IntRange(2, 3).Draw(t, "parts")
		type naiveRule struct {
			include bool
			parts   []naivePart
		}
		var rules []naiveRule
		var texts []string
		for i := range rapid.IntRange(1, 6).Draw(t, "rules") {
			r := naiveRule{include: i == 0 || rapid.Bool().Draw(t, "include")}
			var names []string
			for j := range parts {
				p := drawPart(t, parts == 3 && j == 0)
				r.parts = append(r.parts, p)
				names = append(names, p.text)
			}
			keyword := "exclude"
			if r.include {
				keyword = "include"
			}
			if rapid.Bool().Draw(t, "upper") {
				keyword = strings.ToUpper(keyword)
			}
			texts = append(texts, keyword+":"+rapid.SampledFrom([]string{"", " ", "  "}).Draw(t, "space")+strings.Join(names, "."))
			rules = append(rules, r)
		}
		text := strings.Join(texts, rapid.SampledFrom([]string{",", ", ", " ,"}).Draw(t, "comma"))
		f, err := ParseFilter(text, parts)
		if err != nil {
			t.Fatalf("ParseFilter(%q): %v", text, err)
		}
		if f.String() != text {
			t.Fatalf("String() = %q", f.String())
		}
		for range 20 {
			var names []string
			for range parts {
				names = append(names, rapid.StringMatching(`[ab1_./$"*-]{0,4}`).Draw(t, "name"))
			}
			want, decided := false, -1
			for i, r := range rules {
				matches := true
				for j, p := range r.parts {
					matches = matches && naiveMatch(p.atoms, names[j])
				}
				if matches {
					want, decided = r.include, i
				}
			}
			if got, rule := f.Decide(names...); got != want || rule != decided {
				t.Fatalf("%q: Decide(%q) = %v, %d; want %v, %d", text, names, got, rule, want, decided)
			}
		}
	})
}

func FuzzParseFilter(f *testing.F) {
	for _, s := range []string{"", "include: *.*", `include: a."b".c, exclude: a./x\/y/.*`, "INCLUDE:a.b,", `include: a./\Q`, "include: é.b"} {
		f.Add(s, 2)
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, text string, parts int) {
		if parts != 3 {
			parts = 2
		}
		filter, err := ParseFilter(text, parts)
		if err != nil {
			if KindOf(err) != KindInvalid {
				t.Fatalf("the error is %v", err)
			}
			return
		}
		if text != "" && filter.String() != text {
			t.Fatalf("String() = %q", filter.String())
		}
		if len(filter.Rules()) == 0 || utf8.RuneCountInString(text) > MaxFilterLength {
			t.Fatal("accepted what is beyond the limits")
		}
		if parts == 3 && len(filter.Databases()) == 0 {
			t.Fatal("accepted a filter that names no database")
		}
		filter.Match("a", "b", "c")
	})
}
