package pipeline

import (
	"errors"
	"time"

	"penstock"
)

// A table that is not what the source takes it for is loaded again at once, but
// not for ever: the source may go on telling of it what cannot be.
const (
	minStrayPause = time.Second
	maxStrayPause = 10 * time.Minute
)

// strayed returns the one table whose rows a destination could not find, by a
// key that it cannot hold or by all their values, or that it does not have as the batch
// takes it for; nil if err is about something else.
func strayed(err error) *penstock.Table {
	var nameless *penstock.Unrepresentable
	var unfound *penstock.Unfound
	var misfit *penstock.Misfit
	switch {
	case err == nil || penstock.KindOf(err) != penstock.KindStale:
	case errors.As(err, &nameless):
		return nameless.Table
	case errors.As(err, &unfound):
		return unfound.Table
	case errors.As(err, &misfit):
		return misfit.Table
	}
	return nil
}

// holdStray has a table wait before it is loaded again, the longer the more
// often rows of it are not found.
func (p *Pipeline) holdStray(t *penstock.Table, err error) {
	var unfound *penstock.Unfound
	var misfit *penstock.Misfit
	if errors.As(err, &unfound) || errors.As(err, &misfit) {
		p.strays.holdBackFor(t.ID, minStrayPause, maxStrayPause, 2*maxStrayPause)
	}
}
