package pipeline_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock"
	"penstock/internal/source/memsource"
)

// sum returns the sum of n over a table as a reader of the target sees it.
func (s *small) sum(table string) (sum int64, rows int, readable bool) {
	_, r, ok := s.target.Read("shop", "public", table)
	if !ok {
		return 0, 0, false
	}
	for i := range r.Len() {
		sum += r.Vectors[1].Int64(i)
	}
	return sum, r.Len(), true
}

// watch looks at the target until the test ends, and fails it when look says so.
func watch(t *testing.T, look func() (wrong string)) (looks *atomic.Int64, stop func()) {
	looks = new(atomic.Int64)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if wrong := look(); wrong != "" {
				t.Error(wrong)
				return
			}
			looks.Add(1)
		}
	})
	stop = sync.OnceFunc(func() {
		close(done)
		wg.Wait()
	})
	t.Cleanup(stop)
	return looks, stop
}

// TestPrefix moves money between accounts, which a reader of the target must
// see whole in whatever moment: while streaming, while the table is reloaded,
// while calls fail and the process starts anew (promise 1).
func TestPrefix(t *testing.T) {
	t.Parallel()
	const accounts, each = 50, 100
	s := newSmall(t, accounts)
	var calls atomic.Int64
	s.target.Intercept(func(op string) error {
		if op == "Apply" && calls.Add(1)%17 == 0 {
			return errInjected
		}
		return nil
	})
	looks, stop := watch(t, func() string {
		if sum, _, ok := s.sum("keyed"); ok && sum != accounts*each {
			return "a reader of keyed sees money come or go"
		}
		if sum, _, ok := s.sum("whole"); ok && sum != accounts*each {
			return "a reader of whole sees money come or go"
		}
		return ""
	})
	s.keep(t)
	balance := map[string][]int{"keyed": make([]int, accounts+1), "whole": make([]int, accounts+1)}
	for i := range 300 {
		for name, b := range balance {
			from, to, amount := 1+rand.IntN(accounts), 1+rand.IntN(accounts), rand.IntN(50)
			s.db.Do(func(tx *memsource.Tx) {
				b[from] -= amount
				tx.Update(name, from, map[string]any{"n": each + b[from]})
				b[to] += amount
				tx.Update(name, to, map[string]any{"n": each + b[to]})
			})
		}
		switch i % 100 {
		case 30:
			s.addColumn("keyed")
		case 60:
			s.db.LoseSlots()
		case 90:
			s.settle(t, "keyed", "whole")
		}
	}
	s.settle(t, "keyed", "whole", "bare")
	stop()
	t.Logf("looked %d times, with %d restarts", looks.Load(), len(s.failures()))
}

// TestAcrossTables: of a transaction that changes two tables a reader sees
// both or none (promise 1).
func TestAcrossTables(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 0)
	s.keep(t)
	s.settle(t, allKinds...)
	_, stop := watch(t, func() string {
		_, first, _ := s.sum("keyed")
		_, second, _ := s.sum("bare")
		_, third, _ := s.sum("keyed")
		if second < first || second > third {
			return "two tables that grow together differ"
		}
		return ""
	})
	for i := range 500 {
		s.db.Do(func(tx *memsource.Tx) {
			tx.Insert("keyed", i, 0, "")
			tx.Insert("bare", i, 0, "")
		})
	}
	s.settle(t, allKinds...)
	stop()
}

// TestLargeTransaction: one that takes several batches is seen whole or not at
// all, also when it breaks in the middle (promises 1 and 7).
func TestLargeTransaction(t *testing.T) {
	t.Parallel()
	const size = 3000
	s := newSmall(t, 0)
	s.config.Memory = 1 << 20
	s.keep(t)
	s.settle(t, allKinds...)
	_, stop := watch(t, func() string {
		if _, n, _ := s.sum("keyed"); n%size != 0 {
			return "a part of a transaction is seen"
		}
		return ""
	})
	var parts atomic.Int64
	s.source.Intercept(func(op string) error {
		if op == "NextInside" && parts.Add(1) == 3 {
			return penstock.Errorf(penstock.KindUnreachable, "the connection broke")
		}
		return nil
	})
	large := func(first int) {
		s.db.Do(func(tx *memsource.Tx) {
			for i := range size {
				tx.Insert("keyed", first+i, 0, strings.Repeat("x", 500))
				if i%100 == 0 {
					tx.Insert("whole", first+i, 0, "")
				}
			}
		})
	}
	large(0)
	s.settle(t, allKinds...)
	if parts.Load() < 4 {
		t.Errorf("the transaction came in %d parts only", parts.Load())
	}
	// And where the target fails at a part.
	s.target.Intercept(once("Apply", 3, errInjected))
	large(size)
	s.settle(t, allKinds...)
	s.target.Intercept(once("Apply", 2, penstock.Errorf(penstock.KindFull, "out of memory")))
	large(2 * size)
	s.settle(t, allKinds...)
	s.db.Do(func(tx *memsource.Tx) {
		for i := range 1000 {
			tx.Update("keyed", i, map[string]any{"n": 1})
		}
	})
	s.settle(t, allKinds...)
	stop()
}

// TestShapeThereAndBack changes a table's shape and takes the change back
// before anybody looks at the catalog: the rows of the other shape, in the first
// part of a transaction of several, are not lost.
func TestShapeThereAndBack(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 20)
	s.config.Memory, s.config.Poll = 1<<20, time.Hour
	s.keep(t)
	s.settle(t, allKinds...)
	hold := make(chan struct{})
	s.source.Intercept(func(string) error {
		<-hold
		return nil
	})
	s.addColumn("whole")
	s.db.Do(func(tx *memsource.Tx) {
		tx.Insert("whole", 100, 1, "with a column more", 5)
		for i := range 2000 {
			tx.Insert("keyed", 100+i, 0, strings.Repeat("x", 500))
		}
	})
	s.db.Alter("whole", func(shape *penstock.Table) { shape.Columns = shape.Columns[:3] })
	close(hold)
	s.settle(t, allKinds...)
}
