package pgsource

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"penstock"
)

// Check implements penstock.Source. With the zero filter it looks at all
// databases that the role may connect to, and all their tables.
func (s *Source) Check(ctx context.Context, f penstock.Filter) ([]penstock.Finding, error) {
	conn, err := s.connect(ctx, "")
	if state := sqlState(err); state == "28P01" || state == "28000" {
		return []penstock.Finding{s.noLogin(err)}, nil
	}
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if f.String() == "" {
		if f, err = s.everything(ctx, conn); err != nil {
			return nil, err
		}
	}
	databases := s.Databases(f)
	findings, err := s.checkServer(ctx, conn, len(databases))
	if err != nil {
		return nil, classify(err, "check "+s.at(""))
	}
	advice, err := s.advise(ctx, conn)
	if err != nil {
		return nil, classify(err, "check "+s.at(""))
	}
	findings = append(findings, advice...)
	for _, db := range databases {
		found, err := s.checkDatabase(ctx, db, f)
		if err != nil {
			return nil, err
		}
		findings = append(findings, found...)
	}
	return findings, nil
}

// everything returns a filter for all databases that hold users' tables.
func (s *Source) everything(ctx context.Context, conn *pgx.Conn) (penstock.Filter, error) {
	names, err := collect[string](ctx, conn, `SELECT datname::text FROM pg_database
		WHERE datallowconn AND NOT datistemplate AND has_database_privilege(oid, 'CONNECT') ORDER BY datname = 'postgres', datname`)
	if err != nil {
		return penstock.Filter{}, classify(err, "list the databases of "+s.at(""))
	}
	if len(names) > 1 && names[len(names)-1] == "postgres" {
		names = names[:len(names)-1] // empty by custom, where there are others
	}
	rules := make([]string, len(names))
	for i, n := range names {
		rules[i] = "include: " + n + ".*.*"
		if strings.ContainsFunc(n, func(r rune) bool {
			return !(r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
		}) {
			rules[i] = `include: "` + n + `".*.*`
		}
	}
	return s.ParseFilter(strings.Join(rules, ", "))
}

func setting(message, mend string, args ...any) penstock.Finding {
	return penstock.Finding{Code: penstock.ProblemSourceSetting, Severity: penstock.SeverityAttention, Message: fmt.Sprintf(message, args...), Mend: mend}
}

// checkServer looks at what holds for the whole server.
func (s *Source) checkServer(ctx context.Context, conn *pgx.Conn, streams int) (out []penstock.Finding, err error) {
	var walLevel, slots, senders, timeout string
	var used int
	var recovering, replication, super bool
	err = conn.QueryRow(ctx, `SELECT current_setting('wal_level'), current_setting('max_replication_slots'), current_setting('max_wal_senders'),
		current_setting('wal_sender_timeout'), (SELECT count(*) FROM pg_replication_slots), pg_is_in_recovery(), r.rolreplication, r.rolsuper
		FROM pg_roles r WHERE r.rolname = current_user`).Scan(&walLevel, &slots, &senders, &timeout, &used, &recovering, &replication, &super)
	if err != nil {
		return nil, err
	}
	if major := serverMajor(conn.PgConn()); major < minimumMajor {
		out = append(out, setting("PostgreSQL %d is too old: %d is the oldest that works", "", major, minimumMajor))
	}
	if recovering {
		out = append(out, setting("the server is a standby in recovery; name the primary in the source's url", ""))
	}
	if walLevel != "logical" {
		out = append(out, setting("wal_level is %s, but replication needs logical", "ALTER SYSTEM SET wal_level = 'logical'; then restart PostgreSQL", walLevel))
	}
	if n, _ := strconv.Atoi(slots); n-used < streams {
		out = append(out, setting("%d of %s replication slots are in use, and this filter needs %d more", fmt.Sprintf("ALTER SYSTEM SET max_replication_slots = %d; then restart PostgreSQL", used+streams+5), used, slots, streams))
	}
	if n, _ := strconv.Atoi(senders); n < streams+1 {
		out = append(out, setting("max_wal_senders is %s, and this filter needs %d", fmt.Sprintf("ALTER SYSTEM SET max_wal_senders = %d; then restart PostgreSQL", streams+10), senders, streams+1))
	}
	if !replication && !super {
		out = append(out, penstock.Finding{Code: penstock.ProblemSourceRights, Severity: penstock.SeverityAttention,
			Message: fmt.Sprintf("role %s may not replicate", s.base.User), Mend: replicationStatement(s.base.User)})
	}
	return out, nil
}

// checkDatabase looks at one database and at the tables in it.
func (s *Source) checkDatabase(ctx context.Context, database string, f penstock.Filter) (out []penstock.Finding, err error) {
	conn, err := s.connect(ctx, database)
	if state := sqlState(err); state == "3D000" || state == "42501" {
		p := penstock.Finding{Code: penstock.ProblemDatabaseMissing, Severity: penstock.SeverityAttention, Database: database,
			Message: fmt.Sprintf("database %s does not exist on source %s", database, s.name), Mend: "CREATE DATABASE " + quote(database)}
		if state == "42501" {
			p.Code, p.Mend = penstock.ProblemSourceRights, fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s", quote(database), quote(s.base.User))
			p.Message = fmt.Sprintf("role %s may not connect to database %s", s.base.User, database)
		}
		return []penstock.Finding{p}, nil
	}
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var create bool
	var encoding string
	if err := conn.QueryRow(ctx, `SELECT has_database_privilege(current_database(), 'CREATE'), current_setting('server_encoding')`).Scan(&create, &encoding); err != nil {
		return nil, classify(err, "check "+s.at(database))
	}
	if !create && s.publication == "" {
		out = append(out, penstock.Finding{Code: penstock.ProblemSourceRights, Severity: penstock.SeverityAttention, Database: database,
			Message: fmt.Sprintf("role %s may not create publications in database %s", s.base.User, database),
			Mend:    fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s", quote(database), quote(s.base.User))})
	}
	if encoding == "SQL_ASCII" {
		out = append(out, penstock.Finding{Code: penstock.ProblemSourceSetting, Severity: penstock.SeverityWarning, Database: database,
			Message: fmt.Sprintf("database %s has the encoding SQL_ASCII, so text in it may be in any encoding; what is not UTF-8 cannot be carried", database)})
	}
	if s.publication != "" {
		found, err := s.checkPrepared(ctx, conn, database, f)
		return append(out, found...), err
	}
	rels, err := relations(ctx, conn, newTypeCache(), func(schema, name string) bool { return f.Match(database, schema, name) })
	if err != nil {
		return nil, classify(err, "read the catalog of "+s.at(database))
	}
	foreign, err := s.foreignPublications(ctx, conn, database)
	if err != nil {
		return nil, classify(err, "look up publications on "+s.at(database))
	}
	out = append(out, foreign...)
	carried, published := 0, create
	for i := range rels {
		r := &rels[i]
		out = append(out, tableFindings(r, database)...)
		if !r.carriable() {
			continue
		}
		carried++
		published = published && r.owned
		if !r.owned {
			mend := ownerStatement(r, s.base.User)
			out = append(out, penstock.Finding{Code: penstock.ProblemSourceRights, Severity: penstock.SeverityAttention, Database: database, Table: r.table.String(), Mend: mend,
				Message: fmt.Sprintf("table %s is not owned by %s, and only owners may publish a table", r.table.String(), s.base.User)})
		}
		if !r.readable {
			out = append(out, unreadable(r, database, s.base.User))
		}
	}
	if !published {
		out = append(out, news(advicePaste, database, publicationStatement("penstock", rels),
			"instead of giving role %s rights to publish, the owner of the tables may make a publication, which publication: penstock in the configuration has read", s.base.User))
	}
	out = append(out, penstock.Finding{Code: "TABLES", Severity: penstock.SeverityInfo, Database: database,
		Message: fmt.Sprintf("the filter selects %d tables in database %s", carried, database)})
	return out, nil
}

// replicationStatement lets a role make slots and stream.
func replicationStatement(role string) string {
	return fmt.Sprintf("ALTER ROLE %s REPLICATION", quote(role))
}

// unreadable says that a table cannot be loaded.
func unreadable(r *relation, database, role string) penstock.Finding {
	mend := fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s; GRANT SELECT ON %s TO %s", quote(r.table.Schema), quote(role), quote(r.table.Schema, r.table.Name), quote(role))
	return penstock.Finding{Code: penstock.ProblemSourceRights, Severity: penstock.SeverityAttention, Database: database, Table: r.table.String(), Mend: mend,
		Message: fmt.Sprintf("table %s cannot be read by role %s", r.table.String(), role)}
}

// kindNames are the words for relations that logical replication leaves out.
var kindNames = map[string]string{"f": "a foreign table", "v": "a view", "m": "a materialized view"}

// tableFindings says what a user should know about one table.
func tableFindings(r *relation, database string) (out []penstock.Finding) {
	t := r.table.String()
	finding := func(code penstock.ProblemCode, severity penstock.Severity, mend, format string, args ...any) {
		out = append(out, penstock.Finding{Code: code, Severity: severity, Database: database, Table: t, Mend: mend, Message: fmt.Sprintf(format, args...)})
	}
	switch {
	case kindNames[r.kind] != "":
		finding(penstock.ProblemUnsupportedTable, penstock.SeverityInfo, "", "%s is %s and is not replicated", t, kindNames[r.kind])
		return out
	case !r.logged:
		finding(penstock.ProblemUnsupportedTable, penstock.SeverityInfo, fmt.Sprintf("ALTER TABLE %s SET LOGGED", quote(r.table.Schema, r.table.Name)),
			"table %s is unlogged, so its changes are not in the WAL and it is not replicated", t)
		return out
	case len(r.table.Columns) == 0:
		finding(penstock.ProblemUnsupportedTable, penstock.SeverityInfo, "", "table %s has no columns that can be replicated", t)
		return out
	}
	if len(r.left) > 0 {
		finding(penstock.ProblemUnsupportedTable, penstock.SeverityWarning, "", "table %s: generated columns are left out that the source cannot compute for changed rows: %s", t, strings.Join(r.left, "; "))
	}
	if r.table.Identity == penstock.IdentityNone {
		name := quote(r.table.Schema, r.table.Name)
		if r.identity == "f" && r.virtual {
			finding(penstock.ProblemNoReplicaIdentity, penstock.SeverityWarning, fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY DEFAULT, with a primary key", name),
				"table %s has REPLICA IDENTITY FULL and virtual generated columns: PostgreSQL would refuse to update it if updates were published, so its inserts are replicated, an UPDATE or DELETE of it cannot be", t)
			return out
		}
		if len(r.computed) > 0 && r.identity != "n" && r.keyed {
			finding(penstock.ProblemNoReplicaIdentity, penstock.SeverityWarning, fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL", name),
				"table %s has a generated column in its key, which PostgreSQL before %d does not send with changed rows: its inserts are replicated, an UPDATE or DELETE of it cannot be", t, publishesGenerated)
			return out
		}
		if r.deferrable() {
			finding(penstock.ProblemNoReplicaIdentity, penstock.SeverityWarning, r.toIdentify(),
				"table %s has a DEFERRABLE primary key, which PostgreSQL does not take for a replica identity: its inserts are replicated, an UPDATE or DELETE of it cannot be", t)
			return out
		}
		if part := r.unidentified(); part != "" {
			identity := "FULL"
			if r.virtual { // and of no use together with whole rows
				identity = "DEFAULT"
			}
			finding(penstock.ProblemNoReplicaIdentity, penstock.SeverityWarning, fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY %s", part, identity),
				"table %s: its partition %s does not have the replica identity of the table, so inserts are replicated, an UPDATE or DELETE of it cannot be", t, part)
			return out
		}
		finding(penstock.ProblemNoReplicaIdentity, penstock.SeverityWarning, r.toIdentify(),
			"table %s has no primary key and no replica identity: its inserts are replicated, an UPDATE or DELETE of it cannot be", t)
	}
	return out
}

// deferrable reports whether nothing but that it is DEFERRABLE keeps the table's
// primary key from being its replica identity.
func (r *relation) deferrable() bool { return r.deferred && r.identity == "d" }

// toIdentify returns what gives a replica identity to a table that has none.
func (r *relation) toIdentify() string {
	name := quote(r.table.Schema, r.table.Name)
	if r.deferrable() {
		return fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL, or a primary key that is not DEFERRABLE", name)
	}
	return fmt.Sprintf("ALTER TABLE %s ADD PRIMARY KEY (…), or ALTER TABLE %s REPLICA IDENTITY FULL", name, name)
}
