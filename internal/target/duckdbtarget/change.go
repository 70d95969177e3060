package duckdbtarget

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"penstock"
	"penstock/internal/failpoint"
)

// metaChange collects changes of metadata, which become visible in d when
// they are committed.
type metaChange struct {
	d        *Destination
	applied  *penstock.Position
	time     time.Time                   // if it is later than what is stored, it becomes that
	entries  map[penstock.TableID]*entry // changed; nil: removed
	tables   []string                    // statements that make, drop, rename tables, still to be executed
	unnoted  []penstock.TableID          // the notes on whose chunks are to be removed
	released []penstock.TableID          // loads that are over
	renamed  [][2]string                 // quoted names of versions that were swapped in, before and after
	hid      map[penstock.TableID]bool   // whose views have been dropped
	names    *nameIndex                  // made when it is needed; see index
	evicted  map[penstock.TableID]bool   // tables that another one has taken the name of

	before, after failpoint.Point // around the commit
}

func (d *Destination) change() *metaChange {
	return &metaChange{d: d, entries: make(map[penstock.TableID]*entry), evicted: make(map[penstock.TableID]bool)}
}

// look returns the entry of a table as this change sees it, not to be changed.
func (tx *metaChange) look(id penstock.TableID) *entry {
	if e, ok := tx.entries[id]; ok {
		return e
	}
	return tx.d.entries[id]
}

// entry returns the entry of a table to be changed, nil if there is none.
func (tx *metaChange) entry(id penstock.TableID) *entry {
	e, ok := tx.entries[id]
	if !ok {
		if e = tx.d.entries[id]; e != nil {
			e = e.clone()
			tx.entries[id] = e
		}
	}
	return e
}

// all goes through the entries as this change sees them. Entries may be changed
// on the way.
func (tx *metaChange) all() iter.Seq2[penstock.TableID, *entry] {
	return func(yield func(penstock.TableID, *entry) bool) {
		for id, e := range tx.d.entries {
			if changed, ok := tx.entries[id]; ok {
				e = changed
			}
			if e != nil && !yield(id, e) {
				return
			}
		}
		for id, e := range tx.entries {
			if e != nil && tx.d.entries[id] == nil && !yield(id, e) {
				return
			}
		}
	}
}

// dropHidden removes the hidden version of a table, and what is known of its load.
func (tx *metaChange) dropHidden(id penstock.TableID, e *entry) {
	tx.dropTable(e.Hidden)
	tx.forgetChunks(id)
	e.noLoad()
}

// forgetChunks removes the notes on a table's chunks.
func (tx *metaChange) forgetChunks(id penstock.TableID) { tx.unnoted = append(tx.unnoted, id) }

func (tx *metaChange) dropTable(v *version) {
	if v.History != nil {
		tx.tables = append(tx.tables, "DROP VIEW "+tx.d.named(v), "DROP TABLE "+tx.d.past(v))
	}
	tx.tables = append(tx.tables, "DROP TABLE "+tx.d.table(v))
}

func (tx *metaChange) setStates(states []penstock.TableStatus) {
	for i := range states {
		s := &states[i]
		e := tx.entry(s.Table.ID)
		if e == nil {
			e = &entry{Known: storedShape{s.Table}}
			tx.entries[s.Table.ID] = e
		}
		e.setState(s.State, s.Reason)
		e.Bad.Add(s.BadValues)
	}
}

func (tx *metaChange) forget(reason string) {
	none := penstock.Position("")
	tx.applied = &none
	for id := range tx.all() {
		e := tx.entry(id)
		if e.Left {
			continue
		}
		if e.Hidden != nil {
			tx.dropHidden(id, e)
			tx.released = append(tx.released, id)
		}
		e.setState(penstock.TableResyncRequired, reason)
	}
}

// table returns the quoted name of the table that the rows of a version are
// in; in history mode, the active ones.
func (d *Destination) table(v *version) string {
	return ident(d.db.alias) + "." + ident(v.Schema) + "." + ident(v.rows())
}

// named returns the quoted name by which readers know a version.
func (d *Destination) named(v *version) string {
	return ident(d.db.alias) + "." + ident(v.Schema) + "." + ident(v.Table)
}

// commit writes a change in one transaction, together with what more does.
func (d *Destination) commit(ctx context.Context, c *conn, tx *metaChange, more func() error) error {
	if tx.empty() && more == nil {
		return nil
	}
	if err := c.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	err := d.write(ctx, c, tx)
	if err == nil && more != nil {
		err = more()
	}
	if err == nil {
		err = failpoint.Here(tx.before)
	}
	if err == nil {
		err = c.exec(ctx, "COMMIT")
	}
	if err != nil {
		c.rollback()
		return err
	}
	_ = failpoint.Here(tx.after)
	d.accept(tx)
	return nil
}

