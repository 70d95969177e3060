package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"penstock"
)

// TestReconcile: what a turn does, by what the source has, what the destination
// knows and what was found.
func TestReconcile(t *testing.T) {
	t.Parallel()
	shape := func(id, name string, change ...func(*penstock.Table)) penstock.Table {
		s := *shapeOf(penstock.IdentityKey, 0)
		s.ID, s.Name = penstock.TableID(id), name
		s.Columns = slices.Clone(s.Columns)
		for _, f := range change {
			f(&s)
		}
		return s
	}
	bare := func(s *penstock.Table) { s.Identity, s.Key = penstock.IdentityNone, nil }
	stored := func(words string) func(*penstock.Table) {
		f := strings.SplitN(words, " ", 3)
		return func(s *penstock.Table) { s.Stored = penstock.Storage{File: f[0], Columns: f[1], Labels: f[2]} }
	}
	known := func(s penstock.Table, state penstock.TableState, change ...func(*penstock.TableStatus)) penstock.TableStatus {
		st := penstock.TableStatus{Table: s, State: state, Readable: state == penstock.TableSynced}
		for _, f := range change {
			f(&st)
		}
		return st
	}
	join := func(st *penstock.TableStatus) { st.Join = "snapshot" }
	readable := func(st *penstock.TableStatus) { st.Readable = true }
	because := func(reason string) func(*penstock.TableStatus) {
		return func(st *penstock.TableStatus) { st.Reason = reason }
	}
	finding := func(severity penstock.Severity, table string) penstock.Finding {
		return penstock.Finding{Code: penstock.ProblemTableFailed, Table: table, Severity: severity, Message: "found"}
	}
	a := shape("1", "a")

	for _, c := range []struct {
		name     string
		known    []penstock.TableStatus
		source   []penstock.Table
		findings []penstock.Finding
		held     string
		ahead    bool // the stream has not passed this yet
		outdated penstock.TableID
		want     string
	}{
		{name: "nothing", want: ""},
		{name: "a new table", source: []penstock.Table{a}, want: "load a"},
		{name: "a new table that is held back", source: []penstock.Table{a}, held: "a", want: ""},
		{name: "synced", known: []penstock.TableStatus{known(a, penstock.TableSynced)}, source: []penstock.Table{a}, want: "stream a"},
		{name: "waiting to be joined", known: []penstock.TableStatus{known(a, penstock.TableResyncInitiated, join)}, source: []penstock.Table{a}, want: "stream a from snapshot"},
		{name: "a load that was interrupted", known: []penstock.TableStatus{known(a, penstock.TableResyncInitiated)}, source: []penstock.Table{a}, want: "load a"},
		{name: "to be loaded again", known: []penstock.TableStatus{known(a, penstock.TableResyncRequired)}, source: []penstock.Table{a}, want: "load a"},
		{name: "to be loaded again, and has missed rows while it waited to be joined",
			known: []penstock.TableStatus{known(a, penstock.TableResyncRequired, join)}, source: []penstock.Table{a}, want: "load a"},
		{name: "failed, and has missed rows while it waited to be joined",
			known: []penstock.TableStatus{known(a, penstock.TableFailed, join)}, source: []penstock.Table{a}, want: "load a"},
		{name: "failed, and nothing stands in its way any more", known: []penstock.TableStatus{known(a, penstock.TableFailed, readable)}, source: []penstock.Table{a}, want: "load a"},
		{name: "failed without identity, and could be loaded",
			known: []penstock.TableStatus{known(shape("1", "a", bare), penstock.TableFailed, readable)}, source: []penstock.Table{shape("1", "a", bare)}, want: "load a"},
		{name: "changed unseen without identity stays so",
			known: []penstock.TableStatus{known(shape("1", "a", bare), penstock.TableFailed, readable, because("UNSEEN_CHANGES: rows were updated"))}, source: []penstock.Table{shape("1", "a", bare)}, want: ""},
		{name: "changed unseen without identity, and has the one again that it was loaded with",
			known: []penstock.TableStatus{known(a, penstock.TableFailed, readable, because("UNSEEN_CHANGES: rows were updated"))}, source: []penstock.Table{a}, want: "load a"},
		{name: "failed without identity, and has one now",
			known: []penstock.TableStatus{known(shape("1", "a", bare), penstock.TableFailed, readable)}, source: []penstock.Table{a}, want: "load a"},
		{name: "renamed", known: []penstock.TableStatus{known(a, penstock.TableSynced)}, source: []penstock.Table{shape("1", "b")}, want: "a becomes b, stream b"},
		{name: "renamed, while it waits to be joined", known: []penstock.TableStatus{known(a, penstock.TableResyncInitiated, join)}, source: []penstock.Table{shape("1", "b")}, want: "a becomes b, stream b from snapshot"},
		{name: "renamed, and to be loaded again", known: []penstock.TableStatus{known(a, penstock.TableResyncRequired)}, source: []penstock.Table{shape("1", "b")}, want: "load b"},
		{name: "renamed later", known: []penstock.TableStatus{known(a, penstock.TableSynced)}, source: []penstock.Table{shape("1", "b")}, ahead: true, want: "stream a, later"},
		{name: "another column later", known: []penstock.TableStatus{known(a, penstock.TableSynced)}, ahead: true,
			source: []penstock.Table{shape("1", "a", func(s *penstock.Table) { s.Columns[1].ID = 9 })}, want: "stream a, later"},
		{name: "another column later, while it waits to be joined", known: []penstock.TableStatus{known(a, penstock.TableResyncInitiated, join)}, ahead: true,
			source: []penstock.Table{shape("1", "a", func(s *penstock.Table) { s.Columns[1].ID = 9 })}, want: "stream a from snapshot, later"},
		{name: "gone later", known: []penstock.TableStatus{known(a, penstock.TableSynced)}, ahead: true, want: "stream a, later"},
		{name: "gone later, and to be loaded again", known: []penstock.TableStatus{known(a, penstock.TableResyncRequired, readable)}, ahead: true, want: "later"},
		{name: "gone later, and nobody has seen it", known: []penstock.TableStatus{known(a, penstock.TableResyncRequired)}, ahead: true, want: "drop 1"},
		{name: "another column before", known: []penstock.TableStatus{known(a, penstock.TableSynced)}, outdated: "1",
			source: []penstock.Table{shape("1", "a", func(s *penstock.Table) { s.Columns[1].ID = 9 })}, want: "stream a"},
		{name: "there before it was gone", source: []penstock.Table{a}, outdated: "1", want: ""},
		{name: "not there before it was renamed", known: []penstock.TableStatus{known(a, penstock.TableSynced)}, outdated: "1", want: "stream a, later"},
		{name: "new, and later", source: []penstock.Table{a}, ahead: true, want: "load a"},
		{name: "another column", known: []penstock.TableStatus{known(a, penstock.TableSynced)},
			source: []penstock.Table{shape("1", "a", func(s *penstock.Table) { s.Columns[1].ID = 9 })}, want: "load a, a ResyncRequired"},
		{name: "another column, while it waits to be joined", known: []penstock.TableStatus{known(a, penstock.TableResyncInitiated, join)},
			source: []penstock.Table{shape("1", "a", func(s *penstock.Table) { s.Columns[1].Type.Kind = penstock.TypeJSON })}, want: "load a"},
		{name: "a column that may not be null any more", known: []penstock.TableStatus{known(a, penstock.TableSynced)},
			source: []penstock.Table{shape("1", "a", func(s *penstock.Table) { s.Columns[1].NotNull = true })}, want: "stream a"},
		{name: "another key", known: []penstock.TableStatus{known(a, penstock.TableSynced)},
			source: []penstock.Table{shape("1", "a", func(s *penstock.Table) { s.Key = []int{0, 1} })}, want: "load a, a ResyncRequired"},
		{name: "all rows stored anew", known: []penstock.TableStatus{known(shape("1", "a", stored("f c l")), penstock.TableSynced)}, source: []penstock.Table{shape("1", "a", stored("g c l"))}, want: "stream a"},
		{name: "a column defined anew", known: []penstock.TableStatus{known(shape("1", "a", stored("f c l")), penstock.TableSynced)}, source: []penstock.Table{shape("1", "a", stored("f d l"))}, want: "a becomes a, stream a"},
		{name: "a label more", known: []penstock.TableStatus{known(shape("1", "a", stored("f c l")), penstock.TableSynced)}, source: []penstock.Table{shape("1", "a", stored("g c k l"))}, want: "a becomes a, stream a"},
		{name: "stored as it was found by an older version", known: []penstock.TableStatus{known(a, penstock.TableSynced)}, source: []penstock.Table{shape("1", "a", stored("f c l"))}, want: "a becomes a, stream a"},
		{name: "all rows stored anew, with other values perhaps", known: []penstock.TableStatus{known(shape("1", "a", stored("f c l")), penstock.TableSynced)}, source: []penstock.Table{shape("1", "a", stored("g d l"))}, want: "load a, a ResyncRequired"},
		{name: "the same, and renamed", known: []penstock.TableStatus{known(shape("1", "a", stored("f c l")), penstock.TableSynced)}, source: []penstock.Table{shape("1", "b", stored("g d l"))}, want: "load b, a ResyncRequired"},
		{name: "the same later", known: []penstock.TableStatus{known(shape("1", "a", stored("f c l")), penstock.TableSynced)}, source: []penstock.Table{shape("1", "a", stored("g d l"))}, ahead: true, want: "stream a, later"},
		{name: "the same, before it was told", known: []penstock.TableStatus{known(shape("1", "a", stored("g d l")), penstock.TableSynced)}, source: []penstock.Table{shape("1", "a", stored("f c l"))}, outdated: "1", want: "stream a"},
		{name: "stored anew while it was looked at, with other values perhaps", known: []penstock.TableStatus{known(shape("1", "a", stored("f c l")), penstock.TableSynced)}, source: []penstock.Table{shape("1", "a", stored(" d l"))}, want: "load a, a ResyncRequired"},
		{name: "stored anew while it was looked at", known: []penstock.TableStatus{known(shape("1", "a", stored("f c l")), penstock.TableSynced)}, source: []penstock.Table{shape("1", "a", stored(" c l"))}, want: "stream a"},
		{name: "it was stored anew while it was looked at", known: []penstock.TableStatus{known(shape("1", "a", stored(" c l")), penstock.TableSynced)}, source: []penstock.Table{shape("1", "a", stored("f c l"))}, want: "a becomes a, stream a"},
		{name: "it was stored anew twice while it was looked at, with other values perhaps", known: []penstock.TableStatus{known(shape("1", "a", stored(" c l")), penstock.TableSynced)}, source: []penstock.Table{shape("1", "a", stored(" d l"))}, want: "load a, a ResyncRequired"},
		{name: "another label", known: []penstock.TableStatus{known(shape("1", "a", stored("f c l")), penstock.TableSynced)}, source: []penstock.Table{shape("1", "a", stored("f c k"))}, want: "load a, a ResyncRequired"},
		{name: "gone", known: []penstock.TableStatus{known(a, penstock.TableSynced)}, want: "drop 1"},
		{name: "gone, and another of the same name", known: []penstock.TableStatus{known(a, penstock.TableSynced)}, source: []penstock.Table{shape("2", "a")}, want: "load a, a ResyncRequired"},
		{name: "gone, and another of the same name that is warned of", known: []penstock.TableStatus{known(a, penstock.TableSynced)}, source: []penstock.Table{shape("2", "a", bare)},
			findings: []penstock.Finding{finding(penstock.SeverityWarning, "public.a")}, want: "load a, a ResyncRequired"},
		{name: "gone, and its name has been taken by another that is warned of", known: []penstock.TableStatus{known(a, penstock.TableResyncRequired), known(shape("2", "a", bare), penstock.TableSynced)},
			source: []penstock.Table{shape("2", "a", bare)}, findings: []penstock.Finding{finding(penstock.SeverityWarning, "public.a")}, want: "stream a, drop 1"},
		{name: "gone, and another of the same name that cannot be carried", known: []penstock.TableStatus{known(a, penstock.TableSynced)}, source: []penstock.Table{shape("2", "a")},
			findings: []penstock.Finding{finding(penstock.SeverityAttention, "public.a")}, want: "drop 1, a Failed"},
		{name: "gone, and kept until another of the same name is loaded", known: []penstock.TableStatus{known(a, penstock.TableResyncRequired, readable, because(replacedByOther)), known(shape("2", "a"), penstock.TableResyncInitiated, join)},
			source: []penstock.Table{shape("2", "a")}, want: "stream a from snapshot"},
		{name: "gone, and another of the same name later", known: []penstock.TableStatus{known(a, penstock.TableSynced)}, source: []penstock.Table{shape("2", "a")}, ahead: true, want: "load a, stream a, later"},
		{name: "gone, and another of the same name that is readable", known: []penstock.TableStatus{known(a, penstock.TableResyncRequired, because(replacedByOther)), known(shape("2", "a"), penstock.TableSynced)},
			source: []penstock.Table{shape("2", "a")}, want: "stream a, drop 1"},
		{name: "cannot be carried", known: []penstock.TableStatus{known(a, penstock.TableSynced)}, source: []penstock.Table{a},
			findings: []penstock.Finding{finding(penstock.SeverityAttention, "public.a")}, want: "a Failed"},
		{name: "cannot be carried, as before", known: []penstock.TableStatus{known(a, penstock.TableFailed, because("TABLE_FAILED: found"))}, source: []penstock.Table{a},
			findings: []penstock.Finding{finding(penstock.SeverityAttention, "public.a")}, want: ""},
		{name: "cannot be carried, and is renamed", known: []penstock.TableStatus{known(a, penstock.TableFailed, readable, because("TABLE_FAILED: before"))}, source: []penstock.Table{shape("1", "b")},
			findings: []penstock.Finding{finding(penstock.SeverityAttention, "public.b")}, want: "a becomes b, b Failed"},
		{name: "cannot be carried, and is renamed later", known: []penstock.TableStatus{known(a, penstock.TableFailed, readable, because("TABLE_FAILED: before"))}, source: []penstock.Table{shape("1", "b")}, ahead: true,
			findings: []penstock.Finding{finding(penstock.SeverityAttention, "public.b")}, want: "later"},
		{name: "cannot be carried, and could not be renamed", known: []penstock.TableStatus{known(a, penstock.TableFailed, readable, because("TABLE_FAILED: found"))}, source: []penstock.Table{shape("1", "b")},
			findings: []penstock.Finding{finding(penstock.SeverityAttention, "public.b")}, want: ""},
		{name: "cannot be carried, and is not listed", known: []penstock.TableStatus{known(a, penstock.TableSynced)},
			findings: []penstock.Finding{finding(penstock.SeverityAttention, "public.a")}, want: "a Failed"},
		{name: "new, and cannot be carried", source: []penstock.Table{a}, findings: []penstock.Finding{finding(penstock.SeverityAttention, "public.a")}, want: "a Failed"},
		{name: "a warning about a table that is carried", known: []penstock.TableStatus{known(a, penstock.TableSynced)}, source: []penstock.Table{a},
			findings: []penstock.Finding{finding(penstock.SeverityWarning, "public.a")}, want: "stream a"},
		{name: "locked, so that it cannot be carried just now", known: []penstock.TableStatus{known(a, penstock.TableSynced)},
			findings: []penstock.Finding{finding(penstock.SeverityWarning, "public.a")}, want: "a ResyncRequired"},
		{name: "locked still", known: []penstock.TableStatus{known(a, penstock.TableResyncRequired)},
			findings: []penstock.Finding{finding(penstock.SeverityWarning, "public.a")}, want: ""},
		{name: "a view now", known: []penstock.TableStatus{known(a, penstock.TableSynced)},
			findings: []penstock.Finding{finding(penstock.SeverityInfo, "public.a")}, want: "drop 1"},
		{name: "a finding about everything", known: []penstock.TableStatus{known(a, penstock.TableSynced)}, source: []penstock.Table{a},
			findings: []penstock.Finding{finding(penstock.SeverityAttention, "")}, want: "stream a"},
	} {
		got := reconcile(c.known, c.source, c.findings, !c.ahead, func(id penstock.TableID) bool { return c.outdated == id }, func(x *penstock.Table) bool { return x.Name == c.held })
		if s := describe(got); s != c.want {
			t.Errorf("%s: %q, want %q", c.name, s, c.want)
		}
	}
}

func describe(t *turn) string {
	var out []string
	for _, x := range t.load {
		out = append(out, "load "+x.Name)
	}
	for _, a := range t.rename {
		out = append(out, a.Old.Name+" becomes "+a.New.Name)
	}
	for _, x := range t.tables {
		s := "stream " + x.Name
		if j, ok := t.joins[x.ID]; ok {
			s += " from " + string(j)
		}
		out = append(out, s)
	}
	for _, id := range t.drop {
		out = append(out, fmt.Sprint("drop ", id))
	}
	for _, s := range t.states {
		out = append(out, fmt.Sprint(s.Table.Name, " ", s.State))
	}
	if t.later {
		out = append(out, "later")
	}
	return strings.Join(out, ", ")
}
