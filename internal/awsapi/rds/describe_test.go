package rds_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"penstock/internal/control"
)

var identifierElement = regexp.MustCompile(`<(?:DBClusterIdentifier|DBInstanceIdentifier)>([^<]*)<`)

func TestDatabasesAreSelected(t *testing.T) {
	t.Parallel()
	server := setup(t, &fake{sources: sources()})
	filter := func(n int, name string, values ...string) (out []string) {
		at := fmt.Sprintf("Filters.Filter.%d", n)
		out = append(out, at+".Name="+name)
		for i, v := range values {
			out = append(out, fmt.Sprintf("%s.Values.Value.%d=%s", at, i+1, v))
		}
		return out
	}
	for _, test := range []struct {
		base    map[string]string
		changes []string
		want    string
	}{
		{clustersForm, nil, "crm shop"},
		{clustersForm, []string{"DBClusterIdentifier=Shop"}, "shop"},
		{clustersForm, []string{"DBClusterIdentifier=" + sourceARN}, "shop"},
		{clustersForm, filter(1, "db-cluster-id", "x", "crm"), "crm"},
		{clustersForm, filter(1, "db-cluster-id", sourceARN), "shop"},
		{clustersForm, filter(1, "engine", "postgres"), "crm shop"},
		{clustersForm, filter(1, "engine", "aurora-mysql"), ""},
		{clustersForm, filter(1, "db-cluster-resource-id", "cluster-MRIYBYN6IZKZZZZZZZZZZZZZZZ"), ""},
		{clustersForm, append(filter(1, "engine", "postgres"), filter(2, "db-cluster-id", "shop")...), "shop"},
		{clustersForm, append(filter(1, "db-cluster-id", "crm"), "DBClusterIdentifier=shop"), ""},
		{dbsForm, nil, "old"},
		{dbsForm, []string{"DBInstanceIdentifier=old"}, "old"},
		{dbsForm, filter(1, "db-instance-id", "arn:aws:rds:us-east-1:123456789012:db:old"), "old"},
	} {
		reply := post(t, server, form(test.base, test.changes...))
		var got []string
		for _, m := range identifierElement.FindAllStringSubmatch(reply.Body, -1) {
			got = append(got, m[1])
		}
		if s := strings.Join(got, " "); reply.Status != 200 || s != test.want {
			t.Errorf("%v: %d %s, want %s", test.changes, reply.Status, s, test.want)
		}
	}
}

func TestDatabasesInPages(t *testing.T) {
	t.Parallel()
	var many []control.SourceView
	for i := range 50 {
		many = append(many, control.SourceView{Name: fmt.Sprintf("s%02d", i), Kind: "cluster", ARN: "arn:x", Engine: "PostgreSQL"})
	}
	server := setup(t, &fake{sources: many})
	marker := regexp.MustCompile(`<Marker>([^<]*)<`)
	var names []string
	changes := []string{"MaxRecords=20"}
	for pages := 1; ; pages++ {
		reply := post(t, server, form(clustersForm, changes...))
		for _, m := range identifierElement.FindAllStringSubmatch(reply.Body, -1) {
			names = append(names, m[1])
		}
		next := marker.FindStringSubmatch(reply.Body)
		if next == nil {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
		changes = []string{"MaxRecords=20", "Marker=" + next[1]}
	}
	if len(names) != 50 || names[0] != "s00" || names[49] != "s49" {
		t.Errorf("the names are %v", names)
	}
}

// TestEventsAsked checks which period and which kinds the control plane is
// asked for.
func TestEventsAsked(t *testing.T) {
	t.Parallel()
	f := &fake{}
	server := setup(t, f)
	ask := func(changes ...string) control.EventsRequest {
		t.Helper()
		if reply := post(t, server, form(eventsForm, changes...)); reply.Status != 200 {
			t.Fatalf("%d %s", reply.Status, reply.Body)
		}
		return f.asked
	}
	near := func(got, want time.Time) {
		t.Helper()
		if d := got.Sub(want); d < -time.Minute || d > time.Minute {
			t.Errorf("the time is %v, want %v", got, want)
		}
	}
	now := time.Now()
	r := ask()
	near(r.Since, now.Add(-time.Hour))
	near(r.Until, now)
	if r.Kinds != nil || r.Identifier != "" || r.MaxRecords != 0 {
		t.Errorf("%+v", r)
	}
	r = ask("Duration=120", "SourceIdentifier=my-int", "MaxRecords=21", "Marker=m")
	near(r.Since, now.Add(-2*time.Hour))
	if r.Identifier != "my-int" || r.MaxRecords != 21 || r.Marker != "m" {
		t.Errorf("%+v", r)
	}
	at := now.Add(-5 * time.Hour).UTC().Truncate(time.Second)
	r = ask("StartTime="+at.Format(time.RFC3339), "Duration=60")
	near(r.Since, at)
	near(r.Until, at.Add(time.Hour))
	r = ask("StartTime=" + at.Format(time.RFC3339))
	near(r.Since, at)
	near(r.Until, now)
	r = ask("EndTime=" + at.Format("2006-01-02T15:04:05"))
	near(r.Since, at.Add(-time.Hour))
	near(r.Until, at)
	r = ask("StartTime=2020-01-01")
	near(r.Since, now.Add(-14*24*time.Hour))

	r = ask("EventCategories.EventCategory.1=creation", "EventCategories.EventCategory.2=Deletion")
	if fmt.Sprint(r.Kinds) != fmt.Sprint([]any{control.EventCreated, control.EventDeleted, control.EventDeleting, control.EventDatabaseCreated, control.EventDatabaseDropped}) {
		t.Errorf("the kinds are %v", r.Kinds)
	}
	if r = ask("EventCategories.EventCategory.1=backup"); r.Kinds == nil || len(r.Kinds) != 0 {
		t.Errorf("the kinds are %v", r.Kinds)
	}
}
