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
	Actions   []Action
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
	// Handle does it. Input has the shape that the action names; the result
	// must have that of Output. An error that is no *fault.Error is shown to
	// the client as an InternalFailure. It is called concurrently.
	Handle func(ctx context.Context, caller Caller, input query.Value) (query.Value, error)
}

// Caller is who made a request.
type Caller struct {
	AccessKeyID string
	Account     string
	Region      string
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
	if version == "" {
		version = "NO_VERSION_SPECIFIED"
	}
	return nil, fault.InvalidAction.Errorf("Could not find operation %.100s for version %.100s", name, version)
}
