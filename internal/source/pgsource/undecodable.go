package pgsource

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"penstock"
)

// When the server says the same at the same place this often and for this long,
// it will do so for ever.
const (
	undecodableTimes = 5
	undecodableFor   = 5 * time.Second
)

// undecodable notices history that the server keeps and cannot decode. Such a
// thing is a fault of the server ("could not map filenode … to relation OID" and
// its like, SQLSTATE XX000), of a type's output function, or damage on its disk.
// It would say so at every attempt, keep ever more WAL for us, and no row would
// come any more. It remembers across streams, by slot. The zero value is ready.
type undecodable struct {
	mu    sync.Mutex
	slots map[string]obstacle
	now   func() time.Time // for tests; nil is time.Now
}

// obstacle is what a stream could not get past.
type obstacle struct {
	text  string
	at    lsn // how far the stream had come
	times int
	since time.Time
}

// note takes note of an error of the server that ended a stream of a slot,
// which had come to at. It returns the obstacle if that is one by now.
func (u *undecodable) note(slot string, at lsn, text string) (obstacle, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if u.now != nil {
		now = u.now()
	}
	o := u.slots[slot]
	if o.text != text || at > o.at {
		o = obstacle{text: text, since: now}
	}
	o.at = max(o.at, at)
	o.times++
	if u.slots == nil {
		u.slots = map[string]obstacle{}
	}
	u.slots[slot] = o
	return o, o.times >= undecodableTimes && now.Sub(o.since) >= undecodableFor
}

// forget forgets a slot that is not used any more.
func (u *undecodable) forget(slot string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.slots, slot)
}

// cannotDecode says whether an error with which a stream ended is one that will
// not go away: then it is one of KindPositionLost, and err as it is else. What
// the server says of a connection, a right or its load is not about history.
func (s *stream) cannotDecode(err error) error {
	var server *pgconn.PgError
	if !errors.As(err, &server) || penstock.KindOf(err) != penstock.KindInternal {
		return err
	}
	o, stuck := s.capture.source.undecodable.note(s.position.slot, s.position.lsn, server.Message)
	if !stuck {
		return err
	}
	s.capture.source.undecodable.forget(s.position.slot)
	return &penstock.Error{Kind: penstock.KindPositionLost, Op: "read on from " + s.position.lsn.String() + " on " + s.capture.where(),
		Message: fmt.Sprintf("the server cannot decode what follows, %d times since %s", o.times, o.since.UTC().Format(time.TimeOnly)),
		Err:     inPlainWords(server)}
}
