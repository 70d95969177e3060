package sigv4

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"penstock/internal/awsapi/fault"
)

const (
	testKey    = "AKIDTEST"
	testSecret = "a-very-secret-word"
	testBody   = "Action=DescribeIntegrations&Version=2014-10-31"
)

var testTime = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func verifier(now time.Time) Verifier {
	return Verifier{
		Region:   "us-east-1",
		Services: []string{"rds", "sts"},
		Secret:   func(id string) (string, bool) { return testSecret, id == testKey },
		Now:      func() time.Time { return now },
	}
}

func wantCode(t *testing.T, err error, want fault.Code) {
	t.Helper()
	var e *fault.Error
	if !errors.As(err, &e) || e.Code != want {
		t.Fatalf("error is %v, want %s", err, want.Name)
	}
	if strings.Contains(err.Error(), testSecret) {
		t.Fatalf("the secret is in the message: %v", err)
	}
}

// signed is a request that the SDK's signer has signed, still open to change.
type signed struct {
	*http.Request
	body string
}

func credentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}
}

// sign makes a POST with a signature in its header.
func signHeader(t *testing.T, target string, change ...func(*http.Request, *aws.Credentials)) signed {
	t.Helper()
	r, err := http.NewRequest("POST", target, strings.NewReader(testBody))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	c := credentials()
	for _, f := range change {
		f(r, &c)
	}
	if err := v4.NewSigner().SignHTTP(context.Background(), c, r, HashBody([]byte(testBody)), "rds", "us-east-1", testTime); err != nil {
		t.Fatal(err)
	}
	return signed{r, testBody}
}

// signURL makes a GET with a signature in its query string.
func signURL(t *testing.T, target string, c aws.Credentials) signed {
	t.Helper()
	r, err := http.NewRequest("GET", target, nil)
	if err != nil {
		t.Fatal(err)
	}
	u, header, err := v4.NewSigner().PresignHTTP(context.Background(), c, r, HashBody(nil), "rds", "us-east-1", testTime)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = http.NewRequest("GET", u, nil); err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		if name != "Host" {
			r.Header[name] = values
		}
	}
	return signed{r, ""}
}

// over sends the request through a real connection and returns what the
// server saw.
func (s signed) over(t *testing.T) Request {
	t.Helper()
	seen := make(chan Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- NewRequest(r, body)
	}))
	defer server.Close()
	host := s.Host
	if host == "" {
		host = s.URL.Host
	}
	s.Request.Host = host
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.URL.Host = address.Host
	s.Body = io.NopCloser(bytes.NewReader([]byte(s.body)))
	s.ContentLength = int64(len(s.body))
	reply, err := server.Client().Do(s.Request)
	if err != nil {
		t.Fatal(err)
	}
	reply.Body.Close()
	return <-seen
}

func TestSDKSignatures(t *testing.T) {
	t.Parallel()
	targets := []string{
		"http://rds.example/",
		"http://rds.example:8400/",
		"http://rds.example/a%20b/%E1%88%B4/",
		"http://rds.example/?Action=X&Version=1&Empty=&Text=a%20b%2Bc%2F%7E*%27",
		"http://rds.example/?B=2&A=2&A=1",
	}
	for _, target := range targets {
		t.Run("header "+target, func(t *testing.T) {
			t.Parallel()
			id, err := verifier(testTime).Verify(signHeader(t, target).over(t))
			if err != nil {
				t.Fatal(err)
			}
			if id != (Identity{AccessKeyID: testKey, Service: "rds"}) {
				t.Errorf("identity is %+v", id)
			}
		})
		t.Run("query "+target, func(t *testing.T) {
			t.Parallel()
			id, err := verifier(testTime).Verify(signURL(t, target, credentials()).over(t))
			if err != nil {
				t.Fatal(err)
			}
			if id != (Identity{AccessKeyID: testKey, Service: "rds", Presigned: true}) {
				t.Errorf("identity is %+v", id)
			}
		})
	}
}

