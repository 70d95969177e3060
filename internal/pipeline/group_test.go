package pipeline

import (
	"fmt"
	"slices"
	"testing"

	"penstock"
)

// TestGroups: small tables share transactions, up to their number and size;
// chunks of a table that has several do not, and none is left out.
func TestGroups(t *testing.T) {
	t.Parallel()
	var chunks []penstock.Chunk
	add := func(table string, sizes ...int64) {
		of := &penstock.Table{ID: penstock.TableID(table)}
		for i, size := range sizes {
			chunks = append(chunks, penstock.Chunk{Table: of, Bytes: size, Token: fmt.Sprintf("%s.%d", table, i)})
		}
	}
	add("large", 1000, 1000, 10)
	add("whole", groupBytes+1)
	add("half", groupBytes/2)
	add("rest", groupBytes/2)
	add("more", 1)
	for i := range groupTables {
		add(fmt.Sprint(i), 0)
	}
	add("two", 1, 1)
	add("last", 1)
	var got []string
	var all []penstock.Chunk
	for g := range groups(chunks) {
		all = append(all, g...)
		got = append(got, fmt.Sprintf("%s+%d", g[0].Token, len(g)-1))
	}
	want := []string{"large.0+0", "large.1+0", "large.2+0", "whole.0+0", "half.0+1", fmt.Sprintf("more.0+%d", groupTables-1), fmt.Sprintf("%d.0+0", groupTables-1), "two.0+0", "two.1+0", "last.0+0"}
	if !slices.Equal(got, want) {
		t.Errorf("groups %q, want %q", got, want)
	}
	if !slices.Equal(all, chunks) {
		t.Error("the groups together are not the chunks")
	}
	for range groups(nil) {
		t.Error("no chunks make a group")
	}
}
