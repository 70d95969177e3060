package pipeline

import (
	"context"
	"time"

	"penstock"
)

// Tune has other options take effect: at once for what comes next, and for
// which tables can be read as soon as the destination is free. It does not
// block, and may be called at any time, from any goroutine.
func (p *Pipeline) Tune(o penstock.DatabaseOptions) {
	p.options.Store(&o)
	fill(p.tuned)
	fill(p.pressed)
}

// expose makes the destination show the tables that the options say, whenever
// these change, until ctx ends.
func (p *Pipeline) expose(ctx context.Context) error {
	for {
		select {
		case <-p.tuned:
		case <-ctx.Done():
			return nil
		}
		err := p.writer.do(ctx, func(d penstock.Destination) error { return p.exposeNow(ctx, d) })
		if err != nil && ctx.Err() == nil && err != errAbandoned {
			return err
		}
	}
}

// exposeNow makes a destination show the tables that the options say.
func (p *Pipeline) exposeNow(ctx context.Context, d penstock.Destination) error {
	return d.Expose(ctx, p.options.Load().QueryAllStates)
}

// repair makes rows fit that would not otherwise, as far as the options want
// that.
func (p *Pipeline) repair(rows *penstock.Rows) {
	if p.options.Load().AcceptInvChars {
		rows.ReplaceInvalidText('?')
	}
}

func (p *Pipeline) refreshInterval() time.Duration { return p.options.Load().RefreshInterval }

// repairedView knows that rows have been repaired on their way.
type repairedView struct {
	penstock.View
	p *Pipeline
}

// Store implements penstock.View.
func (v repairedView) Store(t *penstock.Table, rows *penstock.Rows) penstock.BadValues {
	v.p.repair(rows)
	return v.View.Store(t, rows)
}
