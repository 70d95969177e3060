package pipeline

import (
	"context"
	"sync"
	"time"
)

// Starts lets only some of the pipelines that share it start at a time. If a hundred
// start at once, as when the program does, the CPUs are divided among all of them, and
// all have their first change when the last one has.
type Starts struct {
	places   chan struct{}
	patience time.Duration
}

// placePatience is how long a pipeline keeps its place that does not get on: it may wait
// for a source that is not there, which must not keep others from theirs.
const placePatience = 2 * time.Second

// NewStarts returns one that lets n pipelines start at a time.
func NewStarts(n int) *Starts { return &Starts{make(chan struct{}, n), placePatience} }

// enter waits for a place; leave, which may be called again, gives it back. If s is nil
// there are enough.
func (s *Starts) enter(ctx context.Context) (leave func(), err error) {
	if s == nil {
		return func() {}, nil
	}
	select {
	case s.places <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	once := sync.OnceFunc(func() { <-s.places })
	timer := time.AfterFunc(s.patience, once)
	return func() { timer.Stop(); once() }, nil
}
