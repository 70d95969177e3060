package pgsource

import (
	"context"
	"encoding/hex"
	"errors"

	"penstock"
)

// A message with large values is not received as a whole before it is decoded:
// the values go piece by piece from the socket, or from the file of a
// transaction that was kept, to the vectors they are for, which grow once and
// by just as much as that takes. So a value is in memory once, and not three or
// four times (promise 7). The row passes through the process's lane.

// pieceValue is how long a value is at least that is taken piece by piece.
const pieceValue = 64 << 10

// errFull ends Next inside a transaction before a large row.
var errFull = errors.New("a large row comes next")

// rest gives a wire what it has not of a large message.
type rest struct {
	window []byte // what more has returned last
	unread int    // bytes of the message from the window's beginning on
	err    error
	// fetch moves on by so many bytes and returns those that come next, n at least.
	fetch func(consumed, n int) ([]byte, error)
}

// more returns the next bytes, of which the wire has the first: n at least, or
// all that there are.
func (r *rest) more(have []byte, n int) []byte {
	if r.err != nil {
		return nil
	}
	consumed := len(r.window) - len(have)
	r.unread -= consumed
	b, err := r.fetch(consumed, min(max(n, 0), r.unread))
	if err != nil {
		r.err, r.window, r.unread = err, nil, 0
		return nil
	}
	r.window = b[:min(len(b), r.unread)]
	return r.window
}

func (r *rest) left(have []byte) int { return r.unread - (len(r.window) - len(have)) }

// each calls f with the next n bytes, piece by piece.
func (r *rest) each(w *wire, n int, f func(piece []byte) error) error {
	for n > 0 {
		if len(w.b) == 0 {
			if w.b = r.more(nil, 1); len(w.b) == 0 {
				return errors.Join(r.err, errShort)
			}
		}
		piece := w.b[:min(n, len(w.b))]
		w.b, n = w.b[len(piece):], n-len(piece)
		if err := f(piece); err != nil {
			return err
		}
	}
	return nil
}

// value appends a value that takes n bytes of the message.
func (r *rest) value(w *wire, v *penstock.Vector, n int, f form) (err error) {
	if f == formPlain {
		v.Grow(n)
		v.AppendWith(func(dst []byte) []byte {
			err = r.each(w, n, func(piece []byte) error {
				dst = append(dst, piece...)
				return nil
			})
			return dst
		})
		return err
	}
	if p := w.take(2); n%2 != 0 || len(p) < 2 || p[0] != '\\' || p[1] != 'x' {
		return errors.Join(r.err, errMessage)
	}
	n -= 2
	v.Grow(n / 2)
	v.AppendWith(func(dst []byte) []byte {
		var half []byte // the first digit of a byte whose second is in the next piece
		err = r.each(w, n, func(piece []byte) (err error) {
			if len(half) > 0 {
				if dst, err = hex.AppendDecode(dst, append(half, piece[0])); err != nil {
					return err
				}
				half, piece = half[:0], piece[1:]
			}
			even := len(piece) &^ 1
			half = append(half, piece[even:]...)
			dst, err = hex.AppendDecode(dst, piece[:even])
			return err
		})
		return dst
	})
	return err
}

// finish skips what has not been read, and returns what went wrong with reading.
func (r *rest) finish(w *wire, err error) error {
	if err == nil && r.err == nil {
		err = r.each(w, r.left(w.b), func([]byte) error { return nil })
	}
	if r.err != nil {
		return r.err
	}
	r.more(w.b, 0) // past the last byte
	return errors.Join(err, r.err)
}

// large returns the length of the body of the next message, if it is a large
// one of the stream that has not been received whole.
func (f *feed) large() (n int, ok bool) {
	kind, size := f.head()
	return size - 4, kind == 'd' && size > penstock.LargeRow
}

// openLarge begins to read the message that large has announced.
// heard is called whenever some of it has come.
func (f *feed) openLarge(ctx context.Context, n int, heard func()) *rest {
	f.r += messageHeader
	return &rest{unread: n, fetch: func(consumed, n int) ([]byte, error) {
		f.r += consumed
		for f.w-f.r < n {
			f.space(n)
			if err := f.receive(ctx, false); err != nil {
				return nil, err
			}
			heard()
		}
		return f.buf[f.r:f.w], nil
	}}
}

