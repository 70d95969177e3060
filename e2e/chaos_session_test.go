package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// chaosSession is a session of the application under test. It outlives the
// server's restarts, and everything that its statements run into is judged.
type chaosSession struct {
	run  *chaosRun
	name string // application_name
	conn *pgx.Conn
	sent int
	kept []string // prepared, to be finished later
}

// statementLimit is how long a statement may take before it counts as stuck.
const statementLimit = 60 * time.Second

func (s *chaosSession) close() {
	if s.conn != nil {
		s.conn.Close(context.Background())
		s.conn = nil
	}
}

// connect makes sure that there is a connection; a transaction that was
// prepared on an earlier one is finished first.
func (s *chaosSession) connect(ctx context.Context) error {
	if s.conn != nil && !s.conn.IsClosed() {
		return nil
	}
	conn, err := s.run.server.Conn(ctx, s.run.database)
	if err != nil {
		return err
	}
	s.conn = conn
	if err := s.exec(ctx, fmt.Sprintf("SET application_name = '%s'; SET lock_timeout = '30s'; SET deadlock_timeout = '200ms'", s.name)); err != nil {
		return err
	}
	s.kept = nil
	left, err := table(ctx, conn, fmt.Sprintf("SELECT gid FROM pg_prepared_xacts WHERE gid LIKE '%s %%' AND database = current_database()", s.name))
	for _, gid := range left {
		err = errors.Join(err, s.exec(ctx, "COMMIT PREPARED '"+gid+"'"))
	}
	return err
}

func (s *chaosSession) exec(ctx context.Context, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, statementLimit)
	defer cancel()
	_, err := s.conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// transact sends a transaction and reports whether it came to its end.
func (s *chaosSession) transact(ctx context.Context, tx chaosTx) bool {
	s.sent++
	defer s.finishKept(ctx)
	if err := s.connect(ctx); err != nil {
		s.judge(ctx, "connect", err)
		s.close()
		s.run.pause(ctx)
		return false
	}
	err := s.attempt(ctx, tx)
	if err != nil && !s.conn.IsClosed() {
		_ = s.exec(ctx, "ROLLBACK")
	}
	return err == nil
}

func (s *chaosSession) attempt(ctx context.Context, tx chaosTx) error {
	if err := s.send(ctx, chaosStatement{sql: "BEGIN"}); err != nil {
		return err
	}
	for _, st := range tx.statements {
		if st.guard {
			if err := s.send(ctx, chaosStatement{sql: "SAVEPOINT guard"}); err != nil {
				return err
			}
		}
		err := s.send(ctx, st)
		switch {
		case err == nil && st.guard:
			err = s.send(ctx, chaosStatement{sql: "RELEASE guard"})
		case st.guard && !s.conn.IsClosed():
			err = s.send(ctx, chaosStatement{sql: "ROLLBACK TO guard"})
		}
		if err != nil {
			return err
		}
	}
	how, then, prepared := strings.Cut(tx.end, ", ")
	if !prepared {
		return s.send(ctx, chaosStatement{sql: how})
	}
	gid := fmt.Sprintf("'%s %d'", s.name, s.sent)
	if err := s.send(ctx, chaosStatement{sql: "PREPARE TRANSACTION " + gid}); err != nil {
		return err
	}
	if then == "LATER" {
		s.kept = append(s.kept, gid)
		return nil
	}
	s.run.pause(ctx)
	return s.send(ctx, chaosStatement{sql: then + " PREPARED " + gid})
}

// finishKept finishes the oldest of the transactions that stay prepared, now
// and then. What is left at the end of a round is committed by whoever ends it.
func (s *chaosSession) finishKept(ctx context.Context) {
	if len(s.kept) == 0 || s.conn == nil || s.conn.IsClosed() || len(s.kept) < 3 && s.sent%20 != 0 {
		return
	}
	gid := s.kept[0]
	s.kept = s.kept[1:]
	_ = s.send(ctx, chaosStatement{sql: []string{"COMMIT", "ROLLBACK"}[s.sent%2] + " PREPARED " + gid})
}

// send sends a statement and judges what it ran into.
func (s *chaosSession) send(ctx context.Context, st chaosStatement) error {
	began := time.Now()
	var err error
	if st.copy != "" {
		ctx, cancel := context.WithTimeout(ctx, statementLimit)
		_, err = s.conn.PgConn().CopyFrom(ctx, strings.NewReader(st.copy), st.sql)
		cancel()
	} else {
		err = s.exec(ctx, st.sql)
	}
	s.run.journal.note(s.name, began, st.sql, err)
	if err != nil {
		s.judge(ctx, st.sql, err)
	}
	return err
}

// judge tells errors that the application made itself from those that it must
// never see (promise 4).
func (s *chaosSession) judge(ctx context.Context, sql string, err error) {
	if ctx.Err() != nil {
		return
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || strings.HasPrefix(pg.Code, "57P") || strings.HasPrefix(pg.Code, "08") {
		if s.run.serverShaken.Load() == 0 {
			s.run.violation("the application was disturbed: %s: %.300s: %v", s.name, sql, err)
		}
		return
	}
	s.run.refused.Add(1)
	switch class := pg.Code[:2]; { // waits for locks of ours are another's concern: watchLocks
	case strings.Contains(pg.Message, "replica identity"), class == "XX", class == "53", class == "58":
		s.run.violation("the application was disturbed: %s: %.300s: %v", s.name, sql, err)
	case class == "23", class == "40", class == "42", class == "22", class == "25", class == "2B", class == "0A", class == "21", class == "55", class == "3B", class == "3F", class == "54", class == "57":
	default:
		s.run.violation("an error that nobody thought of: %s: %.300s: %v", s.name, sql, err)
	}
}
