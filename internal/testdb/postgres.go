package testdb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// User is the superuser of every server started here.
const User = "postgres"

// Options says what kind of server to start. The zero value is a server with
// logical replication switched on and PostgreSQL's defaults otherwise.
type Options struct {
	// Major is the major version; 0 takes the newest that is installed.
	Major int
	// Settings are server parameters, over those that Start sets itself:
	// wal_level logical, 50 slots and WAL senders, time zone UTC.
	Settings map[string]string
	// Fast gives up durability for speed (fsync and full-page writes off).
	// The server still survives Stop, Kill and Restart; a power cut it would not.
	Fast bool
	// Dir is the folder in which the server makes its own; "" for os.TempDir.
	// It has to be reachable by an unprivileged user.
	Dir string
}

// Server is a running PostgreSQL server. Its methods may be called
// concurrently, except that Stop, Kill, Restart and Close exclude each other.
type Server struct {
	Binaries Binaries

	dir      string // has data/ and log, and is where the socket is
	port     int
	password string
	account  *account
	reaper   io.Closer

	mu      sync.Mutex
	process *os.Process
	done    <-chan struct{} // closed when process has ended
}

// Start makes a new database cluster and starts a server on it. It returns
// once the server accepts connections. Whoever calls it calls Close; if this
// process ends without, even by SIGKILL, server and folder go all the same.
func Start(ctx context.Context, opts Options) (*Server, error) {
	bin, err := Find(ctx, opts.Major)
	if err != nil {
		return nil, err
	}
	s := &Server{Binaries: bin, password: rand.Text()}
	if s.account, err = unprivileged(); err != nil {
		return nil, err
	}
	if err := s.makeFolder(opts.Dir); err != nil {
		return nil, err
	}
	if err := s.initialise(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.startOnFreePort(ctx, opts); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) makeFolder(parent string) (err error) {
	if s.dir, err = os.MkdirTemp(parent, "penstock-pg-"); err != nil {
		return err
	}
	if err := s.account.own(s.dir); err != nil {
		return errors.Join(err, os.RemoveAll(s.dir))
	}
	if s.reaper, err = s.startReaper(); err != nil {
		return errors.Join(err, os.RemoveAll(s.dir))
	}
	return nil
}

// startReaper starts a shell that waits for us to go away, and then removes
// the folder. The server itself goes by the death signal; see start.
func (s *Server) startReaper() (io.Closer, error) {
	cmd := exec.Command("/bin/sh", "-c",
		`cat; for i in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" && exit; sleep 1; done`, "sh", s.dir)
	cmd.Dir = "/"
	s.account.attributes(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = cmd.Wait() }()
	return stdin, nil
}

func (s *Server) initialise(ctx context.Context) error {
	pwfile := filepath.Join(s.dir, "password")
	if err := os.WriteFile(pwfile, []byte(s.password+"\n"), 0o600); err != nil {
		return err
	}
	if err := s.account.own(pwfile); err != nil {
		return err
	}
	cmd := s.command(ctx, "initdb", "--pgdata", s.data(), "--username", User, "--pwfile", pwfile,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd.Path, err, out)
	}
	return os.Remove(pwfile)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(ctx context.Context, tool string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.Binaries.Tool(tool), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "LC_ALL=C", "TZ=UTC"}
	s.account.attributes(cmd)
	return cmd
}

// startOnFreePort looks for a port below the range from which the kernel
// gives ports to clients, so that the server gets it again after a Restart.
func (s *Server) startOnFreePort(ctx context.Context, opts Options) error {
	var err error
	for range 20 {
		s.port = 10000 + mathrand.IntN(22000)
		var l net.Listener
		if l, err = net.Listen("tcp", s.Addr()); err != nil {
			continue
		}
		_ = l.Close()
		if err = s.configure(opts); err != nil {
			return err
		}
		if err = s.run(ctx); err == nil || !strings.Contains(s.Log(), "Address already in use") {
			return err
		}
	}
	return fmt.Errorf("find a free port: %w", err)
}

