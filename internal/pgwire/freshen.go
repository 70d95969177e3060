package pgwire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"penstock"
)

// Settings of freshness on demand, which nobody else has: a session that has set
// penstock.wait_for reads what was committed at the source before.
const (
	waitFor     = "penstock.wait_for"     // "now", a position as the source's users write it, or ""
	waitTimeout = "penstock.wait_timeout" // how long one statement waits
	waitNow     = "now"
)

// freshen blocks until the session's database shows what it is to show: with
// penstock.wait_for = 'now' all that has been committed at the source by this
// time, with a position all that came before that. A transaction sees the
// database as it is when it begins, so that is when it waits.
func (c *conn) freshen(ctx context.Context) error {
	want := c.settings.values[waitFor].value
	if want == "" || c.server.cfg.Manager == nil || c.tx.open {
		return nil
	}
	position := want
	if position == waitNow {
		position = ""
	}
	timeout, _ := parseDuration(c.settings.values[waitTimeout].value)
	began := time.Now()
	c.settle(ctx)
	ctx = c.running.begin(ctx, c.session, c.settings.statementTimeout)
	limited, cancel := ctx, context.CancelFunc(func() {})
	if timeout > 0 {
		limited, cancel = context.WithTimeout(ctx, timeout)
	}
	defer cancel()
	err := c.server.cfg.Manager.Await(limited, c.database, position)
	late := err != nil && limited.Err() != nil && ctx.Err() == nil
	if err = c.running.end(err); err == nil {
		return nil
	}
	switch {
	case late:
		return &penstock.SQLError{State: "57014", Message: fmt.Sprintf("database %s is not as fresh as %s = '%s' asks for after %s: %s",
			c.database, waitFor, want, time.Since(began).Round(time.Millisecond), withoutDeadline(err)),
			Hint: "See penstock_stream and penstock_problem; raise " + waitTimeout + ", or RESET " + waitFor + " to read what is there."}
	case penstock.KindOf(err) == penstock.KindInvalid:
		return &penstock.SQLError{State: "22023", Message: fmt.Sprintf("%s = '%s': %s", waitFor, want, penstock.MessageOf(err)), Hint: penstock.MendOf(err)}
	}
	return err
}

// withoutDeadline returns what an error says beside that time is up.
func withoutDeadline(err error) string {
	if inner := errors.Unwrap(err); errors.Is(inner, context.DeadlineExceeded) {
		s, end := err.Error(), ": "+inner.Error()
		if len(s) > len(end) && s[len(s)-len(end):] == end {
			return s[:len(s)-len(end)]
		}
	}
	return "there was no answer in time"
}
