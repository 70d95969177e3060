package pipeline_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"penstock"
	"penstock/internal/source/memsource"
	"penstock/internal/target/memtarget"
)

// TestReopened: a destination that has to be opened anew, for a load, for one
// beside the stream and for a batch, is, and nothing else comes of it (promise 2).
func TestReopened(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 250)
	asked := map[string]int{}
	var mu sync.Mutex
	again := func(op string, every int) {
		s.target.Intercept(func(got string) error {
			mu.Lock()
			defer mu.Unlock()
			if got != op {
				return nil
			}
			if asked[op]++; asked[op]%every == 1 {
				return &penstock.Error{Kind: penstock.KindInternal, Err: penstock.ErrReopen}
			}
			return nil
		})
	}
	again("Fits", 2)
	s.keep(t)
	s.settle(t, allKinds...)
	s.create("late", penstock.IdentityKey)
	s.db.Do(func(tx *memsource.Tx) { tx.Insert("late", 1, 1, "late") })
	for i := range 20 {
		s.work(i)
	}
	s.settle(t, "keyed", "whole", "bare", "late")
	again("Apply", 5)
	for i := range 20 {
		s.work(20 + i)
	}
	s.settle(t, "keyed", "whole", "bare", "late")
	mu.Lock()
	defer mu.Unlock()
	if asked["Fits"] < 4 || asked["Apply"] < 2 {
		t.Errorf("it was asked %v", asked)
	}
	if f := s.failures(); len(f) > 0 {
		t.Errorf("runs ended with %v", f)
	}
}

// TestTooWide: a table that the destination has no room for fails, the others are
// loaded (promise 5), and it is loaded once there is room.
func TestTooWide(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 10)
	var full atomic.Bool
	full.Store(true)
	large := &penstock.TooLarge{Columns: 1600, Bytes: 100 << 20, Fits: 50 << 20, Needs: 1 << 30, Instead: "free 5 MiB on the disk of /x"}
	filter, err := s.source.ParseFilter("include: shop.*.*")
	if err != nil {
		t.Fatal(err)
	}
	capture := s.source.Capture(penstock.CaptureSpec{Integration: memIntegration, Database: "shop", Filter: filter})
	tables, _, err := capture.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range tables {
		if tables[i].Name == "whole" {
			large.Table = &tables[i]
		}
	}
	first := true // of each Fits, the answer is about that table; without it there is room
	s.target.Intercept(func(op string) error {
		if op != "Fits" || !full.Load() {
			return nil
		}
		if first = !first; !first {
			return &penstock.Error{Kind: penstock.KindFull, Code: penstock.ProblemMemoryExhausted, Err: large}
		}
		return nil
	})
	s.keep(t)
	s.settle(t, "keyed", "bare")
	await(t, "the table to fail", func() bool { return s.state("whole").State == penstock.TableFailed })
	const want = "MEMORY_EXHAUSTED: table public.whole has 1600 columns, for which the warehouse needs 100 MiB at once and has 50; to mend it: raise memory in the configuration to 1024 MiB or more, or free 5 MiB on the disk of /x, or remove columns at the source"
	if got := s.state("whole").Reason; !strings.HasPrefix(got, want) {
		t.Errorf("the reason is %q", got)
	}
	full.Store(false)
	s.settle(t, allKinds...)
	if f := s.failures(); len(f) > 0 {
		t.Errorf("runs ended with %v", f)
	}
}

// tardyTarget takes its time to open a destination, once.
type tardyTarget struct {
	*memtarget.Target
	opened atomic.Int32
	at     int32 // the opening that does not come to an end
	begun  chan struct{}
}

func (t *tardyTarget) Open(ctx context.Context, spec penstock.DatabaseSpec) (penstock.Destination, error) {
	if t.opened.Add(1) == t.at {
		close(t.begun)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return t.Target.Open(ctx, spec)
}

// TestOpenedTooSlowly: a destination that takes long to be opened anew does not make
// the source keep more than it may (promise 4): it is opened as it is.
func TestOpenedTooSlowly(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 10)
	slow := &tardyTarget{Target: s.target, at: 2, begun: make(chan struct{})}
	s.config.Target, s.config.WALLimit = slow, 1000
	s.keep(t)
	s.settle(t, allKinds...)
	s.target.Intercept(once("Fits", 1, penstock.ErrReopen))
	s.create("late", penstock.IdentityKey)
	<-slow.begun
	for i := 0; slow.opened.Load() == 2; i++ {
		s.work(i)
	}
	s.settle(t, "keyed", "whole", "bare", "late")
	if s.problem(penstock.ProblemWALLimit) != nil {
		t.Error("its history was given up")
	}
	if f := s.failures(); len(f) > 0 {
		t.Errorf("runs ended with %v", f)
	}
}
