package duckdbtarget

// The engine's functions for threads that others lend to it, which the
// bindings do not have. They are declared weak, as it is the bindings that link
// the engine.

/*
#include <stddef.h>
typedef void *penstock_task_state;
extern penstock_task_state duckdb_create_task_state(void *database) __attribute__((weak));
extern void duckdb_execute_tasks_state(penstock_task_state state) __attribute__((weak));
extern void duckdb_finish_execution(penstock_task_state state) __attribute__((weak));
extern void duckdb_destroy_task_state(penstock_task_state state) __attribute__((weak));

static int penstock_can_lend(void) {
	return duckdb_create_task_state && duckdb_execute_tasks_state && duckdb_finish_execution && duckdb_destroy_task_state;
}
static penstock_task_state penstock_create(void *database) { return duckdb_create_task_state(database); }
static void penstock_execute(penstock_task_state state) { duckdb_execute_tasks_state(state); }
static void penstock_finish(penstock_task_state state) { duckdb_finish_execution(state); }
static void penstock_destroy(penstock_task_state state) { duckdb_destroy_task_state(state); }
*/
import "C"

import (
	"sync"
	"time"

	duck "github.com/duckdb/duckdb-go-bindings"
)

// crew are the threads that compute beside those that call the engine.
//
// Who calls the engine spins, taking up a core, for as long as another thread
// works on the rest of what it asked for. Appends and commits, which hardly
// divide, would spend most of their time like that, on a machine whose cores
// the source needs as well. The engine has therefore no threads of its own, and
// gets some for as long as there are statements that take long enough to
// divide.
type crew struct {
	db   duck.Database
	size int

	mu      sync.Mutex
	asked   int // statements that want help; below 0 between a release and its late request
	closed  bool
	state   C.penstock_task_state // of the threads that work; nil if there are none
	leaving bool                  // they end as soon as they have finished what they are at
	ended   sync.WaitGroup
}

// How long a statement runs before others help with it. Those of clients are
// what the other cores are there for.
const (
	helpClient = time.Millisecond
	helpWriter = 20 * time.Millisecond
)

// canLend reports whether the engine that is linked can be lent threads.
func canLend() bool { return C.penstock_can_lend() != 0 }

// help lends threads once the caller's work has taken so long, until release
// is called.
func (c *crew) help(after time.Duration) (release func()) {
	if c.size == 0 {
		return func() {}
	}
	t := time.AfterFunc(after, func() { c.ask(1) })
	return func() {
		if !t.Stop() {
			c.ask(-1)
		}
	}
}

// ask changes how many statements want help.
func (c *crew) ask(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked += n
	switch {
	case c.asked > 0 && c.state == nil && !c.closed:
		c.enlist()
	case c.asked <= 0 && c.state != nil && !c.leaving:
		c.dismiss()
	}
}

// enlist has threads work; the caller holds c.mu. Those before them have ended,
// since the engine wakes any of its threads to have one end.
func (c *crew) enlist() {
	state := C.penstock_create(c.db.Ptr)
	c.state, c.leaving = state, false
	var working sync.WaitGroup
	for range c.size {
		working.Go(func() { C.penstock_execute(state) })
	}
	c.ended.Go(func() {
		working.Wait()
		c.mu.Lock() // whoever dismisses them still uses the state when they have ended
		defer c.mu.Unlock()
		C.penstock_destroy(state)
		c.state = nil
		if c.asked > 0 && !c.closed {
			c.enlist()
		}
	})
}

// dismiss has the threads end; the caller holds c.mu.
func (c *crew) dismiss() {
	c.leaving = true
	C.penstock_finish(c.state)
}

// close returns when no thread works any more, and none ever will.
func (c *crew) close() {
	c.mu.Lock()
	c.closed = true
	if c.state != nil && !c.leaving {
		c.dismiss()
	}
	c.mu.Unlock()
	c.ended.Wait()
}
