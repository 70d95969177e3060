package duckdbtarget

import (
	"context"
	"strings"

	"penstock"
)

// A table that has no readable version is exposed as a view of its hidden one,
// under the name that this will have. Views are dropped before and made again
// after a change of the tables that they concern, in the same transaction.

// Expose implements penstock.Destination.
func (d *Destination) Expose(ctx context.Context, on bool) error {
	if err := d.usable("expose tables"); err != nil {
		return err
	}
	if d.exposed == on {
		return nil
	}
	d.exposed = on
	tx := d.change()
	for id, e := range d.entries {
		if e.Hidden != nil && e.Readable == nil {
			tx.entry(id)
		}
	}
	err := d.apart(ctx, tx)
	if err != nil {
		d.exposed = !on
	}
	return d.fault(err, "expose tables of database %q", d.db.name)
}

// hide drops the views of tables that a change concerns, and those whose name
// a table takes. It may be repeated within a change.
func (d *Destination) hide(ctx context.Context, c *conn, tx *metaChange) error {
	if len(d.shown) == 0 {
		return nil
	}
	taken := make(map[[2]string]bool)
	for _, e := range tx.entries {
		if e != nil && e.Readable != nil {
			taken[[2]string{e.Readable.Schema, fold(e.Readable.Table)}] = true
		}
	}
	for id := range d.shown {
		was := d.entries[id]
		if tx.hid[id] {
			continue
		}
		if _, concerned := tx.entries[id]; !concerned && !taken[[2]string{was.Hidden.Schema, fold(was.Shown)}] {
			continue
		}
		if err := c.exec(ctx, "DROP VIEW "+d.view(was)); err != nil {
			return err
		}
		if tx.hid == nil {
			tx.hid = make(map[penstock.TableID]bool)
		}
		tx.hid[id] = true
		if e := tx.entry(id); e != nil {
			e.Shown = ""
		}
	}
	return nil
}

// show makes the views of tables that a change concerns, as far as they are to
// be exposed.
func (d *Destination) show(ctx context.Context, c *conn, tx *metaChange) error {
	if !d.exposed {
		return nil
	}
	for id, e := range tx.entries {
		if e == nil || e.Hidden == nil || e.Readable != nil {
			continue
		}
		if e.Shown = tx.viewName(id, e.Hidden); e.Shown == "" {
			continue
		}
		tx.named(id)
		if err := c.exec(ctx, "CREATE VIEW "+d.view(e)+" AS SELECT * FROM "+d.table(e.Hidden)); err != nil {
			return err
		}
	}
	return nil
}

// view returns the quoted name of the view of an entry.
func (d *Destination) view(e *entry) string {
	return ident(d.db.alias) + "." + ident(e.Hidden.Schema) + "." + ident(e.Shown)
}

// viewName returns a name for the view of a hidden version that no table and no
// other view has; "" if its own one is that of a table that can be read.
func (tx *metaChange) viewName(id penstock.TableID, hidden *version) string {
	for _, other := range tx.called(hidden.Shape.Schema, hidden.Shape.Name) {
		if tx.look(other).Readable.Schema == hidden.Schema {
			return ""
		}
	}
	return freeName(hidden.Shape.Name, func(name string) bool {
		return name == fold(hidden.Shape.Name) && strings.HasPrefix(name, hiddenPrefix) || tx.isTaken(hidden.Schema, name, func(other penstock.TableID, e *entry) bool {
			return e.hasTable(hidden.Schema, name) || other != id && e.Shown != "" && e.Hidden != nil && e.Hidden.Schema == hidden.Schema && fold(e.Shown) == name
		})
	})
}
