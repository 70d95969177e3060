package pgwire

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"penstock"
	"penstock/internal/pgwire/redshift"
)

// manage carries out a statement about a destination database. Its effect
// cannot be undone with a transaction, so it is refused inside one.
func (c *conn) manage(ctx context.Context, a redshift.Action) error {
	what := a.Tag
	switch a.Order.(type) {
	case redshift.RefreshTables, redshift.SetOptions:
		what += " … INTEGRATION"
	}
	switch {
	case c.tx.open:
		return &penstock.SQLError{State: "25001", Message: what + " cannot run inside a transaction block"}
	case !c.superuser:
		return &penstock.SQLError{State: "42501", Message: "permission denied: " + what + " is for superusers"}
	case c.server.cfg.Manager == nil:
		return &penstock.SQLError{State: "0A000", Message: "there are no integrations here"}
	}
	ctx = c.running.begin(ctx, c.session, c.settings.statementTimeout)
	var err error
	switch o := a.Order.(type) {
	case redshift.CreateDatabase:
		err = c.createDatabase(ctx, o)
	case redshift.SetOptions:
		err = c.setOptions(ctx, o)
	case redshift.RefreshTables:
		err = c.refreshTables(ctx, o)
	case redshift.DropDatabase:
		err = c.dropDatabase(ctx, o)
	case redshift.ChangeTable:
		err = c.changeTable(ctx, o)
	}
	return c.running.end(err)
}

// leaveTime is how long DROP DATABASE waits for sessions that are just ending.
const leaveTime = time.Second

func (c *conn) createDatabase(ctx context.Context, o redshift.CreateDatabase) error {
	if penstock.ReservedDatabase(o.Name) {
		return &penstock.SQLError{State: "42939", Message: fmt.Sprintf("the name %q is reserved", o.Name)}
	}
	if err := c.server.cfg.Manager.CreateDatabase(ctx, o.NewDatabase); err != nil {
		return withState(err, map[penstock.Kind]string{
			penstock.KindIntegrationNotFound: "42704", penstock.KindNotFound: "3D000", penstock.KindInvalid: "22023",
			penstock.KindAlreadyExists: "42710", penstock.KindConflict: "42P04",
		})
	}
	if len(o.Ignored) > 0 {
		c.notice("NOTICE", "00000", "no effect on a replicated database: "+strings.Join(o.Ignored, ", "))
	}
	return nil
}

func (c *conn) setOptions(ctx context.Context, o redshift.SetOptions) error {
	var err error
	if o.History == nil || o.Change != (penstock.OptionsChange{}) {
		err = c.server.cfg.Manager.SetOptions(ctx, o.Database, o.Change)
	}
	if err == nil && o.History != nil {
		err = c.setHistory(ctx, o.Database, *o.History)
	}
	if err == nil || penstock.KindOf(err) != penstock.KindNotFound {
		return err
	}
	// It is another thing not to be there than not to be replicated into.
	if names, listed := c.server.cfg.Warehouse.Databases(ctx); listed == nil && !slices.Contains(names, o.Database) {
		return noSuchDatabase(o.Database)
	}
	return err
}

// setHistory turns history mode on or off for tables that are there. Where
// nothing runs that could be switched, what was said about tables to come stands.
func (c *conn) setHistory(ctx context.Context, database string, h penstock.HistoryChange) error {
	switched, skipped, err := c.server.cfg.Manager.SetHistory(ctx, database, h)
	if err != nil {
		return err
	}
	state := map[bool]string{true: "on", false: "off"}[h.On]
	c.notice("NOTICE", "00000", "history mode is "+state+" for "+counted(switched, "more table"))
	if skipped > 0 {
		c.notice("WARNING", "01000", counted(skipped, "table")+" cannot be switched, not being Synced; see svv_integration_table_state, and say it again later")
	}
	return nil
}

// direct decides whether a statement about a table is one about a destination
// database, which is for superusers, and mostly not the engine's to carry out.
func (c *conn) direct(ctx context.Context, source redshift.Statement, a *redshift.Action) error {
	change, ok := a.Order.(redshift.ChangeTable)
	if !ok {
		return nil
	}
	if change.Database == "" {
		change.Database = c.database
	}
	switch {
	case change.Database == "dev", change.Table.Schema == "" && c.isTemporary(ctx, change.Table.Name):
	case change.Change == redshift.DeleteRows && !c.superuser:
		return &penstock.SQLError{State: "42501", Message: "permission denied: DELETE in a replicated database is for superusers"}
	case change.Change != redshift.DeleteRows && c.server.cfg.Manager != nil:
		a.Command, a.Tag, a.Order = redshift.Manage, source.Tag(), change
	}
	return nil
}

