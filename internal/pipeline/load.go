package pipeline

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"penstock"
)

// loadBuffer is how many bytes of rows a loading connection collects before it
// hands them to the destination.
const loadBuffer = 8 << 20

// fewTables is how many tables the log tells of one by one, of those to which
// the same has happened.
const fewTables = 20

// loading is one load in progress.
type loading struct {
	p      *Pipeline
	view   penstock.Load
	tables []penstock.Table
	joins  map[penstock.TableID]penstock.Snapshot // what each is to be joined with

	progress penstock.LoadProgress // when it begins

	mu     sync.Mutex
	left   map[penstock.TableID]int   // chunks to do
	failed map[penstock.TableID]error // not to be completed
	copied map[penstock.TableID]copied
	began  time.Time
}

// copied is how much of a table is in the destination by this load.
type copied struct{ rows, bytes int64 }

// load copies tables into hidden versions while no stream is open. A table
// that changes under it, or alone cannot be read, is left for a later turn; the
// others go on (promise 5). What begun has of tables is not read again.
func (p *Pipeline) load(ctx context.Context, tables []penstock.Table, begun map[penstock.TableID]*penstock.PartialLoad) error {
	tables, err := p.fit(ctx, tables)
	if err != nil || len(tables) == 0 {
		return err
	}
	if err := p.ensure(ctx, slices.DeleteFunc(slices.Clone(tables), func(t penstock.Table) bool { return begun[t.ID] != nil })); err != nil {
		return err
	}
	view, err := p.capture.Load(ctx, tables, begun)
	if err != nil {
		return err
	}
	defer view.Close()
	l := p.newLoading(view, tables)
	if err := p.keep(ctx, l, begun); err != nil {
		return err
	}
	looked, stop := p.lookMeanwhile(ctx)
	err = l.readAll(looked)
	stop()
	if over := limitOf(context.Cause(looked)); over != nil {
		return over
	}
	if err != nil {
		return err
	}
	return p.writer.do(ctx, func(d penstock.Destination) error { return l.recordAll(ctx, d) })
}

