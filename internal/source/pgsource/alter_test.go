package pgsource

import (
	"slices"
	"strings"
	"testing"

	"penstock"
)

// told is what the event trigger says after ALTER TABLE t ADD COLUMN d text
// DEFAULT 'x'.
const told = `{"tag": "ALTER TABLE", "fills": [{"name": "d", "mixed": false, "value": "x", "relation": "16390"}], "types": [
	{"oid": "23", "name": "integer", "output": "pg_catalog.int4out", "typmod": -1, "element": "", "printed": "", "delimiter": ""},
	{"oid": "20", "name": "bigint", "output": "pg_catalog.int8out", "typmod": -1, "element": "", "printed": "", "delimiter": ""},
	{"oid": "25", "name": "text", "output": "pg_catalog.textout", "typmod": -1, "element": "", "printed": "", "delimiter": ""}],
	"relations": [{"key": [1], "oid": "16390", "kind": "r", "name": "t", "owned": true, "owner": "", "parts": "", "logged": true, "schema": "public", "unfull": "", "unlike": "", "identity": "d", "readable": true}],
	"attributes": [{"typ": "23", "name": "id", "number": 1, "typmod": -1, "not_null": true, "relation": "16390", "generated": false},
	{"typ": "25", "name": "a", "number": 2, "typmod": -1, "not_null": false, "relation": "16390", "generated": false},
	{"typ": "25", "name": "d", "number": 4, "typmod": -1, "not_null": false, "relation": "16390", "generated": false}]}`

// TestAlteration: what a command has done is made in place if that is certain
// to lead to the rows that the source has.
func TestAlteration(t *testing.T) {
	t.Parallel()
	before := penstock.Table{ID: "16390", Schema: "public", Name: "t", Identity: penstock.IdentityKey, Key: []int{0}, Columns: []penstock.Column{
		{ID: 1, Name: "id", Type: penstock.Type{Kind: penstock.TypeInt32}, SourceType: "integer", NotNull: true},
		{ID: 2, Name: "a", Type: penstock.Type{Kind: penstock.TypeText}, SourceType: "text"}}}
	with := func(change func(*penstock.Table)) penstock.Table {
		b := before
		b.Columns, b.Key = slices.Clone(b.Columns), slices.Clone(b.Key)
		change(&b)
		return b
	}
	swap := func(from, to string) string { return strings.ReplaceAll(told, from, to) }
	const id = `{"typ": "23", "name": "id"`
	for name, c := range map[string]struct {
		old  penstock.Table
		told string
		how  rewrite
		want string // the value of d; "no" if it takes a load
	}{
		"a constant":                   {old: before, told: told, want: "x"},
		"null":                         {old: before, told: swap(`"name": "d", "mixed": false`, `"name": "q", "mixed": false`), want: "-"},
		"partitions disagree":          {old: before, told: swap(`"mixed": false`, `"mixed": true`), want: "no"},
		"a volatile default":           {old: before, told: told, how: rewrite{filled: true}, want: "no"},
		"with a rewrite":               {old: before, told: told, how: rewrite{retyped: true}, want: "no"},
		"values that look different":   {old: before, told: swap(`"tag"`, `"reload": ["16390"], "tag"`), want: "no"},
		"another identity":             {old: before, told: swap(`"identity": "d"`, `"identity": "n"`), want: "no"},
		"another key":                  {old: before, told: swap(`"key": [1]`, `"key": [2]`), want: "no"},
		"a name besides":               {old: with(func(b *penstock.Table) { b.Name, b.Columns[1].Name = "u", "b" }), told: told, want: "x"},
		"varchar to text":              {old: with(func(b *penstock.Table) { b.Columns[1].SourceType = "character varying(10)" }), told: told, want: "x"},
		"cidr to text":                 {old: with(func(b *penstock.Table) { b.Columns[1].SourceType = "cidr" }), told: told, want: "no"},
		"a type of another name":       {old: with(func(b *penstock.Table) { b.Columns[1].SourceType = "public.mood" }), told: swap(`"ALTER TABLE"`, `"ALTER TYPE"`), want: "x"},
		"a column dropped":             {old: with(func(b *penstock.Table) { b.Columns[1].ID = 3 }), told: swap(`"number": 2`, `"number": 3`), want: "x"},
		"a column in the middle":       {old: with(func(b *penstock.Table) { b.Columns[1].ID = 9 }), told: told, want: "x"},
		"int to bigint, unseen":        {old: before, told: swap(id, `{"typ": "20", "name": "id"`), want: "no"},
		"new partition":                {old: with(func(b *penstock.Table) { b.Parts = "1/1" }), told: swap(`"parts": ""`, `"parts": "1/1 2/2"`), want: "no"},
		"new partition that was empty": {old: with(func(b *penstock.Table) { b.Parts = "1/1" }), told: strings.Replace(swap(`"parts": ""`, `"parts": "1/1 2/2"`), `"tag"`, `"created": ["2"], "tag"`, 1), want: "x"},
		"partition gone":               {old: with(func(b *penstock.Table) { b.Parts = "1/1 2/2" }), told: swap(`"parts": ""`, `"parts": "1/1"`), want: "no"},
		"partition truncated":          {old: with(func(b *penstock.Table) { b.Parts = "1/1" }), told: swap(`"parts": ""`, `"parts": "1/2"`), want: "no"},
	} {
		m, err := parseDDL([]byte(c.told))
		if err != nil {
			t.Fatal(err)
		}
		types := newTypeCache()
		r := m.shapes(types)[0]
		a, ok := alteration(&c.old, &r, c.how, &m, types)
		got := "no"
		if ok {
			got = "-"
			if last := len(a.New.Columns) - 1; a.Fill != nil && !a.Fill.Vectors[last].IsNull(0) {
				got = a.Fill.Vectors[last].Text(0)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q (%+v)", name, got, c.want, r.table)
		}
	}

	// A wider type, of a statement that is known to have no USING.
	m, err := parseDDL([]byte(swap(id, `{"typ": "20", "name": "id"`)))
	if err != nil {
		t.Fatal(err)
	}
	m.Attributes = m.Attributes[:2]
	types := newTypeCache()
	r := m.shapes(types)[0]
	var how rewrite
	how.add(1, &ddlMessage{Reason: rewriteType, Plain: true})
	if a, ok := alteration(&before, &r, how, &m, types); !ok || a.New.Columns[0].Type.Kind != penstock.TypeInt64 {
		t.Errorf("integer to bigint: %+v, %v", a.New, ok)
	}
	how.add(1, &ddlMessage{Reason: rewriteType})
	if _, ok := alteration(&before, &r, how, &m, types); ok {
		t.Error("integer to bigint by a statement that may have USING is made in place")
	}
	if how.add(2, &ddlMessage{Reason: 1}); how.computed || how.retyped {
		t.Error("what holds for a transaction holds for the next")
	}
}

func TestBeforeHeader(t *testing.T) {
	t.Parallel()
	for at, want := range map[lsn]lsn{0x2000018: 0x2000000, 0x2000028: 0x2000000, 0x2002018: 0x2002000, 0x2002019: 0x2002019, 0x2002000: 0x2002000, 0x2001fff: 0x2001fff} {
		if got := at.beforeHeader(); got != want {
			t.Errorf("%s becomes %s, want %s", at, got, want)
		}
	}
}
