// Package memstore keeps integrations in memory. It is for tests and demos:
// what it holds is gone when the process ends. It passes the conformance suite
// of storetest as every store does.
package memstore
