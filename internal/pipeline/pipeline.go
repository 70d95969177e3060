package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"penstock"
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

	Logger *slog.Logger
}

// Pipeline carries one stream. Make one for each Run.
type Pipeline struct {
	cfg    Config
	log    *slog.Logger
	limit  int // bytes of rows in one batch
	status status

	capture  penstock.Capture
	dest     penstock.Destination
	position penstock.Position // stored in dest
	retry    map[penstock.TableID]backoff
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
	p := &Pipeline{cfg: cfg, log: cfg.Logger.With("integration", cfg.Spec.Integration, "destination", cfg.Spec.Name), retry: map[penstock.TableID]backoff{}}
	// Two batches exist at a time, one being filled and one being applied; a
	// batch being applied takes about as much again inside a target.
	p.limit = int(cfg.Memory / 4)
	p.status.init(cfg)
	return p
}

// minLimit is the smallest batch worth trying when memory runs out.
const minLimit = 256 << 10

// Run replicates until ctx ends, and then returns nil. Any other return is an
// error that says by its Kind what a supervisor can do; everything applied is
// stored, and a new Pipeline resumes from there. It is called once.
func (p *Pipeline) Run(ctx context.Context) error {
	err := p.run(ctx)
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled) || penstock.KindOf(err) == penstock.KindUnreachable) {
		return nil
	}
	return err
}

func (p *Pipeline) run(ctx context.Context) (err error) {
	p.capture = p.cfg.Source.Capture(p.cfg.Capture)
	defer func() { err = errors.Join(err, p.capture.Close()) }()
	if p.dest, err = p.cfg.Target.Open(ctx, p.cfg.Spec); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.dest.Close()) }()
	if err := p.prepare(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		turn, err := p.look(ctx)
		if err != nil {
			return err
		}
		if err := p.carryOut(ctx, turn); err != nil {
			return err
		}
		if len(turn.load) > 0 {
			if err := p.load(ctx, turn.load); err != nil {
				return err
			}
			continue
		}
		err = p.replicate(ctx, turn)
		if penstock.KindOf(err) == penstock.KindFull && p.limit > minLimit {
			p.limit /= 2
			p.log.Warn("out of memory or disk, trying smaller batches", "limit", p.limit, "error", err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// prepare makes sure that there is a position to stream from, and that it is
// stored before anything is loaded.
func (p *Pipeline) prepare(ctx context.Context) error {
	state, err := p.dest.State(ctx)
	if err != nil {
		return err
	}
	p.status.setTables(state.Tables)
	p.position = state.Applied
	at, err := p.capture.Prepare(ctx, state.Applied)
	if penstock.KindOf(err) == penstock.KindPositionLost && err != nil {
		if p.cfg.StopOnLostPosition {
			return err
		}
		p.log.Warn("position lost, all tables will be loaded again", "error", err)
		p.status.setLost(err)
		if err := p.dest.Forget(ctx); err != nil {
			return err
		}
		p.position = ""
		at, err = p.capture.Prepare(ctx, "")
	}
	if err != nil {
		return err
	}
	if at == p.position {
		return nil
	}
	return p.apply(ctx, &penstock.Batch{Next: at})
}

// apply applies a batch and takes note of the position.
func (p *Pipeline) apply(ctx context.Context, b *penstock.Batch) error {
	if err := p.dest.Apply(ctx, p.position, b); err != nil {
		return err
	}
	if !b.Partial {
		p.position = b.Next
		p.status.setPosition(b.Next)
	}
	return nil
}

// Status returns what is known about the stream now. It may be called at any
// time, from any goroutine.
func (p *Pipeline) Status() penstock.StreamStatus { return p.status.get() }
