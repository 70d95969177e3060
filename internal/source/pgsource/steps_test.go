package pgsource

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"penstock"
	"penstock/internal/testdb/dbtest"
)

// TestSteps: steps grow to about half of what they may take, and shrink with
// what slows them.
func TestSteps(t *testing.T) {
	t.Parallel()
	s := (&Source{loading: Loading{Longest: 10 * time.Second}}).newSteps()
	s.add(1, 100_000, 100_000*pageSize)
	read := func(perPage time.Duration) (longest time.Duration, steps int) {
		for from := int64(0); ; steps++ {
			end := s.next(1, from, -1)
			pages := end - from
			if end < 0 {
				pages = 100_000 - from
			}
			d := time.Duration(pages) * perPage
			longest = max(longest, d)
			if end < 0 {
				return longest, steps
			}
			s.took(1, pages, d)
			from = end
		}
	}
	if longest, steps := read(10 * time.Microsecond); longest > time.Second || steps > 4 {
		t.Errorf("a fast table takes %d steps, of %s at the most", steps, longest)
	}
	s.add(1, 100_000, 100_000*pageSize)
	if longest, steps := read(10 * time.Millisecond); longest > 6*time.Second || steps < 190 {
		t.Errorf("a slow table takes %d steps, of %s at the most", steps, longest)
	}
	if end := s.next(2, 5, 17); end != 17 {
		t.Errorf("a file that is not known is read up to %d", end)
	}
	s = (&Source{loading: Loading{Longest: time.Second, RowsPerSecond: 1000, Connections: 2}}).newSteps()
	s.add(1, 1000, 1000*pageSize)
	if end := s.next(1, 0, -1); end < 1 || end*manyRows > 500 {
		t.Errorf("the first step of a throttled load has %d pages", end)
	}
}

// TestLimiter: several who read share the rate, and go on smoothly.
func TestLimiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &limiter{perSecond: 1000}
		began := time.Now()
		done := make(chan time.Duration)
		for range 4 {
			go func() {
				longest, last := time.Duration(0), time.Now()
				for range 10 {
					if err := l.take(t.Context(), l.every()); err != nil {
						t.Error(err)
					}
					longest, last = max(longest, time.Since(last)), time.Now()
				}
				done <- longest
			}()
		}
		for range 4 {
			if longest := <-done; longest > 250*time.Millisecond {
				t.Errorf("one waited for %s", longest)
			}
		}
		if d := time.Since(began); d != 2*time.Second {
			t.Errorf("2000 rows took %s", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.take(ctx, 1000); err != context.Canceled {
			t.Error(err)
		}
	})
}

// TestThrottledLoad: a load that is slowed down holds its lock on a table for
// no longer than a chunk may take (promise 4), and reads all of it.
func TestThrottledLoad(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	const rows = 4000
	db.Exec(t, `CREATE TABLE t (id int PRIMARY KEY, body text)`, `INSERT INTO t SELECT i, repeat('x', 200) FROM generate_series(1, 4000) i`, `ANALYZE t`)
	s, err := New(Config{Name: "test", URL: db.URL(), Loading: Loading{Longest: 200 * time.Millisecond, RowsPerSecond: 2 * rows, Connections: 1}})
	noError(t, err)
	f, err := s.ParseFilter("include: " + db.Name + ".*.*")
	noError(t, err)
	c := s.Capture(penstock.CaptureSpec{Integration: penstock.IntegrationID(randomHex(4) + "-0000"), Database: db.Name, Filter: f}).(*capture)
	defer c.Close()
	defer s.Forget(context.Background(), c.spec.Integration)
	tables, _, err := c.Tables(t.Context())
	noError(t, err)
	l, err := c.Load(t.Context(), tables, nil)
	noError(t, err)
	defer l.Close()

	// An ALTER TABLE that wants the table as often as it can.
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		conn := db.Conn(t)
		got := 0
		for {
			select {
			case <-stop:
				done <- got
				return
			default:
			}
			_, err := conn.Exec(context.Background(), `ALTER TABLE t ALTER body SET STATISTICS 100`)
			if err != nil && !strings.Contains(err.Error(), "lock timeout") {
				t.Error(err)
			}
			got++
		}
	}()
	began, n := time.Now(), 0
	for _, chunk := range l.Chunks() {
		buffer := penstock.NewRows(chunk.Table)
		noError(t, l.Read(t.Context(), chunk, buffer, 1<<20, func(penstock.BadValues) error {
			n += buffer.Len()
			return nil
		}))
	}
	took := time.Since(began)
	close(stop)
	if got := <-done; got < 3 {
		t.Errorf("an ALTER TABLE came through %d times while the load took %s", got, took)
	}
	if n != rows || took < 300*time.Millisecond {
		t.Errorf("%d rows in %s", n, took)
	}
}
