package control

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"penstock"
	"penstock/internal/store/storetest"
)

func TestCreateStoresTheIntegration(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.request("one")
	r.DataFilter, r.Description = "include:app.*.*", "d"
	r.Tags = []penstock.Tag{{Key: "b", Value: "1"}, {Key: "a"}}
	in, err := b.svc.Create(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Same(t, b.get(in.ID), in)
	want := in
	want.Name, want.SourceARN, want.TargetARN, want.DataFilter = "one", "arn:aws:rds:us-east-1:123456789012:cluster:shop", targetARN("1"), "include:app.*.*"
	want.Description, want.Tags, want.Status, want.StatusSince = "d", r.Tags, penstock.StatusCreating, in.CreatedAt
	want.ARN = "arn:aws:rds:us-east-1:123456789012:integration:" + string(in.ID)
	storetest.Same(t, in, want)
	if !strings.HasPrefix(in.KMSKeyID, "arn:aws:kms:us-east-1:123456789012:key/") || in.ID == "" || in.CreatedAt.IsZero() {
		t.Errorf("the integration is %+v", in)
	}

	r = b.request("two")
	r.SourceARN, r.DataFilter = "arn:aws:rds:us-east-1:123456789012:db:old", ""
	if in, err = b.svc.Create(t.Context(), r); err != nil || in.DataFilter != "include: *.*" {
		t.Errorf("the default filter is %q, %v", in.DataFilter, err)
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*CreateRequest)
		kind   penstock.Kind
		text   string
	}{
		{"unknown source", func(r *CreateRequest) { r.SourceARN += "2" }, penstock.KindSourceNotFound, "DBCluster shop2 not found"},
		{"other kind", func(r *CreateRequest) { r.SourceARN = "arn:aws:rds:us-east-1:123456789012:db:shop" }, penstock.KindSourceNotFound, "shop"},
		{"other account", func(r *CreateRequest) { r.SourceARN = "arn:aws:rds:us-east-1:123456789013:cluster:shop" }, penstock.KindSourceNotFound, "shop"},
		{"unknown target", func(r *CreateRequest) { r.TargetARN = targetARN("9") }, penstock.KindInvalid, "does not exist or permissions for it are missing"},
		{"no filter", func(r *CreateRequest) { r.DataFilter = "" }, penstock.KindInvalid, "Your data filter must contain at least one include statement"},
		{"bad filter", func(r *CreateRequest) { r.DataFilter = "include: a" }, penstock.KindInvalid, "position 11"},
		{"key", func(r *CreateRequest) { r.KMSKeyID = "alias/none" }, penstock.KindKeyNotAccessible, "alias/none"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			r := b.request("one")
			test.change(&r)
			_, err := b.svc.Create(t.Context(), r)
			wantKind(t, err, test.kind, test.text)
			if all, err := b.cfg.Store.List(t.Context()); err != nil || len(all) != 0 {
				t.Errorf("the store has %v, %v", all, err)
			}
		})
	}
}

func TestCreateBesideOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.Quotas = Quotas{PerAccount: 3, PerTarget: 2, PerSource: 5}
	b.make()
	create := func(name, source, target string) (penstock.Integration, error) {
		r := b.request(name)
		r.SourceARN, r.TargetARN = "arn:aws:rds:us-east-1:123456789012:"+source, targetARN(target)
		if source != "cluster:shop" {
			r.DataFilter = ""
		}
		return b.svc.Create(t.Context(), r)
	}
	one, err := create("one", "cluster:shop", "1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = create("one", "db:old", "2")
	wantKind(t, err, penstock.KindConflict, "Integration names must be unique within an account")
	_, err = create("two", "cluster:shop", "1")
	wantKind(t, err, penstock.KindAlreadyExists, "one")
	_, err = create("two", "cluster:shop", "2")
	wantKind(t, err, penstock.KindConflict, "because another operation is in progress for the Amazon Redshift data warehouse specified by the Amazon Resource Name (ARN). Try again after the current operation completes.")
	b.force(one.ID, penstock.StatusActive)
	if _, err = create("two", "cluster:shop", "2"); err != nil {
		t.Fatal(err)
	}
	if _, err = create("three", "db:old", "2"); err != nil {
		t.Fatal(err)
	}
	_, err = create("four", "db:old", "1")
	wantKind(t, err, penstock.KindQuota, "3 integrations per account")

	b.cfg.Quotas.PerAccount = 100
	b.make()
	b.cfg.Sources["new"] = SourceEntry{Kind: "db", Source: b.my}
	_, err = create("four", "db:new", "2")
	wantKind(t, err, penstock.KindQuota, "2 integrations per target")
	b.cfg.Quotas.PerSource = 1
	b.make()
	_, err = create("four", "db:old", "1")
	wantKind(t, err, penstock.KindQuota, "1 integrations per source")
}

