package duckdbtarget

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"penstock"
)

// altering is a table that is changed at random, and what it must hold.
type altering struct {
	rand  *rand.Rand
	shape *penstock.Table
	rows  *penstock.Rows
	next  penstock.ColumnID
	id    int32
}

var alterTypes = []penstock.TypeKind{penstock.TypeInt16, penstock.TypeInt32, penstock.TypeFloat32, penstock.TypeText, penstock.TypeDecimal, penstock.TypeBool}

func (a *altering) value(v *penstock.Vector) {
	n := a.rand.IntN(100)
	switch v.Type().Kind {
	case penstock.TypeBool:
		v.AppendBool(n%2 == 0)
	case penstock.TypeInt16:
		v.AppendInt16(int16(n))
	case penstock.TypeInt32:
		v.AppendInt32(int32(n))
	case penstock.TypeInt64:
		v.AppendInt64(int64(n))
	case penstock.TypeFloat32:
		v.AppendFloat32(float32(n) / 3)
	case penstock.TypeFloat64:
		v.AppendFloat64(float64(n) / 3)
	case penstock.TypeDecimal:
		if v.Type().Precision > 18 {
			v.AppendInt128(0, uint64(n))
		} else {
			v.AppendInt64(int64(n))
		}
	case penstock.TypeText:
		v.AppendString(strings.Repeat("täxt", n))
	}
}

// alter returns a random alteration of one to three steps.
func (a *altering) alter() penstock.Alteration {
	to := *a.shape
	to.Columns = slices.Clone(to.Columns)
	for range 1 + a.rand.IntN(3) {
		switch c := 1 + a.rand.IntN(max(len(to.Columns)-1, 1)); a.rand.IntN(6) {
		case 0:
			to.Name = fmt.Sprint("t", a.rand.IntN(3))
		case 1:
			to.Schema = fmt.Sprint("s", a.rand.IntN(3))
		case 2:
			if len(to.Columns) > 2 {
				to.Columns = slices.Delete(to.Columns, c, c+1)
			}
		case 3:
			if len(to.Columns) > 2 {
				d := 1 + a.rand.IntN(len(to.Columns)-1)
				to.Columns[c].Name, to.Columns[d].Name = to.Columns[d].Name, to.Columns[c].Name
			}
		case 4:
			a.next++
			t := penstock.Type{Kind: alterTypes[a.rand.IntN(len(alterTypes))]}
			if t.Kind == penstock.TypeDecimal {
				t.Precision, t.Scale = 9, 3
			}
			to.Columns = append(to.Columns, penstock.Column{ID: a.next, Name: fmt.Sprint("c", a.next), Type: t})
		case 5:
			if c < len(to.Columns) {
				switch t := &to.Columns[c].Type; t.Kind {
				case penstock.TypeInt16, penstock.TypeInt32:
					t.Kind++
				case penstock.TypeFloat32:
					t.Kind = penstock.TypeFloat64
				case penstock.TypeDecimal:
					t.Precision = min(t.Precision+8, 38)
				}
			}
		}
	}
	out := penstock.Alteration{Old: a.shape, New: &to}
	if a.rand.IntN(2) == 0 {
		out.Fill = penstock.NewRows(&to)
		for i := range to.Columns {
			a.value(&out.Fill.Vectors[i])
		}
	}
	return out
}

// batch returns a batch of an alteration, perhaps none, and rows.
func (a *altering) batch() *penstock.Batch {
	b := &penstock.Batch{}
	if a.rand.IntN(5) > 0 {
		alteration := a.alter()
		b.Alter = append(b.Alter, alteration)
		a.rows.Alter(&alteration)
		a.shape = alteration.New
	}
	tb := penstock.TableBatch{Table: a.shape, Rows: penstock.NewRows(a.shape)}
	row := func(from int) int32 {
		for i := range a.shape.Columns {
			v := &tb.Rows.Vectors[i]
			switch {
			case from >= 0:
				v.AppendFrom(&a.rows.Vectors[i], from)
			case i == 0:
				a.id++
				v.AppendInt32(a.id)
			default:
				a.value(v)
			}
		}
		return int32(tb.Rows.Len() - 1)
	}
	kept := penstock.NewRows(a.shape)
	for r := range a.rows.Len() {
		if a.rand.IntN(10) == 0 {
			tb.Remove = append(tb.Remove, row(r))
			continue
		}
		for i := range kept.Vectors {
			kept.Vectors[i].AppendFrom(&a.rows.Vectors[i], r)
		}
	}
	for range a.rand.IntN(30) {
		r := row(-1)
		tb.Put = append(tb.Put, r)
		for i := range kept.Vectors {
			kept.Vectors[i].AppendFrom(&tb.Rows.Vectors[i], int(r))
		}
	}
	a.rows, b.Tables = kept, []penstock.TableBatch{tb}
	return b
}

