// Package question has what the benchmarks ask, a file for each question.
//
// A Question is data: what it asks, which cases it has, how a case is measured
// and what the goals are. A case sets up what it needs in a lab.Env, lets the
// things it compares take turns, and returns every run. It checks the content
// after each run, and fails if that is not the source's.
package question
