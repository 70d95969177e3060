package rds

import (
	"context"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/query"
)

var addTagsInput = query.Structure(
	query.Required("ResourceName", resourceNameShape),
	query.Required("Tags", tagsShape),
)

func (a api) addTags(ctx context.Context, _ awsapi.Caller, input query.Value) (query.Value, error) {
	arn, err := readResourceName(input)
	if err != nil {
		return query.Value{}, err
	}
	tags, err := readTags(input.List("Tags"))
	if err != nil {
		return query.Value{}, err
	}
	if err := a.control.AddTags(ctx, arn, tags); err != nil {
		return query.Value{}, faultOfTags(err)
	}
	return query.Value{}, nil
}
