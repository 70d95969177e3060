package penstock

import (
	"context"
	"runtime/debug"
)

// LargeRow is how many bytes a row takes at least that goes through a Lane.
const LargeRow = 4 << 20

// Lane lets large rows through one after the other. A row passes through a
// process in several copies, some of them at the target, so that the memory
// which is enough for many ordinary rows, or one large, is not enough for two
// large ones (promise 7). All streams and loads of a process share one lane: it
// is entered before a large row is received, as far as that is known before, and
// left when it is stored. A nil Lane lets everybody through.
//
// Who is in a lane waits for nothing that another one may have who waits for it.
type Lane struct {
	free chan struct{} // holds a token while nobody is in it
}

// NewLane returns an empty lane.
func NewLane() *Lane {
	l := &Lane{free: make(chan struct{}, 1)}
	l.free <- struct{}{}
	return l
}

// Enter waits until the lane is free, and takes it.
func (l *Lane) Enter(ctx context.Context) error {
	if l == nil {
		return nil
	}
	select {
	case <-l.free:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Leave lets the next one in, once the memory that the row took has been given
// back to the system.
func (l *Lane) Leave() {
	if l == nil {
		return
	}
	debug.FreeOSMemory()
	l.free <- struct{}{}
}
