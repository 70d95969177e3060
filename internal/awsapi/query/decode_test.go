package query

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"penstock/internal/awsapi/fault"
)

var testInput = Structure(
	Required("Name", &Shape{Kind: KindText, Min: 1, Max: 5, Pattern: WholeMatch(`[a-z]*`), Rule: "must be lower case"}),
	Optional("Note", Text()),
	Optional("Count", Integer(1, 9)),
	Optional("Words", List("member", Text())),
	Optional("Tags", List("Tag", Structure(Required("Key", Text()), Optional("Value", Text())))),
	Optional("Filters", List("Filter", Structure(Required("Name", Text()), Optional("Values", List("Value", Text()))))),
	Optional("Context", Map()),
	Optional("Flag", Boolean()),
	Optional("At", Time()),
)

// show writes a decoded value as text, for comparison.
func show(v Value) string {
	switch v.kind {
	case KindText:
		return fmt.Sprintf("%q", v.text)
	case KindInteger:
		return fmt.Sprint(v.number)
	case KindBoolean:
		return fmt.Sprint(v.number != 0)
	case KindTime:
		return FormatTime(v.time)
	case KindList:
		var parts []string
		for _, item := range v.list {
			parts = append(parts, show(item))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case KindMap:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(v.entries)) {
			parts = append(parts, key+":"+v.entries[key])
		}
		return "map[" + strings.Join(parts, " ") + "]"
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(v.fields)) {
		parts = append(parts, name+"="+show(v.fields[name]))
	}
	return "{" + strings.Join(parts, " ") + "}"
}

func decode(raw string) (Value, []string, error) {
	params, err := ParseForm(raw)
	if err != nil {
		return Value{}, nil, err
	}
	return Decode(params, testInput)
}

