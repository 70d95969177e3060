package pgwire

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// limit is how long a test waits for what must happen.
const limit = 30 * time.Second

// bench is a running server over a fake warehouse.
type bench struct {
	w      *fakeWarehouse
	server *Server
	stop   func() // shuts down and waits
}

func setup(t *testing.T, change ...func(*Config)) *bench {
	t.Helper()
	w := newFake("shop")
	cfg := Config{
		Listen:    "127.0.0.1:0",
		Users:     []User{{Name: "admin", Password: "s3cret", Superuser: true}, {Name: "reader", Password: "r3ad"}},
		Warehouse: w,
		Logger:    slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&cfg)
	}
	b := &bench{w: w}
	b.server, b.stop = start(t, cfg)
	return b
}

// start runs a server until the test ends, or stop is called.
func start(t *testing.T, cfg Config) (s *Server, stop func()) {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(limit):
			t.Error("Run does not return")
		}
	}
	t.Cleanup(stop)
	return s, stop
}

// testWriter logs to the test; slow connections may end after it.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func (b *bench) url(user, password, database string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", user, password, b.server.Addr(), database)
}

func (b *bench) connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.url("admin", "s3cret", "dev"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// wire is a client that speaks the protocol by hand.
type wire struct {
	t *testing.T
	net.Conn
	f       *pgproto3.Frontend
	process uint32
	secret  []byte
}

// dial opens a connection on which nothing has been said.
func (b *bench) dial(t *testing.T) *wire {
	t.Helper()
	n, err := net.Dial("tcp", b.server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	_ = n.SetDeadline(time.Now().Add(limit))
	return &wire{t: t, Conn: n, f: pgproto3.NewFrontend(n, n)}
}

// login opens a session by MD5, as a Redshift driver would without TLS.
func (b *bench) login(t *testing.T) *wire {
	t.Helper()
	w := b.dial(t)
	w.startup(196608, "user", "admin", "database", "dev", "driver_version", "Redshift JDBC 2.1")
	m := w.next()
	auth, ok := m.(*pgproto3.AuthenticationMD5Password)
	if !ok {
		t.Fatalf("got %T, want MD5", m)
	}
	w.send(&pgproto3.PasswordMessage{Password: md5Answer("admin", "s3cret", auth.Salt)})
	w.untilReady()
	return w
}

func (w *wire) startup(version uint32, parameters ...string) {
	body := binary.BigEndian.AppendUint32(nil, version)
	for _, p := range parameters {
		body = append(append(body, p...), 0)
	}
	w.packet(append(body, 0))
}

// packet sends bytes after their length.
func (w *wire) packet(body []byte) {
	w.t.Helper()
	if _, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) send(messages ...pgproto3.FrontendMessage) {
	w.t.Helper()
	for _, m := range messages {
		w.f.Send(m)
	}
	if err := w.f.Flush(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) next() pgproto3.BackendMessage {
	w.t.Helper()
	m, err := w.f.Receive()
	if err != nil {
		w.t.Fatalf("receive: %v", err)
	}
	return m
}

// untilReady returns what arrives up to ReadyForQuery, a line per message.
func (w *wire) untilReady() []string {
	w.t.Helper()
	var out []string
	for {
		m := w.next()
		if k, ok := m.(*pgproto3.BackendKeyData); ok {
			w.process, w.secret = k.ProcessID, append([]byte(nil), k.SecretKey...)
		}
		out = append(out, show(m))
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			return out
		}
	}
}

// expect checks what arrives up to ReadyForQuery.
func (w *wire) expect(want ...string) {
	w.t.Helper()
	got := w.untilReady()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		w.t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// expectEnd checks the last words of the server.
func (w *wire) expectEnd(want ...string) {
	w.t.Helper()
	var got []string
	for {
		m, err := w.f.Receive()
		if err != nil {
			if err != io.ErrUnexpectedEOF && err != io.EOF && !strings.Contains(err.Error(), "reset") {
				w.t.Errorf("connection ends with %v", err)
			}
			break
		}
		got = append(got, show(m))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		w.t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func show(m pgproto3.BackendMessage) string {
	switch m := m.(type) {
	case *pgproto3.ErrorResponse:
		return fmt.Sprintf("%s %s %s", m.Severity, m.Code, m.Message)
	case *pgproto3.NoticeResponse:
		return fmt.Sprintf("%s %s %s", m.Severity, m.Code, m.Message)
	case *pgproto3.ReadyForQuery:
		return "Ready " + string(m.TxStatus)
	case *pgproto3.CommandComplete:
		return "Complete " + string(m.CommandTag)
	case *pgproto3.DataRow:
		var vals []string
		for _, v := range m.Values {
			if v == nil {
				vals = append(vals, "NULL")
			} else {
				vals = append(vals, string(v))
			}
		}
		return "Row " + strings.Join(vals, "|")
	case *pgproto3.RowDescription:
		var cols []string
		for _, f := range m.Fields {
			cols = append(cols, fmt.Sprintf("%s:%d:%d", f.Name, f.DataTypeOID, f.Format))
		}
		return "Columns " + strings.Join(cols, " ")
	case *pgproto3.ParameterDescription:
		return fmt.Sprintf("Parameters %d", m.ParameterOIDs)
	case *pgproto3.ParameterStatus:
		return "Status " + m.Name + "=" + m.Value
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3.")
}

// strict reports whether a test that misses a program fails.
func strict() bool { return os.Getenv("PENSTOCK_TEST_STRICT") == "1" }
