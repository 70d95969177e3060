package duckdbtarget

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	duck "github.com/duckdb/duckdb-go-bindings"

	"penstock"
	"penstock/internal/failpoint"
)

// effects are what the batches of a transaction do beside rows; they are
// written with the one that ends it.
type effects struct {
	tx  *metaChange
	bad map[penstock.TableID]penstock.BadValues
	// removed has the tables that were written to, and whether rows of them went.
	removed map[penstock.TableID]bool
	drops   bool
	states  []penstock.TableStatus
	joins   map[penstock.TableID]penstock.Snapshot
	rows    bool
	at      time.Time // of versions that the batch in hand begins or ends
}

// Apply implements penstock.Destination. Promise 2: rows, states and position
// in one transaction, if the stored position is prev.
func (d *Destination) Apply(ctx context.Context, prev penstock.Position, b *penstock.Batch) error {
	err := d.apply(ctx, prev, b)
	if err != nil {
		d.abandon()
		d.spends(err)
	}
	return d.fault(err, "apply to database %q", d.db.name)
}

func (d *Destination) apply(ctx context.Context, prev penstock.Position, b *penstock.Batch) error {
	if err := d.usable("apply a batch"); err != nil {
		return err
	}
	if len(b.Swap) > 0 && (len(b.Tables) > 0 || len(b.Alter) > 0 || d.pending.rows) {
		return penstock.Errorf(penstock.KindInternal, "apply to database %q: a batch with Swap has rows", d.db.name)
	}
	if err := d.fitsAltered(b.Alter); err != nil {
		return err
	}
	if !d.partial {
		if err := d.lighten(ctx); err != nil {
			return err
		}
		if err := d.writer.exec(ctx, "BEGIN"); err != nil {
			return err
		}
		d.partial = true // there is a transaction to abandon
		d.pending = effects{tx: d.change(), bad: make(map[penstock.TableID]penstock.BadValues), removed: make(map[penstock.TableID]bool), joins: make(map[penstock.TableID]penstock.Snapshot)}
	}
	tx := d.pending.tx
	if err := d.fence(ctx, prev); err != nil {
		return err
	}
	d.pending.at = b.At
	if b.At.IsZero() {
		d.pending.at = b.CommitTime
	}
	for _, id := range b.Drop {
		tx.drop(id)
		d.pending.drops = true
	}
	for i := range b.Alter {
		tx.entry(b.Alter[i].New.ID) // its view goes first
	}
	if err := d.flush(ctx, tx); err != nil {
		return err
	}
	if err := d.alter(ctx, tx, b.Alter); err != nil {
		return err
	}
	for i := range b.Tables {
		tb := &b.Tables[i]
		bad := tb.BadValues.Clone()
		if err := d.applyTable(ctx, tx, tb, &bad); err != nil {
			return d.fault(err, "apply to %s", tb.Table)
		}
		if b.Strict && bad.Total() > 0 {
			return &penstock.Error{Kind: penstock.KindUnrepresentable, Op: fmt.Sprintf("apply to database %q", d.db.name),
				Err: &penstock.Unrepresentable{Table: tb.Table, Values: bad}}
		}
		bad.Add(d.pending.bad[tb.Table.ID])
		d.pending.bad[tb.Table.ID] = bad
		d.pending.removed[tb.Table.ID] = d.pending.removed[tb.Table.ID] || len(tb.Remove) > 0 || tb.Truncate
		d.pending.rows = true
	}
	d.pending.states = append(d.pending.states, b.States...)
	maps.Copy(d.pending.joins, b.Joins)
	if b.Partial {
		if err := failpoint.Here(failpoint.TargetBeforePartial); err != nil {
			return err
		}
		_ = failpoint.Here(failpoint.TargetAfterPartial)
		return nil
	}

	tx.applied, tx.time = &b.Next, b.CommitTime
	if b.At.After(tx.time) {
		tx.time = b.At
	}
	for id, bad := range d.pending.bad {
		if bad.Total() == 0 {
			continue
		}
		if e := tx.entry(id); e != nil { // else dropped by a later part
			e.Bad.Add(bad)
		}
	}
	for id, join := range d.pending.joins {
		e := tx.entry(id)
		if e == nil || e.Hidden == nil || e.Join == "" {
			return penstock.Errorf(penstock.KindInternal, "join table %s of database %q anew: it has no loaded version", id, d.db.name)
		}
		e.Join = join
	}
	for _, id := range b.Swap {
		if err := d.swap(ctx, tx, id); err != nil {
			return err
		}
	}
	for _, id := range b.Retire {
		tx.retire(id)
		d.pending.drops = true
	}
	for _, s := range b.Switch {
		tx.toggle(s)
	}
	tx.setStates(d.pending.states)
	if err := d.write(ctx, d.writer, tx); err != nil {
		return err
	}
	before, after := failpoint.TargetBeforeCommit, failpoint.TargetAfterCommit
	switch {
	case len(b.Swap) > 0:
		before, after = failpoint.TargetBeforeSwap, failpoint.TargetAfterSwap
	case d.pending.drops:
		before, after = failpoint.TargetBeforeDrop, failpoint.TargetAfterDrop
	}
	if err := failpoint.Here(before); err != nil {
		return err
	}
	if err := d.writer.exec(ctx, "COMMIT"); err != nil {
		return err
	}
	d.writer.stored()
	_ = failpoint.Here(after)
	written := d.pending.removed
	d.partial, d.pending = false, effects{}
	d.accept(tx)
	d.wrote(ctx, written, len(b.Swap) > 0)
	return nil
}

