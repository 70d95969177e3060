package rds_test

import (
	"context"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"penstock"
	"penstock/internal/awsapi"
	"penstock/internal/awsapi/apitest"
	"penstock/internal/awsapi/rds"
	"penstock/internal/awsapi/sts"
	"penstock/internal/control"
)

const (
	account   = apitest.Account
	region    = apitest.Region
	keyID     = apitest.KeyID
	keySecret = apitest.KeySecret
	callerARN = apitest.CallerARN

	integrationID  = "5b9f3b4e-0b1c-4e8c-9f5d-2d8f3c1a7e60"
	integrationARN = "arn:aws:rds:us-east-1:123456789012:integration:" + integrationID
	sourceARN      = "arn:aws:rds:us-east-1:123456789012:cluster:shop"
	targetARN      = "arn:aws:redshift-serverless:us-east-1:123456789012:namespace/0f7c3c5e-1111-4222-8333-444455556666"
)

// fake is a control plane that remembers what it was asked and answers what
// it was told to.
type fake struct {
	mu          sync.Mutex
	integration penstock.Integration
	pages       map[string]control.ListReply // by marker; nil is one page of the integration
	tags        []penstock.Tag
	err         error

	created  control.CreateRequest
	listed   control.ListRequest
	modified control.ModifyRequest
	deleted  string
	resource string
	added    []penstock.Tag
	removed  []string
	calls    int

	asked   control.EventsRequest
	events  control.EventsReply
	sources []control.SourceView
}

var _ rds.Control = (*fake)(nil)

func (f *fake) Create(_ context.Context, r control.CreateRequest) (penstock.Integration, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.created, f.calls = r, f.calls+1
	return f.integration, f.err
}

func (f *fake) List(_ context.Context, r control.ListRequest) (control.ListReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listed, f.calls = r, f.calls+1
	if f.pages != nil {
		return f.pages[r.Marker], f.err
	}
	return control.ListReply{Integrations: []penstock.Integration{f.integration}}, f.err
}

func (f *fake) Modify(_ context.Context, r control.ModifyRequest) (penstock.Integration, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.modified, f.calls = r, f.calls+1
	return f.integration, f.err
}

func (f *fake) Delete(_ context.Context, identifier string) (penstock.Integration, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deleted, f.calls = identifier, f.calls+1
	return f.integration, f.err
}

func (f *fake) AddTags(_ context.Context, arn string, tags []penstock.Tag) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resource, f.added, f.calls = arn, tags, f.calls+1
	return f.err
}

func (f *fake) RemoveTags(_ context.Context, arn string, keys []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resource, f.removed, f.calls = arn, keys, f.calls+1
	return f.err
}

func (f *fake) ListTags(_ context.Context, arn string) ([]penstock.Tag, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resource, f.calls = arn, f.calls+1
	return f.tags, f.err
}

func (f *fake) Events(_ context.Context, r control.EventsRequest) (control.EventsReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked, f.calls = r, f.calls+1
	return f.events, f.err
}

func (f *fake) Sources() []control.SourceView { return f.sources }

// fullIntegration has something in every member.
func fullIntegration() penstock.Integration {
	return penstock.Integration{
		ID: integrationID, Name: "my-int", ARN: integrationARN,
		SourceARN: sourceARN, TargetARN: targetARN,
		DataFilter:        `include: shop.public./t_\d+/,  exclude: "shop".*.*`,
		Description:       "orders & <carts>",
		KMSKeyID:          "arn:aws:kms:us-east-1:123456789012:key/k1",
		EncryptionContext: map[string]string{"dept": "sales", "app": "é"},
		Tags:              []penstock.Tag{{Key: "team", Value: "data"}, {Key: "empty"}},
		CreatedAt:         time.Date(2026, 3, 4, 5, 6, 7, 891_000_000, time.FixedZone("CET", 3600)),
		Status:            penstock.StatusNeedsAttention,
		Problems: []penstock.Problem{
			{Code: "NEWS", Severity: penstock.SeverityInfo, Message: "Not an error."},
			{Code: penstock.ProblemBadValues, Severity: penstock.SeverityWarning, Message: "The source keeps 9 GiB of WAL."},
			{
				Code: penstock.ProblemNoReplicaIdentity, Severity: penstock.SeverityAttention,
				Message: "Table shop.public.log has no replica identity.", Mend: "ALTER TABLE public.log REPLICA IDENTITY FULL;",
			},
			{Code: penstock.ProblemPositionLost, Severity: penstock.SeverityFatal, Message: "The slot is gone."},
		},
	}
}

// emptyIntegration has nothing in the members that may be empty.
func emptyIntegration() penstock.Integration {
	in := fullIntegration()
	in.Status = penstock.StatusCreating
	in.Description, in.EncryptionContext, in.Tags, in.Problems = "", nil, nil, nil
	return in
}

// setup starts a server over f.
func setup(t *testing.T, f rds.Control) *httptest.Server {
	t.Helper()
	return apitest.Serve(t, []awsapi.Service{rds.Service(f), sts.Service()})
}

// post sends a form body with a good signature.
func post(t *testing.T, server *httptest.Server, body string) apitest.Reply {
	t.Helper()
	return apitest.Send(t, server, apitest.Call{Service: "rds", Body: body})
}

func notFound() error {
	return penstock.Errorf(penstock.KindIntegrationNotFound, "Integration missing not found")
}
