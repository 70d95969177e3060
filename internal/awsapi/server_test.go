package awsapi_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/fault"
	"penstock/internal/awsapi/query"
	"penstock/internal/awsapi/sigv4"
	"penstock/internal/awsapi/sts"
)

const secret = "not-to-be-seen-anywhere"

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// bundle is a server of a service with one action, Echo, and its log.
type bundle struct {
	*httptest.Server
	t   *testing.T
	log *buffer
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// echo returns its parameter, or fails in the way that it names.
func echo(_ context.Context, _ awsapi.Caller, input query.Value) (query.Value, error) {
	switch text := input.Text("Text"); text {
	case "panic":
		panic("inner detail")
	case "error":
		return query.Value{}, errors.New("inner detail")
	case "fault":
		return query.Value{}, fault.AccessDenied.Errorf("no & no")
	case "misfit":
		return query.Value{}, nil
	default:
		return query.StructureValue(query.Fields{"Text": query.TextValue(text)}), nil
	}
}

func setup(t *testing.T) bundle {
	t.Helper()
	return newServer(t, awsapi.Config{})
}

// newServer is setup with a configuration, of which what is not set is as in
// setup.
func newServer(t *testing.T, config awsapi.Config) bundle {
	t.Helper()
	text := query.Structure(query.Required("Text", query.Text()))
	b := bundle{t: t, log: &buffer{}}
	config.Region, config.Account, config.Logger = "us-east-1", "123456789012", slog.New(slog.NewTextHandler(b.log, nil))
	config.AccessKeys = append(config.AccessKeys, awsapi.AccessKey{ID: "other", Secret: "x"}, awsapi.AccessKey{ID: "penstock", Secret: secret})
	if config.Now == nil {
		config.Now = func() time.Time { return now }
	}
	b.Server = httptest.NewServer(awsapi.New(config, awsapi.Service{
		Name: "echo", Version: "v1", Namespace: "urn:echo",
		Actions: []awsapi.Action{{Name: "Echo", Input: text, Output: text, Handle: echo}},
	}, sts.Service()))
	t.Cleanup(b.Close)
	return b
}

type reply struct {
	status  int
	header  http.Header
	text    string
	code    string
	message string
}

// send signs a request for a service with a good key and sends it.
func (b bundle) send(service, method, target, body string, change ...func(*http.Request)) reply {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.URL+target, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	switch {
	case strings.HasPrefix(body, "{"):
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	case body != "":
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	}
	c := aws.Credentials{AccessKeyID: "penstock", SecretAccessKey: secret}
	if err := v4.NewSigner().SignHTTP(b.t.Context(), c, r, sigv4.HashBody([]byte(body)), service, "us-east-1", now); err != nil {
		b.t.Fatal(err)
	}
	for _, f := range change {
		f(r)
	}
	return b.do(r)
}

// sign returns a change of a request that signs it anew with another key, or
// at another time.
func (b bundle) sign(key, secret string, at time.Time) func(*http.Request) {
	return func(r *http.Request) {
		b.t.Helper()
		body, err := r.GetBody()
		if err != nil {
			b.t.Fatal(err)
		}
		text, err := io.ReadAll(body)
		if err != nil {
			b.t.Fatal(err)
		}
		r.Header.Del("Authorization")
		c := aws.Credentials{AccessKeyID: key, SecretAccessKey: secret}
		if err := v4.NewSigner().SignHTTP(b.t.Context(), c, r, sigv4.HashBody(text), "echo", "us-east-1", at); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b bundle) do(r *http.Request) reply {
	b.t.Helper()
	answer, err := b.Client().Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	got := reply{status: answer.StatusCode, header: answer.Header, text: string(text)}
	if answer.StatusCode != 200 && r.Method != http.MethodHead {
		var e struct {
			XMLName   xml.Name `xml:"ErrorResponse"`
			Error     struct{ Type, Code, Message string }
			RequestId string
		}
		if err := xml.Unmarshal(text, &e); err != nil {
			b.t.Fatalf("%v in %s", err, text)
		}
		if e.RequestId == "" || e.RequestId != answer.Header.Get("x-amzn-RequestId") {
			b.t.Errorf("request ids are %q and %q", e.RequestId, answer.Header.Get("x-amzn-RequestId"))
		}
		got.code, got.message = e.Error.Code, e.Error.Message
	}
	return got
}

func TestForms(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, got := range map[string]reply{
		"POST":                 b.send("echo", "POST", "/", "Action=Echo&Version=v1&Text=a+b"),
		"GET":                  b.send("echo", "GET", "/?Action=Echo&Version=v1&Text=a%20b", ""),
		"POST with both":       b.send("echo", "POST", "/?Action=Echo&Version=v1", "Text=a+b"),
		"POST, empty body":     b.send("echo", "POST", "/?Action=Echo&Version=v1&Text=a%20b", ""),
		"another path":         b.send("echo", "POST", "/x/y/", "Action=Echo&Version=v1&Text=a+b"),
		"unknown is ignored":   b.send("echo", "POST", "/", "Action=Echo&Version=v1&Text=a+b&New.member.1=z"),
		"unsigned header":      b.send("echo", "POST", "/", "Action=Echo&Version=v1&Text=a+b", func(r *http.Request) { r.Header.Set("X-Y", "z") }),
		"plus sign in a query": b.send("echo", "GET", "/?Action=Echo&Version=v1&Text=a%20b", "", func(r *http.Request) { r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "%20", "+") }),
	} {
		if got.status != 200 || !strings.Contains(got.text, "<Text>a b</Text>") || got.header.Get("Content-Type") != "text/xml" {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
	if log := b.log.String(); !strings.Contains(log, `parameters=[New]`) {
		t.Errorf("the unknown parameter is not in the log:\n%s", log)
	}
}

func TestPresigned(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, err := http.NewRequest("GET", b.URL+"/?Action=Echo&Version=v1&Text=a%20b&X-Amz-Expires=60", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := aws.Credentials{AccessKeyID: "penstock", SecretAccessKey: secret}
	signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), c, r, sigv4.HashBody(nil), "echo", "us-east-1", now)
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]int{signed: 200, signed + "&Text=c": 403, strings.Replace(signed, "a%20b", "a%20c", 1): 403} {
		r, err := http.NewRequest("GET", target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.do(r); got.status != want {
			t.Errorf("%s: %d %s", target, got.status, got.text)
		}
	}
	if log := b.log.String(); strings.Contains(log, "X-Amz") {
		t.Errorf("the parameters of the signature are in the log:\n%s", log)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	const good = "Action=Echo&Version=v1&Text=a"
	b := setup(t)
	plain := func(method, body string) reply {
		r, err := http.NewRequest(method, b.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		return b.do(r)
	}
	tests := []struct {
		name   string
		got    reply
		status int
		code   string
		says   string
	}{
		{"unsigned", plain("POST", good), 403, "MissingAuthenticationToken", ""},
		{"unsigned GET", plain("GET", ""), 403, "MissingAuthenticationToken", ""},
		{"no action", b.send("echo", "POST", "/", "Version=v1"), 400, "MissingAction", "Action"},
		{"empty body", b.send("echo", "POST", "/", ""), 400, "MissingAction", "Action"},
		{"unknown action", b.send("echo", "POST", "/", "Action=No&Version=v1"), 400, "InvalidAction", "Could not find operation No for version v1"},
		{"other version", b.send("echo", "POST", "/", "Action=Echo&Version=v2&Text=a"), 400, "InvalidAction", "version v2"},
		{"no version", b.send("echo", "POST", "/", "Action=Echo&Text=a"), 400, "InvalidAction", "NO_VERSION_SPECIFIED"},
		{"action of another service", b.send("sts", "POST", "/", good), 400, "InvalidAction", "Echo"},
		{"unknown service", b.send("s3", "POST", "/", good), 403, "SignatureDoesNotMatch", "'echo' or 'sts'"},
		{"action twice", b.send("echo", "POST", "/?Action=Other", good), 400, "InvalidQueryParameter", "Action"},
		{"parameter in both", b.send("echo", "POST", "/?Text=b", good), 400, "InvalidQueryParameter", "Text"},
		{"no parameter", b.send("echo", "POST", "/", "Action=Echo&Version=v1"), 400, "MissingParameter", "Text"},
		{"not UTF-8", b.send("echo", "POST", "/", good+"%ff"), 400, "InvalidParameterValue", "UTF-8"},
		{"bad escape", b.send("echo", "POST", "/", good+"%"), 404, "MalformedQueryString", "percent"},
		{"JSON", b.send("echo", "POST", "/", "{}"), 400, "InvalidQueryParameter", "x-amz-json"},
		{"10 MB", b.send("echo", "POST", "/", good+strings.Repeat("a", 10_000_000)), 413, "RequestEntityTooLarge", "1048576"},
		{"method", b.send("echo", "DELETE", "/", ""), 405, "MethodNotAllowed", "DELETE"},
		{"fault", b.send("echo", "POST", "/", "Action=Echo&Version=v1&Text=fault"), 403, "AccessDenied", "no & no"},
		{"error", b.send("echo", "POST", "/", "Action=Echo&Version=v1&Text=error"), 500, "InternalFailure", ""},
		{"panic", b.send("echo", "POST", "/", "Action=Echo&Version=v1&Text=panic"), 500, "InternalFailure", ""},
		{"reply that does not fit", b.send("echo", "POST", "/", "Action=Echo&Version=v1&Text=misfit"), 500, "InternalFailure", ""},
		{"body changed", b.send("echo", "POST", "/", good, func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(strings.Replace(good, "=a", "=b", 1)))
		}), 403, "SignatureDoesNotMatch", "String-to-Sign"},
	}
	for _, test := range tests {
		if test.got.status != test.status || test.got.code != test.code || !strings.Contains(test.got.message, test.says) {
			t.Errorf("%s: %d %s: %s\nwant %d %s saying %q", test.name, test.got.status, test.got.code, test.got.message, test.status, test.code, test.says)
		}
		if strings.Contains(test.got.text, "inner detail") || strings.Contains(test.got.text, secret) {
			t.Errorf("%s: tells too much: %s", test.name, test.got.text)
		}
	}
	if head := plain("HEAD", ""); head.status != 405 || head.header.Get("Allow") != "GET, POST" {
		t.Errorf("HEAD gives %d %v", head.status, head.header)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.send("echo", "POST", "/", "Action=Echo&Version=v1&Text=some-value")
	b.send("echo", "POST", "/", "Action=Echo&Version=v1&Text=panic")
	b.Close() // waits for the requests, and so for their lines
	lines := strings.Split(strings.TrimSpace(b.log.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines:\n%s", len(lines), b.log)
	}
	for _, want := range []string{"level=INFO", "action=Echo", "access_key=penstock", "authenticated=true", "request_id=", "status=200", "duration="} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("no %s in %s", want, lines[0])
		}
	}
	for _, want := range []string{"level=ERROR", "status=500", "code=InternalFailure", "inner detail", "server_test.go"} {
		if !strings.Contains(lines[1], want) {
			t.Errorf("no %s in %s", want, lines[1])
		}
	}
	for _, not := range []string{secret, "some-value", "Signature"} {
		if strings.Contains(b.log.String(), not) {
			t.Errorf("%s is in the log:\n%s", not, b.log)
		}
	}
}

func TestGetCallerIdentity(t *testing.T) {
	t.Parallel()
	got := setup(t).send("sts", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15")
	for _, want := range []string{
		"https://sts.amazonaws.com/doc/2011-06-15/", "<Account>123456789012</Account>",
		"<Arn>arn:aws:iam::123456789012:user/penstock</Arn>", "<UserId>penstock</UserId>",
	} {
		if got.status != 200 || !strings.Contains(got.text, want) {
			t.Errorf("%d %s\nlacks %s", got.status, got.text, want)
		}
	}
}
