package pgsource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"penstock"
)

// stream implements penstock.Stream.
type stream struct {
	capture  *capture
	feed     *feed
	feedback *feedback
	lane     *penstock.Lane // none for what follows a load: it takes turns with the stream, which may be in the lane
	types    *typeCache     // its own: the capture's is in use elsewhere meanwhile

	position position // the last boundary delivered
	moved    bool     // since the running Next began; it tells so at its end
	tables   map[uint32]*streamTable
	joining  []*streamTable // those with a join not passed yet
	waiting  []*streamTable // those with rows that wait for computed columns
	computer computer

	spools spools
	block  *spool     // while the server sends a part of a transaction in progress
	replay *replay    // while one of them is delivered
	use    sync.Mutex // held by Next, and by who closes the spools

	closing context.Context // ends with Close
	close   context.CancelFunc

	backlog lsn // where history ended when the stream was opened

	until  atomic.Uint64 // the bound that Until has set; 0 if there is none
	plain  atomic.Bool   // the bound has no anchor
	barely lsn           // the bound at which the position has been told without one
	held   bool          // the bound keeps a transaction from being begun
	ahead  beginMessage  // that one

	inTx      bool
	content   bool   // the transaction has changes or messages
	ours      bool   // the transaction is one of our own, see mark
	split     bool   // a part of the transaction was delivered by an earlier Next
	tx        uint64 // counts transactions, to know what was decided for which
	xid       uint32
	final     lsn            // of the transaction's commit record
	committed time.Time      // its time
	filled    int            // bytes added since Next was called, by the wire
	sent      []*streamTable // see streamTable.sent

	replaced  replaced     // tables that the transaction drops
	described *streamTable // by the message before this one
	parted    *streamTable // a row of it comes next that is in a partition not known, see relation
}

// streamTable is a table as the stream delivers it.
type streamTable struct {
	table *penstock.Table
	plan  []planColumn // per column of the last Relation message

	computing *computing // for generated columns that the stream does not have; nil if there are none

	mismatch bool // the last Relation message does not fit the table
	dead     bool // reported in Reshaped or Dropped: no more rows of it
	gone     bool // reported in Dropped
	rewrite  rewrite
	// sent: rows of it have been delivered with earlier parts of the
	// transaction, or together with one of them.
	sent bool

	width int    // bytes that a row takes whatever its values are
	began uint64 // the last transaction with rows of it
	from  int    // the first of them, if that transaction is not split

	join    *snapshot // until the stream has passed it
	decided uint64    // the transaction for which hidden holds
	hidden  bool      // the snapshot shows that transaction already
}

// planColumn says where a value of a tuple goes.
type planColumn struct {
	column int // index into Table.Columns
	decode decode
	form   form
	base   int // index into computing.bases, or noBase
}

// Stream implements penstock.Capture.
func (c *capture) Stream(ctx context.Context, from penstock.Position, tables []penstock.Table, joins map[penstock.TableID]penstock.Snapshot) (penstock.Stream, error) {
	p, err := decodePosition(from)
	if err != nil {
		return nil, err
	}
	s, err := c.newStream(p, tables, joins)
	if err != nil {
		return nil, err
	}
	s.lane = c.spec.Lane
	pc, err := c.source.connectReplication(ctx, c.spec.Database)
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx, pc); err != nil {
		return nil, err
	}
	return s, nil
}

// newStream returns a stream that is not connected yet.
func (c *capture) newStream(from position, tables []penstock.Table, joins map[penstock.TableID]penstock.Snapshot) (*stream, error) {
	s := &stream{capture: c, position: from, types: c.types.forStream(), tables: make(map[uint32]*streamTable, len(tables)), spools: newSpools(c.spec.Spill)}
	s.closing, s.close = context.WithCancel(context.Background())
	for i := range tables {
		t := &streamTable{table: &tables[i], width: rowWidth(&tables[i])}
		oid, err := tableOID(tables[i].ID)
		if err != nil {
			return nil, err
		}
		if j, ok := joins[tables[i].ID]; ok {
			snap, err := decodeSnapshot(j)
			if err != nil {
				return nil, penstock.Errorf(penstock.KindInternal, "snapshot of table %s: %w", t.table, err)
			}
			t.join = &snap
			s.joining = append(s.joining, t)
		}
		s.tables[oid] = t
	}
	return s, nil
}

// farBehind is how much WAL, in bytes, there is at least between a stream and where
// it ended if the stream is behind: some tenths of a second's work.
const farBehind = 16 << 20