// isTemporary reports whether the session has a temporary table of that name,
// which comes before all others.
func (c *conn) isTemporary(ctx context.Context, name string) (is bool) {
	c.settle(ctx)
	ctx = c.running.begin(ctx, c.session, c.settings.statementTimeout)
	err := func() error {
		st, err := c.session.Prepare(ctx, "SELECT table_name FROM duckdb_tables() WHERE temporary AND lower(table_name) = lower($1)")
		if err != nil {
			return err
		}
		defer st.Close()
		result, err := st.Query(ctx, []*string{&name})
		if err != nil {
			return err
		}
		defer result.Close()
		rows, err := result.Next(ctx)
		is = rows != nil && rows.Len() > 0
		return err
	}()
	return c.running.end(err) == nil && is
}

// changeTable changes a table of a destination database.
func (c *conn) changeTable(ctx context.Context, o redshift.ChangeTable) error {
	err := c.server.cfg.Manager.ChangeTable(ctx, o)
	if err == nil {
		return nil
	}
	what := map[redshift.TableChange]string{redshift.TruncateTable: "TRUNCATE is for tables in history mode",
		redshift.DropTable: "DROP TABLE is for tables that are DroppedSource, and for histories that were left", redshift.RenameTable: "RENAME is for tables that are DroppedSource, and for histories that were left"}
	switch penstock.KindOf(err) {
	case penstock.KindInvalid:
		return &penstock.SQLError{State: "42501", Message: fmt.Sprintf("cannot change table %s: database %q is replicated into, and read-only", o.Table, o.Database),
			Detail: penstock.MessageOf(err) + ".", Hint: "In such a database, " + what[o.Change] + "."}
	case penstock.KindNotFound:
		if o.IfExists {
			c.notice("NOTICE", "00000", fmt.Sprintf("table %q does not exist, skipping", o.Table))
			return nil
		}
	}
	return withState(err, map[penstock.Kind]string{penstock.KindNotFound: "42P01", penstock.KindAlreadyExists: "42P07", penstock.KindInvalidState: "55000"})
}

func (c *conn) refreshTables(ctx context.Context, o redshift.RefreshTables) error {
	n, err := c.server.cfg.Manager.Refresh(ctx, o.Database, o.Refresh)
	switch {
	case err != nil:
		return err
	case n == 0 && o.Refresh.Scope == penstock.RefreshRemediable:
		c.notice("NOTICE", "00000", "nothing to remedy: no table that could be compared differs from its source")
	case n == 0:
		c.notice("NOTICE", "00000", "nothing to refresh: no such table, or each of them is being loaded already")
	default:
		c.notice("NOTICE", "00000", counted(n, "table")+" will be loaded again; see svv_integration_table_state")
	}
	return nil
}

// dropDatabase drops a database that nobody else is connected to; with FORCE
// whoever is has to go first. From the look on until the database is gone,
// nobody connects to it.
func (c *conn) dropDatabase(ctx context.Context, o redshift.DropDatabase) error {
	name, sessions := o.Database, &c.server.registry
	if name == "dev" {
		return &penstock.SQLError{State: "42809", Message: "cannot drop the database dev, which every warehouse has"}
	}
	if name == c.database {
		return &penstock.SQLError{State: "55006", Message: "cannot drop the currently open database", Hint: "Connect to another one, such as dev."}
	}
	others, ok := sessions.shutOff(name)
	if !ok {
		return &penstock.SQLError{State: "55006", Message: fmt.Sprintf("database %q is being dropped by another session", name)}
	}
	defer sessions.reopen(name)
	if n := len(others); n > 0 {
		inUse := &penstock.SQLError{State: "55006", Message: fmt.Sprintf("database %q is being accessed by other users", name),
			Detail: counted(n, "other session") + " connected to it.", Hint: "DROP DATABASE … FORCE ends them."}
		wait := leaveTime
		if o.Force {
			wait, inUse.Hint = c.server.cfg.ForceTimeout, ""
			for _, other := range others {
				c.log.Info("session ended for its database to be dropped", "database", name, "remote", other.remote, "by", c.user)
				other.drain()
				other.force()
			}
		}
		if left := sessions.awaitLeft(ctx, name, wait); left > 0 {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if o.Force {
				inUse.Detail = counted(left, "other session") + " could not be ended in time."
			}
			return inUse
		}
	}
	err := c.server.cfg.Manager.DropDatabase(ctx, name)
	if err == nil || penstock.KindOf(err) != penstock.KindNotFound {
		return err
	}
	if o.IfExists {
		c.notice("NOTICE", "00000", fmt.Sprintf("database %q does not exist, skipping", name))
		return nil
	}
	return noSuchDatabase(name)
}

func noSuchDatabase(name string) error {
	return &penstock.SQLError{State: "3D000", Message: fmt.Sprintf("database %q does not exist", name)}
}

// withState returns an error of the manager with the SQLSTATE for its kind, as
// far as states has one. What mends it becomes the hint.
func withState(err error, states map[penstock.Kind]string) error {
	state, ok := states[penstock.KindOf(err)]
	if !ok {
		return err
	}
	return &penstock.SQLError{State: state, Message: penstock.MessageOf(err), Hint: penstock.MendOf(err)}
}

// counted writes a number of things: "1 table", "2 tables".
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
