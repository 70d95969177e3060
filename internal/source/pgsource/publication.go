package pgsource

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"penstock"
)

// Tables implements penstock.Capture: it looks at the catalog, brings the two
// publications in line with it, and returns what is published.
func (c *capture) Tables(ctx context.Context) ([]penstock.Table, []penstock.Finding, error) {
	conn, err := c.conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	rels, err := relations(ctx, conn, c.types, func(schema, name string) bool {
		return c.spec.Filter.Match(c.spec.Database, schema, name)
	})
	if err != nil {
		return nil, nil, classify(err, "read the catalog of "+c.where())
	}
	var findings []penstock.Finding
	byOID := map[uint32]*relation{}
	for i := range rels {
		r := &rels[i]
		findings = append(findings, tableFindings(r, c.spec.Database)...)
		if r.carriable() && len(r.table.Columns) > 0 {
			byOID[r.oid] = r
		}
	}
	missed, err := c.unseen.look(ctx, conn, rels, c.spec.Database)
	if err != nil {
		return nil, nil, classify(err, "read the statistics of "+c.where())
	}
	findings = append(findings, missed...)
	refused, err := c.publish(ctx, conn, byOID)
	if err != nil {
		return nil, nil, err
	}
	var tables []penstock.Table
	for i := range rels {
		r := &rels[i]
		if byOID[r.oid] == nil {
			continue
		}
		if err, ok := refused[r.oid]; ok {
			findings = append(findings, c.refusal(r, err))
			continue
		}
		if !r.readable {
			findings = append(findings, unreadable(r, c.spec.Database, conn.Config().User))
			continue
		}
		tables = append(tables, r.table)
	}
	return tables, findings, nil
}

// refusal says why a table could not be published.
func (c *capture) refusal(r *relation, err error) penstock.Finding {
	f := penstock.Finding{
		Code: penstock.ProblemTableFailed, Severity: penstock.SeverityAttention, Database: c.spec.Database, Table: r.table.String(),
		Message: fmt.Sprintf("table %s cannot be published: %v", r.table.String(), err),
	}
	if sqlState(err) == lockNotAvailable {
		f.Severity = penstock.SeverityWarning
		f.Message = fmt.Sprintf("table %s is locked by another session and will be added when it is not", r.table.String())
	}
	if sqlState(err) == "42501" {
		f.Code = penstock.ProblemSourceRights
		f.Mend = ownerStatement(r, c.source.base.User)
		f.Message = fmt.Sprintf("table %s cannot be published because the role %s does not own it", r.table.String(), c.source.base.User)
	}
	return f
}

// ownerStatement lets a role publish a table: only owners may. Membership in
// the owner's role is ownership too, and takes nothing from the application;
// membership in a superuser's role would be too much.
func ownerStatement(r *relation, role string) string {
	if r.owner != "" {
		return fmt.Sprintf("GRANT %s TO %s", quote(r.owner), quote(role))
	}
	return fmt.Sprintf("ALTER TABLE %s OWNER TO %s", quote(r.table.Schema, r.table.Name), quote(role))
}

// A publication of ours and what it publishes.
type publication struct {
	name    string
	publish string
	wants   func(*relation) bool
}

func (c *capture) publications() []publication {
	return []publication{
		{publicationName(c.spec.Integration), "insert, update, delete, truncate", func(r *relation) bool { return r.table.Identity != penstock.IdentityNone }},
		{appendPublicationName(c.spec.Integration), "insert, truncate", func(r *relation) bool { return r.table.Identity == penstock.IdentityNone }},
	}
}