// start opens the stream on a replication connection, which it takes over.
func (s *stream) start(ctx context.Context, pc *pgconn.PgConn) error {
	every, err := feedbackInterval(ctx, pc)
	if err != nil {
		pc.Close(context.WithoutCancel(ctx))
		return classify(err, "look up wal_sender_timeout on "+s.capture.where())
	}
	if s.backlog, err = walEnd(ctx, pc); err != nil {
		pc.Close(context.WithoutCancel(ctx))
		return classify(err, "look up where the WAL ends on "+s.capture.where())
	}
	conn, f, err := s.capture.startReplication(ctx, pc, s.position)
	if err != nil {
		return err
	}
	s.feed = f
	s.feedback = startFeedback(conn, s.position.lsn, every)
	return nil
}

// Wake implements penstock.Stream.
func (s *stream) Wake() { s.feed.wake() }

// Ack implements penstock.Stream.
func (s *stream) Ack(at penstock.Position) {
	p, err := decodePosition(at)
	if err != nil || uint64(p.lsn) <= s.feedback.acked.Load() {
		return
	}
	s.feedback.acked.Store(uint64(p.lsn))
	s.feedback.soon()
}

// Close implements penstock.Stream.
func (s *stream) Close() error {
	s.close()
	defer s.computer.close()
	s.feedback.close()
	err := s.feed.close()
	s.release()
	return err
}

// release removes what is kept on disk once the stream is closed and no Next
// runs any more.
func (s *stream) release() {
	if closed, _ := s.feed.stopped(); closed && s.use.TryLock() {
		s.spools.close()
		s.use.Unlock()
	}
}

// Next implements penstock.Stream.
func (s *stream) Next(ctx context.Context, c *penstock.Changes, limit int) (err error) {
	s.use.Lock()
	defer s.release()
	defer s.use.Unlock()
	defer func() {
		s.tell(c)
		c.Behind = s.position.lsn+farBehind < s.backlog
		if err == nil {
			err = s.finishRows(ctx, c)
		}
	}()
	stop := s.feed.watch(ctx)
	defer stop()
	defer s.feedback.listen()()
	defer s.shrink()
	s.filled = c.Size()
	s.split = s.inTx
	c.Open = false
	if s.inTx {
		c.Begin(s.committed)
	} else {
		for _, t := range s.sent {
			t.sent = false
		}
		s.sent = s.sent[:0]
	}
	if s.pass(c) {
		return nil // before anything else, as Passed is not for the middle of a transaction
	}
	got := false
	for {
		if !s.inTx && s.bounded(c, &got) {
			if got {
				return nil
			}
			return s.broken(ctx, s.pause())
		}
		event, err := s.step(ctx, c, got && !s.inTx)
		got = got || event
		if errors.Is(err, errFull) {
			c.Open = true
			s.noteSent(c)
			return nil
		}
		if err != nil {
			return s.broken(ctx, err)
		}
		if s.inTx && s.filled >= limit {
			c.Open = true
			s.noteSent(c)
			return nil
		}
		if !s.inTx && got && (s.filled >= limit || c.Full() || len(c.Reshaped) > 0 || len(c.Passed) > 0) {
			return nil
		}
	}
}

// shrink gives large buffers back.
func (s *stream) shrink() {
	s.feed.shrink()
	if s.replay != nil {
		s.replay.shrink()
	}
}

// broken returns what Next returns when it could not read on: nothing, if it
// was woken.
func (s *stream) broken(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, errWoken):
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	err = classify(s.feedback.cause(err), "read the stream of "+s.capture.where())
	if s.feed.inProgress {
		return s.capture.undecodedInProgress(err)
	}
	return s.cannotDecode(err)
}

// step handles one message, kept or of the server, or receives more of them.
// It does not wait for them if there have been enough, and says errWoken then.
func (s *stream) step(ctx context.Context, c *penstock.Changes, enough bool) (event bool, err error) {
	if s.inTx && s.replay != nil {
		if _, err := s.feed.stopped(); err != nil {
			return false, err
		}
		return s.replayed(ctx, c)
	}
	kind, body, ok, err := s.feed.next()
	switch {
	case err != nil:
		return false, err
	case ok:
		return s.message(ctx, kind, body, c)
	case enough:
		return false, errWoken
	}
	if n, ok := s.feed.large(); ok {
		return s.receiveLarge(ctx, n, c)
	}
	if err := s.feed.fill(ctx, !s.inTx); err != nil {
		return false, err
	}
	s.feedback.hear()
	return false, nil
}

// noteSent takes note of the tables that have rows in what is delivered.
func (s *stream) noteSent(c *penstock.Changes) {
	for _, tc := range c.Tables {
		oid, err := tableOID(tc.Table.ID)
		if t := s.tables[oid]; err == nil && t != nil && !t.sent {
			t.sent = true
			s.sent = append(s.sent, t)
		}
	}
}

