package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rule says what the packages at and below a path may import.
type rule struct {
	path string // "internal/source/*": each package below internal/source by itself; "" is the root
	// imports lists what they may import of this module, at and below each
	// path; "." is the vocabulary. Each may import what lies below itself.
	imports []string
	// foreign lists what they may import of other modules; nil is anything.
	foreign []string
	reason  string
}

var none = []string{}

// rules is the direction of imports. The first rule that matches decides.
var rules = []rule{
	{"", none, none, "the vocabulary depends on nothing but the standard library, so that every part can speak it"},

	{"internal/failpoint", none, none, "points are everywhere, so they bring nothing along"},

	{"internal/source/*", []string{".", "internal/failpoint"}, nil,
		"a source knows the vocabulary and nothing else: not the pipeline, not the control plane, not another driver"},
	{"internal/target/*", []string{".", "internal/failpoint"}, nil,
		"a target knows the vocabulary and nothing else: not the pipeline, not the control plane, not another driver"},
	{"internal/store/*", []string{".", "internal/failpoint"}, nil,
		"a store knows the vocabulary and nothing else: what is stored is not decided there"},

	{"internal/pipeline", []string{".", "internal/failpoint"}, nil,
		"the data plane drives sources and targets through the vocabulary's interfaces, so that it works for every driver"},
	{"internal/verify", []string{"."}, []string{"golang.org/x/"}, "a comparison is of rows; it knows neither side's engine, nor how the two were brought together"},
	{"internal/control", []string{".", "internal/policy", "internal/failpoint"}, []string{"golang.org/x/", "github.com/google/uuid"},
		"the control plane moves no rows and speaks no wire protocol; it knows drivers and runners by interface"},

	{"internal/policy", none, none, "a policy is a document that is evaluated; it knows no action and no resource"},
	{"internal/awsapi/fault", none, none, "faults are data"},
	{"internal/awsapi/query", []string{"internal/awsapi/fault"}, none, "a codec is pure: bytes and shapes, no integration"},
	{"internal/awsapi/sigv4", []string{"internal/awsapi/fault"}, none, "signatures are verified over bytes, before anything knows what they ask for"},
	{"internal/awsapi", []string{".", "internal/control", "internal/awsapi", "internal/policy"}, nil,
		"the API translates between the wire and the control plane; it reaches no driver past that"},
	{"internal/pgwire", []string{".", "internal/pgwire"}, nil,
		"the SQL endpoint serves any warehouse, by the vocabulary's interface"},
	{"internal/console", []string{".", "internal/control"}, nil, "the console shows what the control plane knows"},

	{"internal/journal", []string{"."}, nil, "a journal keeps what it is told; it knows nobody who tells it or asks"},
	{"internal/metrics", []string{"."}, nil, "metrics show statuses; who has them passes them in"},
	{"internal/config", []string{".", "internal/policy"}, nil, "the configuration decides what is valid and starts nothing"},
	{"internal/secret", []string{"."}, none, "keys and ciphertexts are bytes; of the vocabulary it needs the kinds of failure"},
	{"internal/spill", []string{"."}, []string{"golang.org/x/sys/"}, "files that vanish: it knows no source, and what is in them is bytes"},
	{"internal/testdb", none, nil, "a throwaway database serves tests of every package and the demo, so it knows none"},
	{"internal/layout", none, none, "it looks at all packages and uses none"},
	{"internal/demo", []string{".", "internal/app", "internal/config", "internal/testdb"}, nil,
		"the demo is a user: it goes through the API and the SQL endpoint"},
	{"internal/app", []string{".", "internal"}, nil, "it wires everything"},

	{"cmd/penstock", []string{".", "internal/app", "internal/config", "internal/demo", "internal/failpoint", "internal/testdb", "internal/verify"}, nil,
		"a command parses its arguments and calls the application; only internal/app wires the parts"},
	{"e2e", []string{"internal/config", "internal/failpoint", "internal/testdb"}, nil, "a black-box test sees the program from outside"},
}

const module = "penstock"

type goPackage struct {
	ImportPath string
	Doc        string
	Imports    []string
	GoFiles    []string

	TestImports, XTestImports []string
}

func TestImportDirection(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		path := local(p.ImportPath)
		r := ruleFor(path)
		if r == nil {
			t.Errorf("%s: no rule says what it may import; add one to internal/layout", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if conformance(path) && !conformance(local(imp)) {
				continue // test suites may use what they need
			}
			if !r.allows(path, imp) {
				t.Errorf("%s imports %s, and must not: %s", p.ImportPath, imp, r.reason)
			}
			if strings.HasPrefix(imp, module+"/") && conformance(local(imp)) && !conformance(path) {
				t.Errorf("%s imports %s, and must not: a test suite is for tests only", p.ImportPath, imp)
			}
		}
	}
}

