package pgsource

import (
	"testing"

	"penstock"
	"penstock/internal/spill"
	"penstock/internal/testdb/dbtest"
)

// TestUndecodedInProgress: a transaction that the server cannot decode while it
// is in progress is asked for once it has committed, and then no others are.
func TestUndecodedInProgress(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"rewritten":    `ALTER TABLE t ALTER n TYPE bigint`,
		"column added": `ALTER TABLE t ADD more int`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dbtest.EachVersion(t, func(t *testing.T, major int) {
				db := dbtest.SharedOf(t, major)
				db.Exec(t, `CREATE TABLE t (id int PRIMARY KEY, n int, body text)`)
				c := captureOf(t, db.URL()+"&logical_decoding_work_mem=64kB", db.Name)
				c.spec.Spill = spill.New(t.TempDir(), make([]byte, 32))
				at, err := c.Prepare(t.Context(), "")
				noError(t, err)
				tables, _, err := c.Tables(t.Context())
				noError(t, err)
				db.Exec(t, `BEGIN; INSERT INTO t VALUES (1, 1); SAVEPOINT s; `+change+`; ROLLBACK TO s; COMMENT ON TABLE t IS 'changes the catalog';
					INSERT INTO t SELECT g, g, 'streamed' FROM generate_series(2, 5000) g; `+change+`; COMMIT`)
				for attempt := 1; ; attempt++ {
					err := c.readOnce(t, at, tables)
					if err == nil {
						break
					}
					if attempt > 1 || penstock.KindOf(err) != penstock.KindUnreachable || major != 0 && major < streamedSince {
						t.Fatalf("attempt %d ends with: %v", attempt, err)
					}
				}

				s, err := c.Stream(t.Context(), at, tables, nil)
				noError(t, err)
				defer s.Close()
				var end string
				db.Exec(t, `INSERT INTO t VALUES (5001, 1)`)
				noError(t, db.Conn(t).QueryRow(t.Context(), `SELECT pg_current_wal_flush_lsn()::text`).Scan(&end))
				to, err := parseLSN(end)
				noError(t, err)
				changes := penstock.Changes{Position: at}
				for {
					noError(t, s.Next(t.Context(), &changes, 64<<10))
					if p, err := decodePosition(changes.Position); err != nil || p.lsn >= to && !changes.Open {
						noError(t, err)
						break
					}
					changes.Reset()
				}
				noError(t, s.Close())
				s, err = c.Stream(t.Context(), changes.Position, tables, nil)
				noError(t, err)
				defer s.Close()
				if got, want := s.(*stream).feed.inProgress, major == 0 || major >= streamedSince; got != want {
					t.Errorf("transactions in progress are asked for: %v", got)
				}
			})
		})
	}
}
