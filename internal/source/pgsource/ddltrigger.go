package pgsource

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"penstock"
)

// DDLTrigger says whether changes of tables are told to the stream by an event
// trigger at the source.
type DDLTrigger uint8

const (
	// DDLTriggerAuto: where the role may make one, which takes a superuser, and no
	// publication was prepared.
	DDLTriggerAuto DDLTrigger = iota
	// DDLTriggerOff: never; one that is there is removed.
	DDLTriggerOff
)

//go:embed ddltrigger.sql
var triggerTemplate string

// triggerSettings are those of sessionSettings that say how values are printed.
var triggerSettings = []string{"datestyle", "timezone", "intervalstyle", "bytea_output", "extra_float_digits", "lc_monetary", "xmlbinary"}

// triggerEvents end the names of the event triggers.
var triggerEvents = []string{"_ddl", "_drop", "_rewrite"}

// triggerSQL returns the statements that make the event triggers of an
// integration. It asks the catalog what the driver asks it, so that a shape
// that is told and one that is found are the same.
func triggerSQL(id penstock.IntegrationID) string {
	var settings []string
	for _, name := range triggerSettings {
		settings = append(settings, fmt.Sprintf("SET %s = '%s'", name, sessionSettings[name]))
	}
	return strings.NewReplacer(
		"@NAME@", publicationName(id),
		"@LEAVES@", fmt.Sprintf(leavesOf, "r.oid"),
		"@SETTINGS@", strings.Join(settings, "\n"),
		"@RELATIONS@", "SELECT jsonb_agg(to_jsonb(q)) FROM ("+relationQuery+") AS q("+relationFields+") WHERE q.oid = ANY($2)",
		"@ATTRIBUTES@", "SELECT jsonb_agg(to_jsonb(q)) FROM ("+attributeQuery+") AS q("+attributeFields+")",
		"@TYPES@", "SELECT jsonb_agg(to_jsonb(q)) FROM ("+typeQuery+") AS q("+typeFields+")",
	).Replace(triggerTemplate)
}

// ensureTrigger makes the event triggers where it can, or removes them where it
// should, and takes note of whether there are any. Without them the stream is
// complete as well, but learns of changes of shape by the rows that follow, and
// by looking.
func (c *capture) ensureTrigger(ctx context.Context, conn *pgx.Conn) error {
	c.told.Store(false)
	id := c.spec.Integration
	there, stamp, err := readTrigger(ctx, conn, id)
	if err != nil {
		return classify(err, "look up event triggers on "+c.where())
	}
	// With a publication that somebody prepared nothing of ours is put there; and
	// what it leaves out, columns and rows, the triggers would not know.
	if c.source.trigger == DDLTriggerOff || c.source.publication != "" {
		if stamp != "" || there > 0 {
			return classify(dropTrigger(ctx, conn, id), "drop event triggers on "+c.where())
		}
		return nil
	}
	sql := triggerSQL(id)
	want := triggerStamp(id, sql)
	if there == len(triggerEvents) && stamp == want {
		c.told.Store(true)
		return nil
	}
	may, err := mayMakeTrigger(ctx, conn)
	if err != nil {
		return classify(err, "look up the role on "+c.where())
	}
	if !may {
		c.log.Info("changes of tables are found by looking, as event triggers take a superuser")
		return nil
	}
	schema := quote(publicationName(id))
	_, err = conn.Exec(ctx, "BEGIN; CREATE SCHEMA IF NOT EXISTS "+schema+"; "+sql+"; COMMENT ON SCHEMA "+schema+" IS '"+want+"'; COMMIT", pgx.QueryExecModeSimpleProtocol)
	if err == nil {
		c.told.Store(true)
		c.log.Info("event triggers made", "schema", publicationName(id))
		return nil
	}
	if sqlState(err) == "" {
		return classify(err, "make event triggers on "+c.where())
	}
	c.log.Warn("changes of tables are found by looking, as no event trigger could be made", "error", err)
	_, err = conn.Exec(ctx, "ROLLBACK")
	return classify(err, "make event triggers on "+c.where())
}