func TestRefusedHeader(t *testing.T) {
	t.Parallel()
	replace := func(old, new string) func(*signed) {
		return func(s *signed) {
			s.Header.Set("Authorization", strings.Replace(s.Header.Get("Authorization"), old, new, 1))
		}
	}
	tests := []struct {
		name   string
		change func(*signed)
		want   fault.Code
		says   string
	}{
		{"no authorization", func(s *signed) { s.Header.Del("Authorization") }, fault.MissingAuthenticationToken, "missing"},
		{"another scheme", func(s *signed) { s.SetBasicAuth("a", "b") }, fault.IncompleteSignature, "must begin with"},
		{"asymmetric", replace("HMAC-SHA256", "ECDSA-P256-SHA256"), fault.IncompleteSignature, "AWS4-HMAC-SHA256"},
		{"no signature", replace("Signature=", "Sig="), fault.IncompleteSignature, "'Signature'"},
		{"no credential", replace("Credential=", "C="), fault.IncompleteSignature, "'Credential'"},
		{"no signed headers", replace("SignedHeaders=", "S="), fault.IncompleteSignature, "'SignedHeaders'"},
		{"not key=value", replace("Signature=", "Signature"), fault.IncompleteSignature, "equal-sign"},
		{"key twice", replace("Signature=", "Credential="), fault.IncompleteSignature, "twice"},
		{"short credential", replace("/aws4_request", ""), fault.IncompleteSignature, "5 slash-separated"},
		{"no key id", replace(testKey, ""), fault.IncompleteSignature, "empty access key"},
		{"host unsigned", replace(";host;", ";"), fault.IncompleteSignature, "'Host'"},
		{"header twice", replace(";host;", ";host;host;"), fault.IncompleteSignature, "twice"},
		{"unknown key", replace(testKey, "AKIDOTHER"), fault.InvalidClientTokenID, "invalid"},
		{"other region", replace("us-east-1", "eu-west-1"), fault.SignatureDoesNotMatch, "'us-east-1', not 'eu-west-1'"},
		{"other service", replace("/rds/", "/s3/"), fault.SignatureDoesNotMatch, "'rds' or 'sts', not 's3'"},
		{"other terminator", replace("aws4_request", "aws5_request"), fault.SignatureDoesNotMatch, "terminator"},
		{"other date", replace("20260304", "20260305"), fault.SignatureDoesNotMatch, "Date in Credential scope"},
		{"other known service", replace("/rds/", "/sts/"), fault.SignatureDoesNotMatch, "String-to-Sign"},
		{"other signature", replace("Signature=", "Signature=00"), fault.SignatureDoesNotMatch, "String-to-Sign"},
		{"not a hex signature", replace("Signature=", "Signature=zz"), fault.SignatureDoesNotMatch, "Canonical String"},
		{"other body", func(s *signed) { s.body += "&MaxRecords=20" }, fault.SignatureDoesNotMatch, "content-length:"},
		{"other body, same length", func(s *signed) { s.body = strings.ToUpper(s.body) }, fault.SignatureDoesNotMatch, "Canonical"},
		{"stated hash is not believed", func(s *signed) {
			s.Header.Set("X-Amz-Content-Sha256", HashBody([]byte(testBody)))
			s.body = strings.ToUpper(s.body)
		}, fault.SignatureDoesNotMatch, "Canonical"},
		{"other host", func(s *signed) { s.Host = "other.example" }, fault.SignatureDoesNotMatch, "host:other.example"},
		{"other method", func(s *signed) { s.Method = "PUT" }, fault.SignatureDoesNotMatch, "PUT\n/"},
		{"other path", func(s *signed) { s.URL.Path = "/x" }, fault.SignatureDoesNotMatch, "POST\n/x\n"},
		{"other query", func(s *signed) { s.URL.RawQuery = "a=b" }, fault.SignatureDoesNotMatch, "a=b"},
		{"broken query", func(s *signed) { s.URL.RawQuery = "a=%zz" }, fault.MalformedQueryString, "percent"},
		{"signed header gone", func(s *signed) { s.Header.Del("Content-Type") }, fault.SignatureDoesNotMatch, "content-type:\n"},
		{"session token", func(s *signed) { s.Header.Set("X-Amz-Security-Token", "t") }, fault.InvalidClientTokenID, "session token"},
		{"no date", func(s *signed) { s.Header.Del("X-Amz-Date") }, fault.IncompleteSignature, "X-Amz-Date"},
		{"date twice", func(s *signed) { s.Header.Add("X-Amz-Date", "20260304T050607Z") }, fault.IncompleteSignature, "more than one"},
		{"not a date", func(s *signed) { s.Header.Set("X-Amz-Date", "yesterday") }, fault.IncompleteSignature, "ISO-8601"},
		{"authorization twice", func(s *signed) { s.Header.Add("Authorization", "x") }, fault.IncompleteSignature, "more than once"},
		{"header and query", func(s *signed) { s.URL.RawQuery = "X-Amz-Signature=x" }, fault.IncompleteSignature, "more than once"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := signHeader(t, "http://rds.example/")
			test.change(&s)
			_, err := verifier(testTime).Verify(s.over(t))
			wantCode(t, err, test.want)
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("message %q does not say %q", err, test.says)
			}
		})
	}
}

