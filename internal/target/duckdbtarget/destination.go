package duckdbtarget

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"penstock"
	"penstock/internal/failpoint"
)

var _ penstock.Destination = (*Destination)(nil)

// Destination is a database of a Warehouse, open for writing by one stream.
type Destination struct {
	w    *Warehouse
	inst *instance
	db   *database
	// block is the size of the blocks of its file; see layout.go.
	block int64

	// writer is the connection of everything but chunks. A partial batch
	// leaves a transaction open on it; what must be durable meanwhile goes
	// through a connection of its own.
	writer  *conn
	partial bool
	pending effects // of the partial batches in that transaction
	exposed bool    // see Expose

	mu      sync.Mutex // guards what follows, which chunks share
	closed  bool
	applied penstock.Position
	time    time.Time
	entries map[penstock.TableID]*entry // entries are replaced, never changed
	shown   map[penstock.TableID]bool   // of entries, those that have a view
	loading map[penstock.TableID]*load
	idle    []*conn // for chunks
	gate    gate
	weights map[string]*weight // by stored table, of those with heavy rows
}

// load is what a load has brought by now.
type load struct {
	bad    penstock.BadValues
	rows   int64
	bytes  int64    // at the source
	chunks []string // tokens of those that are done; only ever appended to
}

// recover reads what the database remembers, takes it over if it belongs to
// nobody, and undoes unfinished loads, but those that can be gone on with.
func (d *Destination) recover(ctx context.Context, spec penstock.DatabaseSpec) error {
	if err := d.read(ctx); err != nil {
		return err
	}
	tx := d.change()
	adopt := d.db.spec != spec
	if adopt {
		tx.forget("the database was taken over by another integration")
	}
	for id, e := range d.entries {
		if e.Shown != "" {
			tx.entry(id) // to be exposed anew, if it is to be
		}
		if !adopt && e.Hidden != nil && e.Join == "" && !e.resumable(d.applied) {
			e := tx.entry(id)
			tx.dropHidden(id, e)
			e.setState(penstock.TableResyncRequired, "its load was interrupted")
			tx.released = append(tx.released, id)
		}
	}
	err := d.commit(ctx, d.writer, tx, func() error {
		if !adopt {
			return nil
		}
		return setIntegration(ctx, d.writer, d.db.alias, spec.Integration)
	})
	if err != nil {
		return d.fault(err, "open database %q", spec.Name)
	}
	d.db.spec = spec
	return nil
}

// read fills d from the database.
func (d *Destination) read(ctx context.Context) error {
	st, entries, err := readMeta(ctx, d.writer, d.db)
	if err != nil {
		return err
	}
	d.applied, d.time, d.entries = st.Applied, st.Time, entries
	d.shown = make(map[penstock.TableID]bool)
	for id, e := range d.entries {
		if e.Shown != "" {
			d.shown[id] = true
		}
	}
	return d.readChunks(ctx)
}

// readMeta reads what a database remembers.
func readMeta(ctx context.Context, c *conn, db *database) (at penstock.DestinationState, _ map[penstock.TableID]*entry, _ error) {
	meta := ident(db.alias) + "." + metaSchema
	pos, err := c.texts(ctx, "SELECT applied, time::VARCHAR FROM "+meta+".position")
	if err != nil {
		return at, nil, err
	}
	if len(pos) != 1 {
		return at, nil, penstock.Errorf(penstock.KindInternal, "database %q has %d positions", db.name, len(pos))
	}
	rows, err := c.texts(ctx, "SELECT id, entry FROM "+meta+".tables")
	if err != nil {
		return at, nil, err
	}
	entries := make(map[penstock.TableID]*entry, len(rows))
	for _, r := range rows {
		if entries[penstock.TableID(r[0])], err = decodeEntry(r[1]); err != nil {
			return at, nil, err
		}
	}
	at.Applied = penstock.Position(pos[0][0])
	if micros, err := strconv.ParseInt(pos[0][1], 10, 64); err == nil && micros != 0 {
		at.Time = time.UnixMicro(micros).UTC()
	}
	return at, entries, nil
}

// fault is the package's fault with this database's file.
func (d *Destination) fault(err error, op string, args ...any) error {
	return fault(err, d.db.path, op, args...)
}

