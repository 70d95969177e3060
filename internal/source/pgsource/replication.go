package pgsource

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"penstock"
)

// connectReplication opens a connection to a walsender.
func (s *Source) connectReplication(ctx context.Context, database string) (*pgconn.PgConn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	cfg := s.config(database).Config
	cfg.RuntimeParams["replication"] = "database"
	conn, err := pgconn.ConnectConfig(ctx, &cfg)
	if err != nil {
		return nil, classify(err, "connect for replication to "+s.at(database))
	}
	if err := applySettings(ctx, conn); err != nil {
		conn.Close(context.WithoutCancel(ctx))
		return nil, classify(err, "set up replication on "+s.at(database))
	}
	return conn, nil
}

// walEnd returns where the WAL of a primary ends, 0 if the server does not say so.
func walEnd(ctx context.Context, pc *pgconn.PgConn) (lsn, error) {
	results, err := pc.Exec(ctx, "IDENTIFY_SYSTEM").ReadAll()
	if declined(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) < 3 {
		return 0, nil
	}
	end, err := parseLSN(string(results[0].Rows[0][2]))
	if err != nil {
		return 0, nil
	}
	return end, nil
}

// startTimeout bounds how long the server may take to begin to stream.
const startTimeout = time.Minute

// startReplication sends START_REPLICATION and returns the connection, which
// it takes over from pc, once the server streams. A slot that a dead predecessor of ours still holds is
// waited for, some seconds.
func (c *capture) startReplication(ctx context.Context, pc *pgconn.PgConn, p position) (net.Conn, *feed, error) {
	whole, err := c.source.whole.wanted(ctx, pc, c.spec.Database, p.resume())
	if err != nil {
		pc.Close(context.WithoutCancel(ctx))
		return nil, nil, classify(err, "look up where the WAL ends on "+c.where())
	}
	inProgress := !whole && c.inProgress(serverMajor(pc))
	options := c.outputOptions(serverMajor(pc), inProgress)
	// On a slow machine the driver may be reading in the background still, and
	// would take the server's answer away.
	if err := pc.SyncConn(ctx); err != nil {
		return nil, nil, classify(err, "take over the connection to "+c.where())
	}
	hijacked, err := pc.Hijack()
	if err != nil {
		return nil, nil, classify(err, "take over the connection to "+c.where())
	}
	conn := hijacked.Conn
	var names []string
	for _, n := range c.publicationNames() {
		names = append(names, strings.ReplaceAll(quote(n), "'", "''"))
	}
	command := fmt.Sprintf(`START_REPLICATION SLOT %s LOGICAL %s (%s, publication_names '%s')`, quote(p.slot), p.resume(), options, strings.Join(names, ","))
	f := newFeed(conn)
	f.inProgress = inProgress
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	stop := f.watch(ctx)
	defer stop()
	err = retryLocked(ctx, func() error { return sendStart(ctx, f, command) })
	if err != nil {
		f.close()
		return nil, nil, classify(err, fmt.Sprintf("stream from slot %s on %s", p.slot, c.where()))
	}
	return conn, f, nil
}

// sendStart sends the command and reads the answer: the start of a copy, or an
// error followed by readiness for another command.
func sendStart(ctx context.Context, f *feed, command string) error {
	message, err := (&pgproto3.Query{String: command}).Encode(nil)
	if err != nil {
		return err
	}
	if _, err := f.conn.Write(message); err != nil {
		return err
	}
	var failure error
	for {
		kind, body, ok, err := f.next()
		switch {
		case err != nil:
			return err
		case !ok:
			if err := f.fill(ctx, false); err != nil {
				return err
			}
		case kind == 'W': // CopyBothResponse
			return nil
		case kind == 'E':
			failure = serverError(body)
		case kind == 'Z' && failure != nil:
			return failure
		}
	}
}

func serverError(body []byte) error {
	var e pgproto3.ErrorResponse
	if err := e.Decode(body); err != nil {
		return err
	}
	return pgconn.ErrorResponseToPgError(&e)
}

