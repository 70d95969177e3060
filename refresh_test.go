package penstock_test

import (
	"slices"
	"testing"

	"penstock"
)

func TestRefreshSelects(t *testing.T) {
	t.Parallel()
	table := func(schema, name string, state penstock.TableState) penstock.TableStatus {
		return penstock.TableStatus{Table: penstock.Table{ID: penstock.TableID(schema + "." + name), Schema: schema, Name: name}, State: state}
	}
	all := []penstock.TableStatus{
		table("a", "synced", penstock.TableSynced), table("a", "failed", penstock.TableFailed),
		table("a", "waiting", penstock.TableResyncRequired), table("a", "loading", penstock.TableResyncInitiated),
		table("a", "twice", penstock.TableSynced), table("b", "twice", penstock.TableSynced),
		table("b", "kept", penstock.TableDroppedSource), table("b", "gone", penstock.TableDeleted),
		table("b", "failed", penstock.TableFailed),
	}
	named := func(names ...penstock.TableName) penstock.Refresh { return penstock.Refresh{Tables: names} }
	for _, c := range []struct {
		name    string
		refresh penstock.Refresh
		want    []string
		kind    penstock.Kind
	}{
		{"all", penstock.Refresh{Scope: penstock.RefreshAll}, []string{"a.synced", "a.failed", "a.waiting", "a.twice", "b.twice", "b.failed"}, 0},
		{"all in a schema", penstock.Refresh{Scope: penstock.RefreshAll, Schemas: []string{"b"}}, []string{"b.twice", "b.failed"}, 0},
		{"all in no schema", penstock.Refresh{Scope: penstock.RefreshAll, Schemas: []string{"c"}}, nil, 0},
		{"in error", penstock.Refresh{Scope: penstock.RefreshInError}, []string{"a.failed", "a.waiting", "b.failed"}, 0},
		{"in error in a schema", penstock.Refresh{Scope: penstock.RefreshInError, Schemas: []string{"a", "c"}}, []string{"a.failed", "a.waiting"}, 0},
		{"named", named(penstock.TableName{Schema: "b", Name: "twice"}, penstock.TableName{Name: "synced"}), []string{"b.twice", "a.synced"}, 0},
		{"named twice", named(penstock.TableName{Name: "synced"}, penstock.TableName{Schema: "a", Name: "synced"}), []string{"a.synced"}, 0},
		{"being loaded", named(penstock.TableName{Name: "loading"}), nil, 0},
		{"unknown", named(penstock.TableName{Name: "synced"}, penstock.TableName{Schema: "b", Name: "synced"}), nil, penstock.KindNotFound},
		{"gone", named(penstock.TableName{Name: "gone"}), nil, penstock.KindNotFound},
		{"several", named(penstock.TableName{Name: "twice"}), nil, penstock.KindInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.refresh.Select(all)
			if c.kind != 0 {
				if penstock.KindOf(err) != c.kind {
					t.Fatalf("error %v, want one of kind %s", err, c.kind)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, s := range got {
				names = append(names, s.Table.String())
			}
			if !slices.Equal(names, c.want) {
				t.Errorf("got %q, want %q", names, c.want)
			}
		})
	}
}
