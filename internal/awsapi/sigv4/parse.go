package sigv4

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"penstock/internal/awsapi/fault"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	timeFormat = "20060102T150405Z"
	dateFormat = "20060102"

	maxExpires = 7 * 24 * time.Hour
)

// signature is what a request says about how it was signed.
type signature struct {
	accessKeyID   string
	date          string // YYYYMMDD of the scope
	region        string
	service       string
	terminator    string
	signedHeaders []string // lower case, sorted, distinct
	hex           string
	time          time.Time
	presigned     bool
	expires       time.Duration // presigned only; 0 where the URL names none
}

// scope returns the credential scope, as in the string to sign.
func (s signature) scope() string {
	return s.date + "/" + s.region + "/" + s.service + "/" + s.terminator
}

// parse takes the signature out of a request. The access key ID is filled in
// as soon as it is known, also where an error is returned.
func parse(r Request) (signature, error) {
	params, err := parseQuery(r.RawQuery)
	if err != nil {
		return signature{}, err
	}
	presigned := params.has("X-Amz-Algorithm") || params.has("X-Amz-Credential") || params.has("X-Amz-Signature")
	authorization := r.Header.Values("Authorization")
	switch {
	case presigned && len(authorization) > 0, len(authorization) > 1:
		return signature{}, fault.IncompleteSignature.Errorf(
			"Only one authentication mechanism is allowed: the request is signed more than once.")
	case presigned:
		return parsePresigned(r, params)
	case len(authorization) == 1:
		return parseHeader(r, authorization[0])
	}
	return signature{}, fault.MissingAuthenticationToken.Errorf("Request is missing Authentication Token")
}

// parseHeader reads `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.
// Nothing of the header is repeated in messages: it may be a password in the
// form of another scheme.
func parseHeader(r Request, authorization string) (signature, error) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(authorization), " ")
	if scheme != algorithm {
		return signature{}, fault.IncompleteSignature.Errorf(
			"The Authorization header must begin with the algorithm %s.", algorithm)
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return signature{}, fault.IncompleteSignature.Errorf(
				"The Authorization header has a part that is not a key=value pair (missing equal-sign).")
		}
		if _, taken := fields[name]; taken {
			return signature{}, fault.IncompleteSignature.Errorf("The Authorization header names a key twice.")
		}
		fields[name] = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if fields[name] == "" {
			return signature{}, fault.IncompleteSignature.Errorf("Authorization header requires '%s' parameter.", name)
		}
	}

	s := signature{hex: fields["Signature"]}
	var err error
	if err = s.setCredential(fields["Credential"]); err != nil {
		return s, err
	}
	if s.signedHeaders, err = parseSignedHeaders(fields["SignedHeaders"]); err != nil {
		return s, err
	}
	if len(r.Header.Values("X-Amz-Security-Token")) > 0 {
		return s, errSessionToken()
	}
	s.time, err = headerTime(r.Header)
	return s, err
}

// parsePresigned reads the X-Amz-… parameters of a query string.
func parsePresigned(r Request, params params) (signature, error) {
	names := []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Date"}
	for _, name := range append(names, "X-Amz-Expires") {
		if params.count(name) > 1 {
			return signature{}, fault.IncompleteSignature.Errorf("The query string names '%s' more than once.", name)
		}
	}
	for _, name := range names {
		if params.get(name) == "" {
			return signature{}, fault.IncompleteSignature.Errorf("AWS query-string parameters must include '%s'.", name)
		}
	}
	if params.get("X-Amz-Algorithm") != algorithm {
		return signature{}, fault.IncompleteSignature.Errorf("X-Amz-Algorithm must be %s.", algorithm)
	}

	s := signature{hex: params.get("X-Amz-Signature"), presigned: true}
	var err error
	if err = s.setCredential(params.get("X-Amz-Credential")); err != nil {
		return s, err
	}
	if s.signedHeaders, err = parseSignedHeaders(params.get("X-Amz-SignedHeaders")); err != nil {
		return s, err
	}
	if params.has("X-Amz-Security-Token") || len(r.Header.Values("X-Amz-Security-Token")) > 0 {
		return s, errSessionToken()
	}
	if s.time, err = time.Parse(timeFormat, params.get("X-Amz-Date")); err != nil {
		return s, fault.IncompleteSignature.Errorf("X-Amz-Date must be in ISO-8601 basic form, such as 20130524T000000Z.")
	}
	if params.has("X-Amz-Expires") {
		seconds, err := strconv.ParseUint(params.get("X-Amz-Expires"), 10, 32)
		s.expires = time.Duration(seconds) * time.Second
		if err != nil || s.expires < time.Second || s.expires > maxExpires {
			return s, fault.IncompleteSignature.Errorf("X-Amz-Expires must be a number of seconds from 1 to 604800.")
		}
	}
	return s, nil
}

