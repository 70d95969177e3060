// Package e2e tests Penstock as its users have it: it builds the program, runs
// it as a process, and drives it with boto3, the AWS SDK for Go, psql, pgx and
// a real PostgreSQL. It sees no inside; what it may use of this module is how
// to write a configuration and how to start a database.
//
// Start reading at harness_test.go, then mainjob_test.go. What is promised when
// things go wrong is in badinput_test.go (requests, configuration, files),
// source_test.go (settings and rights of the source), crash_test.go and
// lost_test.go (kills, restarts, broken connections, lost history) and
// disk_test.go; commands_test.go has the command line,
// verify_test.go the comparison of source and warehouse.
//
// The files that begin with chaos have a generator: from a seed it draws a
// schema (chaos_schema_test.go, chaos_values_test.go), transactions
// (chaos_workload_test.go), DDL (chaos_ddl_test.go) and faults
// (chaos_faults_test.go, chaos_lost_test.go). chaos_run_test.go lets all of that
// happen at once, while chaos_watch_test.go looks whether readers see a prefix
// and whom the application waits for; at rest, chaos_compare_test.go compares
// source and warehouse row by row, by nothing of the program's own.
package e2e
