package memsource_test

import (
	"errors"
	"testing"

	"penstock"
	"penstock/internal/source/memsource"
	"penstock/internal/source/sourcetest"
)

// subject lets the suite work with a database in memory.
type subject struct {
	source *memsource.Source
	db     *memsource.Database
}

func (s subject) Source() penstock.Source { return s.source }
func (s subject) Database() string        { return s.db.Name() }

func (s subject) Create(_ *testing.T, table string, identity penstock.Identity) {
	column := func(name string, kind penstock.TypeKind) penstock.Column {
		return penstock.Column{Name: name, Type: penstock.Type{Kind: kind}}
	}
	shape := penstock.Table{Name: table, Identity: identity, Columns: []penstock.Column{
		column("id", penstock.TypeInt64), column("n", penstock.TypeInt64), column("body", penstock.TypeText)}}
	if identity == penstock.IdentityKey {
		shape.Key = []int{0}
	}
	s.db.Create(shape)
}

func (s subject) AddColumn(_ *testing.T, table string) {
	s.db.Alter(table, func(t *penstock.Table) {
		t.Columns = append(t.Columns, penstock.Column{ID: 4, Name: "more", Type: penstock.Type{Kind: penstock.TypeBool}})
	})
}

func (s subject) Rename(_ *testing.T, table, to string) {
	s.db.Alter(table, func(t *penstock.Table) { t.Name = to })
}

func (s subject) Drop(_ *testing.T, table string) { s.db.Drop(table) }
func (s subject) Touch(*testing.T)                { s.db.Tick() }

func (s subject) LosePositions(*testing.T, penstock.IntegrationID) { s.db.LoseSlots() }

func (s subject) Left(_ *testing.T, id penstock.IntegrationID) []string { return s.source.Left(id) }

func (s subject) Rows(_ *testing.T, table string) (out []sourcetest.Row) {
	rows := s.db.Rows(table)
	for i := range rows.Len() {
		out = append(out, sourcetest.Row{ID: rows.Vectors[0].Int64(i), N: rows.Vectors[1].Int64(i), Body: string(rows.Vectors[2].Bytes(i))})
	}
	return out
}

func (s subject) Begin(t *testing.T) sourcetest.Tx { return tx{t, s.db, s.db.Begin()} }

type tx struct {
	t  *testing.T
	db *memsource.Database
	tx *memsource.Tx
}

func (x tx) Insert(table string, rows ...sourcetest.Row) {
	for _, r := range rows {
		values := []any{r.ID, r.N, r.Body}
		for len(values) < x.db.Columns(table) {
			values = append(values, nil)
		}
		x.tx.Insert(table, values...)
	}
}

func (x tx) Update(table string, id int64, set map[string]any) {
	if !x.tx.Update(table, id, set) {
		x.t.Errorf("no row %d in %s to update", id, table)
	}
}

func (x tx) Delete(table string, id int64) {
	if !x.tx.Delete(table, id) {
		x.t.Errorf("no row %d in %s to delete", id, table)
	}
}

func (x tx) Truncate(table string) { x.tx.Truncate(table) }
func (x tx) Commit()               { x.tx.Commit() }
func (x tx) Rollback()             { x.tx.Rollback() }

func open(*testing.T) sourcetest.Subject {
	s := memsource.New()
	return subject{s, s.Database("shop")}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, open)
	sourcetest.RunTold(t, func(t *testing.T) sourcetest.Subject {
		s := open(t)
		s.(subject).db.Tell()
		return s
	})
}

func TestIntercept(t *testing.T) {
	t.Parallel()
	s := memsource.New()
	filter, err := s.ParseFilter("include: shop.*.*")
	if err != nil {
		t.Fatal(err)
	}
	c := s.Capture(penstock.CaptureSpec{Integration: "i", Database: "shop", Filter: filter})
	at, err := c.Prepare(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	stream, err := c.Stream(t.Context(), at, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- stream.Next(t.Context(), &penstock.Changes{}, 1<<20) }()
	broken := errors.New("the cable is cut")
	s.Intercept(func(op string) error {
		if op == "Next" {
			return broken
		}
		return nil
	})
	if err := <-done; !errors.Is(err, broken) {
		t.Fatalf("got %v, want the intercepted error", err)
	}
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	s.Intercept(nil)
	if _, err := c.Stream(t.Context(), at, nil, nil); err != nil {
		t.Fatal(err)
	}
}
