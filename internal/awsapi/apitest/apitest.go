package apitest

import (
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/sigv4"
)

// Update writes the golden files anew.
var Update = flag.Bool("update", false, "write the golden files anew")

// The account, the region, and the access key that may do everything.
const (
	Account   = "123456789012"
	Region    = "us-east-1"
	KeyID     = "penstock"
	KeySecret = "not-to-be-seen-anywhere"
	CallerARN = "arn:aws:iam::" + Account + ":user/" + KeyID
)

// Serve starts a server of the services until the test ends. more are access
// keys beside the one that may do everything.
func Serve(t testing.TB, services []awsapi.Service, more ...awsapi.AccessKey) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(awsapi.New(awsapi.Config{
		Region: Region, Account: Account,
		AccessKeys: append([]awsapi.AccessKey{{ID: KeyID, Secret: KeySecret}}, more...),
		Logger:     slog.New(slog.DiscardHandler),
	}, services...))
	t.Cleanup(server.Close)
	return server
}

// Call is a request to send.
type Call struct {
	Service string // signing name
	Target  string // X-Amz-Target, for a service that speaks JSON
	Body    string
	KeyID   string // "" is KeyID
	Secret  string // "" is KeySecret
}

// Reply is what a server answered.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// Send signs a call and sends it.
func Send(t testing.TB, server *httptest.Server, c Call) Reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL, strings.NewReader(c.Body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.Target != "" {
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", c.Target)
	}
	credentials := aws.Credentials{AccessKeyID: KeyID, SecretAccessKey: KeySecret}
	if c.KeyID != "" {
		credentials = aws.Credentials{AccessKeyID: c.KeyID, SecretAccessKey: c.Secret}
	}
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, sigv4.HashBody([]byte(c.Body)), c.Service, Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return Reply{answer.StatusCode, answer.Header, strings.TrimSpace(string(text))}
}

// Golden holds a reply against testdata/<name>.golden: the status, the content
// type and the body, with the request ID taken out.
func Golden(t *testing.T, name string, r Reply) {
	t.Helper()
	requestID := r.Header.Get("x-amzn-RequestId")
	if n := strings.Count(r.Body, requestID); len(requestID) != 36 || n != 1 && strings.HasPrefix(r.Body, "<") {
		t.Errorf("request id %q is in the body %d times", requestID, n)
	}
	got := strconv.Itoa(r.Status) + " " + r.Header.Get("Content-Type") + "\n" + strings.ReplaceAll(r.Body, requestID, "REQUEST-ID") + "\n"
	file := filepath.Join("testdata", name+".golden")
	if *Update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
