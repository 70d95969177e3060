package pipeline_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"penstock"
	"penstock/internal/source/memsource"
)

// scenario has a stream load three tables, carry transactions, reload a table
// of another shape and take in a new one, whatever fails meanwhile.
func (s *small) scenario(t *testing.T) {
	t.Helper()
	s.keep(t)
	for i := range 20 {
		s.work(i)
	}
	s.settle(t, allKinds...)
	s.addColumn("keyed")
	s.create("late", penstock.IdentityKey)
	s.db.Do(func(tx *memsource.Tx) {
		tx.Insert("keyed", 9000, 0, "shaped", 7)
		tx.Insert("late", 1, 1, "late")
		tx.Truncate("whole")
		tx.Insert("whole", 1, 1, "after the truncate")
	})
	s.settle(t, "keyed", "whole", "bare", "late")
	s.stop()
}

// TestTargetFailsAtAnyCall: promise 2 holds whichever call of the target fails.
func TestTargetFailsAtAnyCall(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 40; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			s := newSmall(t, 250)
			s.target.Intercept(once("", n, errInjected))
			s.scenario(t)
			for _, err := range s.failures() {
				if !errors.Is(err, errInjected) {
					t.Errorf("a run ended with %v", err)
				}
			}
		})
	}
}

// TestSourceFailsAtAnyCall: the same for the source.
func TestSourceFailsAtAnyCall(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 40; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			s := newSmall(t, 250)
			s.source.Intercept(once("", n, &penstock.Error{Kind: penstock.KindUnreachable, Err: errInjected}))
			s.scenario(t)
			for _, err := range s.failures() {
				if !errors.Is(err, errInjected) {
					t.Errorf("a run ended with %v", err)
				}
			}
		})
	}
}

// TestEachStepFails fails the first two calls of every method there is.
func TestEachStepFails(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"State", "Ensure", "Keep", "Chunk", "Append", "Commit", "Loaded", "Apply"} {
		for n := 1; n <= 2; n++ {
			t.Run(fmt.Sprint("target/", op, n), func(t *testing.T) {
				t.Parallel()
				s := newSmall(t, 50)
				s.target.Intercept(once(op, n, errInjected))
				s.scenario(t)
			})
		}
	}
	for _, op := range []string{"Prepare", "Tables", "Load", "Read", "Stream", "Next", "Retained", "LoadBeside", "Follow", "NextBeside"} {
		for n := 1; n <= 2; n++ {
			t.Run(fmt.Sprint("source/", op, n), func(t *testing.T) {
				t.Parallel()
				s := newSmall(t, 50)
				s.source.Intercept(once(op, n, &penstock.Error{Kind: penstock.KindUnreachable, Err: errInjected}))
				s.scenario(t)
			})
		}
	}
}

// TestNoFollower: a source that has no room for one more stream is loaded while
// the stream stands still.
func TestNoFollower(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 50)
	s.source.Intercept(refuse("LoadBeside", penstock.Errorf(penstock.KindQuota, "no slot is free")))
	s.scenario(t)
	if errs := s.failures(); len(errs) > 0 {
		t.Errorf("runs ended with %v", errs)
	}
}

// TestDisconnect: the stream breaks again and again under load.
func TestDisconnect(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 50)
	s.keep(t)
	for i := range 100 {
		s.work(i)
		if i%10 == 9 {
			s.db.Disconnect()
		}
	}
	s.settle(t, allKinds...)
}

// TestStaleLoad: a table that changes under its load is loaded again; the
// others are not held up (promise 5).
func TestStaleLoad(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 300)
	var reads atomic.Int64
	s.source.Intercept(func(op string) error {
		if op == "Read" && reads.Add(1)%2 == 1 && reads.Load() < 6 {
			return penstock.Errorf(penstock.KindStale, "the table was rewritten")
		}
		return nil
	})
	s.scenario(t)
	if errs := s.failures(); len(errs) > 0 {
		t.Errorf("runs ended with %v", errs)
	}
}

// TestFull: a target out of memory gets smaller batches, and goes on.
func TestFull(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 50)
	s.keep(t)
	s.settle(t, allKinds...)
	var left atomic.Int64
	left.Store(3)
	s.target.Intercept(func(op string) error {
		if op == "Apply" && left.Add(-1) >= 0 {
			return penstock.Errorf(penstock.KindFull, "out of memory")
		}
		return nil
	})
	for i := range 20 {
		s.work(i)
	}
	s.settle(t, allKinds...)
	if left.Load() >= 0 {
		t.Error("the target was never full")
	}
	if errs := s.failures(); len(errs) > 0 {
		t.Errorf("runs ended with %v", errs)
	}
}

// TestFullForEver: where no batch is small enough, the run ends and says so.
func TestFullForEver(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 10)
	s.keep(t)
	s.settle(t, allKinds...)
	s.target.Intercept(refuse("Apply", penstock.Errorf(penstock.KindFull, "the disk is full")))
	s.work(1)
	await(t, "a run to end", func() bool {
		return slices.ContainsFunc(s.failures(), func(err error) bool { return penstock.KindOf(err) == penstock.KindFull })
	})
	s.target.Intercept(nil)
	s.settle(t, allKinds...)
}

