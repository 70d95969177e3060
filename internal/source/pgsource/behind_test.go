package pgsource

import (
	"testing"

	"penstock"
	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

// TestBehind: a stream knows, on each version, that it has far to go, until it is
// near to where history ended when it was opened.
func TestBehind(t *testing.T) {
	t.Parallel()
	dbtest.EachVersion(t, func(t *testing.T, major int) {
		server := dbtest.New(t, testdb.Options{Fast: true, Major: major})
		exec := func(sql ...string) { noError(t, server.Exec(t.Context(), "postgres", sql...)) }
		exec(`CREATE TABLE t (id bigint PRIMARY KEY, body text)`)
		c := captureOf(t, server.URL("postgres"), "postgres")
		at, err := c.Prepare(t.Context(), "")
		noError(t, err)
		tables, _, err := c.Tables(t.Context())
		noError(t, err)
		const each, transactions = 1000, 60
		for range transactions { // a megabyte each
			exec(`INSERT INTO t SELECT (SELECT count(*) FROM t) + g, repeat('x', 1000) FROM generate_series(1, 1000) g`)
		}
		s, err := c.Stream(t.Context(), at, tables, nil)
		noError(t, err)
		defer s.Close()
		rows, behind := 0, 0
		changes := &penstock.Changes{Position: at}
		for rows < each*transactions {
			changes.Reset()
			noError(t, s.Next(t.Context(), changes, 4<<20))
			n := 0
			for _, tc := range changes.Tables {
				n += len(tc.Ops)
			}
			rows += n
			if changes.Behind {
				behind = rows
			}
		}
		if behind < each*transactions/2 || behind == rows {
			t.Errorf("behind until %d of %d rows have come", behind, rows)
		}
	})
}
