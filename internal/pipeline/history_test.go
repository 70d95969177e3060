package pipeline_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"penstock"
	"penstock/internal/source/memsource"
)

// then is what a table held at the source at a time between two commits.
type then struct {
	at   int64
	rows []string
}

// now waits until the source's clock has moved on from the last commit, and
// returns a time after it and before the next.
func now() int64 {
	at := time.Now().UnixMicro() + 1
	for time.Now().UnixMicro() <= at+1 {
	}
	return at
}

// firstColumns renders rows by their first n columns.
func firstColumns(rows *penstock.Rows, n int, keep func(i int) bool) []string {
	some := &penstock.Rows{}
	for c := range n {
		some.Vectors = append(some.Vectors, penstock.NewVector(rows.Vectors[c].Type()))
		for i := range rows.Len() {
			if keep(i) {
				some.Vectors[c].AppendFrom(&rows.Vectors[c], i)
			}
		}
	}
	return render(some)
}

func all(int) bool { return true }

// versions returns the rows of a table in history mode, and where its columns
// of history are.
func (s *small) versions(table string) (rows *penstock.Rows, active, from, to int, ok bool) {
	shape, rows, ok := s.target.Read("shop", "public", table)
	n := len(shape.Columns)
	if !ok || n < 3 || shape.Columns[n-3].Name != penstock.ActiveColumn {
		return nil, 0, 0, 0, false
	}
	return rows, n - 3, n - 2, n - 1, true
}

