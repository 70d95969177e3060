package pgsource

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"penstock"
)

// A database may be renamed away, and another take its name: ours stays in the one
// that was read, where its slot keeps WAL. Positions tell databases apart by OID.

// leave removes what a position that was given up has left in a database that has
// another name now. One that the filter names is its own stream's to clear. What
// cannot be removed stays among the findings (leftSlots).
func (c *capture) leave(ctx context.Context, conn *pgx.Conn) error {
	if c.left == 0 {
		return nil
	}
	names, err := collect[string](ctx, conn, `SELECT datname::text FROM pg_database WHERE oid = $1`, c.left)
	if err != nil {
		return classify(err, "look up a database of "+c.where())
	}
	if len(names) == 0 || slices.Contains(c.source.Databases(c.spec.Filter), names[0]) {
		return nil
	}
	c.log.Info("the database that was read so far has another name, and what is ours is removed from it", "name", names[0])
	slots, err := collect[string](ctx, conn, `SELECT slot_name::text FROM pg_replication_slots WHERE datoid = $1 AND starts_with(slot_name::text, $2)`, c.left, slotPrefix(c.spec.Integration))
	if err == nil {
		err = dropNamedSlots(ctx, conn, slots)
	}
	if err == nil {
		err = c.source.forgetDatabase(ctx, names[0], c.spec.Integration)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		c.log.Warn("not all of it could be removed", "name", names[0], "error", err)
	}
	return nil
}

// leftSlots are findings about slots of the integration in databases that its filter
// does not name, in which nobody reads them.
func (c *capture) leftSlots(ctx context.Context, conn *pgx.Conn) (out []penstock.Finding, err error) {
	rows, err := conn.Query(ctx, `SELECT slot_name::text, database::text FROM pg_replication_slots
		WHERE starts_with(slot_name::text, $1) AND NOT temporary AND NOT active AND database <> ALL($2)`, slotPrefix(c.spec.Integration), c.source.Databases(c.spec.Filter))
	if err != nil {
		return nil, classify(err, "look up slots on "+c.where())
	}
	databases := map[string]string{} // by slot
	var slot, database string
	if _, err = pgx.ForEachRow(rows, []any{&slot, &database}, func() error {
		databases[slot] = database
		return nil
	}); err != nil {
		return nil, classify(err, "look up slots on "+c.where())
	}
	for _, slot := range slices.Sorted(maps.Keys(databases)) {
		out = append(out, penstock.Finding{Code: penstock.ProblemSourceUnclean, Severity: penstock.SeverityWarning, Database: c.spec.Database, Mend: dropSlotStatement(slot),
			Message: fmt.Sprintf("slot %s of the integration is in database %s, which the data filter does not name, and keeps WAL that is of no more use", slot, databases[slot])})
	}
	return out, nil
}

func dropSlotStatement(slot string) string {
	return fmt.Sprintf("SELECT pg_drop_replication_slot('%s')", slot)
}

// missing says more about a database that is not there than err does, if it is the one
// of the position under another name.
func (c *capture) missing(ctx context.Context, at penstock.Position, err error) error {
	p, bad := decodePosition(at)
	if bad != nil || penstock.ProblemOf(err) != penstock.ProblemDatabaseMissing {
		return err
	}
	conn, bad := c.source.connect(ctx, "")
	if bad != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var name string
	var slot bool
	bad = conn.QueryRow(ctx, `SELECT datname::text, EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $3 AND datoid = d.oid)
		FROM pg_database d, pg_control_system() WHERE d.oid = $1 AND system_identifier::text = $2`, p.database, p.system, p.slot).Scan(&name, &slot)
	if bad != nil || name == c.spec.Database {
		return err
	}
	sentence := fmt.Sprintf("database %s does not exist on source %s any more: it is called %s now", c.spec.Database, c.source.name, name)
	mend := fmt.Sprintf("ALTER DATABASE %s RENAME TO %s, or change the data filter", quote(name), quote(c.spec.Database))
	if slot {
		sentence += fmt.Sprintf(", and slot %s in it keeps WAL meanwhile", p.slot)
		mend += ", and " + dropSlotStatement(p.slot)
	}
	return &penstock.Error{Kind: penstock.KindSetting, Code: penstock.ProblemDatabaseMissing, Err: missingDatabase{err, sentence}, Mend: mend}
}
