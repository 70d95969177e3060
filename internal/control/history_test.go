package control

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"penstock"
	"penstock/internal/store/storetest"
)

func TestEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	add := func(n int) {
		t.Helper()
		id := storetest.Sample(n % 2).ID
		err := b.cfg.Store.AddEvent(ctx, penstock.Event{At: start.Add(time.Duration(n/2) * time.Second), Integration: id,
			Name: fmt.Sprint("i", n%2), Kind: []penstock.EventKind{EventCreated, EventDeleted}[n%2], Message: fmt.Sprint(n)})
		if err != nil {
			t.Fatal(err)
		}
	}
	for n := range 50 {
		add(n)
	}
	find := func(r EventsRequest) (text, marker string) {
		t.Helper()
		if r.Until.IsZero() {
			r.Until = start.Add(time.Hour)
		}
		reply, err := b.svc.Events(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, e := range reply.Events {
			all = append(all, e.Message)
			if e.ARN != b.cfg.IntegrationARN(e.Integration) {
				t.Errorf("the ARN is %s", e.ARN)
			}
		}
		return strings.Join(all, " "), reply.Marker
	}
	want := func(r EventsRequest, text string) {
		t.Helper()
		if got, marker := find(r); got != text || marker != "" {
			t.Errorf("%+v: %s, %q; want %s", r, got, marker, text)
		}
	}
	want(EventsRequest{Since: start.Add(23 * time.Second)}, "46 47 48 49")
	want(EventsRequest{Until: start.Add(time.Second)}, "0 1 2 3")
	want(EventsRequest{Since: start.Add(24 * time.Second), Identifier: "i1"}, "49")
	want(EventsRequest{Since: start.Add(24 * time.Second), Identifier: string(storetest.Sample(1).ID)}, "49")
	want(EventsRequest{Since: start.Add(24 * time.Second), Identifier: b.cfg.IntegrationARN(storetest.Sample(0).ID)}, "48")
	want(EventsRequest{Identifier: "other"}, "")
	want(EventsRequest{Since: start.Add(23 * time.Second), Kinds: []penstock.EventKind{EventDeleted}}, "47 49")

	// Pages, with an event added between them.
	one, marker := find(EventsRequest{MaxRecords: 21})
	add(50)
	two, marker := find(EventsRequest{MaxRecords: 21, Marker: marker})
	three, end := find(EventsRequest{MaxRecords: 21, Marker: marker})
	var all []string
	for n := range 51 {
		all = append(all, fmt.Sprint(n))
	}
	if got := one + " " + two + " " + three; got != strings.Join(all, " ") || end != "" || !strings.HasSuffix(one, " 20") {
		t.Errorf("the pages are %s, then %q", got, end)
	}
	_, err := b.svc.Events(ctx, EventsRequest{Marker: "x"})
	wantKind(t, err, penstock.KindInvalid, "Marker")
}

func TestInbound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	one, err := b.svc.Create(ctx, b.request("one"))
	if err != nil {
		t.Fatal(err)
	}
	b.force(one.ID, penstock.StatusActive)
	r := b.request("two")
	r.TargetARN = targetARN("2")
	if _, err := b.svc.Create(ctx, r); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		target, identifier, want string
	}{
		{"", "", "one two"}, {targetARN("1"), "", "one"}, {targetARN("2"), "", "two"}, {targetARN("9"), "", ""},
		{"", one.ARN, "one"}, {targetARN("1"), one.ARN, "one"}, {targetARN("2"), one.ARN, ""},
	} {
		reply, err := b.svc.Inbound(ctx, test.target, ListRequest{Identifier: test.identifier})
		var all []string
		for _, in := range reply.Integrations {
			all = append(all, in.Name)
		}
		if got := strings.Join(all, " "); err != nil || got != test.want {
			t.Errorf("%+v: %s, %v", test, got, err)
		}
	}
	_, err = b.svc.Inbound(ctx, "", ListRequest{Identifier: one.ARN + "0"})
	wantKind(t, err, penstock.KindIntegrationNotFound, "does not exist")
}

func TestResources(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.cfg.Sources["shop"]
	e.Address = Address{Host: "db", Port: 5432, User: "u", Database: "d"}
	b.cfg.Sources["shop"] = e
	b.make()
	if got, want := fmt.Sprint(b.svc.Sources()), "[{old db arn:aws:rds:us-east-1:123456789012:db:old PostgreSQL { 0  }} "+
		"{shop cluster arn:aws:rds:us-east-1:123456789012:cluster:shop PostgreSQL {db 5432 u d}}]"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	targets := b.svc.Targets()
	if len(targets) != 2 || targets[0].Name != "analytics" || targets[0].Namespace != "0f7c3c5e-0000-4000-8000-000000000001" ||
		targets[0].ARN != targetARN("1") || targets[0].Engine != "duckdb" {
		t.Errorf("%+v", targets)
	}
}