// large returns the length of the next message, if it is large.
func (r *spoolReader) large() (n int, ok bool) {
	if len(r.buf)-r.r < spoolHeader {
		return 0, false
	}
	_, size := r.head()
	return size, size > penstock.LargeRow
}

// openLarge begins to read the message that large has announced.
func (r *spoolReader) openLarge(n int) *rest {
	r.r += spoolHeader
	return &rest{unread: n, fetch: func(consumed, n int) ([]byte, error) {
		r.r += consumed
		if err := r.need(n); err != nil {
			return nil, r.cut(err)
		}
		return r.buf[r.r:], nil
	}}
}

// admit has what Next fills ready for a large row, or says errFull.
func (s *stream) admit(ctx context.Context, c *penstock.Changes) error {
	if s.inTx && c.Size() >= penstock.LargeRow/4 {
		return errFull
	}
	if s.lane == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	s.feedback.listening.Store(false) // to be kept waiting is not the server's fault
	defer s.feedback.listen()
	return c.Enter(ctx, s.lane)
}

// dismiss takes c out of the lane if the large message has brought nothing.
func (s *stream) dismiss(c *penstock.Changes) {
	if c.Size() < penstock.LargeRow/4 {
		c.Leave()
	}
}

// receiveLarge handles a large message of the server while it comes.
func (s *stream) receiveLarge(ctx context.Context, n int, c *penstock.Changes) (event bool, err error) {
	if s.block == nil {
		if err := s.admit(ctx, c); err != nil {
			return false, err
		}
	}
	r := s.feed.openLarge(ctx, n, s.feedback.hear)
	w := wire{rest: r}
	if head := w.take(xlogHeader); len(head) < xlogHeader || head[0] != copyXLogData {
		return false, errors.Join(r.err, errMessage)
	}
	if s.block != nil {
		err = s.keepLarge(&w)
	} else {
		event, err = s.changeLarge(ctx, &w, c)
		s.dismiss(c)
	}
	return event, r.finish(&w, err)
}

// changeLarge handles a large message of pgoutput. What is not a row is small
// in itself, and then taken as a whole.
func (s *stream) changeLarge(ctx context.Context, w *wire, c *penstock.Changes) (event bool, err error) {
	if len(w.b) == 0 {
		w.b = w.rest.more(w.b, 1)
	}
	switch {
	case len(w.b) == 0:
		return false, errShort
	case w.b[0] == 'I', w.b[0] == 'U', w.b[0] == 'D':
		s.filled += w.left()
		s.content = true
		return false, s.row(w, c)
	}
	w.b = w.rest.more(w.b, w.left())
	b := w.b
	w.b = nil
	return s.change(ctx, b, c)
}

// keepLarge keeps a large message of a transaction in progress.
func (s *stream) keepLarge(w *wire) error {
	kind := w.byte()
	switch kind {
	case 'I', 'U', 'D', 'M', 'R', 'T':
	case 'O', 'Y':
		return nil
	default:
		return errMessage
	}
	xid := uint32(w.int32())
	if w.bad {
		return errShort
	}
	if err := s.spools.begin(s.block, xid, 1+w.left()); err != nil {
		return err
	}
	if err := s.spools.write(s.block, []byte{kind}); err != nil {
		return err
	}
	return w.rest.each(w, w.left(), func(piece []byte) error { return s.spools.write(s.block, piece) })
}

// replayLarge handles a large message of the transaction that is delivered.
func (s *stream) replayLarge(ctx context.Context, n int, c *penstock.Changes) (event bool, err error) {
	if err := s.admit(ctx, c); err != nil {
		return false, err
	}
	r := s.replay.openLarge(n)
	w := wire{rest: r}
	event, err = s.changeLarge(ctx, &w, c)
	s.dismiss(c)
	return event, r.finish(&w, err)
}
