package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"penstock"
)

// setRetained shows what the source keeps for us, and says so where that is
// more than somebody wants to be told of.
func (s *status) setRetained(r penstock.Retention, alarm, limit int64) {
	s.change(func() {
		s.s.RetainedWAL, s.s.RetainedAge = r.Bytes, r.Age
		found := slices.Clone(r.Findings)
		if bytes := max(r.Bytes, r.Beside); alarm > 0 && bytes > alarm {
			cause := r.Cause
			if r.Beside > r.Bytes {
				cause = "it is for the tables that are being loaded beside the stream"
			}
			p := penstock.Problem{
				Code: penstock.ProblemWALRetained, Severity: penstock.SeverityWarning, Database: s.s.Database.SourceDatabase,
				Message: fmt.Sprintf("the source keeps %s of WAL for the stream, more than wal_alarm (%s): %s", size(bytes), size(alarm), cause),
				Mend:    "look at that, and at the free space of the source's disk",
			}
			if limit > 0 {
				p.Message += fmt.Sprintf("; above %s it is given up, and all tables are loaded again", size(limit))
			}
			found = append(found, p)
		}
		s.retained = sinceBefore(found, s.retained)
	})
}

// sinceBefore sets since when each problem has been known, from those found
// before.
func sinceBefore(found, before []penstock.Problem) []penstock.Problem {
	since := make(map[string]time.Time, len(before))
	for _, f := range before {
		since[f.Key()] = f.Since
	}
	for i := range found {
		f := &found[i]
		if f.Since = since[f.Key()]; f.Since.IsZero() {
			f.Since = time.Now().UTC()
		}
	}
	return found
}

// setWaiting takes note of what the capture waits for; nil if it goes on.
func (s *status) setWaiting(f *penstock.Finding) {
	s.change(func() { s.open = f })
}

// setGivenUp takes note of why the position was given up, and of how long it
// will take until tables are loaded again.
func (s *status) setGivenUp(lost error, pause time.Duration) {
	s.change(func() {
		p := penstock.Problem{Code: cmp.Or(penstock.ProblemOf(lost), penstock.ProblemPositionLost), Severity: penstock.SeverityWarning, Database: s.s.Database.SourceDatabase, Since: time.Now().UTC(),
			Message: penstock.MessageOf(lost) + "; all tables are being loaded again and stay readable meanwhile", Mend: penstock.MendOf(lost)}
		if pause > 0 {
			p.Severity = penstock.SeverityAttention
			p.Message = fmt.Sprintf("%s; it was so before while the tables were loaded again, which now waits for %s, what is there stays readable", penstock.MessageOf(lost), pause)
			if p.Code == penstock.ProblemWALLimit {
				p.Mend = "raise wal_limit, or load.connections, and restart"
			}
		}
		s.lost = &p
	})
}

// reloading reports whether tables are still to be loaded since history was
// lost.
func (s *status) reloading() (yes bool) {
	s.change(func() { yes = s.lost != nil })
	return yes
}
