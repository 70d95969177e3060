package pipeline

import (
	"context"
	"errors"
	"time"

	"penstock"
)

// How long is waited before tables are loaded again after history was lost
// while they were: it could be lost in the same way again.
const (
	minGivenUpPause = 10 * time.Minute
	maxGivenUpPause = 6 * time.Hour
)

// lostOf returns why the stream cannot go on from where it is, if that is what
// err says; nil if it is something else.
func (p *Pipeline) lostOf(err error) error {
	var over *overLimit
	switch {
	case err == nil:
		return nil
	case errors.As(err, &over):
		p.log.Warn("what the source keeps is given up", "bytes", over.held.Bytes, "limit", p.cfg.WALLimit, "cause", over.held.Cause)
		return over.lost(p.cfg.WALLimit)
	case penstock.KindOf(err) == penstock.KindPositionLost:
		p.log.Warn("the stream cannot go on from where it is, which is given up", "error", err)
		return err
	}
	return nil
}

// giveUp lets go of what the source keeps, and of the position with it. All
// tables are loaded again behind a swap, or the stream has failed. It returns
// errAbandoned for the former, once that makes sense.
func (p *Pipeline) giveUp(ctx context.Context, dest penstock.Destination, lost error) error {
	p.stopBeside()
	// The source first: if we die in between, its loss is noticed.
	if err := p.capture.GiveUp(ctx); err != nil {
		return err
	}
	if p.cfg.StopOnLostPosition {
		return lost
	}
	if err := dest.Forget(ctx); err != nil {
		return err
	}
	pause := p.givenUpPause()
	p.status.setGivenUp(lost, pause)
	state, err := dest.State(ctx)
	if err != nil {
		return err
	}
	p.status.setTables(state.Tables)
	if pause > 0 {
		p.log.Warn("loading may lead to the same again, and waits", "pause", pause)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return errAbandoned
	}
}

// givenUpPause returns how long to wait before tables are loaded again. The
// first time there is no wait; but what happened while they were, once more and
// at once, would never end.
func (p *Pipeline) givenUpPause() time.Duration {
	if !p.status.reloading() {
		p.pause = 0
		return 0
	}
	p.pause = min(max(2*p.pause, minGivenUpPause), maxGivenUpPause)
	return p.pause
}
