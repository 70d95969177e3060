package question

import (
	"context"
	"fmt"

	"penstock/bench/lab"
)

// mix is a backlog of changes: of each ten, four insert, five update and one
// deletes. Updates are spread uniformly over the first rows of the table but
// those that get deleted, and hit each row once in a round.
type mix struct {
	rows    int64 // of the table before; a multiple of ten
	changes int64
	perTx   int64 // a multiple of ten, or 1
}

// Keys: of the rows 1..rows those that are a multiple of ten are for deletes,
// then those that the backlog itself has inserted, every third; the others are
// for updates. stride is coprime with 900,000 and thus scatters.
const backlogProcedure = `
CREATE PROCEDURE backlog(base bigint, changes bigint, per bigint) LANGUAGE plpgsql AS $body$
DECLARE
	n bigint := 0; -- changes so far
	ins bigint := 0; upd bigint := 0; del bigint := 0;
	i bigint; u bigint; d bigint;
	stride CONSTANT bigint := 556207;
	living CONSTANT bigint := base / 10 * 9;
	doomed CONSTANT bigint := base / 10;
BEGIN
	WHILE n < changes LOOP
		IF per = 1 THEN
			i := (n %% 10 IN (0, 3, 5, 8))::int; d := (n %% 10 = 9)::int; u := 1 - i - d;
		ELSE
			i := per / 10 * 4; u := per / 10 * 5; d := per / 10;
		END IF;
		IF i > 0 THEN
			INSERT INTO orders SELECT %s FROM generate_series(base + ins + 1, base + ins + i) g;
		END IF;
		IF u > 0 THEN
			UPDATE orders SET amount = amount + 1, status = (status + 1) %% 7, note = md5(id::text || amount::text)
			WHERE id = ANY (ARRAY(SELECT x / 9 * 10 + x %% 9 + 1 FROM (SELECT (g * stride) %% living AS x FROM generate_series(upd + 1, upd + u) g) s));
		END IF;
		IF d > 0 THEN
			DELETE FROM orders
			WHERE id = ANY (ARRAY(SELECT CASE WHEN g <= doomed THEN g * 10 ELSE base + (g - doomed) * 3 END FROM generate_series(del + 1, del + d) g));
		END IF;
		COMMIT;
		ins := ins + i; upd := upd + u; del := del + d; n := n + per;
	END LOOP;
END $body$`

// schema makes the table and what marks the end of a backlog, in a database.
func (m mix) schema(ctx context.Context, s *lab.Server, database string) error {
	if err := lab.Orders.Fill(ctx, s, database, m.rows); err != nil {
		return err
	}
	return s.Exec(ctx, database, "CREATE TABLE mark (id bigint PRIMARY KEY)", "INSERT INTO mark VALUES (0)")
}

// write writes the backlog, and after it the mark 1; it returns the position
// behind that. How many changes there are is checked against the server's own
// count.
func (m mix) write(ctx context.Context, s *lab.Server, database string) (end string, err error) {
	count := "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE relname = 'orders'"
	if err := s.Exec(ctx, database, "SELECT pg_stat_reset()", fmt.Sprintf(backlogProcedure, lab.Orders.Values())); err != nil {
		return "", err
	}
	// A procedure that commits must be called by itself.
	if err := s.Exec(ctx, database, "ALTER DATABASE "+database+" SET synchronous_commit = off"); err != nil {
		return "", err
	}
	if err := s.Exec(ctx, database, fmt.Sprintf("CALL backlog(%d, %d, %d)", m.rows, m.changes, m.perTx)); err != nil {
		return "", err
	}
	if err := s.Exec(ctx, database, "ALTER DATABASE "+database+" RESET synchronous_commit", "INSERT INTO mark VALUES (1)"); err != nil {
		return "", err
	}
	if end, err = s.Query(ctx, database, "SELECT pg_current_wal_lsn()"); err != nil {
		return "", err
	}
	// What pg_recvlogical stops at has to be passed by something.
	if err := s.Exec(ctx, database, "INSERT INTO mark VALUES (-1)", "CHECKPOINT"); err != nil {
		return "", err
	}
	got, err := s.Query(ctx, database, count)
	if want := fmt.Sprint(m.changes); err == nil && got != want {
		err = fmt.Errorf("the backlog has %s changes instead of %s", got, want)
	}
	return end, err
}
