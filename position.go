package penstock

// Position is a place in the history of one stream of a source, always a
// transaction boundary, as text that only the source that made it understands.
// It carries its origin (which system, which slot or binlog lineage), so that
// a position of another history is never mistaken for one of this.
// Others compare it for equality only. "" is the position before everything.
type Position string

// Snapshot names what a load sees: every transaction is either visible in it
// or not, which the source that made it decides. It is text that outlives a
// restart, so that the stream can join what was loaded before a crash.
// "" is no snapshot.
type Snapshot string
