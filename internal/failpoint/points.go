package failpoint

// Point is a place in the program.
type Point string

// The points. "Before" and "after" are about the step becoming durable.
const (
	// A batch at the target: rows, states and position in one transaction.
	TargetBeforeCommit Point = "target.before-commit"
	TargetAfterCommit  Point = "target.after-commit"
	// A batch that ends inside a source transaction.
	TargetBeforePartial Point = "target.before-partial"
	TargetAfterPartial  Point = "target.after-partial"
	// A batch that makes loaded versions readable, and one that drops tables.
	TargetBeforeSwap Point = "target.before-swap"
	TargetAfterSwap  Point = "target.after-swap"
	TargetBeforeDrop Point = "target.before-drop"
	TargetAfterDrop  Point = "target.after-drop"
	// Steps of a load.
	TargetBeforeEnsure Point = "target.before-ensure"
	TargetAfterEnsure  Point = "target.after-ensure"
	TargetBeforeKeep   Point = "target.before-keep"
	TargetAfterKeep    Point = "target.after-keep"
	TargetBeforeAppend Point = "target.before-append" // a chunk, with the note that it is done
	TargetAfterAppend  Point = "target.after-append"
	TargetBeforeLoaded Point = "target.before-loaded"
	TargetAfterLoaded  Point = "target.after-loaded"
	// Table states outside of a batch; a position given up.
	TargetBeforeStates Point = "target.before-states"
	TargetAfterStates  Point = "target.after-states"
	TargetBeforeForget Point = "target.before-forget"
	TargetAfterForget  Point = "target.after-forget"
	// A destination database being dropped: its file renamed, and removed.
	TargetBeforeRemove Point = "target.before-remove"
	TargetAfterRemove  Point = "target.after-remove"
	// A destination database laid out anew: its copy complete, and in its place.
	TargetBeforeRelaid Point = "target.before-relaid"
	TargetAfterRelaid  Point = "target.after-relaid"

	// What the source is told and made to keep.
	PipelineBeforeAck    Point = "pipeline.before-ack"    // applied, and the source does not know
	PipelineAfterAck     Point = "pipeline.after-ack"     // the source may have been told
	PipelineUnstored     Point = "pipeline.unstored"      // slot made, its position not stored
	SourceBeforeSlot     Point = "source.before-slot"     // publications made, no slot
	SourceBeforePublish  Point = "source.before-publish"  // of a look at the tables
	SourceAfterPublish   Point = "source.after-publish"   //
	SourceSlotsDropped   Point = "source.slots-dropped"   // of an integration that is deleted, in one database
	SourceAfterForgotten Point = "source.after-forgotten" // everything is gone from one database
	// Transactions that come while they are in progress.
	SourceBeforeSpill  Point = "source.before-spill"  // memory is short, the file has not got it
	SourceBeforeReplay Point = "source.before-replay" // one has committed, nothing of it is delivered

	// The control plane's own records, and the steps of a deletion.
	StoreBeforeWrite   Point = "store.before-write"
	StoreAfterWrite    Point = "store.after-write"
	ControlCleaned     Point = "control.cleaned"
	ControlDetached    Point = "control.detached"
	ControlOrphanKept  Point = "control.orphan-kept"
	ControlRecordGone  Point = "control.record-gone"
	ControlOrphanClean Point = "control.orphan-clean"
	// The steps of dropping a destination database.
	ControlFileDropped   Point = "control.file-dropped"   // gone from the target, not yet from the records
	ControlStreamCleaned Point = "control.stream-cleaned" // gone from the source, not yet from the records
)

// All returns every point.
func All() []Point {
	return []Point{
		TargetBeforeCommit, TargetAfterCommit, TargetBeforePartial, TargetAfterPartial, TargetBeforeSwap, TargetAfterSwap,
		TargetBeforeDrop, TargetAfterDrop, TargetBeforeEnsure, TargetAfterEnsure, TargetBeforeKeep, TargetAfterKeep, TargetBeforeAppend, TargetAfterAppend,
		TargetBeforeLoaded, TargetAfterLoaded, TargetBeforeStates, TargetAfterStates, TargetBeforeForget, TargetAfterForget, TargetBeforeRemove, TargetAfterRemove,
		TargetBeforeRelaid, TargetAfterRelaid,
		PipelineBeforeAck, PipelineAfterAck, PipelineUnstored, SourceBeforeSlot, SourceBeforePublish, SourceAfterPublish,
		SourceSlotsDropped, SourceAfterForgotten, SourceBeforeSpill, SourceBeforeReplay, StoreBeforeWrite, StoreAfterWrite,
		ControlCleaned, ControlDetached, ControlOrphanKept, ControlRecordGone, ControlOrphanClean,
		ControlFileDropped, ControlStreamCleaned,
	}
}
