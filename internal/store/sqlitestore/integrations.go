package sqlitestore

import (
	"context"
	"database/sql"
	"errors"

	"penstock"
)

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func get(ctx context.Context, q querier, id penstock.IntegrationID) (penstock.Integration, error) {
	var name, document string
	var created int64
	err := q.QueryRowContext(ctx, `SELECT name, created_at, document FROM integrations WHERE id = ?`, id).Scan(&name, &created, &document)
	if errors.Is(err, sql.ErrNoRows) {
		return penstock.Integration{}, notFound(id)
	}
	if err != nil {
		return penstock.Integration{}, failure("read integration "+string(id), err)
	}
	return decode(id, name, created, document)
}

func list(ctx context.Context, q querier) ([]penstock.Integration, error) {
	const op = "list integrations"
	rows, err := q.QueryContext(ctx, `SELECT id, name, created_at, document FROM integrations ORDER BY created_at, id`)
	if err != nil {
		return nil, failure(op, err)
	}
	defer rows.Close()
	var all []penstock.Integration
	for rows.Next() {
		var id, name, document string
		var created int64
		if err := rows.Scan(&id, &name, &created, &document); err != nil {
			return nil, failure(op, err)
		}
		in, err := decode(penstock.IntegrationID(id), name, created, document)
		if err != nil {
			return nil, err
		}
		all = append(all, in)
	}
	return all, failure(op, rows.Err())
}

func notFound(id penstock.IntegrationID) error {
	return penstock.Errorf(penstock.KindIntegrationNotFound, "there is no integration %s", id)
}

// Create implements penstock.Store.
func (s *Store) Create(ctx context.Context, in penstock.Integration, check func([]penstock.Integration) error) error {
	op := "create integration " + in.Name
	document, err := encode(in)
	if err != nil {
		return failure(op, err)
	}
	return s.write(ctx, op, func(tx *sql.Tx) error {
		if check != nil {
			others, err := list(ctx, tx)
			if err != nil {
				return err
			}
			if err := check(others); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO integrations (id, name, created_at, document) VALUES (?, ?, ?, ?)`,
			in.ID, in.Name, in.CreatedAt.UnixNano(), document)
		return failure(op, err)
	})
}

// Get implements penstock.Store.
func (s *Store) Get(ctx context.Context, id penstock.IntegrationID) (penstock.Integration, error) {
	return get(ctx, s.db, id)
}

// Update implements penstock.Store.
func (s *Store) Update(ctx context.Context, id penstock.IntegrationID, f func(*penstock.Integration) error) (penstock.Integration, error) {
	op := "update integration " + string(id)
	var updated penstock.Integration
	err := s.write(ctx, op, func(tx *sql.Tx) error {
		in, err := get(ctx, tx, id)
		if err != nil {
			return err
		}
		created := in.CreatedAt
		if err := f(&in); err != nil {
			return err
		}
		in.ID, in.CreatedAt = id, created
		document, err := encode(in)
		if err != nil {
			return failure(op, err)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE integrations SET name = ?, document = ? WHERE id = ?`, in.Name, document, id); err != nil {
			return failure(op, err)
		}
		updated, err = decode(id, in.Name, created.UnixNano(), document)
		return err
	})
	if err != nil {
		return penstock.Integration{}, err
	}
	return updated, nil
}

// Delete implements penstock.Store.
func (s *Store) Delete(ctx context.Context, id penstock.IntegrationID) error {
	op := "delete integration " + string(id)
	return s.write(ctx, op, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM integrations WHERE id = ?`, id)
		if err != nil {
			return failure(op, err)
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return failure(op, err)
		}
		return notFound(id)
	})
}
