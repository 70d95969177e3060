package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// What the demo's server is set up with. It listens on loopback only, and is
// gone within a minute.
const (
	accessKey   = "penstock"
	secretKey   = "demo-secret"
	sqlPassword = "demo"
)

// writeConfig writes the configuration that the demo shows, on free ports.
func writeConfig(path, source string) error {
	api, sql, err := freePorts()
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`api: {listen: %s}
sql:
  listen: %s
  users: [{name: admin, password: %s, superuser: true}]
access_keys: [{id: %s, secret: %s}]
sources:
  shop: {kind: cluster, url: %q}
targets:
  analytics: {engine: duckdb}
`, api, sql, sqlPassword, accessKey, secretKey, source)
	return os.WriteFile(path, []byte(text), 0o600)
}

// freePorts returns two addresses that nobody listened on a moment ago.
func freePorts() (a, b string, err error) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer first.Close()
	second, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer second.Close()
	return first.Addr().String(), second.Addr().String(), nil
}

// server is a running penstock serve.
type server struct {
	cmd  *exec.Cmd
	done chan error
	log  string
}

// startServer starts the program and waits until it is healthy.
func startServer(ctx context.Context, program, config, api, log string) (*server, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	s := &server{cmd: exec.Command(program, "serve", "--config", config), done: make(chan error, 1), log: log}
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s serve: %w", program, err)
	}
	go func() { s.done <- s.cmd.Wait() }()
	deadline := time.Now().Add(30 * time.Second)
	err = every(ctx, 50*time.Millisecond, func() (bool, error) {
		select {
		case err := <-s.done:
			s.done <- err
			return false, fmt.Errorf("penstock serve ended: %w\n%s", err, s.lastLines())
		default:
		}
		reply, err := http.Get("http://" + api + "/healthz")
		if err == nil {
			reply.Body.Close()
			return reply.StatusCode == http.StatusOK, nil
		}
		if time.Now().After(deadline) {
			return false, fmt.Errorf("penstock serve is not healthy after 30 seconds: %w\n%s", err, s.lastLines())
		}
		return false, nil
	})
	if err != nil {
		return nil, errors.Join(err, s.stop(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// stop ends the server as an operator would, and waits for it.
func (s *server) stop(ctx context.Context) error {
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.done:
		return err
	case <-ctx.Done():
		s.cmd.Process.Kill()
		<-s.done
		return errors.New("penstock serve did not stop in time and was killed")
	}
}

// lastLines returns the end of the server's log.
func (s *server) lastLines() string {
	text, _ := os.ReadFile(s.log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

func port(address string) string {
	_, p, _ := net.SplitHostPort(address)
	return p
}

func indent(s string) string {
	return "     " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n     ")
}
