package targettest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"penstock"
)

// Subject is a target under test.
type Subject interface {
	// Target returns the target.
	Target() penstock.Target
	// Restart stands for a restart of the process: it closes the target,
	// with whatever is open in it, and opens it again over the same storage.
	Restart(t *testing.T)
	// Read returns the rows that a reader of a table sees, in any order, in
	// vectors of the table's types; false if nothing is to be seen.
	Read(t *testing.T, database string, table *penstock.Table) (*penstock.Rows, bool)
}

// Run runs the suite. empty is called once per test, and returns a target
// without databases, to be closed at the end of t.
func Run(t *testing.T, empty func(t *testing.T) Subject) {
	for _, c := range []struct {
		name string
		test func(*env)
	}{
		{"Ownership", testOwnership},
		{"OpenTwice", testOpenTwice},
		{"Detach", testDetach},
		{"Adopt", testAdopt},
		{"DropDatabase", testDropDatabase},
		{"Fence", testFence},
		{"EmptyBatch", testEmptyBatch},
		{"InsertUpdateDelete", testInsertUpdateDelete},
		{"Truncate", testTruncate},
		{"SeveralTables", testSeveralTables},
		{"TextKey", testTextKey},
		{"CompositeKey", testCompositeKey},
		{"Unchanged", testUnchanged},
		{"UnchangedWithoutBase", testUnchangedWithoutBase},
		{"FullIdentity", testFullIdentity},
		{"NoIdentity", testNoIdentity},
		{"Partial", testPartial},
		{"PartialUndoneByError", testPartialUndoneByError},
		{"PartialUndoneByClose", testPartialUndoneByClose},
		{"LoadJoinSwap", testLoadJoinSwap},
		{"ReloadKeepsReadable", testReloadKeepsReadable},
		{"UnfinishedLoad", testUnfinishedLoad},
		{"Expose", testExpose},
		{"ExposedName", testExposedName},
		{"LoadedSurvivesRestart", testLoadedSurvivesRestart},
		{"AppendConcurrently", testAppendConcurrently},
		{"ChunkUndone", testChunkUndone},
		{"LoadGoesOn", testLoadGoesOn},
		{"LoadIsVoid", testLoadIsVoid},
		{"ChunksTogether", testChunksTogether},
		{"ManyTables", testManyTables},
		{"Mend", testMend},
		{"MendPartial", testMendPartial},
		{"JoinAnew", testJoinAnew},
		{"SwapTakesName", testSwapTakesName},
		{"AlterTakesName", testAlterTakesName},
		{"Drop", testDrop},
		{"States", testStates},
		{"BadValues", testBadValues},
		{"Strict", testStrict},
		{"NamelessRows", testNamelessRows},
		{"Forget", testForget},
		{"Reopen", testReopen},
		{"NamesDifferingByCase", testNamesDifferingByCase},
		{"AwkwardNames", testAwkwardNames},
		{"AllTypes", testAllTypes},
		{"AllTypesAsKey", testAllTypesAsKey},
		{"ManyRows", testManyRows},
		{"Alter", testAlter},
		{"AlterFull", testAlterFull},
		{"AlterNames", testAlterNames},
		{"AlterHidden", testAlterHidden},
		{"AlterPartial", testAlterPartial},
		{"AlterRefused", testAlterRefused},
		{"AlterAllTypes", testAlterAllTypes},
		{"History", testHistory},
		{"HistoryTruncate", testHistoryTruncate},
		{"HistoryFull", testHistoryFull},
		{"HistoryPartial", testHistoryPartial},
		{"HistoryOff", testHistoryOff},
		{"HistoryReload", testHistoryReload},
		{"HistoryReloadOfShape", testHistoryReloadOfShape},
		{"HistoryAlter", testHistoryAlter},
		{"HistoryRetire", testHistoryRetire},
		{"HistoryName", testHistoryName},
		{"HistoryForgotten", testHistoryForgotten},
		{"View", testView},
		{"ViewOfAllTypes", testViewOfAllTypes},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(&env{T: t, s: empty(t)})
		})
	}
}

// env is what a test of the suite works with.
type env struct {
	*testing.T
	s Subject
}

const (
	integration = penstock.IntegrationID("0b2b3c4d-0000-4000-8000-000000000001")
	another     = penstock.IntegrationID("0b2b3c4d-0000-4000-8000-000000000002")
)

func specOf(name string) penstock.DatabaseSpec {
	return penstock.DatabaseSpec{
		Name: name, Integration: integration,
		SourceARN: "arn:aws:rds:eu-central-1:123456789012:db:shop", SourceDatabase: "shop",
	}
}

func (e *env) open() penstock.Destination {
	e.Helper()
	return e.openSpec(specOf("shop"))
}

