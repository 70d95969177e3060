package sigv4

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"penstock/internal/awsapi/fault"
)

// vectorsEnv names the folder of the published Signature Version 4 test suite:
// one folder per case.
const vectorsEnv = "PENSTOCK_SIGV4_VECTORS"

type vectorContext struct {
	Credentials struct {
		AccessKeyID     string `json:"access_key_id"`
		SecretAccessKey string `json:"secret_access_key"`
		Token           string `json:"token"`
	} `json:"credentials"`
	Normalize bool      `json:"normalize"`
	Region    string    `json:"region"`
	Service   string    `json:"service"`
	Timestamp time.Time `json:"timestamp"`
}

func TestVectors(t *testing.T) {
	t.Parallel()
	dir := os.Getenv(vectorsEnv)
	if dir == "" {
		t.Skipf("SKIPPED: %s does not name the folder of the SigV4 test suite", vectorsEnv)
	}
	contexts, err := filepath.Glob(filepath.Join(dir, "*", "context.json"))
	if err != nil || len(contexts) == 0 {
		t.Fatalf("%s=%s holds no cases: %v", vectorsEnv, dir, err)
	}
	for _, file := range contexts {
		for _, form := range []string{"header", "query"} {
			t.Run(filepath.Base(filepath.Dir(file))+"/"+form, func(t *testing.T) {
				t.Parallel()
				testVector(t, filepath.Dir(file), form)
			})
		}
	}
}

func testVector(t *testing.T, dir, form string) {
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n")
	}
	var c vectorContext
	if err := json.Unmarshal([]byte(read("context.json")), &c); err != nil {
		t.Fatal(err)
	}
	r := parseRequestText(t, read(form+"-signed-request.txt"))
	v := Verifier{
		Region:   c.Region,
		Services: []string{c.Service},
		Secret: func(id string) (string, bool) {
			return c.Credentials.SecretAccessKey, id == c.Credentials.AccessKeyID
		},
		Now: func() time.Time { return c.Timestamp },
	}
	_, err := v.Verify(r)
	if c.Credentials.Token != "" {
		wantCode(t, err, fault.InvalidClientTokenID)
		return
	}
	wantCanonical := read(form + "-canonical-request.txt")
	if !c.Normalize && canonicalPath(r.Path) != strings.Split(wantCanonical, "\n")[1] {
		// Signed by the rules of S3, which does not normalise paths.
		wantCode(t, err, fault.SignatureDoesNotMatch)
		return
	}
	s, parseErr := parse(r)
	if parseErr != nil {
		t.Fatal(parseErr)
	}
	canonical := canonicalRequest(r, s)
	if canonical != wantCanonical {
		t.Errorf("canonical request\n%s\nwant\n%s", canonical, wantCanonical)
	}
	if got, want := stringToSign(s, canonical), read(form+"-string-to-sign.txt"); got != want {
		t.Errorf("string to sign\n%s\nwant\n%s", got, want)
	}
	if err != nil {
		t.Error(err)
	}
}

// parseRequestText reads a request as the suite writes it, which net/http
// would refuse: blanks in the target, folded headers.
func parseRequestText(t *testing.T, text string) Request {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.ReplaceAll(strings.TrimRight(head, "\n"), "\n ", " "), "\n")
	method, rest, _ := strings.Cut(lines[0], " ")
	target := strings.TrimSuffix(rest, " HTTP/1.1")
	r := Request{Method: method, Header: http.Header{}, BodyHash: HashBody([]byte(strings.TrimSuffix(body, "\n")))}
	r.Path, r.RawQuery, _ = strings.Cut(target, "?")
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			t.Fatalf("not a header: %q", line)
		}
		if strings.EqualFold(name, "host") {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	return r
}
