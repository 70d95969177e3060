package pgsource

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"penstock"
)

// unseen notices updates and deletes of tables without replica identity.
// These are not published, since the server would refuse the application's
// statements if they were (promise 4); but a copy that has missed one is wrong
// and must not be called Synced. The server's statistics count them. They are
// a second or so behind, and are lost when the server crashes. The count at a
// load is kept with the table (Table.Missed), so that what happens while no
// capture looks is noticed later.
type unseen struct {
	first map[uint32]int64 // the count when the table was loaded, or first looked at

	mu       sync.Mutex
	forgiven []uint32 // whose count is to be looked at anew
}

var _ penstock.Forgiver = (*capture)(nil)

// Recall implements penstock.Forgiver.
func (c *capture) Recall(tables []penstock.Table) {
	u := &c.unseen
	for i := range tables {
		t := &tables[i]
		oid, err := tableOID(t.ID)
		if err == nil && c.source.publication == "" {
			c.recallMark(oid, t.Published)
		}
		if err != nil || t.Missed == 0 || t.Identity != penstock.IdentityNone {
			continue
		}
		if u.first == nil {
			u.first = map[uint32]int64{}
		}
		if _, known := u.first[oid]; !known {
			u.first[oid] = t.Missed - 1
		}
	}
}

// Forgive implements penstock.Forgiver. The next look counts from then on: what
// the statistics, which are a second behind, tell late of what came before is
// noticed once more, rather than anything overlooked.
func (c *capture) Forgive(ids []penstock.TableID) {
	c.unseen.mu.Lock()
	defer c.unseen.mu.Unlock()
	for _, id := range ids {
		if oid, err := tableOID(id); err == nil {
			c.unseen.forgiven = append(c.unseen.forgiven, oid)
		}
	}
}

// heed forgets the counts of tables that are forgiven.
func (u *unseen) heed() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, oid := range u.forgiven {
		delete(u.first, oid)
	}
	u.forgiven = u.forgiven[:0]
}

// unseenQuery: the statistics of a partitioned table are those of its partitions.
var unseenQuery = `SELECT o, pg_stat_get_tuples_updated(o) + pg_stat_get_tuples_deleted(o)
	+ COALESCE((SELECT sum(pg_stat_get_tuples_updated(t.relid) + pg_stat_get_tuples_deleted(t.relid)) FROM (` + fmt.Sprintf(leavesOf, "(SELECT p.oid FROM pg_class p WHERE p.oid = o AND p.relkind = 'p')") + `) t), 0)::int8
	FROM unnest($1::oid[]) o`

// look counts for rels what has been missed of them, and returns findings for
// those that were changed unseen since they were loaded.
func (u *unseen) look(ctx context.Context, conn *pgx.Conn, rels []relation, database string) ([]penstock.Finding, error) {
	u.heed()
	byOID := map[uint32]*relation{}
	var oids []uint32
	for i := range rels {
		if r := &rels[i]; r.carriable() && r.table.Identity == penstock.IdentityNone {
			byOID[r.oid] = r
			oids = append(oids, r.oid)
		}
	}
	if len(oids) == 0 {
		return nil, nil
	}
	rows, err := conn.Query(ctx, unseenQuery, oids)
	if err != nil {
		return nil, err
	}
	if u.first == nil {
		u.first = map[uint32]int64{}
	}
	var out []penstock.Finding
	var oid uint32
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&oid, &n}, func() error {
		byOID[oid].table.Missed = n + 1
		first, known := u.first[oid]
		if !known || n < first { // or the statistics have been reset
			u.first[oid] = n
		} else if n > first {
			r := byOID[oid]
			mend, why := r.toIdentify(), "has no replica identity"
			if part := r.unidentified(); part != "" {
				mend = fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL", part)
			}
			if r.unpublished != "" {
				why, mend = "is published for inserts only", r.unpublished
			}
			out = append(out, penstock.Finding{Code: penstock.ProblemUnseenChanges, Severity: penstock.SeverityAttention, Database: database, Table: r.table.String(), Mend: mend,
				Message: fmt.Sprintf("table %s %s and rows of it were updated or deleted, which cannot be replicated", r.table.String(), why)})
		}
		return nil
	})
	return out, err
}
