// Package serverless is the part of the Amazon Redshift Serverless API that
// clients look targets up by: ListNamespaces and GetNamespace, in JSON 1.1. A
// target of the configuration is a namespace of its name.
//
// Start reading at namespaces.go.
package serverless
