package rds

import (
	"context"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/query"
)

var (
	listTagsInput = query.Structure(
		query.Required("ResourceName", resourceNameShape),
		query.Optional("Filters", filtersShape).But("documented as unsupported; any is refused"),
	)
	listTagsOutput = query.Structure(
		query.Required("TagList", tagsShape),
	)
)

func (a api) listTags(ctx context.Context, _ awsapi.Caller, input query.Value) (query.Value, error) {
	arn, err := readResourceName(input)
	if err != nil {
		return query.Value{}, err
	}
	if err := refuseFilters(input); err != nil {
		return query.Value{}, err
	}
	tags, err := a.control.ListTags(ctx, arn)
	if err != nil {
		return query.Value{}, faultOfTags(err)
	}
	return query.StructureValue(query.Fields{"TagList": tagsValue(tags)}), nil
}
