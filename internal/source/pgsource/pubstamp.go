package pgsource

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"penstock"
)

// A publication of ours is as we made it, or is put right: what the server has not
// sent while it was another cannot be had any more. So it says of itself since
// when it has been what it is to be, and tables remember that (Table.Published).

// stampFormat is the comment on a publication of ours: the transaction that
// altered its options last, which the catalog tells too, the one since which
// they have been what we want, and the name that we gave it. Whoever else alters the
// options, and be it for a moment, makes the first differ.
const stampFormat = stampPrefix + ", which puts right what others alter; altered last by transaction %d, complete since transaction %d" + stampName + "%s"

const (
	stampPrefix = "kept by Penstock"
	stampName   = ", named "
)

// A stamp is what the comment on a publication says.
type stamp struct {
	by, since int64
	name      string // "" in those of older versions
}

func readStamp(comment string) (s stamp, ok bool) {
	n, _ := fmt.Sscanf(comment, stampFormat, &s.by, &s.since, &s.name)
	return s, n >= 2
}

// pubOptions is how a publication publishes.
type pubOptions struct {
	insert, update, delete, truncate, root, generated bool
}

func (p publication) options() pubOptions {
	has := func(what string) bool { return strings.Contains(p.publish, what) }
	return pubOptions{has("insert"), has("update"), has("delete"), has("truncate"), true, true}
}

func (p publication) with(conn *pgx.Conn) string {
	return fmt.Sprintf("(publish = '%s', publish_via_partition_root = true%s)", p.publish, withGenerated(conn))
}

// A pubState is a publication of ours as the catalog has it.
type pubState struct {
	oid, owner uint32
	owned      bool  // by our role, which only then may alter it
	everything bool  // it is for all tables
	altered    int64 // the transaction that altered its options last
	comment    string
	pubOptions
}

// pubSeen is what a look has found of a publication.
type pubSeen struct {
	oid, owner     uint32
	altered, since int64
}

func readPublication(ctx context.Context, conn *pgx.Conn, name string) (s pubState, err error) {
	err = conn.QueryRow(ctx, `SELECT oid, pubowner, pg_has_role(pubowner, 'USAGE'), puballtables, xmin::text::int8, COALESCE(obj_description(oid, 'pg_publication'), ''),
		pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot, COALESCE(to_jsonb(p) ->> 'pubgencols' = 's', true) FROM pg_publication p WHERE pubname = $1`, name).
		Scan(&s.oid, &s.owner, &s.owned, &s.everything, &s.altered, &s.comment, &s.insert, &s.update, &s.delete, &s.truncate, &s.root, &s.generated)
	return s, err
}

// ensurePublication makes a publication, or puts its options right. It returns
// the transaction since which it has been what it is to be: another than before
// if somebody has altered it meanwhile; and whether it is ours to alter. One that
// is not, and is right as it is, is read on.
func (c *capture) ensurePublication(ctx context.Context, conn *pgx.Conn, p publication) (since int64, owned bool, err error) {
	is, err := readPublication(ctx, conn, p.name)
	switch {
	case err == pgx.ErrNoRows:
		since, err = c.createPublication(ctx, conn, p)
		return since, true, err
	case err != nil:
		return 0, false, classify(err, "look up publication "+p.name+" on "+c.where())
	case !is.owned:
		since, err = c.readForeign(ctx, conn, p, is)
	case is.everything:
		// It cannot be made another in place. Prepare finds out what that means.
		c.log.Warn("our publication was made anew by somebody, for all tables, and is dropped", "publication", p.name)
		if _, err := conn.Exec(ctx, "DROP PUBLICATION "+quote(p.name)); err != nil {
			return 0, false, classify(err, "drop publication "+p.name+" on "+c.where())
		}
		since, err = c.createPublication(ctx, conn, p)
		return since, true, err
	default:
		since, err = c.putRight(ctx, conn, p, is)
	}
	if err != nil {
		delete(c.seen, p.name)
		return 0, false, err
	}
	if c.seen == nil {
		c.seen = map[string]pubSeen{}
	}
	c.seen[p.name] = pubSeen{is.oid, is.owner, is.altered, since}
	return since, is.owned, nil
}