func TestEveryPackageHasADoc(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if !slices.Contains(p.GoFiles, "doc.go") {
			t.Errorf("%s has no doc.go that says what it is, what it is not, and where to start reading", p.ImportPath)
			continue
		}
		if name := p.ImportPath[strings.LastIndex(p.ImportPath, "/")+1:]; !strings.HasPrefix(p.Doc, "Package "+name+" ") &&
			!strings.HasPrefix(p.Doc, "Command "+name+" ") {
			t.Errorf("%s: its doc comment must begin with \"Package %s …\", is %q", p.ImportPath, name, p.Doc)
		}
	}
}

// TestDependenciesAreExplained holds CONTRIBUTING.md to its word: it lists the
// modules that are imported, and no others.
func TestDependenciesAreExplained(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9]+\\.[^` ]+/[^`]+)`").FindAllSubmatch(text, -1) {
		used[string(m[1])] = false
	}
	if len(used) == 0 {
		t.Fatal("no modules are listed")
	}
	for _, p := range packages(t) {
		for _, imp := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if first, _, _ := strings.Cut(imp, "/"); first == module || !strings.Contains(first, ".") {
				continue
			}
			found := false
			for m := range used {
				if within(imp, m) {
					used[m], found = true, true
				}
			}
			if !found {
				t.Errorf("%s imports %s, and CONTRIBUTING.md does not say why", p.ImportPath, imp)
			}
		}
	}
	for m, ok := range used {
		if !ok {
			t.Errorf("CONTRIBUTING.md lists %s, which nothing imports", m)
		}
	}
}

// TestRules makes sure that the table means what it says.
func TestRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path, imp string
		want      bool
	}{
		{"", "strings", true},
		{"", "encoding/json", true},
		{"", "golang.org/x/sync/errgroup", false},
		{"", "penstock/internal/config", false},
		{"internal/source/pgsource", "penstock", true},
		{"internal/source/pgsource", "penstock/internal/source/pgsource/pgoutput", true},
		{"internal/source/pgsource/pgoutput", "penstock/internal/source/pgsource/pgtype", true},
		{"internal/source/pgsource", "penstock/internal/source/mysqlsource", false},
		{"internal/source/pgsource", "penstock/internal/pipeline", false},
		{"internal/target/duckdbtarget", "penstock/internal/source/pgsource", false},
		{"internal/pipeline", "penstock/internal/control", false},
		{"internal/control", "penstock/internal/pipeline", false},
		{"internal/control", "golang.org/x/sync/errgroup", true},
		{"internal/control", "github.com/jackc/pgx/v5", false},
		{"internal/awsapi/rds", "penstock/internal/control", true},
		{"internal/awsapi/query", "penstock/internal/control", false},
		{"internal/pgwire", "penstock/internal/target/duckdbtarget", false},
		{"internal/app", "penstock/internal/target/duckdbtarget", true},
		{"cmd/penstock", "penstock/internal/control", false},
	} {
		r := ruleFor(c.path)
		if r == nil {
			t.Errorf("no rule for %q", c.path)
		} else if got := r.allows(c.path, c.imp); got != c.want {
			t.Errorf("%q importing %s: %v, want %v", c.path, c.imp, got, c.want)
		}
	}
	if r := ruleFor("internal/nowhere"); r != nil {
		t.Errorf("a rule for a package that has none: %+v", r)
	}
}

// packages returns all packages of the module.
func packages(t *testing.T) (all []goPackage) {
	t.Helper()
	watch(t)
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,Imports,GoFiles,TestImports,XTestImports", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// watch opens all folders of the module, so that the result of this test is
// not taken from go's cache once a file has changed: what go list reads, the
// cache does not know.
func watch(t *testing.T) {
	t.Helper()
	root := filepath.Join("..", "..")
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		return nil
	})
}

// local returns a package's path within the module, "" for the root.
func local(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
}

// conformance reports whether a package is a test suite: its name ends in
// "test", like that of the standard library's iotest.
func conformance(path string) bool { return strings.HasSuffix(path, "test") }

func ruleFor(path string) *rule {
	for i := range rules {
		if r := &rules[i]; r.base(path) != "" || path == "" && r.path == "" {
			return r
		}
	}
	return nil
}

// base returns the folder by which r matches a path, "" if it does not.
func (r *rule) base(path string) string {
	if parent, each := strings.CutSuffix(r.path, "*"); each {
		rest, ok := strings.CutPrefix(path, parent)
		if !ok {
			return ""
		}
		name, _, _ := strings.Cut(rest, "/")
		return parent + name
	}
	if r.path != "" && within(path, r.path) {
		return r.path
	}
	return ""
}

func (r *rule) allows(path, imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	switch {
	case first == module:
		target := local(imp)
		if base := r.base(path); base != "" && within(target, base) {
			return true
		}
		return slices.ContainsFunc(r.imports, func(allowed string) bool {
			return allowed == "." && target == "" || within(target, allowed)
		})
	case imp == "C":
		return r.foreign == nil
	case !strings.Contains(first, "."):
		return true // the standard library
	}
	return r.foreign == nil || slices.ContainsFunc(r.foreign, func(p string) bool { return strings.HasPrefix(imp, p) })
}

// within reports whether a path is at or below a folder.
func within(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }
