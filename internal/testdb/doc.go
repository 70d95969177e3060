// Package testdb starts throwaway PostgreSQL servers from the binaries that
// are installed on the machine: for tests, by way of package dbtest, and for
// the demo. A server lives in a temporary folder, listens on loopback only,
// runs unprivileged even where we are root, and goes away with this process,
// however this process ends.
//
// It is not a way to run a database that anybody wants to keep.
//
// Start reading at Start in postgres.go.
package testdb
