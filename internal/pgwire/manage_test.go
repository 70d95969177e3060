package pgwire

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"penstock"
)

// fakeManager answers by the database's name.
type fakeManager struct{ asked chan penstock.Refresh }

func (m *fakeManager) Refresh(ctx context.Context, database string, r penstock.Refresh) (int, error) {
	switch database {
	case "shop":
		m.asked <- r
		return len(r.Tables), nil
	case "slow":
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return 0, penstock.Errorf(penstock.KindNotFound, "no integration replicates into database %s", database)
}

func TestRefreshStatement(t *testing.T) {
	t.Parallel()
	m := &fakeManager{asked: make(chan penstock.Refresh, 1)}
	b := setup(t, func(c *Config) { c.Manager = m })
	cfg, err := pgx.ParseConfig(b.url("admin", "s3cret", "dev"))
	if err != nil {
		t.Fatal(err)
	}
	var notices []string
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notices = append(notices, n.Message) }
	admin, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.Background())
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement} {
		tag, err := admin.Exec(t.Context(), "ALTER DATABASE shop INTEGRATION REFRESH TABLES a, b", mode)
		if err != nil || tag.String() != "ALTER DATABASE" {
			t.Errorf("%s: %q, %v", mode, tag, err)
		}
		if r := <-m.asked; len(r.Tables) != 2 {
			t.Errorf("%s: asked for %+v", mode, r)
		}
	}
	if len(notices) != 3 || !strings.HasPrefix(notices[0], "2 tables will be loaded again") {
		t.Errorf("notices: %q", notices)
	}

	state := func(conn *pgx.Conn, sql string) string {
		_, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		var e *pgconn.PgError
		if !errors.As(err, &e) {
			return ""
		}
		return e.Code
	}
	reader, err := pgx.Connect(t.Context(), b.url("reader", "r3ad", "dev"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close(context.Background())
	const refresh = "ALTER DATABASE shop INTEGRATION REFRESH ALL TABLES"
	if got := state(reader, refresh); got != "42501" {
		t.Errorf("by a reader: %q", got)
	}
	if got := state(admin, "ALTER DATABASE none INTEGRATION REFRESH ALL TABLES"); got != "42704" {
		t.Errorf("of no database: %q", got)
	}
	if got := state(admin, "SET statement_timeout = 50; ALTER DATABASE slow INTEGRATION REFRESH ALL TABLES"); got != "57014" {
		t.Errorf("beyond the timeout: %q", got)
	}
	if got := state(admin, "BEGIN") + state(admin, refresh) + state(admin, "ROLLBACK"); got != "25001" {
		t.Errorf("inside a transaction: %q", got)
	}
}
