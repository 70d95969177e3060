package pgsource

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"

	"penstock"
)

var _ penstock.Locator = (*capture)(nil)

// locator asks the server where it is, by a connection of its own, so that it
// disturbs nobody.
type locator struct {
	mu     sync.Mutex
	conn   *pgx.Conn
	closed bool
}

const (
	shortPageHeader = 24 // SizeOfXLogShortPHD, of each page of the WAL
	longPageHeader  = 40 // SizeOfXLogLongPHD, of the first one of a segment
)

// Now implements penstock.Locator: where the next record of the WAL will be.
// A commit that has been answered has its record before it, also with
// synchronous_commit off.
func (c *capture) Now(ctx context.Context) (penstock.Position, error) {
	l := &c.locator
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return "", penstock.Errorf(penstock.KindInvalidState, "the capture of %s is closed", c.where())
	}
	if l.conn == nil || l.conn.IsClosed() {
		conn, err := c.source.connect(ctx, c.spec.Database)
		if err != nil {
			return "", err
		}
		l.conn = conn
	}
	var text string
	if err := l.conn.QueryRow(ctx, "SELECT pg_current_wal_insert_lsn()::text").Scan(&text); err != nil {
		return "", classify(err, "ask for the WAL position of "+c.where())
	}
	at, err := parseLSN(text)
	if err != nil {
		return "", err
	}
	// At a page's beginning that is behind the header, while the record before
	// ends where the page does: nothing is between.
	if in := at % pageSize; in == shortPageHeader || in == longPageHeader {
		at -= in
	}
	return position{lsn: at}.encode(), nil
}

func (l *locator) close(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.conn == nil {
		return nil
	}
	return l.conn.Close(ctx)
}

// Locate implements penstock.Locator: an LSN, as pg_current_wal_lsn() prints it.
func (c *capture) Locate(text string) (penstock.Position, error) {
	at, err := parseLSN(text)
	if err != nil {
		return "", &penstock.Error{Kind: penstock.KindInvalid, Message: err.Error(), Mend: "write it as pg_current_wal_lsn() does: 0/16B3748"}
	}
	return position{lsn: at}.encode(), nil
}

// Reached implements penstock.Locator.
func (c *capture) Reached(at, p penstock.Position) bool {
	a, err1 := decodePosition(at)
	b, err2 := decodePosition(p)
	return err1 == nil && err2 == nil && a.lsn >= b.lsn
}
