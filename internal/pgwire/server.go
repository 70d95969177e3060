package pgwire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"penstock"
	"penstock/internal/pgwire/redshift"
)

// Config says what a Server serves, to whom, and within which limits. For a
// limit, zero means the default.
type Config struct {
	// Listen is the address to listen on, unless Listener is set.
	Listen   string
	Listener net.Listener
	// TLS is the server's side of TLS, nil to have none. See SelfSigned.
	TLS   *tls.Config
	Users []User

	Warehouse penstock.Warehouse
	// Views fills the system views; nil leaves them empty.
	Views redshift.Views
	// Manager carries out statements about destination databases; nil refuses
	// them.
	Manager redshift.Manager
	Logger  *slog.Logger

	MaxConnections int           // sessions at a time; default 100
	MaxMessage     int           // bytes of one message from a client; default 16 MiB
	PortalMemory   int           // bytes held for a suspended portal while its session does something else; default 64 MiB
	StartupTimeout time.Duration // from the first byte to the session; default 30 s
	DrainTimeout   time.Duration // how long running statements may go on at shutdown; default 5 s
	ForceTimeout   time.Duration // how long DROP DATABASE … FORCE waits for sessions to end; default 10 s
}

func (c *Config) setDefaults() error {
	if c.Warehouse == nil {
		return errors.New("pgwire: Config.Warehouse is missing")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = 100
	}
	if c.MaxMessage == 0 {
		c.MaxMessage = 16 << 20
	}
	if c.PortalMemory == 0 {
		c.PortalMemory = 64 << 20
	}
	if c.StartupTimeout == 0 {
		c.StartupTimeout = 30 * time.Second
	}
	if c.DrainTimeout == 0 {
		c.DrainTimeout = 5 * time.Second
	}
	if c.ForceTimeout == 0 {
		c.ForceTimeout = 10 * time.Second
	}
	return nil
}

// Server is the SQL endpoint of one warehouse.
type Server struct {
	cfg      Config
	listener net.Listener
	accounts *accounts
	registry registry
}

// New returns a server that holds its address but accepts nobody before Run.
// A taken address is an error here. Whoever does not call Run calls Close.
func New(cfg Config) (*Server, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	accounts, err := newAccounts(cfg.Users)
	if err != nil {
		return nil, penstock.Errorf(penstock.KindInvalid, "%w", err)
	}
	s := &Server{cfg: cfg, listener: cfg.Listener, accounts: accounts}
	if s.listener == nil {
		if s.listener, err = net.Listen("tcp", cfg.Listen); err != nil {
			return nil, fmt.Errorf("SQL endpoint: %w", err)
		}
	}
	return s, nil
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close gives the address up. It is for servers that are not run.
func (s *Server) Close() error { return s.listener.Close() }

// Run serves until ctx is cancelled, then tells idle clients to go (57P01),
// lets running statements end within DrainTimeout, cancels the rest, and
// returns nil with nothing left behind. It is called once.
func (s *Server) Run(ctx context.Context) error {
	// Statements outlive ctx by DrainTimeout; registry.force ends them.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { _ = s.listener.Close() })()

	var connections errgroup.Group
	err := s.accept(ctx, work, &connections)
	_ = s.listener.Close()
	s.registry.drain()
	timer := time.AfterFunc(s.cfg.DrainTimeout, s.registry.force)
	defer timer.Stop()
	_ = connections.Wait() // a connection's end is no error
	return err
}

func (s *Server) accept(ctx, work context.Context, connections *errgroup.Group) error {
	for {
		n, err := s.listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = n.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("SQL endpoint: %w", err)
		case err != nil: // out of descriptors, most likely: others may close some
			s.cfg.Logger.Warn("accept failed", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		c := newConn(s, n)
		if !s.registry.add(c, 2*s.cfg.MaxConnections+32) {
			s.cfg.Logger.Warn("connection refused: too many", "remote", n.RemoteAddr().String())
			_ = n.Close()
			continue
		}
		connections.Go(func() error {
			defer s.registry.remove(c)
			c.serve(work)
			return nil
		})
	}
}
