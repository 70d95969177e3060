package redshift

import (
	"context"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/query"
)

// resourceARNShape is the ARN of a target: it is looked up as it is.
var resourceARNShape = &query.Shape{Kind: query.KindText, Min: 1, Max: 2048}

var (
	putPolicyInput = query.Structure(
		query.Required("ResourceArn", resourceARNShape),
		query.Required("Policy", &query.Shape{Kind: query.KindText, Min: 1, Max: 20480}).But("Condition has the String and Arn operators, "+
			"with the keys aws:SourceArn, aws:SourceAccount, aws:PrincipalArn and aws:PrincipalAccount; what is not understood is refused"),
	)
	resourceInput = query.Structure(
		query.Required("ResourceArn", resourceARNShape),
	)
	policyOutput = query.Structure(
		query.Required("ResourcePolicy", query.Structure(
			query.Required("ResourceArn", query.Text()),
			query.Required("Policy", query.Text()),
		)),
	)
)

func (a api) putPolicy(ctx context.Context, _ awsapi.Caller, input query.Value) (query.Value, error) {
	arn, document := input.Text("ResourceArn"), input.Text("Policy")
	if err := a.control.PutPolicy(ctx, arn, document); err != nil {
		return query.Value{}, awsapi.FaultOf(err, policyCodes)
	}
	return policyValue(arn, document), nil
}

func (a api) getPolicy(ctx context.Context, _ awsapi.Caller, input query.Value) (query.Value, error) {
	arn := input.Text("ResourceArn")
	document, err := a.control.Policy(ctx, arn)
	if err != nil {
		return query.Value{}, awsapi.FaultOf(err, codes)
	}
	return policyValue(arn, document), nil
}

func (a api) deletePolicy(ctx context.Context, _ awsapi.Caller, input query.Value) (query.Value, error) {
	if err := a.control.DeletePolicy(ctx, input.Text("ResourceArn")); err != nil {
		return query.Value{}, awsapi.FaultOf(err, codes)
	}
	return query.Value{}, nil
}

func policyValue(arn, document string) query.Value {
	return query.StructureValue(query.Fields{"ResourcePolicy": query.StructureValue(query.Fields{
		"ResourceArn": query.TextValue(arn),
		"Policy":      query.TextValue(document),
	})})
}
