package pipeline_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"penstock"
	"penstock/internal/source/memsource"
)

// lagging is a source whose stream can be held up while everything else goes on.
type lagging struct {
	penstock.Source
	gate   atomic.Pointer[chan struct{}] // open, or nil
	held   chan struct{}                 // gets an entry when a Next waits at the gate
	stream atomic.Pointer[laggingStream]
	looks  atomic.Int64 // at its tables
	behind atomic.Bool  // what the stream says
}

// hold holds the stream up until release is called.
func (l *lagging) hold() (release func()) {
	gate := make(chan struct{})
	l.held = make(chan struct{}, 1)
	l.gate.Store(&gate)
	l.stream.Load().Wake()
	<-l.held
	return func() {
		l.gate.Store(nil)
		close(gate)
	}
}

func (l *lagging) Capture(spec penstock.CaptureSpec) penstock.Capture {
	return laggingCapture{l.Source.Capture(spec), l}
}

type laggingCapture struct {
	penstock.Capture
	source *lagging
}

func (c laggingCapture) Tables(ctx context.Context) ([]penstock.Table, []penstock.Finding, error) {
	defer c.source.looks.Add(1)
	return c.Capture.Tables(ctx)
}

func (c laggingCapture) Stream(ctx context.Context, from penstock.Position, tables []penstock.Table, joins map[penstock.TableID]penstock.Snapshot) (penstock.Stream, error) {
	s, err := c.Capture.Stream(ctx, from, tables, joins)
	out := &laggingStream{s, c.source}
	c.source.stream.Store(out)
	return out, err
}

type laggingStream struct {
	penstock.Stream
	source *lagging
}

func (s *laggingStream) Next(ctx context.Context, c *penstock.Changes, limit int) error {
	if gate := s.source.gate.Load(); gate != nil {
		select {
		case s.source.held <- struct{}{}:
		default:
		}
		select {
		case <-*gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := s.Stream.Next(ctx, c, limit)
	c.Behind = s.source.behind.Load()
	return err
}

// readable reports whether a table can be read.
func (s *small) readable(table string) bool {
	_, _, ok := s.target.Read("shop", "public", table)
	return ok
}

// TestGoneBeforeItsTime: what is seen at the source, while the stream is
// behind, changes nothing for readers until the stream has got there (promise 1).
func TestGoneBeforeItsTime(t *testing.T) {
	for name, tell := range map[string]bool{"told": true, "found by looking": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSmall(t, 20)
			if tell {
				s.db.Tell()
			}
			source := &lagging{Source: s.source}
			s.config.Source = source
			s.keep(t)
			s.settle(t, allKinds...)
			await(t, "everything to be synced", s.allSynced)
			loaded := s.status().RowsLoaded
			release := source.hold()
			s.db.Do(func(tx *memsource.Tx) {
				tx.Insert("keyed", 101, 1, "")
				tx.Insert("bare", 101, 1, "")
			})
			s.db.Alter("keyed", func(t *penstock.Table) { t.Name = "moved" })
			s.db.Drop("bare")
			from := source.looks.Load()
			await(t, "some looks at the source", func() bool { return source.looks.Load() > from+5 })
			if !s.readable("keyed") || s.readable("moved") || !s.readable("bare") {
				t.Error("a table was renamed or dropped before its time")
			}
			release()
			await(t, "the tables to follow", func() bool { return !s.readable("keyed") && !s.readable("bare") && s.readable("moved") })
			s.settle(t, "moved", "whole")
			if n := s.status().RowsLoaded; n != loaded {
				t.Errorf("%d rows were loaded again", n-loaded)
			}
		})
	}
}

// TestSeenBeforeTheStream: what was seen before the stream was opened, and not
// passed then, is carried out once the stream gets there. It takes no other look,
// which may not come: streams are opened anew more often than that.
func TestSeenBeforeTheStream(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 20)
	s.keep(t)
	s.settle(t, allKinds...)
	await(t, "everything to be synced", s.allSynced)
	s.stop()
	s.db.Do(func(tx *memsource.Tx) {
		tx.Insert("keyed", 101, 1, "")
		tx.Insert("bare", 101, 1, "")
	})
	s.db.Alter("keyed", func(t *penstock.Table) { t.Name = "moved" })
	s.db.Drop("bare")
	s.config.Poll = time.Hour
	s.keep(t)
	await(t, "the tables to follow", func() bool { return !s.readable("keyed") && !s.readable("bare") && s.readable("moved") })
	s.settle(t, "moved", "whole")
}

// TestToldInOrder: who sees a table under its new name sees all that was
// committed before it got that, and nothing is loaded again (promise 1).
func TestToldInOrder(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 0)
	s.db.Tell()
	s.keep(t)
	s.settle(t, allKinds...)
	await(t, "everything to be synced", s.allSynced)
	loaded := s.status().RowsLoaded
	const steps = 150
	name := func(i int) string {
		if i%20 == 1 { // waited for: no name that it has had before
			return fmt.Sprint("keyed once ", i)
		}
		return fmt.Sprint("keyed", i%7)
	}
	s.db.Alter("keyed", func(t *penstock.Table) { t.Name = name(0) })
	for i := range steps {
		s.db.Do(func(tx *memsource.Tx) {
			tx.Insert("bare", i, 1, "")
		})
		s.db.Alter(name(i), func(t *penstock.Table) { t.Name = name(i + 1) })
		if i%10 == 5 {
			s.addColumn("whole")
		}
		if i%20 == 0 {
			await(t, "the table under its new name", func() bool { return s.readable(name(i + 1)) })
			if _, n, _ := s.sum("bare"); n < i+1 {
				t.Errorf("the table was renamed %d times, but of what was committed before only %d rows are there", i+1, n)
			}
		}
		if i == steps/2 {
			s.db.Disconnect()
		}
	}
	s.settle(t, name(steps), "bare")
	await(t, "everything to be synced", s.allSynced)
	if n := s.status().RowsLoaded; n != loaded {
		t.Errorf("%d rows were loaded again", n-loaded)
	}
}
