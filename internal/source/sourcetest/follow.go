package sourcetest

import (
	"slices"

	"penstock"
)

// follower skips the test of a source that cannot load beside its stream.
func (r *reader) follower() penstock.Follower {
	r.Helper()
	f, ok := r.capture.(penstock.Follower)
	if !ok {
		r.Skip("the source loads only while its stream is closed")
	}
	return f
}

// beside loads tables while the main stream stays open.
func (r *reader) beside(names ...string) penstock.FollowedLoad {
	r.Helper()
	shapes := r.look(names...)
	l, err := r.follower().LoadBeside(r.ctx, r.position, shapes)
	r.ok(err)
	r.Cleanup(func() { l.Close() })
	for _, s := range shapes {
		r.tables[s.Name] = &copied{shape: s}
	}
	return l
}

// follow applies a following stream until it has reached the main one.
func (r *reader) follow(s penstock.FollowingStream, limit int) {
	r.Helper()
	c := &penstock.Changes{}
	for c.Open || !s.Reached(r.position) {
		c.Reset()
		r.ok(s.Next(r.ctx, c, limit))
		if len(c.Passed) > 0 {
			r.Fatalf("a stream beside reports %v as passed", c.Passed)
		}
		for _, tc := range c.Tables {
			t := r.byID(tc.Table.ID)
			if t == nil || t.shape.Name == marks {
				r.Fatalf("a stream beside delivers table %s", tc.Table)
			}
			r.apply(t, tc)
		}
		s.Ack(c.Position)
	}
}

// testFollow loads tables beside the open stream and joins them with it, with
// transactions committed at every stage.
func testFollow(e *env) {
	e.createKinds(150)
	e.s.Create(e.T, "elsewhere", penstock.IdentityKey)
	r := e.reader()
	r.follower()
	e.do(func(tx Tx) { changeKinds(tx, 1000, 1, 2) })
	r.open()
	r.toMark(e.mark())
	open := e.s.Begin(e.T)
	open.Insert("elsewhere", Row{ID: 1})
	e.do(func(tx Tx) { changeKinds(tx, 1010, 3, 4) })

	l := r.beside(kinds...)
	e.do(func(tx Tx) { changeKinds(tx, 1020, 5, 6) })
	chunks := l.Chunks()
	r.read(l, chunks[:len(chunks)/2]...)
	changeKinds(open, 1030, 7, 8)
	open.Commit()
	r.toMark(e.mark()) // the main stream goes on meanwhile, without the tables
	r.read(l, chunks[len(chunks)/2:]...)
	e.do(func(tx Tx) { changeKinds(tx, 1040, 9, 10) })
	r.toMark(e.mark())

	s, err := l.Follow(e.ctx)
	e.ok(err)
	e.Cleanup(func() { s.Close() })
	r.follow(s, 1<<20)
	e.do(func(tx Tx) { changeKinds(tx, 1050, 11, 12) })
	r.toMark(e.mark())
	r.follow(s, 1<<20)
	e.do(func(tx Tx) { changeKinds(tx, 1060, 13, 14) })
	for _, name := range kinds {
		r.joins[r.tables[name].shape.ID] = s.Snapshot()
	}
	e.ok(s.Close())
	e.ok(l.Close())
	r.reopen()
	r.catchUp()
	if len(r.joins) > 0 {
		e.Fatalf("%d tables still wait for the stream to pass", len(r.joins))
	}
}

// testFollowAhead: a stream beside that is ahead of the main one has its
// tables joined without anything coming twice, also after a restart.
func testFollowAhead(e *env) {
	e.createKinds(10)
	r := e.reader()
	r.follower()
	r.open()
	r.toMark(e.mark())
	l := r.beside(kinds...)
	r.read(l, l.Chunks()...)
	s, err := l.Follow(e.ctx)
	e.ok(err)
	e.Cleanup(func() { s.Close() })
	e.do(func(tx Tx) { changeKinds(tx, 1000, 1, 2) })
	e.do(func(tx Tx) { changeKinds(tx, 1010, 3, 4) })
	c := &penstock.Changes{}
	for r.tables["bare"].find(Row{ID: 1012}, false) < 0 {
		c.Reset()
		e.ok(s.Next(e.ctx, c, 1<<20))
		for _, tc := range c.Tables {
			r.apply(r.byID(tc.Table.ID), tc)
		}
	}
	for _, name := range kinds {
		r.joins[r.tables[name].shape.ID] = s.Snapshot()
	}
	e.ok(s.Close())
	e.ok(l.Close())
	e.do(func(tx Tx) { changeKinds(tx, 1020, 5, 6) })
	before, start, joins := map[string][]Row{}, r.position, map[penstock.TableID]penstock.Snapshot{}
	for _, name := range kinds {
		before[name] = slices.Clone(r.tables[name].rows)
		joins[r.tables[name].shape.ID] = s.Snapshot()
	}
	marked := slices.Clone(r.tables[marks].rows)
	r.reopen()
	r.catchUp()

	for _, name := range kinds {
		r.tables[name].rows = before[name]
	}
	r.position, r.joins, r.tables[marks].rows = start, joins, marked
	r.reopen()
	r.catchUp()
}

// testFollowLargeTransaction: a stream beside comes in parts as the main one does.
func testFollowLargeTransaction(e *env) {
	e.createKinds(10)
	r := e.reader()
	r.follower()
	r.open()
	l := r.beside("keyed", "whole")
	r.read(l, l.Chunks()...)
	e.do(func(tx Tx) {
		tx.Insert("keyed", rows(100, 2000)...)
		tx.Insert("whole", rows(100, 2000)...)
	})
	r.toMark(e.mark())
	s, err := l.Follow(e.ctx)
	e.ok(err)
	e.Cleanup(func() { s.Close() })
	r.follow(s, 8<<10)
	for _, name := range []string{"keyed", "whole"} {
		r.joins[r.tables[name].shape.ID] = s.Snapshot()
	}
	e.ok(s.Close())
	e.ok(l.Close())
	r.reopen()
	r.catchUp()
}

// testFollowLeavesNothing: a load beside that is given up keeps nothing at the
// source.
func testFollowLeavesNothing(e *env) {
	e.createKinds(10)
	r := e.reader()
	r.follower()
	r.open()
	before := e.s.Left(e.T, e.id)
	l := r.beside(kinds...)
	e.ok(l.Close())
	l = r.beside(kinds...)
	s, err := l.Follow(e.ctx)
	e.ok(err)
	e.ok(s.Close())
	e.ok(l.Close())
	// A slot goes with its connection, a moment later.
	for len(e.s.Left(e.T, e.id)) > len(before) {
		e.ok(e.ctx.Err())
		e.s.Touch(e.T)
	}
	for _, name := range kinds {
		delete(r.tables, name)
	}
	r.reopen()
	r.catchUp()
}
