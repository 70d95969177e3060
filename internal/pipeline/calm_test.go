package pipeline

import (
	"log/slog"
	"testing"
	"time"
)

// TestCalm: batches that were made smaller for want of memory grow again once it has
// been enough for a while, one doubling at a time, and later if that was too early.
func TestCalm(t *testing.T) {
	t.Parallel()
	p := New(Config{Memory: 64 << 20, MostTables: 8, Logger: slog.New(slog.DiscardHandler)})
	now, whole := time.Unix(1e9, 0), p.limit()
	look := func(what string, limit, tables int) {
		t.Helper()
		if p.limit() != limit || p.mostTables() != tables {
			t.Errorf("%s: %d bytes and %d tables instead of %d and %d", what, p.limit(), p.mostTables(), limit, tables)
		}
	}
	after := func(d time.Duration) {
		now = now.Add(d)
		p.growBatches(now)
	}
	after(time.Hour)
	look("never out of memory", whole, 8)
	p.shrinkBatches(now)
	p.shrinkBatches(now)
	look("twice out of memory", whole/4, 2)
	after(minCalm - 1)
	look("too early", whole/4, 2)
	after(1)
	look("after a while", whole/2, 4)
	after(minCalm - 1)
	look("one at a time", whole/2, 4)
	p.shrinkBatches(now)
	look("out of memory once more", whole/4, 2)
	after(minCalm)
	look("the next time it takes longer", whole/4, 2)
	after(minCalm)
	look("then", whole/2, 4)
	after(2 * minCalm)
	look("and then", whole, 8)
	after(maxCalm)
	look("at last", whole, 8)
	for range 20 {
		p.shrinkBatches(now)
		after(maxCalm)
	}
	look("there is a longest time", whole, 8)
}