// putRight has a publication publish as it is to, and say since when it does.
func (c *capture) putRight(ctx context.Context, conn *pgx.Conn, p publication, is pubState) (since int64, err error) {
	if err := c.dropSchemas(ctx, conn, p.name); err != nil {
		return 0, err
	}
	before := c.seen[p.name]
	says, isStamped := readStamp(is.comment)
	switch right := is.pubOptions == p.options(); {
	case right && isStamped && says.by == is.altered && says.name == p.name:
		return says.since, nil
	case right && isStamped && says.by == is.altered:
		return stampPublication(ctx, conn, p.name, says.since)
	case right && before.oid == is.oid && before.owner != is.owner:
		// It is by another owner that its row of the catalog is another than a look
		// ago. While nobody looked, it may have been by more than that.
		c.log.Info("our publication has another owner", "publication", p.name)
		return stampPublication(ctx, conn, p.name, before.since)
	case right && !isStamped: // made by an older version of ours
		return stampPublication(ctx, conn, p.name, 0)
	}
	c.log.Warn("our publication was altered by somebody: it is put right, and its tables are loaded again", "publication", p.name)
	since, err = stamped(ctx, conn, p.name, "ALTER PUBLICATION "+quote(p.name)+" SET "+p.with(conn), 0)
	return since, classify(err, "put publication "+p.name+" on "+c.where()+" right")
}

// readForeign is putRight for a publication that is another role's, who has made it
// anew or was given it. It cannot be stamped, but for as long as the transaction
// that altered it last is the same, it is. since is as there.
func (c *capture) readForeign(ctx context.Context, conn *pgx.Conn, p publication, is pubState) (since int64, err error) {
	schemas, err := publishedSchemas(ctx, conn, p.name)
	if err != nil {
		return 0, classify(err, "look up publication "+p.name+" on "+c.where())
	}
	if is.everything || len(schemas) > 0 || is.pubOptions != p.options() {
		return 0, c.foreign(p.name, is.everything, schemas)
	}
	says, isStamped := readStamp(is.comment)
	switch before := c.seen[p.name]; {
	case before.oid == is.oid && (before.altered == is.altered || before.owner != is.owner):
		return before.since, nil
	case isStamped && says.by == is.altered:
		return says.since, nil
	}
	return is.altered, nil
}

// foreign says that a publication of ours has to be altered, and is another role's.
func (c *capture) foreign(name string, everything bool, schemas []string) *penstock.Error {
	return &penstock.Error{Kind: penstock.KindSetting, Code: penstock.ProblemSourceRights, Op: "put publication " + name + " on " + c.where() + " right",
		Message: fmt.Sprintf("it was altered or made anew by somebody, and the role %s does not own it", c.source.base.User), Mend: toOwn(name, c.source.base.User, everything, schemas)}
}

// toOwn returns the statements that give a publication to a role. One for all
// tables, or for schemas, can be a superuser's only.
func toOwn(name, role string, everything bool, schemas []string) string {
	if everything {
		return "DROP PUBLICATION " + quote(name)
	}
	give := fmt.Sprintf("ALTER PUBLICATION %s OWNER TO %s", quote(name), quote(role))
	if len(schemas) > 0 {
		return fmt.Sprintf("ALTER PUBLICATION %s DROP TABLES IN SCHEMA %s; %s", quote(name), strings.Join(schemas, ", "), give)
	}
	return give
}

// renamedPublications returns publications that captures of an integration have made
// and somebody has renamed since, and whether our role owns them.
func renamedPublications(ctx context.Context, conn *pgx.Conn, id penstock.IntegrationID) (owned map[string]bool, err error) {
	rows, err := conn.Query(ctx, `SELECT pubname::text, pg_has_role(pubowner, 'USAGE') FROM pg_publication, obj_description(oid, 'pg_publication') d(comment)
		WHERE starts_with(comment, $2) AND split_part(comment, $3, 2) = ANY($1) AND pubname <> ALL($1)`, []string{publicationName(id), appendPublicationName(id)}, stampPrefix, stampName)
	if err != nil {
		return nil, err
	}
	owned = map[string]bool{}
	var name string
	var own bool
	_, err = pgx.ForEachRow(rows, []any{&name, &own}, func() error {
		owned[name] = own
		return nil
	})
	return owned, err
}

