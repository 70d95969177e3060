// Package dbtest gives tests real PostgreSQL databases: Shared a fresh
// database on the one server of the test process, New a server of its own.
//
// Where no PostgreSQL is installed such tests are skipped with the reason, or
// fail if the environment has PENSTOCK_TEST_STRICT=1, so that a machine that
// is meant to run them cannot skip them unnoticed.
package dbtest
