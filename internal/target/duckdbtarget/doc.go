// Package duckdbtarget is the embedded warehouse: a penstock.Target whose
// destination databases are DuckDB files, and the penstock.Warehouse that lets
// clients query them.
//
// One Warehouse is one DuckDB instance over one folder. The folder holds one
// file per database: the built-in, writable "dev", and a file per destination
// database, each attached under its name. Nothing else may be in there,
// because the engine is allowed to open whatever is in that folder.
//
// What holds here:
//
//   - Rows, table states and the position of a destination database are in one
//     file and change in one transaction (promises 1 and 2). A commit returns
//     when the engine has synced its write-ahead log (promise 3).
//   - Only a Destination writes to a destination database. A client's
//     statement runs in a transaction that the engine itself confines: read-only,
//     or, in dev, already bound to dev, since a transaction of this engine can
//     write to one database only.
//   - No client statement reaches a file. The engine may open files in the
//     warehouse's own folder and nowhere else, its configuration is locked, and
//     which functions and statements a client may use is a list of the allowed
//     ones, checked on the engine's own parse of the statement.
//   - A readable table is always a real table under its own name, but for one
//     in history mode, which is a view of two (history.go); a load goes to a
//     hidden table beside it that takes the name in one transaction.
//   - The one thing that clients may write in a destination database is to
//     delete what is past of a table in history mode (purge.go).
//
// Where to start reading: engine.go (the instance), attach.go (files and
// ownership), meta.go and change.go (what a destination remembers),
// destination.go, layout.go and relayout.go (files for wide tables), load.go, chunk.go, apply.go and alter.go (writing), session.go, police.go and
// statement.go (querying). chunkwrite.go and chunkread.go carry values in and
// out.
package duckdbtarget
