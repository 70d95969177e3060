package memstore

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"penstock"
)

// Store is a penstock.Store in memory.
type Store struct {
	mu           sync.Mutex
	integrations map[penstock.IntegrationID]penstock.Integration
	events       []penstock.Event
	lastEvent    int64
	orphans      map[penstock.IntegrationID]penstock.Orphan
	policies     map[string]string // by the target's ARN
}

var _ penstock.Store = (*Store)(nil)

// New returns an empty Store.
func New() *Store {
	return &Store{
		integrations: make(map[penstock.IntegrationID]penstock.Integration),
		orphans:      make(map[penstock.IntegrationID]penstock.Orphan),
		policies:     make(map[string]string),
	}
}

// clone returns a copy that shares nothing with the original.
func clone(in penstock.Integration) penstock.Integration {
	in.EncryptionContext = maps.Clone(in.EncryptionContext)
	in.WrappedKey = slices.Clone(in.WrappedKey)
	in.Tags = slices.Clone(in.Tags)
	in.Problems = slices.Clone(in.Problems)
	in.Databases = slices.Clone(in.Databases)
	return in
}

// list returns copies of all integrations, in order.
func (s *Store) list() []penstock.Integration {
	all := make([]penstock.Integration, 0, len(s.integrations))
	for _, in := range s.integrations {
		all = append(all, clone(in))
	}
	slices.SortFunc(all, func(a, b penstock.Integration) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// nameTaken returns an error if an integration other than id has that name.
func (s *Store) nameTaken(name string, id penstock.IntegrationID) error {
	for _, o := range s.integrations {
		if o.Name == name && o.ID != id {
			return penstock.Errorf(penstock.KindConflict, "an integration named %s exists", name)
		}
	}
	return nil
}

func notFound(id penstock.IntegrationID) error {
	return penstock.Errorf(penstock.KindIntegrationNotFound, "there is no integration %s", id)
}

// Create implements penstock.Store.
func (s *Store) Create(ctx context.Context, in penstock.Integration, check func([]penstock.Integration) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if check != nil {
		if err := check(s.list()); err != nil {
			return err
		}
	}
	if _, taken := s.integrations[in.ID]; taken {
		return penstock.Errorf(penstock.KindConflict, "an integration %s exists", in.ID)
	}
	if err := s.nameTaken(in.Name, in.ID); err != nil {
		return err
	}
	s.integrations[in.ID] = clone(in)
	return nil
}

// Get implements penstock.Store.
func (s *Store) Get(ctx context.Context, id penstock.IntegrationID) (penstock.Integration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in, ok := s.integrations[id]
	if !ok {
		return penstock.Integration{}, notFound(id)
	}
	return clone(in), ctx.Err()
}

// List implements penstock.Store.
func (s *Store) List(ctx context.Context) ([]penstock.Integration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list(), ctx.Err()
}

// Update implements penstock.Store.
func (s *Store) Update(ctx context.Context, id penstock.IntegrationID, f func(*penstock.Integration) error) (penstock.Integration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return penstock.Integration{}, err
	}
	old, ok := s.integrations[id]
	if !ok {
		return penstock.Integration{}, notFound(id)
	}
	in := clone(old)
	if err := f(&in); err != nil {
		return penstock.Integration{}, err
	}
	in.ID, in.CreatedAt = old.ID, old.CreatedAt
	if err := s.nameTaken(in.Name, id); err != nil {
		return penstock.Integration{}, err
	}
	s.integrations[id] = clone(in)
	return clone(in), nil
}

// Delete implements penstock.Store.
func (s *Store) Delete(ctx context.Context, id penstock.IntegrationID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, ok := s.integrations[id]; !ok {
		return notFound(id)
	}
	delete(s.integrations, id)
	return nil
}

// AddEvent implements penstock.Store.
func (s *Store) AddEvent(ctx context.Context, e penstock.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	s.lastEvent++
	e.ID = s.lastEvent
	s.events = append(s.events, e)
	return nil
}

// Events implements penstock.Store.
func (s *Store) Events(ctx context.Context, id penstock.IntegrationID, since time.Time) ([]penstock.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var events []penstock.Event
	for _, e := range s.events {
		if (id == "" || e.Integration == id) && !e.At.Before(since) {
			events = append(events, e)
		}
	}
	slices.SortStableFunc(events, func(a, b penstock.Event) int { return a.At.Compare(b.At) })
	return events, ctx.Err()
}

// PruneEvents implements penstock.Store.
func (s *Store) PruneEvents(ctx context.Context, before time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	s.events = slices.DeleteFunc(s.events, func(e penstock.Event) bool { return e.At.Before(before) })
	return nil
}

// PutOrphan implements penstock.Store.
func (s *Store) PutOrphan(ctx context.Context, o penstock.Orphan) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	s.orphans[o.Integration] = o
	return nil
}

// Orphans implements penstock.Store.
func (s *Store) Orphans(ctx context.Context) ([]penstock.Orphan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.orphans), func(a, b penstock.Orphan) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Integration, b.Integration))
	}), ctx.Err()
}

// DeleteOrphan implements penstock.Store.
func (s *Store) DeleteOrphan(ctx context.Context, id penstock.IntegrationID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.orphans, id)
	return ctx.Err()
}

// PutPolicy implements penstock.Store.
func (s *Store) PutPolicy(ctx context.Context, targetARN, document string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	s.policies[targetARN] = document
	return nil
}

// Policy implements penstock.Store.
func (s *Store) Policy(ctx context.Context, targetARN string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	document, ok := s.policies[targetARN]
	if !ok {
		return "", penstock.Errorf(penstock.KindNotFound, "the target %s has no resource policy", targetARN)
	}
	return document, ctx.Err()
}

// DeletePolicy implements penstock.Store.
func (s *Store) DeletePolicy(ctx context.Context, targetARN string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, ok := s.policies[targetARN]; !ok {
		return penstock.Errorf(penstock.KindNotFound, "the target %s has no resource policy", targetARN)
	}
	delete(s.policies, targetARN)
	return nil
}

// Close implements penstock.Store.
func (s *Store) Close() error { return nil }
