package rds

import (
	"context"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/query"
)

var removeTagsInput = query.Structure(
	query.Required("ResourceName", resourceNameShape),
	query.Required("TagKeys", query.List("member", tagKeyShape)),
)

func (a api) removeTags(ctx context.Context, _ awsapi.Caller, input query.Value) (query.Value, error) {
	arn, err := readResourceName(input)
	if err != nil {
		return query.Value{}, err
	}
	var keys []string
	for _, key := range input.List("TagKeys") {
		keys = append(keys, key.String())
	}
	if err := a.control.RemoveTags(ctx, arn, keys); err != nil {
		return query.Value{}, faultOfTags(err)
	}
	return query.Value{}, nil
}
