package pipeline_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"penstock"
)

var errUndecodable = penstock.Errorf(penstock.KindPositionLost, "the server cannot decode what follows")

// TestUndecodableHistory: a stream that can never be read on is given up, and
// tables are loaded again while they stay readable, without anybody's doing
// (promises 4 and 6).
func TestUndecodableHistory(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 50)
	s.keep(t)
	s.settle(t, allKinds...)
	var broken, given atomic.Int64
	s.source.Intercept(func(op string) error {
		switch {
		case op == "GiveUp":
			given.Add(1)
		case op == "Next" && broken.CompareAndSwap(0, 1):
			return errUndecodable
		}
		return nil
	})
	for i := range 100 {
		s.work(i)
	}
	s.settle(t, allKinds...)
	await(t, "all tables to be synced", func() bool { return s.allSynced() && s.problem(penstock.ProblemPositionLost) == nil })
	if errs := s.failures(); len(errs) > 0 || given.Load() != 1 {
		t.Errorf("given up %d times, runs ended with %v", given.Load(), errs)
	}
}

// TestUndecodableAgain: if it is so again while tables are loaded, they wait.
func TestUndecodableAgain(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 50)
	s.keep(t)
	s.settle(t, allKinds...)
	before := s.rows("keyed")
	s.source.Intercept(func(op string) error {
		if op == "Next" {
			return errUndecodable
		}
		return nil
	})
	s.work(1)
	await(t, "the load to wait", func() bool {
		p := s.problem(penstock.ProblemPositionLost)
		return p != nil && p.Severity == penstock.SeverityAttention && strings.Contains(p.Message, "cannot decode") && strings.Contains(p.Message, "waits for 10m")
	})
	if len(before) == 0 || len(s.rows("keyed")) == 0 {
		t.Error("the tables are not readable any more")
	}
}
