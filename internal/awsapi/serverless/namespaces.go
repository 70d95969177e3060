package serverless

import (
	"context"
	"encoding/base64"
	"net/http"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/fault"
	"penstock/internal/awsapi/query"
	"penstock/internal/control"
)

// Control is the control plane as this package uses it.
type Control interface {
	// Targets returns the configured targets by name.
	Targets() []control.TargetView
}

// ResourceNotFoundException is what a namespace that is not there gets.
var ResourceNotFoundException = fault.Code{Name: "ResourceNotFoundException", Status: http.StatusBadRequest}

// builtinDatabase is the database that every warehouse has.
const builtinDatabase = "dev"

var (
	namespaceShape = query.Structure(
		query.Required("namespaceArn", query.Text()),
		query.Required("namespaceId", query.Text()),
		query.Required("namespaceName", query.Text()),
		query.Required("status", query.Text()),
		query.Required("dbName", query.Text()),
		query.Required("kmsKeyId", query.Text()),
		query.Required("iamRoles", query.List("member", query.Text())),
		query.Required("logExports", query.List("member", query.Text())),
	)
	listNamespacesInput = query.Structure(
		query.Optional("maxResults", query.Integer(1, 100)),
		query.Optional("nextToken", &query.Shape{Kind: query.KindText, Max: 340}),
	)
	listNamespacesOutput = query.Structure(
		query.Required("namespaces", query.List("member", namespaceShape)),
		query.Optional("nextToken", query.Text()),
	)
	getNamespaceInput = query.Structure(
		query.Required("namespaceName", &query.Shape{
			Kind: query.KindText, Min: 1, Max: 64,
			Pattern: query.WholeMatch(`[a-z0-9-]+`), Rule: "must contain only lower-case letters, digits and hyphens",
		}).But("the name of a target in the configuration, which may be shorter than three characters"),
	)
	getNamespaceOutput = query.Structure(
		query.Required("namespace", namespaceShape),
	)
)

// api holds what the handlers need.
type api struct{ control Control }

// Service returns the table of actions, served by a control plane.
func Service(c Control) awsapi.Service {
	a := api{c}
	const fromConfiguration = "shows the targets of the configuration, which are always available"
	return awsapi.Service{
		Name:   "redshift-serverless",
		Target: "RedshiftServerless",
		Actions: []awsapi.Action{
			{
				Name: "ListNamespaces", Handle: a.listNamespaces,
				Input: listNamespacesInput, Output: listNamespacesOutput, Differs: fromConfiguration,
			},
			{
				Name: "GetNamespace", Handle: a.getNamespace, Permissions: a.toNamespace,
				Input: getNamespaceInput, Output: getNamespaceOutput,
				Faults: []fault.Code{ResourceNotFoundException}, Differs: fromConfiguration,
			},
		},
	}
}

// toNamespace: the namespace of that name, or none that exists.
func (a api) toNamespace(_ context.Context, c awsapi.Caller, input query.Value) ([]awsapi.Permission, error) {
	name := input.Text("namespaceName")
	arn := "arn:" + c.Partition + ":redshift-serverless:" + c.Region + ":" + c.Account + ":namespace/" + name
	for _, t := range a.control.Targets() {
		if t.Name == name {
			arn = t.ARN
		}
	}
	return []awsapi.Permission{{Action: "redshift-serverless:GetNamespace", Resource: arn}}, nil
}

func (a api) listNamespaces(_ context.Context, _ awsapi.Caller, input query.Value) (query.Value, error) {
	after := ""
	if token := input.Text("nextToken"); token != "" {
		name, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || len(name) == 0 {
			return query.Value{}, fault.InvalidParameterValue.Errorf("The nextToken is not one that an earlier reply contained.")
		}
		after = string(name)
	}
	most := 100
	if n := input.Integer("maxResults"); n > 0 {
		most = n
	}
	fields := query.Fields{}
	items, last := []query.Value{}, ""
	for _, t := range a.control.Targets() {
		if t.Name <= after {
			continue
		}
		if len(items) == most {
			fields["nextToken"] = query.TextValue(base64.RawURLEncoding.EncodeToString([]byte(last)))
			break
		}
		items, last = append(items, namespaceValue(t)), t.Name
	}
	fields["namespaces"] = query.ListValue(items)
	return query.StructureValue(fields), nil
}

func (a api) getNamespace(_ context.Context, _ awsapi.Caller, input query.Value) (query.Value, error) {
	name := input.Text("namespaceName")
	for _, t := range a.control.Targets() {
		if t.Name == name {
			return query.StructureValue(query.Fields{"namespace": namespaceValue(t)}), nil
		}
	}
	return query.Value{}, ResourceNotFoundException.Errorf("The namespace %s was not found.", name)
}

func namespaceValue(t control.TargetView) query.Value {
	return query.StructureValue(query.Fields{
		"namespaceArn":  query.TextValue(t.ARN),
		"namespaceId":   query.TextValue(t.Namespace),
		"namespaceName": query.TextValue(t.Name),
		"status":        query.TextValue("AVAILABLE"),
		"dbName":        query.TextValue(builtinDatabase),
		"kmsKeyId":      query.TextValue("AWS_OWNED_KMS_KEY"),
		"iamRoles":      query.ListValue(nil),
		"logExports":    query.ListValue(nil),
	})
}
