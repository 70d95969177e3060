package query

import (
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"penstock/internal/awsapi/fault"
)

var testOutput = Structure(
	Required("Name", Text()),
	Optional("At", Time()),
	Optional("Context", Map()),
	Optional("Tags", List("Tag", Structure(Required("Key", Text())))),
)

func TestReply(t *testing.T) {
	t.Parallel()
	value := StructureValue(Fields{
		"Name":    TextValue(`<a> & "b" ]]>` + "\xff\x00"),
		"At":      TimeValue(time.Date(2026, 1, 2, 3, 4, 5, 6_999_999, time.FixedZone("", -3600))),
		"Context": MapValue(map[string]string{"b": "2", "a": "1"}),
		"Tags":    ListValue([]Value{StructureValue(Fields{"Key": TextValue("k")})}),
	})
	got, err := Reply("http://x/?a&b", "DoIt", "id", value, testOutput)
	if err != nil {
		t.Fatal(err)
	}
	want := `<DoItResponse xmlns="http://x/?a&amp;b">
  <DoItResult>
    <Name>&lt;a&gt; &amp; &#34;b&#34; ]]&gt;` + "\uFFFD\uFFFD" + `</Name>
    <At>2026-01-02T04:04:05.006Z</At>
    <Context>
      <entry>
        <key>a</key>
        <value>1</value>
      </entry>
      <entry>
        <key>b</key>
        <value>2</value>
      </entry>
    </Context>
    <Tags>
      <Tag>
        <Key>k</Key>
      </Tag>
    </Tags>
  </DoItResult>
  <ResponseMetadata>
    <RequestId>id</RequestId>
  </ResponseMetadata>
</DoItResponse>
`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestReplyOfAnotherShape(t *testing.T) {
	t.Parallel()
	tests := map[string]Fields{
		"lacks a member":   {},
		"has another":      {"Name": TextValue("a"), "Other": TextValue("b")},
		"of another kind":  {"Name": ListValue(nil)},
		"in a list":        {"Name": TextValue("a"), "Tags": ListValue([]Value{TextValue("k")})},
		"in an element":    {"Name": TextValue("a"), "Tags": ListValue([]Value{StructureValue(nil)})},
		"map that is text": {"Name": TextValue("a"), "Context": TextValue("b")},
	}
	for name, fields := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if b, err := Reply("", "DoIt", "id", StructureValue(fields), testOutput); err == nil {
				t.Errorf("no error, but\n%s", b)
			}
		})
	}
}

func TestErrorReply(t *testing.T) {
	t.Parallel()
	body := ErrorReply("urn:x", "id", fault.SignatureDoesNotMatch.Errorf("a\nb\r<c>\x01"))
	var got struct {
		Error     struct{ Type, Code, Message string }
		RequestId string
	}
	if err := xml.Unmarshal(body, &got); err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
	if got.Error.Type != "Sender" || got.Error.Code != "SignatureDoesNotMatch" || got.Error.Message != "a\nb\r<c>\uFFFD" || got.RequestId != "id" {
		t.Errorf("got %+v", got)
	}
	if !strings.Contains(string(ErrorReply("", "id", fault.Internal(nil))), "<Type>Receiver</Type>") {
		t.Error("an internal failure is not the receiver's")
	}
}

func TestUnknownMemberPanics(t *testing.T) {
	t.Parallel()
	v, _, err := decode("Name=a")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a name that the shape does not have is accepted")
		}
	}()
	v.Text("Naem")
}
