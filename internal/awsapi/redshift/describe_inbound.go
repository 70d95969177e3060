package redshift

import (
	"context"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/query"
	"penstock/internal/awsapi/rds"
	"penstock/internal/control"
)

var (
	describeInboundInput = query.Structure(
		query.Optional("IntegrationArn", &query.Shape{
			Kind: query.KindText, Min: 1, Max: 255,
			Pattern: query.WholeMatch(`arn:aws[a-z\-]*:.+:[a-z0-9\-]*:[0-9]*:integration:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`),
			Rule:    "must be the ARN of an integration",
		}),
		query.Optional("TargetArn", &query.Shape{
			Kind: query.KindText, Min: 20, Max: 2048,
			Pattern: query.WholeMatch(`arn:aws[a-z\-]*:redshift(-serverless)?:[a-z0-9\-]+:[0-9]{12}:(namespace\/|namespace:)[a-z0-9\-]+`),
			Rule:    "must be the ARN of a namespace",
		}),
		query.Optional("MaxRecords", query.Integer(20, 100)),
		query.Optional("Marker", &query.Shape{Kind: query.KindText, Max: 340}),
	)
	describeInboundOutput = query.Structure(
		query.Optional("Marker", query.Text()),
		query.Required("InboundIntegrations", query.List("InboundIntegration", query.Structure(
			query.Required("IntegrationArn", query.Text()),
			query.Required("SourceArn", query.Text()),
			query.Required("TargetArn", query.Text()),
			query.Required("Status", query.Text()),
			query.Required("Errors", rds.ErrorsShape),
			query.Required("CreateTime", query.Time()),
		))),
	)
)

// toInbound: the integration that is named, every one if there is none.
func toInbound(_ context.Context, _ awsapi.Caller, input query.Value) ([]awsapi.Permission, error) {
	resource := "*"
	if arn := input.Text("IntegrationArn"); arn != "" {
		resource = arn
	}
	return []awsapi.Permission{{Action: "redshift:DescribeInboundIntegrations", Resource: resource}}, nil
}

func (a api) describeInbound(ctx context.Context, _ awsapi.Caller, input query.Value) (query.Value, error) {
	page, err := a.control.Inbound(ctx, input.Text("TargetArn"), control.ListRequest{
		Identifier: input.Text("IntegrationArn"), MaxRecords: input.Integer("MaxRecords"), Marker: input.Text("Marker"),
	})
	if err != nil {
		return query.Value{}, awsapi.FaultOf(err, codes)
	}
	var items []query.Value
	for _, in := range page.Integrations {
		items = append(items, query.StructureValue(query.Fields{
			"IntegrationArn": query.TextValue(in.ARN),
			"SourceArn":      query.TextValue(in.SourceARN),
			"TargetArn":      query.TextValue(in.TargetARN),
			"Status":         query.TextValue(string(in.Status)),
			"Errors":         rds.ErrorsValue(in.Problems),
			"CreateTime":     query.TimeValue(in.CreatedAt),
		}))
	}
	fields := query.Fields{"InboundIntegrations": query.ListValue(items)}
	if page.Marker != "" {
		fields["Marker"] = query.TextValue(page.Marker)
	}
	return query.StructureValue(fields), nil
}
