package e2e

import (
	"bufio"
	"fmt"
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

// keep stores a text beside the journal, if that is kept.
func (j *chaosJournal) keep(name, text string) {
	if j.dir != "" {
		_ = os.WriteFile(filepath.Join(j.dir, name), []byte(text), 0o600)
	}
}
