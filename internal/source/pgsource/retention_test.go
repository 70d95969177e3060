package pgsource

import (
	"fmt"
	"strings"
	"testing"

	"penstock"
	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

// TestRetained: what the server keeps is told, and why, and is let go of.
func TestRetained(t *testing.T) {
	t.Parallel()
	dbtest.EachVersion(t, func(t *testing.T, major int) {
		db := dbtest.SharedOf(t, major)
		c := captureOf(t, db.URL(), db.Name)
		at, err := c.Prepare(t.Context(), "")
		noError(t, err)
		r, err := c.Retained(t.Context())
		noError(t, err)
		if r.Bytes > manyBytes || r.Cause != "" || r.Beside != 0 {
			t.Errorf("kept from the beginning: %+v", r)
		}
		db.Exec(t, fmt.Sprintf(`SELECT pg_logical_emit_message(false, 'test', repeat('x', %d))`, manyBytes), `CREATE TABLE a (); CREATE TABLE b (); CREATE TABLE c ()`)
		r, err = c.Retained(t.Context())
		noError(t, err)
		if r.Bytes < manyBytes || !strings.Contains(r.Cause, "MiB behind") || r.Age < 1 || len(r.Findings) > 0 {
			t.Errorf("kept: %+v", r)
		}
		if major >= failoverMajor {
			if failover, err := collect[bool](t.Context(), c.sql, `SELECT failover FROM pg_replication_slots WHERE database = current_database()`); err != nil || len(failover) != 1 || !failover[0] {
				t.Errorf("the slot is not for failover: %v, %v", failover, err)
			}
		}
		for range 2 {
			noError(t, c.GiveUp(t.Context()))
		}
		if r, err = c.Retained(t.Context()); err != nil || r.Bytes != 0 || r.Age != 0 {
			t.Errorf("still kept: %+v, %v", r, err)
		}
		if _, err := c.Prepare(t.Context(), at); penstock.KindOf(err) != penstock.KindPositionLost {
			t.Errorf("resuming after it was given up: %v", err)
		}
	})
}

// TestSlotWaits: a transaction that keeps a slot from being made is told of.
func TestSlotWaits(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Fast: true})
	other, err := server.Conn(t.Context(), "postgres")
	noError(t, err)
	defer other.Close(t.Context())
	for _, sql := range []string{`CREATE TABLE t (id int PRIMARY KEY)`, `SET application_name = 'nightly job'`, `BEGIN`, `INSERT INTO t VALUES (1)`} {
		_, err := other.Exec(t.Context(), sql)
		noError(t, err)
	}
	c := captureOf(t, server.URL("postgres"), "postgres")
	told := make(chan *penstock.Finding, 100)
	c.spec.Waiting = func(f *penstock.Finding) { told <- f }
	done := make(chan error, 1)
	go func() {
		_, err := c.Prepare(t.Context(), "")
		done <- err
	}()
	f := <-told
	if f == nil || f.Code != penstock.ProblemOpenTransaction || !strings.Contains(f.Message, fmt.Sprintf("pid %d (user postgres, application \"nightly job\", its statement began ", other.PgConn().PID())) ||
		!strings.Contains(f.Message, "open for ") || !strings.Contains(f.Mend, "pg_terminate_backend") || strings.Contains(f.Message, "INSERT") {
		t.Errorf("told of %+v", f)
	}
	_, err = other.Exec(t.Context(), `COMMIT`)
	noError(t, err)
	noError(t, <-done)
	for f != nil {
		f = <-told
	}
}

// TestInvalidated: a slot that the server has invalidated is lost, and why is
// told.
func TestInvalidated(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Fast: true, Settings: map[string]string{"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "64MB"}})
	c := captureOf(t, server.URL("postgres"), "postgres")
	at, err := c.Prepare(t.Context(), "")
	noError(t, err)
	noError(t, server.Exec(t.Context(), "postgres", `SELECT pg_logical_emit_message(false, 'test', repeat('x', 30000000))`, `SELECT pg_switch_wal()`))
	r, err := c.Retained(t.Context())
	noError(t, err)
	if len(r.Findings) != 1 || r.Findings[0].Code != penstock.ProblemSlotEndangered {
		t.Errorf("findings about a slot that keeps too much: %+v", r.Findings)
	}
	noError(t, server.Exec(t.Context(), "postgres", `SELECT pg_switch_wal()`, `CHECKPOINT`))
	if _, err := c.Prepare(t.Context(), at); penstock.KindOf(err) != penstock.KindPositionLost || !strings.Contains(err.Error(), "max_slot_wal_keep_size") {
		t.Errorf("a slot that was invalidated: %v", err)
	}
	if _, err := c.Prepare(t.Context(), ""); err != nil {
		t.Error(err)
	}
}
