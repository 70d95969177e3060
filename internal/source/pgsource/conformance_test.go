package pgsource_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"penstock"
	"penstock/internal/source/pgsource"
	"penstock/internal/source/sourcetest"
	"penstock/internal/testdb/dbtest"
)

// subject lets the suite work with a PostgreSQL database.
type subject struct {
	db     *dbtest.Database
	source *pgsource.Source
}

// smallChunk is so small that the suite's tables have several chunks.
const smallChunk = 32 << 10

func TestConformance(t *testing.T) {
	t.Parallel()
	dbtest.EachVersion(t, func(t *testing.T, major int) {
		sourcetest.Run(t, func(t *testing.T) sourcetest.Subject {
			db := dbtest.SharedOf(t, major)
			source, err := pgsource.New(pgsource.Config{Name: "test", URL: db.URL(), DDLTrigger: pgsource.DDLTriggerOff, Loading: pgsource.Loading{Chunk: smallChunk}})
			if err != nil {
				t.Fatal(err)
			}
			return subject{db, source}
		})
	})
}

// TestConformanceTold has an event trigger tell of changes of shape.
func TestConformanceTold(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]string{"committed": "", "in progress": "&debug_logical_replication_streaming=immediate"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sourcetest.RunTold(t, func(t *testing.T) sourcetest.Subject {
				major := 0
				if settings != "" {
					major = 18
				}
				db := dbtest.SharedOf(t, major)
				source, err := pgsource.New(pgsource.Config{Name: "test", URL: db.URL() + settings})
				if err != nil {
					t.Fatal(err)
				}
				return subject{db, source}
			})
		})
	}
}

// TestConformanceStreamed has the server send transactions while they are in
// progress: as soon as they are large, or, where it can, all of them.
func TestConformanceStreamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		major    int
		settings string
	}{
		"large ones":   {0, "logical_decoding_work_mem=64kB"},
		"every change": {18, "debug_logical_replication_streaming=immediate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sourcetest.Run(t, func(t *testing.T) sourcetest.Subject {
				db := dbtest.SharedOf(t, c.major)
				source, err := pgsource.New(pgsource.Config{Name: "test", URL: db.URL() + "&" + c.settings, DDLTrigger: pgsource.DDLTriggerOff, Loading: pgsource.Loading{Chunk: smallChunk}})
				if err != nil {
					t.Fatal(err)
				}
				return subject{db, source}
			})
		})
	}
}

func (s subject) Source() penstock.Source { return s.source }
func (s subject) Database() string        { return s.db.Name }

func (s subject) Create(t *testing.T, table string, identity penstock.Identity) {
	key := ""
	if identity == penstock.IdentityKey {
		key = "PRIMARY KEY"
	}
	s.db.Exec(t, fmt.Sprintf(`CREATE TABLE %s (id int8 %s, n int8, body text)`, table, key), `ALTER TABLE `+table+` ALTER body SET STORAGE EXTERNAL`)
	if identity == penstock.IdentityFull {
		s.db.Exec(t, `ALTER TABLE `+table+` REPLICA IDENTITY FULL`)
	}
}

func (s subject) AddColumn(t *testing.T, table string) {
	s.db.Exec(t, `ALTER TABLE `+table+` ADD COLUMN more bool`)
}

func (s subject) Rename(t *testing.T, table, to string) {
	s.db.Exec(t, `ALTER TABLE `+table+` RENAME TO `+to)
}

func (s subject) Drop(t *testing.T, table string) { s.db.Exec(t, `DROP TABLE `+table) }

func (s subject) Touch(t *testing.T) {
	s.db.Exec(t, `SELECT pg_logical_emit_message(true, 'nobody', 'reads this')`)
}

// LosePositions makes the slots anew, as somebody may who finds one missing.
func (s subject) LosePositions(t *testing.T, id penstock.IntegrationID) {
	for _, slot := range s.query(t, `SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE 'penstock_' || $1 || '%'`, id.Short()) {
		s.db.EndSessions(t, `SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1`, slot)
		s.db.Exec(t, fmt.Sprintf(`SELECT pg_drop_replication_slot('%s')`, slot),
			fmt.Sprintf(`SELECT pg_create_logical_replication_slot('%s', 'pgoutput')`, slot))
	}
}

func (s subject) Left(t *testing.T, id penstock.IntegrationID) []string {
	return s.query(t, `SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE 'penstock_' || $1 || '%'
		UNION ALL SELECT pubname FROM pg_publication WHERE pubname LIKE 'penstock_' || $1 || '%'
		UNION ALL SELECT nspname FROM pg_namespace WHERE nspname LIKE 'penstock_' || $1 || '%'
		UNION ALL SELECT evtname FROM pg_event_trigger WHERE evtname LIKE 'penstock_' || $1 || '%'`, id.Short())
}

func (s subject) query(t *testing.T, sql string, args ...any) []string {
	t.Helper()
	rows, err := s.db.Conn(t).Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func (s subject) Rows(t *testing.T, table string) []sourcetest.Row {
	t.Helper()
	rows, err := s.db.Conn(t).Query(t.Context(), `SELECT id, n, body FROM `+table)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[sourcetest.Row])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s subject) Begin(t *testing.T) sourcetest.Tx {
	t.Helper()
	conn, err := s.db.Server.Conn(t.Context(), s.db.Name)
	if err != nil {
		t.Fatal(err)
	}
	x := &tx{t, conn}
	t.Cleanup(x.close)
	x.exec(`BEGIN`)
	return x
}

type tx struct {
	t    *testing.T
	conn *pgx.Conn
}

func (x *tx) exec(sql string, args ...any) {
	x.t.Helper()
	if _, err := x.conn.Exec(x.t.Context(), sql, args...); err != nil {
		x.t.Errorf("%.100s: %v", sql, err)
	}
}

func (x *tx) Insert(table string, rows ...sourcetest.Row) {
	x.t.Helper()
	var ids, ns []int64
	var bodies []string
	for _, r := range rows {
		ids, ns, bodies = append(ids, r.ID), append(ns, r.N), append(bodies, r.Body)
	}
	x.exec(`INSERT INTO `+table+` (id, n, body) SELECT * FROM unnest($1::int8[], $2::int8[], $3::text[])`, ids, ns, bodies)
}

func (x *tx) Update(table string, id int64, set map[string]any) {
	x.t.Helper()
	var columns []string
	for c := range set {
		columns = append(columns, c)
	}
	slices.Sort(columns)
	args := []any{id}
	for i, c := range columns {
		args = append(args, set[c])
		columns[i] = fmt.Sprintf("%s = $%d", c, len(args))
	}
	x.exec(`UPDATE `+table+` SET `+strings.Join(columns, ", ")+one(table), args...)
}

func (x *tx) Delete(table string, id int64) {
	x.t.Helper()
	x.exec(`DELETE FROM `+table+one(table), id)
}

// one selects one row of an id, which need not be unique.
func one(table string) string {
	return ` WHERE ctid = (SELECT ctid FROM ` + table + ` WHERE id = $1 LIMIT 1)`
}

func (x *tx) Truncate(table string) { x.exec(`TRUNCATE ` + table) }

func (x *tx) Commit() {
	x.exec(`COMMIT`)
	x.close()
}

func (x *tx) Rollback() {
	x.exec(`ROLLBACK`)
	x.close()
}

func (x *tx) close() { x.conn.Close(context.WithoutCancel(x.t.Context())) }
