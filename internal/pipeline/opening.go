package pipeline

import (
	"context"
	"fmt"
	"time"

	"penstock"
)

// openTarget opens the destination. That takes long if it has to be laid out
// anew (penstock.Layout), while the source keeps ever more: it goes on being looked
// at, and at half of what it may keep, the opening is ended. Then the stream goes on
// with the destination as it is, without what it has no room for (promise 4).
func (p *Pipeline) openTarget(ctx context.Context) (penstock.Destination, error) {
	opening, cancel := context.WithCancelCause(ctx)
	looking, end := context.WithCancel(opening)
	watched := make(chan struct{})
	var over error
	go func() {
		defer close(watched)
		for {
			select {
			case <-looking.Done():
				return
			case <-time.After(p.cfg.Poll):
			}
			held, err := p.capture.Retained(looking)
			if err != nil {
				continue // nothing is kept yet, or the next look tells
			}
			p.status.setRetained(held, p.cfg.WALAlarm, p.cfg.WALLimit)
			if limit := p.cfg.WALLimit; limit > 0 && held.Bytes > limit/2 {
				over = &penstock.Error{Kind: penstock.KindSetting, Code: penstock.ProblemWALLimit,
					Message: fmt.Sprintf("while the destination was opened the source kept %s of history for the stream, more than half of wal_limit (%s)", size(held.Bytes), size(limit)),
					Mend:    "raise wal_limit in the configuration"}
				cancel(over)
				return
			}
		}
	}()
	dest, err := p.cfg.Target.Open(opening, p.cfg.Spec)
	end()
	<-watched
	cancel(nil)
	if err != nil && over != nil && ctx.Err() == nil {
		p.log.Warn("the destination was not opened in time", "error", over)
		return nil, errAbandoned
	}
	return dest, err
}
