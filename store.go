package penstock

import (
	"context"
	"time"
)

// Store remembers integrations, their events, what they left behind, and the
// resource policies of targets. Its
// methods may be called concurrently; each is atomic, and durable when it
// returns. Errors are KindIntegrationNotFound where an ID is unknown, and
// KindConflict where a name is taken.
type Store interface {
	// Create adds an integration. check sees all others and may refuse by
	// returning an error; no other Create or Update comes between. A taken ID
	// or name is KindConflict.
	Create(ctx context.Context, in Integration, check func(others []Integration) error) error
	// Get returns one integration.
	Get(ctx context.Context, id IntegrationID) (Integration, error)
	// List returns all integrations, ordered by creation time and ID.
	List(ctx context.Context) ([]Integration, error)
	// Update reads an integration, lets f change it and writes it back, all
	// in one transaction. An error of f undoes it and is returned. ID and
	// CreatedAt cannot be changed.
	Update(ctx context.Context, id IntegrationID, f func(*Integration) error) (Integration, error)
	// Delete removes an integration and leaves its events.
	Delete(ctx context.Context, id IntegrationID) error

	// AddEvent records an event and gives it an ID.
	AddEvent(ctx context.Context, e Event) error
	// Events returns the events since a time, oldest first; of one
	// integration, or of all if id is "".
	Events(ctx context.Context, id IntegrationID, since time.Time) ([]Event, error)
	// PruneEvents removes events before a time.
	PruneEvents(ctx context.Context, before time.Time) error

	// PutOrphan adds or replaces the orphan of an integration.
	PutOrphan(ctx context.Context, o Orphan) error
	// Orphans returns all orphans, the oldest first.
	Orphans(ctx context.Context) ([]Orphan, error)
	// DeleteOrphan removes an orphan; one that is not there is no error.
	DeleteOrphan(ctx context.Context, id IntegrationID) error

	// PutPolicy sets the resource policy of the target with that ARN, in place
	// of one that it has.
	PutPolicy(ctx context.Context, targetARN, document string) error
	// Policy returns the resource policy of a target, KindNotFound if it has
	// none.
	Policy(ctx context.Context, targetARN string) (document string, err error)
	// DeletePolicy removes the resource policy of a target, KindNotFound if it
	// has none.
	DeletePolicy(ctx context.Context, targetARN string) error

	Close() error
}
