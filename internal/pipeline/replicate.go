package pipeline

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"penstock"
	"penstock/internal/failpoint"
)

// replication is the stream while it is open. Three goroutines share it: the
// reader fills one Changes while the applier applies the other (so that
// batches grow by themselves while the target is busy), and the poller looks
// at the source's tables.
type replication struct {
	p      *Pipeline
	stream penstock.Stream
	writer *writer
	tables []penstock.Table // that the stream delivers
	from   penstock.Position
	mender *mender
	keeper *keeper
	share  *share

	free chan *penstock.Changes // empty, for the reader
	full chan *penstock.Changes // for the applier

	waiting atomic.Bool // the applier could take a batch
	filled  atomic.Bool // the reader has something that the applier has not got
	stop    atomic.Bool // end at the next transaction boundary

	taken  int64        // batches that the applier has taken
	urgent atomic.Int64 // the newest, counted likewise, that is not to wait for the refresh interval

	target  atomic.Pointer[penstock.Position] // that Pin waits for, rows or not
	applied chan struct{}                     // filled after each batch, for Pin
	done    chan struct{}                     // closed at the end

	awaited atomic.Pointer[penstock.Position] // that is to be stored as soon as it is reached
	reached chan struct{}                     // has an entry when it may have been
}

// replicate carries changes until there is something to do about tables, and
// then returns nil, or until something breaks.
func (p *Pipeline) replicate(ctx context.Context, t *turn) (err error) {
	stream, err := p.capture.Stream(ctx, p.writer.position, t.tables, t.joins)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	p.status.streaming()
	p.arrived()
	p.log.Info("streaming", "from", p.writer.position, "tables", len(t.tables))
	r := &replication{p: p, stream: stream, writer: p.writer, tables: t.tables, from: p.writer.position, reached: make(chan struct{}, 1), mender: newMender(p, t.mend), keeper: newKeeper(p, t),
		free: make(chan *penstock.Changes, 2), full: make(chan *penstock.Changes), applied: make(chan struct{}, 1), done: make(chan struct{})}
	r.share = newShare(p.cfg.Room)
	defer r.share.end()
	defer close(r.done)
	for range cap(r.free) {
		c := &penstock.Changes{Versioned: r.keeper.versioned}
		defer c.Leave()
		r.free <- c
	}
	p.open.set(r)
	defer p.open.set(nil)
	g, ctx := errgroup.WithContext(ctx)
	pollCtx, endPoll := context.WithCancel(ctx)
	var pending *sight
	if t.later {
		pending = t.sight
	}
	g.Go(func() error { return r.poll(pollCtx, pending) })
	g.Go(func() error { return r.awaitBeside(pollCtx) })
	g.Go(func() error {
		defer endPoll()
		defer close(r.full)
		return r.read(ctx)
	})
	g.Go(func() error { return r.applyAll(ctx) })
	if err := g.Wait(); !errors.Is(err, errRejoin) {
		return err
	}
	return nil
}

// read fills Changes and hands them over at transaction boundaries.
func (r *replication) read(ctx context.Context) error {
	at, open := r.from, false
	var cut cutter
	for n := int64(1); ; n++ {
		var c *penstock.Changes
		select {
		case c = <-r.free:
		case <-ctx.Done():
			return ctx.Err()
		}
		c.Position, c.MostTables = at, cut.next(r.p.mostTables())
		last, err := r.fill(ctx, c, open)
		if err != nil {
			return err
		}
		cut.filled(c)
		at, open = c.Position, c.Open
		r.p.status.handOver()
		if !r.waiting.Load() {
			r.urgent.Store(n)
			fill(r.p.pressed)
		}
		select {
		case r.full <- c:
			r.share.filling.hold(0)
			r.filled.Store(false)
		case <-ctx.Done():
			return ctx.Err()
		}
		if last {
			return nil
		}
	}
}

// fill reads into c until it should be handed over: because the applier waits
// for it and nothing is gained by more of it, or because it can take no more. open: what was handed over before
// ended inside a transaction, whose end is handed over also if it has no rows.
func (r *replication) fill(ctx context.Context, c *penstock.Changes, open bool) (last bool, err error) {
	var wait patience
	defer wait.end()
	for {
		if err := r.stream.Next(ctx, c, r.share.limit(r.p.limit())); err != nil {
			return false, err
		}
		size := c.Size()
		r.share.filling.hold(size)
		r.p.status.read(c)
		if len(c.Reshaped) > 0 {
			r.stop.Store(true)
		}
		if c.Open {
			r.filled.Store(true)
			return false, nil
		}
		if r.stop.Load() {
			return true, nil
		}
		if c.Empty() && !open && !r.due(c) {
			continue
		}
		r.p.status.pending(c)
		r.filled.Store(true)
		if len(c.Passed) > 0 || size >= r.share.limit(r.p.limit())/2 || c.Full() || c.InLane() {
			return false, nil
		}
		// The end of a transaction whose beginning is being applied is waited for by all
		// who want to write, an awaited position by the poller.
		if r.waiting.Load() && (!c.Behind || open || c.Empty() || r.target.Load() != nil || r.awaited.Load() != nil || wait.over(r.stream)) {
			return false, nil
		}
		if c.Empty() && r.p.refreshInterval() > 0 {
			return false, nil // a position costs nothing, and lets the source forget
		}
	}
}

