package pgsource

import (
	"context"
	"errors"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"penstock"
)

// PostgreSQL, up to 18 at least, cannot decode every transaction while it is in
// progress. What a subtransaction did to the catalog before it was rolled back
// stays among what the server knows of the transaction (tuplecids in
// reorderbuffer.c). If something later in the transaction changes the same rows of
// the catalog, and the server is so far behind that it sees that it will, it takes
// the rows for deleted by what was rolled back: "could not map filenode … to
// relation OID", "pg_attribute catalog is missing …". Once the transaction has
// committed, it decodes it as it should.
//
// So where the server fails like that, it is asked to keep transactions to
// itself until they commit, as far as its history went then.

// wholeOnly remembers up to where transactions are to come whole, by database. It
// does so for as long as the process runs; forgotten, it is learnt again. The
// zero value is ready.
type wholeOnly struct {
	mu    sync.Mutex
	until map[string]lsn
}

// unknownEnd is where history ended, to be looked up before the next stream.
const unknownEnd = ^lsn(0)

func (w *wholeOnly) upto(database string) lsn {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.until[database]
}

func (w *wholeOnly) note(database string, until lsn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.until == nil {
		w.until = map[string]lsn{}
	}
	w.until[database] = until
}

// wanted reports whether a stream from a place on is to have transactions whole.
func (w *wholeOnly) wanted(ctx context.Context, pc *pgconn.PgConn, database string, from lsn) (bool, error) {
	until := w.upto(database)
	if until == unknownEnd {
		results, err := pc.Exec(ctx, `SELECT pg_current_wal_insert_lsn()`).ReadAll()
		if err != nil {
			return false, err
		}
		if len(results) != 1 || len(results[0].Rows) != 1 {
			return false, errMessage
		}
		if until, err = parseLSN(string(results[0].Rows[0][0])); err != nil {
			return false, err
		}
		w.note(database, until)
	}
	return from < until, nil
}

// undecodedInProgress makes of an error with which a stream ended that had asked
// for transactions in progress one after which it is tried again, without them,
// if they may be what the server could not decode.
func (c *capture) undecodedInProgress(err error) error {
	var server *pgconn.PgError
	if !errors.As(err, &server) || penstock.KindOf(err) != penstock.KindInternal {
		return err
	}
	c.source.whole.note(c.spec.Database, unknownEnd)
	c.log.Warn("the server cannot decode transactions while they are in progress, and is asked for whole ones", "error", server.Message)
	return penstock.Errorf(penstock.KindUnreachable, "the server on %s could not decode a transaction in progress: %w", c.where(), inPlainWords(server))
}
