package pgsource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"penstock"
)

// What Check says beside what is wrong: settings that matter later, and what
// more rights would bring.

func news(code penstock.ProblemCode, database, mend, format string, args ...any) penstock.Finding {
	return penstock.Finding{Code: code, Severity: penstock.SeverityInfo, Database: database, Mend: mend, Message: fmt.Sprintf(format, args...)}
}

// Codes of what Check says for information only.
const (
	adviceSetting penstock.ProblemCode = "ADVICE_SETTING"
	adviceRights  penstock.ProblemCode = "ADVICE_RIGHTS"
	advicePaste   penstock.ProblemCode = "ADVICE_PUBLICATION"
)

// advise looks at settings and rights that replication does without.
func (s *Source) advise(ctx context.Context, conn *pgx.Conn) (out []penstock.Finding, err error) {
	var keep, sender, idle int64 // MB, ms, ms
	var keepShown, senderShown, idleShown string
	var super, stats bool
	err = conn.QueryRow(ctx, `SELECT
		(SELECT setting::int8 FROM pg_settings WHERE name = 'max_slot_wal_keep_size'), current_setting('max_slot_wal_keep_size'),
		(SELECT setting::int8 FROM pg_settings WHERE name = 'wal_sender_timeout'), current_setting('wal_sender_timeout'),
		COALESCE((SELECT setting::int8 FROM pg_settings WHERE name = 'idle_replication_slot_timeout'), 0), COALESCE(current_setting('idle_replication_slot_timeout', true), '0'),
		(SELECT rolsuper FROM pg_roles WHERE rolname = current_user), pg_has_role('pg_read_all_stats', 'USAGE')`).Scan(&keep, &keepShown, &sender, &senderShown, &idle, &idleShown, &super, &stats)
	if err != nil {
		return nil, err
	}
	if keep < 0 {
		out = append(out, news(adviceSetting, "", "ALTER SYSTEM SET max_slot_wal_keep_size = '64GB'; SELECT pg_reload_conf()",
			"max_slot_wal_keep_size is not set, so nothing bounds the WAL that is kept while Penstock is stopped; give it what the disk can spare"))
	} else {
		out = append(out, news(adviceSetting, "", "", "max_slot_wal_keep_size is %s: if more WAL than that has to be kept, all tables are loaded again", keepShown))
	}
	if sender > 0 && sender < 5000 {
		out = append(out, penstock.Finding{Code: penstock.ProblemSourceSetting, Severity: penstock.SeverityWarning, Mend: "ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf()",
			Message: fmt.Sprintf("wal_sender_timeout is %s, so short that a busy network can end the stream, which then begins anew", senderShown)})
	}
	if idle > 0 {
		out = append(out, news(adviceSetting, "", "", "idle_replication_slot_timeout is %s: if Penstock is stopped for longer, the slot is lost and all tables are loaded again", idleShown))
	}
	if !super && !stats {
		out = append(out, news(adviceRights, "", fmt.Sprintf("GRANT pg_read_all_stats TO %s", quote(s.base.User)),
			"role %s does not see what others do, so a transaction that is waited for is named without its age", s.base.User))
	}
	return out, nil
}

// noLogin says what to do about a role that cannot log in. The server does not
// tell whoever asks with a password whether there is such a role.
func (s *Source) noLogin(err error) penstock.Finding {
	f := penstock.Finding{Code: penstock.ProblemSourceRights, Severity: penstock.SeverityAttention, Message: penstock.MessageOf(err)}
	role, create := quote(s.base.User), fmt.Sprintf("CREATE ROLE %s LOGIN REPLICATION PASSWORD '…'", quote(s.base.User))
	switch refused := loginRefusal(err); refused {
	case refusedPassword:
		f.Message += fmt.Sprintf("; the password in the source's url is not that of role %s, or has expired, or there is no such role", s.base.User)
		f.Mend = fmt.Sprintf("ALTER ROLE %s PASSWORD '…'; or, if there is none: %s", role, create)
	case refusedRole:
		f.Mend = create
	case refusedLogin:
		f.Mend = fmt.Sprintf("ALTER ROLE %s LOGIN", role)
	case refusedAddress:
		f.Message += fmt.Sprintf("; pg_hba.conf of the server has to let role %s in from there, before any line that rejects it", s.base.User)
		f.Mend = fmt.Sprintf("add to pg_hba.conf: host all %s %s scram-sha-256; then SELECT pg_reload_conf()", role, cmp.Or(refusedFrom(err), "ADDRESS"))
	default:
		f.Message += fmt.Sprintf("; if there is no role %s yet, it has to be made, else check the password and pg_hba.conf", s.base.User)
		f.Mend = create
	}
	return f
}

