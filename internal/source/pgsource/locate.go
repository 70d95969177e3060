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

// Now implements penstock.Locator.
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
	return c.end(ctx, l.conn)
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

// Locate implements penstock.Locator: an LSN, as pg_current_wal_lsn() and
// pg_current_wal_insert_lsn() print it.
func (c *capture) Locate(text string) (penstock.Position, error) {
	at, err := parseLSN(text)
	if err != nil {
		return "", &penstock.Error{Kind: penstock.KindInvalid, Message: err.Error(), Mend: "write it as pg_current_wal_lsn() does: 0/16B3748"}
	}
	return position{lsn: at.beforeHeader()}.encode(), nil
}