// keep makes sure that what the load brings outlives its end, whatever that
// is, for as long as the stream stands still. Tables of which what was begun
// is void start again.
func (p *Pipeline) keep(ctx context.Context, l *loading, begun map[penstock.TableID]*penstock.PartialLoad) error {
	var again []penstock.Table
	goesOn := 0
	kept := map[penstock.TableID]penstock.Snapshot{}
	for _, t := range l.tables {
		join, resumes := l.view.Resumes(t.ID)
		switch b := begun[t.ID]; {
		case resumes:
			l.joins[t.ID] = join
			l.resume(b)
			if goesOn++; goesOn <= fewTables {
				p.log.Info("load goes on", "table", t.String(), "chunks done", len(b.Chunks), "rows", b.Rows, "chunks left", l.left[t.ID])
			}
		case b != nil:
			p.log.Info("load starts again, the table was truncated or rewritten", "table", t.String())
			again = append(again, t)
		}
		if t.Identity == penstock.IdentityKey {
			kept[t.ID] = l.joins[t.ID]
		}
	}
	if goesOn > fewTables {
		p.log.Info("load goes on, of more tables", "tables", goesOn-fewTables)
	}
	if len(again) > 0 {
		if err := p.ensure(ctx, again); err != nil {
			return err
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return p.writer.do(ctx, func(d penstock.Destination) error { return d.Keep(ctx, kept) })
}

// lookMeanwhile goes on looking at the source while a load takes its time and
// no stream does: a table that loses its replica identity must not stay
// published for updates, which the server would refuse (promise 4), and what
// the source keeps for us must be shown, and bounded: the context that it
// returns ends with an overLimit. What else is to be done waits.
func (p *Pipeline) lookMeanwhile(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		wait := p.cfg.Poll
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			began := time.Now()
			_, _, err := p.watch(ctx)
			if limitOf(err) != nil {
				cancel(err)
				return
			}
			if err != nil && ctx.Err() == nil {
				p.log.Warn("the source cannot be looked at during the load", "error", err)
			}
			wait = max(p.cfg.Poll, 20*time.Since(began))
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
	}
}

// ensureTables is how many hidden versions are made in one transaction, during
// which the stream, if there is one, has no turn.
const ensureTables = 500

// ensure makes the hidden versions.
func (p *Pipeline) ensure(ctx context.Context, tables []penstock.Table) error {
	if surveyor, ok := p.capture.(penstock.Surveyor); ok && len(tables) > 0 {
		tables = slices.Clone(tables)
		if err := surveyor.Survey(ctx, tables); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(tables, ensureTables) {
		those := make([]*penstock.Table, len(some))
		for i := range some {
			those[i] = &some[i]
		}
		if err := p.writer.do(ctx, func(d penstock.Destination) error { return d.Ensure(ctx, those...) }); err != nil {
			return err
		}
	}
	return p.writer.do(ctx, func(d penstock.Destination) error {
		state, err := d.State(ctx)
		p.status.setTables(state.Tables)
		return err
	})
}

// newLoading returns the load of tables that are empty, before anything is read.
func (p *Pipeline) newLoading(view penstock.Load, tables []penstock.Table) *loading {
	l := &loading{p: p, view: view, tables: tables, joins: map[penstock.TableID]penstock.Snapshot{}, left: map[penstock.TableID]int{},
		failed: map[penstock.TableID]error{}, copied: map[penstock.TableID]copied{}, began: time.Now()}
	for _, t := range tables {
		l.joins[t.ID] = view.Snapshot()
	}
	for _, c := range view.Chunks() {
		l.left[c.Table.ID]++
		l.progress.TotalBytes += c.Bytes
	}
	l.progress.Tables = len(tables)
	return l
}

// resume counts what was done before.
func (l *loading) resume(begun *penstock.PartialLoad) {
	l.progress.Rows += begun.Rows
	l.progress.Bytes += begun.Bytes
	l.progress.TotalBytes += begun.Bytes
}

// readAll reads the chunks with several connections.
func (l *loading) readAll(ctx context.Context) error {
	for _, t := range l.tables {
		if l.left[t.ID] == 0 {
			l.progress.TablesDone++
		}
	}
	l.p.status.loadBegins(l.progress)
	defer l.p.status.loadEnds()
	queue := make(chan []penstock.Chunk)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(queue)
		for group := range groups(l.view.Chunks()) {
			select {
			case queue <- group:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	buffer := max(min(loadBuffer, l.p.limit()/l.p.cfg.Connections), minLimit)
	for range l.p.cfg.Connections {
		g.Go(func() error {
			var rows penstock.Rows
			for group := range queue {
				if err := l.read(ctx, group, &rows, buffer); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (l *loading) count(id penstock.TableID, more copied) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.copied[id]
	l.copied[id] = copied{c.rows + more.rows, c.bytes + more.bytes}
}

func (l *loading) hasFailed(id penstock.TableID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed[id] != nil
}

func (l *loading) fail(id penstock.TableID, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed[id] == nil {
		l.failed[id] = err
	}
}

// done counts a chunk and reports whether it was its table's last.
func (l *loading) done(id penstock.TableID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left[id]--
	return l.left[id] == 0
}

// recordAll notes which tables are complete, and why others are not.
func (l *loading) recordAll(ctx context.Context, d penstock.Destination) error {
	if err := l.refuseBad(ctx, d); err != nil {
		return err
	}
	joins := map[penstock.TableID]penstock.Snapshot{}
	var failed []penstock.TableStatus
	for i := range l.tables {
		t := &l.tables[i]
		err := l.failed[t.ID]
		if err == nil && l.left[t.ID] > 0 {
			err = penstock.Errorf(penstock.KindStale, "table %s was not read to its end", t)
		}
		if err == nil {
			joins[t.ID] = l.joins[t.ID]
			continue
		}
		if tooLarge(err) != nil {
			l.p.retry.holdBack(t.ID, minTooLargePause, maxTooLargePause)
		} else {
			l.p.retry.backOff(t.ID)
		}
		failed = append(failed, failure(t, err))
		l.p.log.Warn("table not loaded", "table", t.String(), "error", err)
	}
	if len(joins) > 0 {
		if err := d.Loaded(ctx, joins); err != nil {
			return err
		}
	}
	told := 0
	for i := range l.tables {
		t := &l.tables[i]
		if joins[t.ID] == "" {
			continue
		}
		l.p.retry.forget(t.ID)
		l.p.status.loadedTable(t, l.copied[t.ID], l.began)
		if told++; told <= fewTables {
			l.p.log.Info("table loaded", "table", t.String())
		}
	}
	if told > fewTables {
		l.p.log.Info("more tables loaded", "tables", told-fewTables)
	}
	if len(failed) == 0 {
		return nil
	}
	return d.SetStates(ctx, failed)
}

// failure is the state of a table that could not be loaded.
func failure(t *penstock.Table, err error) penstock.TableStatus {
	if u := badValue(err); u != nil {
		return failedFor(u)
	}
	state := penstock.TableStatus{Table: *t, State: penstock.TableResyncRequired, Reason: err.Error()}
	if penstock.KindOf(err) == penstock.KindSetting {
		state.State = penstock.TableFailed
	}
	if u := tooLarge(err); u != nil {
		state = tooLargeState(u)
	}
	return state
}
