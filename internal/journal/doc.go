// Package journal keeps what streams have done, in a SQLite file beside the
// metadata: a penstock.Journal to write, a penstock.History to read.
//
// It is for people to look at. What is recorded is written once a second, so
// that a crash loses the last of it; a disk that is full loses more; a file that
// is damaged is moved away. Nothing ever waits for it or fails because of it.
// It keeps the newest Limit entries of each kind, and none older than Keep.
//
// Start reading at journal.go.
package journal
