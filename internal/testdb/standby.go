package testdb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"
)

// Standby makes a standby of a running server and starts it: it receives and
// replays what the server writes, until Detach or Promote. Settings are the
// server's, and those given over them. It has the server's password, and
// whoever calls Standby closes it.
func (s *Server) Standby(ctx context.Context, opts Options) (*Server, error) {
	b := &Server{Binaries: s.Binaries, password: s.password, account: s.account}
	if err := b.makeFolder(opts.Dir); err != nil {
		return nil, err
	}
	backup := b.command(ctx, "pg_basebackup", "--dbname", s.URL("postgres"), "--pgdata", b.data(), "--checkpoint", "fast", "--no-sync", "--wal-method", "stream")
	if out, err := backup.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w\n%s", backup.Path, err, out), b.Close())
	}
	signal := filepath.Join(b.data(), "standby.signal")
	err := os.WriteFile(signal, nil, 0o600)
	if err = errors.Join(err, b.account.own(signal)); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	opts.Settings = maps.Clone(opts.Settings)
	if opts.Settings == nil {
		opts.Settings = map[string]string{}
	}
	opts.Settings["primary_conninfo"] = s.URL("postgres")
	if err := b.startOnFreePort(ctx, opts); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Detach has a standby receive nothing more. It returns once it does not.
func (s *Server) Detach(ctx context.Context) error {
	if err := s.Exec(ctx, "postgres", "ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"); err != nil {
		return err
	}
	return s.until(ctx, "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)")
}

// Promote makes a standby a server of its own, on a new timeline.
func (s *Server) Promote(ctx context.Context) error {
	if err := s.Exec(ctx, "postgres", "SELECT pg_promote()"); err != nil {
		return err
	}
	return s.until(ctx, "SELECT NOT pg_is_in_recovery()")
}

// until waits until a query returns true.
func (s *Server) until(ctx context.Context, sql string) error {
	conn, err := s.Conn(ctx, "postgres")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for {
		var ok bool
		if err := conn.QueryRow(ctx, sql).Scan(&ok); err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}
