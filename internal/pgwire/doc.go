// Package pgwire serves a penstock.Warehouse to SQL clients over PostgreSQL's
// wire protocol, version 3. It presents itself as Amazon Redshift does.
//
// It knows the protocol, the warehouse's seam and, through its subpackage
// redshift, the dialect; it knows no engine, no integration and no source.
//
// The way of a connection:
//
//   - server.go     Config, New, Run: accept, limits, drain
//   - startup.go    what comes before the first message: TLS, startup packet, negotiation
//   - auth.go       SCRAM-SHA-256; for Redshift's own drivers password or MD5
//   - tls.go        SelfSigned: a certificate made once and kept
//   - conn.go       the messages of one connection, one by one
//   - inbound.go    reads ahead, so that a client that left is noticed
//   - outbound.go   gathers messages and rows to be sent
//   - cancel.go     what ends a running statement before it is done
//   - simple.go     Query
//   - extended.go   Parse, Bind, Describe, Execute, Close, Sync
//   - statement.go  a prepared statement: the engine's, or one answered here
//   - portal.go     a statement being executed, row limits, suspension
//   - transaction.go  transaction status, implicit transactions
//   - settings.go   SET, SHOW, RESET, reported parameters
//   - types.go      how each type is sent; encode_text.go, encode_binary.go,
//     datetime.go, numeric.go, parameter.go hold the forms
//
// Invariants:
//
//   - Session methods are called by the connection's own goroutine only, but
//     for Interrupt, which is called only while a statement runs.
//   - A value is sent exactly as PostgreSQL would send it, in text and binary.
//   - Nothing that a client sends makes the server panic, allocate more than
//     the configured limits, or log a value, a statement or a secret.
//   - timestamptz is always shown, and read, in UTC: the engine computes in UTC,
//     so SET timezone is accepted and remembered, and has no other effect.
//
// server_version is 8.0.2, as Redshift says. psql warns about it only in
// interactive use; psql, libpq and pgx work with it.
package pgwire
