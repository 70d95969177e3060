package pgwire

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"sync"
	"time"
)

// registry knows all connections, by the number that a cancel request names,
// and which database each session is connected to.
type registry struct {
	mu       sync.Mutex
	byID     map[uint32]*conn
	next     uint32
	sessions int
	draining bool
	inside   map[*conn]string
	shut     map[string]bool // databases that take no sessions
	left     chan struct{}   // closed when a session has left; nil if nobody waits for that
}

// add gives a connection its number, unless there are max already.
func (r *registry) add(c *conn, max int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.byID) >= max || r.draining {
		return false
	}
	if r.byID == nil {
		r.byID = map[uint32]*conn{}
	}
	for {
		r.next = r.next&0x7fffffff + 1 // clients take it for a signed number
		if r.byID[r.next] == nil {
			break
		}
	}
	c.process = r.next
	r.byID[c.process] = c
	return true
}

func (r *registry) remove(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byID, c.process)
	if c.secret != nil {
		r.sessions--
	}
	delete(r.inside, c)
	if r.left != nil {
		close(r.left)
		r.left = nil
	}
}

// enter takes note that a session connects to a database, unless that takes
// none.
func (r *registry) enter(c *conn, database string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shut[database] {
		return false
	}
	if r.inside == nil {
		r.inside = map[*conn]string{}
	}
	r.inside[c] = database
	return true
}

// shutOff has a database take no sessions until reopen, and returns those that
// are connected to it. ok is false if it is shut off already.
func (r *registry) shutOff(database string) (sessions []*conn, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shut[database] {
		return nil, false
	}
	if r.shut == nil {
		r.shut = map[string]bool{}
	}
	r.shut[database] = true
	for c, d := range r.inside {
		if d == database {
			sessions = append(sessions, c)
		}
	}
	return sessions, true
}

func (r *registry) reopen(database string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.shut, database)
}

// awaitLeft waits until no session is connected to a database any more, for a
// limited time, and returns how many still are.
func (r *registry) awaitLeft(ctx context.Context, database string, limit time.Duration) (still int) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		r.mu.Lock()
		still = 0
		for _, d := range r.inside {
			if d == database {
				still++
			}
		}
		if r.left == nil {
			r.left = make(chan struct{})
		}
		left := r.left
		r.mu.Unlock()
		if still == 0 {
			return 0
		}
		select {
		case <-left:
		case <-ctx.Done():
			return still
		}
	}
}

// admit counts a connection as a session and gives it the secret that cancels
// its statements, unless there are max already.
func (r *registry) admit(c *conn, max int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions >= max {
		return false
	}
	r.sessions++
	n := 4
	if c.minor >= 2 {
		n = 32
	}
	c.secret = make([]byte, n)
	rand.Read(c.secret) // never fails
	return true
}

// cancel ends the running statement of a connection, if the secret is right.
func (r *registry) cancel(process uint32, secret []byte) {
	r.mu.Lock()
	c := r.byID[process]
	ok := c != nil && c.secret != nil && subtle.ConstantTimeCompare(c.secret, secret) == 1
	r.mu.Unlock()
	if ok {
		c.running.interrupt(causeUser)
	}
}

func (r *registry) drain() {
	r.mu.Lock()
	r.draining = true
	r.mu.Unlock()
	r.each((*conn).drain)
}

func (r *registry) force() { r.each((*conn).force) }

func (r *registry) each(f func(*conn)) {
	r.mu.Lock()
	var all []*conn
	for _, c := range r.byID {
		all = append(all, c)
	}
	r.mu.Unlock()
	for _, c := range all {
		f(c)
	}
}