// publish makes the publications hold exactly the relations, and returns those
// that could not be added, with the reason. What must leave a publication
// leaves first: a table that lost its replica identity must not stay published
// for updates a moment longer (promise 4).
func (c *capture) publish(ctx context.Context, conn *pgx.Conn, rels map[uint32]*relation) (refused map[uint32]error, err error) {
	refused = map[uint32]error{}
	missing := map[string][]*relation{}
	for _, p := range c.publications() {
		if err := c.ensurePublication(ctx, conn, p); err != nil {
			return nil, err
		}
		members, err := publicationMembers(ctx, conn, p.name)
		if err != nil {
			return nil, classify(err, "read publication "+p.name+" on "+c.where())
		}
		var drop []string
		for oid, name := range members {
			if r := rels[oid]; r == nil || !p.wants(r) {
				drop = append(drop, name)
			}
		}
		if len(drop) > 0 {
			if _, err := conn.Exec(ctx, "ALTER PUBLICATION "+quote(p.name)+" DROP TABLE "+strings.Join(drop, ", ")); err != nil && sqlState(err) != "42P01" && sqlState(err) != lockNotAvailable {
				return nil, classify(err, "take tables out of publication "+p.name+" on "+c.where())
			}
		}
		for oid, r := range rels {
			if _, ok := members[oid]; !ok && p.wants(r) {
				missing[p.name] = append(missing[p.name], r)
			}
		}
	}
	for name, add := range missing {
		if err := addTables(ctx, conn, name, add, refused); err != nil {
			return nil, classify(err, "add tables to publication "+name+" on "+c.where())
		}
	}
	return refused, nil
}

func (c *capture) ensurePublication(ctx context.Context, conn *pgx.Conn, p publication) error {
	var exists bool
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_publication WHERE pubname = $1)`, p.name).Scan(&exists); err != nil {
		return classify(err, "look up publication "+p.name+" on "+c.where())
	}
	if exists {
		return nil
	}
	_, err := conn.Exec(ctx, fmt.Sprintf("CREATE PUBLICATION %s WITH (publish = '%s', publish_via_partition_root = true)", quote(p.name), p.publish))
	if sqlState(err) == "42501" {
		return &penstock.Error{Kind: penstock.KindSetting, Code: penstock.ProblemSourceRights, Op: "create publication " + p.name + " on " + c.where(), Err: inPlainWords(err),
			Mend: fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s", quote(c.spec.Database), quote(c.source.base.User))}
	}
	return classify(err, "create publication "+p.name+" on "+c.where())
}

// publicationMembers returns the tables of a publication by OID, quoted.
func publicationMembers(ctx context.Context, conn *pgx.Conn, name string) (map[uint32]string, error) {
	rows, err := conn.Query(ctx, `SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname)
		FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
		JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.pubname = $1`, name)
	if err != nil {
		return nil, err
	}
	members := map[uint32]string{}
	var oid uint32
	var table string
	_, err = pgx.ForEachRow(rows, []any{&oid, &table}, func() error {
		members[oid] = table
		return nil
	})
	return members, err
}

// addChunk is how many tables are added with one statement.
const addChunk = 200

// addTables adds tables to a publication, many at a time, and one by one where
// that fails, to find out which ones cannot be.
func addTables(ctx context.Context, conn *pgx.Conn, name string, rels []*relation, refused map[uint32]error) error {
	for len(rels) > 0 {
		chunk := rels[:min(addChunk, len(rels))]
		rels = rels[len(chunk):]
		names := make([]string, len(chunk))
		for i, r := range chunk {
			names[i] = only(r) + quote(r.table.Schema, r.table.Name)
		}
		add := func(what string) error {
			_, err := conn.Exec(ctx, "ALTER PUBLICATION "+quote(name)+" ADD TABLE "+what)
			return err
		}
		err := add(strings.Join(names, ", "))
		if err == nil {
			continue
		}
		if sqlState(err) == "" {
			return err // not the server's answer: the connection broke
		}
		for i, r := range chunk {
			if err := add(names[i]); sqlState(err) != "" && sqlState(err) != "42710" {
				refused[r.oid] = err
			} else if err != nil && sqlState(err) == "" {
				return err
			}
		}
	}
	return nil
}

// only keeps a statement from reaching into tables that inherit from r;
// partitions, in contrast, belong to their parent.
func only(r *relation) string {
	if r.kind == "p" {
		return ""
	}
	return "ONLY "
}