// force moves an integration to a status, by way of active.
func (b *bench) force(id penstock.IntegrationID, to penstock.Status) {
	b.t.Helper()
	_, err := b.svc.ledger.change(context.Background(), id, func(e *edit) error {
		if e.Status == to {
			return nil
		}
		if e.Status == penstock.StatusCreating && to != penstock.StatusActive {
			if err := e.move(penstock.StatusActive); err != nil {
				return err
			}
		}
		return e.move(to)
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

var allStatuses = []penstock.Status{
	penstock.StatusCreating, penstock.StatusActive, penstock.StatusModifying, penstock.StatusFailed,
	penstock.StatusDeleting, penstock.StatusSyncing, penstock.StatusNeedsAttention,
}

func TestModifyAndDeleteByStatus(t *testing.T) {
	t.Parallel()
	const wait = "because it is not in a valid state. Wait until the integration is in a valid state and try again."
	for _, status := range allStatuses {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			in, err := b.svc.Create(t.Context(), b.request("one"))
			if err != nil {
				t.Fatal(err)
			}
			b.force(in.ID, status)
			renamed, err := b.svc.Modify(t.Context(), ModifyRequest{Identifier: string(in.ID), Name: new("two"), Description: new("d")})
			switch status {
			case penstock.StatusActive, penstock.StatusSyncing, penstock.StatusNeedsAttention:
				if err != nil || renamed.Name != "two" || renamed.Description != "d" || renamed.Status != status {
					t.Errorf("Modify: %+v, %v", renamed, err)
				}
			default:
				wantKind(t, err, penstock.KindInvalidState, wait)
			}
			deleting, err := b.svc.Delete(t.Context(), string(in.ID))
			switch status {
			case penstock.StatusActive, penstock.StatusSyncing, penstock.StatusNeedsAttention, penstock.StatusFailed:
				if err != nil || deleting.Status != penstock.StatusDeleting || deleting.KMSKeyID != in.KMSKeyID {
					t.Errorf("Delete: %+v, %v", deleting, err)
				}
				storetest.Same(t, b.get(in.ID), deleting)
			case penstock.StatusDeleting:
				wantKind(t, err, penstock.KindConflict, "being deleted")
			default:
				wantKind(t, err, penstock.KindInvalidState, wait)
			}
		})
	}
}

func TestModifyRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in, err := b.svc.Create(t.Context(), b.request("one"))
	if err != nil {
		t.Fatal(err)
	}
	b.force(in.ID, penstock.StatusActive)
	r := b.request("two")
	r.TargetARN = targetARN("2")
	if _, err := b.svc.Create(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	modify := func(r ModifyRequest) error {
		r.Identifier = in.ARN
		_, err := b.svc.Modify(t.Context(), r)
		return err
	}
	wantKind(t, modify(ModifyRequest{Name: new("two")}), penstock.KindConflict, "Integration names must be unique within an account")
	wantKind(t, modify(ModifyRequest{DataFilter: new("exclude: a.b.c")}), penstock.KindInvalid, "Your data filter must contain at least one include statement")
	storetest.Same(t, b.get(in.ID), func() penstock.Integration {
		in.Status, in.StatusSince = penstock.StatusActive, b.get(in.ID).StatusSince
		return in
	}())
	// The same filter again, the same name, and nothing at all change nothing.
	for _, r := range []ModifyRequest{{DataFilter: &in.DataFilter}, {Name: &in.Name}, {}} {
		if err := modify(r); err != nil {
			t.Errorf("Modify: %v", err)
		}
	}
	b.want(in.ID, penstock.StatusActive)
}

func TestIdentifiers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in, err := b.svc.Create(t.Context(), b.request("one"))
	if err != nil {
		t.Fatal(err)
	}
	for _, identifier := range []string{"one", string(in.ID), strings.ToUpper(string(in.ID)), in.ARN} {
		reply, err := b.svc.List(t.Context(), ListRequest{Identifier: identifier})
		if err != nil || len(reply.Integrations) != 1 || reply.Marker != "" {
			t.Errorf("List(%s): %+v, %v", identifier, reply, err)
			continue
		}
		storetest.Same(t, reply.Integrations[0], in)
	}
	for _, identifier := range []string{
		"One", "two", "00000000-0000-4000-8000-000000000000", in.ARN + "x",
		strings.Replace(in.ARN, "us-east-1", "us-east-2", 1), strings.Replace(in.ARN, ":integration:", ":cluster:", 1),
	} {
		_, err := b.svc.List(t.Context(), ListRequest{Identifier: identifier})
		wantKind(t, err, penstock.KindIntegrationNotFound, identifier)
		_, err = b.svc.Delete(t.Context(), identifier)
		wantKind(t, err, penstock.KindIntegrationNotFound, identifier)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for n := range 50 {
		if err := b.cfg.Store.Create(t.Context(), storetest.Sample(n), nil); err != nil {
			t.Fatal(err)
		}
	}
	var seen []string
	page := func(marker string) string {
		reply, err := b.svc.List(t.Context(), ListRequest{MaxRecords: 20, Marker: marker})
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range reply.Integrations {
			seen = append(seen, in.Name[len("integration-"):])
		}
		if len(reply.Marker) > 340 {
			t.Errorf("the marker is too long: %s", reply.Marker)
		}
		return reply.Marker
	}
	marker := page("")
	// The one that the marker names goes, and some before and after it.
	for _, n := range []int{3, 19, 20, 45} {
		if err := b.cfg.Store.Delete(t.Context(), storetest.Sample(n).ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.cfg.Store.Create(t.Context(), storetest.Sample(50), nil); err != nil {
		t.Fatal(err)
	}
	if marker = page(marker); marker == "" {
		t.Fatal("there is no second marker")
	}
	if marker = page(marker); marker != "" {
		t.Fatal("there is a third marker")
	}
	var want []string
	for n := range 51 {
		if n != 20 && n != 45 {
			want = append(want, fmt.Sprint(n))
		}
	}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("the pages show %v; want %v", seen, want)
	}

	for _, m := range []string{"x", "!", "MSB4IHk", strings.Repeat("a", 400)} {
		_, err := b.svc.List(t.Context(), ListRequest{Marker: m})
		wantKind(t, err, penstock.KindInvalid, "Marker")
	}
	reply, err := b.svc.List(t.Context(), ListRequest{})
	if err != nil || len(reply.Integrations) != 47 || reply.Marker != "" {
		t.Errorf("List: %d, %q, %v", len(reply.Integrations), reply.Marker, err)
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	in, err := b.svc.Create(ctx, b.request("one"))
	if err != nil {
		t.Fatal(err)
	}
	want := func(text string) {
		t.Helper()
		tags, err := b.svc.ListTags(ctx, in.ARN)
		if err != nil || fmt.Sprint(tags) != text {
			t.Errorf("the tags are %v, %v; want %s", tags, err, text)
		}
	}
	want("[]")
	add := func(tags ...penstock.Tag) error { return b.svc.AddTags(ctx, in.ARN, tags) }
	if err := add(penstock.Tag{Key: "b", Value: "1"}, penstock.Tag{Key: "a"}, penstock.Tag{Key: "B", Value: "é @+-=:/._"}); err != nil {
		t.Fatal(err)
	}
	if err := add(penstock.Tag{Key: "b", Value: "2"}, penstock.Tag{Key: "c", Value: "3"}); err != nil {
		t.Fatal(err)
	}
	want("[{b 2} {a } {B é @+-=:/._} {c 3}]")
	if err := b.svc.RemoveTags(ctx, in.ARN, []string{"B", "nothing", "a"}); err != nil {
		t.Fatal(err)
	}
	want("[{b 2} {c 3}]")

	var many []penstock.Tag
	for n := range 48 {
		many = append(many, penstock.Tag{Key: fmt.Sprint(n), Value: strings.Repeat("é", 256)})
	}
	if err := add(many...); err != nil {
		t.Errorf("50 tags: %v", err)
	}
	wantKind(t, add(penstock.Tag{Key: "51st"}), penstock.KindInvalid, "50")
	if err := add(penstock.Tag{Key: "b", Value: "again"}); err != nil {
		t.Errorf("overwriting one of 50: %v", err)
	}

	wantKind(t, b.svc.AddTags(ctx, in.ARN+"0", nil), penstock.KindIntegrationNotFound, "does not exist")
	wantKind(t, b.svc.RemoveTags(ctx, in.ARN+"0", nil), penstock.KindIntegrationNotFound, "does not exist")
}
