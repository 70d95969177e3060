package pgwire

import (
	"context"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

func TestCancelRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, stubborn := range []bool{false, true} {
		slow := &fakeAnswer{columns: numbers(0).columns, block: make(chan struct{}), stubborn: stubborn}
		b.w.on("SELECT slow", slow)
		w := b.login(t)
		w.send(query("SELECT slow"))
		<-slow.block

		wrong := append([]byte(nil), w.secret...)
		wrong[0]++
		for _, secret := range [][]byte{wrong, w.secret} {
			k := b.dial(t)
			k.packet(append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, codeCancel), w.process), secret...))
			k.expectEnd()
		}
		w.expect("Columns i:23:0", "ERROR 57014 canceling statement due to user request", "Ready I")
		w.send(query("SHOW server_version"))
		w.expect("Columns server_version:1043:0", "Row 8.0.2", "Complete SHOW", "Ready I")
	}
}

// TestCancelByContext is the way of pgx, and fails a transaction.
func TestCancelByContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	slow := &fakeAnswer{columns: numbers(0).columns, block: make(chan struct{})}
	b.w.on("SELECT slow", slow)
	conn := b.connect(t).PgConn()
	if err := conn.Exec(t.Context(), "BEGIN").Close(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- conn.Exec(t.Context(), "SELECT slow").Close() }()
	<-slow.block
	if err := conn.CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; stateOf(err) != "57014" {
		t.Errorf("got %v", err)
	}
	if conn.TxStatus() != 'E' {
		t.Errorf("transaction status %c", conn.TxStatus())
	}
}

func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	b := setup(t)
	slow := &fakeAnswer{columns: numbers(0).columns, block: make(chan struct{}), stubborn: true}
	b.w.on("SELECT slow", slow)
	w := b.login(t)
	w.send(query("SET statement_timeout = 20"))
	w.untilReady()
	w.send(query("SELECT slow"))
	w.expect("Columns i:23:0", "ERROR 57014 canceling statement due to statement timeout", "Ready I")
}

// TestClientGone: a statement whose client has left is ended.
func TestClientGone(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.DrainTimeout = time.Hour }) // which would be waited for
	slow := &fakeAnswer{columns: numbers(0).columns, block: make(chan struct{})}
	b.w.on("SELECT slow", slow)
	w := b.login(t)
	w.send(query("SELECT slow"))
	<-slow.block
	_ = w.Conn.(*net.TCPConn).SetLinger(0)
	_ = w.Close()
	b.stop()
	if b.w.sessions != 0 {
		t.Errorf("%d sessions left", b.w.sessions)
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.DrainTimeout = 50 * time.Millisecond })
	slow := &fakeAnswer{columns: numbers(0).columns, block: make(chan struct{}), stubborn: true}
	b.w.on("SELECT slow", slow)
	idle, busy, silent := b.login(t), b.login(t), b.dial(t)
	busy.send(query("SELECT slow"))
	<-slow.block
	b.stop()
	const goodbye = "FATAL 57P01 terminating connection due to administrator command"
	idle.expectEnd(goodbye)
	busy.expectEnd("Columns i:23:0", goodbye)
	silent.expectEnd()
	if b.w.sessions != 0 {
		t.Errorf("%d sessions left", b.w.sessions)
	}
	if _, err := net.Dial("tcp", b.server.Addr().String()); err == nil {
		t.Error("still listening")
	}
}

// TestShutdownLetsFinish: what is done in time is answered before the end.
func TestShutdownLetsFinish(t *testing.T) {
	t.Parallel()
	b := setup(t)
	slow := &fakeAnswer{columns: numbers(0).columns, block: make(chan struct{})}
	b.w.on("SELECT slow", slow)
	w := b.login(t)
	w.send(query("SELECT slow"))
	<-slow.block
	ended := make(chan struct{})
	go func() { defer close(ended); b.stop() }()
	// The statement ends by the client's own wish while the server drains.
	for deadline := time.Now().Add(limit); ; {
		if _, err := net.Dial("tcp", b.server.Addr().String()); err != nil || time.Now().After(deadline) {
			break
		}
	}
	b.server.registry.cancel(w.process, w.secret)
	w.expectEnd("Columns i:23:0", "ERROR 57014 canceling statement due to user request", "Ready I",
		"FATAL 57P01 terminating connection due to administrator command")
	<-ended
}

// TestDrainUnfinishedPipeline: no Sync comes any more, so none is waited for.
func TestDrainUnfinishedPipeline(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.w.on("SELECT i FROM n", numbers(1))
	w := b.login(t)
	w.send(&pgproto3.Parse{Query: "SELECT i FROM n"}, &pgproto3.Flush{})
	if m := w.next(); show(m) != "ParseComplete" {
		t.Fatalf("got %T", m)
	}
	b.stop()
	w.expectEnd("FATAL 57P01 terminating connection due to administrator command")
}

// TestRunning: an interruption meets the work it was meant for, and no other.
func TestRunning(t *testing.T) {
	t.Parallel()
	var r running
	s := &fakeSession{interrupts: make(chan struct{}, 8)}
	r.interrupt(causeUser) // nothing runs
	ctx := r.begin(context.Background(), s, 0)
	if ctx.Err() != nil || len(s.interrupts) != 0 {
		t.Error("interrupted by what came before")
	}
	r.interrupt(causeUser)
	r.interrupt(causeTimeout)
	if ctx.Err() == nil || len(s.interrupts) == 0 {
		t.Error("not interrupted")
	}
	if err := r.end(ctx.Err()); err != causeUser {
		t.Errorf("the cause is %v", err)
	}
	r.begin(context.Background(), s, 0)
	if err := r.end(nil); err != nil {
		t.Error(err)
	}
	r.interruptAll(causeShutdown)
	ctx = r.begin(context.Background(), s, 0)
	if ctx.Err() == nil || r.end(ctx.Err()) != causeShutdown {
		t.Error("runs although all was to end")
	}
}
