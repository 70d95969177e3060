package pipeline

import (
	"testing"

	"penstock"
)

// TestCutter: batches that are cut since too many tables change have half as many, but
// now and then all are tried again; others have as many as there is room for.
func TestCutter(t *testing.T) {
	t.Parallel()
	var cut cutter
	batch := func(changing int) (tables int) {
		c := &penstock.Changes{MostTables: cut.next(8)}
		for range min(changing, c.MostTables) {
			c.Tables = append(c.Tables, &penstock.TableChanges{})
		}
		cut.filled(c)
		return len(c.Tables)
	}
	count := func(changing, batches int) map[int]int {
		seen := map[int]int{}
		for range batches {
			seen[batch(changing)]++
		}
		return seen
	}
	if seen := count(6, 100); seen[6] != 100 {
		t.Errorf("of six tables where eight have room there are %v", seen)
	}
	if seen := count(20, 170); seen[8] != 10 || seen[4] != 160 {
		t.Errorf("of twenty tables there are %v", seen)
	}
	if count(6, 20); batch(6) != 6 {
		t.Error("of six tables again there are less")
	}
	if cut.next(0) != 0 || (&cutter{small: true}).next(1) != 1 {
		t.Error("no limit is one, or one table is too many")
	}
}
