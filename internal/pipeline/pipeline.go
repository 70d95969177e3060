package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"penstock"
	"penstock/internal/failpoint"
)

// Config says what a Pipeline carries from where to where.
type Config struct {
	Source  penstock.Source
	Capture penstock.CaptureSpec
	Target  penstock.Target
	Spec    penstock.DatabaseSpec // the destination database
	Created time.Time             // of the destination database, for display

	// Memory bounds, in bytes, the rows held by the pipeline; 0 is 64 MiB.
	Memory int64
	// Room bounds the rows held by all pipelines that share it; nil is no bound.
	Room *Room
	// Starts bounds how many of the pipelines that share it start at a time; nil is no
	// bound.
	Starts *Starts
	// MinInterval is the shortest pause between two batches while caught up;
	// 0 is 25 ms.
	MinInterval time.Duration
	// Connections is how many connections a load reads with; 0 is 2.
	Connections int
	// Poll is how often the source's tables are looked at; 0 is one second.
	Poll time.Duration
	// StopOnLostPosition makes Run fail with KindPositionLost instead of
	// loading all tables again behind a swap.
	StopOnLostPosition bool
	// WALAlarm and WALLimit are how many bytes of history the source may keep
	// for the stream: above the first that is a problem, above the second the
	// stream gives them up, and all tables are loaded again. 0 is no bound.
	WALAlarm, WALLimit int64
	// MostTables is how many tables' changes one batch has at the most, beyond one
	// transaction; 0 if that does not matter.
	MostTables int
	// BadValues says what becomes of values that the warehouse cannot hold; ""
	// is NullifyBadValues.
	BadValues BadValuePolicy

	// Options are those of the destination database; Tune changes them.
	Options penstock.DatabaseOptions

	// Journal takes note of what the stream does; nil to keep nothing.
	Journal penstock.Journal

	Logger *slog.Logger
}

// Pipeline carries one stream. Make one for each Run.
type Pipeline struct {
	cfg    Config
	log    *slog.Logger
	status status

	capture  penstock.Capture
	writer   *writer
	arrived  func()                  // gives back the place among those that start
	current  atomic.Pointer[running] // for Refresh; nil while there is no destination
	started  chan struct{}           // closed once current has been set, or the pipeline has ended
	begin    func()                  // closes it
	looks    chan struct{}           // see lookNow
	orders   chan *order             // see ask
	ordering chan struct{}           // holds one while somebody waits for an order
	asked    chan struct{}           // there may be an order
	open     openStream
	pinning  chan struct{} // holds one while Pin works
	retry    retries
	strays   retries // of tables of which rows were not found
	pace     pacer
	options  atomic.Pointer[penstock.DatabaseOptions]
	tuned    chan struct{} // options have changed
	pressed  chan struct{} // the applier is to look whether its pause is over
	waiters  atomic.Int32  // how many wait for the destination
	beside   *beside       // a load beside the stream; nil if there is none
	told     told
	passed   *sight       // what was seen at the source, passed since, and is to be carried out
	shrink   atomic.Int32 // how often the limit has been halved; see shrinkBatches
	calm     calm

	pause        time.Duration          // before the next load, after the limit was reached in one
	cannotFollow bool                   // the next load is made while no stream is open
	beyond       []penstock.TableStatus // tables that cannot be mended: see startAgain
}

// running is what a pipeline works with while it can be asked for something.
type running struct {
	*writer
	capture penstock.Capture
}