// fence refuses to go on if the stored position is not prev.
func (d *Destination) fence(ctx context.Context, prev penstock.Position) error {
	rows, err := d.writer.texts(ctx, "SELECT applied FROM "+ident(d.db.alias)+"."+metaSchema+".position")
	if err != nil {
		return err
	}
	if len(rows) != 1 || rows[0][0] != string(prev) {
		return penstock.Errorf(penstock.KindFenced, "apply to database %q: its position is not %q but %q", d.db.name, prev, rows)
	}
	return nil
}

// drop removes a table with all its versions.
func (tx *metaChange) drop(id penstock.TableID) {
	e := tx.look(id)
	if e == nil {
		return
	}
	for _, v := range []*version{e.Readable, e.Hidden} {
		if v != nil {
			tx.dropTable(v)
		}
	}
	if e.Hidden != nil {
		tx.forgetChunks(id)
	}
	tx.entries[id] = nil
	tx.released = append(tx.released, id)
}

// swap makes the hidden version of a table the readable one. Whoever reads the
// old one in a transaction goes on doing so; nobody sees neither or both.
func (d *Destination) swap(ctx context.Context, tx *metaChange, id penstock.TableID) error {
	e, at := tx.entry(id), d.pending.at
	if e == nil || e.Hidden == nil || e.Join == "" {
		return penstock.Errorf(penstock.KindInternal, "swap table %s of database %q: it has no loaded version", id, tx.d.db.name)
	}
	hidden := *e.Hidden
	tx.evict(id, &hidden, at)
	if old := e.Readable; old != nil && old.History != nil {
		if penstock.CarriesOver(&old.Shape.Table, &hidden.Shape.Table) {
			return d.goOn(ctx, tx, id)
		}
		tx.end(old, at)
		tx.leave(id, old, at)
		tx.dropTable(old)
		e.Readable = nil
	}
	name := tx.storedTable(id, &hidden)
	if e.Readable != nil {
		tx.dropTable(e.Readable)
	}
	from := tx.d.table(&hidden)
	tx.tables = append(tx.tables, "ALTER TABLE "+from+" RENAME TO "+ident(name))
	hidden.Table = name
	tx.renamed = append(tx.renamed, [2]string{from, tx.d.table(&hidden)})
	e.noLoad()
	e.Readable = &hidden
	tx.named(id)
	e.setState(penstock.TableSynced, "")
	if e.History {
		tx.begin(id, e, at)
	}
	return nil
}

// evict makes way for a version that takes the name of its shape. Versions of
// rows are left under another name.
func (tx *metaChange) evict(id penstock.TableID, by *version, at time.Time) {
	for _, other := range tx.called(by.Shape.Schema, by.Shape.Name) {
		if other == id {
			continue
		}
		o := tx.entry(other)
		v := o.Readable
		if o.Left {
			tx.rename(other, o, penstock.HistoricalName(v.Shape.Name, at))
			continue
		}
		if v.History != nil {
			tx.leave(other, v, at)
		}
		tx.dropTable(v)
		o.Readable, tx.evicted[other] = nil, true
		if o.State == penstock.TableDroppedSource {
			tx.entries[other] = nil
			continue
		}
		o.setState(penstock.TableResyncRequired, fmt.Sprintf("its name %s was taken by a newer table", &by.Shape.Table))
	}
}

// applyTable applies the net effect of a batch on one table.
func (d *Destination) applyTable(ctx context.Context, tx *metaChange, tb *penstock.TableBatch, bad *penstock.BadValues) error {
	e := tx.look(tb.Table.ID)
	if e != nil && e.current() == nil && tx.evicted[tb.Table.ID] {
		return nil // its rows are from before it lost its name, and go with it
	}
	if e == nil || e.current() == nil {
		return penstock.NewMisfit(tb.Table, "is not there, and has changes")
	}
	v := e.current()
	if !v.Shape.SameShape(tb.Table) {
		return penstock.NewMisfit(tb.Table, "has another shape than its changes")
	}
	if v.Shape.Identity == penstock.IdentityKey {
		if err := tb.Nameless(tb.NullKeys(tb.Remove)); err != nil {
			return err
		}
	}
	if (tb.Versions != nil) != (v.History != nil) {
		return penstock.NewMisfit(tb.Table, "is in history mode and its changes are not, or the other way round")
	}
	if tb.Versions != nil {
		return d.applyVersions(ctx, v, tb, bad)
	}
	if tb.Truncate || len(tb.Remove) > 0 {
		d.removes(v)
	}
	if tb.Truncate {
		// DELETE and TRUNCATE are one thing to the engine.
		if err := d.writer.exec(ctx, "DELETE FROM "+d.table(v)); err != nil {
			return err
		}
	}
	// What patches build on is fetched before it is removed.
	whole, patches := splitPatches(tb)
	if len(patches) > 0 {
		if err := d.fetchPatches(ctx, v, tb, patches, bad); err != nil {
			return err
		}
	}
	if len(tb.Remove) > 0 {
		remove := d.removeKeys
		if v.Shape.Identity == penstock.IdentityFull {
			remove = d.removeRows
		}
		if err := remove(ctx, v, tb); err != nil {
			return d.unmarked(ctx, v, tb, err)
		}
	}
	if len(patches) > 0 {
		if err := d.putPatches(ctx, v, tb.Mend); err != nil {
			return err
		}
	}
	if len(whole) > 0 {
		return d.put(ctx, d.writer, v, versionColumns(v, tb.Rows, whole), len(whole), bad)
	}
	return nil
}

