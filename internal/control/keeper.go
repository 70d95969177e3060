package control

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"penstock"
)

// keeper looks after one integration until it is deleted.
type keeper struct {
	s     *Supervisor
	id    penstock.IntegrationID
	woken chan struct{}
	log   *slog.Logger

	worded time.Time // when the problems were last written

	mu      sync.Mutex
	in      penstock.Integration           // as last read or written
	streams []*stream                      // those that run
	waiting []string                       // source databases that wait to be connected
	heeded  []penstock.DestinationDatabase // what streams and files are by now
	stuck   map[string]error               // databases that could not be dropped so far, and why
	acted   chan struct{}                  // closed, and replaced, when one of these changes
}

// run does what the integration's status asks for, until it is gone or ctx
// ends.
func (k *keeper) run(ctx context.Context) {
	retry := backoff{least: 100 * time.Millisecond, most: 30 * time.Second}
	for ctx.Err() == nil {
		in, err := k.refresh(ctx)
		if penstock.KindOf(err) == penstock.KindIntegrationNotFound {
			return
		}
		if err == nil {
			if err := k.dropFiles(ctx); err != nil && ctx.Err() == nil {
				k.log.Warn("database cannot be dropped", "err", err) // which keeps nothing else
			}
			in = k.in
			switch in.Status {
			case penstock.StatusDeleting:
				if err = k.remove(ctx, in); err == nil {
					return
				}
			case penstock.StatusFailed:
				err = k.failed(ctx, in)
			default:
				err = k.replicate(ctx, in)
			}
		}
		if err == nil {
			retry.reset()
		} else if ctx.Err() == nil {
			k.log.Error("integration cannot be looked after", "err", err)
			pause(ctx, retry.next(), k.woken)
		}
	}
}

// refresh reads the integration.
func (k *keeper) refresh(ctx context.Context) (penstock.Integration, error) {
	in, err := k.s.cfg.Store.Get(ctx, k.id)
	if err != nil {
		return penstock.Integration{}, err
	}
	k.set(in)
	return in, nil
}

func (k *keeper) set(in penstock.Integration) {
	k.mu.Lock()
	k.in = in
	k.mu.Unlock()
}

func (k *keeper) view() IntegrationView {
	k.mu.Lock()
	defer k.mu.Unlock()
	v := IntegrationView{Integration: k.in, Source: sourceName(k.in.SourceARN)}
	v.Target, _, _ = k.s.cfg.target(k.in.TargetARN)
	for _, s := range k.streams {
		v.Streams = append(v.Streams, s.look().StreamStatus)
	}
	for _, source := range k.waiting {
		v.Streams = append(v.Streams, penstock.StreamStatus{Database: penstock.DestinationDatabase{SourceDatabase: source}, State: penstock.StreamPendingConnect})
	}
	return v
}

// failed waits, unless the integration has failed for a want that the
// configuration does not have any more.
func (k *keeper) failed(ctx context.Context, in penstock.Integration) error {
	_, _, source := k.s.cfg.source(in.SourceARN)
	_, _, target := k.s.cfg.target(in.TargetARN)
	unconfigured := func(p penstock.Problem) bool {
		return p.Code == penstock.ProblemSourceGone || p.Code == penstock.ProblemTargetGone
	}
	fatal := func(p penstock.Problem) bool { return p.Severity == penstock.SeverityFatal && !unconfigured(p) }
	if !source || !target || !slices.ContainsFunc(in.Problems, unconfigured) || slices.ContainsFunc(in.Problems, fatal) {
		select {
		case <-ctx.Done():
		case <-k.woken:
		}
		return nil
	}
	return k.change(ctx, func(e *edit) error {
		if e.Status != penstock.StatusFailed {
			return errUnchanged
		}
		e.Problems = slices.DeleteFunc(e.Problems, unconfigured)
		return e.move(penstock.StatusSyncing)
	})
}

