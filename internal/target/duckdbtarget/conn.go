package duckdbtarget

import (
	"context"
	"errors"
	"sync"
	"time"

	duck "github.com/duckdb/duckdb-go-bindings"
)

// conn is one connection to the engine. One goroutine works with it at a time;
// close and interrupt may come from another.
type conn struct {
	inst *instance

	mu      sync.Mutex // held while the engine works for this connection
	raw     duck.Connection
	closed  bool
	heavy   []*heavyPart         // that the open transaction has added; guarded by Destination.mu
	handles map[*handle]struct{} // what must go before the connection can
}

// handle is a statement or a result of a connection. The engine's instance
// lives as long as any of them, so closing a connection takes them along.
type handle struct{ destroy func() }

// interruptEvery is how often a call whose context has ended is interrupted:
// an interrupt that comes before the engine has begun is lost.
const interruptEvery = 10 * time.Millisecond

var errConnClosed = errors.New("the connection to the warehouse is closed")

// do runs f, which calls the engine, and interrupts it when ctx ends.
func (c *conn) do(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errConnClosed
	}
	if ctx.Done() != nil {
		defer c.interruptWith(ctx)()
	}
	err := f()
	var ee *engineError
	if errors.As(err, &ee) {
		if ee.interrupted() && ctx.Err() != nil {
			return ctx.Err()
		}
		if ee.fatal() {
			c.inst.broken.Store(true)
		}
	}
	return err
}

// interruptWith interrupts c while ctx is at its end, until release is called.
func (c *conn) interruptWith(ctx context.Context) (release func()) {
	done, gone := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(gone)
		tick := time.NewTicker(interruptEvery)
		defer tick.Stop()
		for {
			duck.Interrupt(c.raw)
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	return func() {
		if !stop() {
			close(done)
			<-gone
		}
	}
}

// close ends the connection, and a transaction that is open on it.
func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	for h := range c.handles {
		h.destroy()
	}
	c.handles = nil
	duck.Disconnect(&c.raw)
	c.inst.remove(c)
}

// abort closes c even while the engine works for it.
func (c *conn) abort() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	release := c.interruptWith(ctx)
	c.mu.Lock() // the running call has ended
	c.mu.Unlock()
	release()
	c.close()
}

// add registers what must be destroyed before c; the caller holds c.mu.
func (c *conn) add(destroy func()) *handle {
	h := &handle{destroy}
	c.handles[h] = struct{}{}
	return h
}

// drop destroys a handle; the caller holds c.mu.
func (c *conn) drop(h *handle) {
	if _, ok := c.handles[h]; ok {
		delete(c.handles, h)
		h.destroy()
	}
}

// exec runs one statement without looking at its result. args are bound to ?.
func (c *conn) exec(ctx context.Context, sql string, args ...string) error {
	return c.do(ctx, func() error { return c.run(sql, args, nil) })
}

// execAll runs statements one after the other until one fails.
func (c *conn) execAll(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if err := c.exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// texts runs a query whose columns are all VARCHAR and returns its rows. NULL
// comes as "".
func (c *conn) texts(ctx context.Context, sql string, args ...string) (rows [][]string, err error) {
	err = c.do(ctx, func() error {
		return c.run(sql, args, func(res *duck.Result) {
			columns := int(duck.ColumnCount(res))
			for {
				chunk := duck.FetchChunk(*res)
				if chunk.Ptr == nil {
					return
				}
				for i := range int(duck.DataChunkGetSize(chunk)) {
					row := make([]string, columns)
					for k := range row {
						v := duck.DataChunkGetVector(chunk, duck.IdxT(k))
						if isValid(duck.VectorGetValidity(v), i) {
							row[k] = string(stringAt(duck.VectorGetData(v), i))
						}
					}
					rows = append(rows, row)
				}
				duck.DestroyDataChunk(&chunk)
			}
		})
	})
	return rows, err
}

// count runs a statement that changes rows, and returns how many it has changed.
func (c *conn) count(ctx context.Context, sql string) (n int64, err error) {
	err = c.do(ctx, func() error {
		return c.run(sql, nil, func(res *duck.Result) { n = int64(duck.RowsChanged(res)) })
	})
	return n, err
}

// run runs one statement to its end; the caller holds c.mu.
func (c *conn) run(sql string, args []string, read func(*duck.Result)) error {
	var res duck.Result
	defer func() { duck.DestroyResult(&res) }()
	if len(args) == 0 {
		if duck.Query(c.raw, sql, &res) != duck.StateSuccess {
			return newEngineError(duck.ResultError(&res))
		}
	} else {
		var stmt duck.PreparedStatement
		defer duck.DestroyPrepare(&stmt)
		if duck.Prepare(c.raw, sql, &stmt) != duck.StateSuccess {
			return newEngineError(duck.PrepareError(stmt))
		}
		for i, a := range args {
			if duck.BindVarchar(stmt, duck.IdxT(i+1), a) != duck.StateSuccess {
				return newEngineError(duck.PrepareError(stmt))
			}
		}
		if duck.ExecutePrepared(stmt, &res) != duck.StateSuccess {
			return newEngineError(duck.ResultError(&res))
		}
	}
	if read != nil {
		read(&res)
	}
	return nil
}

// rollback ends a transaction without effect, whatever state it is in.
func (c *conn) rollback() {
	// An error means that there is none, or that the engine has ended it.
	_ = c.exec(context.Background(), "ROLLBACK")
}
