package journal

import (
	"context"
	"encoding/json"

	"penstock"
)

// Activities implements penstock.History.
func (j *Journal) Activities(ctx context.Context) ([]penstock.Activity, error) {
	return read(ctx, j, activities, func(id int64, a *penstock.Activity) { a.ID = id })
}

// StateChanges implements penstock.History.
func (j *Journal) StateChanges(ctx context.Context) ([]penstock.StateChange, error) {
	return read(ctx, j, stateChanges, func(int64, *penstock.StateChange) {})
}

// BadValues implements penstock.History.
func (j *Journal) BadValues(ctx context.Context) ([]penstock.BadValuesFound, error) {
	return read(ctx, j, badValues, func(int64, *penstock.BadValuesFound) {})
}

// read returns the entries of a kind, with what has been recorded before the
// call. An entry that is not understood, of another version, is left out.
func read[T any](ctx context.Context, j *Journal, k kind, identify func(int64, *T)) ([]T, error) {
	j.flush(ctx)
	rows, err := j.db.QueryContext(ctx, "SELECT id, body FROM (SELECT id, body FROM entries WHERE kind = ? ORDER BY id DESC LIMIT ?) ORDER BY id", k, j.limit)
	if err != nil {
		return nil, penstock.Errorf(penstock.KindInternal, "read the journal: %w", err)
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		var id int64
		var body []byte
		if err := rows.Scan(&id, &body); err != nil {
			return nil, penstock.Errorf(penstock.KindInternal, "read the journal: %w", err)
		}
		var e T
		if json.Unmarshal(body, &e) != nil {
			continue
		}
		identify(id, &e)
		out = append(out, e)
	}
	if err := rows.Err(); err != nil {
		return nil, penstock.Errorf(penstock.KindInternal, "read the journal: %w", err)
	}
	return out, nil
}

// flush has Run write what waits, and waits for that, if it still runs.
func (j *Journal) flush(ctx context.Context) {
	j.mu.Lock()
	n, written := len(j.waiting), j.written
	j.mu.Unlock()
	if n == 0 {
		return
	}
	select {
	case j.wake <- struct{}{}:
	default:
	}
	select {
	case <-written:
	case <-j.stopped:
	case <-ctx.Done():
	}
}
