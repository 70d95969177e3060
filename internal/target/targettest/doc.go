// Package targettest is the conformance suite of penstock.Target: what the
// contracts in the root package's target.go and batch.go promise, as tests
// that every target passes, the one in memory included.
//
// A target's own test package calls Run with a function that makes an empty
// target. What is special to one engine (its limits, its files) is tested
// beside that engine.
//
// Start reading at suite.go; build.go makes shapes, rows and batches.
package targettest
