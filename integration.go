package penstock

import (
	"strings"
	"time"
)

// IntegrationID is an integration's identity: a lower-case UUID.
type IntegrationID string

// ParseIntegrationID returns the identity that a user has written.
func ParseIntegrationID(text string) IntegrationID {
	return IntegrationID(strings.ToLower(strings.TrimSpace(text)))
}

// Short returns the first 8 characters, which names of things that we create
// at a source or target carry.
func (id IntegrationID) Short() string {
	if len(id) < 8 {
		return string(id)
	}
	return string(id[:8])
}

// Status is an integration's status in the words of the RDS API
// (IntegrationStatus, API version 2014-10-31).
type Status string

// The seven statuses. Which change into which, and why, is decided in one
// place: the transition table of internal/control.
const (
	StatusCreating       Status = "creating"
	StatusActive         Status = "active"
	StatusModifying      Status = "modifying"
	StatusFailed         Status = "failed"
	StatusDeleting       Status = "deleting"
	StatusSyncing        Status = "syncing"
	StatusNeedsAttention Status = "needs_attention"
)

// Tag is a key with an optional value attached to an integration.
type Tag struct{ Key, Value string }

// Integration is a zero-ETL integration: rows committed in the source that
// the filter selects are carried into the target, from now on.
type Integration struct {
	ID        IntegrationID
	Name      string
	ARN       string // arn:<partition>:rds:<region>:<account>:integration:<ID>
	SourceARN string
	TargetARN string

	DataFilter        string // the text as given; parse it with ParseFilter
	Description       string
	KMSKeyID          string            // always an ARN
	WrappedKey        []byte            // the integration's data key, encrypted by that key
	EncryptionContext map[string]string // nil if none was given
	Tags              []Tag             // in the order in which the keys were first set

	CreatedAt   time.Time
	Status      Status
	StatusSince time.Time
	Problems    []Problem // what the API shows as Errors

	// Databases are the destination databases that this integration's
	// streams replicate into, one per stream.
	Databases []DestinationDatabase
}

// DestinationDatabase is where one stream of an integration replicates to:
// what CREATE DATABASE … FROM INTEGRATION makes in a target.
type DestinationDatabase struct {
	Name           string // its name in the warehouse; "" once it has been dropped
	SourceDatabase string // the source database; "" where a stream covers the whole server
	CreatedAt      time.Time
	State          DatabaseState
	Options        DatabaseOptions
}

// DatabaseState says how far the making or dropping of a destination database
// has come. It is stored before each step, so that a crash leaves none half
// done.
type DatabaseState string

// The database states. They follow each other in this order, and from
// DatabaseDropped and DatabasePending back to DatabaseConnected.
const (
	// DatabaseConnected: a stream replicates into it. It is there, or will be
	// as soon as the stream opens it.
	DatabaseConnected DatabaseState = ""
	// DatabaseDropping: a user drops it; the stream ends, and it is removed
	// from the target.
	DatabaseDropping DatabaseState = "dropping"
	// DatabaseDropped: it is gone, and what its stream has at the source is
	// to be removed.
	DatabaseDropped DatabaseState = "dropped"
	// DatabasePending: nothing is left of it. The source database waits for
	// somebody to connect it again.
	DatabasePending DatabaseState = "pending"
)

// EventKind says what an Event reports; values are those of Amazon Redshift's
// zero-ETL event catalogue ("REDSHIFT-INTEGRATION-EVENT-0000" …) where it has
// one.
type EventKind string

// Event is something that happened to an integration, kept for its history.
type Event struct {
	ID          int64 // given by the Store, ascending
	At          time.Time
	Integration IntegrationID
	Name        string // the integration's name at that time
	Kind        EventKind
	Severity    Severity
	Message     string
}

// Orphan is something of ours that a deleted integration left behind because
// its source could not be reached. It is retried for ever (promise 4).
type Orphan struct {
	Integration IntegrationID
	Name        string // the integration's name
	Source      string // the source's name in the configuration
	Since       time.Time
	LastTry     time.Time
	LastError   string
	ByHand      []string // the statements that remove it, to be run in each database; nil if they are not known
}

// ARN is an Amazon Resource Name split into its parts.
type ARN struct{ Partition, Service, Region, Account, Resource string }

// ParseARN splits s; ok is false unless s has the six colon-separated parts
// that every ARN has. The resource part may contain further colons.
func ParseARN(s string) (arn ARN, ok bool) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" {
		return ARN{}, false
	}
	return ARN{Partition: p[1], Service: p[2], Region: p[3], Account: p[4], Resource: p[5]}, true
}

func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}
