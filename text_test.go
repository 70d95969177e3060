package penstock

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestReplaceInvalidText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SampledFrom([]string{"", "a", "é", "€", "\xff", "\xe2", "\x82\xac", "\xc3", "\xa9", "𐍈"})
		text := NewVector(Type{Kind: TypeText})
		number := NewVector(Type{Kind: TypeInt32})
		var given []string
		for range rapid.IntRange(0, 6).Draw(t, "values") {
			s := strings.Join(rapid.SliceOfN(pieces, 0, 5).Draw(t, "value"), "")
			given = append(given, s)
			text.AppendString(s)
			number.AppendInt32(int32(len(s)))
		}
		text.AppendNull()
		number.AppendNull()
		rows := &Rows{Vectors: []Vector{text, number}}
		rows.ReplaceInvalidText('?')
		for i, s := range given {
			got := rows.Vectors[0].Text(i)
			if !utf8.ValidString(got) || len(got) != len(s) || utf8.ValidString(s) && got != s {
				t.Fatalf("%q becomes %q", s, got)
			}
			if want := strings.ToValidUTF8(s, "\x00"); strings.Count(got, "?") < strings.Count(want, "\x00") {
				t.Fatalf("%q becomes %q", s, got)
			}
			if rows.Vectors[1].Int32(i) != int32(len(s)) {
				t.Fatalf("number %d has changed", i)
			}
		}
		if !rows.Vectors[0].IsNull(len(given)) {
			t.Fatal("NULL is no NULL any more")
		}
	})
}
