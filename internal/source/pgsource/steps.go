package pgsource

import (
	"context"
	"sync"
	"time"
)

// steps cuts the chunks of a load into steps, each a transaction of its own, so
// that none holds its lock, and keeps the application's DDL waiting, for much
// longer than it may (promise 4). How many pages that is depends on the rows,
// on the throttle and on the target, and is found out by measuring.
type steps struct {
	longest time.Duration // how long a step may take
	rows    float64       // per second that one connection may read; 0: any number

	mu     sync.Mutex
	pieces map[uint32]*pace // by file
}

// pace is what is known of reading one file.
type pace struct {
	pages int64 // when the load began
	bytes int64 // with what is stored out of line
	step  int64 // pages of the next step
}

const (
	// firstStep is how much of a file is read before it is known how long that
	// takes.
	firstStep = 4 << 20
	// manyRows is how many rows a page is taken to have before it is known.
	manyRows = 200
)

// newSteps returns steps for a load from a source.
func (s *Source) newSteps() *steps {
	rows := float64(s.loading.RowsPerSecond) / float64(max(s.loading.Connections, 1))
	return &steps{longest: s.loading.Longest, rows: rows, pieces: map[uint32]*pace{}}
}

func (s *steps) add(oid uint32, pages, bytes int64) {
	p := &pace{pages: pages, bytes: max(bytes, pages*pageSize)}
	p.step = max(firstStep*pages/max(p.bytes, 1), 1)
	if s.rows > 0 {
		p.step = max(min(p.step, int64(s.rows*s.longest.Seconds()/2/manyRows)), 1)
	}
	s.pieces[oid] = p
}

// next returns where a step from a page ends; -1 is the end of the file.
func (s *steps) next(oid uint32, from, to int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pieces[oid]
	if p == nil {
		return to
	}
	end := to
	if end < 0 {
		end = p.pages
	}
	if from+p.step >= end {
		return to
	}
	return from + p.step
}

// took takes note of how long a step took. The next is to take half of what it
// may, as none is like the other.
func (s *steps) took(oid uint32, pages int64, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pieces[oid]
	if p == nil || pages <= 0 {
		return
	}
	fits := int64(float64(pages) * float64(s.longest/2) / float64(max(d, time.Millisecond)))
	p.step = min(max(fits, 1), 8*pages)
}

// limiter spreads rows over time, for all loads of a source together.
type limiter struct {
	perSecond float64

	mu   sync.Mutex
	next time.Time // when the next row is due
}

// pauses is how many times a second one who reads as fast as it may pauses.
const pauses = 20

// every is how many rows may be read without asking.
func (l *limiter) every() int { return max(int(l.perSecond/pauses), 1) }

// take waits until n more rows may have been read.
func (l *limiter) take(ctx context.Context, n int) error {
	l.mu.Lock()
	now := time.Now()
	if l.next.Before(now) {
		l.next = now
	}
	l.next = l.next.Add(time.Duration(float64(n) / l.perSecond * float64(time.Second)))
	wait := l.next.Sub(now)
	l.mu.Unlock()
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Loading bounds what loads ask of a source.
type Loading struct {
	// Longest is about how long one transaction of a load, with its lock on a
	// table, may take; 0 is 10 s.
	Longest time.Duration
	// RowsPerSecond is how many rows all loads read together; 0 is no limit.
	RowsPerSecond int64
	// Connections is with how many each load reads, for cutting steps.
	Connections int
	// Chunk is how many bytes of a table are read again if the load breaks; 0
	// is 64 MiB.
	Chunk int64
}

// throttled has rows counted against the source's limit, if it has one.
func (s *Source) throttled(ctx context.Context, d *copyDecoder) {
	if s.limiter != nil {
		d.every, d.pace = s.limiter.every(), func(n int) error { return s.limiter.take(ctx, n) }
	}
}

// readSteps reads a chunk step by step.
func (l *load) readSteps(ctx context.Context, oid uint32, pages pageRange, read func(pageRange) error) error {
	for {
		step := pageRange{pages.from, l.steps.next(oid, pages.from, pages.to)}
		began := time.Now()
		if err := read(step); err != nil {
			return err
		}
		if step.to == pages.to {
			return nil
		}
		l.steps.took(oid, step.to-step.from, time.Since(began))
		pages.from = step.to
	}
}
