package awsapi

import (
	"errors"
	"regexp"
	"strings"

	"penstock"
	"penstock/internal/awsapi/fault"
)

// commonCodes are the codes of kinds of failure that mean the same in every
// service. Kinds that are in no table are faults of ours.
var commonCodes = map[penstock.Kind]fault.Code{
	penstock.KindInvalid: fault.InvalidParameterValue,
	penstock.KindDenied:  fault.AccessDenied,

	// Trying again may help, and SDKs do so by themselves.
	penstock.KindUnreachable: fault.ServiceUnavailable,
	penstock.KindSetting:     fault.ServiceUnavailable,
	penstock.KindFull:        fault.ServiceUnavailable,
}

// FaultOf returns what the client is told about an error of the control
// plane. codes are those of the service, and are looked at first.
func FaultOf(err error, codes map[penstock.Kind]fault.Code) error {
	kind := penstock.KindOf(err)
	code, ok := codes[kind]
	if !ok {
		code, ok = commonCodes[kind]
	}
	if !ok {
		return fault.Internal(err)
	}
	return &fault.Error{Code: code, Message: Message(err), Err: err}
}

// Message returns what is wrong and what to do about it, as sentences. What
// was attempted is left out: the client knows.
func Message(err error) string {
	text := err.Error()
	if e, ok := errors.AsType[*penstock.Error](err); ok {
		text = e.Message
		if text == "" && e.Err != nil {
			text = e.Err.Error()
		}
	}
	text = capital(Sentence(text))
	if mend := penstock.MendOf(err); mend != "" && !strings.Contains(text, mend) {
		text += " " + capital(Sentence(mend))
	}
	return text
}

var firstWord = regexp.MustCompile(`^[a-z]+[ ,:]`)

// capital begins a text with a capital, unless it begins with a name.
func capital(s string) string {
	if firstWord.MatchString(s) {
		return strings.ToUpper(s[:1]) + s[1:]
	}
	return s
}

// Sentence ends a text with a full stop, unless it ends a sentence or a
// statement already.
func Sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") || strings.HasSuffix(s, ";") {
		return s
	}
	return s + "."
}
