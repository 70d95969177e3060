package pipeline

import (
	"sync"
	"time"

	"penstock"
)

// retries remembers when tables whose load failed are tried again.
type retries struct {
	mu     sync.Mutex
	tables map[penstock.TableID]retry
}

type retry struct {
	wait  time.Duration
	until time.Time
}

const (
	minRetry = 100 * time.Millisecond
	maxRetry = 30 * time.Second
)

// heldBack reports whether a table's load is not to be tried yet.
func (r *retries) heldBack(id penstock.TableID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Before(r.tables[id].until)
}

// backOff has a table wait, twice as long as the last time.
func (r *retries) backOff(id penstock.TableID) { r.holdBack(id, minRetry, maxRetry) }

// holdBack is backOff with bounds to the wait.
func (r *retries) holdBack(id penstock.TableID, least, most time.Duration) {
	r.holdBackFor(id, least, most, 0)
}

// holdBackFor is holdBack for tables that are not forgotten when they have been
// loaded: the wait is the least again after good has passed without another one.
func (r *retries) holdBackFor(id penstock.TableID, least, most, good time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tables == nil {
		r.tables = map[penstock.TableID]retry{}
	}
	t := r.tables[id]
	if good > 0 && time.Since(t.until) > good {
		t.wait = 0
	}
	t.wait = min(max(2*t.wait, least), most)
	t.until = time.Now().Add(t.wait)
	r.tables[id] = t
}

func (r *retries) forget(id penstock.TableID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.tables, id)
}
