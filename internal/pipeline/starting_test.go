package pipeline_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"penstock"
	"penstock/internal/pipeline"
	"penstock/internal/source/memsource"
)

// TestStartInTurn: a pipeline does not turn to its source before there is a place for it,
// and one that streams has given its place back.
func TestStartInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts, begun := pipeline.NewStarts(1), time.Now()
		first, second := newSmall(t, 10), newSmall(t, 10)
		var asked [2]atomic.Bool
		ready := make(chan struct{})
		first.source.Intercept(func(op string) error {
			if op == "Prepare" {
				asked[0].Store(true)
				<-ready
			}
			return nil
		})
		second.source.Intercept(func(string) error { asked[1].Store(true); return nil })
		for _, s := range []*small{first, second} {
			s.config.Starts = starts
			s.keep(t)
			defer s.stop()
			synctest.Wait()
		}
		if !asked[0].Load() || asked[1].Load() {
			t.Errorf("the first has asked its source: %v, the second: %v", asked[0].Load(), asked[1].Load())
		}
		close(ready)
		second.settle(t, allKinds...)
		if d := time.Since(begun); d > time.Second {
			t.Errorf("the second one is there after %s: the first one has kept its place", d)
		}
	})
}

// TestBatchesGrowAgain: after a batch for which there was no memory they have half as much,
// until it has been calm for a while.
func TestBatchesGrowAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSmall(t, 10)
		s.config.Poll, s.config.Memory = time.Hour, 8<<20
		s.keep(t)
		defer s.stop()
		s.settle(t, allKinds...)
		var batches atomic.Int64
		var full atomic.Bool
		s.target.Intercept(func(op string) error {
			if op != "Apply" {
				return nil
			}
			batches.Add(1)
			if full.CompareAndSwap(true, false) {
				return &penstock.Error{Kind: penstock.KindFull, Code: penstock.ProblemMemoryExhausted, Message: "no memory for it"}
			}
			return nil
		})
		next := 100
		body := strings.Repeat("x", 10<<10)
		needed := func() int64 { // for 20 MB
			batches.Store(0)
			s.db.Do(func(tx *memsource.Tx) {
				for range 2000 {
					next++
					tx.Insert("keyed", next, 0, body)
				}
			})
			s.settle(t, "keyed")
			return batches.Load()
		}
		usual := needed()
		full.Store(true)
		needed()
		if got := needed(); usual < 5 || got < usual*3/2 {
			t.Errorf("%d batches after there was no memory, %d before", got, usual)
		}
		time.Sleep(15 * time.Minute)
		needed() // in the course of which it is tried
		if got := needed(); got > usual+1 {
			t.Errorf("%d batches after a quarter of an hour, %d before", got, usual)
		}
	})
}
