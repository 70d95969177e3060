package pipeline_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"penstock"
	"penstock/internal/source/memsource"
)

// TestPacing: caught up, batches are MinInterval apart at the least, and
// applying takes a quarter of the time at the most.
func TestPacing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		apply       time.Duration // how long the target takes for a batch
		least, most int64         // batches in a second
	}{
		{"quick target", 0, 30, 42},
		{"slow target", 20 * time.Millisecond, 10, 14},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSmall(t, 10)
				s.config.MinInterval, s.config.Poll = 25*time.Millisecond, time.Hour
				s.keep(t)
				defer s.stop()
				time.Sleep(time.Minute)
				var batches atomic.Int64
				s.target.Intercept(func(op string) error {
					if op == "Apply" {
						batches.Add(1)
						time.Sleep(c.apply)
					}
					return nil
				})
				for i := range 1000 {
					s.db.Do(func(tx *memsource.Tx) { tx.Insert("keyed", 100+i, 0, "") })
					time.Sleep(time.Millisecond)
				}
				if n := batches.Load(); n < c.least || n > c.most {
					t.Errorf("%d batches in a second, want %d to %d", n, c.least, c.most)
				}
				time.Sleep(time.Second)
				if got := len(s.rows("keyed")); got != 1010 {
					t.Errorf("%d rows, want 1010", got)
				}
				st := s.status()
				if st.Transactions != 1000 || st.RowsChanged != 1000 || st.Lag > 150*time.Millisecond {
					t.Errorf("%d transactions, %d rows changed, lag %s", st.Transactions, st.RowsChanged, st.Lag)
				}
			})
		})
	}
}

// TestIdle: the position of a quiet stream is stored and acknowledged, though
// not at every step, so that the source can forget.
func TestIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSmall(t, 10)
		s.config.Poll = time.Second
		s.keep(t)
		defer s.stop()
		time.Sleep(time.Minute)
		var batches atomic.Int64
		s.target.Intercept(func(op string) error {
			if op == "Apply" {
				batches.Add(1)
			}
			return nil
		})
		for range 600 {
			s.db.Tick()
			time.Sleep(100 * time.Millisecond)
		}
		if n := batches.Load(); n < 6 || n > 15 {
			t.Errorf("%d batches in an idle minute, want about 12", n)
		}
		if st := s.status(); st.RetainedWAL > 80 || st.Lag > time.Second {
			t.Errorf("idle, the source retains %d steps, and the lag is %s", st.RetainedWAL, st.Lag)
		}
	})
}

// TestLag: while the target does not take a batch, the lag grows (promise 8).
func TestLag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSmall(t, 10)
		s.keep(t)
		defer s.stop()
		time.Sleep(time.Minute)
		s.target.Intercept(func(op string) error {
			if op == "Apply" {
				time.Sleep(10 * time.Second)
			}
			return nil
		})
		began := time.Now()
		s.work(1)
		time.Sleep(time.Second)
		s.work(2) // comes with the next batch
		for _, c := range []struct{ at, lag time.Duration }{{5 * time.Second, 5 * time.Second}, {19 * time.Second, 18 * time.Second}} {
			time.Sleep(time.Until(began.Add(c.at)))
			if got := s.status().Lag; got < c.lag-time.Second || got > c.lag+time.Second {
				t.Errorf("after %s the lag is %s, want about %s", c.at, got, c.lag)
			}
		}
		s.target.Intercept(nil)
		time.Sleep(time.Minute)
		s.work(3)
		time.Sleep(time.Second)
		st := s.status()
		if st.State != penstock.StreamCdcRefresh || st.LastCommit.IsZero() || st.LastApplied.Before(st.LastCommit) || st.Lag > time.Second {
			t.Errorf("state %s, last commit %s, applied %s, lag %s", st.State, st.LastCommit, st.LastApplied, st.Lag)
		}
	})
}

// TestStatus: what is known about a stream follows what happens to it.
func TestStatus(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 250)
	s.keep(t)
	s.settle(t, allKinds...)
	await(t, "all tables to be synced", func() bool {
		st := s.status().Tables
		return len(st) == 3 && !slices.ContainsFunc(st, func(st penstock.TableStatus) bool { return st.State != penstock.TableSynced || !st.Readable })
	})
	st := s.status()
	if st.RowsLoaded != 750 || st.Loading != nil || st.Applied == "" || st.BytesApplied == 0 || st.Database.Name != "shop" {
		t.Errorf("after the load: %+v", st)
	}
	s.db.Do(func(tx *memsource.Tx) {
		tx.Insert("keyed", 1000, memsource.Bad, "b")
		tx.Insert("keyed", 1001, memsource.Bad, "b")
		tx.Delete("keyed", 1)
	})
	await(t, "the changes to be counted", func() bool { return s.status().RowsChanged == 3 })
	if st := s.status(); st.Transactions != 1 || st.LastCommit.IsZero() {
		t.Errorf("after a transaction: %+v", st)
	}
	s.source.Find(
		penstock.Finding{Code: penstock.ProblemNoReplicaIdentity, Severity: penstock.SeverityWarning, Database: "shop", Table: "public.bare", Message: "bare has no key"},
		penstock.Finding{Code: penstock.ProblemTableFailed, Severity: penstock.SeverityAttention, Database: "shop", Table: "public.whole", Message: "whole is no good", Mend: "DO SOMETHING"})
	await(t, "the findings to be told", func() bool { return len(s.status().Problems) >= 2 })
	await(t, "the table to fail", func() bool { return s.state("whole").State == penstock.TableFailed })
	if reason := s.state("whole").Reason; reason != "TABLE_FAILED: whole is no good; to mend it: DO SOMETHING" {
		t.Errorf("the reason is %q", reason)
	}
	if s.rows("whole") == nil {
		t.Error("a failed table is not readable any more")
	}
	s.work(1)
	s.settle(t, "keyed", "bare")
	s.source.Find()
	s.settle(t, "whole")
	await(t, "the table to heal", func() bool { return s.state("whole").State == penstock.TableSynced })
	await(t, "the findings to be gone", func() bool {
		return !slices.ContainsFunc(s.status().Problems, func(p penstock.Problem) bool { return p.Code != penstock.ProblemBadValues })
	})
}

// state returns the status of a table.
func (s *small) state(table string) penstock.TableStatus {
	for _, st := range s.status().Tables {
		if st.Table.Name == table {
			return st
		}
	}
	return penstock.TableStatus{}
}
