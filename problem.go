package penstock

import "time"

// Severity says how bad a Problem is.
type Severity string

const (
	// SeverityInfo is news only.
	SeverityInfo Severity = "info"
	// SeverityWarning: replication goes on as it should; somebody should know.
	SeverityWarning Severity = "warning"
	// SeverityAttention: somebody must act; it heals when the cause is gone.
	SeverityAttention Severity = "attention"
	// SeverityFatal: beyond repair; the integration has failed.
	SeverityFatal Severity = "fatal"
)

// ProblemCode is a stable name for a cause, for programs to match on.
type ProblemCode string

// The problem codes. Each is declared here once; what to do about it is in
// the Problem itself, since it names the table or the statement.
const (
	ProblemSourceUnreachable ProblemCode = "SOURCE_UNREACHABLE"
	ProblemSourceSetting     ProblemCode = "SOURCE_SETTING"
	ProblemSourceRights      ProblemCode = "SOURCE_RIGHTS"
	ProblemSourceGone        ProblemCode = "SOURCE_NOT_CONFIGURED"
	ProblemSourceUnclean     ProblemCode = "SOURCE_NOT_CLEAN"
	ProblemTargetGone        ProblemCode = "TARGET_NOT_CONFIGURED"
	ProblemTargetFailed      ProblemCode = "TARGET_FAILED"
	ProblemDiskFull          ProblemCode = "DISK_FULL"
	ProblemMemoryExhausted   ProblemCode = "MEMORY_EXHAUSTED"
	ProblemDatabaseMissing   ProblemCode = "DATABASE_MISSING"
	ProblemFilterUnparsable  ProblemCode = "FILTER_UNPARSABLE"
	ProblemNoReplicaIdentity ProblemCode = "NO_REPLICA_IDENTITY"
	ProblemUnseenChanges     ProblemCode = "UNSEEN_CHANGES"
	ProblemTableFailed       ProblemCode = "TABLE_FAILED"
	ProblemUnsupportedTable  ProblemCode = "UNSUPPORTED_TABLE"
	ProblemBadValues         ProblemCode = "VALUES_NOT_REPRESENTABLE"
	ProblemPositionLost      ProblemCode = "POSITION_LOST"
	ProblemWALRetained       ProblemCode = "WAL_RETAINED"
	ProblemWALLimit          ProblemCode = "WAL_LIMIT"
	ProblemOldRowsRetained   ProblemCode = "OLD_ROWS_RETAINED"
	ProblemSlotEndangered    ProblemCode = "SLOT_ENDANGERED"
	ProblemOpenTransaction   ProblemCode = "OPEN_TRANSACTION"
	ProblemKeyNotAccessible  ProblemCode = "KMS_KEY_NOT_ACCESSIBLE"
	ProblemInternal          ProblemCode = "INTERNAL"
)

// Problem is something a user is told, in the integration's Errors, in a
// table's reason, in events and metrics (promise 5).
type Problem struct {
	Code     ProblemCode
	Severity Severity
	Database string    // source database, "" if it concerns the whole source
	Table    string    // schema.table, "" if it concerns no single table
	Message  string    // one sentence that names the thing and says what to do
	Mend     string    // the statement that mends it, if there is one
	Since    time.Time `json:",omitzero"` // zero in a preflight check
}

// Key identifies a problem across the moments at which it is found again.
func (p Problem) Key() string {
	return string(p.Code) + "\x00" + p.Database + "\x00" + p.Table
}

// Finding is what a preflight check of a source says: a Problem, or a fact
// worth knowing with SeverityInfo.
type Finding = Problem