// dropRenamed drops our publications that somebody has renamed. What took their place
// has had everything loaded again, and they are of no more use; those that it cannot
// drop are findings.
func (c *capture) dropRenamed(ctx context.Context, conn *pgx.Conn) (out []penstock.Finding, err error) {
	renamed, err := renamedPublications(ctx, conn, c.spec.Integration)
	if err != nil {
		return nil, classify(err, "look up publications on "+c.where())
	}
	for _, name := range slices.Sorted(maps.Keys(renamed)) {
		drop := "DROP PUBLICATION " + quote(name)
		if !renamed[name] {
			out = append(out, penstock.Finding{Code: penstock.ProblemSourceRights, Severity: penstock.SeverityWarning, Database: c.spec.Database, Mend: drop,
				Message: fmt.Sprintf("publication %s was Penstock's until somebody renamed it, is of no more use, and cannot be dropped as the role %s does not own it", name, c.source.base.User)})
			continue
		}
		c.log.Warn("our publication was renamed by somebody, and is dropped", "publication", name)
		if _, err := conn.Exec(ctx, drop); !passing(err) {
			return nil, classify(err, "drop publication "+name+" on "+c.where())
		}
	}
	return out, nil
}

// foreignPublications are findings about publications that captures have made, and
// that are another role's now. Those that are stamped as they are belong to that
// role, with a Penstock of its own.
func (s *Source) foreignPublications(ctx context.Context, conn *pgx.Conn, database string) (out []penstock.Finding, err error) {
	names, err := collect[string](ctx, conn, `SELECT pubname::text FROM pg_publication WHERE pubname ~ $1 AND NOT pg_has_role(pubowner, 'USAGE') ORDER BY pubname`, "^"+namePrefix+"[0-9a-f]{8}(_append)?$")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		p, err := readPublication(ctx, conn, name)
		if err == pgx.ErrNoRows {
			continue
		}
		if err != nil {
			return nil, err
		}
		if says, ok := readStamp(p.comment); ok && says.by == p.altered {
			continue
		}
		schemas, err := publishedSchemas(ctx, conn, name)
		if err != nil {
			return nil, err
		}
		out = append(out, penstock.Finding{Code: penstock.ProblemSourceRights, Severity: penstock.SeverityAttention, Database: database,
			Message: fmt.Sprintf("publication %s in database %s was given to another role than %s, or made anew by one", name, database, s.base.User), Mend: toOwn(name, s.base.User, p.everything, schemas)})
	}
	return out, nil
}

// dropSchemas takes schemas out of a publication, of which it has all tables then,
// also those that must not be published for updates (promise 4). What we publish
// ourselves is published all the time.
func (c *capture) dropSchemas(ctx context.Context, conn *pgx.Conn, name string) error {
	schemas, err := publishedSchemas(ctx, conn, name)
	if err == nil && len(schemas) > 0 {
		c.log.Warn("somebody has added schemas to our publication: they are taken out", "publication", name, "schemas", schemas)
		_, err = conn.Exec(ctx, "ALTER PUBLICATION "+quote(name)+" DROP TABLES IN SCHEMA "+strings.Join(schemas, ", "))
	}
	if passing(err) || sqlState(err) == "3F000" { // somebody else was first
		return nil
	}
	return classify(err, "take schemas out of publication "+name+" on "+c.where())
}

// publishedSchemas returns the schemas, quoted, that a publication has all tables of.
func publishedSchemas(ctx context.Context, conn *pgx.Conn, name string) ([]string, error) {
	if serverMajor(conn.PgConn()) < publishesSchemas {
		return nil, nil
	}
	return collect[string](ctx, conn, `SELECT quote_ident(n.nspname) FROM pg_publication p JOIN pg_publication_namespace s ON s.pnpubid = p.oid
		JOIN pg_namespace n ON n.oid = s.pnnspid WHERE p.pubname = $1`, name)
}

