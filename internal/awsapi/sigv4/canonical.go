package sigv4

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// canonicalRequest returns the text whose hash is signed. The query of r has
// been parsed before without an error.
func canonicalRequest(r Request, s signature) string {
	ps, _ := parseQuery(r.RawQuery)
	var b strings.Builder
	b.WriteString(r.Method)
	b.WriteByte('\n')
	b.WriteString(canonicalPath(r.Path))
	b.WriteByte('\n')
	b.WriteString(canonicalQuery(ps, s.presigned))
	b.WriteByte('\n')
	for _, name := range s.signedHeaders {
		b.WriteString(name)
		b.WriteByte(':')
		b.WriteString(headerValue(r, name))
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	b.WriteString(strings.Join(s.signedHeaders, ";"))
	b.WriteByte('\n')
	b.WriteString(r.BodyHash)
	return b.String()
}

// canonicalPath normalises a path as sent, still escaped, and escapes it once
// more: "." and ".." are resolved and repeated slashes become one.
func canonicalPath(path string) string {
	var kept []string
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "", ".":
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		default:
			kept = append(kept, escape(segment))
		}
	}
	canonical := "/" + strings.Join(kept, "/")
	if len(kept) > 0 && strings.HasSuffix(path, "/") {
		canonical += "/"
	}
	return canonical
}

// canonicalQuery returns the parameters sorted by their escaped name, then
// value. The signature itself is none of what a presigned URL signs.
func canonicalQuery(ps params, presigned bool) string {
	escaped := make([]param, 0, len(ps))
	for _, p := range ps {
		if presigned && p.name == "X-Amz-Signature" {
			continue
		}
		escaped = append(escaped, param{escape(p.name), escape(p.value)})
	}
	slices.SortFunc(escaped, func(a, b param) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
	})
	var b strings.Builder
	for i, p := range escaped {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name)
		b.WriteByte('=')
		b.WriteString(p.value)
	}
	return b.String()
}

// headerValue returns a signed header's values joined by commas, each with
// runs of blanks made one. A header that did not arrive is empty.
func headerValue(r Request, name string) string {
	if name == "host" {
		return r.Host
	}
	values := slices.Clone(r.Header.Values(name))
	for i, v := range values {
		values[i] = strings.Join(strings.FieldsFunc(v, func(c rune) bool { return c == ' ' || c == '\t' }), " ")
	}
	return strings.Join(values, ",")
}

// escape percent-encodes every byte but the unreserved ones of RFC 3986.
func escape(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}

func stringToSign(s signature, canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	return algorithm + "\n" + s.time.Format(timeFormat) + "\n" + s.scope() + "\n" + hex.EncodeToString(sum[:])
}

// sign returns the signature of a string to sign.
func sign(secret string, s signature, text string) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.date, s.region, s.service, s.terminator, text} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return key
}
