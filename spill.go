package penstock

// Spill makes files for what a Capture has to keep for a while and cannot keep
// in memory: the changes of transactions that are not committed yet. It may be
// used by several goroutines.
type Spill interface {
	// Create makes an empty file. KindFull if there is no room for it.
	Create() (SpillFile, error)
}

// SpillFile is a queue of blocks on disk. It is gone with the process, however
// that ends, and nobody else can read it. It is for one goroutine at a time,
// except that Close may be called by another, which fails what is under way.
type SpillFile interface {
	// Append adds a block, which is not empty. KindFull if the disk is full.
	Append(block []byte) error
	// Next appends to dst the block after the one that it returned before,
	// beginning with the first that was added, and returns io.EOF after the
	// last one.
	Next(dst []byte) ([]byte, error)
	// Close removes the file.
	Close() error
}
