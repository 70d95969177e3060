package sts

import (
	"context"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/query"
)

// Service returns the table of actions.
func Service() awsapi.Service {
	return awsapi.Service{
		Name:      "sts",
		Version:   "2011-06-15",
		Namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
		Actions: []awsapi.Action{{
			Name:  "GetCallerIdentity",
			Input: query.Structure(),
			Output: query.Structure(
				query.Required("Arn", query.Text()),
				query.Required("UserId", query.Text()),
				query.Required("Account", query.Text()),
			),
			Public: true,
			Handle: getCallerIdentity,
		}},
	}
}

// getCallerIdentity shows an access key as an IAM user of its name.
func getCallerIdentity(_ context.Context, caller awsapi.Caller, _ query.Value) (query.Value, error) {
	return query.StructureValue(query.Fields{
		"Arn":     query.TextValue(caller.ARN()),
		"UserId":  query.TextValue(caller.AccessKeyID),
		"Account": query.TextValue(caller.Account),
	}), nil
}
