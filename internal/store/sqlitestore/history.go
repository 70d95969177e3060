package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"math"
	"time"

	"penstock"
)

// AddEvent implements penstock.Store.
func (s *Store) AddEvent(ctx context.Context, e penstock.Event) error {
	const op = "add event"
	return s.write(ctx, op, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO events (at, integration, name, kind, severity, message) VALUES (?, ?, ?, ?, ?, ?)`,
			nanoseconds(e.At), e.Integration, e.Name, e.Kind, e.Severity, e.Message)
		return failure(op, err)
	})
}

// Events implements penstock.Store.
func (s *Store) Events(ctx context.Context, id penstock.IntegrationID, since time.Time) ([]penstock.Event, error) {
	const op = "read events"
	query, args := `SELECT id, at, integration, name, kind, severity, message FROM events WHERE at >= ?`, []any{nanoseconds(since)}
	if id != "" {
		query += ` AND integration = ?`
		args = append(args, id)
	}
	rows, err := s.db.QueryContext(ctx, query+` ORDER BY at, id`, args...)
	if err != nil {
		return nil, failure(op, err)
	}
	defer rows.Close()
	var events []penstock.Event
	for rows.Next() {
		var e penstock.Event
		var at int64
		if err := rows.Scan(&e.ID, &at, &e.Integration, &e.Name, &e.Kind, &e.Severity, &e.Message); err != nil {
			return nil, failure(op, err)
		}
		e.At = time.Unix(0, at).UTC()
		events = append(events, e)
	}
	return events, failure(op, rows.Err())
}

// PruneEvents implements penstock.Store.
func (s *Store) PruneEvents(ctx context.Context, before time.Time) error {
	const op = "prune events"
	err := s.write(ctx, op, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM events WHERE at < ?`, nanoseconds(before))
		return failure(op, err)
	})
	if err != nil {
		return err
	}
	return s.replenish(ctx)
}

// PutOrphan implements penstock.Store.
func (s *Store) PutOrphan(ctx context.Context, o penstock.Orphan) error {
	op := "put orphan " + string(o.Integration)
	document, err := json.Marshal(orphanDocument{Name: o.Name, Source: o.Source, Since: o.Since.UTC(), LastTry: o.LastTry.UTC(), LastError: o.LastError, ByHand: o.ByHand})
	if err != nil {
		return failure(op, err)
	}
	return s.write(ctx, op, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO orphans (integration, since, document) VALUES (?, ?, ?)`,
			o.Integration, nanoseconds(o.Since), string(document))
		return failure(op, err)
	})
}

// Orphans implements penstock.Store.
func (s *Store) Orphans(ctx context.Context) ([]penstock.Orphan, error) {
	const op = "list orphans"
	rows, err := s.db.QueryContext(ctx, `SELECT integration, document FROM orphans ORDER BY since, integration`)
	if err != nil {
		return nil, failure(op, err)
	}
	defer rows.Close()
	var orphans []penstock.Orphan
	for rows.Next() {
		var id, document string
		if err := rows.Scan(&id, &document); err != nil {
			return nil, failure(op, err)
		}
		var d orphanDocument
		if err := json.Unmarshal([]byte(document), &d); err != nil {
			return nil, failure(op, err)
		}
		orphans = append(orphans, penstock.Orphan{
			Integration: penstock.IntegrationID(id), Name: d.Name, Source: d.Source, Since: d.Since, LastTry: d.LastTry, LastError: d.LastError, ByHand: d.ByHand,
		})
	}
	return orphans, failure(op, rows.Err())
}

// DeleteOrphan implements penstock.Store.
func (s *Store) DeleteOrphan(ctx context.Context, id penstock.IntegrationID) error {
	const op = "delete orphan"
	return s.write(ctx, op, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM orphans WHERE integration = ?`, id)
		return failure(op, err)
	})
}

// nanoseconds returns a time as it is stored; the zero time is before all.
func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return math.MinInt64
	}
	return t.UnixNano()
}
