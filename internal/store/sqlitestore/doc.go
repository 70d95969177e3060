// Package sqlitestore keeps integrations, events, orphans and policies in a SQLite
// file:
// the metadata of a server that is alone.
//
// An integration is a JSON document beside the few columns that are searched
// or must be unique, so that a new member needs no migration. The names in the
// document are those of document.go and stay readable for ever; testdata holds
// what earlier versions wrote. Tables change by the numbered files in
// migrations, which are applied when the store is opened.
//
// Every write is one transaction, on disk when it returns. Writers take turns;
// readers do not wait for them. The file has one owning process, which whoever
// opens the store sees to.
package sqlitestore
