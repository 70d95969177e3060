package penstock

// Retention is what a server keeps because a stream of ours may still need it
// (promise 4).
type Retention struct {
	// Bytes of history since the oldest that the stream needs.
	Bytes int64
	// Beside is the same for what loads beside the stream need.
	Beside int64
	// Age is how many transactions ago the oldest began whose traces the
	// server cannot clean away because of us; 0 for servers that do not count.
	Age int64
	// Cause says in a sentence why it is as much; "" if it is not much.
	Cause string
	// Findings are what is wrong with it at the source.
	Findings []Finding
}