// replicate runs the integration's streams until it must be looked at anew:
// its filter changed, or it is failed or deleting, or ctx ended.
func (k *keeper) replicate(ctx context.Context, in penstock.Integration) error {
	cfg := &k.s.cfg
	_, source, ok := cfg.source(in.SourceARN)
	if !ok {
		return k.troubled(ctx, penstock.Problem{Code: penstock.ProblemSourceGone, Severity: penstock.SeverityFatal,
			Message: "the source " + in.SourceARN + " is not in the configuration; add it, or delete the integration"})
	}
	_, target, ok := cfg.target(in.TargetARN)
	if !ok {
		return k.troubled(ctx, penstock.Problem{Code: penstock.ProblemTargetGone, Severity: penstock.SeverityFatal,
			Message: "the target " + in.TargetARN + " is not in the configuration; add it, or delete the integration"})
	}
	if err := k.keyed(ctx, in); err != nil {
		return err
	}
	in = k.in
	filter, err := source.Source.ParseFilter(in.DataFilter)
	if err != nil {
		return k.troubled(ctx, penstock.Problem{Code: penstock.ProblemFilterUnparsable, Severity: penstock.SeverityAttention,
			Message: "the data filter cannot be used, modify it: " + penstock.MessageOf(err), Mend: penstock.MendOf(err)})
	}
	named := source.Source.Databases(filter)
	parsed := in.DataFilter
	if !target.Manual {
		in, err = k.s.assign(ctx, in, target.Target, named)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return k.troubled(ctx, penstock.Problem{Code: penstock.ProblemTargetFailed, Severity: penstock.SeverityAttention,
			Message: "no destination database can be chosen: " + penstock.MessageOf(err), Mend: penstock.MendOf(err)})
	}
	k.set(in)
	if in.DataFilter != parsed {
		return nil // modified meanwhile
	}

	running, stop := context.WithCancel(ctx)
	w := &work{
		filter: parsed, named: named, target: target.Target,
		fleet: newFleet(running, func(db penstock.DestinationDatabase) *stream {
			return &stream{
				db: db, leaving: !slices.Contains(named, db.SourceDatabase), source: sourceName(in.SourceARN),
				make: func(db penstock.DestinationDatabase) (Runner, error) { return cfg.Runners(in, db) },
				now:  cfg.Now, log: k.log.With("database", db.Name), changed: func() { poke(k.woken) },
			}
		}),
		cleaners: newCleaners(running, k, source.Source),
	}
	k.watch(ctx, w)
	stop()
	w.fleet.endAll()
	w.cleaners.endAll()
	k.show(nil, nil)
	return nil
}

// work is what a keeper does while its integration replicates by one filter.
type work struct {
	filter   string
	named    []string // the source databases that it names
	target   penstock.Target
	fleet    *fleet
	cleaners *cleaners
}

// act has the streams, the target and the source follow what is stored about
// the databases.
func (k *keeper) act(ctx context.Context, w *work) error {
	w.cleaners.release(k.in.Databases)
	w.fleet.follow(k.in.Databases)
	err := errors.Join(k.dropFiles(ctx), w.cleaners.follow(ctx), k.forgetUnnamed(ctx, w.named))
	var waiting []string
	for _, name := range w.named {
		if !slices.ContainsFunc(k.in.Databases, func(d penstock.DestinationDatabase) bool {
			return d.SourceDatabase == name && d.State == penstock.DatabaseConnected
		}) {
			waiting = append(waiting, name)
		}
	}
	k.show(w.fleet.streams(), waiting)
	return err
}

// show lets others see what the keeper has done.
func (k *keeper) show(streams []*stream, waiting []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.streams, k.waiting, k.heeded = streams, waiting, k.in.Databases
	k.ring()
}

// stuckOn takes note of why a database could not be dropped, nil if it was.
func (k *keeper) stuckOn(name string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stuck == nil {
		k.stuck = map[string]error{}
	}
	if k.stuck[name] = err; err == nil {
		delete(k.stuck, name)
	}
	k.ring()
}

// ring tells those who wait that the keeper has acted. The caller holds k.mu.
func (k *keeper) ring() {
	close(k.acted)
	k.acted = make(chan struct{})
}

