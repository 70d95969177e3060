package pgsource

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"penstock"
)

// A publication that somebody prepared for us in every database. It is read
// and never altered, so that a role does that owns nothing. What it publishes,
// and of which tables, is what is carried: see membersOf.
type prepared struct {
	name string
	oid  uint32 // another if it was dropped and made again
	root bool   // changes to partitions are published as the parent's

	insert, update, delete, truncate bool
}

const preparedQuery = `SELECT oid, pubviaroot, pubinsert, pubupdate, pubdelete, pubtruncate FROM pg_publication WHERE pubname = $1`

// readPrepared looks the publication up. One that is not there, or does not
// publish what makes sense, is for somebody to mend.
func (s *Source) readPrepared(ctx context.Context, conn *pgx.Conn, database string) (*prepared, error) {
	p := &prepared{name: s.publication}
	err := conn.QueryRow(ctx, preparedQuery, p.name).Scan(&p.oid, &p.root, &p.insert, &p.update, &p.delete, &p.truncate)
	fault := &penstock.Error{Kind: penstock.KindSetting, Code: penstock.ProblemSourceSetting}
	switch {
	case err == pgx.ErrNoRows:
		fault.Message = fmt.Sprintf("publication %s does not exist in database %s of source %s", p.name, database, s.name)
		fault.Mend = fmt.Sprintf("CREATE PUBLICATION %s FOR TABLE … WITH (publish_via_partition_root = true), as penstock check prints it", quote(p.name))
	case err != nil:
		return nil, classify(err, "look up publication "+p.name+" on "+s.at(database))
	case !p.insert || p.update != p.delete:
		fault.Message = fmt.Sprintf("publication %s in database %s of source %s publishes %s: inserts are needed, and updates and deletes only together", p.name, database, s.name, p.publishes())
		fault.Mend = p.publishAll()
	default:
		return p, nil
	}
	return nil, fault
}

