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

// RunnerFactory makes the runner of one stream; it does not dial. db.Name is
// the name of the destination database, already decided.
type RunnerFactory func(in penstock.Integration, db penstock.DestinationDatabase) (Runner, error)
