package duckdbtarget

import (
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestCrew: a long statement is helped with while it runs and not after it,
// however requests and releases meet, and the engine can be closed meanwhile.
func TestCrew(t *testing.T) {
	t.Parallel()
	if !canLend() {
		t.Fatal("the engine that is linked cannot be lent threads")
	}
	dir := t.TempDir()
	w := openWarehouse(t, Config{Dir: filepath.Join(dir, "warehouse"), Threads: 3})
	crew := &w.inst.crew
	if crew.size != 2 {
		t.Fatalf("%d threads are lent to an engine that computes with 3", crew.size)
	}
	working := func() bool {
		crew.mu.Lock()
		defer crew.mu.Unlock()
		return crew.state != nil
	}
	s := connect(t, w, "dev")
	const long = "SELECT count(DISTINCT hash(i)) FROM range(3000000) t(i)"
	done := make(chan struct{})
	helped := false
	go func() {
		defer close(done)
		if _, err := query(t, s, long); err != nil {
			t.Error(err)
		}
	}()
	for running := true; running; {
		helped = helped || working()
		select {
		case <-done:
			running = false
		case <-time.After(100 * time.Microsecond):
		}
	}
	if !helped {
		t.Error("nobody helped with a long statement")
	}
	for working() { // they finish what they are at
		time.Sleep(time.Millisecond)
	}

	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 200 {
				release := crew.help(time.Duration(i%3) * 50 * time.Microsecond)
				time.Sleep(time.Duration(i%5) * 30 * time.Microsecond)
				release()
			}
		})
	}
	all.Wait()
	for {
		crew.mu.Lock()
		asked, idle := crew.asked, crew.state == nil
		crew.mu.Unlock()
		if asked == 0 && idle {
			break
		}
		time.Sleep(time.Millisecond)
	}

	release := crew.help(0)
	for !working() {
		time.Sleep(100 * time.Microsecond)
	}
	w.Close()
	release()
}
