package awsapi

import (
	"context"

	"penstock/internal/awsapi/fault"
	"penstock/internal/awsapi/query"
	"penstock/internal/policy"
)

// Permission is an action on a resource that a caller must be allowed.
type Permission struct {
	Action   string // "rds:CreateIntegration"
	Resource string // an ARN; "*" where the action concerns no resource
}

// Caller is who made a request: an access key, which passes for an IAM user
// of its name.
type Caller struct {
	AccessKeyID string
	Account     string
	Region      string
	Partition   string // "aws"
}

// ARN returns the caller's ARN.
func (c Caller) ARN() string {
	return "arn:" + c.Partition + ":iam::" + c.Account + ":user/" + c.AccessKeyID
}

// authorize refuses what the policy of the caller's access key does not allow.
// A key without a policy may do everything.
func (s *Server) authorize(ctx context.Context, x *exchange, caller Caller, action *Action, input query.Value) error {
	limits := s.keys[caller.AccessKeyID].Policy
	if limits == nil || action.Public {
		return nil
	}
	needed := []Permission{{x.service.Name + ":" + action.Name, "*"}}
	if action.Permissions != nil {
		var err error
		if needed, err = action.Permissions(ctx, caller, input); err != nil {
			return err
		}
	}
	for _, p := range needed {
		because := ""
		switch limits.Decide(policy.Request{Action: p.Action, Resource: p.Resource}) {
		case policy.Allowed:
			continue
		case policy.ExplicitDeny:
			because = "with an explicit deny in an identity-based policy"
		default:
			because = "because no identity-based policy allows the " + p.Action + " action"
		}
		return fault.AccessDenied.Errorf("User: %s is not authorized to perform: %s on resource: %s %s", caller.ARN(), p.Action, p.Resource, because)
	}
	return nil
}
