package control

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"penstock"
)

// fleet runs the streams of an integration, each by itself: one can be begun,
// ended or tuned while the others go on. It belongs to the keeper's goroutine.
type fleet struct {
	ctx     context.Context // ends all
	launch  func(penstock.DestinationDatabase) *stream
	members []*member
	group   errgroup.Group
}

// member is a stream of a fleet.
type member struct {
	*stream
	end  context.CancelFunc
	done chan struct{} // closed when it has ended
}

func newFleet(ctx context.Context, launch func(penstock.DestinationDatabase) *stream) *fleet {
	return &fleet{ctx: ctx, launch: launch}
}

// follow begins, ends and tunes streams so that there is one for each database
// that is connected. Those that it ends have ended when it returns.
func (f *fleet) follow(databases []penstock.DestinationDatabase) {
	connected := map[string]penstock.DestinationDatabase{} // by source database
	for _, db := range databases {
		if db.State == penstock.DatabaseConnected {
			connected[db.SourceDatabase] = db
		}
	}
	kept := f.members[:0]
	for _, m := range f.members {
		db, ok := connected[m.db.SourceDatabase]
		if !ok || db.Name != m.db.Name || !m.tune(db.Options) {
			m.end()
			<-m.done
			continue
		}
		delete(connected, m.db.SourceDatabase)
		kept = append(kept, m)
	}
	clear(f.members[len(kept):])
	f.members = kept
	for _, db := range databases { // in their order
		if _, missing := connected[db.SourceDatabase]; missing && db.State == penstock.DatabaseConnected {
			f.begin(db)
		}
	}
}

func (f *fleet) begin(db penstock.DestinationDatabase) {
	ctx, end := context.WithCancel(f.ctx)
	m := &member{stream: f.launch(db), end: end, done: make(chan struct{})}
	f.members = append(f.members, m)
	f.group.Go(func() error {
		defer close(m.done)
		defer end()
		m.run(ctx)
		return nil
	})
}

// streams returns those that run.
func (f *fleet) streams() []*stream {
	var all []*stream
	for _, m := range f.members {
		all = append(all, m.stream)
	}
	return all
}

// end ends a stream and waits for that.
func (f *fleet) end(s *stream) {
	f.members = slices.DeleteFunc(f.members, func(m *member) bool {
		if m.stream != s {
			return false
		}
		m.end()
		<-m.done
		return true
	})
}

// endAll ends all streams and waits for that.
func (f *fleet) endAll() {
	for _, m := range f.members {
		m.end()
	}
	_ = f.group.Wait() // reports nothing
	f.members = nil
}
