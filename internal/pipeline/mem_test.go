package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock"
	"penstock/internal/pipeline"
	"penstock/internal/source/memsource"
	"penstock/internal/target/memtarget"
)

const memIntegration = penstock.IntegrationID("3f2a91bc-0000-4000-8000-000000000001")

// small is one stream from memory into memory.
type small struct {
	source *memsource.Source
	db     *memsource.Database
	target *memtarget.Target
	config pipeline.Config

	mu   sync.Mutex
	pipe *pipeline.Pipeline // the last one started
	errs []error            // that runs have ended with
	stop func()
}

// newSmall returns a stream that is not running, of a database with a table of
// each identity: keyed, whole and bare, each with rows 1 to n.
func newSmall(t *testing.T, n int) *small {
	t.Helper()
	s := &small{source: memsource.New(), target: memtarget.New()}
	s.db = s.source.Database("shop")
	filter, err := s.source.ParseFilter("include: shop.*.*")
	if err != nil {
		t.Fatal(err)
	}
	s.config = pipeline.Config{
		Source: s.source, Capture: penstock.CaptureSpec{Integration: memIntegration, Database: "shop", Filter: filter}, Target: s.target,
		Spec: penstock.DatabaseSpec{Name: "shop", Integration: memIntegration, SourceARN: "arn:aws:rds:us-east-1:000000000000:cluster:shop", SourceDatabase: "shop"},
		Poll: 5 * time.Millisecond, MinInterval: time.Millisecond, Logger: logger(t),
	}
	for name, identity := range map[string]penstock.Identity{"keyed": penstock.IdentityKey, "whole": penstock.IdentityFull, "bare": penstock.IdentityNone} {
		s.create(name, identity)
		s.db.Do(func(tx *memsource.Tx) {
			for i := range n {
				tx.Insert(name, i+1, 100, "row")
			}
		})
	}
	return s
}

// create makes a table with the columns id, n and body.
func (s *small) create(name string, identity penstock.Identity) {
	column := func(name string, kind penstock.TypeKind) penstock.Column {
		return penstock.Column{Name: name, Type: penstock.Type{Kind: kind}}
	}
	shape := penstock.Table{Name: name, Identity: identity, Columns: []penstock.Column{
		column("id", penstock.TypeInt64), column("n", penstock.TypeInt64), column("body", penstock.TypeText)}}
	if identity == penstock.IdentityKey {
		shape.Key = []int{0}
	}
	s.db.Create(shape)
}

// addColumn changes a table's shape.
func (s *small) addColumn(name string) {
	s.db.Alter(name, func(t *penstock.Table) {
		id := penstock.ColumnID(len(t.Columns) + 1)
		t.Columns = append(t.Columns, penstock.Column{ID: id, Name: fmt.Sprint("more", id), Type: penstock.Type{Kind: penstock.TypeInt32}})
	})
}

// run runs one pipeline until it ends.
func (s *small) run(ctx context.Context) error {
	p := pipeline.New(s.config)
	s.mu.Lock()
	s.pipe = p
	s.mu.Unlock()
	err := p.Run(ctx)
	if err != nil {
		s.mu.Lock()
		s.errs = append(s.errs, err)
		s.mu.Unlock()
	}
	return err
}

// keep runs pipelines until the test ends, another whenever one fails, as the
// supervisor does.
func (s *small) keep(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			s.run(ctx)
		}
	}()
	s.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(s.stop)
}

// status returns what the last pipeline knows.
func (s *small) status() penstock.StreamStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pipe == nil {
		return penstock.StreamStatus{}
	}
	return s.pipe.Status()
}

// current returns the pipeline that was started last.
func (s *small) current() *pipeline.Pipeline {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pipe
}

// tune changes the options of the pipeline that was started last.
func (s *small) tune(o penstock.DatabaseOptions) { s.current().Tune(o) }

// failures returns what runs have ended with so far.
func (s *small) failures() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.errs)
}

// rows returns a table's rows in the target, sorted; nil if it is not readable.
func (s *small) rows(table string) []string {
	_, rows, ok := s.target.Read("shop", "public", table)
	if !ok {
		return nil
	}
	return render(rows)
}

// settle waits until tables in the target are readable and as at the source.
func (s *small) settle(t *testing.T, tables ...string) {
	t.Helper()
	for _, table := range tables {
		var got, want []string
		deadline := time.Now().Add(20 * time.Second)
		for {
			got, want = s.rows(table), render(s.db.Rows(table))
			if got != nil && slices.Equal(got, want) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: target has %d rows, source %d; first of target %.200q, of source %.200q\nfailures %v\nstatus %+v", table, len(got), len(want), got, want, s.failures(), s.status())
			}
			time.Sleep(time.Millisecond)
		}
	}
}

var allKinds = []string{"keyed", "whole", "bare"}

// work changes all kinds of tables, keeping the sum of n over keyed as it is.
func (s *small) work(i int) {
	s.db.Do(func(tx *memsource.Tx) {
		for _, name := range allKinds {
			tx.Insert(name, 1000+i, 0, strings.Repeat("x", i%7))
		}
		from, to := 1+i%10, 1+(i+3)%10
		for _, name := range []string{"keyed", "whole"} {
			tx.Update(name, from, map[string]any{"n": 100 - i})
			tx.Update(name, to, map[string]any{"n": 100 + i})
			tx.Update(name, from, map[string]any{"n": 100})
			tx.Update(name, to, map[string]any{"n": 100})
			if i%3 == 0 {
				tx.Delete(name, 1000+i)
			}
			if i%5 == 0 {
				tx.Update(name, 11+i, map[string]any{"id": -i - 1})
			}
		}
	})
	if i%4 == 0 {
		tx := s.db.Begin()
		tx.Insert("keyed", 5000+i, 7, "never")
		tx.Truncate("bare")
		tx.Rollback()
	}
}

// once returns an interceptor that fails once: at the n-th call, of op if that
// is not empty.
func once(op string, n int, err error) func(string) error {
	var mu sync.Mutex
	return func(got string) error {
		mu.Lock()
		defer mu.Unlock()
		if op != "" && got != op {
			return nil
		}
		if n--; n == 0 {
			return err
		}
		return nil
	}
}

var errInjected = errors.New("it broke, as it was told to")
