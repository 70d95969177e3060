// Package e2e tests Penstock as its users have it: it builds the program, runs
// it as a process, and drives it with boto3, the AWS SDK for Go, psql, pgx and
// a real PostgreSQL. It sees no inside; what it may use of this module is how
// to write a configuration and how to start a database.
//
// Start reading at harness_test.go, then mainjob_test.go.
package e2e
