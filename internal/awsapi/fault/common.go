package fault

import "net/http"

// The codes that every service may answer with. Names and statuses are those
// that the SDKs and infrastructure tools match on.
var (
	// Authentication.
	AccessDenied               = Code{"AccessDenied", http.StatusForbidden}
	IncompleteSignature        = Code{"IncompleteSignature", http.StatusBadRequest}
	InvalidClientTokenID       = Code{"InvalidClientTokenId", http.StatusForbidden}
	MissingAuthenticationToken = Code{"MissingAuthenticationToken", http.StatusForbidden}
	RequestExpired             = Code{"RequestExpired", http.StatusBadRequest}
	SignatureDoesNotMatch      = Code{"SignatureDoesNotMatch", http.StatusForbidden}

	// The form of the request.
	InvalidAction         = Code{"InvalidAction", http.StatusBadRequest}
	InvalidQueryParameter = Code{"InvalidQueryParameter", http.StatusBadRequest}
	MalformedQueryString  = Code{"MalformedQueryString", http.StatusNotFound}
	MethodNotAllowed      = Code{"MethodNotAllowed", http.StatusMethodNotAllowed}
	MissingAction         = Code{"MissingAction", http.StatusBadRequest}
	RequestEntityTooLarge = Code{"RequestEntityTooLarge", http.StatusRequestEntityTooLarge}

	// Parameters.
	InvalidParameterCombination = Code{"InvalidParameterCombination", http.StatusBadRequest}
	InvalidParameterValue       = Code{"InvalidParameterValue", http.StatusBadRequest}
	MissingParameter            = Code{"MissingParameter", http.StatusBadRequest}

	// Throttling: SDKs wait and try again.
	Throttling = Code{"Throttling", http.StatusBadRequest}

	// Ours to mend. SDKs try again by themselves.
	InternalFailure    = Code{"InternalFailure", http.StatusInternalServerError}
	ServiceUnavailable = Code{"ServiceUnavailable", http.StatusServiceUnavailable}
)

// Common returns the codes that every action may answer with.
func Common() []Code {
	return []Code{
		AccessDenied, IncompleteSignature, InvalidClientTokenID, MissingAuthenticationToken, RequestExpired, SignatureDoesNotMatch,
		InvalidAction, InvalidQueryParameter, MalformedQueryString, MethodNotAllowed, MissingAction, RequestEntityTooLarge,
		InvalidParameterCombination, InvalidParameterValue, MissingParameter,
		Throttling, InternalFailure, ServiceUnavailable,
	}
}

// Internal returns an InternalFailure that tells the client nothing about its
// cause, which is for the log.
func Internal(cause error) *Error {
	e := InternalFailure.Errorf("The request processing has failed because of an unknown error, exception or failure.")
	e.Err = cause
	return e
}
