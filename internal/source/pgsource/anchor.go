package pgsource

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"penstock"
)

// anchor is the last transaction that a position covers. A server that was put
// back to an older copy of its files, and has written on since, has the same
// identifier, timeline and slot as before, and may well have got beyond the
// position; but it does not have that transaction at that place.
type anchor struct {
	xid        uint32 // 0: none yet, start and end are where the slot began
	start, end lsn    // of the commit record
	at         int64  // when it committed, in microseconds since 1970
}

func (a anchor) String() string {
	return fmt.Sprintf("%d@%X-%X@%d", a.xid, uint64(a.start), uint64(a.end), a.at)
}

func parseAnchor(text string) (a anchor, err error) {
	f := strings.Split(text, "@")
	if len(f) != 3 {
		return a, strconv.ErrSyntax
	}
	from, to, _ := strings.Cut(f[1], "-")
	xid, err1 := strconv.ParseUint(f[0], 10, 32)
	start, err2 := strconv.ParseUint(from, 16, 64)
	end, err3 := strconv.ParseUint(to, 16, 64)
	at, err4 := strconv.ParseInt(f[2], 10, 64)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			return a, err
		}
	}
	return anchor{uint32(xid), lsn(start), lsn(end), at}, nil
}

// holdTo makes sure that the slot's history is the one that the position is a
// place in. given is what the slot has given up, on our word: so much is in
// what we carried, and a copy of the server that has such a slot has it too. If
// that includes the anchor, then all that we carried is there; else the server
// must have the anchor. Either way the stream has to go on from the anchor and
// not from the position: what a copy has written since is also before that.
func (c *capture) holdTo(ctx context.Context, p position, given lsn, lost func(string, ...any) error) error {
	if p.anchor == (anchor{}) || given >= p.anchor.end {
		return nil // none is known if the position was stored by an older version
	}
	err := c.findAnchor(ctx, p, given, lost)
	if err == nil || penstock.KindOf(err) != penstock.KindPositionLost {
		return err
	}
	// The slot may have heard only now, from the stream before this one, that
	// the anchor is durable. Then it does not deliver it any more.
	if given, e := c.givenUp(ctx, p.slot); e == nil && given >= p.anchor.end {
		return nil
	}
	return err
}

// givenUp returns what a slot has given up.
func (c *capture) givenUp(ctx context.Context, slot string) (lsn, error) {
	conn, err := c.conn(ctx)
	if err != nil {
		return 0, err
	}
	var text string
	if err := conn.QueryRow(ctx, `SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1`, slot).Scan(&text); err != nil {
		return 0, err
	}
	return parseLSN(text)
}

// resume is where the server is to begin: nothing that is to be delivered is
// before it, and nothing between it and lsn is in the history that was carried.
func (p position) resume() lsn {
	if p.anchor == (anchor{}) {
		return p.lsn
	}
	return min(p.lsn, p.anchor.end)
}

// findAnchor reads the first transaction that the slot has from the anchor's
// place on: it must be the anchor.
func (c *capture) findAnchor(ctx context.Context, p position, given lsn, lost func(string, ...any) error) error {
	pc, err := c.source.connectReplication(ctx, c.spec.Database)
	if err != nil {
		return err
	}
	every, err := feedbackInterval(ctx, pc)
	if err != nil {
		pc.Close(context.WithoutCancel(ctx))
		return classify(err, "look up wal_sender_timeout on "+c.where())
	}
	from := p
	from.lsn, from.anchor = p.anchor.start, anchor{}
	conn, f, err := c.startReplication(ctx, pc, from)
	if err != nil {
		return err
	}
	feedback := startFeedback(conn, given, every)
	defer f.close()
	defer feedback.close()
	stop := f.watch(ctx)
	defer stop()
	defer feedback.listen()()
	for {
		kind, body, ok, err := f.next()
		switch {
		case err != nil:
		case !ok:
			err = f.fill(ctx, false)
		case kind == 'E':
			err = serverError(body)
		case kind == 'd':
			feedback.hear()
			found, passed, e := anchorIn(body, p.anchor)
			switch {
			case found:
				return nil
			case passed:
				return lost("the server does not have transaction %d of %s, which has been carried from it: it was restored from an older state",
					p.anchor.xid, time.UnixMicro(p.anchor.at).UTC().Format(time.RFC3339))
			}
			err = e
		case kind != 'N' && kind != 'S':
			err = errMessage
		}
		if err != nil {
			err = classify(feedback.cause(err), "look for the last transaction on "+c.where())
			if f.inProgress {
				err = c.undecodedInProgress(err)
			}
			return err
		}
	}
}

// anchorIn looks at a message of the stream: is it the anchor, or is it
// beyond where the anchor would be?
func anchorIn(body []byte, a anchor) (found, passed bool, err error) {
	w := wire{b: body[min(1, len(body)):]}
	switch {
	case len(body) > xlogHeader && body[0] == copyXLogData:
		b := body[xlogHeader:]
		var seen anchor
		switch b[0] {
		case 'B':
			m, err := parseBegin(b[1:])
			// Where a transaction ends is told only at its end.
			seen = anchor{m.xid, m.final, a.end, m.commit.UnixMicro()}
			return seen == a, seen != a, err
		case 'c':
			w := wire{b: b[1:]}
			xid := uint32(w.int32())
			m, err := parseCommit(w.b)
			seen = anchor{xid, m.commit, m.end, m.time.UnixMicro()}
			return seen == a, seen != a, err
		}
		return false, false, nil
	case len(body) > 0 && body[0] == copyKeepalive:
		end := lsn(w.int64())
		return false, end > a.end, w.err()
	}
	return false, false, errShort
}
