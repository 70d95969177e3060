package pgsource

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// feed reads the messages of a replication connection. PostgreSQL flushes the
// socket after every change, so a reader that is behind and asks for whatever
// is there is woken for every hundred bytes; that, not parsing, is what
// reading a stream costs. While behind, the feed therefore has the kernel
// collect lowWater bytes, or what comes in lowWaterWait, before it wakes us.
type feed struct {
	conn net.Conn
	raw  *net.TCPConn // under conn; nil if it is no TCP connection

	inProgress bool // the server was asked for transactions in progress

	buf  []byte
	r, w int // buf[r:w] has been received and not consumed

	behind bool      // the socket waits for lowWater bytes
	reads  int       // since window began
	window time.Time // in which reads are counted

	bell      chan struct{} // rung when one of these is set
	mu        sync.Mutex
	woken     bool // Wake was called and not yet heeded
	cancelled bool // the context of the running call ended
	closed    bool
}

const (
	feedBuffer    = 1 << 20
	feedKeep      = 8 << 20 // a larger buffer, grown for a large message, is given back
	lowWater      = 64 << 10
	lowWaterWait  = 10 * time.Millisecond
	behindReads   = 16 // that many reads in behindWindow mean that we are behind
	behindWindow  = 10 * time.Millisecond
	maxMessage    = 1<<30 + 1<<20 // PostgreSQL's limit on a message, and a little
	messageHeader = 5
)

var (
	// errWoken: fill ended because of wake.
	errWoken   = errors.New("woken")
	errMessage = errors.New("the server sent something that is not a message of its protocol")
)

func newFeed(conn net.Conn) *feed {
	f := &feed{conn: conn, buf: make([]byte, feedBuffer), bell: make(chan struct{}, 1)}
	c := conn
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	f.raw, _ = c.(*net.TCPConn)
	return f
}

// next returns the next message if it has been received whole. body is valid
// until the next call of fill.
func (f *feed) next() (kind byte, body []byte, ok bool, err error) {
	b := f.buf[f.r:f.w]
	if len(b) < messageHeader {
		return 0, nil, false, nil
	}
	n := int(binary.BigEndian.Uint32(b[1:]))
	if n < 4 || n > maxMessage {
		return 0, nil, false, errMessage
	}
	if len(b) < n+1 {
		return 0, nil, false, nil
	}
	f.r += n + 1
	return b[0], b[messageHeader : n+1 : n+1], true, nil
}

// fill receives more. It blocks until there is some, or until wake is called,
// unless mayWake is false.
func (f *feed) fill(ctx context.Context, mayWake bool) error {
	f.room()
	return f.receive(ctx, mayWake)
}

// receive reads what there is into the space behind f.w.
func (f *feed) receive(ctx context.Context, mayWake bool) error {
	for {
		deadline := time.Time{}
		if f.behind {
			deadline = time.Now().Add(lowWaterWait)
		}
		if err := f.arm(deadline, mayWake); err != nil {
			return err
		}
		n, err := f.conn.Read(f.buf[f.w:])
		f.w += n
		if n > 0 {
			f.measure()
			return nil
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f.behind {
			f.setBehind(false)
		}
	}
}

// room makes space for the rest of the message that has begun to arrive.
func (f *feed) room() {
	if f.r == f.w {
		f.r, f.w = 0, 0
		f.shrink()
		return
	}
	need := messageHeader
	if f.w-f.r >= messageHeader {
		need = max(need, 1+int(binary.BigEndian.Uint32(f.buf[f.r+1:])))
	}
	f.space(need)
}

// space makes room for so many bytes from r on, and for some to be received.
func (f *feed) space(need int) {
	if f.r == f.w {
		f.r, f.w = 0, 0
	}
	if f.r+need <= len(f.buf) && f.w < len(f.buf) {
		return
	}
	to := f.buf
	if need > len(to) {
		to = make([]byte, max(need, min(need+need/4, feedKeep)))
	}
	f.w = copy(to, f.buf[f.r:f.w])
	f.r, f.buf = 0, to
}

// head returns the kind of the next message and its length without that, 0 if
// so much has not been received.
func (f *feed) head() (kind byte, n int) {
	if f.w-f.r < messageHeader {
		return 0, 0
	}
	return f.buf[f.r], int(binary.BigEndian.Uint32(f.buf[f.r+1:]))
}

// shrink gives a large buffer back once what made it large has been consumed,
// before the target works on that.
func (f *feed) shrink() {
	if f.r == f.w && len(f.buf) > feedKeep {
		f.buf, f.r, f.w = make([]byte, feedBuffer), 0, 0
	}
}

// measure counts reads to notice that many come in a short time.
func (f *feed) measure() {
	if f.behind || f.raw == nil {
		return
	}
	f.reads++
	if f.reads < behindReads {
		return
	}
	now := time.Now()
	if now.Sub(f.window) < behindWindow {
		f.setBehind(true)
	}
	f.reads, f.window = 0, now
}

func (f *feed) setBehind(on bool) {
	if f.raw == nil {
		return
	}
	size := 1
	if on {
		size = lowWater
	}
	raw, err := f.raw.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, size) })
	f.behind = on && err == nil
	f.reads, f.window = 0, time.Now()
}

// arm sets the deadline of the next read, unless something already asks the
// reader to come back.
func (f *feed) arm(deadline time.Time, mayWake bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.called(mayWake); err != nil {
		return err
	}
	return f.conn.SetReadDeadline(deadline)
}

// called returns why the reader should come back, if it should; the caller
// holds f.mu.
func (f *feed) called(mayWake bool) error {
	switch {
	case f.closed:
		return net.ErrClosed
	case f.cancelled:
		return context.Canceled
	case f.woken && mayWake:
		f.woken = false
		return errWoken
	}
	return nil
}

// pause waits, receiving nothing, until the reader is asked to come back.
func (f *feed) pause() error {
	for {
		f.mu.Lock()
		err := f.called(true)
		f.mu.Unlock()
		if err != nil {
			return err
		}
		<-f.bell
	}
}

// ring ends a read or a pause, for the reader to look why.
func (f *feed) ring() {
	f.conn.SetReadDeadline(past)
	select {
	case f.bell <- struct{}{}:
	default:
	}
}

var past = time.Unix(1, 0)

// wake ends a fill that may be woken, or the next such.
func (f *feed) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.woken = true
	f.ring()
}

// watch makes fill end when ctx does; stop ends the watching.
func (f *feed) watch(ctx context.Context) (stop func()) {
	f.mu.Lock()
	f.cancelled = false
	f.mu.Unlock()
	off := context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.cancelled = true
		f.ring()
	})
	return func() { off() }
}

// stopped returns why the reader should go no further, if it should not.
func (f *feed) stopped() (closed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return true, net.ErrClosed
	case f.cancelled:
		return false, context.Canceled
	}
	return false, nil
}

func (f *feed) close() error {
	f.mu.Lock()
	f.closed = true
	f.ring()
	f.mu.Unlock()
	return f.conn.Close()
}