// New returns a pipeline; it neither dials nor starts anything.
func New(cfg Config) *Pipeline {
	if cfg.Memory == 0 {
		cfg.Memory = 64 << 20
	}
	if cfg.MinInterval == 0 {
		cfg.MinInterval = 25 * time.Millisecond
	}
	if cfg.Connections == 0 {
		cfg.Connections = 2
	}
	if cfg.Poll == 0 {
		cfg.Poll = time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Pipeline{cfg: cfg, log: cfg.Logger.With("integration", cfg.Spec.Integration, "destination", cfg.Spec.Name), looks: make(chan struct{}, 1), orders: make(chan *order, 1), ordering: make(chan struct{}, 1), asked: make(chan struct{}, 1), tuned: make(chan struct{}, 1), pressed: make(chan struct{}, 1), pinning: make(chan struct{}, 1)}
	p.pace.min = cfg.MinInterval
	p.started = make(chan struct{})
	p.begin = sync.OnceFunc(func() { close(p.started) })
	p.options.Store(&cfg.Options)
	p.status.init(cfg)
	return p
}

// minLimit is the smallest batch worth trying when memory runs out.
const minLimit = 256 << 10

// limit is how many bytes of rows a batch may hold. Two exist at a time, one
// being filled and one being applied, and the latter takes about as much again
// inside a target.
func (p *Pipeline) limit() int {
	return max(int(p.cfg.Memory/4)>>p.shrink.Load(), minLimit)
}

// mostTables is how many tables a batch may have, fewer where memory has run out.
func (p *Pipeline) mostTables() int {
	if p.cfg.MostTables == 0 {
		return 0
	}
	return max(p.cfg.MostTables>>p.shrink.Load(), 1)
}

// Run replicates until ctx ends, and then returns nil. Any other return is an
// error that says by its Kind what a supervisor can do; everything applied is
// stored, and a new Pipeline resumes from there. It is called once.
func (p *Pipeline) Run(ctx context.Context) error {
	defer p.open.end()
	defer p.begin()
	err := p.run(ctx)
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled) || penstock.KindOf(err) == penstock.KindUnreachable) {
		return nil
	}
	return err
}

func (p *Pipeline) run(ctx context.Context) (err error) {
	if p.arrived, err = p.cfg.Starts.enter(ctx); err != nil {
		return err
	}
	defer p.arrived()
	spec := p.cfg.Capture
	spec.Waiting = p.status.setWaiting
	p.capture = p.cfg.Source.Capture(spec)
	defer func() { err = errors.Join(err, p.capture.Close()) }()
	for ctx.Err() == nil {
		if err := p.carry(ctx); !errors.Is(err, errAbandoned) && !errors.Is(err, penstock.ErrReopen) {
			return err
		}
	}
	return nil
}

// carry replicates into the destination until ctx ends or something breaks.
// errAbandoned and penstock.ErrReopen mean that the destination must be opened
// anew, no more.
func (p *Pipeline) carry(ctx context.Context) (err error) {
	dest, err := p.openTarget(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dest.Close()) }()
	if err := p.prepare(ctx, dest); err != nil {
		return err
	}
	if err := p.startAgain(ctx, dest); err != nil {
		return err
	}
	if err := p.recall(ctx, dest); err != nil {
		return err
	}
	if err := p.exposeNow(ctx, dest); err != nil {
		return err
	}
	defer p.stopBeside()
	p.current.Store(&running{p.writer, p.capture})
	p.begin()
	defer func() {
		p.current.Store(nil)
		p.refuseOrder()
		p.status.tellWaiters()
	}()
	g, carrying := errgroup.WithContext(ctx)
	carrying, end := context.WithCancel(carrying)
	g.Go(func() error { return p.expose(carrying) })
	g.Go(func() error {
		defer end()
		for carrying.Err() == nil {
			if err := p.turn(carrying); err != nil {
				return err
			}
		}
		return nil
	})
	err = g.Wait()
	if lost := p.lostOf(err); lost != nil {
		return p.giveUp(ctx, dest, lost)
	}
	return err
}

