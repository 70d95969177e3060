package duckdbtarget

import (
	"fmt"
	"testing"

	"penstock"
)

// TestPlansAreOfTheirTransaction: what a statement answers is of the transaction
// that it runs in, whenever it was prepared. The engine makes constants of what its
// statistics tell when it plans.
func TestPlansAreOfTheirTransaction(t *testing.T) {
	t.Parallel()
	w, d := clientWarehouse(t)
	const queries = 4
	text := func(n int) []string {
		return []string{"SELECT count(*) FROM public.orders", "SELECT max(id) FROM public.orders", fmt.Sprintf("SELECT count(*) FROM public.orders WHERE id = %d", n),
			fmt.Sprintf("SELECT id FROM public.orders WHERE id >= %d ORDER BY id", n)}
	}
	// more adds a row and has everything moved into the file, where statistics are exact.
	more := func(n int) {
		t.Helper()
		shape := &d.entries["1"].Readable.Shape.Table
		rows := penstock.NewRows(shape)
		rows.Vectors[0].AppendInt64(int64(n))
		rows.Vectors[1].AppendString("new")
		if err := d.Apply(t.Context(), d.applied, &penstock.Batch{Next: penstock.Position(fmt.Sprint(n)), Tables: []penstock.TableBatch{{Table: shape, Rows: rows, Put: []int32{0}}}}); err != nil {
			t.Fatal(err)
		}
		d.checkpoint(t.Context())
	}
	answer := func(st penstock.Statement) string {
		t.Helper()
		result, err := st.Query(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer result.Close()
		out := ""
		for {
			rows, err := result.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if rows == nil {
				return out
			}
			out += render(rows)
		}
	}
	d.checkpoint(t.Context())
	s := connect(t, w, "shop")
	var once []penstock.Statement // prepared before the rows that they are about
	for _, sql := range text(5) {
		st, err := s.Prepare(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		once = append(once, st)
	}
	for n := 3; n < 9; n++ {
		more(n)
		for i, sql := range text(n) {
			fresh, err := s.Prepare(t.Context(), sql)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				more(n + 100) // after the statement was prepared
			}
			want := []string{fmt.Sprint(2*n - 2), fmt.Sprint(n + 100), "1", ""}[i]
			if got := answer(fresh); i < queries-1 && got != want {
				t.Errorf("%s answers %s with %d rows added, want %s", sql, got, 2*(n-2), want)
			}
			fresh.Close()
		}
		want := []string{fmt.Sprint(2*n - 2), fmt.Sprint(n + 100), "0"}
		if n >= 5 {
			want[2] = "1"
		}
		for i, w := range want {
			if got := answer(once[i]); got != w {
				t.Errorf("%s, prepared long ago, answers %s, want %s", text(5)[i], got, w)
			}
		}
	}
	// Within a transaction that stays what it was when that began, but for its own changes.
	dev := connect(t, w, "dev")
	mustQuery := func(sql string) {
		t.Helper()
		if _, err := query(t, dev, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	mustQuery("CREATE TABLE own (i INTEGER)")
	count, err := dev.Prepare(t.Context(), "SELECT count(*) FROM own")
	if err != nil {
		t.Fatal(err)
	}
	if err := dev.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if got := answer(count); got != fmt.Sprint(n) {
			t.Errorf("%s rows within a transaction that has added %d", got, n)
		}
		mustQuery(fmt.Sprintf("INSERT INTO own VALUES (%d)", n))
	}
}
