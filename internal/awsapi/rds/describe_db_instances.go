package rds

import (
	"context"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/query"
	"penstock/internal/control"
)

var (
	describeDBInstancesInput = query.Structure(
		query.Optional("DBInstanceIdentifier", identifierOfDatabase),
		query.Optional("Filters", filtersShape).But(unknownToConfiguration+": db-instance-id, dbi-resource-id, engine"),
		query.Optional("MaxRecords", maxRecordsShape),
		query.Optional("Marker", markerShape),
	)
	describeDBInstancesOutput = query.Structure(
		query.Optional("Marker", query.Text()),
		query.Required("DBInstances", query.List("DBInstance", dbInstanceShape)),
	)
	dbInstanceShape = query.Structure(
		query.Required("DBInstanceIdentifier", query.Text()),
		query.Required("DBInstanceArn", query.Text()),
		query.Required("DbiResourceId", query.Text()),
		query.Required("DBInstanceStatus", query.Text()),
		query.Required("Engine", query.Text()),
		query.Optional("Endpoint", query.Structure(
			query.Required("Address", query.Text()),
			query.Optional("Port", query.Integer(0, 0)),
		)),
		query.Optional("DbInstancePort", query.Integer(0, 0)),
		query.Optional("MasterUsername", query.Text()),
		query.Optional("DBName", query.Text()),
		query.Required("MultiAZ", query.Boolean()),
		query.Required("StorageEncrypted", query.Boolean()),
		query.Required("DeletionProtection", query.Boolean()),
		query.Required("PubliclyAccessible", query.Boolean()),
		query.Required("VpcSecurityGroups", query.List("VpcSecurityGroupMembership", query.Structure())),
		query.Required("DBParameterGroups", query.List("DBParameterGroup", query.Structure())),
		query.Required("TagList", tagsShape),
	)
)

func (a api) describeDBInstances(_ context.Context, _ awsapi.Caller, input query.Value) (query.Value, error) {
	asked := databasesAsked{
		kind: "db", identifier: input.Text("DBInstanceIdentifier"), filters: input.List("Filters"),
		byName: "db-instance-id", byResource: "dbi-resource-id",
	}
	page, next, found, err := a.pageOfDatabases(asked, input)
	if err != nil {
		return query.Value{}, err
	}
	if !found {
		return query.Value{}, DBInstanceNotFound.Errorf("DBInstance %s not found.", asked.identifier)
	}
	return listOfDatabases("DBInstances", page, next, dbInstanceValue), nil
}

func dbInstanceValue(s control.SourceView) query.Value {
	f := query.Fields{
		"DBInstanceIdentifier": query.TextValue(s.Name),
		"DBInstanceArn":        query.TextValue(s.ARN),
		"DbiResourceId":        query.TextValue(resourceID(s)),
		"DBInstanceStatus":     query.TextValue("available"),
		"Engine":               query.TextValue(engineName(s)),
		"MultiAZ":              query.BooleanValue(false),
		"StorageEncrypted":     query.BooleanValue(false),
		"DeletionProtection":   query.BooleanValue(false),
		"PubliclyAccessible":   query.BooleanValue(false),
		"VpcSecurityGroups":    query.ListValue(nil),
		"DBParameterGroups":    query.ListValue(nil),
		"TagList":              query.ListValue(nil),
	}
	put(f, "MasterUsername", s.User)
	put(f, "DBName", s.Database)
	if s.Host != "" {
		endpoint := query.Fields{"Address": query.TextValue(s.Host)}
		if s.Port > 0 {
			endpoint["Port"] = query.IntegerValue(s.Port)
		}
		f["Endpoint"] = query.StructureValue(endpoint)
	}
	if s.Port > 0 {
		f["DbInstancePort"] = query.IntegerValue(s.Port)
	}
	return query.StructureValue(f)
}
