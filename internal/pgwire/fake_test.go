package pgwire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"penstock"
)

// fakeWarehouse answers statements by their text. Statements that nobody gave
// an answer to do not exist: 42P01.
type fakeWarehouse struct {
	databases []string

	mu       sync.Mutex
	answers  map[string]*fakeAnswer
	ran      []string // everything that sessions were told to run
	sessions int      // open
}

// fakeAnswer is what one statement does.
type fakeAnswer struct {
	kind     penstock.StatementKind // SELECT if there are columns, else INSERT
	params   []penstock.Type
	columns  []penstock.ResultColumn
	chunks   func() []*penstock.Rows
	affected int64
	queryErr error
	// block, if set, makes Query wait until it is interrupted; it tells that
	// it waits by closing block.
	block chan struct{}
	// stubborn makes a blocked Query heed Interrupt only, not its context.
	stubborn bool
	panics   bool
}

func newFake(databases ...string) *fakeWarehouse {
	return &fakeWarehouse{databases: append([]string{"dev"}, databases...), answers: map[string]*fakeAnswer{}}
}

func (w *fakeWarehouse) on(sql string, a *fakeAnswer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[sql] = a
}

func (w *fakeWarehouse) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ran = append(w.ran, fmt.Sprintf(format, args...))
}

// history returns what was run since the last call.
func (w *fakeWarehouse) history() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	ran := w.ran
	w.ran = nil
	return ran
}

func (w *fakeWarehouse) Databases(context.Context) ([]string, error) { return w.databases, nil }

func (w *fakeWarehouse) Connect(_ context.Context, database string) (penstock.Session, error) {
	if !slices.Contains(w.databases, database) {
		return nil, penstock.Errorf(penstock.KindNotFound, "no database %q", database)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions++
	return &fakeSession{w: w, interrupts: make(chan struct{}, 8)}, nil
}

type fakeSession struct {
	w          *fakeWarehouse
	interrupts chan struct{}
	busy       sync.Mutex
	views      map[string]*fakeAnswer
	open       *fakeResult // only one result at a time, like an engine that streams
}

// enter checks that the session is used by one goroutine at a time, and ends
// the result that is being read, as an engine does that streams.
func (s *fakeSession) enter() func() {
	if !s.busy.TryLock() {
		panic("session used by two goroutines at a time")
	}
	if s.open != nil {
		s.open.broken = true
		s.open = nil
	}
	return s.busy.Unlock
}

func (s *fakeSession) Prepare(_ context.Context, sql string) (penstock.Statement, error) {
	defer s.enter()()
	s.w.mu.Lock()
	a := s.w.answers[sql]
	s.w.mu.Unlock()
	if a == nil {
		for name, v := range s.views {
			if strings.Contains(sql, name) {
				a = v
			}
		}
	}
	if a == nil {
		return nil, &penstock.SQLError{State: "42P01", Message: "Table does not exist: " + sql}
	}
	return &fakeStatement{s: s, sql: sql, a: a}, nil
}

func (s *fakeSession) Exec(_ context.Context, sql string) error {
	defer s.enter()()
	s.w.note("%s", sql)
	if sql == "COMMIT" {
		s.w.mu.Lock()
		defer s.w.mu.Unlock()
		if a := s.w.answers[sql]; a != nil {
			return a.queryErr
		}
	}
	return nil
}

func (s *fakeSession) Materialize(_ context.Context, name string, columns []penstock.ResultColumn, rows *penstock.Rows) error {
	defer s.enter()()
	if s.views == nil {
		s.views = map[string]*fakeAnswer{}
	}
	s.w.note("materialize %s: %d rows", name, rows.Len())
	s.views[name] = &fakeAnswer{columns: columns, chunks: func() []*penstock.Rows { return []*penstock.Rows{rows} }}
	return nil
}

func (s *fakeSession) Interrupt() {
	select {
	case s.interrupts <- struct{}{}:
	default:
	}
}

func (s *fakeSession) Close() error {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.sessions--
	return nil
}

type fakeStatement struct {
	s   *fakeSession
	sql string
	a   *fakeAnswer
}

func (f *fakeStatement) Kind() penstock.StatementKind {
	switch {
	case f.a.kind != "":
		return f.a.kind
	case f.a.columns != nil:
		return penstock.StatementSelect
	}
	return penstock.StatementInsert
}
func (f *fakeStatement) Params() []penstock.Type          { return f.a.params }
func (f *fakeStatement) Columns() []penstock.ResultColumn { return f.a.columns }
func (f *fakeStatement) Close() error                     { return nil }

func (f *fakeStatement) Query(ctx context.Context, args []*string) (penstock.Result, error) {
	defer f.s.enter()()
	var shown []string
	for _, a := range args {
		if a == nil {
			shown = append(shown, "NULL")
		} else {
			shown = append(shown, *a)
		}
	}
	f.s.w.note("%s", strings.TrimSpace(f.sql+" "+strings.Join(shown, "|")))
	if f.a.panics {
		panic("the engine fell over")
	}
	if f.a.block != nil {
		close(f.a.block)
		done := ctx.Done()
		if f.a.stubborn {
			done = nil
		}
		select {
		case <-f.s.interrupts:
		case <-done:
		}
		return nil, errors.New("INTERRUPT Error: Interrupted!")
	}
	if f.a.queryErr != nil {
		return nil, f.a.queryErr
	}
	r := &fakeResult{a: f.a}
	if f.a.chunks != nil {
		r.chunks = f.a.chunks()
	}
	f.s.open = r
	return r, nil
}

type fakeResult struct {
	a      *fakeAnswer
	chunks []*penstock.Rows
	broken bool
}

func (r *fakeResult) Next(context.Context) (*penstock.Rows, error) {
	if r.broken {
		return nil, errors.New("the session was used for something else while this result was open")
	}
	if len(r.chunks) == 0 {
		return nil, nil
	}
	rows := r.chunks[0]
	r.chunks = r.chunks[1:]
	return rows, nil
}
func (r *fakeResult) Affected() int64 { return r.a.affected }
func (r *fakeResult) Close() error    { return nil }

// numbers answers with the integers from 1 to n in a column i, in chunks of 3.
func numbers(n int) *fakeAnswer {
	typ := penstock.Type{Kind: penstock.TypeInt32}
	return &fakeAnswer{
		columns: []penstock.ResultColumn{{Name: "i", Type: typ}},
		chunks: func() (chunks []*penstock.Rows) {
			for i := 1; i <= n; i++ {
				if i%3 == 1 {
					chunks = append(chunks, &penstock.Rows{Vectors: []penstock.Vector{penstock.NewVector(typ)}})
				}
				chunks[len(chunks)-1].Vectors[0].AppendInt32(int32(i))
			}
			return chunks
		},
	}
}
