package awsapi

import (
	"context"

	"penstock/internal/awsapi/fault"
	"penstock/internal/awsapi/query"
)

// Service is one AWS API: the table of its actions and what its requests and
// replies carry in common. Documentation is made from it, too.
type Service struct {
	// Name is the signing name, which signatures are scoped to: "rds".
	Name string
	// Version is the API version that requests name: "2014-10-31".
	Version string
	// Namespace is the XML namespace of replies.
	Namespace string
	// Target is what stands before an action's name in the X-Amz-Target header
	// of a service that speaks JSON 1.1, which has no Version and no Namespace.
	// It is empty for one that speaks the Query protocol.
	Target  string
	Actions []Action
}

// Action is one action of a Service.
type Action struct {
	Name string
	// Input is the shape of the parameters: a structure.
	Input *query.Shape
	// Output is the shape of the result, nil where the action returns nothing.
	Output *query.Shape
	// Faults are the codes that the action answers with beside those that
	// every action has.
	Faults []fault.Code
	// Permissions returns what a caller whose access key has a policy must be
	// allowed; nil stands for the action on every resource.
	Permissions func(ctx context.Context, caller Caller, input query.Value) ([]Permission, error)
	// Public: whoever has a key may do it, whatever the policy says.
	Public bool
	// Differs says how the action differs from that of AWS, "" if it does not;
	// Absent lists faults of the API's model that do not occur here. Both are
	// for the documentation.
	Differs string
	Absent  []string
	// Handle does it. Input has the shape that the action names; the result
	// must have that of Output. An error that is no *fault.Error is shown to
	// the client as an InternalFailure. It is called concurrently.
	Handle func(ctx context.Context, caller Caller, input query.Value) (query.Value, error)
}

// action returns the action of that name and version.
func (s *Service) action(name, version string) (*Action, error) {
	if name == "" {
		return nil, fault.MissingAction.Errorf("The request is missing an action: it must contain the parameter Action.")
	}
	if version == s.Version {
		for i := range s.Actions {
			if s.Actions[i].Name == name {
				return &s.Actions[i], nil
			}
		}
	}
	if s.Target != "" {
		return nil, fault.InvalidAction.Errorf("Could not find operation %.100s", name)
	}
	if version == "" {
		version = "NO_VERSION_SPECIFIED"
	}
	return nil, fault.InvalidAction.Errorf("Could not find operation %.100s for version %.100s", name, version)
}
