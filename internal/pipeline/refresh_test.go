package pipeline_test

import (
	"context"
	"sync/atomic"
	"testing"

	"penstock"
	"penstock/internal/pipeline"
)

// refresh asks the running pipeline, as soon as there is one that can be asked.
func (s *small) refresh(t *testing.T, r penstock.Refresh) int {
	t.Helper()
	var tables int
	var err error
	await(t, "the refresh to be taken", func() bool {
		tables, err = s.current().Refresh(t.Context(), r)
		return err == nil
	})
	return tables
}

// TestRefresh: a table is loaded again while its rows stay readable and the
// others go on (promise 6).
func TestRefresh(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 250)
	s.keep(t)
	s.settle(t, allKinds...)
	await(t, "all tables to be synced", s.allSynced)
	loaded := s.status().RowsLoaded

	// The load is held up until the source has gone on.
	reading, proceed := make(chan struct{}), make(chan struct{})
	var told atomic.Bool
	s.source.Intercept(func(op string) error {
		if op == "Read" && told.CompareAndSwap(false, true) {
			close(reading)
			<-proceed
		}
		return nil
	})
	if n := s.refresh(t, penstock.Refresh{Tables: []penstock.TableName{{Schema: "public", Name: "bare"}}}); n != 1 {
		t.Errorf("refresh took %d tables, want 1", n)
	}
	<-reading
	for i := range 10 {
		s.work(i)
	}
	s.settle(t, "keyed", "whole")
	if got := len(s.rows("bare")); got != 250 {
		t.Errorf("while it is loaded again the table has %d rows, want the 250 of before", got)
	}
	if n := s.refresh(t, penstock.Refresh{Tables: []penstock.TableName{{Name: "bare"}}}); n != 0 {
		t.Errorf("a refresh of a table that is being loaded took %d tables", n)
	}
	close(proceed)
	s.settle(t, allKinds...)
	await(t, "all tables to be synced", s.allSynced)
	if again := s.status().RowsLoaded - loaded; again < 250 || again > 260 {
		t.Errorf("%d rows were loaded again, want those of one table", again)
	}

	if n := s.refresh(t, penstock.Refresh{Scope: penstock.RefreshAll}); n != 3 {
		t.Errorf("refresh of all took %d tables, want 3", n)
	}
	s.work(11)
	s.settle(t, allKinds...)
	await(t, "all tables to be synced", s.allSynced)
	if again := s.status().RowsLoaded - loaded; again < 4*250 {
		t.Errorf("%d rows were loaded again, want those of all tables besides", again)
	}
}

// TestRefreshIsRemembered: what was asked for is done after a restart.
func TestRefreshIsRemembered(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 20)
	s.keep(t)
	s.settle(t, allKinds...)
	await(t, "all tables to be synced", s.allSynced)
	s.source.Intercept(refuse("Read", penstock.Errorf(penstock.KindUnreachable, "not now")))
	s.refresh(t, penstock.Refresh{Scope: penstock.RefreshAll})
	s.stop()
	s.source.Intercept(nil)
	s.keep(t)
	await(t, "all tables to be loaded again", func() bool { return s.allSynced() && s.status().RowsLoaded >= 60 })
	s.settle(t, allKinds...)
}

func TestRefreshRefused(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 5)
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := pipeline.New(s.config).Refresh(ended, penstock.Refresh{Scope: penstock.RefreshAll}); penstock.KindOf(err) != penstock.KindInvalidState {
		t.Errorf("before Run: %v, want an invalid state", err)
	}
	s.keep(t)
	s.settle(t, allKinds...)
	s.mu.Lock()
	p := s.pipe
	s.mu.Unlock()
	if _, err := p.Refresh(t.Context(), penstock.Refresh{Tables: []penstock.TableName{{Name: "none"}}}); penstock.KindOf(err) != penstock.KindNotFound {
		t.Errorf("unknown table: %v, want not found", err)
	}
	s.stop()
	if _, err := p.Refresh(t.Context(), penstock.Refresh{Scope: penstock.RefreshAll}); penstock.KindOf(err) != penstock.KindInvalidState {
		t.Errorf("after Run: %v, want an invalid state", err)
	}
}

// TestAskedWhileStarting: who asks before a pipeline has got going waits for that.
func TestAskedWhileStarting(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 5)
	p := pipeline.New(s.config)
	refreshed, awaited := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := p.Refresh(t.Context(), penstock.Refresh{Scope: penstock.RefreshAll})
		refreshed <- err
	}()
	go func() { awaited <- p.Await(t.Context(), "") }()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	for _, done := range []chan error{refreshed, awaited} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
