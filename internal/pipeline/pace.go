package pipeline

import (
	"context"
	"time"
)

// pausePerWork is how long the pause after a batch is, in the time that the work
// on one usually takes.
const pausePerWork = 4

// pacer spaces the batches of a stream that is caught up: applying takes up a
// fifth of one core at the most, and what the user wants cheap rather than
// fresh comes at the refresh interval.
type pacer struct {
	min   time.Duration // between two batches
	usual time.Duration // that work on one takes
	until time.Time     // the next one not before
	ended time.Time     // the last one with rows; zero if more was waiting
}

// wait blocks until the next batch may be applied. next says when that is;
// look tells that it may say something else by now.
func (p *pacer) wait(ctx context.Context, next func() time.Time, look <-chan struct{}) error {
	for {
		d := time.Until(next())
		if d <= 0 {
			return ctx.Err()
		}
		t := time.NewTimer(d)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-look:
		case <-t.C:
		}
		t.Stop()
	}
}

// applied takes note of how long the work on a batch took, whether it had rows,
// and whether more is waiting. One batch in many takes much longer than the
// others, since with its commit the warehouse moves its log into its file:
// pausePerWork times that would be seconds, in which nothing gets fresher.
func (p *pacer) applied(took time.Duration, rows, behind bool) {
	now := time.Now()
	p.until = time.Time{}
	switch {
	case p.usual == 0:
		p.usual = took
	case took > 2*p.usual: // if they all do from now on, that is learnt in some batches
		p.usual += p.usual / 4
	default:
		p.usual += (took - p.usual) / 8
	}
	if !behind {
		p.until = now.Add(max(p.min, pausePerWork*min(took, p.usual)))
	}
	switch {
	case behind:
		p.ended = time.Time{}
	case rows:
		p.ended = now
	}
}