// settleActive waits until what is active of tables is what the source has.
func (s *small) settleActive(t *testing.T, tables ...string) {
	t.Helper()
	for _, table := range tables {
		deadline := time.Now().Add(20 * time.Second)
		for {
			want := render(s.db.Rows(table))
			var got []string
			rows, active, _, _, ok := s.versions(table)
			if ok {
				got = firstColumns(rows, active, func(i int) bool { return rows.Vectors[active].Bool(i) })
			}
			if ok && slices.Equal(got, want) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s in history mode: %v; target has %d rows, source %d; failures %v\nstatus %+v", table, ok, len(got), len(want), s.failures(), s.status())
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// folds checks that the versions of a time are what the source had then.
func (s *small) folds(t *testing.T, table string, moments []then) {
	t.Helper()
	rows, _, from, to, ok := s.versions(table)
	if !ok {
		t.Fatalf("%s is not in history mode", table)
	}
	for k, m := range moments {
		got := firstColumns(rows, 3, func(i int) bool {
			return rows.Vectors[from].Int64(i) <= m.at && (rows.Vectors[to].IsNull(i) || rows.Vectors[to].Int64(i) > m.at)
		})
		if !slices.Equal(got, m.rows) {
			t.Fatalf("%s at moment %d of %d, %d: %d versions hold and the source had %d rows:\n%.600q\n%.600q", table, k, len(moments), m.at, len(got), len(m.rows), got, m.rows)
		}
	}
}

// TestHistoryMode changes tables of each kind while calls fail and the process
// starts anew, with history mode from the beginning: every state that the source
// was in can be read afterwards.
func TestHistoryMode(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 30)
	s.db.Tell()
	s.config.Options.HistoryMode = true
	var calls atomic.Int64
	s.target.Intercept(func(op string) error {
		if op == "Apply" && calls.Add(1)%17 == 0 {
			return errInjected
		}
		return nil
	})
	s.keep(t)
	s.settleActive(t, allKinds...)
	now()
	moments := map[string][]then{}
	remember := func() {
		at := now()
		for _, table := range allKinds {
			moments[table] = append(moments[table], then{at, firstColumns(s.db.Rows(table), 3, all)})
		}
	}
	remember()
	for i := range 200 {
		switch {
		case i%4 == 0 && i < 180: // several transactions between two moments, and so perhaps in one batch
			s.work(i)
		case i%50 == 25:
			s.db.Do(func(tx *memsource.Tx) {
				tx.Insert("keyed", 7000+i, 0, "never seen")
				tx.Truncate("keyed")
				tx.Insert("keyed", 1, 100, "again")
				tx.Truncate("bare")
			})
		case i == 180:
			s.addColumn("keyed")
			s.addColumn("bare")
			remember()
			s.db.Do(func(tx *memsource.Tx) { tx.Insert("keyed", 8000, 1, "more", 7) })
		case i < 180:
			s.db.Do(func(tx *memsource.Tx) {
				tx.Update("whole", 1+i%10, map[string]any{"body": fmt.Sprint(i)})
				tx.Update("keyed", 1, map[string]any{"body": fmt.Sprint(i)})
				tx.Update("keyed", 1, map[string]any{"body": fmt.Sprint("and ", i)})
			})
		}
		remember()
		if i%60 == 40 {
			s.settleActive(t, allKinds...)
		}
	}
	s.settleActive(t, allKinds...)
	for _, table := range allKinds {
		s.folds(t, table, moments[table])
	}
	for _, st := range s.status().Tables {
		if !st.History || st.State != penstock.TableSynced {
			t.Errorf("%+v", st)
		}
	}
	t.Logf("%d moments, %d restarts", len(moments["keyed"]), len(s.failures()))
}

// ask repeats what may find the stream not running, as a user would.
func (s *small) ask(t *testing.T, do func(ctx context.Context) error) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		err := do(t.Context())
		if err == nil {
			return
		}
		if penstock.KindOf(err) != penstock.KindInvalidState || time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestSwitchHistory turns history mode on and off while tables are changed.
func TestSwitchHistory(t *testing.T) {
	t.Parallel()
	s := newSmall(t, 20)
	s.keep(t)
	s.settle(t, allKinds...)
	s.work(0)
	set := func(c penstock.HistoryChange, want int) {
		t.Helper()
		s.ask(t, func(ctx context.Context) error {
			n, skipped, err := s.current().SetHistory(ctx, c)
			if err == nil && (n != want || skipped != 0) {
				t.Errorf("%+v: %d tables, %d skipped", c, n, skipped)
			}
			return err
		})
	}
	set(penstock.HistoryChange{On: true, Tables: []penstock.TableName{{Name: "keyed"}, {Schema: "public", Name: "bare"}}}, 2)
	set(penstock.HistoryChange{On: true, Tables: []penstock.TableName{{Name: "keyed"}}}, 0)
	s.settleActive(t, "keyed", "bare")
	s.settle(t, "whole")
	var moments []then
	for i := range 30 {
		s.work(1 + i)
		moments = append(moments, then{now(), firstColumns(s.db.Rows("keyed"), 3, all)})
	}
	set(penstock.HistoryChange{On: true}, 1)
	s.settleActive(t, allKinds...)
	s.folds(t, "keyed", moments)
	set(penstock.HistoryChange{On: false, Schemas: []string{"public"}}, 3)
	s.work(50)
	s.settle(t, allKinds...)
	for _, st := range s.status().Tables {
		if st.History {
			t.Errorf("%+v", st)
		}
	}
	if _, _, err := s.current().SetHistory(t.Context(), penstock.HistoryChange{On: true, Tables: []penstock.TableName{{Name: "none"}}}); penstock.KindOf(err) != penstock.KindNotFound {
		t.Errorf("a table that is not there: %v", err)
	}
}

// TestHistoryOfGoneTables: a table that is dropped keeps its history, whether
// the stream tells of it or it is found missing; one of its name may come.
func TestHistoryOfGoneTables(t *testing.T) {
	t.Parallel()
	for _, told := range []bool{true, false} {
		t.Run(fmt.Sprint("told ", told), func(t *testing.T) {
			t.Parallel()
			historyOfGoneTables(t, told)
		})
	}
}

func historyOfGoneTables(t *testing.T, told bool) {
	s := newSmall(t, 20)
	if told {
		s.db.Tell()
	}
	s.config.Options.HistoryMode = true
	s.keep(t)
	s.settleActive(t, allKinds...)
	s.db.Do(func(tx *memsource.Tx) { tx.Update("keyed", 1, map[string]any{"body": "last"}) })
	at := now()
	had := firstColumns(s.db.Rows("keyed"), 3, all)
	s.db.Drop("keyed")
	state := func(name string, want penstock.TableState) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			i := slices.IndexFunc(s.status().Tables, func(st penstock.TableStatus) bool { return st.Table.Name == name })
			if i >= 0 && s.status().Tables[i].State == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is not %s: %+v", name, want, s.status().Tables)
			}
		}
	}
	state("keyed", penstock.TableDroppedSource)
	s.folds(t, "keyed", []then{{at, had}, {now(), nil}})
	s.create("keyed", penstock.IdentityKey)
	s.db.Do(func(tx *memsource.Tx) { tx.Insert("keyed", 1, 1, "another table") })
	s.settleActive(t, allKinds...)
	state("keyed", penstock.TableSynced)

	// What somebody does to it here, and goes on there.
	s.ask(t, func(ctx context.Context) error { return s.current().EndRows(ctx, penstock.TableName{Name: "whole"}) })
	s.folds(t, "whole", []then{{now(), nil}})
	s.db.Do(func(tx *memsource.Tx) { tx.Insert("whole", 500, 1, "new") })
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if rows, active, _, _, _ := s.versions("whole"); slices.Equal(firstColumns(rows, 1, func(i int) bool { return rows.Vectors[active].Bool(i) }), firstColumns(rows, 1, func(i int) bool { return rows.Vectors[0].Int64(i) == 500 })) && rows.Len() == 21 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the row has not come")
		}
	}
	if err := s.current().EndRows(t.Context(), penstock.TableName{Name: "none"}); penstock.KindOf(err) != penstock.KindNotFound {
		t.Errorf("a table that is not there: %v", err)
	}
	// Loaded again, it has what the source has, and has lost nothing.
	s.ask(t, func(ctx context.Context) error {
		_, err := s.current().Refresh(ctx, penstock.Refresh{Scope: penstock.RefreshAll})
		return err
	})
	s.settleActive(t, allKinds...)
	if rows, active, _, _, _ := s.versions("whole"); len(firstColumns(rows, 1, func(i int) bool { return !rows.Vectors[active].Bool(i) })) != 20 {
		t.Errorf("%d rows", rows.Len())
	}
}
