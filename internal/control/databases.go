package control

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"penstock"
)

// assign makes sure that each source database that the filter names has an
// entry in in.Databases, and returns the integration with them stored.
// Databases once assigned stay, as do the entries of those that were dropped.
func (s *Supervisor) assign(ctx context.Context, in penstock.Integration, target penstock.Target, sourceDatabases []string) (penstock.Integration, error) {
	var missing []string
	for _, name := range sourceDatabases {
		if !slices.ContainsFunc(in.Databases, func(d penstock.DestinationDatabase) bool { return d.SourceDatabase == name }) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return in, nil
	}
	if err := s.lockNames(ctx); err != nil {
		return in, err
	}
	defer s.unlockNames()
	names, err := s.names(ctx, in, target)
	if err != nil {
		return in, err
	}
	now := s.cfg.Now().UTC().Round(0)
	var added []penstock.DestinationDatabase
	for _, name := range missing {
		added = append(added, penstock.DestinationDatabase{
			Name: names.choose(cmp.Or(name, sourceName(in.SourceARN)), name), SourceDatabase: name, CreatedAt: now,
		})
	}
	return s.ledger.change(ctx, in.ID, func(e *edit) error {
		e.Databases = append(e.Databases, added...)
		return nil
	})
}

// lockNames waits until nobody else chooses names of destination databases, or
// makes or drops one, so that no two integrations ever have the same.
func (s *Supervisor) lockNames(ctx context.Context) error {
	select {
	case s.naming <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Supervisor) unlockNames() { <-s.naming }

// names returns which names of destination databases are taken in a target,
// for the integration to choose from what is left. The names are locked.
func (s *Supervisor) names(ctx context.Context, in penstock.Integration, target penstock.Target) (*databaseNames, error) {
	limited, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	existing, err := target.List(limited)
	if err != nil {
		return nil, err
	}
	all, err := s.cfg.Store.List(ctx)
	if err != nil {
		return nil, err
	}
	names := &databaseNames{in: in, existing: existing, taken: make(map[string]bool)}
	for _, other := range all {
		if other.TargetARN != in.TargetARN {
			continue
		}
		for _, d := range other.Databases {
			if d.Name != "" {
				names.taken[fold(d.Name)] = true
			}
		}
	}
	return names, nil
}

// databaseNames chooses names of destination databases in one target.
type databaseNames struct {
	in       penstock.Integration
	existing []penstock.DatabaseSpec
	taken    map[string]bool // by integrations, folded
}

// choose returns the name for a source database and takes it. That is base if
// it is free; else the name of a database that an earlier integration of the
// same source database left, which is adopted; else base with the integration's
// short ID.
func (n *databaseNames) choose(base, sourceDatabase string) string {
	slices.SortFunc(n.existing, func(a, b penstock.DatabaseSpec) int {
		// The one called base first.
		return cmp.Or(-boolCompare(a.Name == base, b.Name == base), cmp.Compare(a.Name, b.Name))
	})
	name := base
	if !n.free(name) {
		name = base + "_" + n.in.ID.Short()
		for i := 2; !n.free(name); i++ {
			name = base + "_" + n.in.ID.Short() + "_" + strconv.Itoa(i)
		}
		for _, d := range n.existing {
			if n.adoptable(d, sourceDatabase) {
				name = d.Name
				break
			}
		}
	}
	n.taken[fold(name)] = true
	return name
}

// adoptable reports whether a database that exists may become that of the
// integration and source database: an earlier integration has left it.
func (n *databaseNames) adoptable(d penstock.DatabaseSpec, sourceDatabase string) bool {
	same := d.SourceARN == n.in.SourceARN && d.SourceDatabase == sourceDatabase
	return same && (d.Integration == "" || d.Integration == n.in.ID) && !n.taken[fold(d.Name)]
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func (n *databaseNames) free(name string) bool {
	folded := fold(name)
	return !n.taken[folded] && !penstock.ReservedDatabase(name) &&
		!slices.ContainsFunc(n.existing, func(d penstock.DatabaseSpec) bool { return fold(d.Name) == folded })
}

// fold maps names that a warehouse may not tell apart to the same text.
func fold(name string) string { return strings.ToLower(name) }