// turn does what is to be done about tables, and then streams until there is
// something to do again.
func (p *Pipeline) turn(ctx context.Context) error {
	if err := p.endBeside(); err != nil {
		return err
	}
	if err := p.writer.do(ctx, func(penstock.Destination) error { p.writer.rejoin = false; return nil }); err != nil {
		return err
	}
	if err := p.carryOutOrder(ctx); err != nil {
		return err
	}
	if s := p.passed; s != nil {
		p.passed = nil
		t, err := p.compare(ctx, s)
		if err == nil && p.loading() && t.concerns(p.beside) {
			p.stopBeside()
		}
		if err == nil {
			err = p.carryOut(ctx, t)
		}
		return err
	}
	s, err := p.see(ctx)
	if err != nil {
		return err
	}
	t, err := p.compare(ctx, s)
	if err != nil {
		return err
	}
	if p.loading() && t.concerns(p.beside) {
		p.stopBeside() // what it loads has gone or changed
		return nil
	}
	if err := p.carryOut(ctx, t); err != nil {
		return err
	}
	if len(t.load) > 0 {
		p.arrived()
	}
	follower, canFollow := p.capture.(penstock.Follower)
	switch {
	case len(t.load) == 0 || p.loading():
	case len(t.begun) > 0 && len(t.tables) > 0: // before the stream moves on, as they were begun
		return p.load(ctx, t.goOn(), t.begun)
	case canFollow && len(t.tables) > 0 && !p.cannotFollow:
		p.beside = p.loadBeside(ctx, follower, t.load)
	default:
		p.cannotFollow = false
		return p.load(ctx, t.load, t.begun)
	}
	err = p.replicate(ctx, t)
	if penstock.KindOf(err) == penstock.KindFull && penstock.ProblemOf(err) != penstock.ProblemDiskFull && p.limit() > minLimit {
		p.shrinkBatches(time.Now())
		p.log.Warn("out of memory, trying smaller batches", "limit", p.limit(), "error", err)
		return errAbandoned // the destination may have to give up what the batch has left in memory
	}
	return err
}

// loading reports whether a load runs beside the stream.
func (p *Pipeline) loading() bool { return p.beside != nil }

// endBeside takes note of a load beside the stream that has ended. What it has
// not loaded is tried again; what is wrong with the source or the target shows
// in the stream as well, and is handled there. It returns penstock.ErrReopen if
// that is what the load has ended with.
func (p *Pipeline) endBeside() error {
	if p.beside == nil {
		return nil
	}
	select {
	case <-p.beside.done:
	default:
		return nil
	}
	err := p.beside.err
	p.status.setLoadFailed(nil)
	switch {
	case err == nil:
	case errors.Is(err, penstock.ErrReopen):
		p.beside = nil
		return err
	case penstock.KindOf(err) == penstock.KindQuota:
		p.log.Warn("tables are loaded while the stream stands still", "error", err)
		p.cannotFollow = true
	default:
		p.log.Warn("load failed, will be tried again", "error", err)
		p.status.setLoadFailed(err)
		for id := range p.beside.tables {
			if penstock.ProblemOf(err) == penstock.ProblemWALLimit {
				p.retry.holdBack(id, minGivenUpPause, maxGivenUpPause)
			} else {
				p.retry.backOff(id)
			}
		}
	}
	p.beside = nil
	return nil
}

// stopBeside ends a load beside the stream, if there is one.
func (p *Pipeline) stopBeside() {
	if p.beside != nil {
		p.beside.stop()
		p.beside = nil
	}
}

// prepare makes sure that there is a position to stream from, and that it is
// stored before anything is loaded.
func (p *Pipeline) prepare(ctx context.Context, dest penstock.Destination) error {
	state, err := dest.State(ctx)
	if err != nil {
		return err
	}
	p.status.setTables(state.Tables)
	p.writer = newWriter(dest, state)
	at, err := p.capture.Prepare(ctx, state.Applied)
	if penstock.KindOf(err) == penstock.KindPositionLost && err != nil {
		if p.cfg.StopOnLostPosition {
			return err
		}
		p.log.Warn("position lost, all tables will be loaded again", "error", err)
		p.status.setLost(err)
		if err := dest.Forget(ctx); err != nil {
			return err
		}
		p.writer.position = ""
		at, err = p.capture.Prepare(ctx, "")
	}
	if err != nil {
		return err
	}
	if at == p.writer.position {
		p.status.setPosition(at)
		return nil
	}
	if err := failpoint.Here(failpoint.PipelineUnstored); err != nil {
		return err
	}
	return p.apply(ctx, &penstock.Batch{Next: at})
}

// apply applies a batch that is not partial.
func (p *Pipeline) apply(ctx context.Context, b *penstock.Batch) error {
	a := applier{w: p.writer}
	if err := a.apply(ctx, b, false); err != nil {
		return err
	}
	p.status.setPosition(b.Next)
	return nil
}

// Status returns what is known about the stream now. It may be called at any
// time, from any goroutine.
func (p *Pipeline) Status() penstock.StreamStatus { return p.status.get() }
