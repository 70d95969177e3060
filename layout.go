package penstock

import (
	"context"
	"errors"
)

// Layout is a Destination whose storage is laid out for the tables that are in
// it: what suits few narrow ones may have no room for a wide one, or cost too
// much for many.
type Layout interface {
	// Fits is asked before tables are loaded, and before Ensure. All that are to
	// be loaded are given at once. ErrReopen means that the storage has to be
	// laid out anew for them; KindFull with a TooLarge as its cause, that this
	// is not possible for that table.
	Fits(ctx context.Context, tables []Table) error
}

// ErrReopen is the cause of an error of Fits, and of Apply where the batch alters
// tables, that says: nothing has been done, and it will be possible once the
// destination has been closed and opened anew. Opening may then take as long as
// writing all rows anew; they can be read meanwhile.
var ErrReopen = errors.New("the destination has to be opened anew")
