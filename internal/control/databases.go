package control

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"penstock"
)

// assign makes sure that each source database that the filter names has a
// destination database in in.Databases, and returns the integration with
// them stored. Databases once assigned stay.
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
	// One at a time, so that two integrations never choose the same name.
	select {
	case s.assigning <- struct{}{}:
		defer func() { <-s.assigning }()
	case <-ctx.Done():
		return in, ctx.Err()
	}
	limited, cancel := context.WithTimeout(ctx, attempt)
	existing, err := target.List(limited)
	cancel()
	if err != nil {
		return in, err
	}
	all, err := s.cfg.Store.List(ctx)
	if err != nil {
		return in, err
	}
	names := databaseNames{in: in, existing: existing, taken: make(map[string]bool)}
	for _, other := range all {
		if other.TargetARN == in.TargetARN {
			for _, d := range other.Databases {
				names.taken[fold(d.Name)] = true
			}
		}
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
			same := d.SourceARN == n.in.SourceARN && d.SourceDatabase == sourceDatabase
			if same && (d.Integration == "" || d.Integration == n.in.ID) && !n.taken[fold(d.Name)] {
				name = d.Name
				break
			}
		}
	}
	n.taken[fold(name)] = true
	return name
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
