package pipeline_test

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"penstock"
	"penstock/internal/pipeline"
	"penstock/internal/source/memsource"
)

// TestPacing: caught up, batches are MinInterval apart at the least, and
// applying takes a fifth of the time at the most.
func TestPacing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		apply       time.Duration // how long the target takes for a batch
		least, most int64         // batches in a second
	}{
		{"quick target", 0, 30, 42},
		{"slow target", 20 * time.Millisecond, 8, 11},
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

// TestBehind: rows of a stream that is behind come in large batches, one after the
// other, and do not wait long for others though none come.
func TestBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSmall(t, 10)
		source := &lagging{Source: s.source}
		s.config.Source, s.config.Poll, s.config.Memory, s.config.Room = source, time.Hour, 4<<20, pipeline.NewRoom(2<<20)
		s.keep(t)
		defer s.stop()
		time.Sleep(time.Minute)
		var batches atomic.Int64
		s.target.Intercept(func(op string) error {
			if op == "Apply" {
				batches.Add(1)
				time.Sleep(100 * time.Millisecond) // four times that would be a pause
			}
			return nil
		})
		source.behind.Store(true)
		body := strings.Repeat("x", 10<<10)
		const rows = 1000 // 10 MB, and a batch has half a megabyte
		for i := range rows {
			s.db.Do(func(tx *memsource.Tx) { tx.Insert("keyed", 100+i, 0, body) })
			time.Sleep(time.Millisecond)
		}
		if got := s.status().RowsChanged; got < rows/2 {
			t.Errorf("%d rows, want most of %d", got, rows)
		}
		if n := batches.Load(); n < 8 || n > 20 {
			t.Errorf("%d batches in a second, want some ten", n)
		}
		time.Sleep(2500 * time.Millisecond)
		if got := s.status().RowsChanged; got != rows {
			t.Errorf("%d rows some seconds later, want %d", got, rows)
		}
		changed := int64(rows)
		soon := func(what string, insert int) {
			t.Helper()
			s.db.Do(func(tx *memsource.Tx) {
				for range insert {
					changed++
					tx.Insert("keyed", 5000+int(changed), 0, body)
				}
			})
			time.Sleep(500 * time.Millisecond)
			if got := s.status().RowsChanged; got != changed {
				t.Errorf("%s: %d rows half a second later, want %d", what, got, changed)
			}
		}
		soon("a transaction that comes in parts", 150)
		source.behind.Store(false)
		soon("caught up", 1)
	})
}

// TestRoomIsShared: where others have all the room for rows in hand, a stream that is
// behind takes small batches, as soon as they come.
func TestRoomIsShared(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		room *pipeline.Room
		want bool // some rows come before the patience is over
	}{"alone": {pipeline.NewRoom(2 << 20), false}, "without room": {pipeline.NewRoom(0), true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSmall(t, 10)
				source := &lagging{Source: s.source}
				s.config.Source, s.config.Poll, s.config.Memory, s.config.Room = source, time.Hour, 4<<20, c.room
				s.keep(t)
				defer s.stop()
				time.Sleep(time.Minute)
				source.behind.Store(true)
				const rows = 40 // 400 kB, less than a batch has where there is room
				for i := range rows {
					s.db.Do(func(tx *memsource.Tx) { tx.Insert("keyed", 100+i, 0, strings.Repeat("x", 10<<10)) })
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(500 * time.Millisecond)
				if got := s.status().RowsChanged; (got > 0) != c.want {
					t.Errorf("%d of %d rows within the patience, want some: %v", got, rows, c.want)
				}
				time.Sleep(3 * time.Second)
				if got := s.status().RowsChanged; got != rows {
					t.Errorf("%d rows in the end, want %d", got, rows)
				}
			})
		})
	}
}

// TestPauseIsForWork: that others have their turn at the destination makes the
// pause after a batch that waited for it no longer.
func TestPauseIsForWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSmall(t, 10)
		s.config.MinInterval, s.config.Poll = 25*time.Millisecond, 100*time.Millisecond
		s.keep(t)
		defer s.stop()
		time.Sleep(time.Minute)
		begun, once := make(chan struct{}), sync.Once{}
		s.target.Intercept(func(op string) error {
			if op == "Ensure" {
				once.Do(func() { close(begun) })
				time.Sleep(2 * time.Second)
			}
			return nil
		})
		s.create("later", penstock.IdentityKey)
		<-begun
		s.db.Do(func(tx *memsource.Tx) { tx.Insert("keyed", 100, 0, "") }) // waits for the turn
		time.Sleep(2100 * time.Millisecond)
		s.db.Do(func(tx *memsource.Tx) { tx.Insert("keyed", 101, 0, "") })
		time.Sleep(500 * time.Millisecond)
		if got := len(s.rows("keyed")); got != 12 {
			t.Errorf("%d rows half a second later, want 12", got)
		}
	})
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

