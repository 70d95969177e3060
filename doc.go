// Package penstock is the vocabulary of Penstock: what an integration is, what
// a source delivers, what a target accepts. It holds nouns, the contracts
// between the parts, and pure functions over them; it starts nothing, dials
// nothing and imports nothing of this module but the standard library.
//
// Read it in this order, and you know where everything is:
//
//   - integration.go  Integration, Status, Tag: what the RDS API creates
//   - filter.go       DataFilter: which tables an integration carries
//   - problem.go      Problem: what the user is told when something is wrong
//   - table.go        Table, Column, Identity, TableState
//   - types.go        Type: what a column holds, independent of any engine
//   - vector.go       Vector: a column of values, the form of all data here
//   - rows.go         Rows: vectors of one length
//   - badvalues.go    BadValues: what could not be represented, by column
//   - position.go     Position, Snapshot: places in a source's history
//   - changes.go      Changes: what a source delivers, in commit order
//   - alter.go        Alteration: a change of shape that keeps the rows
//   - batch.go        Batch: what a target applies, compacted by key
//   - historymode.go  Versions, Switch: tables of which every version of a row is kept
//   - source.go       Source, Capture, Load, Stream: the seam to databases read
//   - pin.go          Pin, View: source and destination at one position, to be compared
//   - spill.go        Spill: room on disk for a Capture
//   - target.go       Target, Destination: the seam to warehouses written
//   - layout.go       Layout: a Destination that is laid out for its tables
//   - warehouse.go    Warehouse, Session: the seam to warehouses queried
//   - journal.go      Journal: what streams have done, for people to look at
//   - refresh.go      Refresh: which tables are to be loaded again
//   - locate.go       Locator: places that readers of a destination can wait for
//   - store.go        Store: where integrations are remembered
//   - retention.go    Retention: what a source keeps for a stream
//   - status.go       StreamStatus: what is known about a running stream
//   - errors.go       Error, Kind: the few kinds of failure
//
// The way of a row: a Source decodes it from wire bytes into Changes, the
// pipeline compacts Changes into a Batch, a Destination applies the Batch in
// one transaction together with the Position it reaches, and only then is the
// Position acknowledged to the Source.
//
// The numbered promises that comments refer to ("promise 2") are listed in
// docs/architecture.md.
package penstock