func (tx *metaChange) empty() bool {
	return tx.applied == nil && len(tx.entries) == 0 && len(tx.tables) == 0 && len(tx.unnoted) == 0
}

// flush executes the statements of a change, inside the writer's transaction.
func (d *Destination) flush(ctx context.Context, tx *metaChange) error {
	if err := d.hide(ctx, d.writer, tx); err != nil {
		return err
	}
	statements := tx.tables
	tx.tables = nil
	return d.writer.execAll(ctx, statements...)
}

// write writes a change inside a transaction.
func (d *Destination) write(ctx context.Context, c *conn, tx *metaChange) error {
	meta := ident(d.db.alias) + "." + metaSchema
	if err := d.hide(ctx, c, tx); err != nil {
		return err
	}
	if err := c.execAll(ctx, tx.tables...); err != nil {
		return err
	}
	if err := d.show(ctx, c, tx); err != nil {
		return err
	}
	if len(tx.unnoted) > 0 {
		if err := c.exec(ctx, "DELETE FROM "+meta+".chunks WHERE id IN ("+literals(tx.unnoted)+")"); err != nil {
			return err
		}
	}
	if err := d.writeEntries(ctx, c, tx); err != nil {
		return err
	}
	if tx.applied == nil {
		return nil
	}
	time := ""
	if tx.time.After(d.time) {
		time = fmt.Sprintf(", time = %d", tx.time.UnixMicro())
	}
	return c.exec(ctx, "UPDATE "+meta+".position SET applied = ?"+time, string(*tx.applied))
}

// fewEntries is how many entries are written one by one, which for more takes
// longer the more tables there are.
const fewEntries = 20

// writeEntries writes the entries that have changed.
func (d *Destination) writeEntries(ctx context.Context, c *conn, tx *metaChange) error {
	table := ident(d.db.alias) + "." + metaSchema + ".tables"
	if len(tx.entries) > fewEntries {
		ids := slices.Collect(maps.Keys(tx.entries))
		if err := c.exec(ctx, "DELETE FROM "+table+" WHERE id IN ("+literals(ids)+")"); err != nil {
			return err
		}
		rows := penstock.NewRows(&penstock.Table{Columns: []penstock.Column{{Type: penstock.Type{Kind: penstock.TypeText}}, {Type: penstock.Type{Kind: penstock.TypeText}}}})
		for id, e := range tx.entries {
			if e != nil {
				rows.Vectors[0].AppendBytes([]byte(id))
				rows.Vectors[1].AppendBytes([]byte(e.encode()))
			}
		}
		return c.do(ctx, func() error {
			return appendRows(c, d.db.alias, metaSchema, "tables", columnsOf(rows, nil), rows.Len(), new(penstock.BadValues))
		})
	}
	for id, e := range tx.entries {
		var err error
		switch known := d.entries[id] != nil; {
		case e == nil && known:
			err = c.exec(ctx, "DELETE FROM "+table+" WHERE id = ?", string(id))
		case e == nil:
		case known:
			err = c.exec(ctx, "UPDATE "+table+" SET entry = ? WHERE id = ?", e.encode(), string(id))
		default:
			err = c.exec(ctx, "INSERT INTO "+table+" VALUES (?, ?)", string(id), e.encode())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// literals returns tables as a list of literals.
func literals(ids []penstock.TableID) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(literal(string(id)))
	}
	return b.String()
}

// accept makes a committed change visible in d.
func (d *Destination) accept(tx *metaChange) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, e := range tx.entries {
		delete(d.shown, id)
		if e == nil {
			delete(d.entries, id)
			continue
		}
		d.entries[id] = e
		if e.Shown != "" {
			d.shown[id] = true
		}
	}
	if tx.applied != nil {
		d.applied = *tx.applied
		if tx.time.After(d.time) {
			d.time = time.UnixMicro(tx.time.UnixMicro()).UTC()
		}
	}
	for _, id := range tx.released {
		delete(d.loading, id)
	}
	if open := d.pending.tx; open != nil && open != tx {
		open.names = nil // it has been made from other entries
	}
	for _, r := range tx.renamed {
		delete(d.weights, r[1])
		if w := d.weights[r[0]]; w != nil {
			d.weights[r[1]] = w
		}
		delete(d.weights, r[0])
	}
}
