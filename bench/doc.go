// The bench program measures how fast Penstock is, side by side with what the
// source can deliver and with what people use otherwise, and writes
// RESULTS.md.
//
//	make bench Q=drain     one question
//	make bench             all of them
//	make bench-quick       all of them in a few minutes, at sizes that show that everything works
//	go run . -h            one case, more windows, profiles
//
// Start reading at question/question.go: a question is data, its cases use
// servers and programs of package lab, take what they measure from package
// measure, and package report shows it. Package vector is a benchmark of its
// own kind, see docs/decisions/0001-column-format.md.
//
// How it is measured:
//
//   - Each arm of a case does the same work, from the same backlog or tables, on the
//     same machine, and they take turns: A B C A B C.
//   - Wall time runs from the start of the process, or the call, until a query
//     at the SQL endpoint answers with the newest row.
//   - CPU time is that of processes, from /proc, the source's included.
//   - After each run the content of every table is compared with the source's, by a hash
//     over all values of all rows. If it differs the benchmark fails.
package main
