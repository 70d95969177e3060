package sourcetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"penstock"
	"penstock/internal/spill"
)

// Row is a row of the tables that the suite makes: id, n and body.
type Row struct {
	ID, N int64
	Body  string
}

// Subject is a source under test, and a database of it for one test.
type Subject interface {
	// Source returns the source.
	Source() penstock.Source
	// Database returns the source database. It has no tables.
	Database() string
	// Create makes a table in schema public with the columns id and n, 64-bit
	// integers, and body, a text. With IdentityKey id is its key.
	Create(t *testing.T, table string, identity penstock.Identity)
	// AddColumn gives a table another column.
	AddColumn(t *testing.T, table string)
	// Rename gives a table another name.
	Rename(t *testing.T, table, to string)
	// Drop removes a table.
	Drop(t *testing.T, table string)
	// Begin opens a transaction. Several may be open at a time.
	Begin(t *testing.T) Tx
	// Rows returns the committed rows of a table.
	Rows(t *testing.T, table string) []Row
	// Touch makes the source's history longer by something that no stream carries.
	Touch(t *testing.T)
	// LosePositions has the source give up the history that the streams of an
	// integration need.
	LosePositions(t *testing.T, id penstock.IntegrationID)
	// Left names what captures of an integration have left at the source.
	Left(t *testing.T, id penstock.IntegrationID) []string
}

// Tx is a transaction at the source.
type Tx interface {
	Insert(table string, rows ...Row)
	// Update sets columns, by name, of one row with that id.
	Update(table string, id int64, set map[string]any)
	// Delete deletes one row with that id.
	Delete(table string, id int64)
	Truncate(table string)
	Commit()
	Rollback()
}

// Run runs the suite, but for what RunTold does. open is called once per test,
// and returns a source whose stream does not tell of changes of shape.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for _, c := range []struct {
		name string
		test func(*env)
	}{
		{"Check", testCheck},
		{"NothingBeforeThePosition", testNothingBefore},
		{"CommitOrder", testCommitOrder},
		{"RolledBack", testRolledBack},
		{"Operations", testOperations},
		{"KeyChange", testKeyChange},
		{"WholeRows", testWholeRows},
		{"UnchangedValues", testUnchangedValues},
		{"NoIdentity", testNoIdentity},
		{"Truncate", testTruncate},
		{"LargeTransaction", testLargeTransaction},
		{"SmallLimit", testSmallLimit},
		{"MostTables", testMostTables},
		{"Wake", testWake},
		{"Progress", testProgress},
		{"AckAndReopen", testAckAndReopen},
		{"ReopenWithoutAck", testReopenWithoutAck},
		{"CloseDuringNext", testCloseDuringNext},
		{"CancelDuringNext", testCancelDuringNext},

		{"Join", testJoin},
		{"JoinOpenTransactions", testJoinOpenTransactions},
		{"JoinAcrossReopen", testJoinAcrossReopen},
		{"JoinPassedBefore", testJoinPassedBefore},
		{"JoinAWriter", testJoinAWriter},
		{"JoinTruncate", testJoinTruncate},
		{"LoadSeveral", testLoadSeveral},
		{"LoadEmpty", testLoadEmpty},
		{"LoadTruncated", testLoadTruncated},
		{"LoadDropped", testLoadDropped},
		{"LoadFlushFails", testLoadFlushFails},
		{"Resume", testResume},
		{"ResumeNot", testResumeNot},
		{"Reread", testReread},

		{"Follow", testFollow},
		{"FollowAhead", testFollowAhead},
		{"FollowLargeTransaction", testFollowLargeTransaction},
		{"FollowLeavesNothing", testFollowLeavesNothing},

		{"Until", testUntil},
		{"Locate", testLocate},
		{"Pin", testPin},
		{"PinWaits", testPinWaits},

		{"NewTable", testNewTable},
		{"Reshaped", testReshaped},
		{"ReshapedInLargeTransaction", testReshapedInLargeTransaction},
		{"Filter", testFilter},
		{"PrepareAgain", testPrepareAgain},
		{"ForeignPosition", testForeignPosition},
		{"PositionLost", testPositionLost},
		{"Forget", testForget},
		{"ForgetStream", testForgetStream},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(newEnv(t, open(t)))
		})
	}
}

func newEnv(t *testing.T, s Subject) *env {
	id := newID()
	e := &env{T: t, s: s, id: id}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	e.ctx = ctx
	t.Cleanup(func() {
		if err := e.s.Source().Forget(context.WithoutCancel(ctx), id); err != nil {
			t.Error(err)
		}
	})
	e.s.Create(t, marks, penstock.IdentityKey)
	return e
}

// newID returns an integration for one test alone: tests may share the server.
func newID() penstock.IntegrationID {
	return penstock.IntegrationID(fmt.Sprintf("%08x-0000-4000-8000-000000000001", rand.Uint32()))
}

// patience is how long a test may take on a machine that is very busy.
const patience = 90 * time.Second

// marks is a table whose rows tell how far the stream is.
const marks = "marks"

// env is what a test of the suite works with.
type env struct {
	*testing.T
	s   Subject
	id  penstock.IntegrationID
	ctx context.Context

	marked int64
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

// do runs f in a transaction of its own.
func (e *env) do(f func(Tx)) {
	e.Helper()
	tx := e.s.Begin(e.T)
	f(tx)
	tx.Commit()
}

// insert inserts rows with ids from first to last.
func (e *env) insert(table string, first, last int64) {
	e.Helper()
	e.do(func(tx Tx) { tx.Insert(table, rows(first, last)...) })
}

func rows(first, last int64) (out []Row) {
	for id := first; id <= last; id++ {
		out = append(out, Row{ID: id, N: id % 7, Body: fmt.Sprint("row ", id)})
	}
	return out
}

func (e *env) capture(id penstock.IntegrationID, filter string) penstock.Capture {
	e.Helper()
	f, err := e.s.Source().ParseFilter(filter)
	e.ok(err)
	c := e.s.Source().Capture(penstock.CaptureSpec{Integration: id, Database: e.s.Database(), Filter: f,
		Spill: spill.New(e.TempDir(), make([]byte, 32))})
	e.Cleanup(func() { c.Close() })
	return c
}

// everything is a filter that selects all tables of the database.
func (e *env) everything() string { return "include: " + e.s.Database() + ".*.*" }
