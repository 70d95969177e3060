package memsource

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"penstock"
)

var _ penstock.Source = (*Source)(nil)

// Source is a database server in memory. Use New. Its methods, and those of
// everything it hands out, may be called concurrently, as far as the contracts
// of the penstock package allow that of a reader.
type Source struct {
	mu        sync.Mutex // guards everything below, databases included
	system    int64      // identity: tells servers apart
	databases map[string]*Database
	slots     int // ever made: the number of the next
	findings  []penstock.Finding
	intercept func(op string) error
}

var systems atomic.Int64

// New returns a server without databases, different from all others.
func New() *Source {
	return &Source{system: systems.Add(1), databases: make(map[string]*Database)}
}

// Database returns the database of that name, which it makes if there is none.
func (s *Source) Database(name string) *Database {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.database(name)
}

func (s *Source) database(name string) *Database {
	db := s.databases[name]
	if db == nil {
		db = &Database{source: s, name: name, nextXID: 3, lsn: 1, slots: map[penstock.IntegrationID]*slot{},
			published: map[penstock.IntegrationID]map[penstock.TableID]int{}, moved: make(chan struct{})}
		s.databases[name] = db
	}
	return db
}

// Intercept has f called at the start of the methods of a Capture, a Load and
// a Stream, but for Wake, Ack and Close, with the method's name (NextBeside for
// the Next of a stream that follows a load; NextInside and NextBesideInside
// where it goes on inside a transaction), and again whenever a waiting Next
// looks for more; an error of f is returned in place of doing the work, as if
// the server had failed. f may wait, and use the source. nil takes it away.
func (s *Source) Intercept(f func(op string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
	for _, db := range s.databases {
		db.move()
	}
}

// begin locks the source and checks that op may run; the caller unlocks.
func (s *Source) begin(ctx context.Context, op string) error {
	s.mu.Lock()
	if err := ctx.Err(); err != nil {
		return err
	}
	f := s.intercept
	if f == nil {
		return nil
	}
	s.mu.Unlock()
	defer s.mu.Lock()
	return f(op)
}

// Find sets what Check and, as far as it concerns their database, all calls of
// Tables return besides. A table with a finding of SeverityAttention is
// not carried.
func (s *Source) Find(findings ...penstock.Finding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.findings = slices.Clone(findings)
}

// Engine returns "memory".
func (s *Source) Engine() string { return "memory" }

// ParseFilter implements penstock.Source: three parts, none by default.
func (s *Source) ParseFilter(text string) (penstock.Filter, error) {
	return penstock.ParseFilter(text, 3)
}

// Databases implements penstock.Source.
func (s *Source) Databases(f penstock.Filter) []string { return f.Databases() }

// Check implements penstock.Source: it returns what Find was given.
func (s *Source) Check(ctx context.Context, _ penstock.Filter) ([]penstock.Finding, error) {
	defer s.mu.Unlock()
	if err := s.begin(ctx, "Check"); err != nil {
		return nil, err
	}
	return slices.Clone(s.findings), nil
}

// Capture implements penstock.Source.
func (s *Source) Capture(spec penstock.CaptureSpec) penstock.Capture {
	return &capture{db: s.Database(spec.Database), spec: spec}
}

// Forget implements penstock.Source.
func (s *Source) Forget(ctx context.Context, id penstock.IntegrationID) error {
	defer s.mu.Unlock()
	if err := s.begin(ctx, "Forget"); err != nil {
		return err
	}
	for _, db := range s.databases {
		db.forget(id)
	}
	return nil
}

// ForgetStream implements penstock.Source.
func (s *Source) ForgetStream(ctx context.Context, id penstock.IntegrationID, database string) error {
	defer s.mu.Unlock()
	if err := s.begin(ctx, "ForgetStream"); err != nil {
		return err
	}
	if db := s.databases[database]; db != nil {
		db.forget(id)
	}
	return nil
}

// forget removes what captures of an integration have put into the database.
func (db *Database) forget(id penstock.IntegrationID) {
	if sl := db.slots[id]; sl != nil {
		sl.gone = true
	}
	delete(db.slots, id)
	delete(db.published, id)
	db.move()
}

// Left lists what captures of an integration have put on the server.
func (s *Source) Left(id penstock.IntegrationID) (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, db := range s.databases {
		if sl := db.slots[id]; sl != nil {
			names = append(names, fmt.Sprintf("slot %d in %s", sl.number, db.name))
		}
		for _, sl := range db.beside {
			names = append(names, fmt.Sprintf("slot %d in %s", sl.number, db.name))
		}
		if db.published[id] != nil {
			names = append(names, "publication in "+db.name)
		}
	}
	return names
}

// Close implements penstock.Source; there is nothing to release.
func (s *Source) Close() error { return nil }
