// Package memsource is a penstock.Source that keeps everything in memory. It
// passes the conformance suite of sourcetest and serves the tests of whatever
// reads from a source; it is never part of the program.
//
// A test writes to it as an application would: Source.Database gives a
// database, Database.Create makes a table, Database.Begin opens a transaction.
// Transactions have numbers, may be open at the same time, and are seen by a
// load or not by its snapshot, so that the join of load and stream is as real
// as at a database server. What only some servers do is done here as well:
// long values that an update leaves as they were are not sent, a truncated
// table is another file, a table's changes are in the stream only from when it
// was published, and history that has been acknowledged is gone.
//
// It locks no rows: a transaction that changes a row which another open one
// has changed panics, and so does every other mistake in a script.
//
// Start reading at source.go, then database.go and tx.go (what a test does to
// it), capture.go, load.go and stream.go (what a reader does).
package memsource
