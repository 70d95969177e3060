package journal

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"penstock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start opens a journal and runs it until stop, or the end of the test.
func start(t *testing.T, path string) (j *Journal, stop func()) {
	t.Helper()
	j, err := Open(t.Context(), path, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		j.Run(ctx)
	}()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		<-done
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return j, stop
}

func at(n int) time.Time {
	return time.Now().UTC().Truncate(time.Microsecond).Add(time.Duration(n) * time.Microsecond)
}

func TestKeepsOverARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	j, stop := start(t, path)
	activity := penstock.Activity{Integration: "i", Database: "shop", Kind: penstock.ActivityCDC, From: "0/1", To: "0/2", Bytes: 12, LastCommit: at(1), Began: at(2), Ended: at(3),
		Tables: []penstock.TableActivity{{Table: "7", Schema: "s", Name: "n", Inserted: 1, Updated: 2, Deleted: 3, Bytes: 12}}}
	change := penstock.StateChange{Integration: "i", Database: "shop", Schema: "s", Name: "n", State: penstock.TableSynced, Reason: "r", Position: "0/2", At: at(4)}
	bad := penstock.BadValuesFound{Integration: "i", Database: "shop", Table: "7", Schema: "s", Name: "n", Column: "c", SourceType: "date", Values: 5, At: at(5)}
	j.RecordActivity(activity)
	j.RecordState(change)
	j.RecordBadValues(bad)
	activity.ID = 1
	check := func(j *Journal) {
		t.Helper()
		a, err := j.Activities(t.Context())
		if d := cmp.Diff([]penstock.Activity{activity}, a); d != "" || err != nil {
			t.Error(err, d)
		}
		c, err := j.StateChanges(t.Context())
		if d := cmp.Diff([]penstock.StateChange{change}, c); d != "" || err != nil {
			t.Error(err, d)
		}
		b, err := j.BadValues(t.Context())
		if d := cmp.Diff([]penstock.BadValuesFound{bad}, b); d != "" || err != nil {
			t.Error(err, d)
		}
	}
	check(j)
	stop()
	j, _ = start(t, path)
	check(j)
}

// TestLastIsWritten: what is recorded before the end is there after it.
func TestLastIsWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	j, stop := start(t, path)
	for i := range 10 {
		j.RecordState(penstock.StateChange{Name: fmt.Sprint(i), At: at(i)})
	}
	stop()
	j, _ = start(t, path)
	if c, err := j.StateChanges(t.Context()); len(c) != 10 || err != nil {
		t.Errorf("%d of 10 are there: %v", len(c), err)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	j, _ := start(t, filepath.Join(t.TempDir(), "journal.db"))
	j.limit = 50
	record := func(n int, when time.Time) {
		for range n {
			j.RecordState(penstock.StateChange{Name: "n", At: when})
		}
		if _, err := j.StateChanges(t.Context()); err != nil { // is written
			t.Fatal(err)
		}
	}
	record(100, time.Now().Add(-Keep-time.Hour))
	record(70, time.Now())
	record(10, time.Now())
	j.RecordActivity(penstock.Activity{Ended: time.Now()})
	if _, err := j.Activities(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := j.prune(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	var states, all int
	if err := j.db.QueryRow("SELECT count(*) FILTER (WHERE kind = 'state'), count(*) FROM entries").Scan(&states, &all); err != nil {
		t.Fatal(err)
	}
	if states != j.limit || all != j.limit+1 {
		t.Errorf("%d state changes of %d entries are kept, want %d and one more", states, all, j.limit)
	}
	if c, err := j.StateChanges(t.Context()); len(c) != j.limit || err != nil {
		t.Errorf("%d are read: %v", len(c), err)
	}
}

// TestDamagedFile: a journal that cannot be read is moved away.
func TestDamagedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	j, _ := start(t, path)
	j.RecordState(penstock.StateChange{Name: "n", At: at(0)})
	if c, err := j.StateChanges(t.Context()); len(c) != 1 || err != nil {
		t.Errorf("%v, %v", c, err)
	}
	if b, err := os.ReadFile(path + ".unusable"); err != nil || !strings.HasPrefix(string(b), "this is no database") {
		t.Errorf("the old file is gone: %v", err)
	}
}