func TestRefusedURL(t *testing.T) {
	t.Parallel()
	const target = "http://rds.example/?Action=DescribeIntegrations&Version=2014-10-31"
	set := func(name, value string) func(url.Values) {
		return func(q url.Values) { q.Set(name, value) }
	}
	tests := []struct {
		name   string
		change func(url.Values)
		want   fault.Code
	}{
		{"no signature", func(q url.Values) { q.Del("X-Amz-Signature") }, fault.IncompleteSignature},
		{"no date", func(q url.Values) { q.Del("X-Amz-Date") }, fault.IncompleteSignature},
		{"no algorithm", func(q url.Values) { q.Del("X-Amz-Algorithm") }, fault.IncompleteSignature},
		{"other algorithm", set("X-Amz-Algorithm", "AWS4-HMAC-MD5"), fault.IncompleteSignature},
		{"signature twice", func(q url.Values) { q.Add("X-Amz-Signature", "x") }, fault.IncompleteSignature},
		{"credential twice", func(q url.Values) { q.Add("X-Amz-Credential", "x") }, fault.IncompleteSignature},
		{"bad credential", set("X-Amz-Credential", "x"), fault.IncompleteSignature},
		{"host unsigned", set("X-Amz-SignedHeaders", "date"), fault.IncompleteSignature},
		{"not a date", set("X-Amz-Date", "20260304"), fault.IncompleteSignature},
		{"negative expiry", set("X-Amz-Expires", "-1"), fault.IncompleteSignature},
		{"no expiry", set("X-Amz-Expires", "0"), fault.IncompleteSignature},
		{"expiry of eight days", set("X-Amz-Expires", "691200"), fault.IncompleteSignature},
		{"huge expiry", set("X-Amz-Expires", "99999999999999999999"), fault.IncompleteSignature},
		{"longer expiry than signed", set("X-Amz-Expires", "3600"), fault.SignatureDoesNotMatch},
		{"session token", set("X-Amz-Security-Token", "t"), fault.InvalidClientTokenID},
		{"other action", set("Action", "DeleteIntegration"), fault.SignatureDoesNotMatch},
		{"action added", func(q url.Values) { q.Add("Action", "DeleteIntegration") }, fault.SignatureDoesNotMatch},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := signURL(t, target, credentials())
			q := s.URL.Query()
			test.change(q)
			s.URL.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
			_, err := verifier(testTime).Verify(s.over(t))
			wantCode(t, err, test.want)
		})
	}
}

func TestSessionTokenSigned(t *testing.T) {
	t.Parallel()
	withToken := func(_ *http.Request, c *aws.Credentials) { c.SessionToken = "token" }
	_, err := verifier(testTime).Verify(signHeader(t, "http://rds.example/", withToken).over(t))
	wantCode(t, err, fault.InvalidClientTokenID)
	c := credentials()
	c.SessionToken = "token"
	_, err = verifier(testTime).Verify(signURL(t, "http://rds.example/?Action=X", c).over(t))
	wantCode(t, err, fault.InvalidClientTokenID)
}

func TestTime(t *testing.T) {
	t.Parallel()
	header := signHeader(t, "http://rds.example/").over(t)
	plainURL := signURL(t, "http://rds.example/?Action=X", credentials()).over(t)
	hourURL := signURL(t, "http://rds.example/?Action=X&X-Amz-Expires=3600", credentials()).over(t)
	tests := []struct {
		name    string
		request Request
		late    time.Duration
		ok      bool
	}{
		{"header, 15 min late", header, 15 * time.Minute, true},
		{"header, later", header, 15*time.Minute + time.Second, false},
		{"header, 15 min early", header, -15 * time.Minute, true},
		{"header, earlier", header, -15*time.Minute - time.Second, false},
		{"URL without expiry, 15 min late", plainURL, 15 * time.Minute, true},
		{"URL without expiry, later", plainURL, 15*time.Minute + time.Second, false},
		{"URL of an hour, an hour late", hourURL, time.Hour, true},
		{"URL of an hour, later", hourURL, time.Hour + time.Second, false},
		{"URL of an hour, early", hourURL, -16 * time.Minute, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := verifier(testTime.Add(test.late)).Verify(test.request)
			if test.ok && err != nil {
				t.Fatal(err)
			}
			if !test.ok {
				wantCode(t, err, fault.RequestExpired)
			}
		})
	}
}

func TestUnsignedHeadersDoNotCount(t *testing.T) {
	t.Parallel()
	s := signHeader(t, "http://rds.example/")
	s.Header.Set("X-Forwarded-For", "10.0.0.1")
	s.Header.Set("User-Agent", "something else")
	if _, err := verifier(testTime).Verify(s.over(t)); err != nil {
		t.Fatal(err)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("GET", "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDTEST/20260304/us-east-1/rds/aws4_request"+
		"&X-Amz-Date=20260304T050607Z&X-Amz-SignedHeaders=host&X-Amz-Expires=60&X-Amz-Signature=00", "", "")
	f.Add("POST", "/", "AWS4-HMAC-SHA256 Credential=AKIDTEST/20260304/us-east-1/rds/aws4_request, "+
		"SignedHeaders=host;x-amz-date, Signature=00", "20260304T050607Z")
	f.Add("POST", "/../a/./b//?a=%&b", "AWS4-HMAC-SHA256 ,,=,", "")
	f.Fuzz(func(t *testing.T, method, target, authorization, date string) {
		r := Request{Method: method, Header: http.Header{}, Host: "h", BodyHash: HashBody(nil)}
		r.Path, r.RawQuery, _ = strings.Cut(target, "?")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		if date != "" {
			r.Header.Set("X-Amz-Date", date)
		}
		_, err := verifier(testTime).Verify(r)
		var e *fault.Error
		if !errors.As(err, &e) {
			t.Fatalf("an unsigned request gives %v", err)
		}
		if e.Code.Status >= 500 || strings.Contains(e.Message, testSecret) {
			t.Fatalf("%v", err)
		}
	})
}
