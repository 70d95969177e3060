package pipeline

import (
	"context"
	"errors"
	"fmt"

	"penstock"
)

// overLimit ends what keeps more history at the source than the limit allows.
type overLimit struct{ held penstock.Retention }

func (e *overLimit) Error() string {
	return fmt.Sprintf("the source keeps %s of history for the stream", size(e.held.Bytes))
}

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

// lost is what the limit means for the stream.
func (e *overLimit) lost(limit int64) *penstock.Error {
	return &penstock.Error{Kind: penstock.KindPositionLost, Code: penstock.ProblemWALLimit, Mend: "raise wal_limit if the source's disk allows",
		Message: fmt.Sprintf("the source kept %s of history for the stream, more than wal_limit (%s), so it was given up: %s", size(e.held.Bytes), size(limit), e.held.Cause)}
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
