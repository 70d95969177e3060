package sigv4

import (
	"crypto/hmac"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"penstock/internal/awsapi/fault"
)

// MaxSkew is how far the clocks of client and server may be apart.
const MaxSkew = 15 * time.Minute

// Verifier decides whether requests are signed by somebody it knows. It holds
// no state; its methods may be called concurrently.
type Verifier struct {
	// Region is the only region that signatures may be scoped to.
	Region string
	// Services are the signing names that signatures may be scoped to.
	Services []string
	// Secret returns the secret of an access key, and whether there is one.
	Secret func(accessKeyID string) (secret string, ok bool)
	// Now is the clock.
	Now func() time.Time
}

// Identity says who signed a request, and for which service.
type Identity struct {
	AccessKeyID string
	Service     string // one of Verifier.Services
	Presigned   bool   // the signature is in the query string
}

// Verify returns who signed the request. Its errors are *fault.Error. With an
// error, the Identity holds what the request claims, as far as it could be
// read: good for a log, and for nothing else.
func (v Verifier) Verify(r Request) (Identity, error) {
	s, err := parse(r)
	id := Identity{AccessKeyID: s.accessKeyID, Service: s.service, Presigned: s.presigned}
	if err != nil {
		return id, err
	}
	secret, ok := v.Secret(s.accessKeyID)
	if !ok || secret == "" {
		return id, fault.InvalidClientTokenID.Errorf("The security token included in the request is invalid.")
	}
	if err := v.checkScope(s); err != nil {
		return id, err
	}
	if err := v.checkTime(s); err != nil {
		return id, err
	}
	canonical := canonicalRequest(r, s)
	text := stringToSign(s, canonical)
	given, err := hex.DecodeString(s.hex)
	if err != nil || !hmac.Equal(given, sign(secret, s, text)) {
		return id, errMismatch(canonical, text)
	}
	return id, nil
}

func (v Verifier) checkScope(s signature) error {
	switch {
	case s.terminator != terminator:
		return fault.SignatureDoesNotMatch.Errorf(
			"Credential should be scoped with a valid terminator: '%s', not '%s'.", terminator, s.terminator)
	case s.region != v.Region:
		return fault.SignatureDoesNotMatch.Errorf(
			"Credential should be scoped to a valid region: '%s', not '%s'.", v.Region, s.region)
	case !slices.Contains(v.Services, s.service):
		return fault.SignatureDoesNotMatch.Errorf(
			"Credential should be scoped to correct service: '%s', not '%s'.", strings.Join(v.Services, "' or '"), s.service)
	case s.date != s.time.Format(dateFormat):
		return fault.SignatureDoesNotMatch.Errorf(
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.",
			s.date, s.time.Format(dateFormat), s.time.Format(timeFormat))
	}
	return nil
}

func (v Verifier) checkTime(s signature) error {
	now := v.Now().UTC()
	earliest, latest := s.time.Add(-MaxSkew), s.time.Add(MaxSkew)
	if s.expires > 0 {
		latest = s.time.Add(s.expires)
	}
	format := func(t time.Time) string { return t.Format(timeFormat) }
	switch {
	case now.Before(earliest):
		return fault.RequestExpired.Errorf("Signature not yet current: %s is still later than %s (%s + %d min.). Check your clock.",
			format(s.time), format(now.Add(MaxSkew)), format(now), int(MaxSkew.Minutes()))
	case now.After(latest) && s.expires > 0:
		return fault.RequestExpired.Errorf("Signature expired: the URL was valid until %s, and it is %s.",
			format(latest), format(now))
	case now.After(latest):
		return fault.RequestExpired.Errorf("Signature expired: %s is now earlier than %s (%s - %d min.). Check your clock.",
			format(s.time), format(now.Add(-MaxSkew)), format(now), int(MaxSkew.Minutes()))
	}
	return nil
}

// errMismatch shows what should have been signed. Both texts hold what the
// client sent and hashes of it, nothing that depends on the secret.
func errMismatch(canonical, text string) error {
	const most = 8 << 10
	if len(canonical) > most {
		canonical = canonical[:most] + fmt.Sprintf("… (%d bytes more)", len(canonical)-most)
	}
	return fault.SignatureDoesNotMatch.Errorf("The request signature we calculated does not match the signature you provided. "+
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.\n\n"+
		"The Canonical String for this request should have been\n'%s'\n\nThe String-to-Sign should have been\n'%s'\n", canonical, text)
}
