package duckdbtarget

import (
	"strings"
	"testing"
	"time"

	"penstock"
)

// clientHistory is clientWarehouse with orders in history mode: of order 1 and
// of order 2 a version is past, and of order 3 all.
func clientHistory(t testing.TB) (*Warehouse, *Destination, *penstock.Table) {
	t.Helper()
	w, d := clientWarehouse(t)
	shape := d.entries["1"].Readable.Shape.Table
	rows := penstock.NewRows(&shape)
	v := penstock.NewVersions()
	b := penstock.TableBatch{Table: &shape, Rows: rows, Versions: v}
	for i, s := range []string{"uno", "due", "tre"} {
		rows.Vectors[0].AppendInt64(int64(i + 1))
		rows.Vectors[1].AppendString(s)
		if i < 2 {
			b.Remove, b.Put = append(b.Remove, int32(i)), append(b.Put, int32(i))
			v.RemoveAt.AppendInt64(int64(200 + i))
			v.PutAt.AppendInt64(int64(200 + i))
		}
	}
	v.Past = []int32{2}
	v.From.AppendInt64(150)
	v.To.AppendInt64(160)
	for _, err := range []error{
		d.Apply(t.Context(), "p", &penstock.Batch{Next: "p", At: time.UnixMicro(100), Switch: []penstock.Switch{{Table: "1", History: true}}}),
		d.Apply(t.Context(), "p", &penstock.Batch{Next: "p", Tables: []penstock.TableBatch{b}}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return w, d, &shape
}

func answer(t *testing.T, s penstock.Session, sql string, args ...*string) (string, error) {
	t.Helper()
	rows, err := query(t, s, sql, args...)
	if err != nil {
		return "", err
	}
	return render(rows), nil
}

const notes = "SELECT string_agg(note, ' ' ORDER BY note) FROM shop.public.orders"

// TestPurge: clients may delete what is past, and nothing else.
func TestPurge(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"DELETE FROM orders":                     "due uno",
		"DELETE FROM public.orders WHERE id = 1": "due tre two uno",
		"delete from shop.public.orders as o where o.id > 1 and o._record_delete_time < '1970-01-01 00:00:00.000180'": "due one two uno",
		`DELETE /* all */ FROM "orders" o WHERE NOT o._record_is_active`:                                              "due uno",
		"DELETE FROM orders WHERE _record_is_active":                                                                  "due one tre two uno",
		"DELETE FROM orders WHERE orders.note = 'uno'":                                                                "due one tre two uno",
		"DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE _record_is_active)":                              "due tre uno",
		"DELETE FROM orders USING (SELECT 3 AS x) AS u WHERE orders.id = u.x":                                         "due one two uno",
	} {
		t.Run(sql, func(t *testing.T) {
			t.Parallel()
			w, _, _ := clientHistory(t)
			s := connect(t, w, "shop")
			if _, err := answer(t, s, sql); err != nil {
				t.Fatal(err)
			}
			if got, err := answer(t, s, notes); err != nil || got != want {
				t.Errorf("left are %q, %v; want %q", got, err, want)
			}
		})
	}
}

func TestPurgeWithParameters(t *testing.T) {
	t.Parallel()
	w, _, _ := clientHistory(t)
	dev := connect(t, w, "dev")
	if got, err := answer(t, dev, "DELETE FROM shop.public.orders WHERE id = $1 RETURNING note", ptr("3")); err != nil || got != "tre" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := answer(t, dev, notes); err != nil || got != "due one two uno" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestPurgeOfTemporary: a temporary table comes before one of its name.
func TestPurgeOfTemporary(t *testing.T) {
	t.Parallel()
	w, _, _ := clientHistory(t)
	s := connect(t, w, "shop")
	for _, sql := range []string{"CREATE TEMP TABLE orders AS SELECT 1 AS id", "DELETE FROM orders"} {
		if _, err := answer(t, s, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	for sql, want := range map[string]string{"SELECT count(*) FROM orders": "0", notes: "due one tre two uno"} {
		if got, err := answer(t, s, sql); err != nil || got != want {
			t.Errorf("%s: %q, %v", sql, got, err)
		}
	}
}

func TestPurgeRefused(t *testing.T) {
	t.Parallel()
	w, d, _ := clientHistory(t)
	s := connect(t, w, "shop")
	past := d.past(d.entries["1"].Readable)
	for _, sql := range []string{
		"UPDATE orders SET note = 'x'", "INSERT INTO orders VALUES (9, 'x', true, now(), NULL)", "TRUNCATE orders",
		"DELETE FROM " + past, "SELECT * FROM " + past, "DELETE FROM orders WHERE getenv('HOME') = ''", "DELETE FROM orders; DELETE FROM orders",
		"WITH x AS (SELECT 1) DELETE FROM orders", "DROP VIEW orders", "CREATE OR REPLACE VIEW orders AS SELECT 1",
	} {
		if got, err := answer(t, s, sql); err == nil {
			t.Errorf("%s: %q", sql, got)
		}
	}
	if err := s.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	if _, err := answer(t, s, "DELETE FROM orders"); stateOf(err) != "25001" {
		t.Errorf("inside a transaction: %v", err)
	}
	if err := s.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if got, err := answer(t, s, notes); err != nil || got != "due one tre two uno" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestPurgeBesideChanges: neither a DELETE of what is past nor the stream waits
// for the other, or breaks it, whatever the stream does.
func TestPurgeBesideChanges(t *testing.T) {
	t.Parallel()
	w, d, shape := clientHistory(t)
	s := connect(t, w, "shop")
	end := func(id, at int, partial bool) {
		t.Helper()
		rows := penstock.NewRows(shape)
		rows.Vectors[0].AppendInt64(int64(id))
		rows.Vectors[1].AppendNull()
		v := penstock.NewVersions()
		v.RemoveAt.AppendInt64(int64(at))
		if err := d.Apply(t.Context(), "p", &penstock.Batch{Next: "p", Partial: partial, Tables: []penstock.TableBatch{{Table: shape, Rows: rows, Remove: []int32{0}, Versions: v}}}); err != nil {
			t.Fatal(err)
		}
	}
	left := func(want string) {
		t.Helper()
		if got, err := answer(t, s, notes); err != nil || got != want {
			t.Fatalf("%q, %v; want %q", got, err, want)
		}
	}
	// While a transaction of the stream is open.
	end(1, 300, true)
	if _, err := answer(t, s, "DELETE FROM orders WHERE id = 3"); err != nil {
		t.Fatal(err)
	}
	left("due one two uno")
	end(2, 310, false)
	left("due one two uno")
	if _, err := answer(t, s, "DELETE FROM orders WHERE note = 'uno'"); err != nil {
		t.Fatal(err)
	}
	left("due one two")

	// While the stream changes the table: one of the two fails, and that is not
	// the stream.
	altered := *shape
	altered.Columns = append(altered.Columns[:2:2], penstock.Column{ID: 3, Name: "more", Type: penstock.Type{Kind: penstock.TypeInt32}})
	if err := d.Apply(t.Context(), "p", &penstock.Batch{Next: "p", Partial: true, Alter: []penstock.Alteration{{Old: shape, New: &altered}}}); err != nil {
		t.Fatal(err)
	}
	_, err := answer(t, s, "DELETE FROM orders WHERE note = 'due'")
	if err != nil && stateOf(err) != "40001" {
		t.Errorf("a DELETE beside a change of the table: %v", err)
	}
	if err := d.Apply(t.Context(), "p", &penstock.Batch{Next: "p"}); err != nil {
		t.Fatal(err)
	}
	if err == nil {
		left("one two")
	} else {
		left("due one two")
	}
	if got, err := answer(t, s, "SELECT count(more) FROM orders"); err != nil || got != "0" {
		t.Fatalf("%q, %v", got, err)
	}
	if got, err := answer(t, s, "EXPLAIN SELECT id FROM orders WHERE _record_is_active"); err != nil || strings.Contains(got, "_past") {
		t.Errorf("a query of what is active reads what is past: %v\n%s", err, got)
	}
}
