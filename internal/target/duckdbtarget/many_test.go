package duckdbtarget

import (
	"fmt"
	"testing"

	"penstock"
)

// TestManyTablesInLittleMemory: rows of many tables, however few they are, take
// much more room in the engine's memory than there is, before they are moved
// into the file (promise 7).
func TestManyTablesInLittleMemory(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Memory = minMemory
	w := openWarehouse(t, cfg)
	opened, err := w.Open(t.Context(), penstock.DatabaseSpec{Name: "shop", Integration: "i"})
	if err != nil {
		t.Fatal(err)
	}
	d := opened.(*Destination)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const n, together = 400, 50
	var tables []*penstock.Table
	var ids []penstock.TableID
	joins := map[penstock.TableID]penstock.Snapshot{}
	for i := range n {
		table := &penstock.Table{ID: penstock.TableID(fmt.Sprint(i)), Schema: "public", Name: fmt.Sprint("t", i), Identity: penstock.IdentityKey, Key: []int{0}}
		for c := range 8 {
			table.Columns = append(table.Columns, penstock.Column{ID: penstock.ColumnID(c + 1), Name: fmt.Sprint("c", c), Type: penstock.Type{Kind: penstock.TypeText}})
		}
		tables, ids, joins[table.ID] = append(tables, table), append(ids, table.ID), "s"
	}
	rows := penstock.NewRows(tables[0])
	row := func(text string) *penstock.Rows {
		rows.Clear()
		for c := range rows.Vectors {
			rows.Vectors[c].AppendString(text)
		}
		return rows
	}
	must(d.Ensure(t.Context(), tables...))
	for from := 0; from < n; from += together {
		c, err := d.Chunk(t.Context(), ids[from])
		must(err)
		for i := from; i < from+together; i++ {
			if i > from {
				must(c.Next(t.Context(), penstock.Chunk{Table: tables[i-1], Token: "all"}, ids[i]))
			}
			must(c.Append(t.Context(), row("loaded"), nil))
		}
		must(c.Commit(t.Context(), penstock.Chunk{Table: tables[from+together-1], Token: "all"}))
		c.Close()
	}
	must(d.Loaded(t.Context(), joins))
	must(d.Apply(t.Context(), "", &penstock.Batch{Next: "0", Swap: ids}))
	for from := 0; from < n; from += together {
		b := &penstock.Batch{Next: penstock.Position(fmt.Sprint(from + together))}
		for _, table := range tables[from : from+together] {
			r := penstock.NewRows(table)
			for c := range r.Vectors {
				r.Vectors[c].AppendString("applied")
			}
			b.Tables = append(b.Tables, penstock.TableBatch{Table: table, Rows: r, Remove: []int32{0}, Put: []int32{0}})
		}
		must(d.Apply(t.Context(), penstock.Position(fmt.Sprint(from)), b))
	}
	c, err := d.connection()
	must(err)
	defer d.release(c)
	for _, i := range []int{0, n / 2, n - 1} {
		got, err := c.texts(t.Context(), fmt.Sprintf("SELECT c0, c7 FROM %s ORDER BY c0", d.table(d.entries[ids[i]].Readable)))
		must(err)
		if fmt.Sprint(got) != "[[applied applied] [loaded loaded]]" {
			t.Errorf("table %d: %v", i, got)
		}
	}
}

// TestSchemaPublic: the schema that is meant where none is named keeps its name
// also where another one differs from it by case only and comes first.
func TestSchemaPublic(t *testing.T) {
	t.Parallel()
	w := openWarehouse(t, testConfig(t))
	d, err := w.Open(t.Context(), penstock.DatabaseSpec{Name: "shop", Integration: "i"})
	if err != nil {
		t.Fatal(err)
	}
	for i, schema := range []string{"Public", "public", "PUBLIC"} {
		s := wideShape(penstock.TableID(fmt.Sprint(i)), 1)
		s.Schema = schema
		if err := d.Ensure(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		v := d.(*Destination).entries[s.ID].Hidden
		if (v.Schema == "public") != (schema == "public") {
			t.Errorf("schema %s is stored as %s", schema, v.Schema)
		}
	}
}
