package pipeline

import (
	"context"
	"fmt"

	"penstock"
)

// Await blocks until whoever reads the destination sees all that has been
// committed at the source before a position, as the source's users write it; ""
// stands for the end of the source's history at the time of the call. Tables
// that are being loaded are not waited for. It may be called at any time, from
// any goroutine.
//
// KindInvalid if the position is not of the source's form, KindInvalidState if
// the stream does not run or cannot be waited for. If ctx ends, the error says
// how far the stream is, and wraps ctx's.
func (p *Pipeline) Await(ctx context.Context, position string) error {
	r := p.working(ctx)
	if r == nil {
		return errNotRunning
	}
	l, ok := r.capture.(penstock.Locator)
	if !ok {
		return penstock.Errorf(penstock.KindInvalidState, "this source's history has no places that could be waited for")
	}
	want, err := penstock.Position(""), error(nil)
	if position == "" {
		want, err = l.Now(ctx)
	} else {
		want, err = l.Locate(position)
	}
	if err != nil {
		return err
	}
	// Who waits does not wait for the refresh interval.
	p.waiters.Add(1)
	defer p.waiters.Add(-1)
	fill(p.pressed)
	for {
		at, moved := p.status.reached()
		if r.capture.Covers(at, want) {
			return nil
		}
		// After moved has been taken, as whoever ends the stream closes it last.
		if p.current.Load() != r {
			return errNotRunning
		}
		select {
		case <-moved:
		case <-ctx.Done():
			label := p.status.diary.label
			return fmt.Errorf("the warehouse has not come to %s yet, it is at %s: %w", label(want), label(at), ctx.Err())
		}
	}
}

// arrival is how far a reader of the destination can be sure to see. The
// position that is stored there lags behind it while no rows come.
type arrival struct {
	at     penstock.Position
	moved  chan struct{}     // closed when at moves on
	handed int               // Changes on their way from the reader to the destination
	empty  penstock.Position // up to there the reader has nothing that is not on its way; "" if it has something
}

func (a *arrival) move(to penstock.Position) {
	if to == a.at {
		return
	}
	a.at = to
	a.tell()
}

// tell has those that wait look again.
func (a *arrival) tell() {
	close(a.moved)
	a.moved = make(chan struct{})
}

// reached returns how far the destination shows everything, and what tells
// when that is further.
func (s *status) reached() (at penstock.Position, moved <-chan struct{}) {
	s.change(func() { at, moved = s.arrival.at, s.arrival.moved })
	return at, moved
}

// read takes note of what the reader holds.
func (s *status) read(c *penstock.Changes) {
	s.change(func() {
		s.arrival.empty = ""
		if c.Empty() && !c.Open {
			s.arrival.empty = c.Position
			if s.arrival.handed == 0 {
				s.arrival.move(c.Position)
			}
		}
	})
}

// handOver takes note of Changes that go on their way.
func (s *status) handOver() {
	s.change(func() { s.arrival.handed++ })
}

// arrived takes note of Changes that are in the destination, which is at a
// position then.
func (s *status) arrived(at penstock.Position, open bool) {
	s.change(func() {
		s.arrival.handed--
		switch {
		case open:
		case s.arrival.handed == 0 && s.arrival.empty != "":
			s.arrival.move(s.arrival.empty)
		default:
			s.arrival.move(at)
		}
	})
}

// tellWaiters has those that wait look again at whether there is a stream.
func (s *status) tellWaiters() { s.change(s.arrival.tell) }
