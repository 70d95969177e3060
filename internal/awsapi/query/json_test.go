package query

import (
	"errors"
	"testing"

	"penstock/internal/awsapi/fault"
)

// FuzzDecodeJSON: whatever is sent is decoded into its shape, and can be
// encoded again, or it is refused as the client's fault.
func FuzzDecodeJSON(f *testing.F) {
	shape := Structure(
		Required("Name", &Shape{Kind: KindText, Min: 1, Max: 5}),
		Optional("Count", Integer(1, 9)),
		Optional("Flag", Boolean()),
		Optional("At", Time()),
		Optional("Words", List("member", Text())),
		Optional("Inner", Structure(Optional("Key", Text()))),
	)
	for _, body := range []string{
		``, `{}`, `{"Name":"a"}`, `{"Name":"a","Count":3,"Flag":true,"At":"2026-01-02T03:04:05Z","Words":["x"],"Inner":{"Key":"k"},"More":[1]}`,
		`{"Name":null}`, `{"Name":"\ud800"}`, `[`, `{"Count":1e300}`, "{\"Name\":\"\xff\"}",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, _, err := DecodeJSON(body, shape)
		if err != nil {
			var e *fault.Error
			if !errors.As(err, &e) || e.Code.Status != 400 {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		if _, err := ReplyJSON("X", v, shape); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
	})
}
