package control

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"penstock"
)

const (
	// goodRun is how long a runner must have run for its next failure to
	// count as the first.
	goodRun = time.Minute
	// patience is how long a cause that usually passes by itself is not
	// reported as a problem.
	patience = 2 * time.Minute
	// notice is how long a source must be away for that to be mentioned, as a
	// warning, before patience ends.
	notice = 5 * time.Second
	// proven is how long a runner must have been healthy for a failure that
	// can come in the middle of the work to count as mended.
	proven = 10 * time.Second
)

// stream keeps the runner of one stream going, one at a time.
type stream struct {
	db      penstock.DestinationDatabase
	leaving bool // the filter does not name its source database any more
	source  string
	make    func(penstock.DestinationDatabase) (Runner, error)
	now     func() time.Time
	log     *slog.Logger
	changed func() // called when the runner has ended

	mu      sync.Mutex // guards also db.Options; the rest of db stays as it is
	runner  Runner     // the newest, nil before the first
	running bool
	healthy time.Time // since when the runner is healthy; zero if it is not
	err     error     // why the last one ended; nil once that counts as mended
	since   time.Time // of the first end of that kind in a row
}

// streamView is a stream's status with what the supervisor knows besides.
type streamView struct {
	penstock.StreamStatus
	healthy  bool // the runner is running and replicates or loads
	troubled bool // it is not, and Problems say why
	gone     bool // the stream is leaving, and has emptied its database or what it reads is not there
}

// run keeps a runner going until ctx ends, or until trying again is no use.
func (s *stream) run(ctx context.Context) {
	quick := backoff{least: 100 * time.Millisecond, most: 30 * time.Second}
	slow := backoff{least: 4 * time.Second, most: 30 * time.Second}
	last := ""
	for {
		started := s.now()
		err := s.once(ctx)
		if ctx.Err() != nil {
			return
		}
		// Something else to mend than last time: somebody is about to mend things.
		if s.now().Sub(started) >= goodRun || penstock.MendOf(err) != last {
			slow.reset()
		}
		// A stream that has got on before it broke is worth a quick new try.
		if s.now().Sub(started) >= goodRun || s.gotOn() {
			quick.reset()
		}
		last = penstock.MendOf(err)
		s.log.Warn("stream ended", "err", err, "kind", penstock.KindOf(err).String())
		s.changed()
		delay := &quick
		switch penstock.KindOf(err) {
		case penstock.KindPositionLost:
			return
		case penstock.KindSetting, penstock.KindDenied, penstock.KindKeyNotAccessible:
			delay = &slow
		}
		pause(ctx, delay.next(), nil)
	}
}

// gotOn reports whether the last runner has applied anything.
func (s *stream) gotOn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runner != nil && s.runner.Status().Transactions > 0
}

// once makes a runner and runs it to its end.
func (s *stream) once(ctx context.Context) error {
	s.mu.Lock()
	db := s.db
	s.mu.Unlock()
	r, err := s.make(db)
	s.mu.Lock()
	changed := s.db.Options != db.Options // just now: with those, then
	if err == nil && !changed {
		s.runner, s.running = r, true
	}
	s.mu.Unlock()
	if changed {
		return s.once(ctx)
	}
	if err == nil {
		err = r.Run(ctx)
	}
	if err == nil {
		err = errors.New("the runner ended by itself")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running, s.healthy = false, time.Time{}
	if s.err == nil || penstock.KindOf(s.err) != penstock.KindOf(err) {
		s.since = s.now()
	}
	s.err = err
	return err
}

// tune has options take effect, and reports false if that takes another runner.
func (s *stream) tune(o penstock.DatabaseOptions) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db.Options == o {
		return true
	}
	s.db.Options = o
	if !s.running {
		return true
	}
	tuner, ok := s.runner.(Tuner)
	if ok {
		tuner.Tune(o)
	}
	return ok
}

