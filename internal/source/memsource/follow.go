package memsource

import (
	"context"
	"slices"

	"penstock"
)

// followedLoad implements penstock.FollowedLoad.
type followedLoad struct {
	*load
	tables []penstock.Table
	slot   *slot // keeps the history for the stream to come
}

var (
	_ penstock.Follower        = (*capture)(nil)
	_ penstock.FollowedLoad    = (*followedLoad)(nil)
	_ penstock.FollowingStream = (*following)(nil)
)

// LoadBeside implements penstock.Follower.
func (c *capture) LoadBeside(ctx context.Context, at penstock.Position, tables []penstock.Table) (penstock.FollowedLoad, error) {
	s := c.db.source
	err := s.begin(ctx, "LoadBeside")
	var main *slot
	if err == nil {
		main, _, err = c.resume(at)
	}
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	s.slots++
	copied := &slot{number: s.slots, acked: main.acked}
	c.db.beside = append(c.db.beside, copied)
	s.mu.Unlock()
	f := &followedLoad{load: &load{capture: c}, tables: tables, slot: copied}
	l, err := c.Load(ctx, tables, nil)
	if err != nil {
		f.Close()
		return nil, err
	}
	f.load = l.(*load)
	return f, nil
}

// Close implements penstock.Load.
func (f *followedLoad) Close() error {
	db := f.capture.db
	db.source.mu.Lock()
	defer db.source.mu.Unlock()
	db.beside = slices.DeleteFunc(db.beside, func(sl *slot) bool { return sl == f.slot })
	return nil
}

// Follow implements penstock.FollowedLoad.
func (f *followedLoad) Follow(ctx context.Context) (penstock.FollowingStream, error) {
	c := f.capture
	defer c.db.source.mu.Unlock()
	if err := c.db.source.begin(ctx, "Follow"); err != nil {
		return nil, err
	}
	joins := map[penstock.TableID]penstock.Snapshot{}
	for i := range f.tables {
		joins[f.tables[i].ID] = f.snapshot.encode()
	}
	st, err := c.newStream("NextBeside", f.slot, f.slot.acked, f.tables, joins)
	if err != nil {
		return nil, err
	}
	return &following{stream: st, upto: f.snapshot.upto}, nil
}

// following implements penstock.FollowingStream.
type following struct {
	*stream
	upto int // of the load's snapshot: before that the two make no sense together
}

// Next implements penstock.Stream.
func (f *following) Next(ctx context.Context, c *penstock.Changes, limit int) error {
	err := f.stream.Next(ctx, c, limit)
	c.Passed = c.Passed[:0]
	return err
}

// Reached implements penstock.FollowingStream.
func (f *following) Reached(at penstock.Position) bool {
	main, err := decodePosition(at)
	return err == nil && f.at >= main.lsn && f.at >= f.upto
}

// Snapshot implements penstock.FollowingStream.
func (f *following) Snapshot() penstock.Snapshot { return snapshot{before: true, upto: f.at}.encode() }
