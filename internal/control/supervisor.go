package control

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"penstock"
)

const (
	// glance is how often the runners' statuses are looked at.
	glance = 200 * time.Millisecond
	// census is how often the store is asked for integrations without having
	// been woken.
	census = 10 * time.Second
	// remembered is how long events are kept, which is a little longer than
	// the RDS API lets clients look back.
	remembered = 15 * 24 * time.Hour
)

// Supervisor makes come true what the Store says: it keeps a runner going for
// each stream of each integration, derives the integrations' statuses from
// what the runners report, and carries out deletions.
type Supervisor struct {
	cfg    Config
	ledger ledger
	woken  chan struct{}
	naming chan struct{} // see lockNames

	mu      sync.Mutex
	keepers map[penstock.IntegrationID]*keeper
	orphans map[penstock.IntegrationID]bool // being retried
}

// NewSupervisor returns a Supervisor; Run starts it.
func NewSupervisor(c Config) (*Supervisor, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	if c.Runners == nil {
		return nil, &penstock.Error{Kind: penstock.KindInvalid, Op: "configure control plane", Message: "a runner factory is needed"}
	}
	return &Supervisor{
		cfg:     c,
		ledger:  ledger{c.Store, c.Now, c.Logger},
		woken:   make(chan struct{}, 1),
		naming:  make(chan struct{}, 1),
		keepers: make(map[penstock.IntegrationID]*keeper),
		orphans: make(map[penstock.IntegrationID]bool),
	}, nil
}

// Wake tells the supervisor that integrations were changed. It does not block
// and may be called at any time.
func (s *Supervisor) Wake() { poke(s.woken) }

// Run supervises until ctx ends, then stops all runners and returns nil. It
// is called once.
func (s *Supervisor) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	var pruned time.Time
	for ctx.Err() == nil {
		if now := s.cfg.Now(); now.Sub(pruned) >= time.Hour {
			pruned = now
			if err := s.cfg.Store.PruneEvents(ctx, now.Add(-remembered)); err != nil && ctx.Err() == nil {
				s.cfg.Logger.Error("old events cannot be removed", "err", err)
			}
		}
		if err := s.reconcile(ctx, g); err != nil && ctx.Err() == nil {
			s.cfg.Logger.Error("store cannot be read", "err", err)
		}
		pause(ctx, census, s.woken)
	}
	return g.Wait()
}

// reconcile starts a keeper for each integration, and a retrier for each
// orphan, that has none, and wakes those that are there.
func (s *Supervisor) reconcile(ctx context.Context, g *errgroup.Group) error {
	all, err := s.cfg.Store.List(ctx)
	if err != nil {
		return err
	}
	orphans, err := s.cfg.Store.Orphans(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range all {
		if k := s.keepers[in.ID]; k != nil {
			poke(k.woken)
			continue
		}
		k := &keeper{
			s: s, id: in.ID, in: in, woken: make(chan struct{}, 1), acted: make(chan struct{}),
			log: s.cfg.Logger.With("integration", in.ID, "name", in.Name),
		}
		s.keepers[in.ID] = k
		g.Go(func() error {
			k.run(ctx)
			s.mu.Lock()
			delete(s.keepers, k.id)
			s.mu.Unlock()
			s.Wake() // for the orphan that it may have left
			return nil
		})
	}
	for _, o := range orphans {
		if s.orphans[o.Integration] {
			continue
		}
		s.orphans[o.Integration] = true
		g.Go(func() error {
			s.retryOrphan(ctx, o)
			s.mu.Lock()
			delete(s.orphans, o.Integration)
			s.mu.Unlock()
			return nil
		})
	}
	return nil
}

// IntegrationView is an integration as the supervisor sees it at a moment.
type IntegrationView struct {
	Integration penstock.Integration
	Source      string // its name in the configuration
	Target      string // its name in the configuration, "" if it is not there
	Streams     []penstock.StreamStatus
}

// Snapshot returns all integrations with the statuses of their streams, in
// the order of creation. It asks nobody: the statuses are what the runners
// report now, the integrations what was last read or written.
func (s *Supervisor) Snapshot() []IntegrationView {
	s.mu.Lock()
	var views []IntegrationView
	for _, k := range s.keepers {
		views = append(views, k.view())
	}
	s.mu.Unlock()
	slices.SortFunc(views, func(a, b IntegrationView) int {
		return cmp.Or(a.Integration.CreatedAt.Compare(b.Integration.CreatedAt), cmp.Compare(a.Integration.ID, b.Integration.ID))
	})
	return views
}
