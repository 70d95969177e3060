package memtarget

import (
	"cmp"
	"context"
	"slices"
	"time"

	"penstock"
)

var (
	_ penstock.Destination = (*Destination)(nil)
	_ penstock.Layout      = (*Destination)(nil)
)

// Destination is a database of a Target, open for writing.
type Destination struct {
	target  *Target
	db      *database
	closed  bool
	partial []*penstock.Batch // own copies, applied with the batch that ends them
}

// table is a table with its versions.
type table struct {
	status   penstock.TableStatus // Table and Readable are filled in by State
	known    penstock.Table       // the shape as last told
	readable *version
	hidden   *version
	load     load // of hidden, until it is loaded
}

// current returns the version that rows go to, nil if there is none.
func (t *table) current() *version {
	if t.hidden != nil {
		return t.hidden
	}
	return t.readable
}

func (t *table) setState(s penstock.TableState, reason string) {
	if t.status.State != s || t.status.Reason != reason {
		t.status.Changed = time.Now()
	}
	t.status.State, t.status.Reason = s, reason
}

// recover does what opening after a restart does: unfinished loads are undone,
// unless they are kept.
func (db *database) recover() {
	for _, t := range db.tables {
		if t.hidden != nil && t.status.Join == "" && t.partial(db.applied) == nil {
			t.hidden = nil
			t.setState(penstock.TableResyncRequired, "its load was interrupted")
		}
	}
}

func (db *database) forget(reason string) {
	db.applied = ""
	for _, t := range db.tables {
		t.hidden, t.status.Join, t.status.Mending = nil, "", false
		t.setState(penstock.TableResyncRequired, reason)
	}
}

// begin locks the target and checks that op may run; the caller unlocks.
func (d *Destination) begin(ctx context.Context, op string) error {
	d.target.mu.Lock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if d.closed {
		return penstock.Errorf(penstock.KindFenced, "%s on database %q: it is closed", op, d.db.spec.Name)
	}
	if d.target.intercept != nil {
		return d.target.intercept(op)
	}
	return nil
}

// State implements penstock.Destination.
func (d *Destination) State(ctx context.Context) (penstock.DestinationState, error) {
	defer d.target.mu.Unlock()
	if err := d.begin(ctx, "State"); err != nil {
		return penstock.DestinationState{}, err
	}
	return d.db.state(), nil
}

func (db *database) state() penstock.DestinationState {
	st := penstock.DestinationState{Applied: db.applied, Time: db.time}
	for _, t := range db.tables {
		s := t.status
		s.Table = t.known
		s.Partial = t.partial(db.applied)
		if v := t.current(); v != nil {
			s.Table = v.shape
		}
		if t.readable != nil {
			s.Readable = true
		}
		st.Tables = append(st.Tables, s)
	}
	slices.SortFunc(st.Tables, func(a, b penstock.TableStatus) int {
		return cmp.Or(cmp.Compare(a.Table.Schema, b.Table.Schema), cmp.Compare(a.Table.Name, b.Table.Name),
			cmp.Compare(a.Table.ID, b.Table.ID))
	})
	return st
}

// Fits implements penstock.Layout: whatever there is has room, unless Intercept
// says otherwise.
func (d *Destination) Fits(ctx context.Context, _ []penstock.Table) error {
	defer d.target.mu.Unlock()
	return d.begin(ctx, "Fits")
}

// Ensure implements penstock.Destination.
func (d *Destination) Ensure(ctx context.Context, shapes ...*penstock.Table) error {
	defer d.target.mu.Unlock()
	if err := d.begin(ctx, "Ensure"); err != nil {
		return err
	}
	for _, shape := range shapes {
		t := d.db.tables[shape.ID]
		if t == nil {
			t = &table{}
			d.db.tables[shape.ID] = t
		}
		t.known, t.hidden, t.load = *shape, newVersion(shape), load{}
		t.status.Join, t.status.Mending, t.status.BadValues = "", false, nil
		t.setState(penstock.TableResyncInitiated, "")
	}
	return nil
}

// Loaded implements penstock.Destination.
func (d *Destination) Loaded(ctx context.Context, joins map[penstock.TableID]penstock.Snapshot) error {
	defer d.target.mu.Unlock()
	if err := d.begin(ctx, "Loaded"); err != nil {
		return err
	}
	for id, join := range joins {
		if t := d.db.tables[id]; t == nil || t.hidden == nil || t.status.Join != "" {
			return penstock.Errorf(penstock.KindNotFound, "finish the load of table %s: it is not being loaded", id)
		}
		if join == "" {
			return penstock.Errorf(penstock.KindInvalid, "finish the load of table %s: no snapshot given", id)
		}
	}
	for id, join := range joins {
		t := d.db.tables[id]
		t.status.Join, t.status.Mending = join, t.load.mixed
	}
	return nil
}

// SetStates implements penstock.Destination.
func (d *Destination) SetStates(ctx context.Context, states []penstock.TableStatus) error {
	defer d.target.mu.Unlock()
	if err := d.begin(ctx, "SetStates"); err != nil {
		return err
	}
	d.db.setStates(states)
	return nil
}

func (db *database) setStates(states []penstock.TableStatus) {
	for _, s := range states {
		t := db.tables[s.Table.ID]
		if t == nil {
			t = &table{known: s.Table}
			db.tables[s.Table.ID] = t
		}
		t.setState(s.State, s.Reason)
		t.status.BadValues.Add(s.BadValues)
	}
}

// Expose implements penstock.Destination.
func (d *Destination) Expose(ctx context.Context, on bool) error {
	defer d.target.mu.Unlock()
	if err := d.begin(ctx, "Expose"); err != nil {
		return err
	}
	d.db.exposed = on
	return nil
}

// Forget implements penstock.Destination.
func (d *Destination) Forget(ctx context.Context) error {
	defer d.target.mu.Unlock()
	if err := d.begin(ctx, "Forget"); err != nil {
		return err
	}
	d.partial = nil
	d.db.forget("the history that it followed is lost")
	return nil
}

// Close implements penstock.Destination.
func (d *Destination) Close() error {
	d.target.mu.Lock()
	defer d.target.mu.Unlock()
	d.close()
	return nil
}

func (d *Destination) close() {
	d.closed, d.partial = true, nil
	if d.db.open == d {
		d.db.open = nil
	}
}
