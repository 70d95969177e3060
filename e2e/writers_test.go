package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"penstock/internal/testdb"
)

// The tables that writers write to, one for each way in which a changed row is
// found: by its key, by all of it, not at all. Each with a total order.
var writtenTables = map[string]string{
	"keyed":  "SELECT id, n, v, big FROM keyed ORDER BY id",
	"whole":  "SELECT n, v FROM whole ORDER BY n, v",
	"append": "SELECT n, v FROM append ORDER BY n, v",
}

var writtenSchema = []string{
	"CREATE TABLE keyed (id int PRIMARY KEY, n int, v text, big text)",
	"CREATE TABLE whole (n int, v text)", "ALTER TABLE whole REPLICA IDENTITY FULL",
	"CREATE TABLE append (n int, v text)",
	// Values that are stored apart are missing in updates that leave them as they are.
	"ALTER TABLE keyed ALTER big SET STORAGE EXTERNAL",
	"INSERT INTO keyed SELECT g, 0, 'row ' || g, repeat('x', 3000) FROM generate_series(1, 2000) g",
	"INSERT INTO whole SELECT g % 100, 'twice' FROM generate_series(1, 200) g",
}

// writers write in the background, each transaction across all tables.
type writers struct {
	committed atomic.Int64
	cancel    context.CancelFunc
	running   sync.WaitGroup
}

// startWriters starts writers. They bear with failures, which the source's own
// restarts cause, unless strict is set.
func startWriters(t testing.TB, server *testdb.Server, database string, n int, strict bool) *writers {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	w := &writers{cancel: cancel}
	for range n {
		w.running.Go(func() {
			for ctx.Err() == nil {
				if err := w.write(ctx, server, database); err != nil && ctx.Err() == nil && strict {
					t.Errorf("the application was disturbed: %v", err)
					return
				}
			}
		})
	}
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *writers) stop() {
	w.cancel()
	w.running.Wait()
}

// awaitCommits waits until n more transactions have been committed.
func (w *writers) awaitCommits(t testing.TB, n int64) {
	t.Helper()
	enough := w.committed.Load() + n
	await(t, "the application to commit", func() bool { return w.committed.Load() >= enough })
}

func (w *writers) write(ctx context.Context, server *testdb.Server, database string) error {
	conn, err := server.Conn(ctx, database)
	if err != nil {
		time.Sleep(10 * time.Millisecond) // the server is being restarted
		return err
	}
	defer conn.Close(context.Background())
	for ctx.Err() == nil {
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return writeOnce(ctx, tx) })
		if err != nil && err != errRegretted {
			return err
		}
		w.committed.Add(1)
		time.Sleep(time.Duration(rand.IntN(4)) * time.Millisecond)
	}
	return nil
}

var errRegretted = errors.New("rolled back on purpose")

// writeOnce does some of everything. Rows are locked in the order of their
// keys, so that writers do not stand in each other's way.
func writeOnce(ctx context.Context, tx pgx.Tx) error {
	a := 1 + rand.IntN(1000)
	b := a + 1 + rand.IntN(900)
	for _, sql := range []string{
		fmt.Sprintf("UPDATE keyed SET n = n + 1, v = 'written ' || n WHERE id = %d", a),
		fmt.Sprintf("DELETE FROM keyed WHERE id = %d", b),
		fmt.Sprintf("INSERT INTO keyed VALUES (%d, 0, 'anew', repeat('y', %d)) ON CONFLICT DO NOTHING", b, rand.IntN(4000)),
		fmt.Sprintf("INSERT INTO append SELECT %d, 'v' || g FROM generate_series(1, 3) g", rand.IntN(1000)),
		fmt.Sprintf("INSERT INTO whole VALUES (%d, 'v%d'), (%d, 'twice')", rand.IntN(100), rand.IntN(3), 50+rand.IntN(50)),
		// One of those that are alike, if there is one that nobody else has.
		fmt.Sprintf("DELETE FROM whole WHERE ctid = (SELECT ctid FROM whole WHERE n = %d LIMIT 1 FOR UPDATE SKIP LOCKED)", rand.IntN(100)),
		fmt.Sprintf("UPDATE whole SET v = 'v' || n WHERE ctid = (SELECT ctid FROM whole WHERE n = %d LIMIT 1 FOR UPDATE SKIP LOCKED)", rand.IntN(100)),
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	if rand.IntN(10) == 0 {
		return errRegretted
	}
	return nil
}
