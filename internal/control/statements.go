package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"penstock"
)

// What the SQL endpoint of a target asks for. All of it is durable before it
// takes effect, and the keepers see to the rest, also after a crash.

const (
	// heedLimit is how long a statement waits for its effect on a stream,
	// which comes without it too.
	heedLimit = 5 * time.Second
	// dropLimit is how long a statement waits for a database to be dropped.
	dropLimit = 30 * time.Second
)

// CreateDatabase makes a destination database in a target, named as in the
// configuration, and has an integration replicate into it. It returns once the
// database can be connected to. KindIntegrationNotFound if the integration is
// not one into this target, KindNotFound if it does not replicate the source
// database, KindInvalid if it replicates several and none is named,
// KindAlreadyExists if the source database is connected already, KindConflict
// if the name is taken, KindInvalidState if the integration is failed or being
// deleted.
func (s *Supervisor) CreateDatabase(ctx context.Context, target string, d penstock.NewDatabase) error {
	in, err := s.cfg.Store.Get(ctx, d.Integration)
	if penstock.KindOf(err) != penstock.KindIntegrationNotFound && err != nil {
		return err
	}
	if name, _, _ := s.cfg.target(in.TargetARN); err != nil || name != target {
		return &penstock.Error{Kind: penstock.KindIntegrationNotFound, Message: fmt.Sprintf("no integration %q replicates into this warehouse", d.Integration),
			Mend: "SELECT integration_id FROM svv_integration"}
	}
	source, err := s.sourceDatabase(in, d.SourceDatabase)
	if err != nil {
		return err
	}
	if err := s.lockNames(ctx); err != nil {
		return err
	}
	err = s.connect(ctx, in, source, d)
	s.unlockNames()
	if err != nil {
		return err
	}
	s.cfg.Logger.Info("destination database created", "integration", in.ID, "name", in.Name, "database", d.Name, "source_database", source)
	_, err = s.await(ctx, in.ID, heedLimit, func(k *keeper) (bool, error) {
		return slices.ContainsFunc(k.heeded, func(h penstock.DestinationDatabase) bool { return h.SourceDatabase == source && h.Name == d.Name }), nil
	})
	return err
}

// sourceDatabase returns the source database that is to be connected: the one
// named, or the only one.
func (s *Supervisor) sourceDatabase(in penstock.Integration, named string) (string, error) {
	_, source, ok := s.cfg.source(in.SourceARN)
	if !ok {
		return "", wrongState(in, "connected: its source is not in the configuration")
	}
	filter, err := source.Source.ParseFilter(in.DataFilter)
	if err != nil {
		return "", err
	}
	all := source.Source.Databases(filter)
	switch {
	case named != "" && slices.Contains(all, named):
		return named, nil
	case named == "" && len(all) == 1:
		return all[0], nil
	case named == "":
		return "", &penstock.Error{Kind: penstock.KindInvalid, Message: fmt.Sprintf("integration %s replicates several source databases", in.Name),
			Mend: "name one of them: DATABASE " + strings.Join(all, ", DATABASE ")}
	}
	return "", &penstock.Error{Kind: penstock.KindNotFound, Message: fmt.Sprintf("integration %s does not replicate a source database %s", in.Name, named),
		Mend: "its data filter has to name it: " + in.DataFilter}
}

