// Package spill keeps on disk what a stream cannot keep in memory: files that
// nobody but the process can find or read, and that are gone with it.
//
// It is not storage. Nothing that is kept here is ever needed after a restart,
// because the source still has it: nothing is synced, and there is nothing to
// clean up.
//
// Invariants:
//   - A file has no name in its folder (where the file system needs one to
//     make it, it loses it before anything is written).
//   - Everything in a file is encrypted by AES-256-GCM, with a key that is
//     derived for this file alone from the integration's data key and
//     random bytes which are nowhere but in memory.
//
// Start reading at folder.go.
package spill
