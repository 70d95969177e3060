package rds

import (
	"context"
	"slices"
	"strings"
	"time"

	"penstock"
	"penstock/internal/awsapi"
	"penstock/internal/awsapi/fault"
	"penstock/internal/awsapi/query"
	"penstock/internal/control"
)

const (
	// sourceTypeZeroETL is the type of integrations; events are of no other.
	sourceTypeZeroETL = "zero-etl"
	// lookBack is how far clients may look back, and defaultLookBack how far
	// they do if they do not say.
	lookBack        = 14 * 24 * time.Hour
	defaultLookBack = time.Hour
)

var sourceTypes = []string{
	"db-instance", "db-parameter-group", "db-security-group", "db-snapshot", "db-cluster", "db-cluster-snapshot",
	"custom-engine-version", "db-proxy", "blue-green-deployment", "db-shard-group", sourceTypeZeroETL,
}

// categories are those of events; a kind that is not there is a notification.
// AWS does not document any for integrations.
var categories = map[penstock.EventKind]string{
	control.EventCreated: "creation", control.EventCreateFailed: "failure",
	control.EventDeleted: "deletion", control.EventDeleting: "deletion",
	control.EventModifying: "configuration change", control.EventModified: "configuration change", control.EventModifyFailed: "failure",
	control.EventDatabaseCreated: "creation", control.EventDatabaseDropped: "deletion",
	control.EventFailed: "failure", control.EventAttention: "failure", control.EventInternal: "failure", control.EventNoIdentity: "failure",
	control.EventUnsupported: "failure", control.EventRights: "failure", control.EventSourceSetting: "failure", control.EventFilterUnparsable: "failure",
}

const notification = "notification"

var (
	describeEventsInput = query.Structure(
		query.Optional("SourceIdentifier", &query.Shape{Kind: query.KindText, Max: 255}).But("name, UUID or ARN of an integration, also of one that is deleted"),
		query.Optional("SourceType", query.Text()).But("there are events of zero-etl only; other types have none"),
		query.Optional("StartTime", query.Time()),
		query.Optional("EndTime", query.Time()),
		query.Optional("Duration", query.Integer(0, 20160)),
		query.Optional("EventCategories", query.List("EventCategory", query.Text())).But("creation, deletion, configuration change, failure, notification; AWS documents none for integrations"),
		query.Optional("Filters", filtersShape).But("documented as unsupported; any is refused"),
		query.Optional("MaxRecords", maxRecordsShape),
		query.Optional("Marker", markerShape),
	)
	describeEventsOutput = query.Structure(
		query.Optional("Marker", query.Text()),
		query.Required("Events", query.List("Event", query.Structure(
			query.Required("SourceIdentifier", query.Text()),
			query.Required("SourceType", query.Text()),
			query.Required("Message", query.Text()),
			query.Required("EventCategories", query.List("EventCategory", query.Text())),
			query.Required("Date", query.Time()),
			query.Required("SourceArn", query.Text()),
		))),
	)
)

func (a api) describeEvents(ctx context.Context, _ awsapi.Caller, input query.Value) (query.Value, error) {
	if err := refuseFilters(input); err != nil {
		return query.Value{}, err
	}
	sourceType := input.Text("SourceType")
	switch {
	case sourceType != "" && !slices.Contains(sourceTypes, sourceType):
		return query.Value{}, fault.InvalidParameterValue.Errorf("Invalid value '%.100s' for SourceType. Must be one of %s.", sourceType, strings.Join(sourceTypes, ", "))
	case sourceType == "" && input.Text("SourceIdentifier") != "":
		return query.Value{}, fault.InvalidParameterCombination.Errorf("The parameter SourceType must be provided together with SourceIdentifier.")
	}
	since, until, err := period(input, a.now().UTC())
	if err != nil {
		return query.Value{}, err
	}
	reply, err := a.control.Events(ctx, control.EventsRequest{
		Identifier: input.Text("SourceIdentifier"), Since: since, Until: until, Kinds: kindsOf(input.List("EventCategories")),
		MaxRecords: input.Integer("MaxRecords"), Marker: input.Text("Marker"),
	})
	if err != nil {
		return query.Value{}, faultOf(err)
	}
	if sourceType != "" && sourceType != sourceTypeZeroETL {
		reply = control.EventsReply{}
	}
	var items []query.Value
	for _, e := range reply.Events {
		items = append(items, eventValue(e))
	}
	fields := query.Fields{"Events": query.ListValue(items)}
	put(fields, "Marker", reply.Marker)
	return query.StructureValue(fields), nil
}

// period returns the times that events are asked of: from StartTime, or
// Duration minutes before EndTime, until EndTime, or Duration minutes after
// StartTime, or now.
func period(input query.Value, now time.Time) (since, until time.Time, err error) {
	duration := defaultLookBack
	if input.Has("Duration") {
		duration = time.Duration(input.Integer("Duration")) * time.Minute
	}
	since, until = input.Time("StartTime"), input.Time("EndTime")
	switch {
	case until.IsZero() && !since.IsZero() && input.Has("Duration"):
		until = since.Add(duration)
	case until.IsZero():
		until = now
	}
	if since.IsZero() {
		since = until.Add(-duration)
	}
	if input.Has("EndTime") && since.After(until) {
		return since, until, fault.InvalidParameterCombination.Errorf("The parameter EndTime must not be before StartTime.")
	}
	if earliest := now.Add(-lookBack); since.Before(earliest) {
		since = earliest
	}
	return since, until, nil
}

// kindsOf returns the kinds of events of these categories, nil if none is
// named.
func kindsOf(named []query.Value) []penstock.EventKind {
	if len(named) == 0 {
		return nil
	}
	kinds := []penstock.EventKind{}
	for _, kind := range control.EventKinds() {
		if slices.ContainsFunc(named, func(v query.Value) bool { return strings.EqualFold(v.String(), categoryOf(kind)) }) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

func categoryOf(kind penstock.EventKind) string {
	if c, ok := categories[kind]; ok {
		return c
	}
	return notification
}

func eventValue(e control.EventView) query.Value {
	return query.StructureValue(query.Fields{
		"SourceIdentifier": query.TextValue(e.Name),
		"SourceType":       query.TextValue(sourceTypeZeroETL),
		"Message":          query.TextValue(string(e.Kind) + ": " + e.Message),
		"EventCategories":  query.ListValue([]query.Value{query.TextValue(categoryOf(e.Kind))}),
		"Date":             query.TimeValue(e.At),
		"SourceArn":        query.TextValue(e.ARN),
	})
}
