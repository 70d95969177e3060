package pgsource

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"penstock"
	"penstock/internal/failpoint"
)

// Tables implements penstock.Capture: it looks at the catalog, brings our two
// publications in line with it, unless one was prepared, and returns what is
// published. If a table goes away or gets another name while that is done, it
// looks again.
func (c *capture) Tables(ctx context.Context) (tables []penstock.Table, findings []penstock.Finding, err error) {
	conn, err := c.conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	for tries := 3; ; tries-- {
		var gone bool
		if tables, findings, gone, err = c.look(ctx, conn); err != nil || !gone || tries == 0 {
			return tables, findings, err
		}
	}
}

// look is one look; gone is set if a table was not there any more when it was to
// be published.
func (c *capture) look(ctx context.Context, conn *pgx.Conn) (tables []penstock.Table, findings []penstock.Finding, gone bool, err error) {
	rels, findings, err := c.selected(ctx, conn)
	if err != nil {
		return nil, nil, false, err
	}
	byOID := map[uint32]*relation{}
	for i := range rels {
		r := &rels[i]
		if r.carriable() && len(r.table.Columns) > 0 {
			byOID[r.oid] = r
		}
	}
	missed, err := c.unseen.look(ctx, conn, rels, c.spec.Database)
	if err != nil {
		return nil, nil, false, classify(err, "read the statistics of "+c.where())
	}
	findings = append(findings, missed...)
	left, err := c.leftSlots(ctx, conn)
	if err != nil {
		return nil, nil, false, err
	}
	findings = append(findings, left...)
	untold, err := c.keepTrigger(ctx, conn)
	if err != nil {
		return nil, nil, false, err
	}
	findings = append(findings, untold...)
	if err := failpoint.Here(failpoint.SourceBeforePublish); err != nil {
		return nil, nil, false, err
	}
	var refused map[uint32]error
	if c.source.publication == "" {
		var foreign []penstock.Finding
		if refused, foreign, err = c.publish(ctx, conn, byOID); err != nil {
			return nil, nil, false, err
		}
		findings = append(findings, foreign...)
	}
	if err := failpoint.Here(failpoint.SourceAfterPublish); err != nil {
		return nil, nil, false, err
	}
	for i := range rels {
		r := &rels[i]
		if byOID[r.oid] == nil {
			continue
		}
		if r.locked && refused[r.oid] == nil {
			findings = append(findings, c.refusal(r, &pgconn.PgError{Severity: "ERROR", Code: lockNotAvailable}))
			continue
		}
		if err, ok := refused[r.oid]; ok {
			gone = gone || isGone(err)
			findings = append(findings, c.refusal(r, err))
			continue
		}
		if !r.readable {
			findings = append(findings, unreadable(r, c.spec.Database, conn.Config().User))
			continue
		}
		tables = append(tables, r.table)
	}
	return tables, findings, gone, nil
}

// errRenamed is why a table is not in a publication to which its name was added:
// that is another's by now, which the next look takes out again.
var errRenamed = errors.New("another table has taken its name")

// isGone reports whether a statement failed because a table, or its schema, has
// been dropped, or has another name, or because a table is another than it was
// looked at as: the next look finds out.
func isGone(err error) bool {
	state := sqlState(err)
	return err == errRenamed || err == errIdentity || state == "42P01" || state == "3F000"
}

