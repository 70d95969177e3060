package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"penstock"
)

// status is what a Pipeline knows about itself, for others to read meanwhile.
type status struct {
	mu       sync.Mutex
	s        penstock.StreamStatus
	stored   time.Time                       // when the position was stored last
	waiting  map[*penstock.Changes]time.Time // commit time of the first transaction in what is not applied
	held     time.Time                       // since when the stream is held; zero if it is not
	lost     *penstock.Problem
	failed   *penstock.Problem // why the last load beside the stream failed
	findings []penstock.Problem
	retained []penstock.Problem // about what the source keeps for us
	open     *penstock.Problem  // what the capture waits for
	load     *penstock.LoadProgress
	diary    diary
	known    bool // s.Tables has been read from the destination
	speed    speed
	arrival  arrival
}

func (s *status) init(cfg Config) {
	s.s.Database = penstock.DestinationDatabase{Name: cfg.Spec.Name, SourceDatabase: cfg.Spec.SourceDatabase, CreatedAt: cfg.Created}
	s.s.State = penstock.StreamSchemaDiscovery
	s.diary = newDiary(cfg)
	s.arrival.moved = make(chan struct{})
}

func (s *status) get() penstock.StreamStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.s // Tables are replaced, never changed
	out.Problems = slices.Clone(s.findings)
	out.Problems = append(out.Problems, s.retained...)
	if s.open != nil {
		out.Problems = append(out.Problems, *s.open)
	}
	if s.lost != nil {
		out.Problems = append(out.Problems, *s.lost)
	}
	if s.failed != nil {
		out.Problems = append(out.Problems, *s.failed)
	}
	for _, t := range s.s.Tables {
		if t.BadValues.Total() > 0 {
			out.Problems = append(out.Problems, badValues(s.s.Database.SourceDatabase, t))
		}
	}
	if s.load != nil {
		l := *s.load
		if l.Bytes > 0 && l.TotalBytes > l.Bytes {
			l.Left = time.Duration(float64(time.Since(l.Since)) * float64(l.TotalBytes-l.Bytes) / float64(l.Bytes)).Round(time.Second)
		}
		out.Loading = &l
	}
	out.RowsPerSecond, out.BytesPerSecond = s.speed.now()
	if !s.held.IsZero() {
		out.Lag = max(out.Lag, time.Since(s.held)) // of what waits at the source, if anything does
	}
	for _, commit := range s.waiting {
		out.Lag = max(out.Lag, time.Since(commit))
	}
	return out
}

// badValues says that some values of a table are not in the warehouse
// (promise 5).
func badValues(database string, t penstock.TableStatus) penstock.Problem {
	return penstock.Problem{
		Code: penstock.ProblemBadValues, Severity: penstock.SeverityWarning, Database: database, Table: t.Table.String(), Since: t.Changed,
		Message: fmt.Sprintf("table %s: %d values that the warehouse cannot hold have been stored as NULL since it was loaded%s", t.Table.String(), t.BadValues.Total(), inColumns(t.BadValues.Names(&t.Table))),
	}
}

func (s *status) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *status) setTables(t []penstock.TableStatus) {
	s.change(func() {
		if s.known { // what was there when this process began is no change
			s.diary.changed(s.s.Tables, t, s.s.Applied)
		}
		s.s.Tables, s.known = t, true
		if !slices.ContainsFunc(t, func(t penstock.TableStatus) bool {
			return t.State == penstock.TableResyncRequired || t.State == penstock.TableResyncInitiated
		}) {
			s.lost = nil // a lost position is mended once everything is loaded again
		}
	})
}

// setFindings takes what the source found, keeping since when each is known.
func (s *status) setFindings(found []penstock.Finding) {
	s.change(func() {
		s.findings = sinceBefore(slices.Clone(found), s.findings)
	})
}

func (s *status) setLost(err error) {
	s.change(func() {
		s.lost = &penstock.Problem{Code: penstock.ProblemPositionLost, Severity: penstock.SeverityWarning, Database: s.s.Database.SourceDatabase,
			Message: err.Error() + "; all tables are being loaded again and stay readable meanwhile", Since: time.Now().UTC()}
	})
}

