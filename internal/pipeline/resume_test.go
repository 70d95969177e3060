package pipeline_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"penstock"
	"penstock/internal/source/memsource"
)

// newLarge returns a stream that is not running, of a database with a keyed
// table of n rows, every third of which has a value that is not sent when it is
// unchanged.
func newLarge(t *testing.T, n int) *small {
	t.Helper()
	s := newSmall(t, 0)
	s.db.Drop("whole")
	s.db.Drop("bare")
	s.db.Do(func(tx *memsource.Tx) {
		for i := range n {
			tx.Insert("keyed", i+1, 100, largeBody(i, i%3 == 0))
		}
	})
	return s
}

func largeBody(i int, large bool) string {
	if large {
		return fmt.Sprint("large ", i, strings.Repeat(".", 2000))
	}
	return fmt.Sprint("small ", i)
}

// churn changes rows of keyed in every way there is, most of the time without
// touching large values.
func (s *small) churn(r *rand.Rand, most int) {
	s.db.Do(func(tx *memsource.Tx) {
		for range 1 + r.IntN(8) {
			id, other := 1+r.IntN(most), 1+r.IntN(2*most)
			switch r.IntN(10) {
			case 0:
				tx.Delete("keyed", id)
			case 1: // perhaps where another row was
				if !tx.Update("keyed", other, map[string]any{"n": r.IntN(1000)}) {
					tx.Insert("keyed", other, 1, largeBody(r.IntN(1000), r.IntN(2) == 0))
				}
			case 2:
				if !tx.Update("keyed", other, map[string]any{"n": r.IntN(1000)}) {
					tx.Update("keyed", id, map[string]any{"id": other})
				}
			case 3:
				tx.Update("keyed", id, map[string]any{"body": largeBody(r.IntN(1000), r.IntN(2) == 0)})
			case 4: // a key is used again
				if tx.Delete("keyed", id) {
					tx.Insert("keyed", id, 2, largeBody(r.IntN(1000), true))
				}
			default:
				tx.Update("keyed", id, map[string]any{"n": r.IntN(1000)})
			}
		}
	})
}

// TestLoadGoesOn: a load that broke at any chunk goes on with the chunks that
// are missing, and the table is right in the end, whatever happened to its
// rows meanwhile.
func TestLoadGoesOn(t *testing.T) {
	t.Parallel()
	const rows, chunks = 550, 6
	for at := 1; at <= chunks; at++ {
		for _, op := range []string{"Read", "Commit", "Loaded"} {
			t.Run(fmt.Sprint(op, at), func(t *testing.T) {
				t.Parallel()
				s := newLarge(t, rows)
				s.config.Connections = 1
				r := rand.New(rand.NewPCG(uint64(at), 1))
				var mu sync.Mutex
				commits := 0
				fail := once(op, at, penstock.Errorf(penstock.KindUnreachable, "%w", errInjected))
				s.source.Intercept(func(got string) error {
					if got == "Read" {
						s.churn(r, rows)
					}
					return fail(got)
				})
				s.target.Intercept(func(got string) error {
					if got == "Commit" {
						mu.Lock()
						commits++
						mu.Unlock()
					}
					return fail(got)
				})
				s.keep(t)
				s.settle(t, "keyed")
				await(t, "the table to be synced", s.allSynced)
				s.churn(r, rows)
				s.settle(t, "keyed")
				s.stop()
				mu.Lock()
				defer mu.Unlock()
				if commits > chunks+2 { // the one that failed, and one for rows added meanwhile
					t.Errorf("%d chunks were written, of a table that has %d: some were read again", commits, chunks)
				}
			})
		}
	}
}