func TestDecode(t *testing.T) {
	t.Parallel()
	tests := []struct{ raw, want string }{
		{"Name=a", `{Name="a"}`},
		{"&&Name=a&", `{Name="a"}`},
		{"Name=a&Note", `{Name="a" Note=""}`},
		{"Name=a&Note=x+y%2Bz%3D", `{Name="a" Note="x y+z="}`},
		{"Name=a&Note=a=b", `{Name="a" Note="a=b"}`},
		{"Name=a&Note=%E1%88%B4", `{Name="a" Note="ሴ"}`},
		{"Name=a&Count=9", `{Count=9 Name="a"}`},
		{"Name=a&Words=", `{Name="a" Words=[]}`},
		{"Name=a&Words.member.2=y&Words.member.1=x", `{Name="a" Words=["x" "y"]}`},
		{"Name=a&Words.member.1=x&Words.member.2=x", `{Name="a" Words=["x" "x"]}`},
		{"Name=a&Tags=", `{Name="a" Tags=[]}`},
		{"Name=a&Tags.Tag.1.Key=k&Tags.Tag.1.Value=v&Tags.Tag.2.Key=l", `{Name="a" Tags=[{Key="k" Value="v"} {Key="l"}]}`},
		{"Name=a&Tags.member.1.Key=k", `{Name="a" Tags=[{Key="k"}]}`},
		{
			"Name=a&Filters.Filter.1.Name=n&Filters.Filter.1.Values.Value.1=v&Filters.Filter.1.Values.Value.2=w",
			`{Filters=[{Name="n" Values=["v" "w"]}] Name="a"}`,
		},
		{"Name=a&Context=", `{Context=map[] Name="a"}`},
		{"Name=a&Flag=true", `{Flag=true Name="a"}`},
		{"Name=a&Flag=FALSE", `{Flag=false Name="a"}`},
		{"Name=a&At=2026-01-02T03:04:05Z", `{At=2026-01-02T03:04:05.000Z Name="a"}`},
		{"Name=a&At=2026-01-02T03:04:05.678%2B01:00", `{At=2026-01-02T02:04:05.678Z Name="a"}`},
		{"Name=a&At=2026-01-02T03:04Z", `{At=2026-01-02T03:04:00.000Z Name="a"}`},
		{"Name=a&At=2026-01-02T03:04:05", `{At=2026-01-02T03:04:05.000Z Name="a"}`},
		{"Name=a&At=2026-01-02", `{At=2026-01-02T00:00:00.000Z Name="a"}`},
		{
			"Name=a&Context.entry.1.key=k&Context.entry.1.value=v&Context.entry.2.key=l&Context.entry.2.value=",
			`{Context=map[k:v l:] Name="a"}`,
		},
		{"Name=a&Tags.Tag.1.Key=k&Tags.Tag.1.Color=red&Later.member.1=x&X-Y=z", `{Name="a" Tags=[{Key="k"}]} unknown [Later Tags.Tag.1.Color X-Y]`},
		{"Name=a&" + eleven("member"), `{Name="a" Words=["1" "2" "3" "4" "5" "6" "7" "8" "9" "10" "11"]}`},
	}
	for _, test := range tests {
		t.Run(test.raw, func(t *testing.T) {
			t.Parallel()
			v, unknown, err := decode(test.raw)
			if err != nil {
				t.Fatal(err)
			}
			got := show(v)
			if len(unknown) > 0 {
				got += fmt.Sprintf(" unknown %v", unknown)
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// eleven returns a list long enough that text order is not number order.
func eleven(item string) string {
	var parts []string
	for i := 11; i > 0; i-- {
		parts = append(parts, fmt.Sprintf("Words.%s.%d=%d", item, i, i))
	}
	return strings.Join(parts, "&")
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		raw  string
		want fault.Code
		says string
	}{
		{"", fault.MissingParameter, "Name"},
		{"Name=", fault.InvalidParameterValue, "must not be blank"},
		{"Name=abcdef", fault.InvalidParameterValue, "at most 5"},
		{"Name=A", fault.InvalidParameterValue, "must be lower case"},
		{"Name=a&Name=a", fault.InvalidQueryParameter, "more than once"},
		{"Name=a&Later=x&Later=y", fault.InvalidQueryParameter, "more than once"},
		{"Name.x=a", fault.InvalidQueryParameter, "single value"},
		{"Name=a&Name.x=a", fault.InvalidQueryParameter, "single value"},
		{"Name=%", fault.MalformedQueryString, "percent"},
		{"Name=%zz", fault.MalformedQueryString, "percent"},
		{"Name=a&=x", fault.InvalidQueryParameter, "not well-formed"},
		{"Name=a&%FF=x", fault.InvalidQueryParameter, "not well-formed"},
		{"Name=a&a..b=x", fault.InvalidQueryParameter, "not well-formed"},
		{"Name=a&a%20b=x", fault.InvalidQueryParameter, "not well-formed"},
		{"Name=a&" + strings.Repeat("a.", 20) + "a=x", fault.InvalidQueryParameter, "not well-formed"},
		{"Name=a&" + strings.Repeat("a", 300) + "=x", fault.InvalidQueryParameter, "not well-formed"},
		{strings.Repeat("a=&", 2001), fault.InvalidQueryParameter, "more than 2000"},
		{"Name=a&Note=%ff", fault.InvalidParameterValue, "Note is not valid UTF-8"},
		{"Name=a&Note=%ED%A0%80", fault.InvalidParameterValue, "UTF-8"},
		{"Name=a&Note=x%00", fault.InvalidParameterValue, "U+0000"},
		{"Name=a&Note=%EF%BF%BF", fault.InvalidParameterValue, "U+FFFF"},
		{"Name=a&Count=0", fault.InvalidParameterValue, "between 1 and 9"},
		{"Name=a&Count=1e1", fault.InvalidParameterValue, "integer"},
		{"Name=a&Count=99999999999999999999", fault.InvalidParameterValue, "integer"},
		{"Name=a&Words=x", fault.InvalidQueryParameter, "Words.member.1"},
		{"Name=a&Words=&Words.member.1=x", fault.InvalidQueryParameter, "is a list"},
		{"Name=a&Words.1=x", fault.InvalidQueryParameter, "Words.member.1"},
		{"Name=a&Words.member=x", fault.InvalidQueryParameter, "numbered"},
		{"Name=a&Words.member.0=x", fault.InvalidQueryParameter, "Words.member.0"},
		{"Name=a&Words.member.01=x", fault.InvalidQueryParameter, "Words.member.01"},
		{"Name=a&Words.member.-1=x", fault.InvalidQueryParameter, "Words.member.-1"},
		{"Name=a&Words.member.x=x", fault.InvalidQueryParameter, "Words.member.x"},
		{"Name=a&Words.member.2=x", fault.InvalidQueryParameter, "gap"},
		{"Name=a&Words.member.1=x&Words.member.3=x", fault.InvalidQueryParameter, "gap"},
		{"Name=a&Words.member.4000000000=x", fault.InvalidQueryParameter, "gap"},
		{"Name=a&Words.member.1=x&Words.member.1=y", fault.InvalidQueryParameter, "more than once"},
		{"Name=a&Words.member.1.x=x", fault.InvalidQueryParameter, "single value"},
		{"Name=a&Tags.Tag.1.Key=x&Tags.member.1.Key=x", fault.InvalidQueryParameter, "Tags.Tag.1"},
		{"Name=a&Tags.Tag.1=x", fault.InvalidQueryParameter, "structure"},
		{"Name=a&Tags.Tag.1.Value=x", fault.MissingParameter, "Tags.Tag.1.Key"},
		{"Name=a&Context.entry.1.key=x", fault.MissingParameter, "Context.entry.1.value"},
		{"Name=a&Context.entry.1.value=x", fault.MissingParameter, "Context.entry.1.key"},
		{"Name=a&Context.k=x", fault.InvalidQueryParameter, "Context.entry.1"},
		{"Name=a&Flag=yes", fault.InvalidParameterValue, "true or false"},
		{"Name=a&At=yesterday", fault.InvalidParameterValue, "ISO 8601"},
		{"Name=a&At=1700000000", fault.InvalidParameterValue, "ISO 8601"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%.60s", test.raw), func(t *testing.T) {
			t.Parallel()
			_, _, err := decode(test.raw)
			var e *fault.Error
			if !errors.As(err, &e) || e.Code != test.want || !strings.Contains(e.Message, test.says) {
				t.Errorf("got %v\nwant %s saying %q", err, test.want.Name, test.says)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("Name=a&Note=x+y%2B&Count=3&Words.member.1=x&Tags.Tag.1.Key=k&Tags=")
	f.Add("Name=a&Filters.Filter.1.Name=n&Filters.Filter.1.Values.Value.1=v&Context.entry.1.key=k&Context.entry.1.value=v")
	f.Add("Name=%ff&&=&Words.member.9=%zz")
	f.Add("Name=a&Flag=true&At=2026-01-02T03:04:05Z")
	f.Fuzz(func(t *testing.T, raw string) {
		v, _, err := decode(raw)
		if err != nil {
			var e *fault.Error
			if !errors.As(err, &e) || e.Code.Status >= 500 {
				t.Fatalf("%v", err)
			}
			return
		}
		if name := v.Text("Name"); name == "" || len(name) > 5 {
			t.Fatalf("the shape does not hold: %s", show(v))
		}
		if n := v.Integer("Count"); v.Has("Count") && (n < 1 || n > 9) {
			t.Fatalf("the shape does not hold: %s", show(v))
		}
		// What was decoded can be sent back, in either protocol.
		if _, err := Reply("urn:x", "X", "id", v, testInput); err != nil {
			t.Fatal(err)
		}
		if _, err := ReplyJSON("X", v, testInput); err != nil {
			t.Fatal(err)
		}
	})
}
