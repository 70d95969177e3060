package control

import (
	"context"
	"time"

	"penstock"
)

// historyLimit is how long a statement about tables in history mode waits for a
// stream to come to a place where it can be done.
const historyLimit = 30 * time.Second

// Historian returns who does what users want with tables in history mode of a
// destination database, and a context that ends when they have waited enough.
// KindNotFound if no integration replicates into a database of that name,
// KindInvalidState while the stream does not run.
func (s *Supervisor) Historian(ctx context.Context, target, database string) (Historian, context.Context, context.CancelFunc, error) {
	runner, err := s.startingRunner(ctx, target, database)
	if err != nil {
		return nil, nil, nil, err
	}
	h, ok := runner.(Historian)
	if !ok {
		return nil, nil, nil, penstock.Errorf(penstock.KindInvalidState, "database %s has no history mode", database)
	}
	limited, cancel := context.WithTimeout(ctx, historyLimit)
	return h, limited, cancel, nil
}
