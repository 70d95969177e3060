package pipeline

import (
	"testing"
	"time"
)

// TestPauses: the pause after a batch is four times what batches usually take,
// so that one that takes long is not followed by a pause that is longer still.
func TestPauses(t *testing.T) {
	t.Parallel()
	p := pacer{min: 25 * time.Millisecond}
	pause := func(took time.Duration) time.Duration {
		p.applied(took, true, false)
		return time.Until(p.until).Round(10 * time.Millisecond)
	}
	if got := pause(100 * time.Millisecond); got != 400*time.Millisecond {
		t.Errorf("after the first batch, of 100 ms, the pause is %v", got)
	}
	if got := pause(time.Millisecond); got > 30*time.Millisecond {
		t.Errorf("after a batch of a millisecond the pause is %v", got)
	}
	for range 50 {
		pause(20 * time.Millisecond)
	}
	if got := pause(2 * time.Second); got > 160*time.Millisecond {
		t.Errorf("after one batch of two seconds among batches of 20 ms the pause is %v", got)
	}
	var got time.Duration
	for range 30 {
		got = pause(time.Second)
	}
	if got < 2700*time.Millisecond || got > 4*time.Second {
		t.Errorf("when all batches take a second the pause is %v", got)
	}
	p.applied(time.Second, true, true)
	if !p.until.IsZero() {
		t.Error("there is a pause although more is waiting")
	}
}