// message handles one message of the server. event is true if a caller of
// Next may want to know.
func (s *stream) message(ctx context.Context, kind byte, body []byte, c *penstock.Changes) (event bool, err error) {
	switch kind {
	case 'd':
	case 'E':
		return false, serverError(body)
	case 'N', 'S': // notices and parameters
		return false, nil
	case 'c', 'C', 'Z': // the server shuts down and ends the copy
		return false, penstock.Errorf(penstock.KindUnreachable, "the server ended the stream")
	default:
		return false, errMessage
	}
	if len(body) == 0 {
		return false, errShort
	}
	switch body[0] {
	case copyXLogData:
		if len(body) < xlogHeader+1 {
			return false, errShort
		}
		return s.received(ctx, body[xlogHeader:], c)
	case copyKeepalive:
		w := wire{b: body[1:]}
		end := lsn(w.int64())
		w.int64() // the server's clock
		if w.byte() != 0 {
			s.feedback.soon()
		}
		if bound := lsn(s.until.Load()); bound != 0 {
			end = min(end, bound)
		}
		if w.bad || s.inTx || end <= s.position.lsn {
			return false, w.err()
		}
		s.advance(end, c)
		return true, nil
	}
	return false, errMessage
}

// advance moves to a transaction boundary.
func (s *stream) advance(to lsn, c *penstock.Changes) {
	if to > s.position.lsn {
		s.position.lsn = to
	}
	s.moved = true
	s.pass(c)
}

// tell tells the position once for all transactions of a Next.
func (s *stream) tell(c *penstock.Changes) {
	if s.moved {
		s.moved, c.Position = false, s.at()
	}
}

// at is the position as others know it. They compare positions by their text,
// and who has set a bound without an anchor cannot know the stream's.
func (s *stream) at() penstock.Position {
	p := s.position
	if s.plain.Load() && p.lsn == lsn(s.until.Load()) {
		p.anchor = anchor{}
	}
	return p.encode()
}

// pass reports the tables whose join the stream has now passed. Those that
// are dead by then miss rows, so they are not complete.
func (s *stream) pass(c *penstock.Changes) (any bool) {
	if len(s.joining) == 0 {
		return false
	}
	s.joining = slices.DeleteFunc(s.joining, func(t *streamTable) bool {
		if s.position.lsn < t.join.upto {
			return false
		}
		t.join = nil
		if !t.dead {
			c.Passed = append(c.Passed, t.table.ID)
			any = true
		}
		return true
	})
	s.moved = s.moved || any
	return any
}

// change handles one pgoutput message.
func (s *stream) change(ctx context.Context, b []byte, c *penstock.Changes) (event bool, err error) {
	s.filled += len(b)
	described := s.described
	switch b[0] {
	case 'I', 'U', 'D', 'T', 'M':
		s.content = true
	}
	if b[0] != 'O' && b[0] != 'Y' {
		s.described = nil
	}
	switch b[0] {
	case 'I', 'U', 'D':
		return false, s.row(&wire{b: b}, c)
	case 'B':
		m, err := parseBegin(b[1:])
		s.announced(m, c)
		return false, err
	case 'C':
		m, err := parseCommit(b[1:])
		if err != nil {
			return false, err
		}
		s.commit(m.end, m.time, c)
		return true, nil
	case 'R':
		if err := s.finishRows(ctx, c); err != nil {
			return false, err
		}
		return false, s.relation(ctx, b[1:], described)
	case 'T':
		s.parted = nil
		if err := s.finishRows(ctx, c); err != nil {
			return false, err
		}
		return false, parseTruncate(b[1:], func(oid uint32) {
			if t := s.tables[oid]; t != nil && s.delivers(t) {
				tc := c.Table(t.table)
				tc.Truncate()
				t.began, t.from = s.tx, len(tc.Ops)
			}
		})
	case 'M':
		if err := s.finishRows(ctx, c); err != nil { // what is told may be a row too: that the table is empty
			return false, err
		}
		return false, s.told(b[1:], c)
	case 'O', 'Y': // origins and types
		return false, nil
	}
	return false, fmt.Errorf("pgoutput message %q is not known", b[0])
}

// commit ends the transaction.
func (s *stream) commit(end lsn, at time.Time, c *penstock.Changes) {
	s.replaced.commit(s, c)
	s.inTx = false
	// One without content may come while it is in progress, and not again.
	if s.content {
		s.position.anchor = anchor{s.xid, s.final, end, at.UnixMicro()}
	}
	if !s.content && end <= s.position.lsn {
		return // it has come before, see resume
	}
	if !s.ours {
		c.Transactions++
	}
	c.CommitTime = at
	s.advance(end, c)
}

// delivers reports whether the current transaction's changes to a table are to
// be delivered, or are in its loaded rows already.
func (s *stream) delivers(t *streamTable) bool {
	if t.dead {
		return false
	}
	if t.join == nil {
		return true
	}
	if t.decided != s.tx {
		t.decided, t.hidden = s.tx, t.join.shows(s.xid, s.final)
	}
	return !t.hidden
}