// publishesSchemas is the first version whose publications can have all tables of a schema.
const publishesSchemas = 15

// stampPublication takes down who altered a publication last: we did. since is 0
// if it is complete only since then.
func stampPublication(ctx context.Context, conn *pgx.Conn, name string, since int64) (int64, error) {
	var by int64
	if err := conn.QueryRow(ctx, `SELECT xmin::text::int8 FROM pg_publication WHERE pubname = $1`, name).Scan(&by); err != nil {
		return 0, fmt.Errorf("stamp publication %s: %w", name, err)
	}
	if since == 0 {
		since = by
	}
	if _, err := conn.Exec(ctx, "COMMENT ON PUBLICATION "+quote(name)+" IS '"+fmt.Sprintf(stampFormat, by, since, name)+"'"); err != nil {
		return 0, fmt.Errorf("stamp publication %s: %w", name, err)
	}
	return since, nil
}

// stamped makes or alters a publication, and takes that down, in one transaction.
// since is as in stampPublication.
func stamped(ctx context.Context, conn *pgx.Conn, name, sql string, since int64) (complete int64, err error) {
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
		complete, err = stampPublication(ctx, conn, name, since)
		return err
	})
	return complete, err
}

func (c *capture) createPublication(ctx context.Context, conn *pgx.Conn, p publication) (since int64, err error) {
	if c.prepared {
		// What was changed since it went cannot be had from the slot any more,
		// as the server looks for it as of then. Prepare finds that out.
		return 0, penstock.Errorf(penstock.KindUnreachable, "publication %s on %s has been dropped", p.name, c.where())
	}
	since, err = stamped(ctx, conn, p.name, "CREATE PUBLICATION "+quote(p.name)+" WITH "+p.with(conn), 0)
	if sqlState(err) == "42501" {
		return 0, &penstock.Error{Kind: penstock.KindSetting, Code: penstock.ProblemSourceRights, Op: "create publication " + p.name + " on " + c.where(), Err: inPlainWords(err),
			Mend: fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s", quote(c.spec.Database), quote(c.source.base.User))}
	}
	return since, classify(err, "create publication "+p.name+" on "+c.where())
}

// withGenerated is the option by which a publication has stored generated
// columns. It is more than convenient: the server refuses to update a table
// with one in its replica identity if the publication does not (promise 4).
func withGenerated(conn *pgx.Conn) string {
	if serverMajor(conn.PgConn()) < publishesGenerated {
		return ""
	}
	return ", publish_generated_columns = stored"
}

// forgetsPublished holds, by major version, the first minor version of which a
// walsender does not go on taking a table for unpublished after it has decoded
// a transaction that wrote to it before it was published. Versions after the
// last one listed never did.
var forgetsPublished = map[int]int{13: 21, 14: 18, 15: 13, 16: 9, 17: 5}

// refreshPublications has walsenders of servers with that fault look anew at
// what is published, once nobody is left who wrote to the tables before: by a
// change to the publications that changes nothing.
func (c *capture) refreshPublications(ctx context.Context, conn *pgx.Conn) error {
	if c.source.publication != "" {
		return nil // not ours to alter; Check tells
	}
	if fixed, ok := forgetsPublished[serverMajor(conn.PgConn())]; !ok || serverMinor(conn.PgConn()) >= fixed {
		return nil
	}
	for _, p := range c.publications() {
		since, owned, err := c.ensurePublication(ctx, conn, p) // what somebody altered is to be seen by the next look
		if err == nil && !owned {
			err = c.foreign(p.name, false, nil)
		}
		if err != nil {
			return fmt.Errorf("refresh publication %s: %w", p.name, err)
		}
		if _, err := stamped(ctx, conn, p.name, "ALTER PUBLICATION "+quote(p.name)+" SET (publish_via_partition_root = true)", since); err != nil {
			return fmt.Errorf("refresh publication %s: %w", p.name, err)
		}
	}
	return nil
}
