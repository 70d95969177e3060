package pgsource

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"penstock"
)

// retentionQuery: max_slot_wal_keep_size is what makes a slot unreserved.
const retentionQuery = `
SELECT temporary, COALESCE(wal_status, ''), COALESCE(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::int8,
       COALESCE(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::int8, slot_name::text, COALESCE(restart_lsn::text, ''),
       greatest(age(xmin), age(catalog_xmin), 0)::int8
FROM pg_replication_slots WHERE database = current_database() AND starts_with(slot_name::text, $1)`

// snapshotQuery: a load holds a snapshot for as long as it takes.
const snapshotQuery = `
SELECT COALESCE(max(age(backend_xmin)), 0)::int8, current_setting('autovacuum_freeze_max_age')::int8 FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND application_name = current_setting('application_name') AND pid <> pg_backend_pid()`

// manyBytes of WAL are worth asking why they are kept.
const manyBytes = 64 << 20

// Retained implements penstock.Capture.
func (c *capture) Retained(ctx context.Context) (r penstock.Retention, err error) {
	conn, err := c.conn(ctx)
	if err != nil {
		return r, err
	}
	rows, err := conn.Query(ctx, retentionQuery, slotPrefix(c.spec.Integration))
	if err != nil {
		return r, classify(err, "read the slot's state on "+c.where())
	}
	var temporary bool
	var status, slot, restart, mainRestart string
	var bytes, behind, age, mainBehind, freeze int64
	if _, err = pgx.ForEachRow(rows, []any{&temporary, &status, &bytes, &behind, &slot, &restart, &age}, func() error {
		r.Age = max(r.Age, age)
		if temporary {
			r.Beside = max(r.Beside, bytes)
			return nil
		}
		r.Bytes, mainBehind, mainRestart = bytes, behind, restart
		if status == "unreserved" {
			r.Findings = append(r.Findings, penstock.Finding{Code: penstock.ProblemSlotEndangered, Severity: penstock.SeverityWarning, Database: c.spec.Database,
				Message: fmt.Sprintf("slot %s keeps more WAL than max_slot_wal_keep_size allows, and is lost with the next checkpoint; all tables would be loaded again", slot),
				Mend:    "raise max_slot_wal_keep_size"})
		}
		return nil
	}); err != nil {
		return r, classify(err, "read the slot's state on "+c.where())
	}
	var held int64
	if err := conn.QueryRow(ctx, snapshotQuery).Scan(&held, &freeze); err != nil {
		return r, classify(err, "read what our sessions hold on "+c.where())
	}
	why := "the slot " + slot
	if held > r.Age {
		r.Age, why = held, "the snapshot of a load"
	}
	if r.Age > freeze/2 {
		r.Findings = append(r.Findings, penstock.Finding{Code: penstock.ProblemOldRowsRetained, Severity: penstock.SeverityWarning, Database: c.spec.Database,
			Message: fmt.Sprintf("%s keeps row versions from before the last %d transactions from being cleaned away, and the server has to freeze them after %d", why, r.Age, freeze),
			Mend:    "look at what holds replication up; fewer or faster loads"})
	}
	if r.Bytes >= manyBytes {
		r.Cause, err = c.whyRetained(ctx, conn, r.Bytes, mainBehind, mainRestart)
	}
	return r, classify(err, "look for what holds the slot on "+c.where())
}

// whyRetained says what the slot waits for: us, or a transaction that began
// long ago and whose changes must all be had once it commits.
func (c *capture) whyRetained(ctx context.Context, conn *pgx.Conn, bytes, behind int64, restart string) (string, error) {
	if behind > bytes/2 {
		return fmt.Sprintf("the warehouse is %d MiB behind, as it is slow, or tables are being loaded; WAL is kept from %s on", behind>>20, restart), nil
	}
	w, ok, err := oldestWriter(ctx, conn)
	if err != nil || !ok {
		return "WAL is kept from " + restart + " on, where a transaction began that had not ended at the last running-transactions record", err
	}
	return fmt.Sprintf("%s may still commit; WAL is kept from %s on", w, restart), nil
}

// writer is a transaction that has written and is open.
type writer struct {
	pid         int32 // 0 if it is prepared
	gid         string
	application string
	user        string
	open        time.Duration
	query       string // how the one that runs, or ran last, begins
}

func (w writer) String() string {
	who := fmt.Sprintf("the transaction of pid %d", w.pid)
	if w.pid == 0 {
		who = fmt.Sprintf("the prepared transaction %q", w.gid)
	}
	who += fmt.Sprintf(" (user %s, application %q", w.user, w.application)
	if w.query != "" {
		who += fmt.Sprintf(", %s", w.query)
	}
	if w.open > 0 {
		return fmt.Sprintf("%s), open for %s,", who, w.open.Round(time.Second))
	}
	return who + ")"
}

// mend is how somebody who must not wait ends the transaction.
func (w writer) mend() string {
	if w.pid == 0 {
		return fmt.Sprintf("COMMIT PREPARED or ROLLBACK PREPARED %s", literal(w.gid))
	}
	return fmt.Sprintf("end it, or SELECT pg_terminate_backend(%d)", w.pid)
}

// writersQuery: what others run is shown to members of pg_read_all_stats only;
// a statement's text, in which there may be data, never.
const writersQuery = `
SELECT pid, '', application_name, COALESCE(usename::text, ''), COALESCE(extract(epoch FROM now() - xact_start), 0)::float8,
       COALESCE('its statement began ' || to_char(query_start, 'YYYY-MM-DD HH24:MI:SS TZ'), ''), age(backend_xid)
FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
UNION ALL
SELECT 0, gid, '', owner::text, extract(epoch FROM now() - prepared)::float8, '', age(transaction)
FROM pg_prepared_xacts
ORDER BY 7 DESC LIMIT 1`

// oldestWriter returns the oldest open transaction that has written, in any
// database: decoding has to wait for all of them.
func oldestWriter(ctx context.Context, conn *pgx.Conn) (w writer, ok bool, err error) {
	var seconds float64
	var age int32
	err = conn.QueryRow(ctx, writersQuery).Scan(&w.pid, &w.gid, &w.application, &w.user, &seconds, &w.query, &age)
	if err == pgx.ErrNoRows {
		return w, false, nil
	}
	w.open = time.Duration(seconds * float64(time.Second))
	return w, err == nil, err
}

// GiveUp implements penstock.Capture.
func (c *capture) GiveUp(ctx context.Context) error {
	conn, err := c.conn(ctx)
	if err != nil {
		return err
	}
	return classify(dropSlots(ctx, conn, slotPrefix(c.spec.Integration), ""), "drop the slots on "+c.where())
}

// literal returns a text as SQL.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
