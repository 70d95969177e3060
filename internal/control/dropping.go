package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"penstock"
	"penstock/internal/failpoint"
)

// A destination database that a user drops goes step by step, each stored
// before the next: its stream ends and it is removed from the target
// (DatabaseDropping), what the stream has at the source is removed
// (DatabaseDropped), and nothing is left but that it was dropped
// (DatabasePending), for it not to be made again by itself. Any step may be
// repeated, so a crash does no harm.

// dropFiles removes databases that are being dropped from the target. Their
// streams have ended. It goes through all of them and returns the first error.
func (k *keeper) dropFiles(ctx context.Context) error {
	var first error
	for _, db := range k.in.Databases {
		if db.State != penstock.DatabaseDropping {
			continue
		}
		err := k.dropFile(ctx, db)
		k.stuckOn(db.Name, err)
		if err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (k *keeper) dropFile(ctx context.Context, db penstock.DestinationDatabase) error {
	_, target, ok := k.s.cfg.target(k.in.TargetARN)
	if !ok {
		return &penstock.Error{Kind: penstock.KindTargetNotFound, Op: "drop database " + db.Name, Message: "the target is not in the configuration"}
	}
	// Not while somebody makes databases, or chooses names for them.
	if err := k.s.lockNames(ctx); err != nil {
		return err
	}
	defer k.s.unlockNames()
	limited, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	if err := target.Target.Drop(limited, db.Name); err != nil {
		return err
	}
	_ = failpoint.Here(failpoint.ControlFileDropped)
	k.log.Info("destination database dropped", "database", db.Name)
	return k.changeDatabase(ctx, db, func(e *edit, d *penstock.DestinationDatabase) {
		d.Name, d.State = "", penstock.DatabaseDropped
		e.note(EventDatabaseDropped, penstock.SeverityInfo, fmt.Sprintf("the destination database %s was dropped", db.Name))
	})
}

// retire gives up a database of a source database that the filter does not
// name any more. Its stream has ended. What can be read of it stays.
func (k *keeper) retire(ctx context.Context, target penstock.Target, gone penstock.DestinationDatabase) error {
	if err := target.Detach(ctx, gone.Name); err != nil && penstock.KindOf(err) != penstock.KindNotFound {
		return err
	}
	k.log.Info("database dropped from integration", "database", gone.Name)
	return k.changeDatabase(ctx, gone, func(_ *edit, d *penstock.DestinationDatabase) {
		d.Name, d.State = "", penstock.DatabaseDropped
	})
}

// changeDatabase changes the entry of a database, if it is still what it was.
func (k *keeper) changeDatabase(ctx context.Context, was penstock.DestinationDatabase, f func(*edit, *penstock.DestinationDatabase)) error {
	return k.change(ctx, func(e *edit) error {
		i := slices.IndexFunc(e.Databases, func(d penstock.DestinationDatabase) bool {
			return d.SourceDatabase == was.SourceDatabase && d.Name == was.Name && d.State == was.State
		})
		if i < 0 {
			return errUnchanged
		}
		e.Databases = slices.Clone(e.Databases)
		f(e, &e.Databases[i])
		return nil
	})
}

// forgetUnnamed removes the memory of dropped databases that the filter does
// not name any more.
func (k *keeper) forgetUnnamed(ctx context.Context, named []string) error {
	unnamed := func(d penstock.DestinationDatabase) bool {
		return d.State == penstock.DatabasePending && !slices.Contains(named, d.SourceDatabase)
	}
	if !slices.ContainsFunc(k.in.Databases, unnamed) {
		return nil
	}
	return k.change(ctx, func(e *edit) error {
		e.Databases = slices.DeleteFunc(slices.Clone(e.Databases), unnamed)
		return nil
	})
}

// cleaners remove from the source what streams of dropped databases have there,
// for as long as that takes.
type cleaners struct {
	k      *keeper
	ctx    context.Context
	source penstock.Source
	group  errgroup.Group
	all    map[string]*cleaner // by source database
}

type cleaner struct {
	end  context.CancelFunc
	done chan struct{} // closed when it has ended

	// Guarded by keeper.mu.
	clean bool
	err   error // of the last attempt
	since time.Time
}

func newCleaners(ctx context.Context, k *keeper, source penstock.Source) *cleaners {
	return &cleaners{k: k, ctx: ctx, source: source, all: map[string]*cleaner{}}
}

// release ends the cleaners of databases that are not dropped (any more), and
// waits for that: a stream that comes next must not be cleaned away.
func (c *cleaners) release(databases []penstock.DestinationDatabase) {
	for source, one := range c.all {
		if !slices.ContainsFunc(databases, func(d penstock.DestinationDatabase) bool {
			return d.SourceDatabase == source && d.State == penstock.DatabaseDropped
		}) {
			one.end()
			<-one.done
			delete(c.all, source)
		}
	}
}

// follow begins to clean what has been dropped, and takes note of what is clean.
func (c *cleaners) follow(ctx context.Context) error {
	for _, db := range c.k.in.Databases {
		if db.State != penstock.DatabaseDropped {
			continue
		}
		one := c.all[db.SourceDatabase]
		if one == nil {
			c.begin(db.SourceDatabase)
			continue
		}
		c.k.mu.Lock()
		clean := one.clean
		c.k.mu.Unlock()
		if !clean {
			continue
		}
		_ = failpoint.Here(failpoint.ControlStreamCleaned)
		if err := c.k.changeDatabase(ctx, db, func(_ *edit, d *penstock.DestinationDatabase) {
			*d = penstock.DestinationDatabase{SourceDatabase: db.SourceDatabase, CreatedAt: db.CreatedAt, State: penstock.DatabasePending}
		}); err != nil {
			return err
		}
	}
	c.release(c.k.in.Databases)
	return nil
}

func (c *cleaners) begin(sourceDatabase string) {
	ctx, end := context.WithCancel(c.ctx)
	one := &cleaner{end: end, done: make(chan struct{}), since: c.k.s.cfg.Now()}
	c.all[sourceDatabase] = one
	c.group.Go(func() error {
		defer close(one.done)
		defer end()
		retry := backoff{least: 100 * time.Millisecond, most: 30 * time.Second}
		for ctx.Err() == nil {
			try, cancel := context.WithTimeout(ctx, attempt)
			err := c.source.ForgetStream(try, c.k.id, sourceDatabase)
			cancel()
			c.k.mu.Lock()
			one.clean, one.err = err == nil, err
			c.k.mu.Unlock()
			if err == nil {
				poke(c.k.woken)
				return nil
			}
			c.k.log.Warn("cleaning failed", "source_database", sourceDatabase, "err", err)
			pause(ctx, retry.next(), nil)
		}
		return nil
	})
}

// problems says what could not be removed from the source so far.
func (c *cleaners) problems() (all []penstock.Problem) {
	now := c.k.s.cfg.Now()
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	for source, one := range c.all {
		if one.err == nil || now.Sub(one.since) < notice {
			continue
		}
		all = append(all, penstock.Problem{
			Code: penstock.ProblemSourceUnclean, Severity: penstock.SeverityWarning, Database: source, Since: one.since, Mend: penstock.MendOf(one.err),
			Message: "what the dropped destination database had at the source is still there, which is tried again: " + penstock.MessageOf(one.err),
		})
	}
	return all
}

// endAll ends all cleaners and waits for that.
func (c *cleaners) endAll() {
	for _, one := range c.all {
		one.end()
	}
	_ = c.group.Wait() // reports nothing
}
