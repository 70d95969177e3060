package pipeline_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"penstock"
)

// TestRetentionAlarm: what the source keeps for us is told above the alarm,
// with why, and no more once it has gone.
func TestRetentionAlarm(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 10)
	s.config.WALAlarm, s.config.WALLimit = 50, 1<<30
	s.keep(t)
	s.settle(t, allKinds...)
	release := stall(s.target)
	defer release()
	for i := range 100 {
		s.work(i)
	}
	await(t, "the alarm", func() bool { return s.problem(penstock.ProblemWALRetained) != nil })
	if p := s.problem(penstock.ProblemWALRetained); p.Severity != penstock.SeverityWarning || !strings.Contains(p.Message, "nobody has acknowledged it") || !strings.Contains(p.Message, "1.0 GiB it is given up") {
		t.Errorf("the problem is %+v", p)
	}
	release()
	s.settle(t, allKinds...)
	await(t, "the alarm to end", func() bool { return s.problem(penstock.ProblemWALRetained) == nil })
}

// TestRetentionLimit: above the limit the stream gives up what the source
// keeps, tables stay readable, and are loaded again (promises 4 and 6).
func TestRetentionLimit(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 10)
	s.config.WALLimit = 100
	s.keep(t)
	s.settle(t, allKinds...)
	before := s.rows("keyed")
	release := stall(s.target)
	defer release()
	var gone atomic.Bool
	s.source.Intercept(func(op string) error {
		if op == "GiveUp" {
			gone.Store(true)
		}
		return nil
	})
	for i := range 200 {
		s.work(i)
	}
	await(t, "it to be noticed", func() bool { return s.status().RetainedWAL > s.config.WALLimit })
	release()
	await(t, "the source to be relieved", gone.Load)
	if len(before) == 0 || s.rows("keyed") == nil {
		t.Error("the tables are not readable any more")
	}
	s.settle(t, allKinds...)
	await(t, "all tables to be synced", func() bool { return s.allSynced() && s.problem(penstock.ProblemWALLimit) == nil })
	if f := s.failures(); len(f) > 0 {
		t.Errorf("runs ended with %v", f)
	}
}

// TestRetentionLimitDuringLoad: a load that makes the source keep too much is
// tried once more and then waits: it is not repeated without end.
func TestRetentionLimitDuringLoad(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 250)
	s.config.WALLimit, s.config.Connections = 100, 1
	var busy sync.Mutex
	var loads, reads, given, looks atomic.Int64
	s.source.Intercept(func(op string) error {
		switch op {
		case "Load":
			loads.Add(1)
		case "GiveUp":
			given.Add(1)
		case "Retained":
			busy.Lock() // so that a look sees all of the application's work, or none
			defer busy.Unlock()
			looks.Add(1)
		case "Read": // the application is busy meanwhile, until that has been seen
			if n := loads.Load(); !reads.CompareAndSwap(n-1, n) {
				return nil
			}
			busy.Lock()
			for i := range 200 {
				s.work(i)
			}
			before := looks.Load()
			busy.Unlock()
			await(t, "a look", func() bool { return looks.Load() > before })
		}
		return nil
	})
	s.keep(t)
	await(t, "the load to wait", func() bool {
		p := s.problem(penstock.ProblemWALLimit)
		return p != nil && p.Severity == penstock.SeverityAttention && strings.Contains(p.Message, "waits for 10m")
	})
	if n := loads.Load(); n != 2 || given.Load() != 2 {
		t.Errorf("%d loads and given up %d times, want 2", n, given.Load())
	}
}

// TestRetentionLimitStop: where positions must not be lost, the stream fails
// instead, and the source is relieved all the same.
func TestRetentionLimitStop(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 10)
	s.config.WALLimit, s.config.StopOnLostPosition = 100, true
	ended := make(chan error, 1)
	go func() { ended <- s.run(t.Context()) }()
	s.settle(t, allKinds...)
	release := stall(s.target)
	defer release()
	var gone atomic.Bool
	s.source.Intercept(func(op string) error {
		if op == "GiveUp" {
			gone.Store(true)
		}
		return nil
	})
	for i := range 200 {
		s.work(i)
	}
	await(t, "it to be noticed", func() bool { return s.status().RetainedWAL > s.config.WALLimit })
	release()
	if err := <-ended; penstock.KindOf(err) != penstock.KindPositionLost || penstock.ProblemOf(err) != penstock.ProblemWALLimit {
		t.Errorf("Run ended with %v", err)
	}
	if !gone.Load() {
		t.Error("the source still keeps it")
	}
}
