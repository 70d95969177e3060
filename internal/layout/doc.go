// Package layout holds the test that keeps the direction of imports between
// the packages of this module, and that every package says what it is.
//
// It has no code of its own. The rules, each with its reason, are the table in
// layout_test.go.
package layout
