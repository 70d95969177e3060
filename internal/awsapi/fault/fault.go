package fault

import "fmt"

// Code is the name of a failure on the wire and the HTTP status it comes with.
type Code struct {
	Name   string
	Status int
}

// Errorf returns an *Error of this code whose message is
// fmt.Sprintf(format, args...). The message is sent to the client.
func (c Code) Errorf(format string, args ...any) *Error {
	return &Error{Code: c, Message: fmt.Sprintf(format, args...)}
}

// Error is a failure as the client sees it.
type Error struct {
	Code    Code
	Message string
	Err     error // the cause, for the log only; may be nil
}

func (e *Error) Error() string {
	s := e.Code.Name + ": " + e.Message
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Type returns "Sender" if the client is to blame, "Receiver" if we are.
func (e *Error) Type() string {
	if e.Code.Status >= 500 {
		return "Receiver"
	}
	return "Sender"
}
