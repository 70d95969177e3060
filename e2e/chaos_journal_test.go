package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// chaosJournal writes down what was sent and what happened, for whoever looks
// for the cause of a failure. It is kept if PENSTOCK_CHAOS_DIR names a folder.
type chaosJournal struct {
	dir string // "" if nothing is kept
	mu  sync.Mutex
	w   *bufio.Writer
}

func newJournal(t testing.TB, seed uint64) *chaosJournal {
	t.Helper()
	kept := os.Getenv("PENSTOCK_CHAOS_DIR")
	dir := kept
	if dir == "" {
		dir = t.TempDir()
	}
	path := filepath.Join(dir, fmt.Sprintf("chaos-%d.journal", seed))
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	j := &chaosJournal{dir: kept, w: bufio.NewWriter(f)}
	t.Cleanup(func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.w.Flush()
		f.Close()
	})
	return j
}

func (j *chaosJournal) note(who string, began time.Time, what string, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(what) > 4000 {
		what = what[:4000] + "…"
	}
	fmt.Fprintf(j.w, "%s +%v %s: %s", began.UTC().Format("15:04:05.000"), time.Since(began).Round(time.Millisecond), who, what)
	if err != nil {
		fmt.Fprintf(j.w, " -- %v", err)
	}
	fmt.Fprintln(j.w)
}

// beside opens a file beside the journal; nil if that is not kept.
func (j *chaosJournal) beside(t testing.TB, name string) io.Writer {
	if j.dir == "" {
		return nil
	}
	f, err := os.Create(filepath.Join(j.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