// TestFenced: somebody else wrote; the run ends, and the next one starts from
// what is stored.
func TestFenced(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 10)
	s.keep(t)
	s.settle(t, allKinds...)
	s.target.Intercept(once("Apply", 1, penstock.Errorf(penstock.KindFenced, "the position is another")))
	s.work(1)
	s.settle(t, allKinds...)
	if errs := s.failures(); len(errs) != 1 || penstock.KindOf(errs[0]) != penstock.KindFenced {
		t.Errorf("runs ended with %v, want one fenced", errs)
	}
}

// TestPositionLost: all tables are loaded again, and stay readable meanwhile
// (promise 6).
func TestPositionLost(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 250)
	s.keep(t)
	s.settle(t, allKinds...)
	s.stop()
	before := s.rows("keyed")
	s.db.LoseSlots()
	for i := range 10 {
		s.work(i)
	}
	// The reload may begin, and not end.
	reading := make(chan struct{})
	proceed := make(chan struct{})
	var told atomic.Bool
	s.source.Intercept(func(op string) error {
		if op == "Read" && told.CompareAndSwap(false, true) {
			close(reading)
			return penstock.Errorf(penstock.KindUnreachable, "not yet")
		}
		select {
		case <-proceed:
			return nil
		default:
		}
		if op == "Read" {
			return penstock.Errorf(penstock.KindUnreachable, "not yet")
		}
		return nil
	})
	s.keep(t)
	<-reading
	if got := s.rows("keyed"); !slices.Equal(got, before) {
		t.Errorf("while it is reloaded, the table has %d rows, want the %d of before", len(got), len(before))
	}
	close(proceed)
	s.settle(t, allKinds...)
	await(t, "all tables to be synced", func() bool {
		return !slices.ContainsFunc(s.status().Tables, func(st penstock.TableStatus) bool { return st.State != penstock.TableSynced })
	})
	s.work(11)
	s.settle(t, allKinds...)
}

// TestPositionLostIsTold: the user is told as long as not everything is loaded.
func TestPositionLostIsTold(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 10)
	s.keep(t)
	s.settle(t, allKinds...)
	s.stop()
	s.db.LoseSlots()
	hold := make(chan struct{})
	s.source.Intercept(func(op string) error {
		if op != "Read" {
			return nil
		}
		select {
		case <-hold:
			return nil
		default:
			return penstock.Errorf(penstock.KindStale, "not yet")
		}
	})
	s.keep(t)
	lost := func() bool {
		return slices.ContainsFunc(s.status().Problems, func(p penstock.Problem) bool { return p.Code == penstock.ProblemPositionLost })
	}
	await(t, "the problem to be told", lost)
	close(hold)
	s.settle(t, allKinds...)
	await(t, "the problem to be gone", func() bool { return !lost() })
}

// TestPositionLostWhileRunning: the slot goes while the stream is open.
func TestPositionLostWhileRunning(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 50)
	s.keep(t)
	for i := range 30 {
		s.work(i)
		if i%10 == 5 {
			s.settle(t, allKinds...)
			s.db.LoseSlots()
		}
	}
	s.settle(t, allKinds...)
}

func TestStopOnLostPosition(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 10)
	s.config.StopOnLostPosition = true
	s.keep(t)
	s.settle(t, allKinds...)
	s.stop()
	before := s.rows("keyed")
	s.db.LoseSlots()
	s.work(1)
	if err := s.run(t.Context()); penstock.KindOf(err) != penstock.KindPositionLost || err == nil {
		t.Fatalf("Run returns %v, want an error of kind %q", err, penstock.KindPositionLost)
	}
	if got := s.rows("keyed"); !slices.Equal(got, before) {
		t.Errorf("the table has %d rows, want the %d of before", len(got), len(before))
	}
}

// TestBesideFailsInsideATransaction: the stream of a load breaks between the
// parts of a transaction; neither the other tables nor that one suffer.
func TestBesideFailsInsideATransaction(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 10)
	s.config.Memory = 1 << 20
	s.keep(t)
	s.settle(t, allKinds...)
	s.create("late", penstock.IdentityKey)
	next := int64(0)
	var failed atomic.Int64
	s.source.Intercept(func(op string) error {
		switch {
		case op == "Follow": // the load is through, and the main stream goes ahead of it
			s.db.Do(func(tx *memsource.Tx) {
				for range 1000 {
					tx.Insert("late", next, 0, strings.Repeat("x", 1000))
					next++
				}
				tx.Insert("bare", next, 0, "")
			})
			await(t, "the main stream", func() bool { return slices.Equal(s.rows("bare"), render(s.db.Rows("bare"))) })
		case op == "NextBesideInside" && failed.Add(1) <= 2:
			return penstock.Errorf(penstock.KindUnreachable, "the connection broke")
		}
		return nil
	})
	await(t, "two loads to fail", func() bool { return failed.Load() > 2 })
	s.work(1)
	s.settle(t, "keyed", "whole", "bare", "late")
	if errs := s.failures(); len(errs) > 0 {
		t.Errorf("runs ended with %v", errs)
	}
}
