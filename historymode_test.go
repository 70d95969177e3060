package penstock

import (
	"fmt"
	"testing"
	"time"
)

// TestVersionedChanges: rows of tables of which versions are kept are marked with
// the transactions that they belong to, whose times do not go back.
func TestVersionedChanges(t *testing.T) {
	t.Parallel()
	shape := func(id TableID) *Table {
		return &Table{ID: id, Name: "t" + string(id), Columns: []Column{{ID: 1, Name: "a", Type: Type{Kind: TypeInt32}}}}
	}
	kept, plain := shape("1"), shape("2")
	c := Changes{Versioned: map[TableID]bool{"1": true}}
	at := func(micros int64) time.Time { return time.UnixMicro(micros) }
	add := func(table *Table, n int) {
		tc := c.Table(table)
		for range n {
			tc.Rows.Vectors[0].AppendInt32(1)
			tc.Ops = append(tc.Ops, OpInsert)
		}
	}
	marks := func() (text string) {
		for _, m := range c.Table(kept).Commits {
			text += fmt.Sprintf("%d@%d ", m.First, m.At.UnixMicro())
		}
		return text
	}
	want := func(what, commits string, ops int) {
		t.Helper()
		if got := marks(); got != commits || len(c.Table(kept).Ops) != ops || c.Table(kept).Rows.Len() != ops {
			t.Errorf("%s: %s, %d ops, %d rows; want %s, %d", what, got, len(c.Table(kept).Ops), c.Table(kept).Rows.Len(), commits, ops)
		}
	}
	c.Begin(at(10))
	add(kept, 2)
	add(plain, 1)
	c.Begin(at(20))
	add(plain, 1)
	add(kept, 1)
	c.Begin(at(15)) // by a clock that has gone back
	add(kept, 1)
	c.Begin(at(30))
	c.Table(kept).Truncate()
	c.Table(plain).Truncate()
	add(kept, 1)
	want("after five transactions", "0@10 2@20 4@30 ", 6)
	if ops := c.Table(kept).Ops; ops[4] != OpTruncate || !c.Table(kept).Rows.Vectors[0].IsNull(4) || c.Table(kept).Truncated {
		t.Errorf("emptied: %v", ops)
	}
	if tc := c.Table(plain); tc.Commits != nil || len(tc.Ops) != 0 || !tc.Truncated {
		t.Errorf("another table: %+v", tc)
	}
	if !c.Time().Equal(at(30)) {
		t.Errorf("the time is %v", c.Time())
	}
	c.Table(kept).Cut(2)
	want("cut", "0@10 2@30 ", 2) // what follows belongs to the transaction in hand
	c.Begin(at(40))
	c.Drop(kept)
	want("dropped", "0@10 2@40 ", 3)
	c.Drop(plain)
	if len(c.Dropped) != 2 || len(c.Tables) != 1 {
		t.Errorf("dropped %v, left %d", c.Dropped, len(c.Tables))
	}
	c.Reset()
	add(kept, 1)
	want("reset", fmt.Sprintf("0@%d ", time.Time{}.UnixMicro()), 1)
}

func TestHistoryChange(t *testing.T) {
	t.Parallel()
	status := func(schema, name string, s TableState, history bool) TableStatus {
		return TableStatus{Table: Table{ID: TableID(schema + name), Schema: schema, Name: name}, State: s, History: history}
	}
	all := []TableStatus{
		status("a", "x", TableSynced, false), status("a", "y", TableSynced, true), status("a", "z", TableResyncInitiated, false),
		status("b", "x", TableSynced, false), status("b", "gone", TableDroppedSource, true),
	}
	for _, c := range []struct {
		change  HistoryChange
		chosen  string
		skipped int
		kind    Kind
	}{
		{HistoryChange{On: true}, "a.x b.x ", 1, 0},
		{HistoryChange{On: true, Schemas: []string{"b"}}, "b.x ", 0, 0},
		{HistoryChange{On: false}, "a.y ", 0, 0},
		{HistoryChange{On: true, Tables: []TableName{{"a", "x"}, {"", "y"}}}, "a.x ", 0, 0},
		{HistoryChange{On: true, Tables: []TableName{{"", "z"}}}, "", 0, KindInvalidState},
		{HistoryChange{On: true, Tables: []TableName{{"", "x"}}}, "", 0, KindInvalid},
		{HistoryChange{On: true, Tables: []TableName{{"", "none"}}}, "", 0, KindNotFound},
		{HistoryChange{On: false, Tables: []TableName{{"b", "gone"}}}, "", 0, KindInvalidState},
	} {
		chosen, skipped, err := c.change.Select(all)
		got := ""
		for _, s := range chosen {
			got += s.Table.String() + " "
		}
		if c.kind == 0 && err != nil || c.kind != 0 && (err == nil || KindOf(err) != c.kind) || got != c.chosen || skipped != c.skipped {
			t.Errorf("%+v: %s, %d skipped, %v", c.change, got, skipped, err)
		}
	}
	if (HistoryChange{}).Future() != true || (HistoryChange{Schemas: []string{"a"}}).Future() || (HistoryChange{Tables: []TableName{{}}}).Future() {
		t.Error("what is meant of tables to come")
	}
}
