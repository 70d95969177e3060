package testdb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
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
	if err := s.backup(ctx, b); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	if err := b.put("standby.signal", ""); err != nil {
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

// backup copies the data of a running server to another one, which is to be made.
func (s *Server) backup(ctx context.Context, to *Server) error {
	run := func(cmd *exec.Cmd) error {
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", cmd.Path, err, out)
		}
		return nil
	}
	if _, err := os.Stat(s.Binaries.Tool("pg_basebackup")); err == nil {
		return run(to.command(ctx, "pg_basebackup", "--dbname", s.URL("postgres"), "--pgdata", to.data(), "--checkpoint", "fast", "--no-sync", "--wal-method", "stream"))
	}
	// Some builds of the server come without it. It takes that no table is
	// dropped meanwhile.
	conn, err := s.Conn(ctx, "postgres")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	start, stop := "pg_backup_start('standby', true)", "pg_backup_stop(false)"
	if s.Binaries.Major < 15 {
		start, stop = "pg_start_backup('standby', true, false)", "pg_stop_backup(false)"
	}
	shell := func(script string) error {
		cmd := exec.CommandContext(ctx, "/bin/sh", "-ec", script, "sh", s.data(), to.data())
		cmd.Dir = to.dir
		to.account.attributes(cmd)
		return run(cmd)
	}
	if _, err := conn.Exec(ctx, "SELECT "+start); err != nil {
		return err
	}
	if err := shell(`cp -a "$1" "$2"; rm -rf "$2"/postmaster.* "$2"/pg_replslot/*`); err != nil {
		return err
	}
	var label string
	if err := conn.QueryRow(ctx, "SELECT labelfile FROM "+stop).Scan(&label); err != nil {
		return err
	}
	if err := shell(`cp -a "$1"/pg_wal/. "$2"/pg_wal/`); err != nil { // with what has been written by the end
		return err
	}
	return to.put("backup_label", label)
}

// put writes a file among a server's data.
func (s *Server) put(name, text string) error {
	path := filepath.Join(s.data(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return s.account.own(path)
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
