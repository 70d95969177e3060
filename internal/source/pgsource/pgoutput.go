package pgsource

import (
	"encoding/binary"
	"errors"
	"time"
)

// The pgoutput messages of protocol version 1, see "Logical Replication
// Message Formats" in PostgreSQL's manual. Parsing allocates nothing; slices
// point into the message.

var errShort = errors.New("pgoutput message ends early")

// pgEpoch is 2000-01-01 00:00 UTC in microseconds since 1970.
const pgEpoch = 946684800 * 1_000_000

func pgTime(micros int64) time.Time { return time.UnixMicro(micros + pgEpoch).UTC() }

// lsn is a position in the write-ahead log, in bytes.
type lsn uint64

// wire reads a message from its front; the first read past the end sets bad
// and all reads from then on return zeros.
type wire struct {
	b    []byte
	bad  bool
	rest *rest // what of a large message b has not; nil if b has all of it
}

func (w *wire) take(n int) []byte {
	if n > len(w.b) && w.rest != nil {
		w.b = w.rest.more(w.b, n)
	}
	if n < 0 || n > len(w.b) {
		w.bad, w.b = true, nil
		return nil
	}
	b := w.b[:n:n]
	w.b = w.b[n:]
	return b
}

func (w *wire) byte() byte {
	if b := w.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (w *wire) int16() int16 {
	if b := w.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (w *wire) int32() int32 {
	if b := w.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (w *wire) int64() int64 {
	if b := w.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// left returns how many bytes there are still to be read.
func (w *wire) left() int {
	if w.rest != nil {
		return w.rest.left(w.b)
	}
	return len(w.b)
}

// cstring reads up to a zero byte.
func (w *wire) cstring() string {
	for i, c := range w.b {
		if c == 0 {
			s := string(w.b[:i])
			w.b = w.b[i+1:]
			return s
		}
	}
	w.bad, w.b = true, nil
	return ""
}

func (w *wire) err() error {
	if w.bad {
		return errShort
	}
	return nil
}

// beginMessage starts a transaction.
type beginMessage struct {
	final  lsn // of the commit record
	commit time.Time
	xid    uint32
}

func parseBegin(b []byte) (m beginMessage, err error) {
	w := wire{b: b}
	m.final = lsn(w.int64())
	m.commit = pgTime(w.int64())
	m.xid = uint32(w.int32())
	return m, w.err()
}

// commitMessage ends a transaction.
type commitMessage struct {
	commit lsn // of the commit record
	end    lsn // just after it: where the next transaction may be
	time   time.Time
}

func parseCommit(b []byte) (m commitMessage, err error) {
	w := wire{b: b}
	w.byte() // flags, unused
	m.commit = lsn(w.int64())
	m.end = lsn(w.int64())
	m.time = pgTime(w.int64())
	return m, w.err()
}

// relationMessage describes the shape of the rows of a table that follow.
type relationMessage struct {
	oid          uint32
	schema, name string
	identity     byte // as pg_class.relreplident
	columns      []relationColumn
}

type relationColumn struct {
	key    bool
	name   string
	typ    uint32
	typmod int32
}

func parseRelation(b []byte) (m relationMessage, err error) {
	w := wire{b: b}
	m.oid = uint32(w.int32())
	m.schema = w.cstring()
	if m.schema == "" {
		m.schema = "pg_catalog"
	}
	m.name = w.cstring()
	m.identity = w.byte()
	n := int(w.int16())
	for i := 0; i < n && !w.bad; i++ {
		c := relationColumn{key: w.byte()&1 != 0}
		c.name = w.cstring()
		c.typ = uint32(w.int32())
		c.typmod = w.int32()
		m.columns = append(m.columns, c)
	}
	return m, w.err()
}

// parseTruncate calls f with each truncated table.
func parseTruncate(b []byte, f func(oid uint32)) error {
	w := wire{b: b}
	n := int(w.int32())
	w.byte() // CASCADE, RESTART IDENTITY: the list is complete already
	for i := 0; i < n && !w.bad; i++ {
		if oid := uint32(w.int32()); !w.bad {
			f(oid)
		}
	}
	return w.err()
}

// Kinds of a value in a tuple.
const (
	tupleNull      = 'n'
	tupleUnchanged = 'u'
	tupleText      = 't'
)

// The XLogData and keepalive headers of the streaming protocol.
const (
	copyXLogData  = 'w'
	copyKeepalive = 'k'
	xlogHeader    = 1 + 8 + 8 + 8
)
