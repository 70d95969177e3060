package sqlitestore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"penstock"
	"penstock/internal/failpoint"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is a penstock.Store in a SQLite file.
type Store struct {
	db      *sql.DB
	writing chan struct{} // held by the one that writes
	cache   cache
}

var _ penstock.Store = (*Store)(nil)

// Open opens the store in the file at path, which it makes if there is none,
// and brings its tables up to date. A file that a newer version has written is
// refused with KindInvalid.
func Open(ctx context.Context, path string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, failure("open metadata store", err)
	}
	// SQLite would make the file too, but says less when it cannot.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, failure("open metadata store", err)
	}
	f.Close()
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(" + checkpointPages + ")"},
	}.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, failure("open metadata store", err)
	}
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	if err = verify(ctx, db); err == nil {
		err = migrate(ctx, db)
	}
	if err != nil {
		db.Close()
		return nil, failure("open metadata store "+path, err)
	}
	s := &Store{db: db, writing: make(chan struct{}, 1)}
	if err := s.replenish(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

// verify finds damage now, while somebody looks, rather than at the first use
// of what is damaged. The file is small.
func verify(ctx context.Context, db *sql.DB) error {
	var finding string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&finding); err != nil {
		return err
	}
	if finding != "ok" {
		return damaged(errors.New(strings.Join(strings.Fields(strings.TrimPrefix(finding, "*** in database main ***")), " ")))
	}
	return nil
}

// damaged is the error of a file whose content is not what was written.
func damaged(cause error) *penstock.Error {
	return &penstock.Error{Kind: penstock.KindInvalid, Message: "the file is damaged", Err: cause,
		Mend: "restore it from a backup, or move it away to begin without any integration"}
}

func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > target {
		return &penstock.Error{
			Kind:    penstock.KindInvalid,
			Message: "the file was written by a newer version of Penstock",
			Mend:    "run that version, or restore a backup of the file",
		}
	}
	_, err = provider.Up(ctx)
	return err
}

// Close implements penstock.Store.
func (s *Store) Close() error { return failure("close metadata store", s.db.Close()) }

// write runs f in a transaction of which there is one at a time.
func (s *Store) write(ctx context.Context, op string, f func(*sql.Tx) error) error {
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return failure(op, err)
	}
	defer tx.Rollback() // does nothing after Commit
	if err := f(tx); err != nil {
		return err
	}
	if err := failpoint.Here(failpoint.StoreBeforeWrite); err != nil {
		return failure(op, err)
	}
	err = tx.Commit()
	_ = failpoint.Here(failpoint.StoreAfterWrite)
	s.cache.written.Add(1) // also after an error, which need not mean that nothing was written
	return failure(op, err)
}

// failure classifies an error of SQLite or the file system. One of a context
// stays what it is.
func failure(op string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	kind := penstock.KindOf(err)
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_CONSTRAINT:
			kind = penstock.KindConflict
		case sqlite3.SQLITE_FULL:
			return &penstock.Error{Kind: penstock.KindFull, Op: op, Message: "the disk that holds the metadata is full", Mend: "free space on the disk of data_dir"}
		case sqlite3.SQLITE_IOERR:
			return &penstock.Error{Kind: kind, Op: op, Err: err, Mend: "see whether the disk of data_dir is full or failing"}
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			d := damaged(e)
			d.Op = op
			return d
		case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY:
			kind = penstock.KindSetting
		}
	} else if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		kind = penstock.KindSetting
	}
	return &penstock.Error{Kind: kind, Op: op, Err: err}
}
