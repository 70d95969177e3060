package control

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"penstock"
	"penstock/internal/failpoint"
)

// attempt is the longest that one attempt at a source or a target takes.
const attempt = 30 * time.Second

// remove carries a deletion out: the source is cleaned, or an orphan left once
// the grace is over; the destination databases become ordinary ones; the
// record goes. Each step may be repeated, so that a crash between them does no
// harm. The streams have stopped.
func (k *keeper) remove(ctx context.Context, in penstock.Integration) error {
	s := k.s
	end := in.StatusSince.Add(s.cfg.DeleteGrace)
	orphan, err := k.clean(ctx, in, end)
	if err != nil {
		return err
	}
	_ = failpoint.Here(failpoint.ControlCleaned)
	k.detach(ctx, in, end)
	_ = failpoint.Here(failpoint.ControlDetached)
	if err := ctx.Err(); err != nil {
		return err
	}
	if orphan != nil {
		if err := s.cfg.Store.PutOrphan(ctx, *orphan); err != nil {
			return err
		}
		_ = failpoint.Here(failpoint.ControlOrphanKept)
	}
	if err := s.cfg.Store.Delete(ctx, in.ID); err != nil && penstock.KindOf(err) != penstock.KindIntegrationNotFound {
		return err
	}
	_ = failpoint.Here(failpoint.ControlRecordGone)
	now := s.cfg.Now()
	s.ledger.record(ctx, penstock.Event{At: now, Integration: in.ID, Name: in.Name, Kind: EventDeleted,
		Severity: penstock.SeverityInfo, Message: "the integration was deleted"})
	if orphan != nil {
		s.ledger.record(ctx, penstock.Event{At: now, Integration: in.ID, Name: in.Name, Kind: EventOrphanLeft,
			Severity: penstock.SeverityWarning, Message: "what the integration put at the source " + orphan.Source +
				" is still there and will be removed when that can be done: " + orphan.LastError + byHand(orphan.ByHand)})
	}
	return nil
}

// byHand says how to do it without waiting.
func byHand(statements []string) string {
	if len(statements) == 0 {
		return ""
	}
	return ". To do it by hand, run in each database: " + strings.Join(statements, " ")
}

// clean removes everything of the integration's from its source. If that
// cannot be done in time it returns the orphan to leave, and an error only if
// ctx ended.
func (k *keeper) clean(ctx context.Context, in penstock.Integration, end time.Time) (*penstock.Orphan, error) {
	if !slices.ContainsFunc(in.Databases, func(d penstock.DestinationDatabase) bool { return d.State != penstock.DatabasePending }) {
		return nil, nil // there is nothing, and maybe nobody to ask
	}
	name, source, ok := k.s.cfg.source(in.SourceARN)
	leave := func(err error) *penstock.Orphan {
		now := k.s.cfg.Now().UTC().Round(0)
		o := &penstock.Orphan{Integration: in.ID, Name: in.Name, Source: name, Since: now, LastTry: now, LastError: err.Error()}
		if s, ok := source.Source.(penstock.ByHand); ok {
			o.ByHand = s.ForgetByHand(in.ID)
		}
		return o
	}
	if !ok {
		return leave(errNotConfigured), nil
	}
	err := k.until(ctx, end, func(ctx context.Context) error { return source.Source.Forget(ctx, in.ID) })
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return leave(err), nil
	}
	return nil, nil
}

var errNotConfigured = errors.New("the source is not in the configuration")

// detach makes the destination databases ordinary ones. One that refuses does
// not hold up the deletion.
func (k *keeper) detach(ctx context.Context, in penstock.Integration, end time.Time) {
	_, target, ok := k.s.cfg.target(in.TargetARN)
	if !ok {
		return
	}
	for _, db := range in.Databases {
		if db.Name == "" {
			continue // it was dropped
		}
		err := k.until(ctx, end, func(ctx context.Context) error {
			err := target.Target.Detach(ctx, db.Name)
			if penstock.KindOf(err) == penstock.KindNotFound {
				return nil // it was never made
			}
			return err
		})
		if err != nil && ctx.Err() == nil {
			k.s.ledger.record(ctx, penstock.Event{At: k.s.cfg.Now(), Integration: in.ID, Name: in.Name, Kind: EventNotDetached,
				Severity: penstock.SeverityWarning, Message: "the destination database " + db.Name + " could not be detached: " + err.Error()})
		}
	}
}

// until calls f until it succeeds, at least once, and not again after end. It
// returns the last error.
func (k *keeper) until(ctx context.Context, end time.Time, f func(context.Context) error) error {
	retry := backoff{least: 100 * time.Millisecond, most: 10 * time.Second}
	for {
		limit := min(attempt, max(end.Sub(k.s.cfg.Now()), 5*time.Second))
		try, cancel := context.WithTimeout(ctx, limit)
		err := f(try)
		cancel()
		left := end.Sub(k.s.cfg.Now())
		if err == nil || ctx.Err() != nil || left <= 0 {
			return err
		}
		k.log.Warn("cleaning failed", "err", err)
		pause(ctx, min(retry.next(), left), nil)
	}
}

// retryOrphan tries to clean up after a deleted integration until that is done
// or ctx ends.
func (s *Supervisor) retryOrphan(ctx context.Context, o penstock.Orphan) {
	retry := backoff{least: time.Second, most: time.Minute}
	log := s.cfg.Logger.With("integration", o.Integration, "name", o.Name, "source", o.Source)
	for {
		err := s.forgetOrphan(ctx, o)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			_ = failpoint.Here(failpoint.ControlOrphanClean)
			if err = s.cfg.Store.DeleteOrphan(ctx, o.Integration); err == nil {
				s.ledger.record(ctx, penstock.Event{At: s.cfg.Now(), Integration: o.Integration, Name: o.Name, Kind: EventOrphanRemoved,
					Severity: penstock.SeverityInfo, Message: "what the integration left at the source " + o.Source + " is removed"})
				return
			}
		}
		log.Warn("orphan not removed", "err", err)
		o.LastTry, o.LastError = s.cfg.Now().UTC().Round(0), err.Error()
		if err := s.cfg.Store.PutOrphan(ctx, o); err != nil && ctx.Err() == nil {
			log.Error("orphan not stored", "err", err)
		}
		pause(ctx, retry.next(), nil)
	}
}

func (s *Supervisor) forgetOrphan(ctx context.Context, o penstock.Orphan) error {
	source, ok := s.cfg.Sources[o.Source]
	if !ok {
		return errNotConfigured
	}
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	return source.Source.Forget(ctx, o.Integration)
}