// A refusal is why the server does not let a role in.
type refusal uint8

const (
	refusedSomehow refusal = iota // it says so in a language that we do not know
	refusedPassword
	refusedRole    // there is none
	refusedLogin   // the role may not
	refusedAddress // by pg_hba.conf
)

func loginRefusal(err error) refusal {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return refusedSomehow
	}
	switch {
	case pg.Code == "28P01":
		return refusedPassword
	case strings.Contains(pg.Message, "pg_hba.conf"):
		return refusedAddress
	case strings.Contains(pg.Message, "is not permitted to log in"):
		return refusedLogin
	case strings.HasPrefix(pg.Message, "role ") && strings.HasSuffix(pg.Message, "does not exist"):
		return refusedRole
	}
	return refusedSomehow
}

// refusedFrom returns the address, as pg_hba.conf has it, that we come from, as the
// server tells it; "" if it does not.
func refusedFrom(err error) string {
	_, after, _ := strings.Cut(penstock.MessageOf(err), `host "`)
	from, _, _ := strings.Cut(after, `"`)
	address, err := netip.ParseAddr(from)
	if err != nil {
		return ""
	}
	return netip.PrefixFrom(address, address.BitLen()).String()
}

// checkPrepared looks at the publication that the configuration names.
func (s *Source) checkPrepared(ctx context.Context, conn *pgx.Conn, database string, f penstock.Filter) (out []penstock.Finding, err error) {
	keep := func(schema, name string) bool { return f.Match(database, schema, name) }
	p, err := s.readPrepared(ctx, conn, database)
	if penstock.KindOf(err) == penstock.KindSetting && err != nil {
		finding := penstock.Finding{Code: penstock.ProblemSourceSetting, Severity: penstock.SeverityAttention, Database: database, Message: penstock.MessageOf(err), Mend: penstock.MendOf(err)}
		if strings.HasPrefix(finding.Mend, "CREATE") {
			rels, err := relations(ctx, conn, newTypeCache(), keep)
			if err != nil {
				return nil, classify(err, "read the catalog of "+s.at(database))
			}
			finding.Mend = publicationStatement(s.publication, rels)
		}
		return []penstock.Finding{finding}, nil
	}
	if err != nil {
		return nil, err
	}
	rels, members, err := p.relationsIn(ctx, conn, newTypeCache(), keep)
	if err != nil {
		return nil, classify(err, "read the catalog of "+s.at(database))
	}
	out = p.findings(rels, members, database)
	for i := range rels {
		if !rels[i].readable {
			out = append(out, unreadable(&rels[i], database, s.base.User))
		}
	}
	if fixed, ok := forgetsPublished[serverMajor(conn.PgConn())]; ok && serverMinor(conn.PgConn()) < fixed {
		out = append(out, penstock.Finding{Code: penstock.ProblemSourceSetting, Severity: penstock.SeverityWarning, Database: database,
			Message: fmt.Sprintf("PostgreSQL %d.%d may miss changes to a table that is added to a publication while it is written to", serverMajor(conn.PgConn()), serverMinor(conn.PgConn())),
			Mend:    fmt.Sprintf("upgrade it to %d.%d or later", serverMajor(conn.PgConn()), fixed)})
	}
	return append(out, news("TABLES", database, "", "publication %s and the filter select %d tables in database %s", p.name, len(rels), database)), nil
}

// publicationStatement makes a publication of what can be published without
// harm: tables without replica identity could not be updated any more.
func publicationStatement(name string, rels []relation) string {
	var tables []string
	for i := range rels {
		if r := &rels[i]; r.carriable() && len(r.table.Columns) > 0 && r.table.Identity != penstock.IdentityNone {
			tables = append(tables, only(r)+quote(r.table.Schema, r.table.Name))
		}
	}
	if len(tables) == 0 {
		return fmt.Sprintf("CREATE PUBLICATION %s WITH (publish_via_partition_root = true)", quote(name))
	}
	return fmt.Sprintf("CREATE PUBLICATION %s FOR TABLE %s WITH (publish_via_partition_root = true)", quote(name), strings.Join(tables, ", "))
}
