package sqlitestore

import (
	"context"
	"database/sql"
	"errors"

	"penstock"
)

// PutPolicy implements penstock.Store.
func (s *Store) PutPolicy(ctx context.Context, targetARN, document string) error {
	const op = "put resource policy"
	return s.write(ctx, op, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO policies (target, document) VALUES (?, ?)`, targetARN, document)
		return failure(op, err)
	})
}

// Policy implements penstock.Store.
func (s *Store) Policy(ctx context.Context, targetARN string) (document string, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT document FROM policies WHERE target = ?`, targetARN).Scan(&document)
	if errors.Is(err, sql.ErrNoRows) {
		return "", noPolicy(targetARN)
	}
	return document, failure("read resource policy", err)
}

// DeletePolicy implements penstock.Store.
func (s *Store) DeletePolicy(ctx context.Context, targetARN string) error {
	const op = "delete resource policy"
	return s.write(ctx, op, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM policies WHERE target = ?`, targetARN)
		if err != nil {
			return failure(op, err)
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return failure(op, err)
		}
		return noPolicy(targetARN)
	})
}

func noPolicy(targetARN string) error {
	return penstock.Errorf(penstock.KindNotFound, "the target %s has no resource policy", targetARN)
}
