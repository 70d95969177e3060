package pipeline

import (
	"context"
	"time"
)

// poll looks at the source's tables until something is to be done about them.
// A look costs the source something, more the more tables it has, so that
// looks take up a twentieth of the time at the most. What readers must not see
// before its time is compared again once the stream has passed the look:
// where the stream tells of changes itself, there is nothing left to do by then.
// That includes what was seen before the stream was opened: while much is loaded
// it is opened again and again, and may never be open for long.
func (r *replication) poll(ctx context.Context, pending *sight) error {
	wait := r.p.cfg.Poll
	if pending != nil {
		r.await(pending.at)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.p.looks:
		case <-r.p.asked:
			r.end()
			return nil
		case <-r.reached:
		case <-time.After(wait):
		}
		began := time.Now()
		done, err := r.hasPassed(ctx, &pending)
		if err == nil && !done {
			done, err = r.lookAgain(ctx, &pending)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if done {
			r.end()
			return nil
		}
		wait = max(r.p.cfg.Poll, 20*time.Since(began))
	}
}

// hasPassed reports whether the stream has passed what was seen earlier, and
// something is to be done about it.
func (r *replication) hasPassed(ctx context.Context, pending **sight) (bool, error) {
	s := *pending
	if s == nil || !r.p.capture.Covers(r.p.status.position(), s.at) {
		return false, nil
	}
	*pending = nil
	t, err := r.p.compare(ctx, s)
	if err != nil || t.idle(r.p.loading()) {
		return false, err
	}
	r.p.passed = s
	return true, nil
}

// lookAgain looks at the source and reports whether something is to be done.
func (r *replication) lookAgain(ctx context.Context, pending **sight) (bool, error) {
	s, t, err := r.p.watch(ctx)
	if err != nil {
		return false, err
	}
	if t.later && *pending == nil {
		*pending = s
		r.await(s.at)
	}
	if t.idle(r.p.loading()) {
		return false, nil
	}
	if r.p.capture.Covers(r.p.status.position(), s.at) {
		r.p.passed = s
	}
	return true, nil
}

// watch looks at the source beside an open stream or a load.
func (p *Pipeline) watch(ctx context.Context) (*sight, *turn, error) {
	s, err := p.see(ctx)
	if err != nil {
		return nil, nil, err
	}
	t, err := p.compare(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	return s, t, p.checkRetention(ctx)
}
