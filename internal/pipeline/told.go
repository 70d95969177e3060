package pipeline

import (
	"sync"

	"penstock"
)

// told remembers which tables the stream has told of changes of, so that what
// was seen at the source before such a change is not taken for a newer one.
type told struct {
	mu     sync.Mutex
	n      int                      // changes told of
	tables map[penstock.TableID]int // the last of each table
}

// note takes note of changes that are about to be applied.
func (t *told) note(c *penstock.Changes) {
	if len(c.Altered) == 0 && len(c.Dropped) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tables == nil {
		t.tables = map[penstock.TableID]int{}
	}
	t.n++
	for _, a := range c.Altered {
		t.tables[a.New.ID] = t.n
	}
	for _, id := range c.Dropped {
		t.tables[id] = t.n
	}
}

// last returns the number of the last change.
func (t *told) last() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

// since reports whether a table has changed after the n-th change.
func (t *told) since(n int, id penstock.TableID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tables[id] > n
}
