package pgwire

import (
	"crypto/rand"
	"crypto/subtle"
	"sync"
)

// registry knows all connections, by the number that a cancel request names.
type registry struct {
	mu       sync.Mutex
	byID     map[uint32]*conn
	next     uint32
	sessions int
	draining bool
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
