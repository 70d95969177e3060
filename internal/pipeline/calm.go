package pipeline

import "time"

// calm is how long it has been that a batch failed for want of memory, and how long it
// has to be until larger ones are tried again. The turn and the applier use it, never at
// the same time.
type calm struct {
	since time.Time // of the last halving, or of the last doubling
	least time.Duration
	tried bool // larger ones have been tried since the last halving
}

// What took the memory, somebody's query or one large transaction, usually passes.
const (
	minCalm = 10 * time.Minute
	maxCalm = 4 * time.Hour
)

// shrinkBatches halves what a batch may hold. If that follows a doubling, the next one
// comes twice as late.
func (p *Pipeline) shrinkBatches(now time.Time) {
	p.shrink.Add(1)
	c := &p.calm
	if c.tried {
		c.least *= 2
	}
	c.since, c.least, c.tried = now, min(max(c.least, minCalm), maxCalm), false
}

// growBatches takes back one halving if it is time to.
func (p *Pipeline) growBatches(now time.Time) {
	if c := &p.calm; p.shrink.Load() > 0 && now.Sub(c.since) >= c.least {
		p.shrink.Add(-1)
		c.since, c.tried = now, true
		p.log.Info("trying larger batches again", "limit", p.limit())
	}
}
