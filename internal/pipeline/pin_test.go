package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock"
	"penstock/internal/pipeline"
	"penstock/internal/source/memsource"
	"penstock/internal/verify"
)

// background runs f, with the numbers from 0 on, until it is stopped.
func background(t *testing.T, f func(i int)) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				f(i)
			}
		}
	})
	stop = sync.OnceFunc(func() {
		close(done)
		wg.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// compared pins a pipeline and compares.
func compared(ctx context.Context, p *pipeline.Pipeline) ([]verify.Table, time.Duration, error) {
	pinned, err := p.Pin(ctx)
	if err != nil {
		return nil, 0, err
	}
	tables, err := verify.Compare(ctx, pinned.Source, pinned.Destination, verify.Request{})
	return tables, pinned.Held, errors.Join(err, pinned.Close())
}

// wantEqual checks that nothing differs, and returns how many tables have been
// compared.
func wantEqual(t *testing.T, tables []verify.Table) (n int) {
	t.Helper()
	for _, x := range tables {
		if x.Differs() {
			t.Errorf("%+v", x)
		}
		if x.NotCompared == "" {
			n++
		}
	}
	return n
}

// TestPinUnderLoad compares again and again while rows change, tables are
// loaded beside the stream and runs end and begin: there is never a difference.
func TestPinUnderLoad(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 40)
	s.keep(t)
	s.settle(t, allKinds...)
	stop := background(t, s.work)
	stopLoads := background(t, func(i int) {
		if i < 4 {
			name := fmt.Sprint("late", i)
			s.create(name, penstock.IdentityKey)
			s.db.Do(func(tx *memsource.Tx) { tx.Insert(name, 1, 2, "three") })
		}
		time.Sleep(time.Millisecond)
	})
	equal := 0
	for i := 0; equal < 30; i++ {
		if i%10 == 5 {
			s.db.Disconnect()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		tables, _, err := compared(ctx, s.current())
		cancel()
		if err != nil {
			if penstock.KindOf(err) == penstock.KindUnreachable && i < 1000 {
				continue // that run has ended
			}
			t.Fatalf("%v; failures %v", err, s.failures())
		}
		if wantEqual(t, tables) >= len(allKinds) {
			equal++
		}
		if t.Failed() {
			break
		}
	}
	stopLoads()
	stop()
	s.settle(t, allKinds...)
}

// TestPinDoesNotPause: what waits for the next batch's time is applied at once.
func TestPinDoesNotPause(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 10)
	s.keep(t)
	s.settle(t, allKinds...)
	s.stop()
	s.config.MinInterval = time.Hour
	s.keep(t)
	s.db.Do(func(tx *memsource.Tx) { tx.Insert("keyed", 100, 0, "at once") })
	s.settle(t, "keyed")
	for n := range 3 {
		s.db.Do(func(tx *memsource.Tx) { tx.Insert("keyed", 101+n, 0, "an hour later") })
		if tables, _, err := compared(t.Context(), s.current()); err != nil || wantEqual(t, tables) != len(allKinds) {
			t.Fatalf("%+v, %v", tables, err)
		}
	}
}

// TestPinLetsGo: whatever ends a Pin, replication goes on.
func TestPinLetsGo(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 10)
	s.keep(t)
	s.settle(t, allKinds...)
	n := 100
	goesOn := func(after string) {
		t.Helper()
		n++
		s.db.Do(func(tx *memsource.Tx) { tx.Insert("keyed", n, 0, after) })
		s.settle(t, "keyed")
	}
	pin := func(ctx context.Context) error {
		p, err := s.current().Pin(ctx)
		if err == nil {
			err = p.Close()
		}
		return err
	}
	broken := errors.New("broken, as it was told to be")
	for name, c := range map[string]struct {
		source, target string // op that fails
	}{"source": {source: "Pin"}, "target": {target: "View"}} {
		s.source.Intercept(once(c.source, map[bool]int{true: 1}[c.source != ""], broken))
		s.target.Intercept(once(c.target, map[bool]int{true: 1}[c.target != ""], broken))
		if err := pin(t.Context()); !errors.Is(err, broken) {
			t.Errorf("%s: got %v", name, err)
		}
		goesOn(name)
	}
	s.source.Intercept(nil)
	s.target.Intercept(nil)

	// A client that goes away while the source takes its time.
	ctx, cancel := context.WithCancel(t.Context())
	s.source.Intercept(func(op string) error {
		if op == "Pin" {
			cancel()
			return ctx.Err()
		}
		return nil
	})
	if err := pin(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	goesOn("cancel")

	// A source that has to wait: applying is held for a while, let go, and
	// held again.
	s.source.Intercept(nil)
	open := s.db.Begin()
	open.Insert("keyed", 50, 0, "open")
	attempts := make(chan struct{}, 10)
	s.source.Intercept(func(op string) error {
		if op == "Pin" {
			attempts <- struct{}{}
		}
		return nil
	})
	result := make(chan error, 1)
	go func() { result <- pin(t.Context()) }()
	<-attempts
	goesOn("waiting")
	<-attempts
	open.Commit()
	if err := <-result; err != nil {
		t.Errorf("held twice: %v", err)
	}
	goesOn("commit")
	open = s.db.Begin()
	open.Insert("keyed", 51, 0, "open")
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := pin(short); penstock.KindOf(err) != penstock.KindConflict {
		t.Errorf("in the way for ever: got %v", err)
	}
	goesOn("giving up")
	open.Rollback()
	s.source.Intercept(nil)

	// Nothing is open: it is waited for, and then said.
	s.stop()
	if err := pin(short); penstock.KindOf(err) != penstock.KindUnreachable && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stopped: got %v", err)
	}
}

