package redshift_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"penstock"
	"penstock/internal/awsapi"
	"penstock/internal/awsapi/apitest"
	"penstock/internal/awsapi/redshift"
	"penstock/internal/control"
)

const (
	target      = "arn:aws:redshift-serverless:us-east-1:123456789012:namespace/0f7c3c5e-1111-4222-8333-444455556666"
	integration = "arn:aws:rds:us-east-1:123456789012:integration:5b9f3b4e-0b1c-4e8c-9f5d-2d8f3c1a7e60"
	document    = `{"Version": "2012-10-17", "Statement": []}`
)

// fake answers what it was told to, and remembers what it was asked.
type fake struct {
	err    error
	target string
	asked  control.ListRequest
	put    string
}

func (f *fake) Inbound(_ context.Context, target string, r control.ListRequest) (control.ListReply, error) {
	f.target, f.asked = target, r
	in := penstock.Integration{
		ARN: integration, SourceARN: "arn:aws:rds:us-east-1:123456789012:cluster:shop", TargetARN: "arn:aws:t", Status: penstock.StatusNeedsAttention,
		CreatedAt: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		Problems:  []penstock.Problem{{Code: penstock.ProblemTableFailed, Severity: penstock.SeverityAttention, Message: "it <failed>"}},
	}
	reply := control.ListReply{Integrations: []penstock.Integration{in}}
	if r.Marker == "" {
		reply.Marker = "m2"
	}
	return reply, f.err
}

func (f *fake) PutPolicy(_ context.Context, _, document string) error {
	f.put = document
	return f.err
}

func (f *fake) Policy(context.Context, string) (string, error) { return document, f.err }

func (f *fake) DeletePolicy(context.Context, string) error { return f.err }

func call(action string, parameters ...string) apitest.Call {
	v := url.Values{"Action": {action}, "Version": {"2012-12-01"}}
	for i := 0; i < len(parameters); i += 2 {
		v.Set(parameters[i], parameters[i+1])
	}
	return apitest.Call{Service: "redshift", Body: v.Encode()}
}

func TestReplies(t *testing.T) {
	t.Parallel()
	failing := func(kind penstock.Kind) *fake { return &fake{err: &penstock.Error{Kind: kind, Message: "so it is"}} }
	put := call("PutResourcePolicy", "ResourceArn", target, "Policy", document)
	tests := []struct {
		name string
		fake *fake
		call apitest.Call
	}{
		{"inbound", &fake{}, call("DescribeInboundIntegrations")},
		{"inbound_last", &fake{}, call("DescribeInboundIntegrations", "Marker", "m2")},
		{"inbound_not_found", failing(penstock.KindIntegrationNotFound), call("DescribeInboundIntegrations", "IntegrationArn", integration)},
		{"inbound_bad_arn", &fake{}, call("DescribeInboundIntegrations", "IntegrationArn", "my-int")},
		{"put", &fake{}, put},
		{"put_invalid", failing(penstock.KindInvalid), put},
		{"put_no_resource", failing(penstock.KindTargetNotFound), put},
		{"get", &fake{}, call("GetResourcePolicy", "ResourceArn", target)},
		{"get_none", failing(penstock.KindNotFound), call("GetResourcePolicy", "ResourceArn", target)},
		{"delete", &fake{}, call("DeleteResourcePolicy", "ResourceArn", target)},
		{"delete_none", failing(penstock.KindNotFound), call("DeleteResourcePolicy", "ResourceArn", target)},
		{"internal", failing(penstock.KindInternal), call("DeleteResourcePolicy", "ResourceArn", target)},
		{"other_action", &fake{}, call("DescribeClusters")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			apitest.Golden(t, test.name, apitest.Send(t, apitest.Serve(t, []awsapi.Service{redshift.Service(test.fake)}), test.call))
		})
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	f := &fake{}
	server := apitest.Serve(t, []awsapi.Service{redshift.Service(f)})
	apitest.Send(t, server, call("DescribeInboundIntegrations", "TargetArn", target, "IntegrationArn", integration, "MaxRecords", "21", "Marker", "m"))
	if f.target != target || f.asked != (control.ListRequest{Identifier: integration, MaxRecords: 21, Marker: "m"}) {
		t.Errorf("%s, %+v", f.target, f.asked)
	}
	apitest.Send(t, server, call("PutResourcePolicy", "ResourceArn", target, "Policy", "{\n}"))
	if f.put != "{\n}" {
		t.Errorf("%q", f.put)
	}
}
