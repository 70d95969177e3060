// Package report holds what the benchmarks found and shows it.
//
// A Result is kept as JSON per question, so that a question, or one case of
// it, can be run alone: only its part is replaced. From all results together
// RESULTS.md and a picture per question are written anew each time. Runs are
// kept one by one; medians and spreads are worked out when they are shown.
package report
