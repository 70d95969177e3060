package redshift

import (
	"context"
	"net/http"

	"penstock"
	"penstock/internal/awsapi"
	"penstock/internal/awsapi/fault"
	"penstock/internal/awsapi/query"
	"penstock/internal/control"
)

// Control is the control plane as this package uses it. Its methods are called
// concurrently. Errors carry a penstock.Kind.
type Control interface {
	// Inbound returns a page of the integrations of a target, of all targets
	// if targetARN is "".
	Inbound(ctx context.Context, targetARN string, r control.ListRequest) (control.ListReply, error)

	PutPolicy(ctx context.Context, targetARN, document string) error
	Policy(ctx context.Context, targetARN string) (document string, err error)
	DeletePolicy(ctx context.Context, targetARN string) error
}

// The codes that the API's model has for these actions.
var (
	IntegrationNotFoundFault = fault.Code{Name: "IntegrationNotFoundFault", Status: http.StatusNotFound}
	InvalidPolicyFault       = fault.Code{Name: "InvalidPolicyFault", Status: http.StatusBadRequest}
	ResourceNotFoundFault    = fault.Code{Name: "ResourceNotFoundFault", Status: http.StatusNotFound}
)

// codes says which code stands for a kind of failure.
var codes = map[penstock.Kind]fault.Code{
	penstock.KindIntegrationNotFound: IntegrationNotFoundFault,
	penstock.KindTargetNotFound:      ResourceNotFoundFault,
	penstock.KindNotFound:            ResourceNotFoundFault,
}

// policyCodes are those of PutResourcePolicy.
var policyCodes = map[penstock.Kind]fault.Code{
	penstock.KindInvalid:        InvalidPolicyFault,
	penstock.KindTargetNotFound: ResourceNotFoundFault,
}

// api holds what the handlers need.
type api struct{ control Control }

// Service returns the table of actions, served by a control plane.
func Service(c Control) awsapi.Service {
	a := api{c}
	return awsapi.Service{
		Name:      "redshift",
		Version:   "2012-12-01",
		Namespace: "http://redshift.amazonaws.com/doc/2012-12-01/",
		Actions: []awsapi.Action{
			{
				Name: "DescribeInboundIntegrations", Handle: a.describeInbound, Permissions: toInbound,
				Input: describeInboundInput, Output: describeInboundOutput,
				Faults: []fault.Code{IntegrationNotFoundFault}, Absent: []string{"InvalidNamespaceFault", "UnsupportedOperation"},
			},
			{
				Name: "PutResourcePolicy", Handle: a.putPolicy, Permissions: toPolicy("PutResourcePolicy"),
				Input: putPolicyInput, Output: policyOutput,
				Faults: []fault.Code{InvalidPolicyFault, ResourceNotFoundFault}, Absent: []string{"ConflictPolicyUpdateFault", "UnsupportedOperation"},
				Differs: "the policy is looked at when an integration is created, and only where the target has authorization: required; " +
					"to take an authorization away does not stop integrations that exist",
			},
			{
				Name: "GetResourcePolicy", Handle: a.getPolicy, Permissions: toPolicy("GetResourcePolicy"),
				Input: resourceInput, Output: policyOutput,
				Faults: []fault.Code{ResourceNotFoundFault}, Absent: []string{"InvalidPolicyFault", "UnsupportedOperation"},
			},
			{
				Name: "DeleteResourcePolicy", Handle: a.deletePolicy, Permissions: toPolicy("DeleteResourcePolicy"),
				Input: resourceInput, Output: nil,
				Faults: []fault.Code{ResourceNotFoundFault}, Absent: []string{"UnsupportedOperation"},
			},
		},
	}
}

// toPolicy: the target that the policy belongs to.
func toPolicy(action string) func(context.Context, awsapi.Caller, query.Value) ([]awsapi.Permission, error) {
	return func(_ context.Context, _ awsapi.Caller, input query.Value) ([]awsapi.Permission, error) {
		return []awsapi.Permission{{Action: "redshift:" + action, Resource: input.Text("ResourceArn")}}, nil
	}
}