// feedback tells the server, from a goroutine of its own, what is durable at
// the target, so that it is answered however long the target takes.
type feedback struct {
	conn  net.Conn
	every time.Duration
	acked atomic.Uint64
	heard atomic.Int64 // unix nanoseconds of the last message
	// listening is set while somebody waits for messages. While the target is
	// busy nobody does, and what the server says stays unread.
	listening atomic.Bool
	now       chan struct{}
	asked     atomic.Bool // the next status asks the server to say where it is
	stop      chan struct{}
	once      sync.Once
	done      chan struct{}
	err       atomic.Pointer[error]
}

const (
	// feedbackEvery is how often the server hears from us at least, or more
	// often if its wal_sender_timeout, a minute by default, is short.
	feedbackEvery = 5 * time.Second
	// silence is how long the server may say nothing, having been asked,
	// before the connection counts as broken.
	silence = 45 * time.Second
)

// feedbackInterval returns how often the server has to hear from us. It ends
// the connection if it has not for wal_sender_timeout, also while it waits for
// us to read.
func feedbackInterval(ctx context.Context, pc *pgconn.PgConn) (time.Duration, error) {
	results, err := pc.Exec(ctx, `SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'`).ReadAll()
	if err != nil {
		return 0, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return 0, errMessage
	}
	ms, err := strconv.Atoi(string(results[0].Rows[0][0]))
	if err != nil || ms == 0 { // 0: it waits for ever
		return feedbackEvery, err
	}
	return min(time.Duration(ms)*time.Millisecond/4, feedbackEvery), nil
}

func startFeedback(conn net.Conn, from lsn, every time.Duration) *feedback {
	f := &feedback{conn: conn, every: every, now: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	f.acked.Store(uint64(from))
	f.hear()
	go f.run()
	return f
}

func (f *feedback) hear() { f.heard.Store(time.Now().UnixNano()) }

// listen takes note that somebody waits for messages, until done is called.
func (f *feedback) listen() (done func()) {
	f.hear()
	f.listening.Store(true)
	return func() { f.listening.Store(false) }
}

// quiet returns for how long the server has kept somebody waiting.
func (f *feedback) quiet() time.Duration {
	if !f.listening.Load() {
		return 0
	}
	return time.Since(time.Unix(0, f.heard.Load()))
}

// soon has a status sent without waiting for the next turn.
func (f *feedback) soon() {
	select {
	case f.now <- struct{}{}:
	default:
	}
}

// ask has a status sent at once that the server answers with how far it is.
func (f *feedback) ask() {
	f.asked.Store(true)
	f.soon()
}

func (f *feedback) run() {
	defer close(f.done)
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	for {
		ask := false
		select {
		case <-f.stop:
			f.send(false)
			return
		case <-f.now:
			ask = f.asked.Swap(false)
		case <-tick.C:
			quiet := f.quiet()
			ask = quiet > 2*feedbackEvery
			if quiet > silence {
				f.fail(penstock.Errorf(penstock.KindUnreachable, "the server has said nothing for %s", silence))
				return
			}
		}
		if err := f.send(ask); err != nil {
			f.fail(err)
			return
		}
	}
}

// fail makes the reader fail too.
func (f *feedback) fail(err error) {
	f.err.CompareAndSwap(nil, &err)
	f.conn.Close()
}

// send writes a standby status update.
func (f *feedback) send(ask bool) error {
	const length = 4 + 1 + 8*4 + 1
	b := make([]byte, 0, 1+length)
	b = append(b, 'd')
	b = binary.BigEndian.AppendUint32(b, length)
	b = append(b, 'r')
	for range 3 { // written, flushed, applied
		b = binary.BigEndian.AppendUint64(b, f.acked.Load())
	}
	b = binary.BigEndian.AppendUint64(b, uint64(time.Now().UnixMicro()-pgEpoch))
	reply := byte(0)
	if ask {
		reply = 1
	}
	b = append(b, reply)
	f.conn.SetWriteDeadline(time.Now().Add(silence))
	_, err := f.conn.Write(b)
	return err
}

// close sends a last status and ends the goroutine.
func (f *feedback) close() {
	f.once.Do(func() { close(f.stop) })
	f.conn.SetWriteDeadline(time.Now().Add(time.Second))
	<-f.done
}

// cause returns why the feedback ended, if that is why reading failed.
func (f *feedback) cause(err error) error {
	if p := f.err.Load(); p != nil && !errors.Is(err, context.Canceled) {
		return *p
	}
	return err
}