// connect stores that a source database is connected and makes its destination
// database. The names are locked.
func (s *Supervisor) connect(ctx context.Context, in penstock.Integration, source string, d penstock.NewDatabase) error {
	_, target, _ := s.cfg.target(in.TargetARN)
	names, err := s.names(ctx, in, target.Target)
	if err != nil {
		return err
	}
	known := slices.ContainsFunc(names.existing, func(e penstock.DatabaseSpec) bool { return e.Name == d.Name && names.adoptable(e, source) })
	if !known && !names.free(d.Name) {
		return &penstock.Error{Kind: penstock.KindConflict, Message: fmt.Sprintf("database %q already exists", d.Name)}
	}
	var before *penstock.DestinationDatabase
	_, err = s.ledger.change(ctx, in.ID, func(e *edit) error {
		switch e.Status {
		case penstock.StatusFailed, penstock.StatusDeleting:
			return &penstock.Error{Kind: penstock.KindInvalidState, Message: fmt.Sprintf("integration %s is %s", e.Name, e.Status)}
		}
		db := penstock.DestinationDatabase{Name: d.Name, SourceDatabase: source, CreatedAt: e.now.UTC().Round(0), Options: d.Options.Apply(penstock.DatabaseOptions{})}
		e.Databases = slices.Clone(e.Databases)
		e.note(EventDatabaseCreated, penstock.SeverityInfo, fmt.Sprintf("the destination database %s was created%s", d.Name, of(source)))
		i := slices.IndexFunc(e.Databases, func(o penstock.DestinationDatabase) bool { return o.SourceDatabase == source })
		if i < 0 {
			e.Databases = append(e.Databases, db)
			return nil
		}
		old := e.Databases[i]
		switch old.State {
		case penstock.DatabaseConnected:
			return &penstock.Error{Kind: penstock.KindAlreadyExists, Message: fmt.Sprintf("integration %s replicates%s into database %s already", e.Name, of(source), old.Name),
				Mend: "ALTER DATABASE changes its options; DROP DATABASE makes way for another one"}
		case penstock.DatabaseDropping:
			return &penstock.Error{Kind: penstock.KindInvalidState, Message: fmt.Sprintf("database %s is being dropped", old.Name), Mend: "try again in a moment"}
		}
		before = &old
		e.Databases[i] = db
		return nil
	})
	if err != nil {
		return err
	}
	return s.make(ctx, in, source, d.Name, before)
}

// of names a source database in a sentence, if it has a name.
func of(source string) string {
	if source == "" {
		return ""
	}
	return " of " + source
}

// make makes a destination database that is stored as connected. If that
// fails, what was stored is taken back.
func (s *Supervisor) make(ctx context.Context, in penstock.Integration, source, name string, before *penstock.DestinationDatabase) error {
	_, target, _ := s.cfg.target(in.TargetARN)
	limited, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	spec := penstock.DatabaseSpec{Name: name, Integration: in.ID, SourceARN: in.SourceARN, SourceDatabase: source}
	dest, err := target.Target.Open(limited, spec)
	if err == nil {
		return dest.Close()
	}
	if existing, listed := target.Target.List(limited); listed == nil && slices.Contains(existing, spec) {
		return nil // its stream was faster, and has it open
	}
	_, undone := s.ledger.change(context.WithoutCancel(ctx), in.ID, func(e *edit) error {
		e.Databases = slices.DeleteFunc(slices.Clone(e.Databases), func(d penstock.DestinationDatabase) bool { return d.Name == name && d.SourceDatabase == source })
		if before != nil {
			e.Databases = append(e.Databases, *before)
		}
		return nil
	})
	if undone != nil { // then the stream goes on trying to make it
		s.cfg.Logger.Error("database that could not be made stays stored", "integration", in.ID, "database", name, "err", undone)
	}
	return err
}

// SetOptions changes options of a destination database in a target.
// KindNotFound if no integration replicates into a database of that name.
func (s *Supervisor) SetOptions(ctx context.Context, target, database string, c penstock.OptionsChange) error {
	in, db, err := s.replicatedInto(ctx, target, database)
	if err != nil {
		return err
	}
	in, err = s.ledger.change(ctx, in.ID, func(e *edit) error {
		i := slices.IndexFunc(e.Databases, func(d penstock.DestinationDatabase) bool {
			return d.Name == database && d.State == penstock.DatabaseConnected
		})
		if i < 0 {
			return notReplicated(database)
		}
		db = e.Databases[i]
		db.Options = c.Apply(db.Options)
		e.Databases = slices.Clone(e.Databases)
		e.Databases[i] = db
		return nil
	})
	if err != nil {
		return err
	}
	s.cfg.Logger.Info("options of a destination database changed", "integration", in.ID, "name", in.Name, "database", database)
	_, err = s.await(ctx, in.ID, heedLimit, func(k *keeper) (bool, error) { return slices.Contains(k.heeded, db), nil })
	return err
}