// keepTrigger makes the event triggers again if the stream relies on them, and
// somebody has dropped or disabled them. Where it cannot, it returns why. What
// they have not told meanwhile is found by looking, as without them: a shape that
// is another, and what Table.Stored tells. That needs no more than the look that
// this is called from.
func (c *capture) keepTrigger(ctx context.Context, conn *pgx.Conn) ([]penstock.Finding, error) {
	if !c.relied {
		return nil, nil
	}
	id := c.spec.Integration
	there, stamp, err := readTrigger(ctx, conn, id)
	if err != nil {
		return nil, classify(err, "look up event triggers on "+c.where())
	}
	inOrder := there == len(triggerEvents) && stamp == triggerStamp(id, triggerSQL(id))
	if was := c.told.Swap(inOrder); was && !inOrder {
		c.log.Warn("our event triggers were dropped or disabled by somebody", "schema", publicationName(id), "enabled", there)
	} else if !was && inOrder {
		c.log.Info("our event triggers are in order again", "schema", publicationName(id))
	}
	if !inOrder && c.remake {
		may, err := mayMakeTrigger(ctx, conn)
		if err == nil && may {
			err = c.ensureTrigger(ctx, conn)
			c.remake = c.told.Load() // a failure leaves a line in the server's log, and is not tried with each look
		}
		if err != nil {
			return nil, classify(err, "make event triggers on "+c.where())
		}
	}
	if c.told.Load() {
		c.remake = true
		return nil, nil
	}
	return []penstock.Finding{{Code: penstock.ProblemSourceRights, Severity: penstock.SeverityWarning, Database: c.spec.Database,
		Message: fmt.Sprintf("the event triggers of Penstock (schema %s) were dropped or disabled, and the role %s may not make them again: changes of tables are found by looking, and have more tables loaded again",
			publicationName(id), c.source.base.User),
		Mend: "ALTER ROLE " + quote(c.source.base.User) + " SUPERUSER; or set ddl_trigger: off for the source, and start Penstock again"}}, nil
}

func triggerStamp(id penstock.IntegrationID, sql string) string {
	return fmt.Sprintf("tells the stream of integration %s of changes of tables; version %x", id, sha256.Sum256([]byte(sql)))
}

// mayMakeTrigger reports whether the role may make event triggers.
func mayMakeTrigger(ctx context.Context, conn *pgx.Conn) (may bool, err error) {
	err = conn.QueryRow(ctx, `SELECT rolsuper OR EXISTS (SELECT FROM pg_roles s WHERE s.rolname = 'rds_superuser' AND pg_has_role(s.oid, 'MEMBER'))
		FROM pg_roles WHERE rolname = current_user`).Scan(&may)
	return may, err
}

// readTrigger returns how many of the event triggers there are, enabled, and
// what the schema of their function says of itself.
func readTrigger(ctx context.Context, conn *pgx.Conn, id penstock.IntegrationID) (there int, stamp string, err error) {
	err = conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM pg_event_trigger WHERE evtname = ANY($1) AND evtenabled = 'A')::int,
		COALESCE((SELECT COALESCE(obj_description(oid, 'pg_namespace'), 'nothing') FROM pg_namespace WHERE nspname = $2), '')`,
		triggerNames(id), publicationName(id)).Scan(&there, &stamp)
	return there, stamp, err
}

func triggerNames(id penstock.IntegrationID) (names []string) {
	for _, e := range triggerEvents {
		names = append(names, publicationName(id)+e)
	}
	return names
}

// dropTrigger removes the event triggers, and then what they call: not at
// once, as a statement that is under way may be about to call it.
func dropTrigger(ctx context.Context, conn *pgx.Conn, id penstock.IntegrationID) error {
	names, err := collect[string](ctx, conn, `SELECT evtname::text FROM pg_event_trigger WHERE evtname = ANY($1)`, triggerNames(id))
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := conn.Exec(ctx, "DROP EVENT TRIGGER IF EXISTS "+quote(name)); err != nil {
			return fmt.Errorf("event trigger %s: %w", name, err)
		}
	}
	schemas, err := collect[string](ctx, conn, `SELECT nspname::text FROM pg_namespace WHERE nspname = $1`, publicationName(id))
	if err != nil || len(schemas) == 0 {
		return err
	}
	if len(names) > 0 {
		if err := awaitStatements(ctx, conn); err != nil {
			return err
		}
	}
	if _, err := conn.Exec(ctx, "DROP SCHEMA IF EXISTS "+quote(publicationName(id))+" CASCADE"); err != nil {
		return fmt.Errorf("schema %s: %w", publicationName(id), err)
	}
	return nil
}

// awaitStatements waits until the statements that change tables at this moment
// have ended, but not for long.
func awaitStatements(ctx context.Context, conn *pgx.Conn) error {
	const holders = `SELECT DISTINCT pid || ' ' || query_start FROM pg_stat_activity a JOIN pg_locks l USING (pid)
		WHERE a.datname = current_database() AND a.state = 'active' AND a.pid <> pg_backend_pid() AND l.locktype = 'relation' AND l.granted
		  AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`
	before, err := collect[string](ctx, conn, holders)
	if err != nil {
		return err
	}
	return retryUntil(ctx, func() (bool, error) {
		now, err := collect[string](ctx, conn, holders)
		return !slices.ContainsFunc(before, func(s string) bool { return slices.Contains(now, s) }), err
	})
}
