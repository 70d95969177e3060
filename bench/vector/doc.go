// Package vector is the benchmark that chose the form of columns in memory:
// penstock.Vector against the array builders of arrow-go and against rows of
// []any. Each form is filled with the same rows, from the same bytes, by the
// same parsers, and handed on as flat memory, which is what a warehouse takes.
//
// docs/decisions/0001-column-format.md has the figures and what followed from
// them. It is a module of its own so that arrow-go is no dependency of the
// program.
package vector
