package rds

import (
	"context"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/query"
	"penstock/internal/control"
)

const unknownToConfiguration = "only the filters named here exist"

var (
	describeDBClustersInput = query.Structure(
		query.Optional("DBClusterIdentifier", identifierOfDatabase),
		query.Optional("Filters", filtersShape).But(unknownToConfiguration+": db-cluster-id, db-cluster-resource-id, engine"),
		query.Optional("MaxRecords", maxRecordsShape),
		query.Optional("Marker", markerShape),
		query.Optional("IncludeShared", query.Boolean()).But("nothing is shared, so it changes nothing"),
	)
	describeDBClustersOutput = query.Structure(
		query.Optional("Marker", query.Text()),
		query.Required("DBClusters", query.List("DBCluster", dbClusterShape)),
	)
	dbClusterShape = query.Structure(
		query.Required("DBClusterIdentifier", query.Text()),
		query.Required("DBClusterArn", query.Text()),
		query.Required("DbClusterResourceId", query.Text()),
		query.Required("Status", query.Text()),
		query.Required("Engine", query.Text()),
		query.Required("EngineMode", query.Text()),
		query.Optional("Endpoint", query.Text()),
		query.Optional("ReaderEndpoint", query.Text()),
		query.Optional("Port", query.Integer(0, 0)),
		query.Optional("MasterUsername", query.Text()),
		query.Optional("DatabaseName", query.Text()),
		query.Required("MultiAZ", query.Boolean()),
		query.Required("StorageEncrypted", query.Boolean()),
		query.Required("DeletionProtection", query.Boolean()),
		query.Required("DBClusterMembers", query.List("DBClusterMember", query.Structure())),
		query.Required("VpcSecurityGroups", query.List("VpcSecurityGroupMembership", query.Structure())),
		query.Required("AssociatedRoles", query.List("DBClusterRole", query.Structure())),
		query.Required("TagList", tagsShape),
	)
)

func (a api) describeDBClusters(_ context.Context, _ awsapi.Caller, input query.Value) (query.Value, error) {
	asked := databasesAsked{
		kind: "cluster", identifier: input.Text("DBClusterIdentifier"), filters: input.List("Filters"),
		byName: "db-cluster-id", byResource: "db-cluster-resource-id",
	}
	page, next, found, err := a.pageOfDatabases(asked, input)
	if err != nil {
		return query.Value{}, err
	}
	if !found {
		return query.Value{}, DBClusterNotFoundFault.Errorf("DBCluster %s not found.", asked.identifier)
	}
	return listOfDatabases("DBClusters", page, next, dbClusterValue), nil
}

func dbClusterValue(s control.SourceView) query.Value {
	f := query.Fields{
		"DBClusterIdentifier": query.TextValue(s.Name),
		"DBClusterArn":        query.TextValue(s.ARN),
		"DbClusterResourceId": query.TextValue(resourceID(s)),
		"Status":              query.TextValue("available"),
		"Engine":              query.TextValue(engineName(s)),
		"EngineMode":          query.TextValue("provisioned"),
		"MultiAZ":             query.BooleanValue(false),
		"StorageEncrypted":    query.BooleanValue(false),
		"DeletionProtection":  query.BooleanValue(false),
		"DBClusterMembers":    query.ListValue(nil),
		"VpcSecurityGroups":   query.ListValue(nil),
		"AssociatedRoles":     query.ListValue(nil),
		"TagList":             query.ListValue(nil),
	}
	put(f, "Endpoint", s.Host)
	put(f, "ReaderEndpoint", s.Host)
	put(f, "MasterUsername", s.User)
	put(f, "DatabaseName", s.Database)
	if s.Port > 0 {
		f["Port"] = query.IntegerValue(s.Port)
	}
	return query.StructureValue(f)
}