// mostPatience is how long rows of a stream that is behind wait for more of them
// once they could be applied, if no transaction goes on meanwhile. One batch costs a
// large table as much as another, whatever is in it.
const mostPatience = 2 * time.Second

// patience is a wait for more rows. The zero value has not begun.
type patience struct {
	until time.Time
	timer *time.Timer
}

// over reports whether the wait, which begins with the first call, has lasted
// long enough. The stream is woken when it has.
func (w *patience) over(s penstock.Stream) bool {
	if w.timer == nil {
		w.until, w.timer = time.Now().Add(mostPatience), time.AfterFunc(mostPatience, s.Wake)
	}
	return !time.Now().Before(w.until)
}

func (w *patience) end() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// idleEvery is how often a position is stored that no row comes with, so that
// the slot of an idle database advances.
const idleEvery = 5 * time.Second

// due reports whether a position without rows should be stored.
func (r *replication) due(c *penstock.Changes) bool {
	if to := r.target.Load(); to != nil && *to == c.Position {
		return true
	}
	stored := r.p.status.position()
	if p := r.awaited.Load(); p != nil && !r.p.capture.Covers(stored, *p) && r.p.capture.Covers(c.Position, *p) {
		return true
	}
	return c.Position != stored && time.Since(r.p.status.storedAt()) >= idleEvery
}

// await has a position stored as soon as it is reached, and then the poller
// told.
func (r *replication) await(p penstock.Position) {
	r.awaited.Store(&p)
	fill(r.p.pressed)
	r.stream.Wake()
}

// tell tells the poller that what it awaits has been reached.
func (r *replication) tell() {
	if p := r.awaited.Load(); p != nil && r.p.capture.Covers(r.p.status.position(), *p) {
		r.awaited.CompareAndSwap(p, nil)
		select {
		case r.reached <- struct{}{}:
		default:
		}
	}
}

// applyAll applies what the reader hands over, pausing between batches while
// that costs no freshness that anybody would notice.
func (r *replication) applyAll(ctx context.Context) error {
	apply := &applier{w: r.p.writer, stream: true}
	defer apply.leave()
	for {
		if err := r.p.pace.wait(ctx, r.next, r.p.pressed); err != nil {
			return err
		}
		r.waiting.Store(true)
		if r.filled.Load() {
			r.stream.Wake()
		}
		c, ok := <-r.full
		r.waiting.Store(false)
		if !ok {
			return nil
		}
		r.taken++
		began, waited := time.Now(), apply.waited
		size, rows := c.Size(), !c.Empty()
		r.share.applying.hold(size)
		if err := r.applyOne(ctx, c, apply); err != nil {
			return err
		}
		r.p.growBatches(time.Now())
		fill(r.applied)
		r.p.status.arrived(c.Position, c.Open)
		work := time.Since(began) - (apply.waited - waited) // others had the turn meanwhile
		r.p.pace.applied(work, rows, c.Open || c.Behind || size >= r.p.limit()/4 || r.target.Load() != nil)
		c.Reset()
		r.share.applying.hold(0)
		r.free <- c
	}
}

// next returns when the next batch may be applied. What Pin waits for does not
// wait at all; for the refresh interval nothing does while the stream is behind,
// or if it is somebody who waits, or something else than rows.
func (r *replication) next() time.Time {
	pace := &r.p.pace
	switch interval := r.p.refreshInterval(); {
	case r.target.Load() != nil:
		return time.Time{}
	case interval == 0, r.urgent.Load() > r.taken, r.awaited.Load() != nil, r.p.waiters.Load() > 0, pace.until.After(pace.ended.Add(interval)):
		return pace.until
	default:
		return pace.ended.Add(interval)
	}
}

