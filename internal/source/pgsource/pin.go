package pgsource

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"penstock"
)

// pin implements penstock.Pin. The snapshot that comes with a new logical slot
// is the one kind that shows exactly what commits before a place in the WAL:
// an ordinary one may show a transaction and not another whose commit record
// comes first. The slot itself is not needed and goes at once; a transaction
// keeps the snapshot, and with it row versions at the source from being
// vacuumed.
type pin struct {
	capture  *capture // its own, so that it shares no connection
	position position
	holder   *pgx.Conn
	exported string // the snapshot's name, for other connections
}

var (
	_ penstock.Pinner = (*capture)(nil)
	_ penstock.Pin    = (*pin)(nil)
)

// Pin implements penstock.Pinner.
func (c *capture) Pin(ctx context.Context, at penstock.Position, hold func()) (penstock.Pin, error) {
	main, err := decodePosition(at)
	if err != nil {
		return nil, err
	}
	main.anchor = anchor{} // that of another moment
	p := &pin{capture: &capture{source: c.source, spec: c.spec, log: c.log, types: newTypeCache()}, position: main}
	if err := p.open(ctx, hold); err != nil {
		p.Close()
		return nil, classify(err, "take a snapshot at a position of "+c.where())
	}
	return p, nil
}

func (p *pin) open(ctx context.Context, hold func()) (err error) {
	c := p.capture
	if p.holder, err = c.source.connect(ctx, c.spec.Database); err != nil {
		return err
	}
	walsender, err := c.source.connectReplication(ctx, c.spec.Database)
	if err != nil {
		return err
	}
	defer walsender.Close(context.WithoutCancel(ctx)) // and the slot with it
	hold()
	snapshot, err := p.exportAtSlot(ctx, walsender)
	if err != nil {
		return err
	}
	if err := importSnapshot(ctx, p.holder, snapshot); err != nil {
		return err
	}
	return p.holder.QueryRow(ctx, "SELECT pg_export_snapshot()").Scan(&p.exported)
}

// exportAtSlot makes a temporary slot, which is where the position comes from,
// and returns the name of its snapshot, which lives until the connection is
// used again.
func (p *pin) exportAtSlot(ctx context.Context, conn *pgconn.PgConn) (snapshot string, err error) {
	slot := slotPrefix(p.capture.spec.Integration) + randomHex(3)
	// It waits for transactions as one does for locks, until ctx ends; should the
	// server not hear of that, not much longer.
	wait := time.Duration(0)
	if end, ok := ctx.Deadline(); ok {
		wait = max(time.Until(end), 0) + time.Second
	}
	if _, err := conn.Exec(ctx, fmt.Sprintf("SET lock_timeout = %d", wait.Milliseconds())).ReadAll(); err != nil {
		return "", err
	}
	results, err := conn.Exec(ctx, "CREATE_REPLICATION_SLOT "+quote(slot)+" TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT").ReadAll()
	switch {
	case err != nil && ctx.Err() != nil:
		return "", p.capture.waitsFor(ctx)
	case sqlState(err) == "53400":
		return "", &penstock.Error{Kind: penstock.KindQuota, Message: "there is no free replication slot", Mend: "raise max_replication_slots", Err: err}
	case err != nil:
		return "", err
	case len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) < 3:
		return "", penstock.Errorf(penstock.KindInternal, "the server does not say what slot %s is", slot)
	}
	row := results[0].Rows[0]
	p.position.lsn, err = parseLSN(string(row[1]))
	return string(row[2]), err
}

// waitsFor says which transaction has kept a slot from being made until ctx
// ended.
func (c *capture) waitsFor(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	e := &penstock.Error{Kind: penstock.KindConflict, Message: "the transactions that are open at the source have not ended in time"}
	conn, err := c.source.connect(ctx, c.spec.Database)
	if err != nil {
		return e
	}
	defer conn.Close(ctx)
	var who, age string
	err = conn.QueryRow(ctx, `SELECT who, date_trunc('second', now() - since)::text FROM (
		SELECT 'pid ' || pid || COALESCE(' of ' || NULLIF(application_name, ''), '') AS who, xact_start AS since, age(backend_xid) AS age
		FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
		UNION ALL SELECT 'the prepared transaction ' || quote_literal(gid), prepared, age(transaction) FROM pg_prepared_xacts) x
		ORDER BY age DESC LIMIT 1`).Scan(&who, &age)
	if err == nil {
		e.Message = fmt.Sprintf("a transaction that is open at the source has not ended in time: %s, open for %s", who, age)
		e.Mend = "end it, or wait longer"
	}
	return e
}

func importSnapshot(ctx context.Context, conn *pgx.Conn, name string) error {
	return conn.PgConn().Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '"+name+"'").Close()
}

// Position implements penstock.Pin.
func (p *pin) Position() penstock.Position { return p.position.encode() }

// Close implements penstock.Pin.
func (p *pin) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := p.capture.Close()
	if p.holder != nil {
		err = errors.Join(err, p.holder.Close(ctx))
	}
	return err
}
