package storetest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"penstock"
)

func events(t *testing.T, s penstock.Store) {
	ctx := t.Context()
	event := func(n int, id penstock.IntegrationID) penstock.Event {
		return penstock.Event{At: start.Add(time.Duration(n) * time.Second), Integration: id, Name: "name", Kind: "kind",
			Severity: penstock.SeverityWarning, Message: fmt.Sprint(n)}
	}
	create(t, s, Sample(1))
	for n, id := range []penstock.IntegrationID{"a", "b", "a", Sample(1).ID} {
		if err := s.AddEvent(ctx, event(n, id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(ctx, Sample(1).ID); err != nil {
		t.Fatal(err)
	}
	want := func(id penstock.IntegrationID, since time.Time, messages string) {
		t.Helper()
		got, err := s.Events(ctx, id, since)
		if err != nil {
			t.Fatal(err)
		}
		var text string
		var last int64
		for _, e := range got {
			text += e.Message
			if e.ID <= last {
				t.Errorf("event %s has the ID %d after %d", e.Message, e.ID, last)
			}
			last = e.ID
			e.ID = 0
			var n int
			fmt.Sscan(e.Message, &n)
			if !reflect.DeepEqual(e, event(n, e.Integration)) {
				t.Errorf("the event is %+v", e)
			}
		}
		if text != messages {
			t.Errorf("Events(%q, %v) are %s; want %s", id, since, text, messages)
		}
	}
	want("", time.Time{}, "0123")
	want("a", time.Time{}, "02")
	want("", start.Add(2*time.Second), "23")
	want(Sample(1).ID, time.Time{}, "3")
	if err := s.PruneEvents(ctx, start.Add(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	want("", time.Time{}, "23")
	if err := s.PruneEvents(ctx, start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := s.AddEvent(ctx, event(5, "c")); err != nil {
		t.Fatal(err)
	}
	got, err := s.Events(ctx, "", time.Time{})
	if err != nil || len(got) != 1 || got[0].ID != 5 {
		t.Errorf("after pruning: %+v, %v; IDs are not given twice", got, err)
	}
}

func orphans(t *testing.T, s penstock.Store) {
	ctx := t.Context()
	young := penstock.Orphan{Integration: "a", Name: "n", Source: "shop", Since: start.Add(time.Hour), LastTry: start.Add(2 * time.Hour), LastError: "e",
		ByHand: []string{"DROP …", ""}}
	old := penstock.Orphan{Integration: "b", Name: "m", Source: "shop", Since: start, LastTry: start}
	for _, o := range []penstock.Orphan{young, {Integration: "b", Since: start}, old} {
		if err := s.PutOrphan(ctx, o); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Orphans(ctx)
	if err != nil || !reflect.DeepEqual(got, []penstock.Orphan{old, young}) {
		t.Errorf("Orphans: %+v, %v", got, err)
	}
	if err := s.DeleteOrphan(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Orphans(ctx); err != nil || len(got) != 1 {
		t.Errorf("Orphans: %+v, %v", got, err)
	}
}

func policies(t *testing.T, s penstock.Store) {
	ctx := t.Context()
	want := func(arn, document string) {
		t.Helper()
		if got, err := s.Policy(ctx, arn); err != nil || got != document {
			t.Errorf("Policy(%s): %q, %v; want %q", arn, got, err, document)
		}
	}
	_, err := s.Policy(ctx, "a")
	wantKind(t, err, penstock.KindNotFound)
	wantKind(t, s.DeletePolicy(ctx, "a"), penstock.KindNotFound)
	for _, p := range [][2]string{{"a", "1"}, {"b", `{"é": "2"}`}, {"a", "3"}} {
		if err := s.PutPolicy(ctx, p[0], p[1]); err != nil {
			t.Fatal(err)
		}
	}
	want("a", "3")
	want("b", `{"é": "2"}`)
	if err := s.DeletePolicy(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Policy(ctx, "a")
	wantKind(t, err, penstock.KindNotFound)
	want("b", `{"é": "2"}`)
}
