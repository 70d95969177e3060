package pipeline_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"penstock"
	"penstock/internal/pipeline"
	"penstock/internal/source/memsource"
)

// running returns the pipeline that can be waited for.
func (s *small) running(t *testing.T) *pipeline.Pipeline {
	t.Helper()
	var p *pipeline.Pipeline
	await(t, "the pipeline to run", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		p = s.pipe
		return p != nil && p.Status().State == penstock.StreamCdcRefresh
	})
	return p
}

// TestAwait: what was committed before is read after, under load and idle, and
// also when nothing of it concerns the stream.
func TestAwait(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 50)
	s.config.MinInterval = 20 * time.Millisecond
	s.keep(t)
	s.settle(t, allKinds...)
	p := s.running(t)
	for i := range 40 {
		switch i % 4 {
		case 0:
			s.work(i)
		case 1:
			s.db.Do(func(tx *memsource.Tx) { tx.Insert("keyed", 10_000+i, i, "read") })
		case 2:
			s.db.Tick() // a step that has no rows for anybody
		}
		if err := p.Await(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		for _, table := range allKinds {
			if got, want := len(s.rows(table)), s.db.Rows(table).Len(); got != want {
				t.Fatalf("round %d: %s has %d rows after waiting for %d", i, table, got, want)
			}
		}
	}
	if err := p.Await(t.Context(), p.Status().AppliedLabel); err != nil {
		t.Errorf("a position that has been passed: %v", err)
	}
	if err := p.Await(t.Context(), "nowhere"); penstock.KindOf(err) != penstock.KindInvalid {
		t.Errorf("no position: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Await(ctx, "1000000"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "has not come to 1000000 yet, it is at ") {
		t.Errorf("the future: %v", err)
	}

	// Who waits is told when the stream ends.
	told := make(chan error, 1)
	go func() { told <- p.Await(context.Background(), "1000000") }()
	s.stop()
	if err := <-told; penstock.KindOf(err) != penstock.KindInvalidState {
		t.Errorf("after the end: %v", err)
	}
}

// TestAwaitWhileEnding: who begins to wait while the stream ends does not wait for
// what nobody tells any more.
func TestAwaitWhileEnding(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 50)
	s.keep(t)
	s.settle(t, allKinds...)
	p := s.running(t)
	s.source.Intercept(func(op string) error {
		if op == "Now" {
			s.stop()
			s.source.Intercept(nil)
			s.work(1) // which the stream will never come to
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.Await(ctx, ""); penstock.KindOf(err) != penstock.KindInvalidState {
		t.Errorf("waited for a stream that has ended: %v", err)
	}
}
