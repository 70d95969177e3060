package pgsource

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"penstock"
	"penstock/internal/failpoint"
)

// spool holds what the server has sent of one transaction that has not ended:
// pgoutput messages one after the other, first those in the file, then those
// in memory. Each is preceded by the number of the (sub)transaction that it is
// of, and its length.
type spool struct {
	xid     uint32
	file    penstock.SpillFile // nil until memory was short
	tail    []byte
	aborted []uint32 // subtransactions that were rolled back; their messages stay and are left out
}

const (
	spoolHeader = 4 + 4
	spoolMemory = 4 << 20
	spoolBlock  = 512 << 10
)

// spools are the transactions in progress of one stream.
type spools struct {
	spill  penstock.Spill
	memory int // what all tails may take together
	block  int // how much is written at a time at the most, and mostly
	open   map[uint32]*spool
	held   int // bytes in tails
}

func newSpools(spill penstock.Spill) spools {
	return spools{spill: spill, memory: spoolMemory, block: spoolBlock, open: map[uint32]*spool{}}
}

// add appends a message of a (sub)transaction, in parts, to a spool.
func (s *spools) add(t *spool, xid uint32, parts ...[]byte) error {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if err := s.begin(t, xid, size); err != nil {
		return err
	}
	for _, p := range parts {
		if err := s.write(t, p); err != nil {
			return err
		}
	}
	return nil
}

// begin begins a message of a spool; who calls it writes what it has.
func (s *spools) begin(t *spool, xid uint32, size int) error {
	// What is larger than memory may be goes to the file block by block.
	for s.held+spoolHeader+size > s.memory && (t.file == nil || s.held > 0) {
		if err := s.relieve(t); err != nil {
			return err
		}
	}
	var head [spoolHeader]byte
	binary.BigEndian.PutUint32(head[:], xid)
	binary.BigEndian.PutUint32(head[4:], uint32(size))
	return s.write(t, head[:])
}

func (s *spools) write(t *spool, b []byte) error {
	for len(b) > 0 {
		n := len(b)
		if t.file != nil {
			n = min(n, s.block-len(t.tail))
		}
		t.tail = append(t.tail, b[:n]...)
		s.held += n
		b = b[n:]
		if t.file != nil && len(t.tail) >= s.block {
			if err := s.flush(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// relieve moves to its file what the largest spool holds in memory. If none
// holds any, t gets a file.
func (s *spools) relieve(t *spool) error {
	largest := t
	for _, o := range s.open {
		if len(o.tail) > len(largest.tail) {
			largest = o
		}
	}
	if err := s.flush(largest); err != nil {
		return err
	}
	if cap(largest.tail) > s.block || largest != t {
		largest.tail = nil
	}
	return nil
}

func (s *spools) flush(t *spool) error {
	if err := failpoint.Here(failpoint.SourceBeforeSpill); err != nil {
		return err
	}
	if t.file == nil {
		f, err := s.spill.Create()
		if err != nil {
			return err
		}
		t.file = f
	}
	for block := range slices.Chunk(t.tail, s.block) {
		if err := t.file.Append(block); err != nil {
			return err
		}
	}
	s.held -= len(t.tail)
	t.tail = t.tail[:0]
	return nil
}

// remove forgets a transaction.
func (s *spools) remove(t *spool) {
	delete(s.open, t.xid)
	s.held -= len(t.tail)
	t.tail = nil
	if t.file != nil {
		t.file.Close()
	}
}

func (s *spools) close() {
	for _, t := range s.open {
		s.remove(t)
	}
}

// spoolReader returns the messages of a spool that is complete.
type spoolReader struct {
	spool *spool
	tail  []byte // of the spool, until it has been taken
	buf   []byte
	r     int // buf[r:] has not been returned yet
}

func newSpoolReader(t *spool) *spoolReader {
	slices.Sort(t.aborted)
	return &spoolReader{spool: t, tail: t.tail}
}

// next returns the next message that was not rolled back, or io.EOF. It is
// valid until the next call. A large one it leaves to large, and returns nil.
func (r *spoolReader) next() ([]byte, error) {
	for {
		if err := r.need(spoolHeader); err != nil {
			if errors.Is(err, io.EOF) && r.r == len(r.buf) {
				return nil, io.EOF
			}
			return nil, r.cut(err)
		}
		xid, size := r.head()
		_, gone := slices.BinarySearch(r.spool.aborted, xid)
		if n, large := r.large(); large {
			if !gone {
				return nil, nil
			}
			m := r.openLarge(n)
			if err := m.finish(&wire{rest: m}, nil); err != nil {
				return nil, err
			}
			continue
		}
		if err := r.need(spoolHeader + size); err != nil {
			return nil, r.cut(err)
		}
		m := r.buf[r.r+spoolHeader:][:size:size]
		r.r += spoolHeader + size
		if !gone {
			return m, nil
		}
	}
}

// head returns whose the next message is, and its length.
func (r *spoolReader) head() (xid uint32, size int) {
	b := r.buf[r.r:]
	return binary.BigEndian.Uint32(b), int(binary.BigEndian.Uint32(b[4:]))
}

// cut is what it means that the end came too early.
func (r *spoolReader) cut(err error) error {
	if errors.Is(err, io.EOF) {
		return penstock.Errorf(penstock.KindInternal, "the messages kept of transaction %d end early", r.spool.xid)
	}
	return err
}

// need has at least n bytes in buf[r:].
func (r *spoolReader) need(n int) error {
	for len(r.buf)-r.r < n {
		r.room(n)
		if r.spool.file != nil {
			buf, err := r.spool.file.Next(r.buf)
			if err == nil {
				r.buf = buf
				continue
			}
			if !errors.Is(err, io.EOF) {
				return err
			}
		}
		if r.tail == nil {
			return io.EOF
		}
		r.buf, r.tail = append(r.buf, r.tail...), nil
	}
	return nil
}

// room makes space for n bytes and the block in which they end.
func (r *spoolReader) room(n int) {
	left := len(r.buf) - r.r
	want := max(n, left) + spoolBlock + 1<<10
	switch {
	case r.r+want <= cap(r.buf):
	case want <= cap(r.buf) && (cap(r.buf) <= feedKeep || want > feedKeep):
		copy(r.buf[:left], r.buf[r.r:])
		r.buf, r.r = r.buf[:left], 0
	default:
		to := make([]byte, left, want)
		copy(to, r.buf[r.r:])
		r.buf, r.r = to, 0
	}
}

// shrink gives a large buffer back, but for what has not been returned yet.
func (r *spoolReader) shrink() {
	if left := len(r.buf) - r.r; cap(r.buf) > feedKeep && left < feedKeep/2 {
		r.buf, r.r = append(make([]byte, 0, left+spoolBlock+1<<10), r.buf[r.r:]...), 0
	}
}
