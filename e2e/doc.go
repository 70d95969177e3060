// Package e2e tests Penstock as its users have it: it builds the program, runs
// it as a process, and drives it with boto3, the AWS SDK for Go, psql, pgx and
// a real PostgreSQL. It sees no inside; what it may use of this module is how
// to write a configuration and how to start a database.
//
// Start reading at harness_test.go, then mainjob_test.go. What is promised when
// things go wrong is in badinput_test.go (requests, configuration, files),
// source_test.go (settings and rights of the source), crash_test.go and
// lost_test.go (kills, restarts, broken connections, lost history) and
// disk_test.go; commands_test.go has the command line.
package e2e
