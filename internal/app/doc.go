// Package app makes a running Penstock out of a configuration: it is the only
// package that knows every other, and it holds no logic but wiring.
//
// New takes hold of everything that only one process may have (the data
// folder, the addresses, the warehouses) and fails if it cannot; Run serves
// until its context ends, drains, and lets go of all of it.
//
// Start reading at app.go; the rest is one file per part that is wired.
package app
