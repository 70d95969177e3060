package rds

import (
	"context"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/query"
	"penstock/internal/control"
)

var modifyIntegrationInput = query.Structure(
	query.Required("IntegrationIdentifier", identifierShape),
	query.Optional("IntegrationName", nameShape),
	query.Optional("DataFilter", dataFilterShape),
	query.Optional("Description", descriptionShape),
)

func (a api) modifyIntegration(ctx context.Context, _ awsapi.Caller, input query.Value) (query.Value, error) {
	in, err := a.control.Modify(ctx, control.ModifyRequest{
		Identifier:  input.Text("IntegrationIdentifier"),
		Name:        input.OptionalText("IntegrationName"),
		DataFilter:  input.OptionalText("DataFilter"),
		Description: input.OptionalText("Description"),
	})
	if err != nil {
		return query.Value{}, faultOf(err)
	}
	return integrationValue(in), nil
}
