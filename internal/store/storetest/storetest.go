package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"penstock"
)

// start is the time that the suite counts from.
var start = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)

// Sample returns an integration with every member set, the n-th of many.
func Sample(n int) penstock.Integration {
	id := penstock.IntegrationID(fmt.Sprintf("%08x-0000-4000-8000-000000000000", n))
	return penstock.Integration{
		ID:                id,
		Name:              fmt.Sprintf("integration-%d", n),
		ARN:               "arn:aws:rds:us-east-1:123456789012:integration:" + string(id),
		SourceARN:         "arn:aws:rds:us-east-1:123456789012:cluster:shop",
		TargetARN:         "arn:aws:redshift-serverless:us-east-1:123456789012:namespace/0f7c3c5e-0000-4000-8000-000000000000",
		DataFilter:        `include: shop.*."a ""b"""`,
		Description:       "with <markup> & ünïcode",
		KMSKeyID:          "arn:aws:kms:us-east-1:123456789012:key/1",
		EncryptionContext: map[string]string{"dept": "sales", "b": ""},
		WrappedKey:        []byte("\x00wrapped\xff"),
		Tags:              []penstock.Tag{{Key: "z", Value: "1"}, {Key: "a"}},
		CreatedAt:         start.Add(time.Duration(n) * time.Second),
		Status:            penstock.StatusCreating,
		StatusSince:       start.Add(time.Hour),
		Problems: []penstock.Problem{{
			Code: penstock.ProblemTableFailed, Severity: penstock.SeverityAttention, Database: "shop", Table: "public.orders",
			Message: "the table has failed", Mend: "ALTER TABLE …", Since: start.Add(time.Minute),
		}},
		Databases: []penstock.DestinationDatabase{{Name: "shop", SourceDatabase: "shop", CreatedAt: start}},
	}
}

// Run runs the suite. open returns a new, empty store, which the suite closes.
func Run(t *testing.T, open func(t *testing.T) penstock.Store) {
	tests := []struct {
		name string
		test func(*testing.T, penstock.Store)
	}{
		{"RoundTrip", roundTrip},
		{"Unknown", unknown},
		{"Taken", taken},
		{"Check", check},
		{"Order", order},
		{"Update", update},
		{"ConcurrentUpdates", concurrentUpdates},
		{"ConcurrentCreates", concurrentCreates},
		{"Copies", copies},
		{"Events", events},
		{"Orphans", orphans},
		{"Policies", policies},
		{"Cancelled", cancelled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			defer func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}()
			test.test(t, s)
		})
	}
}

func create(t *testing.T, s penstock.Store, in penstock.Integration) {
	t.Helper()
	if err := s.Create(t.Context(), in, nil); err != nil {
		t.Fatalf("Create(%s): %v", in.Name, err)
	}
}

// Same fails the test unless both integrations are equal.
func Same(t *testing.T, got, want penstock.Integration) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the integration is\n%+v\nwant\n%+v", got, want)
	}
}

func wantKind(t *testing.T, err error, kind penstock.Kind) {
	t.Helper()
	if err == nil || penstock.KindOf(err) != kind {
		t.Errorf("the error is %v; want one of kind %v", err, kind)
	}
}