// applyOne applies one batch, and what becomes of tables with it.
func (r *replication) applyOne(ctx context.Context, c *penstock.Changes, apply *applier) error {
	p := r.p
	b := &penstock.Batch{Next: c.Position, CommitTime: c.CommitTime, Partial: c.Open, Strict: p.strict(), Alter: c.Altered}
	for _, tc := range c.Tables {
		p.repair(&tc.Rows)
		if !r.keeper.keeps[tc.Table.ID] {
			b.Tables = append(b.Tables, netEffect(tc, r.mender.mends(tc.Table.ID)))
		}
	}
	rest := r.keeper.begin(b, c)
	for _, id := range c.Reshaped {
		if t := r.table(id); t != nil {
			b.States = append(b.States, penstock.TableStatus{Table: *t, State: penstock.TableResyncRequired, Reason: shapeChanged})
		}
	}
	if b.Next == p.status.position() && !apply.inside && c.Empty() && len(b.States) == 0 {
		return nil
	}
	size, from, began := c.Size(), p.status.position(), time.Now()
	p.told.note(c)
	failed, err := b, error(nil)
	if len(rest) == 0 {
		err = r.mender.apply(ctx, apply, b)
	} else {
		failed, err = r.applyInParts(ctx, apply, b, rest)
	}
	if penstock.KindOf(err) == penstock.KindStale && err != nil {
		return p.reloadStale(ctx, failed, err)
	}
	if u := badValue(err); u != nil {
		return p.failTable(ctx, u)
	}
	if t := p.blame(b, err); t != nil && err != nil {
		return p.failTooLarge(ctx, t)
	}
	if err != nil {
		return err
	}
	for _, a := range b.Alter {
		if a.Old.Equal(a.New) {
			continue
		}
		p.log.Info("table altered", "table", a.Old.String(), "now", a.New.String(), "columns", len(a.New.Columns))
	}
	if len(c.Dropped) > 0 {
		p.log.Info("tables dropped", "tables", len(c.Dropped), "kept with their history", len(b.Retire))
	}
	if !b.Partial {
		p.status.setPosition(b.Next)
		r.tell()
	}
	passed, later := r.mender.passed(c.Passed)
	if later {
		r.end() // to be opened anew with them
	}
	if len(passed) > 0 {
		if err := apply.apply(ctx, r.keeper.swap(b.Next, passed), false); err != nil {
			return err
		}
		r.keeper.swapped(passed)
		p.log.Info("tables synced", "tables", len(passed))
	}
	p.status.applied(b, c, size, from, began)
	if !c.Open {
		if err := failpoint.Here(failpoint.PipelineBeforeAck); err != nil {
			return err
		}
		r.stream.Ack(b.Next)
		_ = failpoint.Here(failpoint.PipelineAfterAck)
	}
	if c.Open || len(c.Passed) == 0 && len(c.Reshaped) == 0 && len(c.Altered) == 0 && len(c.Dropped) == 0 {
		return nil // inside a transaction the turn is the applier's; the stream ends with it
	}
	return p.writer.do(ctx, func(d penstock.Destination) error {
		state, err := d.State(ctx)
		p.status.setTables(state.Tables)
		return err
	})
}

// table returns a table that the stream delivers; nil if it is none.
func (r *replication) table(id penstock.TableID) *penstock.Table {
	for i := range r.tables {
		if r.tables[i].ID == id {
			return &r.tables[i]
		}
	}
	return nil
}

// reloadStale has the tables loaded again that stand in the way of a batch:
// one of which rows are to be found by a key that cannot be held, if that is the
// cause; else those that it alters, which the destination may not be able to,
// and those of which it changes parts of rows, as such a row may not be there,
// which can no longer be what it was loaded as. The stream is opened anew
// without them.
func (p *Pipeline) reloadStale(ctx context.Context, b *penstock.Batch, cause error) error {
	var states []penstock.TableStatus
	stale := func(t *penstock.Table) {
		states = append(states, penstock.TableStatus{Table: *t, State: penstock.TableResyncRequired, Reason: penstock.MessageOf(cause)})
	}
	if t := strayed(cause); t != nil {
		p.holdStray(t, cause)
		stale(t)
	} else {
		for i := range b.Alter {
			stale(b.Alter[i].Old)
		}
		for i := range b.Tables {
			if t := &b.Tables[i]; t.Base != nil || t.Versions != nil && t.Versions.Base != nil {
				stale(t.Table)
			}
		}
	}
	if len(states) == 0 {
		return cause
	}
	p.log.Error("tables have to be loaded again", "tables", len(states), "error", cause)
	err := p.writer.do(ctx, func(d penstock.Destination) error { return d.SetStates(ctx, states) })
	return cmp.Or(err, errRejoin)
}

// awaitBeside ends the stream when the load beside it has ended, for its
// tables to be joined.
func (r *replication) awaitBeside(ctx context.Context) error {
	if !r.p.loading() {
		return nil
	}
	select {
	case <-r.p.beside.done:
		r.end()
	case <-ctx.Done():
	}
	return nil
}

// end has the stream end at the next transaction boundary.
func (r *replication) end() {
	r.stop.Store(true)
	r.stream.Wake()
}
