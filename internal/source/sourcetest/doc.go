// Package sourcetest is the conformance suite of penstock.Source: what the
// contracts in the root package's source.go and changes.go promise, as tests
// that every source passes, the one in memory included.
//
// A source's own test package calls Run with a function that opens a Subject:
// the source, and a way to work with its database as an application does. What
// is special to one engine (its types, its catalog) is tested beside that
// engine.
//
// Start reading at suite.go; reader.go is a reader that believes nothing: it
// keeps what it was given row by row and fails at the first change that does
// not fit.
package sourcetest
