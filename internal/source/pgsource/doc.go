// Package pgsource reads PostgreSQL (13 and later) by logical replication: a
// penstock.Source with one stream per database.
//
// What it puts on the server, per integration (whose UUID begins with
// "3f2a91bc") and database:
//
//	slot        penstock_3f2a91bc_<6 hex digits>   one per database
//	publication penstock_3f2a91bc                  tables with a replica identity
//	publication penstock_3f2a91bc_append           tables without: inserts and truncates only
//
// and, where the role may, what tells the stream of changes of tables
// (ddltrigger.sql):
//
//	schema         penstock_3f2a91bc                      with the function ddl()
//	event triggers penstock_3f2a91bc_ddl, _drop, _rewrite
//
// and nothing else: no table. Forget removes all of it.
// With Config.Publication, one that somebody prepared is read instead, and left
// alone (prepared.go).
//
// Invariants:
//   - A table without replica identity is never published for UPDATE or
//     DELETE, so these statements keep working for the application (promise 4).
//   - A streamed transaction is left out for a table if and only if the
//     table's snapshot shows it (see join.go).
//   - A chunk of a load is one short transaction; the application's DDL waits
//     for one chunk at the most.
//   - Values decode to the same bytes whether they come by COPY in binary or
//     by pgoutput in text (the tests hold each type's two decoders together).
//   - A shape that the event trigger tells and one that is found by looking are
//     the same, as both come from the same queries (catalog.go); what was told
//     either keeps the rows that are there, provably, or the table is loaded
//     again (alter.go). The trigger never fails the application's statement.
//   - Generated columns that the stream does not have are computed for its rows
//     by the server, or read from the very version of the row that came; where
//     neither is exact, the table is loaded again (compute.go, reread.go).
//
// Start reading at source.go, then capture.go (what a stream needs at the
// server), load.go, stream.go, ddl.go. pgoutput.go and the decode files are pure
// functions over bytes.
package pgsource
