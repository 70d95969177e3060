package control

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"penstock"
)

// Nothing but transitions.go assigns a status.
func TestOnlyTransitionsAssignStatuses(t *testing.T) {
	t.Parallel()
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		if name == "transitions.go" || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, l := range n.Lhs {
					if s, ok := l.(*ast.SelectorExpr); ok && (s.Sel.Name == "Status" || s.Sel.Name == "StatusSince") {
						t.Errorf("%s assigns a status", fset.Position(n.Pos()))
					}
				}
			case *ast.KeyValueExpr:
				if k, ok := n.Key.(*ast.Ident); ok && (k.Name == "Status" || k.Name == "StatusSince") {
					t.Errorf("%s sets a status", fset.Position(n.Pos()))
				}
			}
			return true
		})
	}
}

func TestTransitions(t *testing.T) {
	t.Parallel()
	deletable := 0
	for _, from := range allStatuses {
		for _, to := range allStatuses {
			e := edit{Integration: &penstock.Integration{Status: from}, now: time.Unix(1, 0)}
			_, allowed := transitions[transition{from, to}]
			if err := e.move(to); (err == nil) != allowed || err != nil && (penstock.KindOf(err) != penstock.KindInvalidState || e.Status != from) {
				t.Errorf("%s to %s: %v", from, to, err)
			} else if err == nil && (e.Status != to || len(e.events) != 1 || e.events[0].Kind == "" || e.events[0].Message == "" || e.StatusSince.IsZero()) {
				t.Errorf("%s to %s: %+v", from, to, e)
			}
			if to == penstock.StatusDeleting && allowed {
				deletable++
			}
			if allowed && from == penstock.StatusDeleting {
				t.Error("a deletion is given up")
			}
		}
	}
	if deletable != 4 {
		t.Errorf("%d statuses can be deleted from", deletable)
	}
}

// Whatever the streams report, next returns what the transition table has.
func TestNextFollowsTheTable(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	for bits := range 64 {
		c := condition{
			reported: bits&1 != 0, settled: bits&2 != 0, loading: bits&4 != 0,
			reloading: bits&8 != 0, attention: bits&16 != 0, fatal: bits&32 != 0,
		}
		for _, stopped := range []bool{false, true} {
			c.stopped = stopped && c.attention
			for _, status := range allStatuses {
				if status == penstock.StatusFailed || status == penstock.StatusDeleting {
					continue // the keeper leaves these alone
				}
				for _, since := range []time.Time{now, now.Add(-time.Hour)} {
					to := c.next(status, since, now, time.Minute)
					if _, ok := transitions[transition{status, to}]; to != status && !ok {
						t.Fatalf("%+v leads from %s to %s", c, status, to)
					}
					busy := status == penstock.StatusCreating || status == penstock.StatusModifying
					if busy && to == status && since != now {
						t.Fatalf("%+v keeps %s beyond its limit", c, status)
					}
				}
			}
		}
	}
}

func TestProblemsWorstFirst(t *testing.T) {
	t.Parallel()
	views := []streamView{{healthy: true, StreamStatus: penstock.StreamStatus{
		State: penstock.StreamCdcRefresh,
		Problems: []penstock.Problem{
			{Code: "W", Severity: penstock.SeverityWarning}, {Code: "I", Severity: penstock.SeverityInfo},
			{Code: "F", Severity: penstock.SeverityFatal}, {Code: "A", Severity: penstock.SeverityAttention}, {Code: "W", Severity: penstock.SeverityWarning},
		},
	}}}
	c := summarize(views)
	var codes []string
	for _, p := range c.problems {
		codes = append(codes, string(p.Code))
	}
	if !slices.Equal(codes, []string{"F", "A", "W"}) || !c.fatal || !c.attention || !c.stopped || !c.settled || !c.reported {
		t.Errorf("the condition is %+v", c)
	}
	now := time.Unix(9, 0)
	stored := []penstock.Problem{{Code: "A", Since: time.Unix(1, 0).UTC()}, {Code: "X", Since: time.Unix(2, 0).UTC()}}
	merged := c.merge(stored, now)
	if len(merged) != 3 || merged[1].Since.Unix() != 1 || merged[0].Since.Unix() != 9 {
		t.Errorf("merged: %+v", merged)
	}
	c.reported = false
	if merged = c.merge(stored, now); len(merged) != 4 {
		t.Errorf("merged while not all have reported: %+v", merged)
	}
}