// publishes lists what is published, for messages.
func (p *prepared) publishes() string {
	var words []string
	for _, w := range []struct {
		on   bool
		word string
	}{{p.insert, "insert"}, {p.update, "update"}, {p.delete, "delete"}, {p.truncate, "truncate"}} {
		if w.on {
			words = append(words, w.word)
		}
	}
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

func (p *prepared) publishAll() string {
	return fmt.Sprintf("ALTER PUBLICATION %s SET (publish = 'insert, update, delete, truncate')", quote(p.name))
}

// member is a relation as the publication publishes it.
type member struct {
	oid       uint32
	partition bool
	token     string  // how it came to be a member: another once it has left and come back
	file      string  // where its rows are
	columns   []int16 // nil: all
	filter    string  // an expression; "" if all rows are published
}

// membersQuery: a table is a member by itself, by a table that it is a
// partition of, by a schema, or as all are. Column lists and row filters are
// those of the relation that is published; both came with version 15.
func membersQuery(major int) string {
	schemas, columns, filter := "", "NULL::int2[]", "NULL::text"
	if major >= 15 {
		schemas = ` UNION ALL SELECT 's' || x.oid FROM pg_publication_namespace x JOIN pg_class a ON a.relnamespace = x.pnnspid
			WHERE x.pnpubid = p.oid AND (a.oid = c.oid OR a.oid IN (SELECT pg_partition_ancestors(c.oid)))`
		columns, filter = "r.prattrs::int2[]", "pg_get_expr(r.prqual, r.prrelid)"
	}
	return `SELECT c.oid, c.relispartition,
	  COALESCE((SELECT string_agg(m.t, ',' ORDER BY m.t) FROM (
	    SELECT 't' || x.oid AS t FROM pg_publication_rel x
	    WHERE x.prpubid = p.oid AND (x.prrelid = c.oid OR x.prrelid IN (SELECT pg_partition_ancestors(c.oid)))` + schemas + `) m), 'all'),
	  COALESCE(pg_relation_filenode(c.oid)::text, ''), ` + columns + `, COALESCE(` + filter + `, '')
	FROM pg_publication p JOIN pg_publication_tables t ON t.pubname = p.pubname
	JOIN pg_namespace n ON n.nspname = t.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
	LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = c.oid
	WHERE p.pubname = $1`
}

func (p *prepared) members(ctx context.Context, conn *pgx.Conn) (map[uint32]*member, error) {
	rows, err := conn.Query(ctx, membersQuery(serverMajor(conn.PgConn())), p.name)
	if err != nil {
		return nil, err
	}
	members := map[uint32]*member{}
	var m member
	_, err = pgx.ForEachRow(rows, []any{&m.oid, &m.partition, &m.token, &m.file, &m.columns, &m.filter}, func() error {
		one := m
		one.columns = slices.Clone(m.columns)
		members[m.oid] = &one
		return nil
	})
	return members, err
}

// relationsIn returns the members of the publication that keep accepts, in the
// shape in which they are published.
func (p *prepared) relationsIn(ctx context.Context, conn *pgx.Conn, types *typeCache, keep func(schema, name string) bool) ([]relation, []*member, error) {
	members, err := p.members(ctx, conn)
	if err != nil {
		return nil, nil, err
	}
	var partitions []uint32
	for oid, m := range members {
		if m.partition {
			partitions = append(partitions, oid)
		}
	}
	rels, err := relations(ctx, conn, types, keep, partitions...)
	if err != nil {
		return nil, nil, err
	}
	var as []*member
	rels = slices.DeleteFunc(rels, func(r relation) bool { return members[r.oid] == nil })
	for i := range rels {
		m := members[rels[i].oid]
		p.shape(&rels[i], m)
		as = append(as, m)
	}
	return rels, as, nil
}

// shape makes of a relation what the publication has of it. That it left the
// publication and came back, or was emptied where that is not published, shows
// in Parts: what happened in between takes a load to get.
func (p *prepared) shape(r *relation, m *member) {
	t := &r.table
	t.Parts = strings.TrimSpace("published " + m.token + " " + t.Parts)
	if !p.truncate {
		t.Parts += " file " + m.file
	}
	if m.columns != nil {
		listed := func(c penstock.Column) bool { return slices.Contains(m.columns, int16(c.ID)) }
		var key []int
		var columns []penstock.Column
		for i, c := range t.Columns {
			if !listed(c) {
				continue
			}
			if slices.Contains(t.Key, i) {
				key = append(key, len(columns))
			}
			columns = append(columns, c)
		}
		if len(key) != len(t.Key) || t.Identity == penstock.IdentityFull && len(columns) != len(t.Columns) {
			t.Identity, key = penstock.IdentityNone, nil
		}
		t.Columns, t.Key = columns, key
	}
	if !p.update {
		t.Identity, t.Key = penstock.IdentityNone, nil
		r.unpublished = p.publishAll()
	}
}

// findings says what a user should know about the publication.
func (p *prepared) findings(rels []relation, members []*member, database string) (out []penstock.Finding) {
	finding := func(code penstock.ProblemCode, severity penstock.Severity, table, mend, format string, args ...any) {
		out = append(out, penstock.Finding{Code: code, Severity: severity, Database: database, Table: table, Mend: mend, Message: fmt.Sprintf(format, args...)})
	}
	if !p.update || !p.truncate {
		left := "updates and deletes"
		if p.update {
			left = "TRUNCATE"
		} else if !p.truncate {
			left = "updates, deletes and TRUNCATE"
		}
		finding(penstock.ProblemUnsupportedTable, penstock.SeverityWarning, "", p.publishAll(), "publication %s publishes %s only, so %s of its tables cannot be replicated", p.name, p.publishes(), left)
	}
	partition := ""
	for i := range rels {
		r, m := &rels[i], members[i]
		name := r.table.String()
		if m.partition && partition == "" {
			partition = name
		}
		var partial []string
		if m.columns != nil {
			partial = append(partial, "the columns that its column list has")
		}
		if m.filter != "" {
			partial = append(partial, "the rows that its row filter lets through, "+m.filter)
		}
		if len(partial) > 0 {
			finding(penstock.ProblemUnsupportedTable, penstock.SeverityWarning, name, "", "table %s is carried in part, since publication %s publishes no more: %s", name, p.name, strings.Join(partial, ", and "))
		}
		if !p.update || r.table.Identity != penstock.IdentityNone || !r.carriable() {
			continue
		}
		// Promise 4 is not ours to keep here.
		table := quote(r.table.Schema, r.table.Name)
		finding(penstock.ProblemNoReplicaIdentity, penstock.SeverityWarning, name, fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL, or take it out of the publication", table),
			"table %s has no replica identity and publication %s publishes its updates and deletes, so PostgreSQL refuses every UPDATE and DELETE of it", name, p.name)
	}
	if partition != "" && !p.root {
		finding(penstock.ProblemUnsupportedTable, penstock.SeverityWarning, "", fmt.Sprintf("ALTER PUBLICATION %s SET (publish_via_partition_root = true)", quote(p.name)),
			"publication %s publishes partitions by themselves, so each is a table of its own, as %s", p.name, partition)
	}
	return out
}

// rowFilters returns the filters by which the publication publishes rows, by
// the relation that it publishes.
func (c *capture) rowFilters(ctx context.Context, conn *pgx.Conn) (map[uint32]string, error) {
	if c.source.publication == "" {
		return nil, nil
	}
	p, err := c.source.readPrepared(ctx, conn, c.spec.Database)
	if err != nil {
		return nil, err
	}
	members, err := p.members(ctx, conn)
	filters := map[uint32]string{}
	for oid, m := range members {
		if m.filter != "" {
			filters[oid] = m.filter
		}
	}
	return filters, err
}

// selected returns the relations that are to be carried, and what is to be
// told about them: those that the filter selects and, where somebody prepared
// a publication, that has.
func (c *capture) selected(ctx context.Context, conn *pgx.Conn) ([]relation, []penstock.Finding, error) {
	keep := func(schema, name string) bool { return c.spec.Filter.Match(c.spec.Database, schema, name) }
	if c.source.publication == "" {
		rels, err := relations(ctx, conn, c.types, keep)
		if err != nil {
			return nil, nil, classify(err, "read the catalog of "+c.where())
		}
		var findings []penstock.Finding
		for i := range rels {
			findings = append(findings, tableFindings(&rels[i], c.spec.Database)...)
		}
		return rels, findings, nil
	}
	p, err := c.source.readPrepared(ctx, conn, c.spec.Database)
	if err != nil {
		return nil, nil, err
	}
	if c.prepared && c.publication != p.oid {
		// Prepare finds out that what was changed in between cannot be had.
		return nil, nil, penstock.Errorf(penstock.KindUnreachable, "publication %s on %s has been dropped and made again", p.name, c.where())
	}
	c.publication = p.oid
	rels, members, err := p.relationsIn(ctx, conn, c.types, keep)
	if err != nil {
		return nil, nil, classify(err, "read the catalog of "+c.where())
	}
	findings := p.findings(rels, members, c.spec.Database)
	for i := range rels {
		for _, f := range tableFindings(&rels[i], c.spec.Database) {
			if f.Code != penstock.ProblemNoReplicaIdentity {
				findings = append(findings, f)
			}
		}
	}
	return rels, findings, nil
}

// publicationNames are those that the stream reads.
func (c *capture) publicationNames() []string {
	if c.source.publication != "" {
		return []string{c.source.publication}
	}
	return []string{publicationName(c.spec.Integration), appendPublicationName(c.spec.Integration)}
}
