package control

import (
	"context"

	"penstock"
)

// Runner carries the rows of one stream of an integration. internal/app makes
// them from sources, targets and internal/pipeline.
type Runner interface {
	// Run replicates until ctx ends, then returns nil. It returns an error
	// when it cannot go on without somebody's help or must be started anew;
	// the supervisor decides by its Kind. It is called once.
	Run(ctx context.Context) error
	// Status returns what is known now. It may be called at any time, also
	// before and after Run.
	Status() penstock.StreamStatus
}

// Refresher is a Runner that can load tables again on request.
type Refresher interface {
	// Refresh has tables loaded again and returns how many, once that is
	// durable. KindInvalidState if the runner does not run, KindNotFound if a
	// table that is named is not there. It may be called at any time.
	Refresh(ctx context.Context, r penstock.Refresh) (tables int, err error)
}

// Historian is a Runner that can do what users want with tables in history mode.
// The errors of its methods are those of the methods that they are named like.
// KindInvalidState if the runner does not run, or is too busy. They may be
// called at any time.
type Historian interface {
	penstock.Archive
	// SetHistory turns history mode on or off, see penstock.HistoryChange. It
	// returns how many tables were switched, and how many could not be.
	SetHistory(ctx context.Context, c penstock.HistoryChange) (tables, skipped int, err error)
	// EndRows ends all active rows of a table. KindNotFound if there is no such
	// table, KindInvalid if it has no history.
	EndRows(ctx context.Context, t penstock.TableName) error
}

// Tuner is a Runner whose options can be changed while it runs. One that is no
// Tuner is made anew for that.
type Tuner interface {
	// Tune has options take effect soon. It does not block, and may be called
	// at any time.
	Tune(o penstock.DatabaseOptions)
}

// Awaiter is a Runner whose destination can be waited for.
type Awaiter interface {
	// Await blocks until readers of the destination see all that was committed
	// at the source before a position, as its users write it; "" is now. It may
	// be called at any time. KindInvalid if it is no position, KindInvalidState
	// if the runner does not run.
	Await(ctx context.Context, position string) error
}

// RunnerFactory makes the runner of one stream; it does not dial. db.Name is
// the name of the destination database, already decided.
type RunnerFactory func(in penstock.Integration, db penstock.DestinationDatabase) (Runner, error)