// copyFolder copies what a process that is killed now leaves behind.
func copyFolder(t *testing.T, from string) Config {
	t.Helper()
	cfg := testConfig(t)
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(cfg.Dir, "copy"), os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	cfg.Dir = filepath.Join(cfg.Dir, "copy")
	return cfg
}

// TestAlterAtRandom changes a table's shape again and again, with rows in the
// same transactions: what is there is right, also for who opens the files as a
// killed process leaves them, and a reader's transaction goes on reading what
// it has read before (promises 1 and 2).
func TestAlterAtRandom(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	a := &altering{rand: rand.New(rand.NewPCG(seed, 0)), next: 3, shape: &penstock.Table{
		ID: "1", Schema: "s0", Name: "t0", Identity: penstock.IdentityKey, Key: []int{0},
		Columns: []penstock.Column{{ID: 1, Name: "id", Type: penstock.Type{Kind: penstock.TypeInt32}}, {ID: 2, Name: "c2", Type: penstock.Type{Kind: penstock.TypeInt16}}, {ID: 3, Name: "c3", Type: penstock.Type{Kind: penstock.TypeText}}},
	}}
	a.rows = penstock.NewRows(a.shape)
	s := &subject{cfg: testConfig(t)}
	s.w = openWarehouse(t, s.cfg)
	spec := penstock.DatabaseSpec{Name: "shop", Integration: "i", SourceARN: "arn", SourceDatabase: "s"}
	d, err := s.w.Open(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{d.Ensure(t.Context(), a.shape), d.Loaded(t.Context(), map[penstock.TableID]penstock.Snapshot{"1": "s"}), d.Apply(t.Context(), "", &penstock.Batch{Next: "0", Swap: []penstock.TableID{"1"}})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	compare := func(what string, s *subject) {
		t.Helper()
		got, ok := s.Read(t, "shop", a.shape)
		if !ok {
			t.Fatalf("%s: table %s is not there", what, a.shape)
		}
		g, w := lines(got), lines(a.rows)
		if !slices.Equal(g, w) {
			t.Fatalf("%s: table %s has\n%.2000q, want\n%.2000q", what, a.shape, g, w)
		}
	}
	reader := connect(t, s.w, "shop")
	run := func(sql string) string {
		t.Helper()
		rows, err := query(t, reader, sql)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(lines(rows))
	}
	transaction := func(sql string) {
		t.Helper()
		if err := reader.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	const rounds = 60
	for i := range rounds {
		table := ident(a.shape.Schema) + "." + ident(a.shape.Name)
		transaction("BEGIN")
		before := run("SELECT * FROM " + table)
		for k := range 2 {
			at := penstock.Position(fmt.Sprint(2*i + k))
			b := a.batch()
			b.Next = penstock.Position(fmt.Sprint(2*i + k + 1))
			if err := d.Apply(t.Context(), at, b); err != nil {
				t.Fatal(err)
			}
		}
		if after := run("SELECT * FROM " + table); after != before {
			t.Fatalf("a reader's transaction saw %.500s, then %.500s", before, after)
		}
		transaction("COMMIT")
		compare("round "+fmt.Sprint(i), s)
		if i%10 == 9 {
			copied := &subject{cfg: copyFolder(t, s.cfg.Dir)}
			copied.w = openWarehouse(t, copied.cfg)
			compare("killed in round "+fmt.Sprint(i), copied)
			if err := copied.w.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if i == rounds/2 {
			s.Restart(t)
			if d, err = s.w.Open(t.Context(), spec); err != nil {
				t.Fatal(err)
			}
			reader = connect(t, s.w, "shop")
		}
	}
}

// lines renders rows, sorted.
func lines(rows *penstock.Rows) []string {
	out := make([]string, rows.Len())
	for i := range out {
		for c := range rows.Vectors {
			if v := &rows.Vectors[c]; v.IsNull(i) {
				out[i] += "|-"
			} else {
				out[i] += fmt.Sprintf("|%x", v.Raw(i))
			}
		}
	}
	slices.Sort(out)
	return out
}