// setLoadFailed takes note of why a load beside the stream failed, nil if it
// did not. A source that is away shows in the stream itself.
func (s *status) setLoadFailed(err error) {
	s.change(func() {
		s.failed = nil
		if err == nil || errors.Is(err, context.Canceled) || penstock.KindOf(err) == penstock.KindUnreachable {
			return
		}
		s.failed = &penstock.Problem{
			Code: cmp.Or(penstock.ProblemOf(err), penstock.ProblemTableFailed), Severity: penstock.SeverityAttention, Database: s.s.Database.SourceDatabase,
			Message: "tables could not be loaded, which is tried again: " + penstock.MessageOf(err), Mend: penstock.MendOf(err), Since: time.Now().UTC(),
		}
	})
}

func (s *status) setPosition(p penstock.Position) {
	s.change(func() { s.s.Applied, s.s.AppliedLabel, s.stored = p, s.diary.label(p), time.Now() })
}

func (s *status) position() (p penstock.Position) {
	s.change(func() { p = s.s.Applied })
	return p
}

func (s *status) storedAt() (t time.Time) {
	s.change(func() { t = s.stored })
	return t
}

// setHeld takes note since when the stream is held; zero if it is not.
func (s *status) setHeld(since time.Time) { s.change(func() { s.held = since }) }

// streaming takes note of a stream that begins; what another had not applied
// comes again.
func (s *status) streaming() {
	s.change(func() {
		s.s.State = penstock.StreamCdcRefresh
		s.waiting = map[*penstock.Changes]time.Time{}
		s.arrival.handed, s.arrival.empty = 0, ""
		s.arrival.move(s.s.Applied)
	})
}

// pending takes note of transactions that have arrived and are not applied.
func (s *status) pending(c *penstock.Changes) {
	s.change(func() {
		if _, known := s.waiting[c]; !known && !c.CommitTime.IsZero() {
			s.waiting[c] = c.CommitTime
		}
	})
}

// applied takes note of a batch that has become queryable, and of where and
// when applying it began.
func (s *status) applied(b *penstock.Batch, c *penstock.Changes, size int, from penstock.Position, began time.Time) {
	s.change(func() {
		s.diary.applied(from, b, began)
		s.s.BytesApplied += int64(size)
		rows := rowsOf(b)
		s.s.RowsChanged += rows
		s.speed.add(rows, int64(size))
		delete(s.waiting, c)
		if b.Partial {
			return
		}
		s.s.Transactions += int64(c.Transactions)
		if !c.CommitTime.IsZero() {
			now := time.Now().UTC()
			s.s.LastCommit, s.s.LastApplied = c.CommitTime, now
			s.s.Lag = max(now.Sub(c.CommitTime), 0)
		}
	})
}

// followed takes note of changes applied to tables that are being loaded.
func (s *status) followed(b *penstock.Batch) {
	s.change(func() { s.s.RowsChanged += rowsOf(b) })
}

// rowsOf returns how many rows a batch changes, as the source counts.
func rowsOf(b *penstock.Batch) (n int64) {
	for i := range b.Tables {
		t := &b.Tables[i]
		n += t.Inserted + t.Updated + t.Deleted
	}
	return n
}

func (s *status) loadBegins(l penstock.LoadProgress) {
	l.Since = time.Now().UTC()
	s.change(func() { s.load = &l })
}

// loadedChunk takes note of a chunk that is done, and whether it was the last
// of its table.
func (s *status) loadedChunk(rows, size, bytes int64, last bool) {
	s.change(func() {
		s.load.Rows += rows
		s.s.RowsLoaded += rows
		s.s.BytesApplied += size
		s.speed.add(rows, size)
		s.load.Bytes += bytes
		if last {
			s.load.TablesDone++
		}
	})
}

// loadedTable takes note of a table that has been copied completely.
func (s *status) loadedTable(t *penstock.Table, c copied, began time.Time) {
	s.change(func() { s.diary.loaded(t, c.rows, c.bytes, began, s.s.Applied) })
}

func (s *status) loadEnds() { s.change(func() { s.load = nil }) }

// inColumns names the columns that something is said of, the first ones only
// where there are many.
func inColumns(names []string) string {
	const most = 10
	switch n := len(names); {
	case n == 0:
		return ""
	case n == 1:
		return ", in column " + names[0]
	case n > most:
		return fmt.Sprintf(", in columns %s and %d more", strings.Join(names[:most], ", "), n-most)
	}
	return ", in columns " + strings.Join(names, ", ")
}
