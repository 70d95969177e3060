package pgwire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"golang.org/x/sync/errgroup"

	"penstock"
)

// conn is one connection. serve runs it; what other goroutines may touch is
// under mu or in running.
type conn struct {
	server *Server
	log    *slog.Logger
	remote string

	// Known from the startup on.
	process           uint32
	secret            []byte // for cancel requests; nil before the client is admitted
	minor             uint32 // of protocol version 3
	tls               bool
	user, database    string
	superuser         bool
	redshiftDriver    bool
	startupParameters map[string]string

	in       *pgproto3.Backend
	out      outbound
	running  running
	session  penstock.Session
	settings *settings
	tx       transaction

	statements map[string]*statement
	portals    map[string]*portal
	skip       bool // after an error: until the next Sync
	idle       bool // the client was told that we are ready

	mu       sync.Mutex
	net      net.Conn // replaced under mu when TLS begins
	ahead    *inbound // set under mu when messages begin
	draining bool
}

func newConn(s *Server, n net.Conn) *conn {
	c := &conn{
		server: s, log: s.cfg.Logger, remote: n.RemoteAddr().String(), net: n,
		statements: map[string]*statement{}, portals: map[string]*portal{},
	}
	c.out.w = n
	return c
}

// Read feeds the reader of messages: from the network while the client logs
// in, then from what is read ahead.
func (c *conn) Read(p []byte) (int, error) {
	if c.ahead != nil {
		return c.ahead.Read(p)
	}
	return c.net.Read(p)
}

// serve runs the connection until one side ends it.
func (c *conn) serve(ctx context.Context) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("connection failed", "remote", c.remote, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	defer func() { _ = c.net.Close() }()
	defer c.closeSession()

	if err := c.login(ctx); err != nil {
		if !errors.Is(err, errDone) {
			c.log.Warn("login failed", "remote", c.remote, "error", err)
		}
		return
	}
	var pump errgroup.Group
	pump.Go(func() error {
		c.ahead.pump(c.net, func() { c.running.interruptAll(causeGone) })
		return nil
	})
	defer func() {
		c.ahead.close()
		_ = c.net.Close()
		_ = pump.Wait() // reports nothing
	}()
	c.log.Debug("session opened", "remote", c.remote, "user", c.user, "database", c.database)
	c.messages(ctx)
	c.log.Debug("session closed", "remote", c.remote)
}

// login takes the connection to an open session.
func (c *conn) login(ctx context.Context) error {
	deadline := time.Now().Add(c.server.cfg.StartupTimeout)
	_ = c.net.SetDeadline(deadline)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if err := c.startup(ctx); err != nil {
		return err
	}
	if !c.server.registry.admit(c, c.server.cfg.MaxConnections) {
		return c.refuse(fatal("53300", "sorry, too many clients already"))
	}
	c.in = pgproto3.NewBackend(c, nil) // sends nothing: out does
	c.in.SetMaxBodyLen(maxStartup)
	if err := c.authenticate(); err != nil {
		return err
	}
	if !c.readAhead() {
		return c.refuse(causeShutdown)
	}
	return c.open(ctx)
}

// readAhead makes ready for reading ahead and lifts the limits of the login,
// unless the server shuts down already.
func (c *conn) readAhead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return false
	}
	c.ahead = newInbound(flushAt)
	c.in.SetMaxBodyLen(c.server.cfg.MaxMessage)
	_ = c.net.SetDeadline(time.Time{})
	return true
}

// drain makes the connection end as soon as nothing runs. From any goroutine.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	if c.ahead == nil {
		_ = c.net.Close()
		return
	}
	c.ahead.stopReading()
}

// force makes the connection end now. From any goroutine.
func (c *conn) force() {
	c.running.interruptAll(causeShutdown)
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.net.SetDeadline(time.Now().Add(time.Second)) // for the last words
}

func (c *conn) isDraining() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining
}

func (c *conn) closeSession() {
	if c.session == nil {
		return
	}
	c.closePortals()
	for name := range c.statements {
		c.dropStatement(name)
	}
	if err := c.session.Close(); err != nil {
		c.log.Warn("closing a session failed", "error", err)
	}
}

// messages answers the client's messages until the connection ends.
func (c *conn) messages(ctx context.Context) {
	for {
		if c.idle && c.isDraining() {
			_ = c.refuse(causeShutdown)
			return
		}
		m, err := c.in.Receive()
		if err != nil {
			c.hangUp(err)
			return
		}
		c.idle = false
		if !c.answer(ctx, m) || c.out.err != nil {
			return
		}
	}
}

// hangUp says the last words after a message could not be received.
func (c *conn) hangUp(err error) {
	var tooLong *pgproto3.ExceededMaxBodyLenErr
	switch {
	case errors.Is(err, errDraining):
		_ = c.refuse(causeShutdown)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), isNetError(err):
	case errors.As(err, &tooLong):
		_ = c.refuse(&penstock.SQLError{
			State: "54000", Message: fmt.Sprintf("message of %d bytes exceeds the limit of %d", tooLong.ActualBodyLen, tooLong.MaxExpectedBodyLen),
		})
	default:
		_ = c.refuse(fatal("08P01", "protocol error: "+err.Error()))
	}
}

func isNetError(err error) bool {
	var n net.Error
	return errors.As(err, &n)
}

// answer handles one message and reports whether the connection goes on.
func (c *conn) answer(ctx context.Context, m pgproto3.FrontendMessage) bool {
	if c.skip {
		switch m.(type) {
		case *pgproto3.Sync, *pgproto3.Terminate:
		default:
			return true
		}
	}
	var err error
	switch m := m.(type) {
	case *pgproto3.Terminate:
		return false
	case *pgproto3.Query:
		c.simpleQuery(ctx, m.String)
		return true
	case *pgproto3.Sync:
		c.sync(ctx)
		return true
	case *pgproto3.Flush:
		c.out.flush()
	case *pgproto3.Parse:
		err = c.parse(ctx, m)
	case *pgproto3.Bind:
		err = c.bind(m)
	case *pgproto3.Describe:
		err = c.describe(m)
	case *pgproto3.Execute:
		err = c.execute(ctx, m)
	case *pgproto3.Close:
		err = c.close(m)
	case *pgproto3.FunctionCall:
		c.fail(ctx, &penstock.SQLError{State: "0A000", Message: "function calls by message are not supported"})
		c.ready()
		c.out.flush()
		return true
	case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CopyFail:
		// of a COPY that was refused
	default:
		_ = c.refuse(fatal("08P01", fmt.Sprintf("unexpected message %T", m)))
		return false
	}
	if err != nil {
		c.fail(ctx, err)
		c.skip = true
		c.out.flush()
	}
	return true
}

// ready tells the client that the next query may come.
func (c *conn) ready() {
	c.out.send(&pgproto3.ReadyForQuery{TxStatus: c.tx.status()})
	c.idle = true
}
