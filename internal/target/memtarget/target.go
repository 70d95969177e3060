package memtarget

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"penstock"
)

var _ penstock.Target = (*Target)(nil)

// Target is a warehouse in memory. Use New.
type Target struct {
	mu        sync.Mutex // guards everything below, destinations included
	databases map[string]*database
	intercept func(op string) error
}

// database is a destination database: what outlives a Destination.
type database struct {
	spec    penstock.DatabaseSpec
	applied penstock.Position
	tables  map[penstock.TableID]*table
	open    *Destination
	exposed bool
	time    time.Time // see penstock.DestinationState.Time
	left    []left
}

// New returns an empty target.
func New() *Target {
	return &Target{databases: make(map[string]*database)}
}

// Intercept has f called at the start of every method of a Destination with
// the method's name; an error of f is returned in place of doing the work, as
// if the warehouse had failed. nil takes it away.
func (t *Target) Intercept(f func(op string) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.intercept = f
}

// Engine returns "memory".
func (t *Target) Engine() string { return "memory" }

// Consistency returns penstock.ConsistentDatabase: one lock guards everything.
func (t *Target) Consistency() penstock.Consistency { return penstock.ConsistentDatabase }

// Open implements penstock.Target. One that is open already is refused with
// KindConflict.
func (t *Target) Open(_ context.Context, spec penstock.DatabaseSpec) (penstock.Destination, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if spec.Name == "" || spec.Integration == "" {
		return nil, penstock.Errorf(penstock.KindInvalid, "open database %q: a name and an integration are needed", spec.Name)
	}
	db := t.databases[spec.Name]
	switch {
	case db == nil:
		db = &database{spec: spec, tables: make(map[penstock.TableID]*table)}
		t.databases[spec.Name] = db
	case db.open != nil:
		return nil, penstock.Errorf(penstock.KindConflict, "open database %q: it is being written to already", spec.Name)
	case db.spec == spec:
		db.recover()
	case db.spec.Integration == "" && db.spec.SourceARN == spec.SourceARN && db.spec.SourceDatabase == spec.SourceDatabase:
		db.spec = spec
		db.forget("the database was taken over by another integration")
	default:
		return nil, penstock.Errorf(penstock.KindConflict, "open database %q: it belongs to another integration or source database", spec.Name)
	}
	db.exposed = false
	db.open = &Destination{target: t, db: db}
	return db.open, nil
}

// Detach implements penstock.Target.
func (t *Target) Detach(_ context.Context, name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	db := t.databases[name]
	if db == nil {
		return nil
	}
	if db.open != nil {
		return penstock.Errorf(penstock.KindConflict, "detach database %q: it is still being written to", name)
	}
	db.spec.Integration = ""
	return nil
}

// Drop implements penstock.Target.
func (t *Target) Drop(_ context.Context, name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if db := t.databases[name]; db != nil && db.open != nil {
		return penstock.Errorf(penstock.KindConflict, "drop database %q: it is still being written to", name)
	}
	delete(t.databases, name)
	return nil
}

// List implements penstock.Target.
func (t *Target) List(context.Context) ([]penstock.DatabaseSpec, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var specs []penstock.DatabaseSpec
	for _, db := range t.databases {
		specs = append(specs, db.spec)
	}
	slices.SortFunc(specs, func(a, b penstock.DatabaseSpec) int { return cmp.Compare(a.Name, b.Name) })
	return specs, nil
}

// Close ends all writing. The databases stay, and may be opened again.
func (t *Target) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, db := range t.databases {
		if db.open != nil {
			db.open.close()
		}
	}
	return nil
}

// Read returns a copy of the readable version of a table and its shape, with
// the columns of history if it has any; ok is false if there is none.
func (t *Target) Read(database, schema, name string) (shape penstock.Table, rows *penstock.Rows, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	db := t.databases[database]
	if db == nil {
		return penstock.Table{}, nil, false
	}
	for _, tab := range db.tables {
		if v := tab.readable; v != nil && v.shape.Schema == schema && v.shape.Name == name {
			return v.withHistory(), v.read(), true
		}
	}
	for _, l := range db.left {
		if l.shape.Schema == schema && l.shape.Name == name {
			return l.shape, l.rows, true
		}
	}
	for _, tab := range db.tables {
		if v := tab.hidden; db.exposed && v != nil && tab.readable == nil && v.shape.Schema == schema && v.shape.Name == name {
			return v.shape, v.copy(), true
		}
	}
	return penstock.Table{}, nil, false
}
