package pipeline

import (
	"context"
	"errors"

	"penstock"
)

// beside is a load that runs while the stream carries on for other tables. It
// reads its tables, follows them by a stream of its own until it has seen what
// the main stream has, and leaves them to be joined with that.
type beside struct {
	tables map[penstock.TableID]*penstock.Table
	cancel context.CancelCauseFunc
	done   chan struct{} // closed at the end; err may be read then
	err    error
}

// loadBeside starts loading tables beside the stream.
func (p *Pipeline) loadBeside(ctx context.Context, follower penstock.Follower, tables []penstock.Table) *beside {
	ctx, cancel := context.WithCancelCause(ctx)
	b := &beside{tables: make(map[penstock.TableID]*penstock.Table, len(tables)), cancel: cancel, done: make(chan struct{})}
	for i := range tables {
		b.tables[tables[i].ID] = &tables[i]
	}
	go func() {
		defer close(b.done)
		defer cancel(nil)
		b.err = p.runBeside(ctx, follower, tables)
		if cause := context.Cause(ctx); b.err != nil && penstock.ProblemOf(cause) != "" {
			b.err = cause
		}
	}()
	return b
}

// cancelFor ends the load with an error, without waiting for that.
func (b *beside) cancelFor(cause error) { b.cancel(cause) }

// stop ends the load if it is not done, and waits until it is.
func (b *beside) stop() {
	b.cancel(nil)
	<-b.done
}

// has reports whether a table is being loaded in just this shape.
func (b *beside) has(t *penstock.Table) bool {
	loaded := b.tables[t.ID]
	return loaded != nil && sameAsLoaded(loaded, t)
}

func (p *Pipeline) runBeside(ctx context.Context, follower penstock.Follower, tables []penstock.Table) error {
	tables, err := p.fit(ctx, tables)
	if err != nil || len(tables) == 0 {
		return err
	}
	if err := p.ensure(ctx, tables); err != nil {
		return err
	}
	var at penstock.Position
	if err := p.writer.do(ctx, func(penstock.Destination) error { at = p.writer.position; return nil }); err != nil {
		return err
	}
	view, err := follower.LoadBeside(ctx, at, tables)
	if err != nil {
		return err
	}
	defer view.Close()
	l := p.newLoading(view, tables)
	if err := l.readAll(ctx); err != nil {
		return err
	}
	return p.follow(ctx, view, l)
}

// follow applies to the hidden versions what has happened since they were
// loaded, until the main stream is not ahead any more, and then has them joined.
func (p *Pipeline) follow(ctx context.Context, view penstock.FollowedLoad, l *loading) (err error) {
	s, err := view.Follow(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	apply := applier{w: p.writer}
	defer apply.leave()
	level := p.newRendezvous()
	defer level.release()
	c := &penstock.Changes{MostTables: l.p.mostTables()}
	for {
		if err := s.Next(ctx, c, p.limit()); err != nil {
			return err
		}
		for _, id := range c.Reshaped {
			l.fail(id, penstock.Errorf(penstock.KindStale, "table %s changed its shape while it was loaded", id))
		}
		for _, a := range c.Altered {
			if a.Old.Equal(a.New) {
				continue
			}
			l.fail(a.New.ID, penstock.Errorf(penstock.KindStale, "table %s changed its shape while it was loaded", a.New))
		}
		for _, id := range c.Dropped {
			l.fail(id, penstock.Errorf(penstock.KindStale, "table %s was dropped while it was loaded", id))
		}
		b := &penstock.Batch{Partial: c.Open}
		for _, tc := range c.Tables {
			if !l.hasFailed(tc.Table.ID) {
				p.repair(&tc.Rows)
				b.Tables = append(b.Tables, netEffect(tc, false))
			}
		}
		if len(b.Tables) > 0 || apply.inside {
			if err := l.applyFollowed(ctx, &apply, b); err != nil {
				return err
			}
		}
		p.status.followed(b)
		s.Ack(c.Position)
		open := c.Open
		c.Reset()
		if open {
			continue
		}
		if !s.Reached(p.status.position()) {
			level.behind()
			continue
		}
		if joined, err := p.leaveToJoin(ctx, s, l); joined || err != nil {
			return err
		}
	}
}

// leaveToJoin records the tables as loaded, if the stream has not got ahead of
// what they contain meanwhile, and keeps it from doing so until it has them.
func (p *Pipeline) leaveToJoin(ctx context.Context, s penstock.FollowingStream, l *loading) (joined bool, err error) {
	err = p.writer.do(ctx, func(d penstock.Destination) error {
		if joined = s.Reached(p.writer.position); !joined {
			return nil
		}
		p.writer.rejoin = true
		for _, t := range l.tables {
			l.joins[t.ID] = s.Snapshot()
		}
		return l.recordAll(ctx, d)
	})
	return joined, err
}
