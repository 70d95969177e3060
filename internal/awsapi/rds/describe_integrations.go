package rds

import (
	"context"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/query"
	"penstock/internal/control"
)

var (
	describeIntegrationsInput = query.Structure(
		query.Optional("IntegrationIdentifier", identifierShape),
		query.Optional("Filters", filtersShape).But("no filter name is documented; any is refused with InvalidParameterValue"),
		query.Optional("MaxRecords", maxRecordsShape),
		query.Optional("Marker", markerShape),
	)
	describeIntegrationsOutput = query.Structure(
		query.Optional("Marker", query.Text()),
		query.Required("Integrations", query.List("Integration", integrationShape)),
	)
)

func (a api) describeIntegrations(ctx context.Context, _ awsapi.Caller, input query.Value) (query.Value, error) {
	if err := refuseFilters(input); err != nil {
		return query.Value{}, err
	}
	page, err := a.control.List(ctx, control.ListRequest{
		Identifier: input.Text("IntegrationIdentifier"),
		MaxRecords: input.Integer("MaxRecords"),
		Marker:     input.Text("Marker"),
	})
	if err != nil {
		return query.Value{}, faultOf(err)
	}
	var items []query.Value
	for _, in := range page.Integrations {
		items = append(items, integrationValue(in))
	}
	fields := query.Fields{"Integrations": query.ListValue(items)}
	if page.Marker != "" { // paginators stop where there is none
		fields["Marker"] = query.TextValue(page.Marker)
	}
	return query.StructureValue(fields), nil
}
