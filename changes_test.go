package penstock

import (
	"runtime"
	"testing"
)

// TestResetHoldsNothing: however much streams have read, when nothing happens at
// their sources they hold none of it (promise 7).
func TestResetHoldsNothing(t *testing.T) {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what is kept for the next use survives one
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	table := &Table{ID: "1", Columns: []Column{{ID: 1, Name: "id", Type: Type{Kind: TypeInt64}}}}
	fill := func(c *Changes, rows int) {
		tc := c.Table(table)
		for i := range rows {
			tc.Ops = append(tc.Ops, OpInsert)
			tc.Rows.Vectors[0].AppendInt64(int64(i))
		}
	}
	var all []*Changes
	before := heap()
	for range 20 {
		c := &Changes{}
		fill(c, 200_000)
		all = append(all, c)
	}
	if full := heap(); full < before+20*200_000*8 {
		t.Fatalf("%d bytes before, %d when all are full", before, full)
	}
	for _, c := range all {
		c.Reset()
		if !c.Empty() {
			t.Fatal("not empty")
		}
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("%d bytes before, %d after all were emptied", before, after)
	}

	// Nor do they while they read a few rows at a time, of what a large content took.
	for range 3 {
		for _, c := range all {
			fill(c, 200_000)
			c.Reset()
			fill(c, 1)
			c.Reset()
			fill(c, 1)
		}
		if after := heap(); after > before+20*minSpare+1<<20 {
			t.Errorf("%d bytes before, %d with a row in each", before, after)
		}
		for _, c := range all {
			c.Reset()
		}
	}
	runtime.KeepAlive(all)
}
