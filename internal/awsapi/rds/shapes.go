package rds

import (
	"strings"

	"penstock"
	"penstock/internal/awsapi/fault"
	"penstock/internal/awsapi/query"
)

// The shapes that several actions share. Lengths and patterns are those of
// the API's documentation.
var (
	identifierShape = &query.Shape{
		Kind: query.KindText, Min: 1, Max: 255,
		Pattern: query.WholeMatch(`[a-zA-Z0-9_:\-\/]+`),
		Rule:    "must be the name, the UUID or the ARN of an integration",
	}
	nameShape = &query.Shape{
		Kind: query.KindText, Min: 1, Max: 63,
		Pattern: query.WholeMatch(`[a-zA-Z](?:-?[a-zA-Z0-9]+)*`),
		Rule: "must begin with a letter, contain only letters, digits and hyphens, " +
			"and neither end with a hyphen nor contain two in a row",
	}
	dataFilterShape = &query.Shape{
		Kind: query.KindText, Min: 1, Max: 25600,
		Pattern: query.WholeMatch(`[a-zA-Z0-9_ "\\\-$,*.:?+\/]*`),
		Rule:    `must contain only letters, digits, blanks and _ " \ - $ , * . : ? + /`,
	}
	descriptionShape = &query.Shape{
		Kind: query.KindText, Max: 1000,
		Pattern: query.WholeMatch(`.*`),
		Rule:    "must be a single line",
	}

	// filtersShape is that of parameters that are documented without any name
	// that could be filtered by.
	filtersShape = query.List("Filter", query.Structure(
		query.Required("Name", query.Text()),
		query.Optional("Values", query.List("Value", query.Text())),
	))

	resourceNameShape = &query.Shape{Kind: query.KindText, Min: 1, Max: 2048}

	tagKeyShape = &query.Shape{
		Kind: query.KindText, Min: 1, Max: 128,
		Pattern: tagPattern, Rule: tagRule,
	}
	tagsShape = query.List("Tag", query.Structure(
		query.Required("Key", tagKeyShape),
		query.Optional("Value", &query.Shape{
			Kind: query.KindText, Max: 256,
			Pattern: tagPattern, Rule: tagRule,
		}),
	))
	tagPattern = query.WholeMatch(`[\p{L}\p{Z}\p{N}_.:/=+\-@]*`)
	tagRule    = "must contain only letters, digits, blanks and _ . : / = + - @"
)

// maxTags is how many tags a resource may have.
const maxTags = 50

// readTags returns the tags of a request after the checks that a shape cannot
// state.
func readTags(values []query.Value) ([]penstock.Tag, error) {
	if len(values) > maxTags {
		return nil, fault.InvalidParameterValue.Errorf("The parameter Tags has %d tags. A resource may have at most %d.", len(values), maxTags)
	}
	var tags []penstock.Tag
	seen := map[string]bool{}
	for _, v := range values {
		tag := penstock.Tag{Key: v.Text("Key"), Value: v.Text("Value")}
		lower := strings.ToLower(tag.Key)
		if strings.HasPrefix(lower, "aws:") || strings.HasPrefix(lower, "rds:") {
			return nil, fault.InvalidParameterValue.Errorf("The tag key '%s' is not valid: the prefixes aws: and rds: are reserved.", tag.Key)
		}
		if seen[tag.Key] {
			return nil, fault.InvalidParameterValue.Errorf("The tag key '%s' is given more than once.", tag.Key)
		}
		seen[tag.Key] = true
		tags = append(tags, tag)
	}
	return tags, nil
}

// tagsValue returns tags as replies show them.
func tagsValue(tags []penstock.Tag) query.Value {
	var items []query.Value
	for _, tag := range tags {
		items = append(items, query.StructureValue(query.Fields{
			"Key":   query.TextValue(tag.Key),
			"Value": query.TextValue(tag.Value),
		}))
	}
	return query.ListValue(items)
}

// readResourceName returns the ARN that a tag action names. Only integrations
// have tags here.
func readResourceName(input query.Value) (string, error) {
	name := input.Text("ResourceName")
	if strings.TrimSpace(name) == "" {
		return "", fault.InvalidParameterValue.Errorf("The parameter ResourceName must be provided and must not be blank.")
	}
	arn, ok := penstock.ParseARN(name)
	if !ok || arn.Service != "rds" {
		return "", fault.InvalidParameterValue.Errorf("Invalid resource name: %s", name)
	}
	if !strings.HasPrefix(arn.Resource, "integration:") {
		return "", fault.InvalidParameterValue.Errorf("Invalid resource name: %s. Only integrations can be tagged here.", name)
	}
	return name, nil
}

// refuseFilters returns an error if the request filters: no name is known.
func refuseFilters(input query.Value) error {
	for _, f := range input.List("Filters") {
		return fault.InvalidParameterValue.Errorf("Unrecognized filter name: %.200s", f.Text("Name"))
	}
	return nil
}
