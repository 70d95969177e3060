package pgsource

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

// TestAlteredWhileSlotIsMade: what commits while the server waits for older
// transactions, to make a slot, is part of the catalog that later rows are
// decoded with; see settle.
func TestAlteredWhileSlotIsMade(t *testing.T) {
	t.Parallel()
	dbtest.EachVersion(t, func(t *testing.T, major int) {
		server := dbtest.New(t, testdb.Options{Fast: true, Major: major})
		ctx := t.Context()
		session := func() *pgx.Conn {
			conn, err := server.Conn(ctx, "postgres")
			noError(t, err)
			t.Cleanup(func() { conn.Close(context.WithoutCancel(ctx)) })
			return conn
		}
		run := func(conn *pgx.Conn, sql string) {
			_, err := conn.Exec(ctx, sql)
			noError(t, err)
		}
		waitedFor := func(conn *pgx.Conn, watch *pgx.Conn) {
			var xid string
			noError(t, conn.QueryRow(ctx, `SELECT pg_current_xact_id()::xid::text`).Scan(&xid))
			noError(t, lookUntil(ctx, func() (waits bool, err error) {
				err = watch.QueryRow(ctx, fmt.Sprintf(`SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND transactionid = '%s')`, xid)).Scan(&waits)
				return waits, err
			}))
		}
		app, first, second := session(), session(), session()
		run(app, `CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)`)
		run(first, `BEGIN; INSERT INTO b VALUES (1)`)
		c := captureOf(t, server.URL("postgres"), "postgres")
		begun := make(chan error, 1)
		go func() {
			_, err := c.Prepare(ctx, "")
			begun <- err
		}()
		waitedFor(first, app)
		run(second, `BEGIN; INSERT INTO b VALUES (2)`)
		run(app, `TRUNCATE a`) // in the first phase, and later than what runs through it
		run(first, `COMMIT`)
		waitedFor(second, app)
		run(app, `INSERT INTO b VALUES (3)`) // a change in the second phase: the server makes a snapshot
		run(second, `COMMIT`)
		noError(t, <-begun)
		var slot string
		noError(t, app.QueryRow(ctx, `SELECT slot_name FROM pg_replication_slots`).Scan(&slot))
		run(app, `INSERT INTO a VALUES (1)`)
		run(app, fmt.Sprintf(`SELECT * FROM pg_logical_slot_peek_binary_changes('%s', NULL, NULL, 'proto_version', '1', 'publication_names', '%s')`, slot, c.publicationNames()[0]))
	})
}
