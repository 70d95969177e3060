package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"penstock"
)

// overLimit ends what keeps more history at the source than the limit allows.
type overLimit struct{ held penstock.Retention }

func (e *overLimit) Error() string {
	return fmt.Sprintf("the source keeps %s of history for the stream", size(e.held.Bytes))
}

// How long is waited before a load is tried again that made the source keep
// too much before: it would do so again.
const (
	minLimitPause = 10 * time.Minute
	maxLimitPause = 6 * time.Hour
)

// checkRetention shows what the source keeps for us, and ends what keeps more
// than is allowed (promise 4).
func (p *Pipeline) checkRetention(ctx context.Context) error {
	held, err := p.capture.Retained(ctx)
	if err != nil {
		return err
	}
	p.status.setRetained(held, p.cfg.WALAlarm, p.cfg.WALLimit)
	limit := p.cfg.WALLimit
	switch {
	case limit <= 0:
	case held.Bytes > limit:
		return &overLimit{held}
	case held.Beside > limit && p.loading():
		p.beside.cancelFor(&penstock.Error{Kind: penstock.KindSetting, Code: penstock.ProblemWALLimit,
			Message: fmt.Sprintf("loading them beside the stream kept %s of history at the source, more than wal_limit (%s)", size(held.Beside), size(limit)),
			Mend:    "raise wal_limit, load with more connections, or refresh the tables when the source is quieter"})
	}
	return nil
}

// giveUp lets go of what the source keeps, and of the position with it. All
// tables are loaded again behind a swap, or the stream has failed. It returns
// errAbandoned for the former, once that makes sense.
func (p *Pipeline) giveUp(ctx context.Context, dest penstock.Destination, over *overLimit) error {
	p.stopBeside()
	p.log.Warn("what the source keeps is given up", "bytes", over.held.Bytes, "limit", p.cfg.WALLimit, "cause", over.held.Cause)
	// The source first: if we die in between, its loss is noticed.
	if err := p.capture.GiveUp(ctx); err != nil {
		return err
	}
	lost := &penstock.Error{Kind: penstock.KindPositionLost, Code: penstock.ProblemWALLimit,
		Message: fmt.Sprintf("the source kept %s of history for the stream, more than wal_limit (%s), so it was given up: %s", size(over.held.Bytes), size(p.cfg.WALLimit), over.held.Cause)}
	if p.cfg.StopOnLostPosition {
		return lost
	}
	if err := dest.Forget(ctx); err != nil {
		return err
	}
	pause := p.limitPause()
	p.status.setGivenUp(lost, pause)
	state, err := dest.State(ctx)
	if err != nil {
		return err
	}
	p.status.setTables(state.Tables)
	if pause > 0 {
		p.log.Warn("loading would make the source keep as much again, and waits", "pause", pause)
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

// limitPause returns how long to wait before tables are loaded again. The
// first time there is no wait; but if the limit was reached while they were,
// once more and at once would never end.
func (p *Pipeline) limitPause() time.Duration {
	if !p.status.reloading() {
		p.pause = 0
		return 0
	}
	p.pause = min(max(2*p.pause, minLimitPause), maxLimitPause)
	return p.pause
}

// limitOf returns the overLimit that err is, nil if it is none.
func limitOf(err error) *overLimit {
	var over *overLimit
	errors.As(err, &over)
	return over
}

// size writes a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}
