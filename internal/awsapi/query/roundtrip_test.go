package query

import (
	"fmt"
	"net/url"
	"testing"

	"pgregory.net/rapid"
)

// TestFormRoundTrip: what a client serializes, in whatever order its
// parameters are, is what is decoded.
func TestFormRoundTrip(t *testing.T) {
	t.Parallel()
	text := rapid.StringMatching(`[a-zé +&=%.]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		params := map[string]string{"Name": rapid.StringMatching(`[a-z]{1,5}`).Draw(t, "name")}
		want := Fields{"Name": TextValue(params["Name"])}
		if rapid.Bool().Draw(t, "has words") {
			words := rapid.SliceOfN(text, 0, 12).Draw(t, "words")
			var list []Value
			for i, w := range words {
				params[fmt.Sprintf("Words.member.%d", i+1)] = w
				list = append(list, TextValue(w))
			}
			if len(words) == 0 {
				params["Words"] = ""
			}
			want["Words"] = ListValue(list)
		}
		if tags := rapid.SliceOfN(text, 0, 4).Draw(t, "tags"); len(tags) > 0 {
			item := rapid.SampledFrom([]string{"Tag", "member"}).Draw(t, "item")
			var list []Value
			for i, tag := range tags {
				params[fmt.Sprintf("Tags.%s.%d.Key", item, i+1)] = tag
				list = append(list, StructureValue(Fields{"Key": TextValue(tag)}))
			}
			want["Tags"] = ListValue(list)
		}
		if pairs := rapid.MapOfN(text, text, 0, 4).Draw(t, "context"); len(pairs) > 0 {
			i := 0
			for k, v := range pairs { // in any order
				i++
				params[fmt.Sprintf("Context.entry.%d.key", i)], params[fmt.Sprintf("Context.entry.%d.value", i)] = k, v
			}
			want["Context"] = MapValue(pairs)
		}
		raw := ""
		for name, value := range params { // in any order
			raw += "&" + url.QueryEscape(name) + "=" + url.QueryEscape(value)
		}
		got, unknown, err := decode(raw)
		if err != nil || len(unknown) > 0 || show(got) != show(StructureValue(want)) {
			t.Fatalf("%s\ngot  %s, %v, %v\nwant %s", raw, show(got), unknown, err, show(StructureValue(want)))
		}
	})
}
