package pgwire

import (
	"context"
	"sync"
	"time"

	"penstock"
)

// Why a running statement is ended; what the client is told.
var (
	causeUser     = &penstock.SQLError{State: "57014", Message: "canceling statement due to user request"}
	causeTimeout  = &penstock.SQLError{State: "57014", Message: "canceling statement due to statement timeout"}
	causeShutdown = &penstock.SQLError{State: "57P01", Message: "terminating connection due to administrator command"}
	causeGone     = &penstock.SQLError{State: "08006", Message: "connection to client lost"}
)

// running is the statement that a session runs at the moment, if it runs one.
// It makes sure that an interruption meets that statement and no later one.
type running struct {
	mu      sync.Mutex
	session penstock.Session // nil while nothing runs
	cancel  context.CancelFunc
	cause   *penstock.SQLError
	timer   *time.Timer
	ended   *penstock.SQLError // a cause that holds for all statements to come
}

// begin marks the start of work in a session, which ends no later than after
// the timeout, if that is not zero. Whoever calls it calls end.
func (r *running) begin(ctx context.Context, s penstock.Session, timeout time.Duration) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.session, r.cancel, r.cause = s, cancel, r.ended
	if r.ended != nil {
		cancel()
	}
	if timeout > 0 {
		r.timer = time.AfterFunc(timeout, func() { r.interrupt(causeTimeout) })
	}
	return ctx
}

// end marks the end of the work. It returns err, or why the work was
// interrupted if that is what made it fail.
func (r *running) end(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.session = nil
	r.cancel()
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	if err != nil && r.cause != nil {
		return r.cause
	}
	return err
}

// interrupt ends what runs, if something does.
func (r *running) interrupt(cause *penstock.SQLError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.interruptLocked(cause)
}

// interruptAll ends what runs, and whatever is begun later.
func (r *running) interruptAll(cause *penstock.SQLError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = cause
	r.interruptLocked(cause)
}

func (r *running) interruptLocked(cause *penstock.SQLError) {
	if r.session == nil {
		return
	}
	if r.cause == nil {
		r.cause = cause
	}
	r.cancel()
	r.session.Interrupt()
}
