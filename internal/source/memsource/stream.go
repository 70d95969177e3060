package memsource

import (
	"context"
	"slices"

	"penstock"
)

// toastLength is from which length on a value that an update leaves as it was
// is not sent.
const toastLength = 2000

// stream implements penstock.Stream.
type stream struct {
	capture *capture
	op      string // what Next is called for Intercept
	slot    *slot
	woken   chan struct{} // has one entry after Wake
	closed  bool
	broken  bool // by the server

	at     int // the last boundary delivered
	until  int // the bound that Until has set; 0 if there is none
	tables map[penstock.TableID]*streamTable

	current record // the transaction being delivered
	next    int    // the change of it that comes next
	inside  bool   // a part of current has been delivered
}

// streamTable is a table as the stream delivers it.
type streamTable struct {
	shape *penstock.Table
	dead  bool      // reported in Reshaped: no more rows of it
	join  *snapshot // until the stream has passed it
}

// Stream implements penstock.Capture.
func (c *capture) Stream(ctx context.Context, from penstock.Position, tables []penstock.Table, joins map[penstock.TableID]penstock.Snapshot) (penstock.Stream, error) {
	defer c.db.source.mu.Unlock()
	if err := c.db.source.begin(ctx, "Stream"); err != nil {
		return nil, err
	}
	sl, p, err := c.resume(from)
	if err != nil {
		return nil, err
	}
	if sl.user != nil {
		return nil, penstock.Errorf(penstock.KindUnreachable, "the stream of integration %s is open already", c.spec.Integration)
	}
	return c.newStream("Next", sl, p.lsn, tables, joins)
}

func (c *capture) newStream(op string, sl *slot, from int, tables []penstock.Table, joins map[penstock.TableID]penstock.Snapshot) (*stream, error) {
	st := &stream{capture: c, op: op, slot: sl, woken: make(chan struct{}, 1), at: from, tables: map[penstock.TableID]*streamTable{}}
	for i := range tables {
		t := &streamTable{shape: &tables[i]}
		if text, ok := joins[tables[i].ID]; ok {
			join, err := decodeSnapshot(text)
			if err != nil {
				return nil, err
			}
			t.join = &join
		}
		st.tables[tables[i].ID] = t
	}
	sl.user = st
	return st, nil
}

// Wake implements penstock.Stream.
func (st *stream) Wake() {
	select {
	case st.woken <- struct{}{}:
	default:
	}
}

// Until implements penstock.Stream.
func (st *stream) Until(at penstock.Position) {
	db := st.capture.db
	db.source.mu.Lock()
	defer db.source.mu.Unlock()
	st.until = 0
	if p, err := decodePosition(at); err == nil {
		st.until = p.lsn
	}
	db.move()
}

// Ack implements penstock.Stream.
func (st *stream) Ack(at penstock.Position) {
	db := st.capture.db
	db.source.mu.Lock()
	defer db.source.mu.Unlock()
	p, err := decodePosition(at)
	if err != nil || p.slot != st.slot.number || p.lsn <= st.slot.acked {
		return
	}
	st.slot.acked = p.lsn
	needed := db.lsn
	for _, sl := range db.all() {
		needed = min(needed, sl.acked)
	}
	db.log = slices.DeleteFunc(db.log, func(r record) bool { return r.lsn <= needed })
}

// Close implements penstock.Stream.
func (st *stream) Close() error {
	db := st.capture.db
	db.source.mu.Lock()
	defer db.source.mu.Unlock()
	st.closed = true
	if st.slot.user == st {
		st.slot.user = nil
	}
	db.move()
	return nil
}

// Next implements penstock.Stream.
func (st *stream) Next(ctx context.Context, c *penstock.Changes, limit int) error {
	for {
		got, moved, err := st.take(ctx, c, limit)
		if got || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		case <-st.woken:
			return nil
		}
	}
}

// take adds what is there. If that is nothing, moved ends when there may be.
func (st *stream) take(ctx context.Context, c *penstock.Changes, limit int) (got bool, moved <-chan struct{}, err error) {
	db := st.capture.db
	defer db.source.mu.Unlock()
	op := st.op
	if st.inside { // which only Next changes
		op += "Inside"
	}
	if err := db.source.begin(ctx, op); err != nil {
		return false, nil, err
	}
	switch {
	case st.closed:
		return false, nil, penstock.Errorf(penstock.KindUnreachable, "the stream is closed")
	case st.broken, st.slot.gone:
		return false, nil, penstock.Errorf(penstock.KindUnreachable, "the server ended the stream")
	}
	c.Open = false
	if st.pass(c) {
		return true, nil, nil
	}
	for {
		if !st.inside {
			i := slices.IndexFunc(db.log, func(r record) bool { return r.lsn > st.at })
			if i < 0 || st.until != 0 && db.log[i].lsn > st.until {
				break
			}
			st.current, st.next, st.inside = db.log[i], 0, true
		}
		c.Begin(st.current.at)
		for ; st.next < len(st.current.changes); st.next++ {
			if c.Size() >= limit {
				c.Open = true
				return true, nil, nil
			}
			st.deliver(c, &st.current.changes[st.next])
		}
		st.inside = false
		c.Transactions++
		c.CommitTime = st.current.at
		st.advance(st.current.lsn, c)
		got = true
		if c.Size() >= limit || c.Full() || len(c.Reshaped) > 0 || len(c.Passed) > 0 {
			return true, nil, nil
		}
	}
	upto := db.lsn
	if st.until != 0 {
		upto = min(upto, st.until)
	}
	if upto > st.at { // only what nobody carries
		st.advance(upto, c)
		got = true
	}
	return got, db.moved, nil
}

