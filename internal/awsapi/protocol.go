package awsapi

import (
	"mime"
	"net/http"
	"strings"

	"penstock/internal/awsapi/fault"
	"penstock/internal/awsapi/query"
)

// protocol is how the requests and replies of a service look.
type protocol interface {
	contentType() string
	// decode finds the action and reads its input, and returns the names of
	// parameters that it does not know.
	decode(x *exchange, r *http.Request, rawQuery string, body []byte) (*Action, query.Value, []string, error)
	encode(x *exchange, action *Action, result query.Value) ([]byte, error)
	// fail returns what a failure is called, its status and its body, and adds
	// the headers that belong to it.
	fail(x *exchange, h http.Header, e *fault.Error) (code string, status int, body []byte)
}

func protocolOf(s *Service) protocol {
	if s.Target != "" {
		return jsonProtocol{}
	}
	return queryProtocol{}
}

// guessProtocol returns what a client speaks whose service is not known yet.
func guessProtocol(r *http.Request) protocol {
	if isJSON(r) {
		return jsonProtocol{}
	}
	return queryProtocol{}
}

func isJSON(r *http.Request) bool {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && (media == "application/x-amz-json-1.1" || media == "application/x-amz-json-1.0")
}

// queryProtocol is the Query protocol: a form in, XML out.
type queryProtocol struct{}

func (queryProtocol) contentType() string { return query.ContentType }

func (queryProtocol) decode(x *exchange, r *http.Request, rawQuery string, body []byte) (*Action, query.Value, []string, error) {
	// The bodies of other protocols would only look like a request without an
	// action.
	if contentType := r.Header.Get("Content-Type"); contentType != "" && len(body) > 0 {
		if media, _, err := mime.ParseMediaType(contentType); err != nil || media != "application/x-www-form-urlencoded" {
			return nil, query.Value{}, nil, fault.InvalidQueryParameter.Errorf(
				"The content type %.100q is not supported: this API takes application/x-www-form-urlencoded.", contentType)
		}
	}
	params, err := parameters(rawQuery, body, x.identity.Presigned)
	if err != nil {
		return nil, query.Value{}, nil, err
	}
	name, version, rest, err := splitParams(params)
	if err != nil {
		return nil, query.Value{}, nil, err
	}
	action, err := x.service.action(name, version)
	if err != nil {
		return nil, query.Value{}, nil, err
	}
	x.action = action.Name
	input, unknown, err := query.Decode(rest, action.Input)
	return action, input, unknown, err
}

func (queryProtocol) encode(x *exchange, action *Action, result query.Value) ([]byte, error) {
	return query.Reply(x.service.Namespace, action.Name, x.requestID, result, action.Output)
}

func (queryProtocol) fail(x *exchange, _ http.Header, e *fault.Error) (string, int, []byte) {
	return e.Code.Name, e.Code.Status, query.ErrorReply(x.service.Namespace, x.requestID, e)
}

// jsonProtocol is JSON 1.1: the action in a header, objects in and out.
type jsonProtocol struct{}

func (jsonProtocol) contentType() string { return query.JSONContentType }

func (jsonProtocol) decode(x *exchange, r *http.Request, _ string, body []byte) (*Action, query.Value, []string, error) {
	if !isJSON(r) {
		return nil, query.Value{}, nil, fault.InvalidQueryParameter.Errorf(
			"The content type %.100q is not supported: this API takes application/x-amz-json-1.1.", r.Header.Get("Content-Type"))
	}
	target := r.Header.Get("X-Amz-Target")
	name, ok := strings.CutPrefix(target, x.service.Target+".")
	if !ok {
		return nil, query.Value{}, nil, fault.InvalidAction.Errorf("The header X-Amz-Target names no operation of this service: %.100q", target)
	}
	action, err := x.service.action(name, x.service.Version)
	if err != nil {
		return nil, query.Value{}, nil, err
	}
	x.action = action.Name
	input, unknown, err := query.DecodeJSON(body, action.Input)
	return action, input, unknown, err
}

func (jsonProtocol) encode(_ *exchange, action *Action, result query.Value) ([]byte, error) {
	return query.ReplyJSON(action.Name, result, action.Output)
}

// jsonCodes are the names that services which speak JSON have for what is
// called otherwise in the Query protocol.
var jsonCodes = map[fault.Code]fault.Code{
	fault.AccessDenied:                {Name: "AccessDeniedException", Status: http.StatusBadRequest},
	fault.IncompleteSignature:         {Name: "IncompleteSignatureException", Status: http.StatusBadRequest},
	fault.InvalidClientTokenID:        {Name: "UnrecognizedClientException", Status: http.StatusBadRequest},
	fault.MissingAuthenticationToken:  {Name: "MissingAuthenticationTokenException", Status: http.StatusBadRequest},
	fault.RequestExpired:              {Name: "InvalidSignatureException", Status: http.StatusBadRequest},
	fault.SignatureDoesNotMatch:       {Name: "InvalidSignatureException", Status: http.StatusBadRequest},
	fault.InvalidAction:               {Name: "UnknownOperationException", Status: http.StatusBadRequest},
	fault.InvalidParameterCombination: {Name: "ValidationException", Status: http.StatusBadRequest},
	fault.InvalidParameterValue:       {Name: "ValidationException", Status: http.StatusBadRequest},
	fault.InvalidQueryParameter:       {Name: "SerializationException", Status: http.StatusBadRequest},
	fault.MissingParameter:            {Name: "ValidationException", Status: http.StatusBadRequest},
	fault.Throttling:                  {Name: "ThrottlingException", Status: http.StatusBadRequest},
	fault.InternalFailure:             {Name: "InternalServerException", Status: http.StatusInternalServerError},
}

func (jsonProtocol) fail(_ *exchange, h http.Header, e *fault.Error) (string, int, []byte) {
	code, ok := jsonCodes[e.Code]
	if !ok {
		code = e.Code
	}
	h.Set("x-amzn-ErrorType", code.Name)
	return code.Name, code.Status, query.ErrorReplyJSON(code.Name, e.Message)
}