// watch derives the integration's status from its streams until they must be
// stopped.
func (k *keeper) watch(ctx context.Context, w *work) {
	tick := time.NewTicker(glance)
	defer tick.Stop()
	// A store that fails does not stop the streams.
	retry, again := backoff{least: time.Second, most: 30 * time.Second}, time.Time{}
	heed := func() {
		if err := k.act(ctx, w); err != nil && ctx.Err() == nil {
			k.log.Error("databases do not follow what is stored", "err", err)
		}
	}
	heed()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-k.woken:
			in, err := k.refresh(ctx)
			if penstock.KindOf(err) == penstock.KindIntegrationNotFound {
				return
			}
			if err != nil {
				if ctx.Err() == nil {
					k.log.Error("integration cannot be read", "err", err)
				}
				continue
			}
			if in.DataFilter != w.filter || in.Status == penstock.StatusDeleting || in.Status == penstock.StatusFailed {
				return
			}
			heed()
		}
		var views []streamView
		for _, s := range w.fleet.streams() {
			v := s.look()
			if v.gone {
				w.fleet.end(s)
				if err := k.retire(ctx, w.target, v.Database); err != nil && ctx.Err() == nil {
					k.log.Error("database cannot be given up", "database", v.Database.Name, "err", err)
				}
				heed()
				continue
			}
			views = append(views, v)
		}
		views = append(views, k.besides(w))
		if k.s.cfg.Now().Before(again) {
			continue
		}
		in, err := k.derive(ctx, w.filter, summarize(views))
		if penstock.KindOf(err) == penstock.KindIntegrationNotFound {
			return
		}
		if err != nil {
			if ctx.Err() == nil {
				k.log.Error("integration cannot be written", "err", err)
			}
			again = k.s.cfg.Now().Add(retry.next())
			continue
		}
		retry.reset()
		if in.Status == penstock.StatusFailed || in.Status == penstock.StatusDeleting {
			return
		}
	}
}

// besides returns the problems that are not of a stream, in the form of a
// stream that is well otherwise.
func (k *keeper) besides(w *work) streamView {
	v := streamView{healthy: true}
	v.State = penstock.StreamCdcRefresh
	v.Problems = w.cleaners.problems()
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, err := range k.stuck {
		v.Problems = append(v.Problems, penstock.Problem{
			Code: penstock.ProblemTargetFailed, Severity: penstock.SeverityWarning, Database: name,
			Message: "the destination database " + name + " could not be dropped yet, which is tried again: " + penstock.MessageOf(err), Mend: penstock.MendOf(err),
		})
	}
	return v
}

// troubled records a problem that keeps the streams from being started, and
// waits for a while, or for a change of the integration.
func (k *keeper) troubled(ctx context.Context, p penstock.Problem) error {
	c := condition{reported: true, stopped: true}
	c.add(p)
	in, err := k.derive(ctx, k.in.DataFilter, c)
	if err != nil || in.Status == penstock.StatusFailed {
		return err
	}
	pause(ctx, 10*time.Second, k.woken)
	return nil
}

// rewording is how often a problem is written again if only its words have
// changed.
const rewording = 30 * time.Second

// derive writes the status and the problems that follow from a condition,
// which was seen while that filter was in force, if they differ from what is
// stored. It returns the integration as it is afterwards.
func (k *keeper) derive(ctx context.Context, filter string, c condition) (penstock.Integration, error) {
	now := k.s.cfg.Now()
	reword := now.Sub(k.worded) >= rewording
	differs := func(in *penstock.Integration) bool {
		merged := c.merge(in.Problems, now)
		return c.next(in.Status, in.StatusSince, now, k.s.cfg.CreatingLimit) != in.Status ||
			!sameProblems(merged, in.Problems) || reword && !slices.Equal(merged, in.Problems)
	}
	if !differs(&k.in) {
		return k.in, nil
	}
	k.worded = now
	err := k.change(ctx, func(e *edit) error {
		// Decided on what is stored, not on what was last seen.
		if e.DataFilter != filter || e.Status == penstock.StatusDeleting || e.Status == penstock.StatusFailed || !differs(e.Integration) {
			return errUnchanged
		}
		before := e.Problems
		e.Problems = c.merge(before, now)
		to := c.next(e.Status, e.StatusSince, now, k.s.cfg.CreatingLimit)
		told := "" // by the transition's own event
		if p, ok := worst(e.Problems); ok && to != e.Status {
			told = p.Key()
		}
		known := keyed(before)
		for _, p := range e.Problems {
			if known[p.Key()] == nil && p.Key() != told {
				e.note(problemEvent(p.Code), p.Severity, p.Message)
			}
		}
		if to != e.Status {
			return e.move(to)
		}
		return nil
	})
	return k.in, err
}

// change changes the integration and remembers the outcome. k.in is written
// by the keeper's own goroutine only, which may therefore read it unlocked.
func (k *keeper) change(ctx context.Context, f func(*edit) error) error {
	in, err := k.s.ledger.change(ctx, k.id, f)
	if err == nil {
		k.set(in)
	}
	return err
}