// advance moves to a transaction boundary.
func (st *stream) advance(lsn int, c *penstock.Changes) {
	st.at = lsn
	c.Position = st.capture.position(st.slot, lsn)
	st.pass(c)
}

// pass reports the tables whose join the stream has now passed.
func (st *stream) pass(c *penstock.Changes) (any bool) {
	if st.inside {
		return false
	}
	for id, t := range st.tables {
		if t.join == nil || st.at < t.join.upto {
			continue
		}
		t.join = nil
		if !t.dead {
			c.Passed = append(c.Passed, id)
			any = true
		}
	}
	if any {
		c.Position = st.capture.position(st.slot, st.at)
	}
	return any
}

// deliver adds a change, unless it is not for this stream or was loaded.
func (st *stream) deliver(c *penstock.Changes, ch *change) {
	t := st.tables[ch.shape.ID]
	if t != nil && ch.op >= opAlter {
		st.tell(c, t, ch)
		return
	}
	since, published := st.capture.db.published[st.capture.spec.Integration][ch.shape.ID]
	if t == nil || t.dead || !published || ch.number <= since || t.join != nil && t.join.shows(st.current.xid, st.current.lsn) {
		return
	}
	if ch.op == opTruncate {
		c.Table(t.shape).Truncate()
		return
	}
	if ch.shape.Identity == penstock.IdentityNone && ch.op != penstock.OpInsert {
		return
	}
	if !t.shape.SameShape(ch.shape) {
		t.dead = true
		c.Reshaped = append(c.Reshaped, t.shape.ID)
		return
	}
	tc := c.Table(t.shape)
	switch ch.op {
	case penstock.OpInsert:
		add(tc, penstock.OpInsert, ch.new, nil)
	case penstock.OpDelete:
		add(tc, penstock.OpDelete, identity(t.shape, ch.old), nil)
	case penstock.OpUpdate:
		full := t.shape.Identity == penstock.IdentityFull
		if full || slices.ContainsFunc(t.shape.Key, func(k int) bool { return ch.old[k] != ch.new[k] }) {
			add(tc, penstock.OpOld, identity(t.shape, ch.old), nil)
		}
		add(tc, penstock.OpUpdate, ch.new, func(i int) bool {
			s, ok := ch.new[i].(string)
			return ok && !full && len(s) >= toastLength && ch.old[i] == ch.new[i] && !slices.Contains(t.shape.Key, i)
		})
	}
}

// tell delivers a change of shape.
func (st *stream) tell(c *penstock.Changes, t *streamTable, ch *change) {
	spec := &st.capture.spec
	switch {
	case t.dead:
	case ch.op == opDrop:
		t.dead = true
		c.Drop(t.shape)
	case t.join != nil && t.join.shows(st.current.xid, st.current.lsn):
	case !spec.Filter.Match(spec.Database, ch.shape.Schema, ch.shape.Name):
		t.dead = true
		c.Drop(t.shape)
	case penstock.Alterable(t.shape, ch.shape):
		c.Alter(penstock.Alteration{Old: t.shape, New: ch.shape})
		t.shape = ch.shape
	default:
		t.dead = true
		c.Reshaped = append(c.Reshaped, t.shape.ID)
	}
}

// identity returns what names a row: its key, or all of it.
func identity(shape *penstock.Table, row []any) []any {
	if shape.Identity == penstock.IdentityFull {
		return row
	}
	out := make([]any, len(row))
	for _, k := range shape.Key {
		out[k] = row[k]
	}
	return out
}

// add adds a row; columns for which unchanged is true are not sent.
func add(tc *penstock.TableChanges, op penstock.Op, row []any, unchanged func(int) bool) {
	for i, x := range row {
		if unchanged != nil && unchanged(i) {
			tc.Rows.Vectors[i].AppendUnchanged()
			continue
		}
		if x == Bad {
			tc.BadValues.Count(tc.Table.Columns[i].ID, 1)
		}
		appendValue(&tc.Rows.Vectors[i], x)
	}
	tc.Ops = append(tc.Ops, op)
}
