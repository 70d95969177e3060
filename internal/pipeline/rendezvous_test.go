package pipeline

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"penstock"
)

// bounds is a stream that notes what bounds it is given.
type bounds struct {
	penstock.Stream
	mu  sync.Mutex
	set []penstock.Position
}

func (b *bounds) Until(p penstock.Position) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set = append(b.set, p)
}

func (b *bounds) take() []penstock.Position {
	b.mu.Lock()
	defer b.mu.Unlock()
	set := b.set
	b.set = nil
	return set
}

// TestRendezvous: the stream is held only after a while, for a moment, and then
// not again for twice as long; it is let go in any case.
func TestRendezvous(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{})
		p.status.setPosition("here")
		s := &bounds{}
		r := &replication{p: p, stream: s, done: make(chan struct{})}
		want := func(when string, bounds ...penstock.Position) {
			t.Helper()
			synctest.Wait()
			if got := s.take(); !slices.Equal(got, bounds) {
				t.Errorf("%s: bounds %q, want %q", when, got, bounds)
			}
		}
		v := p.newRendezvous()
		time.Sleep(2 * alone)
		v.behind()
		want("no stream is open")
		p.open.set(r)
		v = p.newRendezvous()
		v.behind()
		want("at once")
		time.Sleep(alone + time.Millisecond)
		p.pinning <- struct{}{}
		v.behind()
		want("somebody else holds it")
		<-p.pinning
		v.behind()
		v.behind()
		want("after a while", "here")
		time.Sleep(firstHold + time.Millisecond)
		want("after a moment", "")
		v.behind()
		want("soon again")
		time.Sleep(2 * firstHold)
		v.behind()
		want("later", "here")
		v.release()
		v.release()
		want("released", "")
		time.Sleep(time.Minute)
		want("long after")
		close(r.done)
		v.behind()
		want("the stream is over")
	})
}
