package pipeline

import "penstock"

// cutter chooses how many tables a batch may have. As many as there is room for are good
// if that is all that change, since each costs the same in every batch, however many rows
// it has. If more do, so that batches are cut all the same, each costs less in smaller ones,
// which the target need not move in and out of its memory.
type cutter struct {
	small bool // the last batch that could have all was cut
	since int  // batches since then
}

// wholeEvery is how many batches after one that was cut all tables are tried again.
const wholeEvery = 16

func (c *cutter) next(most int) int {
	if c.small && most > 1 {
		return most / 2
	}
	return most
}

// filled takes note of a batch that has been filled.
func (c *cutter) filled(got *penstock.Changes) {
	switch c.since++; {
	case !c.small:
		c.small, c.since = got.Full(), 0
	case c.since >= wholeEvery:
		c.small = false
	}
}
