package pgsource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"penstock"
	"penstock/internal/failpoint"
)

// Transactions that the server sends while they are in progress, because they
// are larger than its logical_decoding_work_mem: version 2 of pgoutput's
// protocol. They come in blocks, interleaved with others, and most messages
// of a block begin with the number of the (sub)transaction that they are of.
// They are kept as they came (spool.go) until the transaction commits, and are
// then handled as if they came at that moment, between Begin and Commit.
//
// So nothing else knows of it; in particular, whether a snapshot shows such a
// transaction is decided when its commit record's position is known.

// streamedSince is the server version that has protocol version 2.
const streamedSince = 14

// messagesSince is the first version that sends what is written into the WAL by
// pg_logical_emit_message.
const messagesSince = 14

// inProgress reports whether transactions may come before they have committed.
func (c *capture) inProgress(major int) bool { return major >= streamedSince && c.spec.Spill != nil }

// outputOptions are the options of pgoutput that say how transactions come,
// and whether what our event trigger says does.
func (c *capture) outputOptions(major int, inProgress bool) string {
	options := `proto_version '1'`
	if inProgress {
		options = `proto_version '2', streaming 'on'`
	}
	if c.told.Load() && major >= messagesSince {
		options += `, messages 'true'`
	}
	return options
}

// received handles a message as the server sent it.
func (s *stream) received(ctx context.Context, b []byte, c *penstock.Changes) (event bool, err error) {
	if s.block != nil {
		return false, s.inBlock(b)
	}
	switch b[0] {
	case 'S':
		return false, s.startBlock(b[1:])
	case 'A':
		return false, s.abortStreamed(b[1:])
	case 'c':
		return false, s.commitStreamed(b[1:], c)
	}
	return s.change(ctx, b, c)
}

// startBlock begins a block of messages of one transaction.
func (s *stream) startBlock(b []byte) error {
	w := wire{b: b}
	xid, first := uint32(w.int32()), w.byte() != 0
	t := s.spools.open[xid]
	if w.bad || s.inTx || s.spools.spill == nil || first != (t == nil) {
		return fmt.Errorf("%w: a block of transaction %d", errMessage, xid)
	}
	if first {
		t = &spool{xid: xid}
		s.spools.open[xid] = t
	}
	s.block = t
	return nil
}

// inBlock keeps a message, or ends the block.
func (s *stream) inBlock(b []byte) error {
	switch b[0] {
	case 'E':
		s.block = nil
		return nil
	case 'O', 'Y': // origins and types, see change
		return nil
	case 'I', 'U', 'D', 'T', 'R', 'M':
	default:
		return fmt.Errorf("%w: %q in a block of transaction %d", errMessage, b[0], s.block.xid)
	}
	w := wire{b: b[1:]}
	xid := uint32(w.int32())
	if w.bad {
		return errShort
	}
	return s.spools.add(s.block, xid, b[:1], w.b)
}

// abortStreamed takes note of a transaction that was rolled back, or of a
// subtransaction.
func (s *stream) abortStreamed(b []byte) error {
	w := wire{b: b}
	xid, sub := uint32(w.int32()), uint32(w.int32())
	t := s.spools.open[xid]
	switch {
	case w.bad || s.inTx:
		return fmt.Errorf("%w: the rollback of transaction %d", errMessage, xid)
	case t == nil:
		// PostgreSQL 18 also tells of what it has found to be rolled back
		// before it sent any of it.
	case sub == xid:
		s.spools.remove(t)
	default:
		t.aborted = append(t.aborted, sub)
	}
	return nil
}

// commitStreamed begins to deliver a transaction that has been kept.
func (s *stream) commitStreamed(b []byte, c *penstock.Changes) error {
	w := wire{b: b}
	xid := uint32(w.int32())
	m, err := parseCommit(w.b)
	t := s.spools.open[xid]
	if err != nil || w.bad || t == nil || s.inTx {
		return fmt.Errorf("%w: the commit of transaction %d", errMessage, xid)
	}
	if err := failpoint.Here(failpoint.SourceBeforeReplay); err != nil {
		return err
	}
	s.replay = &replay{spoolReader: newSpoolReader(t), end: m.end, time: m.time}
	s.announced(beginMessage{final: m.commit, commit: m.time, xid: xid}, c)
	return nil
}

// replay delivers a transaction that has been kept.
type replay struct {
	*spoolReader
	end  lsn
	time time.Time
}

// replayed handles the next message of the transaction that is delivered, or
// its end.
func (s *stream) replayed(ctx context.Context, c *penstock.Changes) (event bool, err error) {
	m, err := s.replay.next()
	if errors.Is(err, io.EOF) {
		r := s.replay
		s.spools.remove(r.spool)
		s.replay = nil
		s.commit(r.end, r.time, c)
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if n, ok := s.replay.large(); m == nil && ok {
		return s.replayLarge(ctx, n, c)
	}
	return s.change(ctx, m, c)
}
