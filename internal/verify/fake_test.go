package verify_test

import (
	"context"
	"fmt"
	"slices"

	"penstock"
)

const position = penstock.Position("here")

// row is a row of the fakes: nil, int64, float64 or string.
type row []any

// sides is a table with its rows on both sides. It is a Pin, a Load and a View.
type sides struct {
	table             penstock.Table
	source, warehouse []row
	status            penstock.TableStatus
	stale             bool
	reads             int // of the warehouse
}

func newSides(key bool) *sides {
	column := func(id penstock.ColumnID, name string, kind penstock.TypeKind) penstock.Column {
		return penstock.Column{ID: id, Name: name, Type: penstock.Type{Kind: kind}}
	}
	s := &sides{table: penstock.Table{ID: "1", Schema: "public", Name: "t", Identity: penstock.IdentityFull,
		Columns: []penstock.Column{column(1, "id", penstock.TypeInt64), column(2, "x", penstock.TypeFloat64), column(3, "note", penstock.TypeText)}}}
	if key {
		s.table.Identity, s.table.Key = penstock.IdentityKey, []int{0}
	}
	s.status = penstock.TableStatus{Table: s.table, State: penstock.TableSynced, Readable: true}
	return s
}

func (s *sides) Position() penstock.Position { return position }
func (s *sides) Tables(context.Context) ([]penstock.Table, error) {
	return []penstock.Table{s.table}, nil
}
func (s *sides) Close() error                                                  { return nil }
func (s *sides) Snapshot() penstock.Snapshot                                   { return "" }
func (s *sides) Load(context.Context, []penstock.Table) (penstock.Load, error) { return load{s}, nil }

// load has a chunk for every seven rows.
type load struct{ *sides }

func (load) Resumes(penstock.TableID) (penstock.Snapshot, bool) { return "", false }

func (l load) Chunks() (out []penstock.Chunk) {
	for from := 0; from < len(l.source); from += 7 {
		out = append(out, penstock.Chunk{Table: &l.table, Bytes: 7, Token: fmt.Sprint(from)})
	}
	return out
}

func (l load) Read(_ context.Context, c penstock.Chunk, rows *penstock.Rows, _ int, flush func(penstock.BadValues) error) error {
	if l.stale {
		return penstock.Errorf(penstock.KindStale, "table %s was emptied", c.Table)
	}
	var from int
	fmt.Sscan(c.Token, &from)
	for _, r := range l.source[from:min(from+7, len(l.source))] {
		add(rows, r)
	}
	defer rows.Clear()
	return flush(nil)
}

// view is the warehouse's side. It cannot hold the text "bad".
type view struct{ *sides }

func (v view) State() penstock.DestinationState {
	return penstock.DestinationState{Applied: position, Tables: []penstock.TableStatus{v.status}}
}

func (v view) Count(context.Context, penstock.TableID) (int64, error) {
	return int64(len(v.warehouse)), nil
}

func (v view) Read(_ context.Context, _ penstock.TableID, rows *penstock.Rows, _ int, flush func() error) error {
	v.reads++
	for r := range slices.Chunk(v.warehouse, 5) {
		for _, r := range r {
			add(rows, r)
		}
		if err := flush(); err != nil {
			return err
		}
		rows.Clear()
	}
	return nil
}

func (v view) Store(t *penstock.Table, rows *penstock.Rows) (bad penstock.BadValues) {
	for i := range rows.Len() {
		if n := &rows.Vectors[2]; !n.IsNull(i) && n.Text(i) == "bad" {
			n.SetNull(i)
			bad.Count(t.Columns[2].ID, 1)
		}
	}
	return bad
}

func add(rows *penstock.Rows, r row) {
	for i, x := range r {
		switch v := &rows.Vectors[i]; x := x.(type) {
		case nil:
			v.AppendNull()
		case int64:
			v.AppendInt64(x)
		case float64:
			v.AppendFloat64(x)
		case string:
			v.AppendString(x)
		}
	}
}
