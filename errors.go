package penstock

import (
	"errors"
	"fmt"
	"strings"
)

// Kind classifies a failure by what the caller can do about it. Drivers attach
// it where the cause is known; everything above decides by Kind alone.
type Kind uint8

const (
	// KindInternal is a fault of ours, or a cause nobody classified.
	KindInternal Kind = iota
	// KindInvalid: an argument or a configuration value is wrong.
	KindInvalid
	// KindIntegrationNotFound: no integration has that name, UUID or ARN.
	KindIntegrationNotFound
	// KindSourceNotFound: the configuration names no such source.
	KindSourceNotFound
	// KindTargetNotFound: the configuration names no such target.
	KindTargetNotFound
	// KindNotFound: any other thing that does not exist.
	KindNotFound
	// KindAlreadyExists: the same source and target are integrated already.
	KindAlreadyExists
	// KindConflict: another operation or a taken name stands in the way.
	KindConflict
	// KindInvalidState: the integration's status does not allow the operation.
	KindInvalidState
	// KindQuota: a limit on the number of things is reached.
	KindQuota
	// KindKeyNotAccessible: the encryption key is unknown or disabled.
	KindKeyNotAccessible
	// KindDenied: the caller may not do this.
	KindDenied
	// KindUnreachable: a server cannot be reached or broke the connection;
	// trying again later may well succeed.
	KindUnreachable
	// KindSetting: a setting, a right or an object at the source or target
	// must be changed by somebody before trying again can succeed.
	KindSetting
	// KindPositionLost: the source can no longer deliver what follows the
	// stored position.
	KindPositionLost
	// KindFenced: the stored position is not the expected one, so somebody
	// else wrote; the holder must stop and start anew from what is stored.
	KindFenced
	// KindFull: a disk or a memory budget is exhausted.
	KindFull
	// KindStale: what was read is no longer what it was, e.g. a table was
	// rewritten while it was loaded; starting that piece again helps.
	KindStale
	// KindUnrepresentable: a value cannot be held, and may not be NULL instead.
	// The cause is an Unrepresentable.
	KindUnrepresentable
)

var kindNames = [...]string{
	"internal", "invalid", "integration not found", "source not found", "target not found",
	"not found", "already exists", "conflict", "invalid state", "quota", "key not accessible",
	"denied", "unreachable", "setting", "position lost", "fenced", "full", "stale", "unrepresentable",
}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Error is a failure with its Kind, what was attempted on what, and, where one
// is known, the step that mends it.
type Error struct {
	Kind    Kind
	Op      string // what was attempted on what: "create slot penstock_ab12 on shop"
	Message string // what is wrong, a sentence without a final stop
	Mend    string // what to change, if that is known: a statement or a sentence
	Err     error  // the cause, may be nil
	// Code is the problem that the user is told of, where it is known and the
	// Kind alone does not say it.
	Code ProblemCode
}

func (e *Error) Error() string {
	s := e.Message
	if s == "" && e.Err != nil {
		s = e.Err.Error()
	} else if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Mend != "" {
		s += " (" + e.Mend + ")"
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an *Error of that kind whose cause is fmt.Errorf(format,
// args...), so %w works as it does there.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// KindOf returns the Kind of the outermost *Error in err's chain, KindInternal
// if there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}

// MendOf returns the first step that mends err named in its chain, or "".
func MendOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Mend != "" {
			return e.Mend
		}
		err = e.Err
	}
	return ""
}

// ProblemOf returns the first Code named in err's chain, or "".
func ProblemOf(err error) ProblemCode {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Code != "" {
			return e.Code
		}
		err = e.Err
	}
	return ""
}

// MessageOf returns what err says without the steps that mend it, for those
// who show MendOf(err) beside it.
func MessageOf(err error) string {
	text := err.Error()
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			break
		}
		if e.Mend != "" {
			text = strings.Replace(text, " ("+e.Mend+")", "", 1)
		}
		err = e.Err
	}
	return text
}