// DropDatabase removes a destination database from a target: one of an
// integration, which then has no stream for its source database, or one that
// an integration has left. KindNotFound if there is none of that name. What
// is left at the source is removed later.
func (s *Supervisor) DropDatabase(ctx context.Context, target, database string) error {
	in, _, err := s.replicatedInto(ctx, target, database)
	if penstock.KindOf(err) == penstock.KindNotFound && err != nil {
		return s.dropDetached(ctx, target, database)
	}
	if err != nil {
		return err
	}
	if k := s.keeper(in.ID); k != nil {
		k.stuckOn(database, nil) // of an earlier attempt
	}
	_, err = s.ledger.change(ctx, in.ID, func(e *edit) error {
		i := slices.IndexFunc(e.Databases, func(d penstock.DestinationDatabase) bool { return d.Name == database })
		switch {
		case i < 0:
			return errUnchanged // another one was faster
		case e.Status == penstock.StatusDeleting:
			return &penstock.Error{Kind: penstock.KindInvalidState, Message: fmt.Sprintf("integration %s is being deleted", e.Name), Mend: "drop the database when that is done"}
		}
		e.Databases = slices.Clone(e.Databases)
		e.Databases[i].State = penstock.DatabaseDropping
		return nil
	})
	if err != nil {
		return err
	}
	gone, err := s.await(ctx, in.ID, dropLimit, func(k *keeper) (bool, error) {
		named := func(d penstock.DestinationDatabase) bool { return d.Name == database }
		return !slices.ContainsFunc(k.in.Databases, named), k.stuck[database]
	})
	if err == nil && !gone {
		err = &penstock.Error{Kind: penstock.KindUnreachable, Message: fmt.Sprintf("database %s is being dropped, which takes longer than a statement waits", database)}
	}
	return err
}

// await wakes the keeper of an integration and waits until done holds, which is
// called with the keeper locked, or says that it will not. It returns false if
// it does not hold within the limit.
func (s *Supervisor) await(ctx context.Context, id penstock.IntegrationID, limit time.Duration, done func(*keeper) (bool, error)) (bool, error) {
	late := time.NewTimer(limit)
	defer late.Stop()
	s.Wake() // if it has no keeper yet
	for woken := false; ; {
		var acted <-chan struct{}
		again := time.Second
		if k := s.keeper(id); k == nil {
			again = 20 * time.Millisecond
		} else {
			if !woken {
				poke(k.woken)
				woken = true
			}
			k.mu.Lock()
			ok, err := done(k)
			acted = k.acted
			k.mu.Unlock()
			if ok || err != nil {
				return ok, err
			}
		}
		wait := time.NewTimer(again)
		select {
		case <-acted:
		case <-wait.C:
		case <-late.C:
			return false, nil
		case <-ctx.Done():
			wait.Stop()
			return false, ctx.Err()
		}
		wait.Stop()
	}
}

func (s *Supervisor) keeper(id penstock.IntegrationID) *keeper {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keepers[id]
}

// dropDetached removes a database that belongs to no integration (any more).
func (s *Supervisor) dropDetached(ctx context.Context, target, database string) error {
	t, ok := s.cfg.Targets[target]
	if !ok {
		return penstock.Errorf(penstock.KindTargetNotFound, "no target %s", target)
	}
	if err := s.lockNames(ctx); err != nil {
		return err
	}
	defer s.unlockNames()
	names, err := s.names(ctx, penstock.Integration{TargetARN: t.ARN}, t.Target)
	if err != nil {
		return err
	}
	missing := !slices.ContainsFunc(names.existing, func(d penstock.DatabaseSpec) bool { return d.Name == database })
	switch {
	case names.taken[fold(database)] && !missing:
		return &penstock.Error{Kind: penstock.KindInvalidState, Message: fmt.Sprintf("database %s has just been connected to an integration", database), Mend: "try again"}
	case missing:
		return &penstock.Error{Kind: penstock.KindNotFound, Message: fmt.Sprintf("there is no database %s", database)}
	}
	limited, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	if err := t.Target.Drop(limited, database); err != nil {
		return err
	}
	s.cfg.Logger.Info("detached database dropped", "target", target, "database", database)
	return nil
}

// replicatedInto returns the integration that has a destination database, with
// its entry. KindNotFound if there is none.
func (s *Supervisor) replicatedInto(ctx context.Context, target, database string) (penstock.Integration, penstock.DestinationDatabase, error) {
	all, err := s.cfg.Store.List(ctx)
	if err != nil {
		return penstock.Integration{}, penstock.DestinationDatabase{}, err
	}
	for _, in := range all {
		if name, _, _ := s.cfg.target(in.TargetARN); name != target {
			continue
		}
		for _, d := range in.Databases {
			if d.Name == database {
				return in, d, nil
			}
		}
	}
	return penstock.Integration{}, penstock.DestinationDatabase{}, notReplicated(database)
}

func notReplicated(database string) error {
	return &penstock.Error{Kind: penstock.KindNotFound, Message: fmt.Sprintf("no integration replicates into database %s", database)}
}