// setCredential reads `<access key ID>/<date>/<region>/<service>/aws4_request`.
func (s *signature) setCredential(credential string) error {
	p := strings.Split(credential, "/")
	if len(p) != 5 {
		return fault.IncompleteSignature.Errorf(
			"Credential must have exactly 5 slash-separated elements: access key ID, date, region, service and %s.", terminator)
	}
	s.accessKeyID, s.date, s.region, s.service, s.terminator = p[0], p[1], p[2], p[3], p[4]
	if s.accessKeyID == "" {
		return fault.IncompleteSignature.Errorf("Credential has an empty access key ID.")
	}
	return nil
}

func parseSignedHeaders(list string) ([]string, error) {
	names := strings.Split(strings.ToLower(list), ";")
	slices.Sort(names)
	for i, name := range names {
		if name == "" || strings.ContainsAny(name, ":,\r\n\t ") {
			return nil, fault.IncompleteSignature.Errorf("SignedHeaders must be header names separated by semicolons.")
		}
		if i > 0 && name == names[i-1] {
			return nil, fault.IncompleteSignature.Errorf("SignedHeaders names a header twice.")
		}
	}
	if _, found := slices.BinarySearch(names, "host"); !found {
		return nil, fault.IncompleteSignature.Errorf("'Host' must be a 'SignedHeader' in the AWS Authorization.")
	}
	return names, nil
}

// headerTime returns when a request with an Authorization header was signed.
func headerTime(h http.Header) (time.Time, error) {
	values := h.Values("X-Amz-Date")
	switch {
	case len(values) > 1:
		return time.Time{}, fault.IncompleteSignature.Errorf("The request has more than one X-Amz-Date header.")
	case len(values) == 1:
		t, err := time.Parse(timeFormat, strings.TrimSpace(values[0]))
		if err != nil {
			return t, fault.IncompleteSignature.Errorf("X-Amz-Date must be in ISO-8601 basic form, such as 20130524T000000Z.")
		}
		return t, nil
	case h.Get("Date") != "":
		t, err := http.ParseTime(h.Get("Date"))
		if err != nil {
			if t, err = time.Parse(timeFormat, h.Get("Date")); err != nil {
				return t, fault.IncompleteSignature.Errorf("The Date header is not a date.")
			}
		}
		return t.UTC(), nil
	}
	return time.Time{}, fault.IncompleteSignature.Errorf(
		"Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
}

func errSessionToken() error {
	return fault.InvalidClientTokenID.Errorf(
		"The security token included in the request is invalid: session tokens are not accepted here, use a permanent access key.")
}

// params are the decoded parameters of a query string, in the order sent.
type params []param

type param struct{ name, value string }

// parseQuery decodes a query string. A plus sign is a space, as it is to the
// decoder of the parameters, so that both read the same.
func parseQuery(raw string) (params, error) {
	var ps params
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return nil, fault.MalformedQueryString.Errorf("The query string contains a percent sign that does not begin an escape.")
		}
		ps = append(ps, param{n, v})
	}
	return ps, nil
}

func (ps params) count(name string) int {
	n := 0
	for _, p := range ps {
		if p.name == name {
			n++
		}
	}
	return n
}

func (ps params) has(name string) bool { return ps.count(name) > 0 }

func (ps params) get(name string) string {
	for _, p := range ps {
		if p.name == name {
			return p.value
		}
	}
	return ""
}