// TestPinPostgres is TestPinUnderLoad with a real server, whose transactions
// commit at the same time, on several connections.
func TestPinPostgres(t *testing.T) {
	b := setup(t, `CREATE TABLE account (id int PRIMARY KEY, balance int8 NOT NULL, note text)`,
		`CREATE TABLE history (account int, amount int8, at timestamptz DEFAULT clock_timestamp())`,
		`ALTER TABLE history REPLICA IDENTITY FULL`,
		`CREATE TABLE log (line text)`,
		`INSERT INTO account SELECT g, 100, 'account ' || g FROM generate_series(1, 2000) g`)
	await(t, "the first load", func() bool { return b.rows("public.account") != nil && b.rows("public.log") != nil })
	var stops []func()
	for range 4 {
		conn := b.db.Conn(t)
		stops = append(stops, background(t, func(i int) {
			from, to := 1+rand.IntN(2000), 1+rand.IntN(2000)
			end := "COMMIT"
			if i%20 == 0 {
				end = "ROLLBACK"
			}
			sql := []string{"BEGIN", fmt.Sprintf("UPDATE account SET balance = balance - 1 WHERE id = %d", min(from, to)),
				fmt.Sprintf("UPDATE account SET balance = balance + 1 WHERE id = %d", max(from, to)),
				fmt.Sprintf("INSERT INTO history VALUES (%d, 1), (%d, -1)", from, to), "INSERT INTO log VALUES ('x')"}
			if i%50 == 0 {
				sql = append(sql, "DELETE FROM history WHERE ctid IN (SELECT ctid FROM history LIMIT 20 FOR UPDATE SKIP LOCKED)")
			}
			if _, err := conn.Exec(context.Background(), strings.Join(append(sql, end), ";")); err != nil {
				t.Error(err)
			}
		}))
	}
	var longest time.Duration
	rounds := 12
	for range rounds {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		tables, held, err := compared(ctx, b.pipe)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if n := wantEqual(t, tables); n != 3 {
			t.Fatalf("%d tables have been compared: %+v", n, tables)
		}
		longest = max(longest, held)
	}
	for _, stop := range stops {
		stop()
	}
	t.Logf("%d transactions, applying was held for %v at the most", b.pipe.Status().Transactions, longest)
}

// TestPinWaits: a transaction that stays open is named, and nothing is held
// for good.
func TestPinWaits(t *testing.T) {
	b := setup(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	await(t, "the first load", func() bool { return b.rows("public.t") != nil })
	open := b.db.Conn(t)
	if _, err := open.Exec(t.Context(), "BEGIN; INSERT INTO t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, _, err := compared(ctx, b.pipe)
	if penstock.KindOf(err) != penstock.KindConflict || !strings.Contains(err.Error(), fmt.Sprint("pid ", open.PgConn().PID())) {
		t.Errorf("got %v", err)
	}
	b.db.Exec(t, "INSERT INTO t VALUES (2)")
	await(t, "a row that came later", func() bool { return len(b.rows("public.t")) == 1 })
	if _, err := open.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	tables, _, err := compared(t.Context(), b.pipe)
	if err != nil || wantEqual(t, tables) != 1 || tables[0].Rows != 2 {
		t.Errorf("got %+v, %v", tables, err)
	}
}
