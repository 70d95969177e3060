package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver

	"penstock"
)

// Bounds of what is kept, of each kind of entry.
const (
	// Keep is how long: as long as Amazon Redshift keeps its SYS views.
	Keep = 7 * 24 * time.Hour
	// Limit is how many.
	Limit = 50_000
)

const (
	writeEvery = time.Second
	pruneEvery = time.Minute
	// maxWaiting bounds what has not been written yet, which is much only if it
	// cannot be written.
	maxWaiting = 20_000
)

// kind tells the entries apart.
type kind string

const (
	activities   kind = "activity"
	stateChanges kind = "state"
	badValues    kind = "bad"
)

// Journal is a journal in a file. It writes while Run runs.
type Journal struct {
	db    *sql.DB
	log   *slog.Logger
	limit int // Limit, or less in a test

	mu      sync.Mutex
	waiting []entry
	written chan struct{} // closed, and made anew, when everything waiting has been written or given up
	wake    chan struct{}
	stopped chan struct{} // closed when Run has ended
}

type entry struct {
	kind kind
	at   time.Time
	body any
}

var (
	_ penstock.Journal = (*Journal)(nil)
	_ penstock.History = (*Journal)(nil)
)

// Open opens the journal in the file at path. One that cannot be used is moved
// away, and a new one begun.
func Open(ctx context.Context, path string, log *slog.Logger) (*Journal, error) {
	db, err := open(ctx, path)
	if err != nil && ctx.Err() == nil {
		log.Warn("the journal cannot be used, a new one is begun", "file", path, "error", err)
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := os.Rename(path+suffix, path+".unusable"+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, penstock.Errorf(penstock.KindSetting, "move the journal away: %w", err)
			}
		}
		db, err = open(ctx, path)
	}
	if err != nil {
		return nil, penstock.Errorf(penstock.KindSetting, "open the journal %s: %w", path, err)
	}
	return &Journal{db: db, log: log, limit: Limit, written: make(chan struct{}), wake: make(chan struct{}, 1), stopped: make(chan struct{})}, nil
}

func open(ctx context.Context, path string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	f.Close()
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(OFF)"},
	}.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	_, err = db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS entries (
		id INTEGER PRIMARY KEY, kind TEXT NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL);
		CREATE INDEX IF NOT EXISTS entries_by_kind ON entries (kind, id)`)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// RecordActivity implements penstock.Journal.
func (j *Journal) RecordActivity(a penstock.Activity) { j.record(activities, a.Ended, a) }

// RecordState implements penstock.Journal.
func (j *Journal) RecordState(c penstock.StateChange) { j.record(stateChanges, c.At, c) }

// RecordBadValues implements penstock.Journal.
func (j *Journal) RecordBadValues(b penstock.BadValuesFound) { j.record(badValues, b.At, b) }

func (j *Journal) record(k kind, at time.Time, body any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.waiting) < maxWaiting {
		j.waiting = append(j.waiting, entry{k, at, body})
	}
}

// Run writes what is recorded until ctx ends, and then the rest. It is called
// once, and returns nil.
func (j *Journal) Run(ctx context.Context) error {
	defer close(j.stopped)
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	var pruned time.Time
	failing := false
	for {
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-j.wake:
		}
		err := j.write(context.WithoutCancel(ctx))
		if err == nil && time.Since(pruned) >= pruneEvery {
			pruned = time.Now()
			err = j.prune(context.WithoutCancel(ctx), pruned)
		}
		if err != nil && !failing {
			j.log.Warn("the journal cannot be written; what streams do meanwhile will be missing in the system views", "error", err)
		}
		failing = err != nil
		if ctx.Err() != nil {
			return nil
		}
	}
}

// write writes what waits, in one transaction. What cannot be written is lost.
func (j *Journal) write(ctx context.Context) error {
	j.mu.Lock()
	entries, done := j.waiting, j.written
	j.waiting, j.written = nil, make(chan struct{})
	j.mu.Unlock()
	defer close(done)
	if len(entries) == 0 {
		return nil
	}
	tx, err := j.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	insert, err := tx.PrepareContext(ctx, "INSERT INTO entries (kind, at, body) VALUES (?, ?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	for _, e := range entries {
		body, err := json.Marshal(e.body)
		if err != nil {
			return err
		}
		if _, err := insert.ExecContext(ctx, e.kind, e.at.UnixMicro(), body); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// prune removes what is too old or too much.
func (j *Journal) prune(ctx context.Context, now time.Time) error {
	if _, err := j.db.ExecContext(ctx, "DELETE FROM entries WHERE at < ?", now.Add(-Keep).UnixMicro()); err != nil {
		return err
	}
	for _, k := range []kind{activities, stateChanges, badValues} {
		_, err := j.db.ExecContext(ctx, `DELETE FROM entries WHERE kind = ? AND id <= (
			SELECT id FROM entries WHERE kind = ? ORDER BY id DESC LIMIT 1 OFFSET ?)`, k, k, j.limit)
		if err != nil {
			return err
		}
	}
	return nil
}

// Close closes the file. What Run has not written is lost.
func (j *Journal) Close() error { return j.db.Close() }
