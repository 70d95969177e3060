package app

import (
	"context"
	"log/slog"

	"penstock"
	"penstock/internal/config"
)

// FilterReport says what a data filter does with the tables of a live source.
type FilterReport struct {
	Source string
	Filter string // as it is stored: the default if none was given
	Rules  []FilterRule
	Tables []FilteredTable // by database, schema and name
	// Missing are databases that the filter names and the source does not have.
	Missing []string `json:",omitempty"`
}

// FilterRule is a rule of a filter.
type FilterRule struct {
	Rule    string // as it is written
	Include bool
	Decided int // tables
}

// FilteredTable is a table and what the filter does with it.
type FilteredTable struct {
	Database, Schema, Table string
	Selected                bool
	Rule                    int    // the place in Rules of the one that decided, from 1; 0 if none matches
	Kind                    string // "table", "view"
	Carried                 bool   // replication carries tables of that kind
}

// FilterTables applies a data filter to the tables of a configured source. It
// needs no running server. An error about the arguments is KindInvalid or
// KindSourceNotFound.
func FilterTables(ctx context.Context, cfg *config.Config, name, text string) (*FilterReport, error) {
	s := cfg.Source(name)
	if s == nil {
		return nil, penstock.Errorf(penstock.KindSourceNotFound, "the configuration has no source %s", name)
	}
	source, err := openSource(s, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer source.Close()
	filter, err := source.ParseFilter(text)
	if err != nil {
		return nil, err
	}
	r := &FilterReport{Source: name, Filter: filter.String(), Rules: []FilterRule{}, Tables: []FilteredTable{}}
	for _, rule := range filter.Rules() {
		r.Rules = append(r.Rules, FilterRule{Rule: rule.String(), Include: rule.Include})
	}
	lister, ok := source.(penstock.Lister)
	if !ok {
		return nil, penstock.Errorf(penstock.KindInvalid, "tables of %s sources cannot be listed", source.Engine())
	}
	for _, database := range source.Databases(filter) {
		tables, err := lister.ListTables(ctx, database)
		if penstock.ProblemOf(err) == penstock.ProblemDatabaseMissing {
			r.Missing = append(r.Missing, database)
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, t := range tables {
			r.add(filter, database, t)
		}
	}
	return r, nil
}

func (r *FilterReport) add(filter penstock.Filter, database string, t penstock.ListedTable) {
	selected, rule := filter.Decide(database, t.Schema, t.Name)
	if rule >= 0 {
		r.Rules[rule].Decided++
	}
	r.Tables = append(r.Tables, FilteredTable{
		Database: database, Schema: t.Schema, Table: t.Name, Selected: selected, Rule: rule + 1, Kind: t.Kind, Carried: t.Carried,
	})
}
