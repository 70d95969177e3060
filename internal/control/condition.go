package control

import (
	"cmp"
	"slices"
	"time"

	"penstock"
)

// condition is what the streams of an integration amount to at one moment.
type condition struct {
	reported  bool // every stream has said how it is doing
	settled   bool // every stream replicates, and none of its tables is being loaded
	loading   bool // a table is being loaded, or will be
	reloading bool // a table that can be read is being loaded again, or will be
	fatal     bool // a problem is beyond repair
	stopped   bool // somebody must act before a whole stream can go on
	attention bool // somebody must act, be it for a single table

	problems []penstock.Problem // warnings and worse, the worst first

	keys  map[string]bool    // of problems
	grave map[[2]string]bool // the databases and tables of those that somebody must do something about
}

// summarize adds up the streams' statuses; reported and healthy tell, for
// each, whether it has said how it is doing and whether it is running well.
func summarize(views []streamView) condition {
	c := condition{reported: true, settled: true}
	for _, v := range views {
		c.reported = c.reported && (v.healthy || v.troubled)
		c.settled = c.settled && v.healthy && v.State == penstock.StreamCdcRefresh && v.Loading == nil
		for _, p := range v.Problems {
			c.add(p)
		}
		for i := range v.Tables {
			c.addTable(v.Database.SourceDatabase, &v.Tables[i])
		}
	}
	slices.SortFunc(c.problems, func(a, b penstock.Problem) int {
		return cmp.Or(cmp.Compare(gravity(b.Severity), gravity(a.Severity)), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Database, b.Database), cmp.Compare(a.Table, b.Table))
	})
	return c
}

func (c *condition) add(p penstock.Problem) {
	if gravity(p.Severity) == 0 {
		return
	}
	if c.keys == nil {
		c.keys, c.grave = map[string]bool{}, map[[2]string]bool{}
	}
	c.fatal = c.fatal || p.Severity == penstock.SeverityFatal
	c.attention = c.attention || severe(p.Severity)
	c.stopped = c.stopped || severe(p.Severity) && p.Table == ""
	if key := p.Key(); !c.keys[key] {
		c.keys[key] = true
		c.problems = append(c.problems, p)
		if severe(p.Severity) {
			c.grave[[2]string{p.Database, p.Table}] = true
		}
	}
}

func (c *condition) addTable(database string, t *penstock.TableStatus) {
	switch t.State {
	case penstock.TableResyncRequired, penstock.TableResyncInitiated:
		c.settled, c.loading = false, true
		c.reloading = c.reloading || t.Readable
	case penstock.TableFailed:
		if name := t.Table.String(); !c.grave[[2]string{database, name}] {
			c.add(penstock.Problem{
				Code: penstock.ProblemTableFailed, Severity: penstock.SeverityAttention, Database: database, Table: name,
				Message: "the table " + name + " is not replicated: " + cmp.Or(t.Reason, "it has failed"), Since: t.Changed,
			})
		}
	}
}

// gravity orders severities; news is 0.
func gravity(s penstock.Severity) int {
	return 1 + slices.Index([]penstock.Severity{penstock.SeverityWarning, penstock.SeverityAttention, penstock.SeverityFatal}, s)
}

// next returns the status that an integration should have, which is the one
// it has if there is nothing to change. since is when that began.
//
// A table that needs attention does not end creating or modifying before the
// others are through; a stream that does ends it at once. needs_attention goes
// by way of syncing if there is something left to load. While creating or
// modifying, syncing is never shown: API clients take it for a failure.
func (c condition) next(status penstock.Status, since, now time.Time, limit time.Duration) penstock.Status {
	if c.fatal {
		return penstock.StatusFailed
	}
	switch status {
	case penstock.StatusCreating, penstock.StatusModifying:
		through := c.settled || now.Sub(since) >= limit
		if c.stopped || c.attention && through {
			return penstock.StatusNeedsAttention
		}
		if through {
			return penstock.StatusActive
		}
	case penstock.StatusActive:
		if c.attention {
			return penstock.StatusNeedsAttention
		}
		if c.reloading {
			return penstock.StatusSyncing
		}
	case penstock.StatusSyncing:
		if c.attention {
			return penstock.StatusNeedsAttention
		}
		if c.settled {
			return penstock.StatusActive
		}
	case penstock.StatusNeedsAttention:
		if c.attention || !c.reported {
			return status
		}
		if c.settled {
			return penstock.StatusActive
		}
		if c.loading {
			return penstock.StatusSyncing
		}
	}
	return status
}

// merge returns the problems to store: those found, with the times since when
// the stored ones have been known. While not every stream has reported, stored
// ones that were not found again stay.
func (c condition) merge(stored []penstock.Problem, now time.Time) []penstock.Problem {
	if len(c.problems)+len(stored) == 0 {
		return nil
	}
	var merged []penstock.Problem
	before := keyed(stored)
	for _, p := range c.problems {
		if s, ok := before[p.Key()]; ok {
			p.Since = s.Since
		} else if p.Since.IsZero() {
			p.Since = now
		}
		p.Since = p.Since.UTC().Round(0)
		merged = append(merged, p)
	}
	if !c.reported {
		for _, s := range stored {
			if !c.keys[s.Key()] {
				merged = append(merged, s)
			}
		}
		slices.SortStableFunc(merged, func(a, b penstock.Problem) int { return gravity(b.Severity) - gravity(a.Severity) })
	}
	return merged
}

// keyed returns problems by their keys.
func keyed(problems []penstock.Problem) map[string]*penstock.Problem {
	out := make(map[string]*penstock.Problem, len(problems))
	for i := range problems {
		out[problems[i].Key()] = &problems[i]
	}
	return out
}

// sameProblems reports whether both tell of the same problems, equally grave
// and mended in the same way; the wording may differ.
func sameProblems(a, b []penstock.Problem) bool {
	return slices.EqualFunc(a, b, func(a, b penstock.Problem) bool {
		return a.Key() == b.Key() && a.Severity == b.Severity && a.Mend == b.Mend
	})
}