// removeKeys deletes the rows named by the keys in tb.Remove: the keys are
// appended to a statement that joins with them.
func (d *Destination) removeKeys(ctx context.Context, v *version, tb *penstock.TableBatch) error {
	if v.Shape.Identity != penstock.IdentityKey {
		return penstock.Errorf(penstock.KindInternal, "remove rows of a table without an identity")
	}
	columns := make([]source, len(v.Shape.Key))
	names := make([]string, len(columns))
	types := make([]penstock.Type, len(columns))
	var where strings.Builder
	for i, c := range v.Shape.Key {
		columns[i] = source{vector: &tb.Rows.Vectors[c], rows: tb.Remove, column: v.Shape.Columns[c].ID}
		names[i], types[i] = fmt.Sprintf("k%d", i), v.Shape.Columns[c].Type
		if i > 0 {
			where.WriteString(" AND ")
		}
		fmt.Fprintf(&where, "t.%s = gone.%s", ident(v.Columns[c]), names[i])
	}
	// Looking for the keys in a large table divides well. The condition, which all
	// of them fulfil, has the engine look into a Bloom filter of them first: it does
	// so where it takes the keys for a selection of others (BenchmarkRemove). Of a stored
	// table, even a temporary one, it knows that all do, and drops the condition.
	const chosen = "(SELECT * FROM gone WHERE k0 IS NOT NULL)"
	defer d.writer.inst.crew.help(helpWriter)()
	var bad penstock.BadValues
	if err := d.feed(ctx, "DELETE FROM "+d.table(v)+" AS t USING "+chosen+" AS gone WHERE "+where.String(), "gone", names, types, columns, len(tb.Remove), &bad); err != nil {
		return err
	}
	return tb.Nameless(bad)
}

// feed runs a statement over rows that it finds as a table of that name. It
// counts in bad the values that the engine cannot hold.
func (d *Destination) feed(ctx context.Context, sql, table string, names []string, types []penstock.Type, columns []source, n int, bad *penstock.BadValues) error {
	c := d.writer
	return c.do(ctx, func() error {
		logical := make([]duck.LogicalType, len(types))
		for i, t := range types {
			logical[i] = logicalType(t)
		}
		defer func() {
			for i := range logical {
				duck.DestroyLogicalType(&logical[i])
			}
		}()
		var app duck.Appender
		defer duck.AppenderDestroy(&app)
		if duck.AppenderCreateQuery(c.raw, sql, logical, table, names, &app) != duck.StateSuccess {
			return appenderError(app)
		}
		if err := writeRows(app, columns, n, bad); err != nil {
			return err
		}
		if duck.AppenderClose(app) != duck.StateSuccess {
			return appenderError(app)
		}
		return nil
	})
}

// logicalTypes are the engine's types for those that have no parameters. JSON is text
// there.
var logicalTypes = map[penstock.TypeKind]duck.Type{
	penstock.TypeBool: duck.TypeBoolean, penstock.TypeInt16: duck.TypeSmallInt, penstock.TypeInt32: duck.TypeInteger,
	penstock.TypeInt64: duck.TypeBigInt, penstock.TypeFloat32: duck.TypeFloat, penstock.TypeFloat64: duck.TypeDouble,
	penstock.TypeText: duck.TypeVarchar, penstock.TypeBytes: duck.TypeBlob, penstock.TypeDate: duck.TypeDate,
	penstock.TypeTime: duck.TypeTime, penstock.TypeTimeTZ: duck.TypeTimeTZ, penstock.TypeTimestamp: duck.TypeTimestamp,
	penstock.TypeTimestampTZ: duck.TypeTimestampTZ, penstock.TypeInterval: duck.TypeInterval, penstock.TypeUUID: duck.TypeUUID,
	penstock.TypeJSON: duck.TypeVarchar,
}

// logicalType returns the engine's type for values of t.
func logicalType(t penstock.Type) duck.LogicalType {
	if t.Kind == penstock.TypeDecimal {
		return duck.CreateDecimalType(t.Precision, t.Scale)
	}
	return duck.CreateLogicalType(logicalTypes[t.Kind])
}
