package awsapi

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"penstock/internal/awsapi/fault"
	"penstock/internal/awsapi/query"
)

const (
	// maxBody is several times what the largest request of the modelled
	// actions has when every character is escaped.
	maxBody = 1 << 20
	// maxDrained is how much of a larger body is read and thrown away, so
	// that a client that writes before it reads sees the reply.
	maxDrained = 64 << 20
)

// readBody returns the body of a request whose method and type we serve.
func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, fault.InvalidQueryParameter.Errorf("The request body could not be read.")
	}
	if len(body) > maxBody {
		_, _ = io.CopyN(io.Discard, r.Body, maxDrained)
		return nil, fault.RequestEntityTooLarge.Errorf("The request body is larger than %d bytes.", maxBody)
	}
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		return nil, fault.MethodNotAllowed.Errorf("The method %.20s is not supported: send the request with POST or GET.", r.Method)
	}
	return body, nil
}

// parameters returns those of the query string, without the ones that a
// presigned URL is signed with, and those of the body.
func parameters(rawQuery string, body []byte, presigned bool) ([]query.Param, error) {
	params, err := query.ParseForm(rawQuery)
	if err != nil {
		return nil, err
	}
	if presigned {
		params = slices.DeleteFunc(params, func(p query.Param) bool { return strings.HasPrefix(p.Name, "X-Amz-") })
	}
	ofBody, err := query.ParseForm(string(body))
	if err != nil {
		return nil, err
	}
	return append(params, ofBody...), nil
}

// splitParams takes Action and Version, which say how to read the rest.
func splitParams(params []query.Param) (action, version string, rest []query.Param, err error) {
	seen := map[string]bool{}
	for _, p := range params {
		switch p.Name {
		case "Action":
			action = p.Value
		case "Version":
			version = p.Value
		default:
			rest = append(rest, p)
			continue
		}
		if seen[p.Name] {
			return "", "", nil, fault.InvalidQueryParameter.Errorf("The parameter %s is given more than once.", p.Name)
		}
		seen[p.Name] = true
	}
	return action, version, rest, nil
}

// claimed returns an access key ID fit for a log line, whoever sent it.
func claimed(id string) string {
	if len(id) > 128 {
		return fmt.Sprintf("%.128s…", id)
	}
	return id
}