// TestLoadGoesOnAgainAndAgain: of the source's and the target's calls many fail
// during load and mending, and the load still comes to its end.
func TestLoadGoesOnAgainAndAgain(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			const rows = 900
			s := newLarge(t, rows)
			s.config.Memory = []int64{0, 1 << 20}[seed%2] // transactions in parts
			r := rand.New(rand.NewPCG(seed, 2))
			var mu sync.Mutex
			left := 30 + r.IntN(40) // calls that may fail
			intercept := func(op string) error {
				mu.Lock()
				defer mu.Unlock()
				if left == 0 {
					return nil
				}
				switch op {
				case "Read", "Next", "Reread", "NextInside":
					if op != "Next" || r.IntN(4) == 0 {
						left--
						s.churn(r, rows)
					}
				case "Commit", "Apply", "Loaded", "Keep", "Append":
				default:
					return nil
				}
				if r.IntN(6) == 0 {
					return penstock.Errorf(penstock.KindUnreachable, "%w", errInjected)
				}
				return nil
			}
			s.source.Intercept(intercept)
			s.target.Intercept(intercept)
			s.keep(t)
			await(t, "the failures", func() bool {
				mu.Lock()
				defer mu.Unlock()
				if left == 0 {
					return true
				}
				return s.allSynced()
			})
			mu.Lock()
			left = 0
			mu.Unlock()
			s.settle(t, "keyed")
			await(t, "the table to be synced", s.allSynced)
			s.churn(r, rows)
			s.settle(t, "keyed")
		})
	}
}

// breakOnce lets a load break after its first chunk, has the source do
// something then, and lets it go on.
func (s *small) breakOnce(t *testing.T, then func()) {
	t.Helper()
	s.config.Connections = 1
	s.source.Intercept(once("Read", 2, penstock.Errorf(penstock.KindUnreachable, "%w", errInjected)))
	if err := s.run(t.Context()); penstock.KindOf(err) != penstock.KindUnreachable {
		t.Fatalf("the run ended with %v, want it to break", err)
	}
	s.source.Intercept(nil)
	then()
	s.keep(t)
}

// TestLoadGoesOnWithWhatIsMissing: rows that an update moved to where nobody
// reads any more are read again by key.
func TestLoadGoesOnWithWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newLarge(t, 250)
	rereads := 0
	s.breakOnce(t, func() {
		s.source.Intercept(func(op string) error {
			if op == "Reread" {
				rereads++
				s.db.Do(func(tx *memsource.Tx) { tx.Update("keyed", 1, map[string]any{"n": rereads}) })
			}
			return nil
		})
		s.db.Do(func(tx *memsource.Tx) {
			tx.Update("keyed", 1, map[string]any{"id": 1001})   // done; its large value is with the old key only
			tx.Update("keyed", 4, map[string]any{"id": 1004})   // the same, and the key is used again
			tx.Insert("keyed", 4, 4, largeBody(4444, true))     //
			tx.Update("keyed", 1001, map[string]any{"id": 1})   // and back
			tx.Update("keyed", 1004, map[string]any{"n": 1004}) //
		})
		s.db.Do(func(tx *memsource.Tx) { tx.Delete("keyed", 7) })
	})
	s.settle(t, "keyed")
	await(t, "the table to be synced", s.allSynced)
	s.stop()
	if rereads == 0 {
		t.Error("nothing was read again")
	}
}

// TestLoadGoesOnOrNot: what is begun is worth nothing once the table is another
// file or of another shape, and for tables whose rows nothing tells apart.
func TestLoadGoesOnOrNot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		then  func(*small)
		again bool
	}{
		"nothing happened": {func(*small) {}, false},
		"rows added":       {func(s *small) { s.db.Do(func(tx *memsource.Tx) { tx.Insert("keyed", 1000, 0, "") }) }, false},
		"truncated": {func(s *small) {
			s.db.Do(func(tx *memsource.Tx) { tx.Truncate("keyed") })
			s.db.Do(func(tx *memsource.Tx) { tx.Insert("keyed", 7, 0, "") })
		}, true},
		"another shape": {func(s *small) { s.addColumn("keyed") }, true},
		"position lost": {func(s *small) { s.db.LoseSlots() }, true},
		"a new table beside it": {func(s *small) {
			s.create("late", penstock.IdentityFull)
			s.db.Do(func(tx *memsource.Tx) { tx.Insert("late", 1, 1, "") })
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLarge(t, 250)
			s.breakOnce(t, func() { c.then(s) })
			s.settle(t, "keyed")
			await(t, "the table to be synced", s.allSynced)
			read := s.status().RowsLoaded
			want := int64(len(s.rows("keyed")) - 100)
			if c.again {
				want += 100
			}
			if name == "a new table beside it" {
				want++
			}
			if read != want {
				t.Errorf("the second load read %d rows, want %d", read, want)
			}
			if name == "a new table beside it" {
				s.settle(t, "late")
			}
		})
	}
}

