package rds

import (
	"context"
	"slices"
	"time"

	"penstock"
	"penstock/internal/awsapi"
	"penstock/internal/awsapi/fault"
	"penstock/internal/control"
)

// Control is the control plane as this package uses it. Its methods are called
// concurrently. Arguments have the lengths and patterns that the API
// documents; whether they name anything is for the implementation to say.
// Errors carry a penstock.Kind; their Message is shown to clients, but for
// KindInternal.
type Control interface {
	Create(ctx context.Context, r control.CreateRequest) (penstock.Integration, error)
	List(ctx context.Context, r control.ListRequest) (control.ListReply, error)
	Modify(ctx context.Context, r control.ModifyRequest) (penstock.Integration, error)
	// Delete takes a name, a UUID or an ARN, and returns the integration as it
	// is now: deleting.
	Delete(ctx context.Context, identifier string) (penstock.Integration, error)

	AddTags(ctx context.Context, arn string, tags []penstock.Tag) error
	RemoveTags(ctx context.Context, arn string, keys []string) error
	ListTags(ctx context.Context, arn string) ([]penstock.Tag, error)

	Events(ctx context.Context, r control.EventsRequest) (control.EventsReply, error)
	// Sources returns the configured sources by name.
	Sources() []control.SourceView
}

// api holds what the handlers need.
type api struct {
	control Control
	now     func() time.Time
}

// Service returns the table of actions, served by a control plane.
func Service(c Control) awsapi.Service {
	a := api{c, time.Now}
	return awsapi.Service{
		Name:      "rds",
		Version:   "2014-10-31",
		Namespace: "http://rds.amazonaws.com/doc/2014-10-31/",
		Actions:   slices.Concat(a.integrationActions(), a.tagActions(), a.describeActions()),
	}
}

func (a api) integrationActions() []awsapi.Action {
	return []awsapi.Action{
		{
			Name: "CreateIntegration", Handle: a.createIntegration, Permissions: toCreate,
			Input: createIntegrationInput, Output: integrationShape,
			Faults: []fault.Code{
				DBClusterNotFoundFault, DBInstanceNotFound, IntegrationAlreadyExistsFault,
				IntegrationConflictOperationFault, IntegrationQuotaExceededFault, KMSKeyNotAccessibleFault,
			},
			Differs: "sources, targets and keys are those of the configuration; a policy has to allow rds:CreateIntegration and, for tags, rds:AddTagsToResource, " +
				"but none of the redshift and kms actions that AWS asks for besides",
		},
		{
			Name: "DescribeIntegrations", Handle: a.describeIntegrations, Permissions: a.toIntegration("DescribeIntegrations"),
			Input: describeIntegrationsInput, Output: describeIntegrationsOutput,
			Faults: []fault.Code{IntegrationNotFoundFault},
		},
		{
			Name: "ModifyIntegration", Handle: a.modifyIntegration, Permissions: a.toIntegration("ModifyIntegration"),
			Input: modifyIntegrationInput, Output: integrationShape,
			Faults: []fault.Code{
				IntegrationConflictOperationFault, IntegrationNotFoundFault, InvalidIntegrationStateFault,
			},
			Differs: "a new filter loads what it newly matches and removes what it no longer does; tables that stay are not loaded again",
		},
		{
			Name: "DeleteIntegration", Handle: a.deleteIntegration, Permissions: a.toIntegration("DeleteIntegration"),
			Input: deleteIntegrationInput, Output: integrationShape,
			Faults: []fault.Code{
				IntegrationConflictOperationFault, IntegrationNotFoundFault, InvalidIntegrationStateFault,
			},
			Differs: "a source that cannot be reached does not hold it up: what is left there is removed later",
		},
	}
}

// notTagged are the faults of resources that have no tags here.
var notTagged = []string{
	"BlueGreenDeploymentNotFoundFault", "DBClusterNotFoundFault", "DBInstanceNotFound", "DBProxyEndpointNotFoundFault", "DBProxyNotFoundFault",
	"DBProxyTargetGroupNotFoundFault", "DBShardGroupNotFound", "DBSnapshotNotFound", "DBSnapshotTenantDatabaseNotFoundFault", "TenantDatabaseNotFound",
}

// notChanged are the faults of resources whose state forbids to tag them.
var notChanged = []string{"InvalidDBClusterEndpointStateFault", "InvalidDBClusterStateFault", "InvalidDBInstanceState"}

func (a api) tagActions() []awsapi.Action {
	const integrationsOnly = "the ARN of an integration; other resources have no tags here and are refused with InvalidParameterValue"
	return []awsapi.Action{
		{
			Name: "AddTagsToResource", Handle: a.addTags, Permissions: toResource("AddTagsToResource"),
			Input: addTagsInput, Output: nil,
			Faults: []fault.Code{IntegrationNotFoundFault}, Absent: slices.Concat(notTagged, notChanged), Differs: integrationsOnly,
		},
		{
			Name: "RemoveTagsFromResource", Handle: a.removeTags, Permissions: toResource("RemoveTagsFromResource"),
			Input: removeTagsInput, Output: nil,
			Faults: []fault.Code{IntegrationNotFoundFault}, Absent: slices.Concat(notTagged, notChanged), Differs: integrationsOnly,
		},
		{
			Name: "ListTagsForResource", Handle: a.listTags, Permissions: toResource("ListTagsForResource"),
			Input: listTagsInput, Output: listTagsOutput,
			Faults: []fault.Code{IntegrationNotFoundFault}, Absent: notTagged, Differs: integrationsOnly,
		},
	}
}

func (a api) describeActions() []awsapi.Action {
	const fromConfiguration = "shows the sources of the configuration, with what that says about them; they are always available, and no server is asked"
	return []awsapi.Action{
		{
			Name: "DescribeDBClusters", Handle: a.describeDBClusters, Permissions: toDatabase("DescribeDBClusters", "cluster", "DBClusterIdentifier"),
			Input: describeDBClustersInput, Output: describeDBClustersOutput,
			Faults: []fault.Code{DBClusterNotFoundFault}, Differs: fromConfiguration,
		},
		{
			Name: "DescribeDBInstances", Handle: a.describeDBInstances, Permissions: toDatabase("DescribeDBInstances", "db", "DBInstanceIdentifier"),
			Input: describeDBInstancesInput, Output: describeDBInstancesOutput,
			Faults: []fault.Code{DBInstanceNotFound}, Differs: fromConfiguration,
		},
		{
			Name: "DescribeEvents", Handle: a.describeEvents,
			Input: describeEventsInput, Output: describeEventsOutput,
			Differs: "events of integrations, each message begun by the event's identifier in Amazon Redshift's catalogue",
		},
	}
}
