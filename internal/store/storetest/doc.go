// Package storetest is the conformance suite of penstock.Store: what every
// store promises, as tests that each runs against itself.
package storetest
