package pipeline

import (
	"sync"
	"time"
)

// rendezvous lets a load beside the stream come level with it. Usually it does
// by itself, as the stream pauses between batches. Where the source never rests
// and both are as fast as the machine allows, the stream is held for a moment.
type rendezvous struct {
	p    *Pipeline
	hold time.Duration // for how long the next time, at the most
	next time.Time     // not before

	mu   sync.Mutex
	free func() // lets the stream go; nil while it is not held
}

const (
	// alone is how long a load tries to come level by itself.
	alone       = time.Second
	longestHold = 8 * time.Second
)

func (p *Pipeline) newRendezvous() *rendezvous {
	return &rendezvous{p: p, hold: firstHold, next: time.Now().Add(alone)}
}

// behind is told whenever the stream is found to be ahead.
func (v *rendezvous) behind() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.free != nil || time.Now().Before(v.next) {
		return
	}
	r := v.p.open.now()
	if r == nil || r.over() {
		return
	}
	select {
	case v.p.pinning <- struct{}{}: // who pins holds the stream as well
	default:
		return
	}
	at := v.p.status.position()
	r.stream.Until(at)
	v.p.status.setHeld(time.Now())
	v.p.log.Info("stream held for a load to come level", "at most", v.hold)
	end := time.AfterFunc(v.hold, v.release)
	v.free = func() {
		end.Stop()
		r.letGo()
		<-v.p.pinning
	}
	v.next = time.Now().Add(2 * v.hold)
	v.hold = min(2*v.hold, longestHold)
}

// release lets the stream go, if it is held. It may be repeated.
func (v *rendezvous) release() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.free != nil {
		v.free()
		v.free = nil
	}
}

// now returns the stream that is open at this moment, nil if none is.
func (o *openStream) now() *replication {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.current
}
