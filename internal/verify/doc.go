// Package verify compares a source database with its destination, row by row,
// both as they were at one position. It knows no engine: what it compares are
// rows as vectors, which a penstock.Pin and a penstock.View hand out. It holds
// nothing still and writes nothing; how the two are brought to one position is
// the pipeline's.
//
// A table is read once on each side. Each row goes by the hash of its key (or
// of the whole row, where there is no key) into one of some thousand buckets,
// of which only the number of rows and two sums of their hashes are kept; so
// memory does not grow with the table, order does not matter, and several
// chunks are read at a time. Only where buckets differ are the two read again,
// to find and name the rows (find.go).
//
// What is equal:
//   - values are compared in the form that they have in vectors: numbers, dates
//     and timestamps exactly, JSON as its text. All NaN are equal to each other,
//     and 0.0 and -0.0 are equal, as the warehouse has one zero.
//   - values that the destination cannot hold are null in it, by promise 5.
//     They are counted, and are no difference.
//   - rows of tables without a key are compared as multisets: how often each
//     is there.
//
// Hashes have 64 bits and are seeded anew for each comparison: a single row
// that differs is missed with a probability of 2^-64.
//
// Start reading at compare.go.
package verify
