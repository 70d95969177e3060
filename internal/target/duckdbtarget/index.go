package duckdbtarget

import (
	"maps"

	"penstock"
)

// nameIndex finds the entries that have a name without going through all of
// them, of which there may be ten thousand. Entries may be found under names
// that they have no more, so what is found is looked at; not the other way
// around.
type nameIndex struct {
	called  map[[2]string][]penstock.TableID // readable versions by their schema and name at the source
	stored  map[[2]string][]penstock.TableID // readable versions and views by their schema and name in the engine, the name folded
	schemas map[string]string                // as stored, by name at the source
	taken   map[string]bool                  // the names of stored schemas, folded
}

// index returns the index of the entries as this change sees them.
func (tx *metaChange) index() *nameIndex {
	if tx.names == nil {
		tx.names = &nameIndex{called: map[[2]string][]penstock.TableID{}, stored: map[[2]string][]penstock.TableID{}, schemas: map[string]string{}, taken: maps.Clone(engineSchemas)}
		for id, e := range tx.all() {
			tx.names.add(id, e)
		}
	}
	return tx.names
}

// named takes note of names that the change has given to an entry.
func (tx *metaChange) named(id penstock.TableID) {
	if e := tx.look(id); tx.names != nil && e != nil {
		tx.names.add(id, e)
	}
}

func (x *nameIndex) add(id penstock.TableID, e *entry) {
	if v := e.Readable; v != nil {
		called, stored := [2]string{v.Shape.Schema, v.Shape.Name}, [2]string{v.Schema, fold(v.Table)}
		x.called[called] = append(x.called[called], id)
		x.stored[stored] = append(x.stored[stored], id)
	}
	if e.Shown != "" && e.Hidden != nil {
		stored := [2]string{e.Hidden.Schema, fold(e.Shown)}
		x.stored[stored] = append(x.stored[stored], id)
	}
	for _, v := range []*version{e.Readable, e.Hidden} {
		if v != nil {
			x.schemas[v.Shape.Schema] = v.Schema
			x.taken[fold(v.Schema)] = true
		}
	}
}

// called returns the tables whose readable version has a name at the source.
func (tx *metaChange) called(schema, name string) (ids []penstock.TableID) {
	for _, id := range tx.index().called[[2]string{schema, name}] {
		if e := tx.look(id); e != nil && e.Readable != nil && e.Readable.Shape.Schema == schema && e.Readable.Shape.Name == name {
			ids = append(ids, id)
		}
	}
	return ids
}

// isTaken reports whether a name, folded, in a stored schema is taken by an
// entry that has it; entries given to by may not have it any more.
func (tx *metaChange) isTaken(schema, folded string, by func(penstock.TableID, *entry) bool) bool {
	for _, id := range tx.index().stored[[2]string{schema, folded}] {
		if e := tx.look(id); e != nil && by(id, e) {
			return true
		}
	}
	return false
}

// hasTable reports whether the readable version is stored under a name, folded.
func (e *entry) hasTable(schema, folded string) bool {
	return e.Readable != nil && e.Readable.Schema == schema && fold(e.Readable.Table) == folded
}
