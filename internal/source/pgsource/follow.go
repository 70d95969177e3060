package pgsource

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"penstock"
)

// followedLoad implements penstock.FollowedLoad. It has a capture of its own,
// so that it shares no connection with the one it was made from, and a
// temporary slot, copied from the main one, that keeps the WAL for its stream
// from before its snapshot. The slot goes with its connection.
type followedLoad struct {
	*load
	tables    []penstock.Table
	walsender *pgconn.PgConn // owns the slot; nil once Follow has taken it
	from      position
}

var (
	_ penstock.Follower        = (*capture)(nil)
	_ penstock.FollowedLoad    = (*followedLoad)(nil)
	_ penstock.FollowingStream = (*following)(nil)
)

// LoadBeside implements penstock.Follower.
func (c *capture) LoadBeside(ctx context.Context, at penstock.Position, tables []penstock.Table) (penstock.FollowedLoad, error) {
	main, err := decodePosition(at)
	if err != nil {
		return nil, err
	}
	beside := &capture{source: c.source, spec: c.spec, log: c.log}
	beside.told.Store(c.told.Load())
	walsender, err := c.source.connectReplication(ctx, c.spec.Database)
	if err != nil {
		return nil, err
	}
	f := &followedLoad{tables: tables, walsender: walsender, from: main}
	f.from.slot = slotPrefix(c.spec.Integration) + randomHex(3)
	// The copy starts where the main slot has been acknowledged, at or before
	// anything that the main stream is still to deliver.
	if f.from.lsn, err = copySlot(ctx, walsender, main.slot, f.from.slot); err != nil {
		f.Close()
		err = classify(err, "copy slot "+main.slot+" on "+c.where())
		if sqlState(err) == "53400" {
			return nil, &penstock.Error{Kind: penstock.KindQuota, Message: "there is no free replication slot", Mend: "raise max_replication_slots", Err: err}
		}
		return nil, err
	}
	// Types are needed to load; looking at the tables finds them.
	conn, err := beside.conn(ctx)
	if err == nil {
		_, err = relations(ctx, conn, beside.types, func(schema, name string) bool { return c.spec.Filter.Match(c.spec.Database, schema, name) })
	}
	var l penstock.Load
	if err == nil {
		l, err = beside.Load(ctx, tables, nil)
	}
	if err != nil {
		beside.Close()
		f.Close()
		return nil, classify(err, "load beside the stream from "+c.where())
	}
	f.load = l.(*load)
	return f, nil
}

// copySlot makes a temporary copy of a slot and returns where it starts.
func copySlot(ctx context.Context, conn *pgconn.PgConn, from, to string) (lsn, error) {
	results, err := conn.Exec(ctx, fmt.Sprintf(`SELECT pg_copy_logical_replication_slot('%s', '%s', true);
		SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '%s'`, from, to, to)).ReadAll()
	if err != nil {
		return 0, err
	}
	if len(results) != 2 || len(results[1].Rows) != 1 {
		return 0, penstock.Errorf(penstock.KindInternal, "the copy of slot %s is not there", from)
	}
	return parseLSN(string(results[1].Rows[0][0]))
}

// Close implements penstock.Load.
func (f *followedLoad) Close() error {
	var err error
	if f.load != nil {
		err = f.load.Close()
		f.load.capture.Close()
	}
	if f.walsender != nil {
		f.walsender.Close(context.Background())
	}
	return err
}

// Follow implements penstock.FollowedLoad.
func (f *followedLoad) Follow(ctx context.Context) (penstock.FollowingStream, error) {
	joins := make(map[penstock.TableID]penstock.Snapshot, len(f.tables))
	for i := range f.tables {
		joins[f.tables[i].ID] = f.Snapshot()
	}
	s, err := f.capture.newStream(f.from, f.tables, joins)
	if err != nil {
		return nil, err
	}
	walsender := f.walsender
	f.walsender = nil
	if err := s.start(ctx, walsender); err != nil {
		return nil, err
	}
	return &following{stream: s, upto: f.snapshot.upto}, nil
}

// following implements penstock.FollowingStream.
type following struct {
	*stream
	upto lsn // of the load's snapshot: before that the two make no sense together
}

// Next implements penstock.Stream.
func (f *following) Next(ctx context.Context, c *penstock.Changes, limit int) error {
	err := f.stream.Next(ctx, c, limit)
	c.Passed = c.Passed[:0]
	return err
}

// Reached implements penstock.FollowingStream.
func (f *following) Reached(p penstock.Position) bool {
	main, err := decodePosition(p)
	return err == nil && f.position.lsn >= main.lsn && f.position.lsn >= f.upto
}

// Snapshot implements penstock.FollowingStream.
func (f *following) Snapshot() penstock.Snapshot {
	return snapshot{before: true, upto: f.position.lsn}.encode()
}
