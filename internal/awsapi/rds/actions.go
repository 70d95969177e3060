package rds

import (
	"context"

	"penstock"
	"penstock/internal/awsapi"
	"penstock/internal/awsapi/fault"
	"penstock/internal/control"
)

// Integrations is the control plane as this package uses it. Its methods are
// called concurrently. Arguments have the lengths and patterns that the API
// documents; whether they name anything is for the implementation to say.
// Errors carry a penstock.Kind; their Message is shown to clients, but for
// KindInternal.
type Integrations interface {
	Create(ctx context.Context, r control.CreateRequest) (penstock.Integration, error)
	List(ctx context.Context, r control.ListRequest) (control.ListReply, error)
	Modify(ctx context.Context, r control.ModifyRequest) (penstock.Integration, error)
	// Delete takes a name, a UUID or an ARN, and returns the integration as it
	// is now: deleting.
	Delete(ctx context.Context, identifier string) (penstock.Integration, error)

	AddTags(ctx context.Context, arn string, tags []penstock.Tag) error
	RemoveTags(ctx context.Context, arn string, keys []string) error
	ListTags(ctx context.Context, arn string) ([]penstock.Tag, error)
}

// api holds what the handlers need.
type api struct {
	integrations Integrations
}

// Service returns the table of actions, served by integrations.
func Service(integrations Integrations) awsapi.Service {
	a := api{integrations}
	return awsapi.Service{
		Name:      "rds",
		Version:   "2014-10-31",
		Namespace: "http://rds.amazonaws.com/doc/2014-10-31/",
		Actions: []awsapi.Action{
			{
				Name: "CreateIntegration", Handle: a.createIntegration,
				Input: createIntegrationInput, Output: integrationShape,
				Faults: []fault.Code{
					DBClusterNotFoundFault, DBInstanceNotFound, IntegrationAlreadyExistsFault,
					IntegrationConflictOperationFault, IntegrationQuotaExceededFault, KMSKeyNotAccessibleFault,
				},
			},
			{
				Name: "DescribeIntegrations", Handle: a.describeIntegrations,
				Input: describeIntegrationsInput, Output: describeIntegrationsOutput,
				Faults: []fault.Code{IntegrationNotFoundFault},
			},
			{
				Name: "ModifyIntegration", Handle: a.modifyIntegration,
				Input: modifyIntegrationInput, Output: integrationShape,
				Faults: []fault.Code{
					IntegrationConflictOperationFault, IntegrationNotFoundFault, InvalidIntegrationStateFault,
				},
			},
			{
				Name: "DeleteIntegration", Handle: a.deleteIntegration,
				Input: deleteIntegrationInput, Output: integrationShape,
				Faults: []fault.Code{
					IntegrationConflictOperationFault, IntegrationNotFoundFault, InvalidIntegrationStateFault,
				},
			},
			{
				Name: "AddTagsToResource", Handle: a.addTags,
				Input: addTagsInput, Output: nil,
				Faults: []fault.Code{IntegrationNotFoundFault},
			},
			{
				Name: "RemoveTagsFromResource", Handle: a.removeTags,
				Input: removeTagsInput, Output: nil,
				Faults: []fault.Code{IntegrationNotFoundFault},
			},
			{
				Name: "ListTagsForResource", Handle: a.listTags,
				Input: listTagsInput, Output: listTagsOutput,
				Faults: []fault.Code{IntegrationNotFoundFault},
			},
		},
	}
}
