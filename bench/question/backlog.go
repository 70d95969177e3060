package question

import (
	"context"
	"fmt"
	"strings"
	"time"

	"penstock/bench/lab"
)

// mix is a backlog of changes of one table: of each ten, four insert, five
// update and one deletes. Updates are scattered over the keys that are hit, and
// hit each of them once in a round.
type mix struct {
	table   lab.Table
	rows    int64 // of the table before; a multiple of ten
	changes int64
	perTx   int64 // a multiple of ten, or 1
	recent  bool  // only the last twentieth of the keys is hit, else all of them
}

// Of each ten keys that are hit, lowest+1 to lowest+span, one is for deletes,
// another one in a backlog of recent keys than in one of all, and eight are for
// updates. When those to delete are used up, every third key that the backlog
// itself has inserted is deleted. stride is coprime with all sizes in question
// and thus scatters.
const backlogProcedure = `
CREATE OR REPLACE PROCEDURE backlog(base bigint, lowest bigint, span bigint, gone bigint, changes bigint, per bigint) LANGUAGE plpgsql AS $body$
DECLARE
	n bigint := 0; -- changes so far
	ins bigint := 0; upd bigint := 0; del bigint := 0;
	i bigint; u bigint; d bigint;
	stride CONSTANT bigint := 556207;
	living CONSTANT bigint := span / 10 * 8;
	doomed CONSTANT bigint := span / 10;
BEGIN
	WHILE n < changes LOOP
		IF per = 1 THEN
			i := (n %% 10 IN (0, 3, 5, 8))::int; d := (n %% 10 = 9)::int; u := 1 - i - d;
		ELSE
			i := per / 10 * 4; u := per / 10 * 5; d := per / 10;
		END IF;
		IF i > 0 THEN
			INSERT INTO %[1]s SELECT %[2]s FROM generate_series(base + ins + 1, base + ins + i) g;
		END IF;
		IF u > 0 THEN
			UPDATE %[1]s SET %[3]s
			WHERE id = ANY (ARRAY(SELECT lowest + x / 8 * 10 + x %% 8 + 1 + (x %% 8 >= 4)::int FROM (SELECT (g * stride) %% living AS x FROM generate_series(upd + 1, upd + u) g) s));
		END IF;
		IF d > 0 THEN
			DELETE FROM %[1]s
			WHERE id = ANY (ARRAY(SELECT CASE WHEN g <= doomed THEN lowest + (g * stride) %% doomed * 10 + gone ELSE base + (g - doomed) * 3 END FROM generate_series(del + 1, del + d) g));
		END IF;
		COMMIT;
		ins := ins + i; upd := upd + u; del := del + d; n := n + per;
	END LOOP;
END $body$`

// call returns the statement that writes the backlog once the procedure is
// there, onto a table whose highest key is base.
func (m mix) call(base int64) string {
	lowest, span, gone := int64(0), base/10*10, 10
	if m.recent {
		span = base / 200 * 10
		lowest, gone = (base-span)/10*10, 5
	}
	return fmt.Sprintf("CALL backlog(%d, %d, %d, %d, %d, %d)", base, lowest, span, gone, m.changes, m.perTx)
}

func (m mix) procedure() string {
	return fmt.Sprintf(backlogProcedure, m.table.Name, m.table.Values(), m.table.Touch)
}

// fill makes the table, and another that marks the ends of backlogs.
func (m mix) fill(ctx context.Context, s *lab.Server, database string) error {
	if err := m.table.Fill(ctx, s, database, m.rows); err != nil {
		return err
	}
	return s.Exec(ctx, database, makeMarks...)
}

var makeMarks = []string{"CREATE TABLE mark (id bigint PRIMARY KEY)", "INSERT INTO mark VALUES (0)"}

// write writes the backlog, and after it a mark; it returns the position behind
// that.
func (m mix) write(ctx context.Context, s *lab.Server, database string, mark int64) (end string, err error) {
	return writeBacklog(ctx, s, database, mark, m.changes, []string{m.procedure()}, []string{m.call(m.rows)})
}

