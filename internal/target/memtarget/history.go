package memtarget

import (
	"context"
	"slices"
	"time"

	"penstock"
)

// history is what a version of a table in history mode has beside its rows,
// which are the active ones.
type history struct {
	since map[int]int64 // when each active row began, microseconds
	past  []pastRow     // in the order in which they ended
}

type pastRow struct {
	row      row
	from, to int64
}

// left is a table of the past: nothing is replicated into it.
type left struct {
	shape penstock.Table // with the columns of history
	rows  *penstock.Rows
}

// begins puts a version into history mode.
func (v *version) begins(at time.Time) {
	v.history = &history{since: make(map[int]int64, len(v.rows))}
	for n := range v.rows {
		v.history.since[n] = at.UnixMicro()
	}
}

// ends ends an active row. A row that would end when it began leaves nothing.
func (v *version) ends(n int, at int64) {
	if from := v.history.since[n]; from < at {
		v.history.past = append(v.history.past, pastRow{v.rows[n], from, at})
	}
	delete(v.history.since, n)
	v.remove(n)
}

// save returns what takes back whatever is done to the version from now on.
func (v *version) save() (undo func()) {
	rows, index, h := v.rows, v.index, *v.history
	v.rows, v.index, v.history.since = make(map[int]row, len(rows)), make(map[string][]int, len(index)), make(map[int]int64, len(rows))
	for n, r := range rows {
		v.restore(n, r)
		v.history.since[n] = h.since[n]
	}
	return func() { v.rows, v.index, *v.history = rows, index, h }
}

// applyVersions is applyTable for a table in history mode, with the rows to be
// put, and those that are past already, complete. It returns how many of those to
// be removed were found.
func (v *version) applyVersions(tb *penstock.TableBatch, put, past []row) (found int) {
	vs := tb.Versions
	for i, r := range past {
		v.history.past = append(v.history.past, pastRow{r, vs.From.Int64(i), vs.To.Int64(i)})
	}
	for i, r := range tb.Remove {
		if n, ok := v.find(rowOf(tb.Rows, int(r))); ok {
			found++
			v.ends(n, vs.RemoveAt.Int64(i))
		}
	}
	if tb.Truncate {
		v.endAll(vs.EmptiedAt)
	}
	for i, r := range put {
		v.history.since[v.add(r)] = vs.PutAt.Int64(i)
	}
	return found
}

func (v *version) endAll(at time.Time) {
	for n := range v.rows {
		v.ends(n, at.UnixMicro())
	}
}

// continues makes v, a version just loaded, go on with the history of another
// one. Its columns must be able to take the other's values.
func (v *version) continues(old *version, at time.Time) {
	old = old.altered(&penstock.Alteration{Old: &old.shape, New: &v.shape})
	same := make(map[string][]int) // active rows of old
	for n, r := range old.rows {
		k := identityOf(r, nil)
		same[k] = append(same[k], n)
	}
	v.begins(at)
	v.history.past = old.history.past
	for n, r := range v.rows {
		if k := identityOf(r, nil); len(same[k]) > 0 {
			m := same[k][0]
			same[k] = same[k][1:]
			v.history.since[n] = old.history.since[m]
			delete(old.rows, m)
		}
	}
	for n, r := range old.rows {
		if from := old.history.since[n]; from < at.UnixMicro() {
			v.history.past = append(v.history.past, pastRow{r, from, at.UnixMicro()})
		}
	}
}

// leave makes a table of the past of all versions of a table's rows.
func (db *database) leave(v *version, at time.Time) {
	shape := v.withHistory()
	shape.Name = penstock.HistoricalName(v.shape.Name, at)
	db.left = append(db.left, left{shape, v.read()})
}

// withHistory returns the shape that readers see.
func (v *version) withHistory() penstock.Table {
	shape := v.shape
	if v.history == nil {
		return shape
	}
	shape.Columns = append(shape.Columns[:len(shape.Columns):len(shape.Columns)],
		penstock.Column{ID: -1, Name: penstock.ActiveColumn, Type: penstock.Type{Kind: penstock.TypeBool}},
		penstock.Column{ID: -2, Name: penstock.CreateTimeColumn, Type: penstock.Type{Kind: penstock.TypeTimestamp}},
		penstock.Column{ID: -3, Name: penstock.DeleteTimeColumn, Type: penstock.Type{Kind: penstock.TypeTimestamp}})
	return shape
}

