package penstock

import "context"

// Locator is a Capture that knows its way about the source's history, so that
// readers of a destination can wait until they see what Covers such a place. Its
// methods may be called from any goroutine, also while others are in use.
type Locator interface {
	// Now returns the end of the history: what has been committed at the source
	// before the call comes before it. Unlike Latest it disturbs nobody.
	Now(ctx context.Context) (Position, error)
	// Locate returns the position that the source's users write so; see Labeler.
	// KindInvalid if it is not of that form. It does not know whether history
	// has got there yet.
	Locate(text string) (Position, error)
}