// writeBacklog runs statements that make changes, each in a session of its
// own, and writes a mark. That there are as many changes as there should be is
// checked with the server's own count.
func writeBacklog(ctx context.Context, s *lab.Server, database string, mark, changes int64, prepare, work []string) (end string, err error) {
	if err := settle(ctx, s, database); err != nil {
		return "", err
	}
	if err := s.Exec(ctx, database, append([]string{"SELECT pg_stat_reset()", "ALTER DATABASE " + database + " SET synchronous_commit = off"}, prepare...)...); err != nil {
		return "", err
	}
	for _, sql := range work { // a procedure that commits must be called by itself
		if err := s.Exec(ctx, database, sql); err != nil {
			return "", err
		}
	}
	if err := s.Exec(ctx, database, "ALTER DATABASE "+database+" RESET synchronous_commit", fmt.Sprintf("INSERT INTO mark VALUES (%d)", mark)); err != nil {
		return "", err
	}
	if end, err = s.Query(ctx, database, "SELECT pg_current_wal_lsn()"); err != nil {
		return "", err
	}
	// What pg_recvlogical stops at has to be passed by something.
	if err := s.Exec(ctx, database, fmt.Sprintf("INSERT INTO mark VALUES (%d)", -mark), "CHECKPOINT"); err != nil {
		return "", err
	}
	if err := settle(ctx, s, database); err != nil {
		return "", err
	}
	got, err := s.Query(ctx, database, "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables WHERE relname <> 'mark'")
	if want := fmt.Sprint(changes); err == nil && got != want {
		err = fmt.Errorf("the backlog has %s changes instead of %s", got, want)
	}
	return end, err
}

// settle waits until no session of a database is left: what one has done is counted, at the
// latest, when the server ends it, which is after the client has left.
func settle(ctx context.Context, s *lab.Server, database string) error {
	return lab.Await(ctx, 10*time.Millisecond, "the sessions of "+database+" to end", func() (bool, error) {
		others, err := s.Query(ctx, database, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()")
		return others == "0", err
	})
}

// manyTables is a mix over several tables of the same shape, 100 rows of one
// table in each transaction, the tables in turn.
type manyTables struct {
	mix
	tables int
}

func (m manyTables) of(i int) lab.Table {
	t := m.table
	t.Name = fmt.Sprintf("%s_%04d", m.table.Name, i)
	return t
}

// fill makes the tables, which have rows together.
func (m manyTables) fill(ctx context.Context, s *lab.Server, database string) error {
	each := m.rows / int64(m.tables)
	var sql []string
	for i := range m.tables {
		t := m.of(i)
		sql = append(sql, t.Create(), "SET synchronous_commit = off; "+t.Insert(1, each))
	}
	return s.Exec(ctx, database, append(append(sql, "VACUUM (FREEZE, ANALYZE)"), makeMarks...)...)
}

// manyProcedure is backlogProcedure for tables in turn.
const manyProcedure = `
CREATE OR REPLACE PROCEDURE backlog(tables bigint, base bigint, changes bigint) LANGUAGE plpgsql AS $body$
DECLARE
	per CONSTANT bigint := 100;
	living CONSTANT bigint := base / 10 * 9;
	doomed CONSTANT bigint := base / 10;
	name text; r bigint; -- the table, and the how manieth transaction of it
BEGIN
	FOR k IN 0 .. changes / per - 1 LOOP
		name := '%[1]s_' || lpad((k %% tables)::text, 4, '0');
		r := k / tables;
		EXECUTE 'INSERT INTO ' || name || ' SELECT %[2]s FROM generate_series($1, $2) g' USING base + r * 40 + 1, base + r * 40 + 40;
		EXECUTE 'UPDATE ' || name || ' SET %[3]s WHERE id = ANY (ARRAY(SELECT x / 9 * 10 + x %% 9 + 1 FROM (SELECT (g * 556207) %% $3 AS x FROM generate_series($1, $2) g) s))'
			USING r * 50 + 1, r * 50 + 50, living;
		EXECUTE 'DELETE FROM ' || name || ' WHERE id = ANY (ARRAY(SELECT CASE WHEN g <= $3 THEN g * 10 ELSE $4 + (g - $3) * 3 END FROM generate_series($1, $2) g))'
			USING r * 10 + 1, r * 10 + 10, doomed, base;
		COMMIT;
	END LOOP;
END $body$`

func (m manyTables) write(ctx context.Context, s *lab.Server, database string, mark int64) (end string, err error) {
	quoted := func(sql string) string { return strings.ReplaceAll(sql, "'", "''") }
	procedure := fmt.Sprintf(manyProcedure, m.table.Name, quoted(m.table.Values()), quoted(m.table.Touch))
	return writeBacklog(ctx, s, database, mark, m.changes, []string{procedure},
		[]string{fmt.Sprintf("CALL backlog(%d, %d, %d)", m.tables, m.rows/int64(m.tables), m.changes)})
}
