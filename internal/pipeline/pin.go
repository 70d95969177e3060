package pipeline

import (
	"context"
	"errors"
	"sync"
	"time"

	"penstock"
)

// Pinned is a source database and its destination as both were at one position.
type Pinned struct {
	Source      penstock.Pin
	Destination penstock.View
	// Held is how long nothing was applied for it.
	Held time.Duration
}

// Close ends both views.
func (p *Pinned) Close() error { return errors.Join(p.Destination.Close(), p.Source.Close()) }

// firstHold is for how long applying is held at the first attempt to pin the
// source, which may have to wait for its open transactions. Each attempt after
// that may hold it for twice as long, and the stream has as long before it.
const firstHold = time.Second

// Pin brings source and destination to one position and opens a view of each,
// within the deadline of ctx. It may be called from any goroutine, and waits
// for the stream to be open. The stream is held for as long as the source needs
// to pin itself, goes on up to the position that this gives, and is let go
// when the destination's view is open, or whatever else happens.
func (p *Pipeline) Pin(ctx context.Context) (*Pinned, error) {
	select {
	case p.pinning <- struct{}{}:
		defer func() { <-p.pinning }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var held time.Duration
	for hold := firstHold; ; {
		r, err := p.open.await(ctx)
		if err != nil {
			return nil, err
		}
		pinned, slow, err := r.pin(ctx, hold, &held)
		switch {
		case err == nil:
			pinned.Held = held
			p.log.Info("source and destination pinned", "position", pinned.Source.Position(), "held", held.Round(time.Millisecond))
			return pinned, nil
		case r.over(), errors.Is(err, errAbandoned): // that stream is not the one to ask
			select {
			case <-r.done:
			case <-ctx.Done():
				return nil, err
			}
		case slow && ctx.Err() == nil:
			p.log.Info("the source cannot be pinned yet", "held", hold, "error", err)
			select {
			case <-time.After(hold):
			case <-ctx.Done():
				return nil, err
			}
			hold *= 2
		default:
			return nil, err
		}
	}
}

// pin is one attempt of Pin. It adds to held. slow means that the source needed
// longer than hold.
func (r *replication) pin(ctx context.Context, hold time.Duration, held *time.Duration) (_ *Pinned, slow bool, err error) {
	pinner, ok := r.p.capture.(penstock.Pinner)
	if !ok {
		return nil, false, penstock.Errorf(penstock.KindInvalid, "a %s source cannot be compared with", r.p.cfg.Source.Engine())
	}
	at := r.p.status.position()
	limited, cancel := context.WithTimeout(ctx, hold)
	defer cancel()
	var began time.Time
	defer r.letGo()
	source, err := pinner.Pin(limited, at, func() {
		began = time.Now()
		r.stream.Until(at)
		r.p.status.setHeld(began)
	})
	if !began.IsZero() {
		*held += time.Since(began)
	}
	if err != nil {
		return nil, limited.Err() != nil, err
	}
	to := source.Position()
	r.target.Store(&to)
	fill(r.p.pressed)
	r.stream.Until(to)
	view, there, err := r.viewAt(ctx, to)
	if err != nil {
		return nil, false, errors.Join(err, source.Close())
	}
	*held += time.Since(there)
	return &Pinned{Source: source, Destination: repairedView{view, r.p}}, false, nil
}

// letGo lifts what pin has put on the stream.
func (r *replication) letGo() {
	r.target.Store(nil)
	r.stream.Until("")
	r.p.status.setHeld(time.Time{})
}

// viewAt opens a view of the destination once it is at a position, which the
// stream does not go beyond, and returns when it was there.
func (r *replication) viewAt(ctx context.Context, at penstock.Position) (view penstock.View, there time.Time, err error) {
	for {
		err := r.writer.do(ctx, func(d penstock.Destination) error {
			if r.writer.position != at {
				return nil
			}
			viewer, ok := d.(penstock.Viewer)
			if !ok {
				return penstock.Errorf(penstock.KindInvalid, "a %s target cannot be compared with", r.p.cfg.Target.Engine())
			}
			there = time.Now()
			view, err = viewer.View(ctx)
			return err
		})
		if err == nil && view == nil {
			select {
			case <-r.applied:
				continue
			case <-r.done:
				return nil, there, errAbandoned
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = &penstock.Error{Kind: penstock.KindConflict, Message: "the warehouse has not caught up with the source in time", Mend: "wait longer"}
		}
		return view, there, err
	}
}

// over reports whether the stream is not open any more.
func (r *replication) over() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// fill tells who waits for a channel with room for one to look.
func fill(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// openStream tells others which stream is open.
type openStream struct {
	mu      sync.Mutex
	current *replication
	changed chan struct{} // closed when current changes
	ended   bool          // there will be no more
}

func (o *openStream) set(r *replication) { o.change(func() { o.current = r }) }

// end says that no other stream will be opened.
func (o *openStream) end() { o.change(func() { o.current, o.ended = nil, true }) }

func (o *openStream) change(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
}

// await returns the open stream, once there is one.
func (o *openStream) await(ctx context.Context) (*replication, error) {
	for {
		o.mu.Lock()
		r, ended := o.current, o.ended
		if o.changed == nil {
			o.changed = make(chan struct{})
		}
		changed := o.changed
		o.mu.Unlock()
		switch {
		case ended:
			return nil, penstock.Errorf(penstock.KindUnreachable, "replication has been interrupted")
		case r != nil:
			return r, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, &penstock.Error{Kind: penstock.KindUnreachable, Message: "the stream is not open: tables are being loaded, or the source cannot be reached"}
			}
			return nil, ctx.Err()
		}
	}
}
