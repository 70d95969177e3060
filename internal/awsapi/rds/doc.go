// Package rds is the integration part of the Amazon RDS API, version
// 2014-10-31: CreateIntegration, DescribeIntegrations, ModifyIntegration,
// DeleteIntegration, the three tag actions, and what clients look up around
// them: DescribeEvents, DescribeDBClusters, DescribeDBInstances.
//
// It says what a request may look like and what a reply looks like. What an
// integration is and when it may be changed is decided behind the interface
// Control; how bytes become parameters, and who may call, in package
// awsapi.
//
// Invariants:
//
//   - Every parameter is held against the documented lengths and patterns
//     here: SDKs check next to none of them.
//   - Only errors.go turns a penstock.Kind into a code of the API.
//   - A reply carries every member of an integration, empty ones too, so that
//     no client meets a member that comes and goes.
//
// Start reading at actions.go, the table of actions. Each action has a file
// of its own; shapes.go and integration.go hold what they share.
package rds
