package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"

	"penstock"
)

// That the disk is full is what integrations have to tell when it is, and it is
// told through this store, whose file is on the same disk. So the store keeps
// space in hand: pages of its file that are free, and a write-ahead log that is
// larger than it needs to be. Both are written over in place.

const (
	// reserveBytes is how much the file and the log keep in hand: hundreds of
	// changed integrations and events.
	reserveBytes = 1 << 20
	// checkpointPages is the length, in pages of 4 KiB, at which the log is
	// carried over into the file and begun anew: well below what is reserved.
	checkpointPages = "64"
)

// replenish makes sure that there is space in hand. That there is none to take
// is no error: it is told when space is needed.
func (s *Store) replenish(ctx context.Context) error {
	const op = "reserve space for metadata"
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return failure(op, err)
	}
	defer conn.Close()
	// Pages that are taken and freed in one transaction would not be written.
	for _, statement := range []string{
		"DELETE FROM reserve",
		fmt.Sprintf("INSERT INTO reserve VALUES (zeroblob(%d))", reserveBytes),
		"PRAGMA wal_checkpoint(FULL)",
		"DELETE FROM reserve",
	} {
		err := failure(op, exec(ctx, conn, statement))
		if penstock.KindOf(err) == penstock.KindFull {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func exec(ctx context.Context, conn *sql.Conn, statement string) error {
	_, err := conn.ExecContext(ctx, statement)
	return err
}
