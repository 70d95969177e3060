package pipeline

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestStarts: no more pipelines start at a time than may, each gives its place back once,
// and one that does not get on loses it.
func TestStarts(t *testing.T) {
	t.Parallel()
	s := NewStarts(2)
	s.patience = time.Hour
	first, err := s.enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := s.enter(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("a third one: %v", err)
	}
	first()
	first()
	s.patience = time.Millisecond
	if _, err := s.enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.enter(t.Context()); err != nil { // when that one's patience is over
		t.Fatal(err)
	}
	if leave, err := (*Starts)(nil).enter(ended); err != nil {
		t.Error(err)
	} else {
		leave()
	}
}
