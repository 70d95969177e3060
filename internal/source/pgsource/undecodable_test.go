package pgsource

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"penstock"
	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

// TestUndecodable: history that the server keeps and cannot read is lost, once
// it has said so often enough at the same place.
func TestUndecodable(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Fast: true})
	noError(t, server.Exec(t.Context(), "postgres", `CREATE TABLE t (id int PRIMARY KEY)`))
	c := captureOf(t, server.URL("postgres"), "postgres")
	now := time.Now()
	c.source.undecodable.now = func() time.Time { now = now.Add(undecodableFor / (undecodableTimes - 1)); return now }
	at, err := c.Prepare(t.Context(), "")
	noError(t, err)
	tables, _, err := c.Tables(t.Context())
	noError(t, err)
	noError(t, server.Exec(t.Context(), "postgres", `INSERT INTO t VALUES (1)`, `SELECT pg_switch_wal()`, `INSERT INTO t VALUES (2)`))
	segments, err := filepath.Glob(filepath.Join(server.Dir(), "data", "pg_wal", "0000*"))
	noError(t, err)
	noError(t, os.Remove(segments[0]))
	for attempt := 1; ; attempt++ {
		if at, err = c.Prepare(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		err := c.readOnce(t, at, tables)
		if attempt < undecodableTimes && penstock.KindOf(err) == penstock.KindInternal {
			continue
		}
		if attempt < undecodableTimes || penstock.KindOf(err) != penstock.KindPositionLost || strings.Count(err.Error(), "has already been removed") != 1 {
			t.Errorf("attempt %d ended with: %v", attempt, err)
		}
		break
	}
	noError(t, c.GiveUp(t.Context()))
	if at, err = c.Prepare(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	noError(t, server.Exec(t.Context(), "postgres", `INSERT INTO t VALUES (3)`))
	noError(t, c.readOnce(t, at, tables))
}

// readOnce opens a stream and returns how reading its first changes ends.
func (c *capture) readOnce(t *testing.T, at penstock.Position, tables []penstock.Table) error {
	s, err := c.Stream(t.Context(), at, tables, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	var changes penstock.Changes
	for err == nil && len(changes.Tables) == 0 {
		err = s.Next(t.Context(), &changes, 1<<20)
	}
	return err
}

// TestObstacle: what counts is the same error at the same place, for a while.
func TestObstacle(t *testing.T) {
	t.Parallel()
	var u undecodable
	now := time.Now()
	u.now = func() time.Time { return now }
	times := func(n int, at lsn, text string) (stuck bool) {
		for range n {
			_, stuck = u.note("slot", at, text)
			u.note("another", 1, text)
		}
		return stuck
	}
	if times(100, 10, "broken") {
		t.Error("within a moment")
	}
	now = now.Add(undecodableFor)
	if times(1, 11, "broken") {
		t.Error("after the stream has got on")
	}
	now = now.Add(undecodableFor)
	if times(1, 11, "broken otherwise") {
		t.Error("another error")
	}
	times(undecodableTimes-2, 11, "broken otherwise")
	now = now.Add(undecodableFor)
	if !times(1, 9, "broken otherwise") {
		t.Error("the same was not noticed")
	}
	u.forget("slot")
	if times(1, 11, "broken otherwise") {
		t.Error("a slot that was forgotten")
	}
}
