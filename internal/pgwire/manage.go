package pgwire

import (
	"context"
	"fmt"

	"penstock"
	"penstock/internal/pgwire/redshift"
)

// manage carries out a statement about an integration. Its effect cannot be
// undone with a transaction, so it is refused inside one.
func (c *conn) manage(ctx context.Context, a redshift.Action) error {
	switch {
	case c.tx.open:
		return &penstock.SQLError{State: "25001", Message: a.Tag + " … INTEGRATION cannot run inside a transaction block"}
	case !c.superuser:
		return &penstock.SQLError{State: "42501", Message: "must be superuser to alter the integration of a database"}
	case c.server.cfg.Manager == nil:
		return &penstock.SQLError{State: "0A000", Message: "there are no integrations here"}
	}
	o := a.Order
	ctx = c.running.begin(ctx, c.session, c.settings.statementTimeout)
	n, err := c.server.cfg.Manager.Refresh(ctx, o.Database, o.Refresh)
	if err = c.running.end(err); err != nil {
		return err
	}
	if n == 0 {
		c.notice("NOTICE", "00000", "nothing to refresh: no such table, or each of them is being loaded already")
		return nil
	}
	c.notice("NOTICE", "00000", fmt.Sprintf("%s will be loaded again; see svv_integration_table_state", tables(n)))
	return nil
}

func tables(n int) string {
	if n == 1 {
		return "1 table"
	}
	return fmt.Sprintf("%d tables", n)
}
