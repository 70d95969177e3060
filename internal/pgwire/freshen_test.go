package pgwire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"penstock"
	"penstock/internal/pgwire/redshift"
)

// waiting is a manager that notes what is waited for.
type waiting struct {
	redshift.Manager
	mu      sync.Mutex
	awaited []string
}

func (m *waiting) Await(ctx context.Context, database, position string) error {
	m.mu.Lock()
	m.awaited = append(m.awaited, database+"@"+position)
	m.mu.Unlock()
	switch position {
	case "never":
		<-ctx.Done()
		return fmt.Errorf("it is at 0/1: %w", ctx.Err())
	case "nonsense":
		return &penstock.Error{Kind: penstock.KindInvalid, Message: "that is no position", Mend: "write another"}
	}
	return nil
}

func TestWaitFor(t *testing.T) {
	t.Parallel()
	m := &waiting{}
	b := setup(t, func(c *Config) { c.Manager = m })
	one := &fakeAnswer{columns: []penstock.ResultColumn{{Name: "x", Type: penstock.Type{Kind: penstock.TypeInt32}}}, chunks: func() []*penstock.Rows { return nil }}
	b.w.on("select 1", one)
	conn := b.connect(t)
	run := func(sql string) (code, message string) {
		t.Helper()
		_, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
		var e *pgconn.PgError
		if errors.As(err, &e) {
			return e.Code, e.Message
		}
		if err != nil {
			t.Fatal(err)
		}
		return "", ""
	}
	awaited := func(want ...string) {
		t.Helper()
		m.mu.Lock()
		defer m.mu.Unlock()
		if !slices.Equal(m.awaited, want) {
			t.Errorf("waited for %q, want %q", m.awaited, want)
		}
		m.awaited = nil
	}
	run("select 1")
	awaited()
	run("SET penstock.wait_for = 'now'")
	run("select 1")
	run("select 1; select 1")                // one transaction, which waits as it begins
	run("BEGIN; select 1; select 1; COMMIT") // likewise
	awaited("dev@", "dev@", "dev@")
	if _, err := conn.Exec(t.Context(), "select 1", pgx.QueryExecModeExec); err != nil {
		t.Fatal(err)
	}
	awaited("dev@")
	run("SET penstock.wait_for TO '0/16B3748'")
	run("select 1")
	awaited("dev@0/16B3748")
	run("SET penstock.wait_for = 'nonsense'")
	if code, message := run("select 1"); code != "22023" || message != "penstock.wait_for = 'nonsense': that is no position" {
		t.Errorf("%s: %s", code, message)
	}
	run("SET penstock.wait_for = 'never'; SET penstock.wait_timeout = '20ms'")
	if code, message := run("select 1"); code != "57014" || !strings.Contains(message, "database dev is not as fresh as penstock.wait_for = 'never' asks for after ") || !strings.HasSuffix(message, "it is at 0/1") {
		t.Errorf("%s: %s", code, message)
	}
	run("SET penstock.wait_timeout = 0; SET statement_timeout = '20ms'")
	if code, _ := run("select 1"); code != "57014" {
		t.Errorf("statement_timeout: %s", code)
	}
	if code, _ := run("SET penstock.wait_timeout = 'long'"); code != "22023" {
		t.Errorf("a timeout that is none: %s", code)
	}
	run("RESET penstock.wait_for")
	m.awaited = nil
	run("select 1")
	awaited()
}
