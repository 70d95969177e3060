package testdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// BinEnv names the environment variable that lists folders with PostgreSQL
// server binaries, separated like PATH. They are looked at before all others.
const BinEnv = "PENSTOCK_PG_BIN"

// ErrNotInstalled is wrapped by the error of Find and Start if the machine has
// no suitable PostgreSQL server binaries.
var ErrNotInstalled = errors.New("no PostgreSQL server binaries found")

// Binaries are the programs of one PostgreSQL release.
type Binaries struct {
	Dir   string // the folder with initdb and postgres
	Major int    // 15
}

// Find returns the binaries of a major version, or, if major is 0, the first
// there are: in the folders that BinEnv lists, then in Debian's folders, the
// newest version first, then on PATH, then where scripts/deps.sh installs
// other versions for the tests, which is looked for from the working folder up.
func Find(ctx context.Context, major int) (Binaries, error) {
	for _, dir := range candidates() {
		b := Binaries{Dir: dir}
		if err := b.probe(ctx); err == nil && (major == 0 || b.Major == major) {
			return b, nil
		}
	}
	want := "any version"
	if major != 0 {
		want = "version " + strconv.Itoa(major)
	}
	return Binaries{}, fmt.Errorf("%w: looked for initdb and postgres of %s in $%s, /usr/lib/postgresql/*/bin, $PATH and %s",
		ErrNotInstalled, want, BinEnv, installed)
}

// Tool returns the path of one of the server's programs: "initdb".
func (b Binaries) Tool(name string) string { return filepath.Join(b.Dir, name) }

// Client returns the path of a client program: "pgbench". Clients of one version
// speak with servers of others, so that it may be one from another folder.
func (b Binaries) Client(name string) (string, error) {
	for _, dir := range append([]string{b.Dir}, candidates()...) {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: looked for %s", ErrNotInstalled, name)
}

// installed is where scripts/deps.sh puts servers, in the module's folder.
const installed = ".cache/postgres/*/bin"

func candidates() []string {
	dirs := filepath.SplitList(os.Getenv(BinEnv))
	dirs = append(dirs, newestFirst("/usr/lib/postgresql/*/bin")...)

	if p, err := exec.LookPath("postgres"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	if wd, err := os.Getwd(); err == nil {
		for ; filepath.Dir(wd) != wd; wd = filepath.Dir(wd) {
			if _, err := os.Stat(filepath.Join(wd, "go.mod")); err == nil {
				return append(dirs, newestFirst(filepath.Join(wd, installed))...)
			}
		}
	}
	return dirs
}

// newestFirst returns the folders that a pattern matches.
func newestFirst(pattern string) []string {
	dirs, _ := filepath.Glob(pattern)
	slices.SortFunc(dirs, func(a, b string) int { return folderVersion(b) - folderVersion(a) })
	return dirs
}

// folderVersion returns 15 for /usr/lib/postgresql/15/bin.
func folderVersion(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	return n
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

func (b *Binaries) probe(ctx context.Context) error {
	if _, err := os.Stat(b.Tool("initdb")); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, b.Tool("postgres"), "--version").Output()
	if err != nil {
		return err
	}
	m := versionPattern.FindSubmatch(out)
	if m == nil {
		return fmt.Errorf("unknown version %q", out)
	}
	b.Major, err = strconv.Atoi(string(m[1]))
	return err
}