// refusal says why a table could not be published.
func (c *capture) refusal(r *relation, err error) penstock.Finding {
	f := penstock.Finding{
		Code: penstock.ProblemTableFailed, Severity: penstock.SeverityAttention, Database: c.spec.Database, Table: r.table.String(),
		Message: fmt.Sprintf("table %s cannot be published: %v", r.table.String(), err),
	}
	if err == errTakenOut {
		f.Severity = penstock.SeverityWarning
		f.Message = fmt.Sprintf("table %s was not in the publication for a time, or not with all of its changes, since somebody altered the publication or it had no replica identity, and must be loaded again", r.table.String())
	}
	if e := (*penstock.Error)(nil); errors.As(err, &e) { // the publication is not ours to alter
		f.Code, f.Mend = e.Code, e.Mend
	}
	if isGone(err) {
		f.Severity = penstock.SeverityWarning
		f.Message = fmt.Sprintf("table %s was dropped or renamed while it was looked at, and will be looked at again", r.table.String())
	}
	if sqlState(err) == lockNotAvailable {
		f.Severity = penstock.SeverityWarning
		f.Message = fmt.Sprintf("table %s is locked by another session and will be looked at when it is not", r.table.String())
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
	kind    string // in marks
	publish string
	wants   func(*relation) bool
}

func (c *capture) publications() []publication {
	return []publication{
		{publicationName(c.spec.Integration), "all", "insert, update, delete, truncate", func(r *relation) bool { return r.table.Identity != penstock.IdentityNone }},
		{appendPublicationName(c.spec.Integration), "append", "insert, truncate", func(r *relation) bool { return r.table.Identity == penstock.IdentityNone }},
	}
}

// publish makes the publications hold exactly the relations, as we have them,
// and returns those that could not be added, with the reason, and what there is to
// tell of the publications. What must leave a publication leaves first: a table that
// lost its replica identity must not stay published for updates a moment longer
// (promise 4).
func (c *capture) publish(ctx context.Context, conn *pgx.Conn, rels map[uint32]*relation) (refused map[uint32]error, findings []penstock.Finding, err error) {
	refused = map[uint32]error{}
	if findings, err = c.dropRenamed(ctx, conn); err != nil {
		return nil, nil, err
	}
	for _, p := range c.publications() {
		owned, err := c.publishIn(ctx, conn, p, rels, refused)
		if err != nil {
			return nil, nil, err
		}
		if !owned {
			f := c.foreign(p.name, false, nil)
			findings = append(findings, penstock.Finding{Code: f.Code, Severity: penstock.SeverityWarning, Database: c.spec.Database, Mend: f.Mend,
				Message: fmt.Sprintf("publication %s was given to another role than %s, or made anew by one: what it has is replicated, but no table can be added to it or taken out", p.name, c.source.base.User)})
		}
	}
	for oid := range c.takenOut {
		if c.takenOut[oid]--; c.takenOut[oid] < 0 {
			delete(c.takenOut, oid)
		} else if refused[oid] == nil {
			refused[oid] = errTakenOut
		}
	}
	return refused, findings, nil
}

// publishIn is publish for one of the publications. It returns whether that is ours
// to alter.
func (c *capture) publishIn(ctx context.Context, conn *pgx.Conn, p publication, rels map[uint32]*relation, refused map[uint32]error) (owned bool, err error) {
	since, owned, err := c.ensurePublication(ctx, conn, p)
	if err != nil {
		return false, err
	}
	members, err := publicationMembers(ctx, conn, p.name)
	if err != nil {
		return false, classify(err, "read publication "+p.name+" on "+c.where())
	}
	var drop []string
	for oid, m := range members {
		switch r := rels[oid]; {
		case r == nil || !p.wants(r):
			delete(c.marks, oid)
		case m.partial && r.owned && owned:
			c.log.Warn("table has a row filter or a column list in our publication, and is added to it anew", "publication", p.name, "table", r.table.String())
			delete(members, oid)
		default:
			continue
		}
		drop = append(drop, m.name)
	}
	if len(drop) > 0 && !owned {
		return false, c.foreign(p.name, false, nil)
	}
	if err := dropTables(ctx, conn, p.name, drop); err != nil {
		return false, classify(err, "take tables out of publication "+p.name+" on "+c.where())
	}
	var missing []*relation
	for oid, r := range rels {
		_, member := members[oid]
		switch {
		case !p.wants(r) || member:
		case !owned:
			refused[oid] = c.foreign(p.name, false, nil)
		case !r.owned:
			// Trying would fail, and leave an error in the server's log with each look.
			refused[oid] = &pgconn.PgError{Severity: "ERROR", Code: "42501", Message: "must be owner of table " + r.table.Name}
		default:
			missing = append(missing, r)
		}
	}
	if len(missing) > 0 {
		if err := addTables(ctx, conn, p.name, missing, refused); err != nil {
			return false, classify(err, "add tables to publication "+p.name+" on "+c.where())
		}
		if members, err = publicationMembers(ctx, conn, p.name); err != nil {
			return false, classify(err, "read publication "+p.name+" on "+c.where())
		}
	}
	for oid, r := range rels {
		if !p.wants(r) || refused[oid] != nil {
			continue
		}
		switch m, member := members[oid]; {
		case !member:
			refused[oid] = errRenamed
		case m.partial && !owned:
			refused[oid] = c.foreign(p.name, false, nil)
		case m.partial: // and locked, so that it could not be taken out
			refused[oid] = &pgconn.PgError{Severity: "ERROR", Code: lockNotAvailable}
		default:
			c.mark(r, fmt.Sprintf("%s %d %d", p.kind, m.row, since))
		}
	}
	return owned, nil
}

// mark takes note of how a table is published, and of whether it was in another
// way before, without our doing. One that is in the other publication now has
// another identity, and is loaded again for that.
func (c *capture) mark(r *relation, mark string) {
	if c.marks == nil {
		c.marks = map[uint32]string{}
	}
	if was := c.marks[r.oid]; was != "" && was != mark && strings.Fields(was)[0] == strings.Fields(mark)[0] {
		if c.takenOut == nil {
			c.takenOut = map[uint32]int{}
		}
		c.takenOut[r.oid] = takenOutLooks
	}
	c.marks[r.oid] = mark
	r.table.Published = mark
}

// recallMark takes over how a table was published when it was loaded.
func (c *capture) recallMark(oid uint32, mark string) {
	if mark == "" {
		return
	}
	if c.marks == nil {
		c.marks = map[uint32]string{}
	}
	c.marks[oid] = mark
}

// A membership is a table's place in a publication of ours.
type membership struct {
	name    string // of the table, quoted
	row     uint32 // of the catalog: another once the table has left and come back, or has another filter
	partial bool   // it has a row filter or a column list, which we never give it
}

// publicationMembers returns the tables of a publication by OID. Row filters and
// column lists came with version 15.
func publicationMembers(ctx context.Context, conn *pgx.Conn, name string) (map[uint32]membership, error) {
	partial := "false"
	if serverMajor(conn.PgConn()) >= 15 {
		partial = "r.prqual IS NOT NULL OR r.prattrs IS NOT NULL"
	}
	rows, err := conn.Query(ctx, `SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname), r.oid, `+partial+`
		FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
		JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.pubname = $1`, name)
	if err != nil {
		return nil, err
	}
	members := map[uint32]membership{}
	var oid uint32
	var m membership
	_, err = pgx.ForEachRow(rows, []any{&oid, &m.name, &m.row, &m.partial}, func() error {
		members[oid] = m
		return nil
	})
	return members, err
}

// errTakenOut: a table has left the publication without us, or was not wholly
// published, and changes to it may have been missed.
var errTakenOut = errors.New("it was taken out of the publication, or not wholly published")

// takenOutLooks is for how many looks at the tables that is said: the first
// may be the one that only has the pipeline look more closely.
const takenOutLooks = 3

// dropTables takes tables out of a publication, one by one where that fails:
// one that is locked, or gone, must not keep another in (promise 4).
func dropTables(ctx context.Context, conn *pgx.Conn, name string, tables []string) error {
	drop := func(what string) error {
		_, err := conn.Exec(ctx, "ALTER PUBLICATION "+quote(name)+" DROP TABLE "+what)
		return err
	}
	if len(tables) == 0 {
		return nil
	}
	err := drop(strings.Join(tables, ", "))
	if len(tables) > 1 && sqlState(err) != "" {
		err = nil
		for _, t := range tables {
			if e := drop(t); !passing(e) {
				err = e
			}
		}
	}
	if passing(err) {
		return nil
	}
	return err
}

// passing reports whether an error is none, or one that the next look at the
// tables takes care of: the table is gone, or is locked.
func passing(err error) bool {
	state := sqlState(err)
	return err == nil || state == "42P01" || state == "42704" || state == lockNotAvailable
}

// addChunk is how many tables are added with one statement.
const addChunk = 200

// addTables adds tables to a publication, many at a time, and one by one where
// that fails, to find out which ones cannot be.
func addTables(ctx context.Context, conn *pgx.Conn, name string, rels []*relation, refused map[uint32]error) error {
	for len(rels) > 0 {
		chunk := rels[:min(addChunk, len(rels))]
		rels = rels[len(chunk):]
		add := func(rels ...*relation) error {
			names := make([]string, len(rels))
			for i, r := range rels {
				names[i] = only(r) + quote(r.table.Schema, r.table.Name)
			}
			return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, "ALTER PUBLICATION "+quote(name)+" ADD TABLE "+strings.Join(names, ", ")); err != nil {
					return err
				}
				return sameIdentity(ctx, tx, rels)
			})
		}
		// Whoever waits for a lock while it has others may meet the application,
		// which does the same the other way round: so not for long, and one by one
		// else (promise 4).
		err := impatiently(ctx, conn, func() error { return add(chunk...) })
		if err == nil {
			continue
		}
		if sqlState(err) == "" && !errors.Is(err, errIdentity) {
			return err // not the server's answer: the connection broke
		}
		for _, r := range chunk {
			switch err := add(r); {
			case errors.Is(err, errIdentity):
				refused[r.oid] = errIdentity
			case sqlState(err) == "42710":
			case sqlState(err) != "":
				refused[r.oid] = err
			case err != nil:
				return err
			}
		}
	}
	return nil
}

