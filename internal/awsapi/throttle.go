package awsapi

import (
	"math"
	"sync"
	"time"
)

// Throttle limits the requests of each access key. The zero Throttle does not.
type Throttle struct {
	Rate  float64 // requests per second
	Burst int     // requests at once
}

// bucket holds what an access key may still do at once. It fills with time.
type bucket struct {
	mu     sync.Mutex
	tokens float64
	filled time.Time
}

// take reports whether one more request is within the limits.
func (b *bucket) take(limit Throttle, now time.Time) bool {
	if limit.Rate <= 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	most := math.Max(1, float64(limit.Burst))
	if b.filled.IsZero() {
		b.tokens, b.filled = most, now
	}
	if d := now.Sub(b.filled).Seconds(); d > 0 {
		b.tokens, b.filled = math.Min(most, b.tokens+d*limit.Rate), now
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