// usable returns an error once the destination is closed.
func (d *Destination) usable(op string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return penstock.Errorf(penstock.KindFenced, "%s on database %q: it is closed", op, d.db.name)
	}
	return nil
}

// State implements penstock.Destination.
func (d *Destination) State(ctx context.Context) (penstock.DestinationState, error) {
	if err := d.usable("read the state"); err != nil {
		return penstock.DestinationState{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	st := assemble(penstock.DestinationState{Applied: d.applied, Time: d.time}, d.entries)
	for i := range st.Tables {
		s := &st.Tables[i]
		l := d.loading[s.Table.ID]
		if l == nil {
			continue
		}
		s.BadValues.Add(l.bad)
		if e := d.entries[s.Table.ID]; e.resumable(d.applied) {
			s.Partial = &penstock.PartialLoad{Snapshot: e.Kept, Chunks: slices.Clip(l.chunks), Rows: l.rows, Bytes: l.bytes}
		}
	}
	return st, nil
}

// assemble puts together what is remembered.
func assemble(st penstock.DestinationState, entries map[penstock.TableID]*entry) penstock.DestinationState {
	for _, e := range entries {
		if e.Left {
			continue
		}
		s := penstock.TableStatus{Table: e.Known.Table, State: e.State, Reason: e.Reason, Changed: e.Changed,
			Readable: e.Readable != nil, History: e.History, Join: e.Join, Mending: e.Join != "" && e.Mixed, BadValues: e.Bad.Clone()}
		if v := e.current(); v != nil {
			s.Table = v.Shape.Table
		}
		st.Tables = append(st.Tables, s)
	}
	slices.SortFunc(st.Tables, func(a, b penstock.TableStatus) int {
		return cmp.Or(cmp.Compare(a.Table.Schema, b.Table.Schema), cmp.Compare(a.Table.Name, b.Table.Name),
			cmp.Compare(a.Table.ID, b.Table.ID))
	})
	return st
}

// SetStates implements penstock.Destination.
func (d *Destination) SetStates(ctx context.Context, states []penstock.TableStatus) error {
	if err := d.usable("set states"); err != nil {
		return err
	}
	tx := d.change()
	tx.before, tx.after = failpoint.TargetBeforeStates, failpoint.TargetAfterStates
	tx.setStates(states)
	return d.fault(d.apart(ctx, tx), "set table states of database %q", d.db.name)
}

// Forget implements penstock.Destination.
func (d *Destination) Forget(ctx context.Context) error {
	if err := d.usable("forget the position"); err != nil {
		return err
	}
	d.abandon()
	tx := d.change()
	tx.before, tx.after = failpoint.TargetBeforeForget, failpoint.TargetAfterForget
	tx.forget("the history that it followed is lost")
	return d.fault(d.apart(ctx, tx), "forget the position of database %q", d.db.name)
}

// Close implements penstock.Destination.
func (d *Destination) Close() error {
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	idle := d.idle
	d.idle = nil
	d.mu.Unlock()

	d.writer.abort()
	for _, c := range idle {
		c.close()
	}
	if d.db.open == d {
		d.db.open = nil
	}
	return nil
}

// connection returns a connection of its own, for release.
func (d *Destination) connection() (*conn, error) {
	d.mu.Lock()
	if n := len(d.idle); n > 0 {
		c := d.idle[n-1]
		d.idle = d.idle[:n-1]
		d.mu.Unlock()
		return c, nil
	}
	d.mu.Unlock()
	return d.inst.connect()
}

// maxIdle bounds the connections kept for the next chunk.
const maxIdle = 4

func (d *Destination) release(c *conn) {
	d.mu.Lock()
	if keep := !d.closed && len(d.idle) < maxIdle; keep {
		d.idle = append(d.idle, c)
		d.mu.Unlock()
		return
	}
	d.mu.Unlock()
	c.close()
}

// abandon undoes partial batches.
func (d *Destination) abandon() {
	if d.partial {
		d.writer.rollback()
		d.undoHeavy(d.writer)
	}
	d.partial, d.pending = false, effects{}
}

// apart commits changes of metadata beside a partial batch that may be open.
func (d *Destination) apart(ctx context.Context, tx *metaChange) error {
	if !d.partial {
		return d.commit(ctx, d.writer, tx, nil)
	}
	c, err := d.connection()
	if err != nil {
		return err
	}
	defer d.release(c)
	return d.commit(ctx, c, tx, nil)
}
