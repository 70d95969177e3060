package pgwire

import (
	"errors"
	"io"
	"sync"
)

// errDraining is what a read returns once the server shuts down and nothing
// that the client sent before is left.
var errDraining = errors.New("server is shutting down")

// inbound reads ahead from a client, up to a bound, so that the end of the
// connection is noticed also while a statement runs. One goroutine runs pump,
// another reads.
type inbound struct {
	mu    sync.Mutex
	moved sync.Cond // something of what follows has changed
	buf   []byte    // read and not taken yet
	max   int
	err   error // the end of the connection
	drain bool
}

func newInbound(limit int) *inbound {
	in := &inbound{max: limit}
	in.moved.L = &in.mu
	return in
}

// pump reads from r until it fails, then calls gone.
func (in *inbound) pump(r io.Reader, gone func()) {
	chunk := make([]byte, 8<<10)
	for {
		n, err := r.Read(chunk)
		in.mu.Lock()
		for in.err == nil && len(in.buf) > 0 && len(in.buf)+n > in.max {
			in.moved.Wait()
		}
		if in.err != nil {
			in.mu.Unlock()
			return
		}
		in.buf = append(in.buf, chunk[:n]...)
		in.err = err
		in.moved.Broadcast()
		in.mu.Unlock()
		if err != nil {
			gone()
			return
		}
	}
}

// Read implements io.Reader.
func (in *inbound) Read(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.buf) == 0 && in.err == nil && !in.drain {
		in.moved.Wait()
	}
	if len(in.buf) == 0 {
		if in.err != nil {
			return 0, in.err
		}
		return 0, errDraining
	}
	n := copy(p, in.buf)
	in.buf = in.buf[:copy(in.buf, in.buf[n:])]
	in.moved.Broadcast()
	return n, nil
}

// stopReading makes reads return errDraining once what is there is taken.
func (in *inbound) stopReading() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.drain = true
	in.moved.Broadcast()
}

// close ends pump, if it waits for room, and all reads.
func (in *inbound) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.err == nil {
		in.err = io.ErrClosedPipe
	}
	in.moved.Broadcast()
}
