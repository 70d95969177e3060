package rds

import (
	"context"

	"penstock"
	"penstock/internal/awsapi"
	"penstock/internal/awsapi/query"
	"penstock/internal/control"
)

// What an access key with a policy must be allowed, by AWS's table of actions
// and resource types.

// arnOf returns the ARN of a resource of the caller's account: "cluster:shop".
func arnOf(c awsapi.Caller, resource string) string {
	return penstock.ARN{Partition: c.Partition, Service: "rds", Region: c.Region, Account: c.Account, Resource: resource}.String()
}

// toCreate: the source, and an integration that has no ARN yet; tags are added.
func toCreate(_ context.Context, c awsapi.Caller, input query.Value) ([]awsapi.Permission, error) {
	integration := arnOf(c, "integration:*")
	needed := []awsapi.Permission{{Action: "rds:CreateIntegration", Resource: input.Text("SourceArn")}, {Action: "rds:CreateIntegration", Resource: integration}}
	if len(input.List("Tags")) > 0 {
		needed = append(needed, awsapi.Permission{Action: "rds:AddTagsToResource", Resource: integration})
	}
	return needed, nil
}

// toIntegration: the integration that the identifier names, all if there is
// none. One that does not exist is denied before it is not found.
func (a api) toIntegration(action string) func(context.Context, awsapi.Caller, query.Value) ([]awsapi.Permission, error) {
	return func(ctx context.Context, c awsapi.Caller, input query.Value) ([]awsapi.Permission, error) {
		identifier := input.Text("IntegrationIdentifier")
		arn := arnOf(c, "integration:*")
		if identifier != "" {
			if _, ok := penstock.ParseARN(identifier); ok {
				arn = identifier
			} else {
				arn = arnOf(c, "integration:"+identifier)
			}
			page, err := a.control.List(ctx, control.ListRequest{Identifier: identifier})
			if err == nil && len(page.Integrations) == 1 {
				arn = page.Integrations[0].ARN
			} else if err != nil && penstock.KindOf(err) != penstock.KindIntegrationNotFound {
				return nil, faultOf(err)
			}
		}
		return []awsapi.Permission{{Action: "rds:" + action, Resource: arn}}, nil
	}
}

// toResource: what the tags are of.
func toResource(action string) func(context.Context, awsapi.Caller, query.Value) ([]awsapi.Permission, error) {
	return func(_ context.Context, _ awsapi.Caller, input query.Value) ([]awsapi.Permission, error) {
		return []awsapi.Permission{{Action: "rds:" + action, Resource: input.Text("ResourceName")}}, nil
	}
}

// toDatabase: the cluster or instance that the parameter names, all if there
// is none.
func toDatabase(action, kind, parameter string) func(context.Context, awsapi.Caller, query.Value) ([]awsapi.Permission, error) {
	return func(_ context.Context, c awsapi.Caller, input query.Value) ([]awsapi.Permission, error) {
		name := input.Text(parameter)
		arn := arnOf(c, kind+":"+name)
		switch _, isARN := penstock.ParseARN(name); {
		case name == "":
			arn = arnOf(c, kind+":*")
		case isARN:
			arn = name
		}
		return []awsapi.Permission{{Action: "rds:" + action, Resource: arn}}, nil
	}
}
