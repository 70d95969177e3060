package penstock

import "time"

// StreamState is a stream's state in Amazon Redshift's words
// (SVV_INTEGRATION.state).
type StreamState string

// The stream states.
const (
	StreamPendingConnect  StreamState = "PendingDbConnectState"
	StreamSchemaDiscovery StreamState = "SchemaDiscoveryState"
	StreamCdcRefresh      StreamState = "CdcRefreshState"
	StreamError           StreamState = "ErrorState"
)

// StreamStatus is what is known about one stream at this moment (promise 8).
// It is a copy for display: the truth is in the destination database.
type StreamStatus struct {
	Database DestinationDatabase
	State    StreamState
	Problems []Problem

	Applied      Position
	AppliedLabel string        // Applied as the source's users write it; see Labeler
	LastCommit   time.Time     // source commit time of the newest applied transaction
	LastApplied  time.Time     // when it became queryable
	Lag          time.Duration // commit to queryable: of the last batch, or growing while one is waiting
	RetainedWAL  int64         // bytes of history that the source keeps for us
	RetainedAge  int64         // Retention.Age
	Transactions int64         // applied since this process started
	RowsChanged  int64         // applied since this process started
	BytesApplied int64         // decoded bytes, applied since this process started
	RowsLoaded   int64         // by first loads and reloads since this process started

	// Of rows changed, loaded and applied, over the last ten seconds.
	RowsPerSecond  float64
	BytesPerSecond float64

	Loading *LoadProgress // nil while nothing is being loaded
	Tables  []TableStatus // not to be changed: others have them as well
}

// LoadProgress is how far a load is.
type LoadProgress struct {
	Since      time.Time
	Tables     int // being loaded together
	TablesDone int
	Rows       int64 // read so far
	Bytes      int64 // of the source's, read so far
	TotalBytes int64 // estimated
	// Left is about how long the rest takes; 0 while that is not known.
	Left time.Duration
}
