package control

import (
	"time"

	"penstock"
)

// transition is one way in which an integration's status may change.
type transition struct{ from, to penstock.Status }

// news is how a transition is told of. An empty kind means that the problem
// which caused it names the kind.
type news struct {
	kind     penstock.EventKind
	severity penstock.Severity
	text     string
}

// transitions is the whole state machine: what is not in it does not happen.
// Every status but creating and modifying leads to deleting, and those two end
// after Config.CreatingLimit at the latest.
var transitions = map[transition]news{
	{penstock.StatusCreating, penstock.StatusActive}:         {EventCreated, penstock.SeverityInfo, "the integration was created and is active"},
	{penstock.StatusCreating, penstock.StatusNeedsAttention}: {"", penstock.SeverityAttention, "the integration needs attention"},
	{penstock.StatusCreating, penstock.StatusFailed}:         {EventCreateFailed, penstock.SeverityFatal, "the integration cannot be created"},

	{penstock.StatusActive, penstock.StatusSyncing}:        {EventSyncing, penstock.SeverityInfo, "tables are being loaded again"},
	{penstock.StatusActive, penstock.StatusNeedsAttention}: {"", penstock.SeverityAttention, "the integration needs attention"},
	{penstock.StatusActive, penstock.StatusModifying}:      {EventModifying, penstock.SeverityInfo, "the integration is being modified"},
	{penstock.StatusActive, penstock.StatusFailed}:         {EventFailed, penstock.SeverityFatal, "the integration has failed"},
	{penstock.StatusActive, penstock.StatusDeleting}:       {EventDeleting, penstock.SeverityInfo, "the integration is being deleted"},

	{penstock.StatusSyncing, penstock.StatusActive}:         {EventActive, penstock.SeverityInfo, "the integration is active"},
	{penstock.StatusSyncing, penstock.StatusNeedsAttention}: {"", penstock.SeverityAttention, "the integration needs attention"},
	{penstock.StatusSyncing, penstock.StatusModifying}:      {EventModifying, penstock.SeverityInfo, "the integration is being modified"},
	{penstock.StatusSyncing, penstock.StatusFailed}:         {EventFailed, penstock.SeverityFatal, "the integration has failed"},
	{penstock.StatusSyncing, penstock.StatusDeleting}:       {EventDeleting, penstock.SeverityInfo, "the integration is being deleted"},

	{penstock.StatusNeedsAttention, penstock.StatusActive}:    {EventActive, penstock.SeverityInfo, "the integration is active"},
	{penstock.StatusNeedsAttention, penstock.StatusSyncing}:   {EventSyncing, penstock.SeverityInfo, "tables are being loaded"},
	{penstock.StatusNeedsAttention, penstock.StatusModifying}: {EventModifying, penstock.SeverityInfo, "the integration is being modified"},
	{penstock.StatusNeedsAttention, penstock.StatusFailed}:    {EventFailed, penstock.SeverityFatal, "the integration has failed"},
	{penstock.StatusNeedsAttention, penstock.StatusDeleting}:  {EventDeleting, penstock.SeverityInfo, "the integration is being deleted"},

	{penstock.StatusModifying, penstock.StatusActive}:         {EventModified, penstock.SeverityInfo, "the modification was applied and the integration is active"},
	{penstock.StatusModifying, penstock.StatusNeedsAttention}: {"", penstock.SeverityAttention, "the integration needs attention"},
	{penstock.StatusModifying, penstock.StatusFailed}:         {EventModifyFailed, penstock.SeverityFatal, "the integration cannot be modified"},

	// A source or target that was missing is configured again.
	{penstock.StatusFailed, penstock.StatusSyncing}:  {EventSyncing, penstock.SeverityInfo, "the source and the target are configured again"},
	{penstock.StatusFailed, penstock.StatusDeleting}: {EventDeleting, penstock.SeverityInfo, "the integration is being deleted"},
}

// begin gives a new integration its first status.
func begin(in *penstock.Integration, now time.Time) {
	in.Status, in.StatusSince = penstock.StatusCreating, now
}

// move changes the status along the transition table, and notes the event.
// Nothing else assigns a status. A change that the table does not have is
// KindInvalidState.
func (e *edit) move(to penstock.Status) error {
	n, ok := transitions[transition{e.Status, to}]
	if !ok {
		return penstock.Errorf(penstock.KindInvalidState, "an integration that is %s cannot become %s", e.Status, to)
	}
	e.Status, e.StatusSince = to, e.now
	if n.severity == penstock.SeverityAttention || n.severity == penstock.SeverityFatal {
		if p, ok := worst(e.Problems); ok {
			n.text += ": " + p.Message
			if n.kind == "" {
				n.kind = problemEvent(p.Code)
			}
		}
	}
	if n.kind == "" {
		n.kind = EventAttention
	}
	e.note(n.kind, n.severity, n.text)
	return nil
}

// worst returns the problem that a transition for the worse is put down to.
// Problems are kept worst first.
func worst(problems []penstock.Problem) (penstock.Problem, bool) {
	if len(problems) == 0 || !severe(problems[0].Severity) {
		return penstock.Problem{}, false
	}
	return problems[0], true
}

// severe reports whether somebody must act.
func severe(s penstock.Severity) bool {
	return s == penstock.SeverityAttention || s == penstock.SeverityFatal
}
