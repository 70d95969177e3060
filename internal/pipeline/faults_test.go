package pipeline_test

import (
	"slices"
	"sync/atomic"

	"penstock"
	"penstock/internal/target/memtarget"
)

// What tests do to the source and the target of a stream, and ask about it,
// whether it comes from memory or from PostgreSQL.

// stall has a target take nothing until the returned function is called.
func stall(target *memtarget.Target) (release func()) {
	var open atomic.Bool
	gate := make(chan struct{})
	target.Intercept(func(op string) error {
		if op == "Apply" && !open.Load() {
			<-gate
		}
		return nil
	})
	return func() {
		if open.CompareAndSwap(false, true) {
			close(gate)
		}
	}
}

// refuse returns an interceptor that fails each call of op.
func refuse(op string, err error) func(string) error {
	return func(got string) error {
		if got == op {
			return err
		}
		return nil
	}
}

// allSynced reports whether a stream has tables, and all are Synced.
func allSynced(s penstock.StreamStatus) bool {
	return len(s.Tables) > 0 && !slices.ContainsFunc(s.Tables, func(t penstock.TableStatus) bool { return t.State != penstock.TableSynced })
}

// problemOf returns the problem that a stream has of a code; nil if it has none.
func problemOf(s penstock.StreamStatus, code penstock.ProblemCode) *penstock.Problem {
	if i := slices.IndexFunc(s.Problems, func(p penstock.Problem) bool { return p.Code == code }); i >= 0 {
		return &s.Problems[i]
	}
	return nil
}

func (s *small) allSynced() bool { return allSynced(s.status()) }

func (s *small) problem(code penstock.ProblemCode) *penstock.Problem {
	return problemOf(s.status(), code)
}
