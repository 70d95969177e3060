package sigv4

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"pgregory.net/rapid"
)

// TestSignedBySDK: whatever request the SDK signs is accepted as it came over
// the wire, and refused when one thing of it is another.
func TestSignedBySDK(t *testing.T) {
	t.Parallel()
	arrived := make(chan Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		arrived <- NewRequest(r, body)
	}))
	t.Cleanup(server.Close)
	text := rapid.StringMatching(`[a-zA-Zé0-9 +&=%/~.-]{0,8}`)
	rapid.Check(t, func(t *rapid.T) {
		query := url.Values{}
		for range rapid.IntRange(0, 4).Draw(t, "parameters") {
			query.Add("p"+text.Draw(t, "name"), text.Draw(t, "value"))
		}
		body := text.Draw(t, "body")
		// The SDK writes a space as %20; both spellings mean the same.
		target := server.URL + "/" + rapid.StringMatching(`([a-z]{1,3}/){0,2}[a-z]{0,3}`).Draw(t, "path") + "?" + strings.ReplaceAll(query.Encode(), "+", "%20")
		r, err := http.NewRequest(rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "method"), target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Extra", strings.TrimSpace(rapid.StringMatching(`[a-z ]{0,8}`).Draw(t, "header")))
		c := credentials()
		if err := v4.NewSigner().SignHTTP(context.Background(), c, r, HashBody([]byte(body)), "rds", "us-east-1", testTime); err != nil {
			t.Fatal(err)
		}
		reply, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		reply.Body.Close()
		got := <-arrived
		if _, err := verifier(testTime).Verify(got); err != nil {
			t.Fatalf("%s %s: %v", got.Method, target, err)
		}
		change := rapid.SampledFrom([]string{"method", "path", "query", "body", "header", "host"}).Draw(t, "change")
		switch change {
		case "method":
			got.Method += "X"
		case "path":
			got.Path += "/x"
		case "query":
			got.RawQuery += "&x=y"
		case "body":
			got.BodyHash = HashBody([]byte(body + "x"))
		case "header":
			got.Header.Set("X-Extra", got.Header.Get("X-Extra")+"x")
		case "host":
			got.Host += "x"
		}
		if _, err := verifier(testTime).Verify(got); err == nil {
			t.Fatalf("%s %s: accepted with another %s", got.Method, target, change)
		}
	})
}
