package control

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff counts delays that double from least to most.
type backoff struct {
	least, most time.Duration
	tries       int
}

// next returns the next delay: between half and all of what is due, so that
// many which failed together do not come again together.
func (b *backoff) next() time.Duration {
	d := b.least << min(b.tries, 30)
	if d > b.most || d < b.least {
		d = b.most
	}
	b.tries++
	return d/2 + rand.N(d/2+1)
}

func (b *backoff) reset() { b.tries = 0 }

// pause waits, until ctx ends or wake is signalled at the latest.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-t.C:
	}
}

// poke signals a channel of capacity one; signals not yet seen count as one.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