// TestLoadStartsAgainOnceTheStreamHasMoved: what was begun misses the changes
// that the stream has delivered to others since.
func TestLoadStartsAgainOnceTheStreamHasMoved(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 250)
	s.keep(t)
	s.settle(t, allKinds...)
	await(t, "all tables to be synced", s.allSynced)
	s.source.Intercept(func(op string) error {
		switch op {
		case "LoadBeside": // so that the stream stands still for the load
			return penstock.Errorf(penstock.KindQuota, "no slot is free")
		case "Read":
			return penstock.Errorf(penstock.KindUnreachable, "%w", errInjected)
		}
		return nil
	})
	s.create("late", penstock.IdentityKey)
	s.db.Do(func(tx *memsource.Tx) {
		for i := range 250 {
			tx.Insert("late", i+1, 1, "")
		}
	})
	await(t, "the load to break", func() bool { return len(s.failures()) > 0 })
	s.work(1)
	s.db.Do(func(tx *memsource.Tx) { tx.Update("late", 1, map[string]any{"n": 2}) })
	s.source.Intercept(nil)
	s.settle(t, "keyed", "whole", "bare", "late")
}

// TestProgressCountsWhatWasDone: promise 8, after a load went on.
func TestProgressCountsWhatWasDone(t *testing.T) {
	t.Parallel()
	s := newLarge(t, 550)
	var seen []penstock.LoadProgress
	s.breakOnce(t, func() {
		s.source.Intercept(func(op string) error {
			if op == "Read" {
				if l := s.status().Loading; l != nil {
					seen = append(seen, *l)
				}
			}
			return nil
		})
	})
	s.settle(t, "keyed")
	s.stop()
	if len(seen) != 5 {
		t.Fatalf("%d chunks were read, want 5: %+v", len(seen), seen)
	}
	for i, l := range seen {
		if want := int64(100 * (i + 1)); l.Rows != want || l.Bytes != want || l.TotalBytes != 550 || l.Tables != 1 || l.TablesDone != 0 {
			t.Errorf("before chunk %d: %+v", i+2, l)
		}
	}
	if st := s.status(); slices.ContainsFunc(st.Tables, func(t penstock.TableStatus) bool { return t.Mending || t.Partial != nil }) {
		t.Errorf("something is left of the load: %+v", st.Tables)
	}
}

// TestMendedTableWaits: a row that was read again is newer than the stream; the
// table does not appear before the stream is there too (promise 1).
func TestMendedTableWaits(t *testing.T) {
	t.Parallel()
	s := newLarge(t, 250)
	var mu sync.Mutex
	held := false
	s.breakOnce(t, func() {
		s.db.Do(func(tx *memsource.Tx) { tx.Update("keyed", 1, map[string]any{"id": 1001}) })
		s.source.Intercept(func(op string) error {
			mu.Lock()
			defer mu.Unlock()
			switch op {
			case "Reread":
				if !held {
					s.db.Do(func(tx *memsource.Tx) {
						tx.Update("keyed", 1001, map[string]any{"n": 150})
						tx.Update("keyed", 2, map[string]any{"n": 50})
					})
					held = true
				}
			case "Next":
				if held {
					return penstock.Errorf(penstock.KindUnreachable, "%w", errInjected)
				}
			}
			return nil
		})
	})
	await(t, "runs to fail after the rows were read again", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return held && len(s.failures()) > 3
	})
	if got := s.rows("keyed"); got != nil && !slices.Equal(got, render(s.db.Rows("keyed"))) {
		t.Error("the table is readable, and has half of a transaction")
	}
	s.source.Intercept(nil)
	s.settle(t, "keyed")
}
