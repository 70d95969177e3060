// Package pipeline is the data plane of one stream: it loads the tables of a
// source database into a destination database, then carries every committed
// change there, for ever.
//
// It works in turns. In each it looks at the tables the source has and the
// destination knows (reconcile.go); loads what is missing into hidden
// versions (load.go); then opens the stream from the stored position and
// applies batches (replicate.go) until there is something to load or to drop.
// Since the stream stands still during a load, what a load sees is joined
// with the stream by leaving out, per table, the transactions that the load
// showed already; the source decides which (penstock.Snapshot).
// A load that broke goes on with the chunks that are missing, and what it then
// has of several snapshots is mended while the stream passes them (mend.go).
// Of tables in history mode every version of a row is kept (versions.go,
// keeper.go); what users want done to them is done between two streams (orders.go).
//
// Invariants:
//   - A position is stored in the transaction with the rows it covers, and
//     acknowledged only when that is durable (promises 2 and 3).
//   - A batch ends at a transaction boundary, or is followed by the rest in the
//     same transaction of the destination (promise 1).
//   - A hidden version is swapped in only when the stream has passed the
//     snapshot it was loaded from (promise 1).
//   - What was seen by looking at the source, a table that is gone, renamed or
//     changed, is carried out only when the stream has passed that (promise 1).
//   - What is held in memory is bounded by Config.Memory (promise 7).
//
// Retry after a broken connection is the supervisor's: Run returns the error,
// and a new Run resumes from what is stored.
//
// Start reading at pipeline.go.
package pipeline
