package control

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"penstock"
)

// Refresh has tables of a destination database loaded again, as ALTER DATABASE
// … INTEGRATION REFRESH asks for, and returns how many. target is the target's
// name in the configuration. KindNotFound if no integration replicates into a
// database of that name, or there is no such table; KindInvalidState while the
// stream does not run.
func (s *Supervisor) Refresh(ctx context.Context, target, database string, r penstock.Refresh) (tables int, err error) {
	runner, err := s.startingRunner(ctx, target, database)
	if err != nil {
		return 0, err
	}
	refresher, ok := runner.(Refresher)
	if !ok {
		return 0, penstock.Errorf(penstock.KindInvalidState, "database %s cannot be refreshed", database)
	}
	return refresher.Refresh(ctx, r)
}

// Await blocks until readers of a destination database see all that was
// committed at its source before a position; see Awaiter. KindNotFound if no
// integration replicates into a database of that name.
func (s *Supervisor) Await(ctx context.Context, target, database, position string) error {
	runner, err := s.startingRunner(ctx, target, database)
	if err != nil {
		return err
	}
	awaiter, ok := runner.(Awaiter)
	if !ok {
		return penstock.Errorf(penstock.KindInvalidState, "database %s cannot be waited for", database)
	}
	return awaiter.Await(ctx, position)
}

// Runner returns the runner that replicates into a destination database of a
// target. KindNotFound if no integration does, KindInvalidState while the stream
// does not run.
func (s *Supervisor) Runner(target, database string) (Runner, error) {
	stream, err := s.stream(target, database)
	if err != nil {
		return nil, err
	}
	return stream.active()
}

// startPatience is how long a statement waits for a stream that has not been
// running yet, and of which nothing is known that stands in its way.
const startPatience = 5 * time.Second

// startingRunner is Runner, and waits for a moment while the stream is only about
// to start, as it is when this process has just begun.
func (s *Supervisor) startingRunner(ctx context.Context, target, database string) (Runner, error) {
	limited, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		st, err := s.stream(target, database)
		if err == nil && !st.starting() {
			return st.active()
		}
		if err != nil {
			if _, db, unknown := s.replicatedInto(ctx, target, database); unknown != nil || db.State != penstock.DatabaseConnected {
				return nil, cmp.Or(unknown, err)
			}
		}
		pause(limited, 20*time.Millisecond, nil)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case limited.Err() != nil && err != nil:
			return nil, notRunning(database)
		case limited.Err() != nil:
			return st.active()
		}
	}
}

// AwaitStart waits for a moment while the stream into a destination database is only
// about to start. KindNotFound if no integration replicates into one of that name,
// KindInvalidState while the stream does not run.
func (s *Supervisor) AwaitStart(ctx context.Context, target, database string) error {
	_, err := s.startingRunner(ctx, target, database)
	return err
}

// starting reports whether the stream has not had a runner yet, nor failed to get
// one.
func (s *stream) starting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runner == nil && s.err == nil
}

// stream returns the stream that replicates into a destination database.
func (s *Supervisor) stream(target, database string) (*stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keepers {
		if st := k.stream(target, database); st != nil {
			return st, nil
		}
	}
	return nil, notReplicated(database)
}

// stream returns the keeper's stream into a destination database, nil if it has
// none.
func (k *keeper) stream(target, database string) *stream {
	k.mu.Lock()
	defer k.mu.Unlock()
	if name, _, _ := k.s.cfg.target(k.in.TargetARN); name != target {
		return nil
	}
	for _, st := range k.streams {
		if st.db.Name == database {
			return st
		}
	}
	return nil
}

// active returns the runner that runs, KindInvalidState if none does.
func (s *stream) active() (Runner, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running {
		return nil, notRunning(s.db.Name)
	}
	return s.runner, nil
}

func notRunning(database string) error {
	return &penstock.Error{Kind: penstock.KindInvalidState, Message: fmt.Sprintf("replication into database %s is not running at the moment", database),
		Mend: "see the integration's problems, and try again once it runs"}
}