func (e *env) openSpec(spec penstock.DatabaseSpec) penstock.Destination {
	e.Helper()
	d, err := e.s.Target().Open(e.Context(), spec)
	if err != nil {
		e.Fatalf("open %s: %v", spec.Name, err)
	}
	e.Cleanup(func() { d.Close() })
	return d
}

func (e *env) ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

func (e *env) wantKind(err error, kind penstock.Kind) {
	e.Helper()
	var pe *penstock.Error
	if !errors.As(err, &pe) || pe.Kind != kind {
		e.Fatalf("got error %v, want one of kind %q", err, kind)
	}
}

func (e *env) state(d penstock.Destination) penstock.DestinationState {
	e.Helper()
	st, err := d.State(e.Context())
	e.ok(err)
	return st
}

func (e *env) applied(d penstock.Destination, want penstock.Position) {
	e.Helper()
	if got := e.state(d).Applied; got != want {
		e.Fatalf("position is %q, want %q", got, want)
	}
}

// status returns the status of one table, which must be known.
func (e *env) status(d penstock.Destination, id penstock.TableID) penstock.TableStatus {
	e.Helper()
	for _, s := range e.state(d).Tables {
		if s.Table.ID == id {
			return s
		}
	}
	e.Fatalf("table %s is not known", id)
	return penstock.TableStatus{}
}

func (e *env) wantState(d penstock.Destination, id penstock.TableID, want penstock.TableState, readable bool) penstock.TableStatus {
	e.Helper()
	s := e.status(d, id)
	if s.State != want || s.Readable != readable {
		e.Fatalf("table %s is %s, readable %v (%s); want %s, %v", id, s.State, s.Readable, s.Reason, want, readable)
	}
	return s
}

// load makes a table readable with rows and no history.
func (e *env) load(d penstock.Destination, shape *penstock.Table, rows *penstock.Rows) {
	e.Helper()
	e.ok(d.Ensure(e.Context(), shape))
	if rows != nil && rows.Len() > 0 {
		e.ok(Append(e.Context(), d, shape.ID, rows, nil))
	}
	e.ok(d.Loaded(e.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "snap"}))
	pos := e.state(d).Applied
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: pos + "+", Swap: []penstock.TableID{shape.ID}}))
}

// apply applies a batch from wherever the destination is to a later position.
func (e *env) apply(d penstock.Destination, tables ...penstock.TableBatch) {
	e.Helper()
	pos := e.state(d).Applied
	e.ok(d.Apply(e.Context(), pos, &penstock.Batch{Next: pos + "+", Tables: tables}))
}

// wantRows checks that readers see exactly these rows, in any order.
func (e *env) wantRows(database string, shape *penstock.Table, want *penstock.Rows) {
	e.Helper()
	got, ok := e.s.Read(e.T, database, shape)
	if !ok {
		e.Fatalf("%s is not readable in %s", shape, database)
	}
	if len(got.Vectors) != len(want.Vectors) {
		e.Fatalf("%s has %d columns, want %d", shape, len(got.Vectors), len(want.Vectors))
	}
	for c := range want.Vectors {
		if g, w := got.Vectors[c].Type(), want.Vectors[c].Type(); g != w {
			e.Fatalf("%s column %s is read as %s, want %s", shape, shape.Columns[c].Name, g, w)
		}
	}
	g, w := sorted(got), sorted(want)
	if slices.Equal(g, w) {
		return
	}
	e.Fatalf("%s: rows differ\n got (%d): %s\nwant (%d): %s", shape, len(g), excerpt(g), len(w), excerpt(w))
}

func (e *env) wantUnreadable(database string, shape *penstock.Table) {
	e.Helper()
	if _, ok := e.s.Read(e.T, database, shape); ok {
		e.Fatalf("%s is readable in %s", shape, database)
	}
}

// sorted renders rows so that two sets of them can be compared.
func sorted(rows *penstock.Rows) []string {
	out := make([]string, rows.Len())
	var b bytes.Buffer
	for i := range out {
		b.Reset()
		for c := range rows.Vectors {
			v := &rows.Vectors[c]
			if c > 0 {
				b.WriteString(" | ")
			}
			switch {
			case v.IsNull(i):
				b.WriteString("NULL")
			case v.Type().Width() == 0:
				fmt.Fprintf(&b, "%q", v.Bytes(i))
			default:
				fmt.Fprintf(&b, "%x", v.Raw(i))
			}
		}
		out[i] = b.String()
	}
	slices.Sort(out)
	return out
}

func excerpt(rows []string) string {
	const most = 12
	s := strings.Join(rows[:min(len(rows), most)], "\n      ")
	if len(rows) > most {
		s += "\n      …"
	}
	return s
}
