package rds

import (
	"context"
	"strings"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/fault"
	"penstock/internal/awsapi/query"
	"penstock/internal/control"
)

var createIntegrationInput = query.Structure(
	query.Required("SourceArn", &query.Shape{
		Kind: query.KindText, Min: 1, Max: 255,
		Pattern: query.WholeMatch(`arn:aws[a-z\-]*:rds(-[a-z]*)?:[a-z0-9\-]*:[0-9]*:(cluster|db):[a-z][a-z0-9]*(-[a-z0-9]+)*`),
		Rule:    "must be the ARN of a DB cluster or a DB instance",
	}),
	query.Required("TargetArn", &query.Shape{Kind: query.KindText, Min: 20, Max: 2048}),
	query.Required("IntegrationName", nameShape),
	query.Optional("KMSKeyId", &query.Shape{Kind: query.KindText, Max: 2048}).But("a key of the configuration: its name there, or its key ID, ARN, alias or alias's ARN"),
	query.Optional("AdditionalEncryptionContext", query.Map()),
	query.Optional("Tags", tagsShape),
	query.Optional("DataFilter", dataFilterShape),
	query.Optional("Description", descriptionShape),
)

// maxContext is how many pairs of an encryption context are left to the
// caller: of the eight that there may be, two are the service's own.
const maxContext = 6

func (a api) createIntegration(ctx context.Context, caller awsapi.Caller, input query.Value) (query.Value, error) {
	tags, err := readTags(input.List("Tags"))
	if err != nil {
		return query.Value{}, err
	}
	encryptionContext, err := readEncryptionContext(input)
	if err != nil {
		return query.Value{}, err
	}
	r := control.CreateRequest{
		CallerARN:         caller.ARN(),
		SourceARN:         input.Text("SourceArn"),
		TargetARN:         input.Text("TargetArn"),
		Name:              input.Text("IntegrationName"),
		KMSKeyID:          input.Text("KMSKeyId"),
		EncryptionContext: encryptionContext,
		Tags:              tags,
		DataFilter:        input.Text("DataFilter"),
		Description:       input.Text("Description"),
	}
	in, err := a.control.Create(ctx, r)
	if err != nil {
		return query.Value{}, faultOfCreate(err, r.SourceARN)
	}
	return integrationValue(in), nil
}

func readEncryptionContext(input query.Value) (map[string]string, error) {
	pairs := input.Map("AdditionalEncryptionContext")
	if len(pairs) == 0 {
		return nil, nil
	}
	if input.Text("KMSKeyId") == "" {
		return nil, fault.InvalidParameterCombination.Errorf(
			"The parameter AdditionalEncryptionContext can be given only together with KMSKeyId.")
	}
	if len(pairs) > maxContext {
		return nil, fault.InvalidParameterValue.Errorf(
			"The parameter AdditionalEncryptionContext has %d entries and may have at most %d.", len(pairs), maxContext)
	}
	for key := range pairs {
		if key == "" || strings.HasPrefix(key, "aws:") {
			return nil, fault.InvalidParameterValue.Errorf(
				"The parameter AdditionalEncryptionContext has the key '%s': a key must not be blank or begin with aws:.", key)
		}
	}
	return pairs, nil
}
