package duckdbtarget

import (
	"context"
	"slices"
	"strings"

	"penstock"
)

// A destination database is only read by clients, but for one thing: of a table
// in history mode they may delete what is past. Such a DELETE runs as one on the
// table of that, which the stream only ever adds to; so neither waits for the
// other, and active rows cannot be meant.

// purge returns a DELETE as one of what is past, if it is of a table in history
// mode. The police has examined it.
func (s *Session) purge(ctx context.Context, sql string) (rewritten string, ok bool, err error) {
	parts, from, to, alias := deleteTarget(sql)
	if len(parts) == 0 {
		return sql, false, nil
	}
	database := s.alias
	if len(parts) == 3 {
		database = ""
		s.w.mu.Lock()
		for _, db := range s.w.databases {
			if db.err == nil && fold(db.alias) == fold(parts[0]) {
				database = db.alias
			}
		}
		s.w.mu.Unlock()
		parts = parts[1:]
	}
	if database == "" || database == BuiltIn {
		return sql, false, nil
	}
	if len(parts) == 1 { // a temporary table of the session comes before all others
		temporary, err := s.conn.texts(ctx, "SELECT 'x' FROM duckdb_tables() WHERE temporary AND lower(table_name) = lower(?)", parts[0])
		if err != nil || len(temporary) > 0 {
			return sql, false, sqlError(err)
		}
	}
	schema, table := "public", parts[len(parts)-1]
	if len(parts) == 2 {
		schema = parts[0]
	}
	rows, err := s.aux.texts(ctx, "SELECT entry FROM "+ident(database)+"."+metaSchema+".tables")
	if err != nil {
		return "", false, sqlError(err)
	}
	for _, r := range rows {
		e, err := decodeEntry(r[0])
		if err != nil {
			return "", false, err
		}
		v := e.Readable
		if v == nil || v.History == nil || fold(v.Schema) != fold(schema) || fold(v.Table) != fold(table) {
			continue
		}
		past := ident(database) + "." + ident(v.Schema) + "." + ident(v.History.Past)
		if !alias {
			past += " AS " + ident(table)
		}
		return sql[:from] + past + sql[to:], true, nil
	}
	return sql, false, nil
}

// purges is called before the transaction of a DELETE of what is past begins, and
// purged when it has ended.
func (s *Session) purges() error {
	if !s.w.purging.TryRLock() {
		return &penstock.SQLError{State: "55006", Message: "a destination database is being laid out anew", Hint: "try again later"}
	}
	s.purging = true
	return nil
}

func (s *Session) purged() {
	if s.purging {
		s.purging = false
		s.w.purging.RUnlock()
	}
}

// deleteTarget finds the name of the table in DELETE FROM name …: its parts, where
// it stands, and whether an alias follows. There are no parts if the statement
// is not of that form.
func deleteTarget(sql string) (parts []string, from, to int, alias bool) {
	var tokens []token
	for i := 0; i < len(sql) && len(tokens) < 9; {
		t := next(sql, i)
		if t.kind != tokenSpace {
			tokens = append(tokens, t)
		}
		i = t.end
	}
	text := func(i int) string {
		if i >= len(tokens) {
			return ""
		}
		return sql[tokens[i].start:tokens[i].end]
	}
	if fold(text(0)) != "delete" || fold(text(1)) != "from" {
		return nil, 0, 0, false
	}
	i := 2
	for {
		if i >= len(tokens) || tokens[i].kind != tokenWord && tokens[i].kind != tokenQuoted {
			return nil, 0, 0, false
		}
		name := text(i)
		if tokens[i].kind == tokenQuoted {
			name = strings.ReplaceAll(name[1:len(name)-1], `""`, `"`)
		}
		parts = append(parts, name)
		if i++; text(i) != "." {
			break
		}
		i++
	}
	if len(parts) > 3 {
		return nil, 0, 0, false
	}
	alias = i < len(tokens) && (tokens[i].kind == tokenQuoted || tokens[i].kind == tokenWord && !slices.Contains([]string{"using", "where", "returning"}, fold(text(i))))
	return parts, tokens[2].start, tokens[i-1].end, alias
}

var _ penstock.Archive = (*Destination)(nil)

// DropKept implements penstock.Archive.
func (d *Destination) DropKept(ctx context.Context, t penstock.TableName) error {
	return d.archive(ctx, "drop", t, func(tx *metaChange, id penstock.TableID) error {
		tx.drop(id)
		return nil
	})
}

// RenameKept implements penstock.Archive.
func (d *Destination) RenameKept(ctx context.Context, t penstock.TableName, to string) error {
	return d.archive(ctx, "rename", t, func(tx *metaChange, id penstock.TableID) error {
		e := tx.entry(id)
		for _, o := range tx.all() {
			if v := o.Readable; v != nil && v.Shape.Schema == e.Readable.Shape.Schema && v.Shape.Name == to {
				return penstock.Errorf(penstock.KindAlreadyExists, "there is a table %s in schema %s already", to, v.Shape.Schema)
			}
		}
		tx.rename(id, e, to)
		return nil
	})
}

// archive changes a table that nothing is replicated into any more.
func (d *Destination) archive(ctx context.Context, what string, t penstock.TableName, f func(*metaChange, penstock.TableID) error) error {
	if err := d.usable(what + " a table"); err != nil {
		return err
	}
	tx := d.change()
	var found []penstock.TableID
	for id, e := range tx.all() {
		if v := e.Readable; v != nil && v.Shape.Name == t.Name && (t.Schema == "" || v.Shape.Schema == t.Schema) {
			found = append(found, id)
		}
	}
	switch {
	case len(found) == 0:
		return penstock.Errorf(penstock.KindNotFound, "there is no table %s", t)
	case len(found) > 1:
		return penstock.Errorf(penstock.KindInvalid, "there are several tables of the name %s", t)
	}
	if e := tx.look(found[0]); !e.Left && e.State != penstock.TableDroppedSource {
		return penstock.Errorf(penstock.KindInvalid, "table %s is replicated into", t)
	}
	if err := f(tx, found[0]); err != nil {
		return err
	}
	return d.fault(d.apart(ctx, tx), "%s table %s of database %q", what, t, d.db.name)
}