// look returns the stream's status, and forgets its last failure if the
// runner has mended it.
func (s *stream) look() streamView {
	s.mu.Lock()
	defer s.mu.Unlock()
	var v streamView
	v.State = penstock.StreamPendingConnect
	if s.runner != nil {
		v.StreamStatus = s.runner.Status()
	}
	v.Database = s.db
	v.healthy = s.running && (v.State == penstock.StreamCdcRefresh || v.Loading != nil)
	now := s.now()
	switch {
	case !v.healthy:
		s.healthy = time.Time{}
	case s.healthy.IsZero():
		s.healthy = now
	}
	if s.err != nil && v.healthy && now.Sub(s.healthy) >= mendsAfter(s.err, v.StreamStatus) {
		s.log.Info("stream recovered")
		s.err = nil
	}
	missing := func(p penstock.Problem) bool { return p.Code == penstock.ProblemDatabaseMissing }
	empty := v.healthy && v.State == penstock.StreamCdcRefresh && v.Loading == nil && !slices.ContainsFunc(v.Tables, func(t penstock.TableStatus) bool { return t.State != penstock.TableDroppedSource })
	v.gone = s.leaving && (empty || s.err != nil && penstock.KindOf(s.err) == penstock.KindSetting || slices.ContainsFunc(v.Problems, missing))
	if p, ok := s.problem(now); ok {
		v.Problems = append(v.Problems[:len(v.Problems):len(v.Problems)], p)
		v.troubled = severe(p.Severity)
		if v.troubled && !v.healthy {
			v.State = penstock.StreamError
		}
	} else if s.running && v.State == penstock.StreamError {
		v.troubled = len(v.Problems) > 0
	}
	return v
}

// mendsAfter returns how long a runner must be healthy after that error. What
// stands in the way of connecting and preparing is mended once that is passed,
// what stands in the way of writing once something has been written.
func mendsAfter(err error, s penstock.StreamStatus) time.Duration {
	if penstock.ProblemOf(err) == penstock.ProblemDiskFull && (s.Transactions > 0 || s.RowsLoaded > 0) {
		return time.Second
	}
	switch penstock.KindOf(err) {
	case penstock.KindUnreachable, penstock.KindSetting, penstock.KindDenied, penstock.KindKeyNotAccessible:
		return 0
	}
	return proven
}

// problem returns what there is to tell of the last failure.
func (s *stream) problem(now time.Time) (p penstock.Problem, ok bool) {
	if s.err == nil {
		return penstock.Problem{}, false
	}
	p = penstock.Problem{
		Severity: penstock.SeverityAttention,
		Database: s.db.SourceDatabase,
		Message:  penstock.MessageOf(s.err),
		Mend:     penstock.MendOf(s.err),
		Since:    s.since,
	}
	// What the driver knows better than the kind can say.
	defer func() { p.Code = cmp.Or(penstock.ProblemOf(s.err), p.Code) }()
	waited := now.Sub(s.since) >= patience
	switch penstock.KindOf(s.err) {
	case penstock.KindUnreachable:
		// It is the server that is away, whichever stream noticed.
		p.Code, p.Database = penstock.ProblemSourceUnreachable, ""
		p.Message = "the source " + s.source + " cannot be reached; replication goes on by itself once it can: " + p.Message
		if !waited {
			p.Severity = penstock.SeverityWarning
		}
		return p, now.Sub(s.since) >= notice
	case penstock.KindFenced, penstock.KindStale:
		p.Code = penstock.ProblemInternal
		return p, waited
	case penstock.KindSetting:
		p.Code = penstock.ProblemSourceSetting
	case penstock.KindDenied:
		p.Code = penstock.ProblemSourceRights
	case penstock.KindKeyNotAccessible:
		// It is the integration's key, whichever stream noticed.
		p.Code, p.Database = penstock.ProblemKeyNotAccessible, ""
	case penstock.KindFull:
		p.Code = penstock.ProblemDiskFull
	case penstock.KindConflict, penstock.KindTargetNotFound:
		p.Code = penstock.ProblemTargetFailed
	case penstock.KindPositionLost:
		p.Code, p.Severity = penstock.ProblemPositionLost, penstock.SeverityFatal
	default:
		p.Code = penstock.ProblemInternal
	}
	return p, true
}
