package pgsource

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// cleanStart is how far a slot that found no transaction running begins before
// it is consistent, at the most: one record that says so, and a page's header.
const cleanStart = 128

// settlePause is between two looks at what is waited for.
const settlePause = 20 * time.Millisecond

// settle makes sure that the server decodes what follows a new slot's start with
// the catalog as it was, and returns where such history begins.
//
// Where transactions run when a slot is made, the server waits for them in two
// phases (snapbuild.c, SnapBuildFindSnapshot). It takes no note of what commits in the
// first, up to SNAPBUILD_FULL_SNAPSHOT; and the snapshot of the catalog that it
// makes in the second, and keeps until the catalog changes again, takes such a
// transaction for one that is still running if an older one, which began after
// the first phase did, runs longer. What that had changed is then missing: rows
// of a table that it rewrote end the stream ("could not map filenode …"), at every
// attempt, and others could be read with columns of before.
//
// So the catalog is changed, once the slot is there, and history begins when
// whatever began before that has ended: nothing after it is read with the
// snapshot of before.
func (c *capture) settle(ctx context.Context, conn *pgx.Conn, slot string, start lsn) (lsn, error) {
	var restart string
	if err := conn.QueryRow(ctx, `SELECT restart_lsn::text FROM pg_replication_slots WHERE slot_name = $1`, slot).Scan(&restart); err != nil {
		return 0, err
	}
	if from, err := parseLSN(restart); err != nil || start-from <= cleanStart {
		return start, err
	}
	// Our own, so that it needs no right on anything.
	var xid string
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `CREATE TEMPORARY TABLE penstock_settled () ON COMMIT DROP`); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT pg_current_xact_id()::text`).Scan(&xid)
	})
	if declined(err) {
		// Without the right, or refused by a trigger of others: should the server
		// fall into it, the stream begins anew (undecodable.go).
		c.log.Info("the catalog cannot be changed, so that the slot may fail for what was altered while it was made", "slot", slot, "error", err)
		return start, nil
	}
	if err != nil {
		return 0, err
	}
	var end *string
	err = lookUntil(ctx, func() (bool, error) {
		err := conn.QueryRow(ctx, `SELECT CASE WHEN pg_snapshot_xmin(pg_current_snapshot()) > $1::xid8 THEN pg_current_wal_insert_lsn()::text END`, xid).Scan(&end)
		return end != nil, err
	})
	if err != nil {
		return 0, err
	}
	err = lookUntil(ctx, func() (flushed bool, err error) {
		err = conn.QueryRow(ctx, `SELECT pg_current_wal_flush_lsn() >= $1::pg_lsn`, *end).Scan(&flushed)
		return flushed, err
	})
	if err != nil {
		return 0, err
	}
	if err := conn.QueryRow(ctx, `SELECT end_lsn::text FROM pg_replication_slot_advance($1, $2::pg_lsn)`, slot, *end).Scan(&end); err != nil {
		return 0, err
	}
	return parseLSN(*end)
}

// lookUntil repeats f until it says that it is done, for as long as that takes.
func lookUntil(ctx context.Context, f func() (done bool, err error)) error {
	for {
		if done, err := f(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settlePause):
		}
	}
}
