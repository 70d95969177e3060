// Package redshift is the part of the Amazon Redshift API, version 2012-12-01,
// that has to do with integrations from databases: which come in at a target
// (DescribeInboundIntegrations), and who may make them (the resource policies
// of targets). Integrations are made, changed and deleted through package rds.
//
// Start reading at actions.go, the table of actions.
package redshift
