package rds

import (
	"context"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/query"
)

var deleteIntegrationInput = query.Structure(
	query.Required("IntegrationIdentifier", identifierShape),
)

func (a api) deleteIntegration(ctx context.Context, _ awsapi.Caller, input query.Value) (query.Value, error) {
	in, err := a.control.Delete(ctx, input.Text("IntegrationIdentifier"))
	if err != nil {
		return query.Value{}, faultOf(err)
	}
	return integrationValue(in), nil
}