// errIdentity: a table was changed since it was looked at.
var errIdentity = errors.New("its replica identity has changed")

// sameIdentity returns errIdentity if a table that the transaction has added to
// a publication, and so has locked, is not the one any more that it was looked
// at as: the server might refuse to update it now (promise 4).
func sameIdentity(ctx context.Context, tx pgx.Tx, rels []*relation) error {
	oids, identities, keyed, virtual := make([]uint32, len(rels)), make([]string, len(rels)), make([]bool, len(rels)), make([]bool, len(rels))
	for i, r := range rels {
		oids[i], identities[i], keyed[i], virtual[i] = r.oid, r.identity, len(r.table.Key) > 0, r.virtual
	}
	var changed bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (
		SELECT FROM unnest($1::oid[], $2::text[], $3::bool[], $4::bool[]) AS was(oid, identity, keyed, virtual) LEFT JOIN pg_class c ON c.oid = was.oid
		WHERE c.relreplident::text IS DISTINCT FROM was.identity
		OR was.keyed AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND (i.indisprimary OR i.indisreplident))
		OR NOT was.virtual AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attgenerated = 'v' AND NOT a.attisdropped))`,
		oids, identities, keyed, virtual).Scan(&changed)
	if err == nil && changed {
		err = errIdentity
	}
	return err
}

// only keeps a statement from reaching into tables that inherit from r;
// partitions, in contrast, belong to their parent.
func only(r *relation) string {
	if r.kind == "p" {
		return ""
	}
	return "ONLY "
}
