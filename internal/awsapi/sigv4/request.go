package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
)

// Request is what a signature covers, as it was on the wire.
type Request struct {
	Method   string
	Path     string // still escaped, as sent
	RawQuery string // still escaped, as sent
	Host     string
	Header   http.Header
	BodyHash string // lower-case hex SHA-256 of the body as received
}

// NewRequest returns the Request that r and its body are. r.Body is not used.
func NewRequest(r *http.Request, body []byte) Request {
	path, rawQuery := r.URL.EscapedPath(), r.URL.RawQuery
	if r.RequestURI != "" {
		// The URL has been through a parser that mends what it reads; a
		// signature covers the bytes before that.
		path, rawQuery, _ = strings.Cut(originForm(r.RequestURI), "?")
	}
	header := r.Header
	if r.ContentLength >= 0 && header.Get("Content-Length") == "" {
		header = header.Clone()
		header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	return Request{
		Method:   r.Method,
		Path:     path,
		RawQuery: rawQuery,
		Host:     r.Host,
		Header:   header,
		BodyHash: HashBody(body),
	}
}

// HashBody returns the hash of a body in the form that Request wants it.
func HashBody(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// originForm takes scheme and host off a request target that a proxy was
// meant to see.
func originForm(target string) string {
	if strings.HasPrefix(target, "/") {
		return target
	}
	if _, rest, ok := strings.Cut(target, "://"); ok {
		if i := strings.IndexAny(rest, "/?"); i >= 0 {
			return rest[i:]
		}
		return "/"
	}
	return target
}
