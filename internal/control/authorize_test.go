package control

import (
	"strings"
	"testing"

	"penstock"
)

const (
	callerARN = "arn:aws:iam::123456789012:user/app"
	shopARN   = "arn:aws:rds:us-east-1:123456789012:cluster:shop"

	forSource = `{"Effect":"Allow","Principal":{"Service":"redshift.amazonaws.com"},"Action":"redshift:AuthorizeInboundIntegration",
		"Condition":{"StringEquals":{"aws:SourceArn":"` + shopARN + `"}}}`
	forCaller = `{"Effect":"Allow","Principal":{"AWS":"` + callerARN + `"},"Action":"redshift:CreateInboundIntegration"}`
)

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	b := setup(t)
	target := b.cfg.Targets["analytics"]
	target.Authorize = true
	b.cfg.Targets["analytics"] = target
	b.make()
	ctx := t.Context()
	r := b.request("one")
	r.CallerARN = callerARN
	const refusal = "because the data warehouse does not exist or permissions for it are missing"
	refused := func(statements ...string) {
		t.Helper()
		if err := b.svc.PutPolicy(ctx, target.ARN, document(statements...)); err != nil {
			t.Fatal(err)
		}
		_, err := b.svc.Create(ctx, r)
		wantKind(t, err, penstock.KindInvalid, refusal)
	}
	_, err := b.svc.Create(ctx, r)
	wantKind(t, err, penstock.KindInvalid, refusal)
	refused(forSource)
	refused(forCaller)
	refused(strings.Replace(forSource, "cluster:shop", "cluster:crm", 1), forCaller)
	refused(forSource, strings.Replace(forCaller, "user/app", "user/else", 1))
	refused(forSource, forCaller, `{"Effect":"Deny","Principal":"*","Action":"redshift:*"}`)
	if err := b.svc.PutPolicy(ctx, target.ARN, document(forSource, forCaller)); err != nil {
		t.Fatal(err)
	}
	in, err := b.svc.Create(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	b.force(in.ID, penstock.StatusActive)

	// The other target asks nobody.
	r = b.request("two")
	r.TargetARN = targetARN("2")
	if _, err := b.svc.Create(ctx, r); err != nil {
		t.Error(err)
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	arn := targetARN("1")
	_, err := b.svc.Policy(ctx, arn)
	wantKind(t, err, penstock.KindNotFound, arn)
	wantKind(t, b.svc.DeletePolicy(ctx, arn), penstock.KindNotFound, arn)
	text := " " + document(forSource) + "\n"
	if err := b.svc.PutPolicy(ctx, arn, text); err != nil {
		t.Fatal(err)
	}
	if got, err := b.svc.Policy(ctx, arn); err != nil || got != text {
		t.Errorf("Policy: %q, %v", got, err)
	}
	wantKind(t, b.svc.PutPolicy(ctx, arn, "{"), penstock.KindInvalid, "not valid JSON")
	wantKind(t, b.svc.PutPolicy(ctx, arn, document(`{"Effect":"Allow"}`)), penstock.KindInvalid, "Statement[0].Principal is missing")
	if got, err := b.svc.Policy(ctx, arn); err != nil || got != text {
		t.Errorf("after a refusal: %q, %v", got, err)
	}
	if err := b.svc.DeletePolicy(ctx, arn); err != nil {
		t.Error(err)
	}
	for _, err := range []error{
		b.svc.PutPolicy(ctx, targetARN("9"), text), b.svc.DeletePolicy(ctx, targetARN("9")),
		func() error { _, err := b.svc.Policy(ctx, targetARN("9")); return err }(),
	} {
		wantKind(t, err, penstock.KindTargetNotFound, "does not exist")
	}
}