// read returns the rows that readers see.
func (v *version) read() *penstock.Rows {
	if v.history == nil {
		return v.copy()
	}
	shape := v.withHistory()
	rows := penstock.NewRows(&shape)
	n := len(v.shape.Columns)
	add := func(r row, active bool, from, to int64) {
		for c, s := range r {
			appendRaw(&rows.Vectors[c], s)
		}
		rows.Vectors[n].AppendBool(active)
		rows.Vectors[n+1].AppendInt64(from)
		if active {
			rows.Vectors[n+2].AppendNull()
		} else {
			rows.Vectors[n+2].AppendInt64(to)
		}
	}
	for _, p := range v.history.past {
		add(p.row, false, p.from, p.to)
	}
	for m, r := range v.rows {
		add(r, true, v.history.since[m], 0)
	}
	return rows
}

// toggle turns history mode on or off.
func (db *database) toggle(s penstock.Switch, at time.Time) {
	t := db.tables[s.Table]
	if t == nil || t.readable == nil || t.hidden != nil || t.status.History == s.History {
		return
	}
	t.status.History = s.History
	if s.History {
		t.readable.begins(at)
		return
	}
	db.leave(t.readable, at)
	t.readable.history = nil
}

// retire ends a table in history mode.
func (db *database) retire(id penstock.TableID, at time.Time) {
	t := db.tables[id]
	switch {
	case t == nil:
	case t.readable == nil || t.readable.history == nil:
		delete(db.tables, id)
	default:
		t.hidden, t.status.Join, t.status.Mending = nil, "", false
		t.readable.endAll(at)
		t.setState(penstock.TableDroppedSource, "it was dropped at the source, or the filter does not select it any more")
	}
}

var _ penstock.Archive = (*Destination)(nil)

// DropKept implements penstock.Archive.
func (d *Destination) DropKept(ctx context.Context, t penstock.TableName) error {
	defer d.target.mu.Unlock()
	if err := d.begin(ctx, "DropKept"); err != nil {
		return err
	}
	return d.db.kept(t, func(i int) { d.db.left = slices.Delete(d.db.left, i, i+1) }, func(id penstock.TableID) { delete(d.db.tables, id) })
}

// RenameKept implements penstock.Archive.
func (d *Destination) RenameKept(ctx context.Context, t penstock.TableName, to string) error {
	defer d.target.mu.Unlock()
	if err := d.begin(ctx, "RenameKept"); err != nil {
		return err
	}
	if taken := (penstock.TableName{Schema: t.Schema, Name: to}); penstock.KindOf(d.db.kept(taken, func(int) {}, func(penstock.TableID) {})) != penstock.KindNotFound {
		return penstock.Errorf(penstock.KindAlreadyExists, "there is a table %s already", to)
	}
	return d.db.kept(t, func(i int) { d.db.left[i].shape.Name = to }, func(id penstock.TableID) {
		shape := d.db.tables[id].readable.shape
		shape.Name = to
		d.db.tables[id].readable.shape, d.db.tables[id].known = shape, shape
	})
}

// kept finds a table that nothing is replicated into, and does one of two things.
func (db *database) kept(t penstock.TableName, left func(int), dropped func(penstock.TableID)) error {
	is := func(shape *penstock.Table) bool {
		return shape.Name == t.Name && (t.Schema == "" || shape.Schema == t.Schema)
	}
	for i := range db.left {
		if is(&db.left[i].shape) {
			left(i)
			return nil
		}
	}
	for id, o := range db.tables {
		switch {
		case o.readable == nil || !is(&o.readable.shape):
		case o.status.State != penstock.TableDroppedSource:
			return penstock.Errorf(penstock.KindInvalid, "table %s is replicated into", t)
		default:
			dropped(id)
			return nil
		}
	}
	return penstock.Errorf(penstock.KindNotFound, "there is no table %s", t)
}