func roundTrip(t *testing.T, s penstock.Store) {
	bare := penstock.Integration{ID: "b", Name: "bare", CreatedAt: start, Status: penstock.StatusCreating, StatusSince: start}
	create(t, s, bare)
	create(t, s, Sample(1))
	for _, want := range []penstock.Integration{bare, Sample(1)} {
		got, err := s.Get(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		Same(t, got, want)
	}
	all, err := s.List(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatalf("List: %v, %v", all, err)
	}
	Same(t, all[0], bare)
	Same(t, all[1], Sample(1))
	if err := s.Delete(t.Context(), bare.ID); err != nil {
		t.Fatal(err)
	}
	_, err = s.Get(t.Context(), bare.ID)
	wantKind(t, err, penstock.KindIntegrationNotFound)
	create(t, s, bare) // its ID and name are free again
}

func unknown(t *testing.T, s penstock.Store) {
	create(t, s, Sample(1))
	_, err := s.Get(t.Context(), "x")
	wantKind(t, err, penstock.KindIntegrationNotFound)
	_, err = s.Update(t.Context(), "x", func(*penstock.Integration) error { t.Error("called"); return nil })
	wantKind(t, err, penstock.KindIntegrationNotFound)
	wantKind(t, s.Delete(t.Context(), "x"), penstock.KindIntegrationNotFound)
	if err := s.DeleteOrphan(t.Context(), "x"); err != nil {
		t.Errorf("DeleteOrphan: %v", err)
	}
}

func taken(t *testing.T, s penstock.Store) {
	create(t, s, Sample(1))
	create(t, s, Sample(2))
	sameID := Sample(1)
	sameID.Name = "other"
	wantKind(t, s.Create(t.Context(), sameID, nil), penstock.KindConflict)
	sameName := Sample(3)
	sameName.Name = Sample(1).Name
	wantKind(t, s.Create(t.Context(), sameName, nil), penstock.KindConflict)
	_, err := s.Update(t.Context(), Sample(2).ID, func(in *penstock.Integration) error { in.Name = Sample(1).Name; return nil })
	wantKind(t, err, penstock.KindConflict)
	got, err := s.Get(t.Context(), Sample(2).ID)
	if err != nil {
		t.Fatal(err)
	}
	Same(t, got, Sample(2))
	// Upper and lower case are different names.
	upper := Sample(4)
	upper.Name = "INTEGRATION-1"
	create(t, s, upper)
}

func check(t *testing.T, s penstock.Store) {
	create(t, s, Sample(1))
	refusal := penstock.Errorf(penstock.KindQuota, "full")
	err := s.Create(t.Context(), Sample(2), func(others []penstock.Integration) error {
		if len(others) != 1 {
			t.Errorf("others: %v", others)
		} else {
			Same(t, others[0], Sample(1))
		}
		return refusal
	})
	if !errors.Is(err, refusal) {
		t.Errorf("Create: %v", err)
	}
	_, err = s.Get(t.Context(), Sample(2).ID)
	wantKind(t, err, penstock.KindIntegrationNotFound)
}

func order(t *testing.T, s penstock.Store) {
	for _, n := range []int{5, 2, 9, 3} {
		create(t, s, Sample(n))
	}
	twin := Sample(7)
	twin.CreatedAt = Sample(3).CreatedAt
	create(t, s, twin)
	all, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names string
	for _, in := range all {
		names += in.Name[len("integration-"):]
	}
	if names != "23759" {
		t.Errorf("the order is %s", names)
	}
}

func update(t *testing.T, s penstock.Store) {
	create(t, s, Sample(1))
	want := Sample(2)
	want.ID, want.CreatedAt = Sample(1).ID, Sample(1).CreatedAt
	want.Status, want.Tags, want.EncryptionContext = penstock.StatusActive, nil, nil
	got, err := s.Update(t.Context(), Sample(1).ID, func(in *penstock.Integration) error {
		Same(t, *in, Sample(1))
		*in = want
		in.ID, in.CreatedAt = "z", start.Add(9*time.Hour) // not to be changed
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	Same(t, got, want)
	got, err = s.Get(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	Same(t, got, want)

	refusal := errors.New("no")
	if _, err = s.Update(t.Context(), want.ID, func(in *penstock.Integration) error { in.Name = "x"; return refusal }); !errors.Is(err, refusal) {
		t.Errorf("Update: %v", err)
	}
	if got, err = s.Get(t.Context(), want.ID); err != nil {
		t.Fatal(err)
	}
	Same(t, got, want)
}

func concurrentUpdates(t *testing.T, s penstock.Store) {
	create(t, s, Sample(1))
	const writers, rounds = 8, 10
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range rounds {
				_, err := s.Update(t.Context(), Sample(1).ID, func(in *penstock.Integration) error {
					in.Description += "x"
					return nil
				})
				if err != nil {
					t.Errorf("Update: %v", err)
				}
				if _, err := s.List(t.Context()); err != nil {
					t.Errorf("List: %v", err)
				}
			}
		})
	}
	wg.Wait()
	in, err := s.Get(t.Context(), Sample(1).ID)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(in.Description) - len(Sample(1).Description); got != writers*rounds {
		t.Errorf("%d of %d updates were kept", got, writers*rounds)
	}
}

func concurrentCreates(t *testing.T, s penstock.Store) {
	const most = 3
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for n := range 10 {
		wg.Go(func() {
			err := s.Create(t.Context(), Sample(n), func(others []penstock.Integration) error {
				if len(others) >= most {
					return penstock.Errorf(penstock.KindQuota, "full")
				}
				return nil
			})
			if err == nil {
				mu.Lock()
				made++
				mu.Unlock()
			} else {
				wantKind(t, err, penstock.KindQuota)
			}
		})
	}
	wg.Wait()
	if made != most {
		t.Errorf("%d were made, %d may be", made, most)
	}
}

func copies(t *testing.T, s penstock.Store) {
	in := Sample(1)
	create(t, s, in)
	spoil := func(in penstock.Integration) {
		in.WrappedKey[0] = 'x'
		in.Tags[0].Value, in.Problems[0].Message, in.Databases[0].Name, in.EncryptionContext["dept"] = "spoilt", "spoilt", "spoilt", "spoilt"
	}
	spoil(in)
	got, err := s.Get(t.Context(), in.ID)
	if err != nil {
		t.Fatal(err)
	}
	Same(t, got, Sample(1))
	spoil(got)
	if _, err := s.Update(t.Context(), in.ID, func(in *penstock.Integration) error { spoil(*in); return errors.New("no") }); err == nil {
		t.Error("Update: no error")
	}
	got, err = s.Get(t.Context(), in.ID)
	if err != nil {
		t.Fatal(err)
	}
	Same(t, got, Sample(1))
	for range 3 { // what List returned before must not be what it returns
		all, err := s.List(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("List: %v, %v", all, err)
		}
		Same(t, all[0], Sample(1))
		spoil(all[0])
	}
	if _, err := s.Update(t.Context(), in.ID, func(in *penstock.Integration) error { in.Description = "new"; return nil }); err != nil {
		t.Fatal(err)
	}
	if all, err := s.List(t.Context()); err != nil || all[0].Description != "new" {
		t.Errorf("List after Update: %v, %v", all, err)
	}
}

func cancelled(t *testing.T, s penstock.Store) {
	create(t, s, Sample(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Create(ctx, Sample(2), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Create: %v", err)
	}
	if _, err := s.List(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("List: %v", err)
	}
	if _, err := s.Get(t.Context(), Sample(1).ID); err != nil {
		t.Errorf("Get: %v", err)
	}
}
