package e2e

import (
	"encoding/json"
	"testing"

	"penstock/internal/testdb/dbtest"
)

// TestFilter: penstock filter shows what a filter selects, and why.
func TestFilter(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, `CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE audit (id int); CREATE SCHEMA x; CREATE TABLE x."A b" (id int);
		CREATE VIEW recent AS SELECT * FROM orders; CREATE UNLOGGED TABLE scratch (id int)`)
	p := configured(t, db.URL())
	d := db.Name
	filter := "include: " + d + ".*.*, exclude: " + d + ".public.audit, exclude: " + d + `.x./A.*/, include: ` + d + ".y.*"
	out, code := p.run(t, "filter", "shop", filter)
	want := "- " + d + ".public.audit    exclude: " + d + ".public.audit\n" +
		"+ " + d + ".public.orders   include: " + d + ".*.*\n" +
		"+ " + d + ".public.recent   include: " + d + ".*.* (a view, which is not replicated)\n" +
		"+ " + d + ".public.scratch  include: " + d + ".*.* (an unlogged table, which is not replicated)\n" +
		"- " + d + ".x.A b           exclude: " + d + ".x./A.*/\n" +
		"3 of 5 tables are selected\n" +
		"this rule decides no table: include: " + d + ".y.*\n"
	if code != 0 || out != want {
		t.Errorf("exit code %d:\n%s\nwant\n%s", code, out, want)
	}

	out, code = p.run(t, "filter", "shop", "include: "+d+".x.*, include: nowhere.*.*", "--output", "json")
	var r struct {
		Source, Filter string
		Rules          []struct {
			Rule    string
			Decided int
		}
		Tables []struct {
			Database, Schema, Table, Kind string
			Selected, Carried             bool
			Rule                          int
		}
		Missing []string
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 1 {
		t.Fatalf("exit code %d, %v:\n%s", code, err, out)
	}
	if r.Source != "shop" || len(r.Rules) != 2 || r.Rules[0].Decided != 1 || len(r.Tables) != 5 || len(r.Missing) != 1 || r.Missing[0] != "nowhere" {
		t.Errorf("%+v", r)
	}
	if last := r.Tables[4]; last.Database != d || last.Schema != "x" || last.Table != "A b" || !last.Selected || last.Rule != 1 || !last.Carried || r.Tables[0].Rule != 0 {
		t.Errorf("%+v", r.Tables)
	}

	for _, args := range [][]string{
		{"filter", "shop"}, {"filter", "nobody", filter}, {"filter", "shop", "exclude: a.b.c"}, {"filter", "shop", "include: a.b"},
		{"filter", "shop", filter, "--output", "xml"},
	} {
		if out, code := p.run(t, args...); code != 2 {
			t.Errorf("%v: exit code %d: %s", args, code, out)
		}
	}
	gone := configured(t, "postgres://app@127.0.0.1:1/postgres")
	if out, code := gone.run(t, "filter", "shop", filter); code != 1 || !containsAll(out, "connection refused", "url") {
		t.Errorf("exit code %d: %s", code, out)
	}
}
