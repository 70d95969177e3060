package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"penstock/bench/report"
	"penstock/internal/testdb"
)

// Env is a place to measure in. Its methods are for one goroutine, except
// where they say otherwise.
type Env struct {
	// Profiles is a folder for CPU profiles of the program while it is
	// measured, which takes some of its speed; "" for none.
	Profiles string
	// Once has no window measured again because others disturbed it.
	Once bool

	dir    string
	binary string
	out    io.Writer
	began  time.Time
	closer []func() error
}

// Open makes an Env below a folder, "" for the system's temporary one. Whoever
// calls it calls Close.
func Open(dir string, out io.Writer) (*Env, error) {
	dir, err := os.MkdirTemp(dir, "penstock-bench-")
	if err != nil {
		return nil, err
	}
	// PostgreSQL, as another user, has to get at what is below it.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &Env{dir: dir, out: out, began: time.Now()}, nil
}

// build builds the program, once.
func (e *Env) build() error {
	if e.binary != "" {
		return nil
	}
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "penstock").Output()
	if err != nil {
		return fmt.Errorf("find the module of penstock: %w", err)
	}
	binary := filepath.Join(e.dir, "penstock")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/penstock")
	cmd.Dir = strings.TrimSpace(string(root))
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build penstock: %w\n%s", err, text)
	}
	e.binary = binary
	return nil
}

// Close ends everything and removes the folder.
func (e *Env) Close() error {
	err := e.End(0)
	return errors.Join(err, os.RemoveAll(e.dir))
}

// Started returns how many things run now, for End.
func (e *Env) Started() int { return len(e.closer) }

// End ends, the last one first, all but the first n things that were started.
func (e *Env) End(n int) (err error) {
	for len(e.closer) > n {
		last := len(e.closer) - 1
		err = errors.Join(err, e.closer[last]())
		e.closer = e.closer[:last]
	}
	return err
}

func (e *Env) onEnd(f func() error) { e.closer = append(e.closer, f) }

// Logf tells whoever waits what is going on.
func (e *Env) Logf(format string, args ...any) {
	fmt.Fprintf(e.out, "%7.1fs  %s\n", time.Since(e.began).Seconds(), fmt.Sprintf(format, args...))
}

// TempDir makes a folder that goes with the Env.
func (e *Env) TempDir(name string) (string, error) { return os.MkdirTemp(e.dir, name+"-") }

// Machine returns where this runs, and with which versions.
func (e *Env) Machine(ctx context.Context) (report.Machine, error) {
	m := report.ThisMachine()
	bin, err := testdb.Find(ctx, 0)
	if err != nil {
		return m, err
	}
	if m.Postgres, err = version(ctx, bin.Tool("postgres")); err != nil {
		return m, err
	}
	_, m.Postgres, _ = strings.Cut(m.Postgres, ") ")
	m.Postgres, _, _ = strings.Cut(m.Postgres, " ")
	if m.DuckDB, err = engineVersion(ctx); err != nil {
		return m, err
	}
	describe, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty").Output()
	m.Penstock = strings.TrimSpace(string(describe))
	if err != nil {
		m.Penstock = "unknown"
	}
	return m, nil
}

// engineVersion returns DuckDB's version, which the bindings carry in theirs:
// v0.10506.0 has 1.5.6.
func engineVersion(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", "github.com/duckdb/duckdb-go-bindings").Output()
	if err != nil {
		return "", fmt.Errorf("look up the version of DuckDB's bindings: %w", err)
	}
	return decodeEngineVersion(strings.TrimSpace(string(out))), nil
}

func decodeEngineVersion(bindings string) string {
	f := strings.Split(bindings, ".")
	if len(f) < 3 {
		return bindings
	}
	n, err := strconv.Atoi(f[1])
	if err != nil || n < 10000 {
		return bindings
	}
	return fmt.Sprintf("%d.%d.%d", n/10000, n/100%100, n%100)
}

// version returns the first line of what a program says about its version.
func version(ctx context.Context, program string) (string, error) {
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	line, _, _ := strings.Cut(string(out), "\n")
	return line, err
}

// Await calls ok until it is true, every so often; an error ends it.
func Await(ctx context.Context, every time.Duration, what string, ok func() (bool, error)) error {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		done, err := ok()
		if err != nil || done {
			return err
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		}
	}
}
