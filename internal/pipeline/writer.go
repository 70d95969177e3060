package pipeline

import (
	"context"
	"errors"
	"time"

	"penstock"
)

// writer lets the stream and a load beside it take turns at the destination,
// whose methods, but for Append, are for one at a time. Who applies a partial
// batch keeps the turn until the last part: the parts are one transaction.
type writer struct {
	dest     penstock.Destination
	turn     chan struct{}     // holds a token while nobody has the turn
	position penstock.Position // stored in dest; belongs to who has the turn
	clock    time.Time         // likewise: the latest time of a version, see penstock.DestinationState

	// rejoin is set, by who has the turn, when tables have been left to be
	// joined with the stream as of the position: the open stream, which does
	// not deliver them, must not go beyond it any more.
	rejoin bool
	// abandoned is set when somebody had to leave a transaction of several
	// parts unfinished. It is undone by closing the destination.
	abandoned bool
}

// errAbandoned tells whoever wants the turn that the destination has to be
// opened anew.
var errAbandoned = errors.New("a transaction was left unfinished")

func newWriter(dest penstock.Destination, state penstock.DestinationState) *writer {
	w := &writer{dest: dest, turn: make(chan struct{}, 1), position: state.Applied, clock: state.Time}
	w.turn <- struct{}{}
	return w
}

// instant returns a time for versions that begin or end by what we do: right
// after the last transaction that has been applied, by the source's clock.
// Where none has been, it is now.
func (w *writer) instant() time.Time {
	if w.clock.IsZero() {
		return time.Now().UTC().Truncate(time.Microsecond)
	}
	return w.clock.Add(time.Microsecond)
}

// do calls f when it is the caller's turn.
func (w *writer) do(ctx context.Context, f func(penstock.Destination) error) error {
	if err := w.take(ctx); err != nil {
		return err
	}
	defer w.give()
	return f(w.dest)
}

// doMeanwhile is do, and calls meanwhile every so often until it is the
// caller's turn. An error of that ends the wait.
func (w *writer) doMeanwhile(ctx context.Context, every time.Duration, meanwhile func(context.Context) error, f func(penstock.Destination) error) error {
	for {
		patience, cancel := context.WithTimeout(ctx, every)
		err := w.take(patience)
		cancel()
		if err == nil {
			defer w.give()
			return f(w.dest)
		}
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if err := meanwhile(ctx); err != nil {
			return err
		}
	}
}

func (w *writer) take(ctx context.Context) error {
	select {
	case <-w.turn:
		if w.abandoned {
			w.give()
			return errAbandoned
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) give() { w.turn <- struct{}{} }

// applier applies batches of one goroutine.
type applier struct {
	w      *writer
	stream bool          // it is the open stream's: rejoin ends it
	inside bool          // has the turn, since the last batch was partial
	waited time.Duration // for the turn, in all
}

// errRejoin tells the open stream to make way for one with more tables. What
// was not applied comes again with that.
var errRejoin = errors.New("tables are to be joined")

// apply applies a batch. With beside set it leaves the position as it is: the
// batch changes hidden versions only, which the stream does not deliver yet.
func (a *applier) apply(ctx context.Context, b *penstock.Batch, beside bool) error {
	if !a.inside {
		began := time.Now()
		if err := a.w.take(ctx); err != nil {
			return err
		}
		a.waited += time.Since(began)
	}
	if a.stream && a.w.rejoin && !a.inside {
		a.w.give()
		return errRejoin
	}
	if beside {
		b.Next = a.w.position
	}
	err := a.w.dest.Apply(ctx, a.w.position, b)
	a.inside = err == nil && b.Partial
	if err == nil && !b.Partial && !beside {
		a.w.position = b.Next
		for _, t := range []time.Time{b.CommitTime, b.At} {
			if t.After(a.w.clock) {
				a.w.clock = t
			}
		}
	}
	if !a.inside {
		a.w.give()
	}
	return err
}

// leave gives the turn up, if the applier still has it because the rest of a
// transaction will not come.
func (a *applier) leave() {
	if a.inside {
		a.inside = false
		a.w.abandoned = true
		a.w.give()
	}
}