// TestRefreshInterval: caught up, batches are the interval apart; behind, they
// follow each other; another interval is heeded at once, and what is no row is
// not held up.
func TestRefreshInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSmall(t, 10)
		s.config.Poll, s.config.Memory = time.Hour, 4<<20
		s.config.Options.RefreshInterval = time.Minute
		s.keep(t)
		defer s.stop()
		time.Sleep(time.Second)
		if got := len(s.rows("keyed")); got != 10 {
			t.Fatalf("after a second there are %d rows: the first load waits", got)
		}
		var mu sync.Mutex
		var times []time.Time
		s.target.Intercept(func(op string) error {
			if op == "Apply" {
				mu.Lock()
				defer mu.Unlock()
				times = append(times, time.Now())
			}
			return nil
		})
		take := func() (all []time.Time) {
			mu.Lock()
			defer mu.Unlock()
			all, times = times, nil
			return all
		}
		next := 100
		insert := func(n int, body string) {
			for range n {
				s.db.Do(func(tx *memsource.Tx) { tx.Insert("keyed", next, 0, body) })
				next++
			}
		}
		for range 600 {
			insert(1, "")
			time.Sleep(time.Second)
		}
		applied := take()
		if n := len(applied); n < 9 || n > 12 {
			t.Errorf("%d batches in ten minutes", n)
		}
		for i := 1; i < len(applied); i++ {
			if d := applied[i].Sub(applied[i-1]); d < time.Minute {
				t.Errorf("batch %d comes %s after the one before", i, d)
			}
		}

		// As much as a batch may hold does not wait.
		time.Sleep(2 * time.Minute)
		insert(1, "")
		time.Sleep(time.Second)
		take()
		insert(40, strings.Repeat("x", 100_000)) // four times a batch
		time.Sleep(time.Second)
		if got, n := len(s.rows("keyed")), len(take()); got < next-90-10 || n < 3 {
			t.Errorf("behind, %d of %d rows are there after a second, in %d batches", got, next-90, n)
		}

		// Another interval is heeded at once.
		time.Sleep(2 * time.Minute)
		insert(1, "")
		time.Sleep(time.Second)
		insert(1, "")
		time.Sleep(5 * time.Second)
		if got := len(s.rows("keyed")); got != next-90-1 {
			t.Errorf("%d rows, want %d: the interval is not over", got, next-91)
		}
		s.tune(penstock.DatabaseOptions{})
		time.Sleep(time.Second)
		if got := len(s.rows("keyed")); got != next-90 {
			t.Errorf("%d rows, want %d: there is no interval any more", got, next-90)
		}

		// Who waits for the warehouse does not wait for the interval.
		s.tune(penstock.DatabaseOptions{RefreshInterval: time.Hour})
		insert(1, "")
		time.Sleep(time.Second)
		insert(1, "")
		began := time.Now()
		if err := s.current().Await(t.Context(), ""); err != nil || time.Since(began) > time.Second || len(s.rows("keyed")) != next-90 {
			t.Errorf("waited for %s, %d rows, %v", time.Since(began), len(s.rows("keyed")), err)
		}

		// Idle, the source may forget.
		s.tune(penstock.DatabaseOptions{RefreshInterval: time.Hour})
		for range 100 {
			s.db.Tick()
			time.Sleep(time.Second)
		}
		if st := s.status(); st.RetainedWAL > 80 {
			t.Errorf("idle, the source retains %d steps", st.RetainedWAL)
		}
	})
}

// TestInvalidText: text that is not UTF-8 is repaired if that is wanted, in
// loads and in the stream, and counts as bad otherwise.
func TestInvalidText(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 0)
	s.config.Options.AcceptInvChars = true
	s.db.Do(func(tx *memsource.Tx) { tx.Insert("keyed", 1, 0, "a\xffb\xc3") })
	s.keep(t)
	defer s.stop()
	await(t, "the load", func() bool { return len(s.rows("keyed")) == 1 && s.state("whole").State == penstock.TableSynced })
	s.db.Do(func(tx *memsource.Tx) {
		tx.Insert("keyed", 2, 0, "\xe2\x82\xac\xe2\x82")
		tx.Insert("whole", 3, 0, "\xff")
	})
	s.db.Do(func(tx *memsource.Tx) { tx.Delete("whole", 3) })
	await(t, "the rows", func() bool { return len(s.rows("keyed")) == 2 && s.status().RowsChanged == 3 })
	got := map[string]bool{}
	_, rows, _ := s.target.Read("shop", "public", "keyed")
	for i := range rows.Len() {
		got[rows.Vectors[2].Text(i)] = true
	}
	if !got["a?b?"] || !got["€??"] {
		t.Errorf("the texts are %v", got)
	}
	if n := len(s.rows("whole")); n != 0 {
		t.Errorf("%d rows, want none: the deleted one is not found", n)
	}
}

// TestExposed: tables in their first load can be read while that is wanted.
func TestExposed(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 10)
	held := make(chan struct{})
	s.source.Intercept(func(op string) error {
		if op == "Stream" {
			<-held // loaded, and not swapped in
		}
		return nil
	})
	s.keep(t)
	await(t, "the load", func() bool { return s.status().RowsLoaded == 30 })
	if s.rows("keyed") != nil {
		t.Error("a table can be read that is not loaded")
	}
	s.tune(penstock.DatabaseOptions{QueryAllStates: true})
	await(t, "the table to be shown", func() bool { return len(s.rows("keyed")) == 10 })
	s.tune(penstock.DatabaseOptions{})
	await(t, "the table to be hidden", func() bool { return s.rows("keyed") == nil })
	close(held)
	s.settle(t, allKinds...)

	// What the configuration says holds from the start.
	s.stop()
	s.config.Options.QueryAllStates = true
	s.create("late", penstock.IdentityKey)
	s.source.Intercept(func(op string) error {
		if op == "Load" || op == "LoadBeside" {
			return penstock.Errorf(penstock.KindSetting, "no load")
		}
		return nil
	})
	s.keep(t)
	s.settle(t, "keyed")
	s.source.Intercept(nil)
	s.settle(t, "late")
}
