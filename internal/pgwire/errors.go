package pgwire

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"penstock"
)

// states maps kinds of failure to SQLSTATE, for errors that bring none.
var states = map[penstock.Kind]string{
	penstock.KindInvalid:      "22023",
	penstock.KindNotFound:     "42704",
	penstock.KindConflict:     "40001",
	penstock.KindInvalidState: "55000",
	penstock.KindDenied:       "42501",
	penstock.KindQuota:        "53400",
	penstock.KindFull:         "53100",
	penstock.KindUnreachable:  "08006",
}

// asSQLError returns what a client is told about an error.
func asSQLError(err error) *penstock.SQLError {
	var e *penstock.SQLError
	if errors.As(err, &e) {
		return e
	}
	state, ok := states[penstock.KindOf(err)]
	if !ok {
		state = "XX000"
	}
	return &penstock.SQLError{State: state, Message: err.Error(), Hint: penstock.MendOf(err)}
}

// sendError sends an error of some severity.
func (c *conn) sendError(severity string, e *penstock.SQLError) {
	c.out.send(&pgproto3.ErrorResponse{
		Severity: severity, SeverityUnlocalized: severity, Code: e.State,
		Message: text(e.Message), Detail: text(e.Detail), Hint: text(e.Hint),
	})
}

// notice sends something that is worth knowing and is no error.
func (c *conn) notice(severity, state, message string) {
	c.out.send(&pgproto3.NoticeResponse{
		Severity: severity, SeverityUnlocalized: severity, Code: state, Message: text(message),
	})
}

// text makes s fit into a message: without the byte that ends strings there.
func text(s string) string { return strings.ReplaceAll(s, "\x00", "") }
