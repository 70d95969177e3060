package pgwire

import (
	"context"
	"errors"

	"penstock"
	"penstock/internal/pgwire/redshift"
)

// transaction is the state of a session's transaction.
type transaction struct {
	open     bool // the engine is in a transaction
	implicit bool // which ends by itself, with the query string or the Sync
	failed   bool // only its end is accepted
	readOnly bool
}

func (t transaction) status() byte {
	switch {
	case t.failed:
		return 'E'
	case t.open && !t.implicit:
		return 'T'
	}
	return 'I'
}

var errAborted = &penstock.SQLError{
	State: "25P02", Message: "current transaction is aborted, commands ignored until end of transaction block",
}

// allowed refuses everything but the end of a failed transaction.
func (c *conn) allowed(a redshift.Action) error {
	if c.tx.failed && a.Command != redshift.Commit && a.Command != redshift.Rollback {
		return errAborted
	}
	return nil
}

// engineExec runs a statement without a result in the engine.
func (c *conn) engineExec(ctx context.Context, sql string) error {
	c.settle(ctx)
	ctx = c.running.begin(ctx, c.session, 0)
	return c.running.end(c.session.Exec(ctx, sql))
}

func (c *conn) begin(ctx context.Context, a redshift.Action) error {
	switch {
	case c.tx.open && !c.tx.implicit:
		c.notice("WARNING", "25001", "there is already a transaction in progress")
		return nil
	case !c.tx.open:
		if err := c.freshen(ctx); err != nil {
			return err
		}
		sql := "BEGIN"
		if a.ReadOnly {
			sql = "BEGIN READ ONLY"
		}
		if err := c.engineExec(ctx, sql); err != nil {
			return err
		}
	}
	c.tx = transaction{open: true, readOnly: a.ReadOnly}
	c.settings.begin()
	return nil
}

// beginImplicit begins a transaction that ends by itself, if none is open.
func (c *conn) beginImplicit(ctx context.Context, readOnly bool) error {
	if c.tx.open {
		return nil
	}
	if err := c.freshen(ctx); err != nil {
		return err
	}
	sql := "BEGIN"
	if readOnly {
		sql = "BEGIN READ ONLY"
	}
	if err := c.engineExec(ctx, sql); err != nil {
		return err
	}
	c.tx = transaction{open: true, implicit: true, readOnly: readOnly}
	c.settings.begin()
	return nil
}

// commit ends the transaction and returns the tag to answer with.
func (c *conn) commit(ctx context.Context) (string, error) {
	if c.tx.failed {
		return "ROLLBACK", c.rollback(ctx)
	}
	if !c.tx.open || c.tx.implicit {
		c.notice("WARNING", "25P01", "there is no transaction in progress")
	}
	return "COMMIT", c.commitOpen(ctx)
}

// commitOpen commits the transaction, if one is open.
func (c *conn) commitOpen(ctx context.Context) error {
	if !c.tx.open {
		return nil
	}
	c.closePortals()
	if err := c.engineExec(ctx, "COMMIT"); err != nil {
		// Whatever made it fail, the client's transaction is over.
		c.abandon(ctx)
		return err
	}
	c.tx = transaction{}
	c.settings.commit()
	c.reportSettings()
	return nil
}

func (c *conn) rollback(ctx context.Context) error {
	if !c.tx.open {
		c.notice("WARNING", "25P01", "there is no transaction in progress")
		return nil
	}
	c.abandon(ctx)
	return nil
}

// abandon rolls the open transaction back.
func (c *conn) abandon(ctx context.Context) {
	c.closePortals()
	if err := c.engineExec(ctx, "ROLLBACK"); err != nil {
		// An engine that failed in a transaction may have ended it itself.
		c.log.Debug("rollback failed", "error", err)
	}
	c.tx = transaction{}
	c.settings.rollback()
	c.reportSettings()
}

// fail tells the client about an error and does to the transaction what an
// error does: an implicit one is rolled back, an explicit one has failed.
func (c *conn) fail(ctx context.Context, err error) {
	if errors.Is(err, causeShutdown) {
		c.out.err = c.refuse(causeShutdown) // nothing is sent after it
		return
	}
	c.sendError("ERROR", asSQLError(err))
	switch {
	case c.tx.open && c.tx.implicit:
		c.abandon(ctx)
	case c.tx.open:
		c.tx.failed = true
		c.closePortals()
	}
}