func (s *Server) configure(opts Options) error {
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(s.port),
		"unix_socket_directories": s.dir,
		"wal_level":               "logical",
		"max_replication_slots":   "50",
		"max_wal_senders":         "50",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
	}
	if len(s.dir) > 80 { // a socket's path has a limit of 107 bytes
		settings["unix_socket_directories"] = ""
	}
	if opts.Fast {
		settings["fsync"] = "off"
		settings["full_page_writes"] = "off"
	}
	maps.Copy(settings, opts.Settings)

	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s = '%s'\n", k, strings.ReplaceAll(settings[k], "'", "''"))
	}
	path := filepath.Join(s.data(), "postgresql.auto.conf")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		return err
	}
	return s.account.own(path)
}

// run starts the server process and waits until it accepts connections.
func (s *Server) run(ctx context.Context) error {
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := s.command(context.WithoutCancel(ctx), "postgres", "-D", s.data())
	cmd.Stdout, cmd.Stderr = log, log
	done, err := start(cmd)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.process, s.done = cmd.Process, done
	s.mu.Unlock()

	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		conn, err := s.Conn(ctx, "postgres")
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-done:
			return fmt.Errorf("PostgreSQL did not start:\n%s", tail(s.Log(), 2000))
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err, s.Kill())
		case <-retry.C:
		}
	}
}

// Addr returns host:port.
func (s *Server) Addr() string { return net.JoinHostPort(s.Host(), strconv.Itoa(s.port)) }

// Host returns the address that the server listens on.
func (s *Server) Host() string { return "127.0.0.1" }

// Port returns the port that the server listens on, the same over restarts.
func (s *Server) Port() int { return s.port }

// Dir returns the folder that the server lives in.
func (s *Server) Dir() string { return s.dir }

// Password returns the password of User.
func (s *Server) Password() string { return s.password }

// URL returns the connection string of a database for User, with password.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(User, s.password),
		Host: s.Addr(), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Log returns what the server has logged so far.
func (s *Server) Log() string {
	b, _ := os.ReadFile(s.logPath())
	return string(b)
}

func (s *Server) logPath() string { return filepath.Join(s.dir, "log") }

// Conn opens a connection to a database as User.
func (s *Server) Conn(ctx context.Context, database string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, s.URL(database))
}

// Exec runs statements in a database as User, each text in a transaction of
// its own unless it says otherwise.
func (s *Server) Exec(ctx context.Context, database string, sql ...string) error {
	conn, err := s.Conn(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, q := range sql {
		if _, err := conn.PgConn().Exec(ctx, q).ReadAll(); err != nil {
			return fmt.Errorf("%s: %w", tail(q, 200), err)
		}
	}
	return nil
}

// Stop shuts the server down in order: clients are disconnected, everything
// is written. Data stays, for Restart. On a stopped server it does nothing.
func (s *Server) Stop() error { return s.end(syscall.SIGINT, 20*time.Second) }

// Kill ends the server as a crash would, so that it has to recover when it is
// started again. On a stopped server it does nothing.
func (s *Server) Kill() error { return s.end(syscall.SIGQUIT, 10*time.Second) }

// Restart stops the server if it runs, and starts it again on the same port
// with the same data.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(); err != nil {
		return err
	}
	return s.run(ctx)
}

// Close ends the server and removes its folder. It may be repeated.
func (s *Server) Close() error {
	err := s.Kill()
	if err = errors.Join(err, os.RemoveAll(s.dir)); err == nil {
		_ = s.reaper.Close()
	}
	return err
}

// end sends the signal, and harder ones if the server does not end in time: a
// replication client that does not answer can hold up an orderly shutdown.
func (s *Server) end(sig syscall.Signal, patience time.Duration) error {
	s.mu.Lock()
	process, done := s.process, s.done
	s.mu.Unlock()
	if process == nil {
		return nil
	}
	for _, sig := range []syscall.Signal{sig, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop PostgreSQL: %w", err)
		}
		select {
		case <-done:
			return nil
		case <-time.After(patience):
		}
	}
	return fmt.Errorf("PostgreSQL, process %d, does not end", process.Pid)
}

// tail returns the last n bytes of s.
func tail(s string, n int) string { return s[max(0, len(s)-n):] }
