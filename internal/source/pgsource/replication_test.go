package pgsource

import (
	"testing"
	"time"

	"penstock"
	"penstock/internal/testdb/dbtest"
)

// TestImpatientServer: the server hears from us often enough while a target is
// so busy that nobody reads, however short its patience.
func TestImpatientServer(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, `CREATE TABLE t (id int PRIMARY KEY, body text)`)
	c := captureOf(t, db.URL()+"&wal_sender_timeout=1000", db.Name)
	at, err := c.Prepare(t.Context(), "")
	noError(t, err)
	tables, _, err := c.Tables(t.Context())
	noError(t, err)
	s, err := c.Stream(t.Context(), at, tables, nil)
	noError(t, err)
	defer s.Close()
	// More than the buffers between the two take.
	const rows = 20_000
	db.Exec(t, `INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 20000) g`)

	conn := db.Conn(t)
	var now time.Time
	noError(t, conn.QueryRow(t.Context(), `SELECT clock_timestamp()`).Scan(&now))
	for until := now.Add(4 * time.Second); now.Before(until); {
		err := conn.QueryRow(t.Context(), `SELECT clock_timestamp() FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid
			WHERE s.database = current_database()`).Scan(&now)
		if err != nil {
			t.Fatalf("the server has ended the stream: %v", err)
		}
	}
	for n, changes := 0, (&penstock.Changes{}); n < rows; changes.Reset() {
		noError(t, s.Next(t.Context(), changes, 1<<20))
		for _, tc := range changes.Tables {
			n += len(tc.Ops)
		}
	}
}
