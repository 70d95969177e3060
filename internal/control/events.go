package control

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"penstock"
)

// The kinds of event that are recorded: those of Amazon Redshift's catalogue
// where it has one for the case.
const (
	EventCreated          penstock.EventKind = "REDSHIFT-INTEGRATION-EVENT-0000"
	EventDeleted          penstock.EventKind = "REDSHIFT-INTEGRATION-EVENT-0001"
	EventDeleting         penstock.EventKind = "REDSHIFT-INTEGRATION-EVENT-0002"
	EventSyncing          penstock.EventKind = "REDSHIFT-INTEGRATION-EVENT-0003"
	EventNoIdentity       penstock.EventKind = "REDSHIFT-INTEGRATION-EVENT-0004"
	EventUnsupported      penstock.EventKind = "REDSHIFT-INTEGRATION-EVENT-0005"
	EventCreateFailed     penstock.EventKind = "REDSHIFT-INTEGRATION-EVENT-0006"
	EventInternal         penstock.EventKind = "REDSHIFT-INTEGRATION-EVENT-0007"
	EventRights           penstock.EventKind = "REDSHIFT-INTEGRATION-EVENT-0008"
	EventActive           penstock.EventKind = "REDSHIFT-INTEGRATION-EVENT-0013"
	EventModifyFailed     penstock.EventKind = "REDSHIFT-INTEGRATION-EVENT-0014"
	EventModifying        penstock.EventKind = "REDSHIFT-INTEGRATION-EVENT-0016"
	EventModified         penstock.EventKind = "REDSHIFT-INTEGRATION-EVENT-0017"
	EventSourceSetting    penstock.EventKind = "REDSHIFT-INTEGRATION-EVENT-1000"
	EventFilterUnparsable penstock.EventKind = "REDSHIFT-INTEGRATION-EVENT-1006"

	EventAttention     penstock.EventKind = "PENSTOCK-INTEGRATION-EVENT-0001" // a problem without a kind of its own
	EventFailed        penstock.EventKind = "PENSTOCK-INTEGRATION-EVENT-0002"
	EventOrphanLeft    penstock.EventKind = "PENSTOCK-INTEGRATION-EVENT-0003" // something of ours stayed at the source
	EventOrphanRemoved penstock.EventKind = "PENSTOCK-INTEGRATION-EVENT-0004" // and is gone now
	EventNotDetached   penstock.EventKind = "PENSTOCK-INTEGRATION-EVENT-0005"

	EventDatabaseCreated penstock.EventKind = "PENSTOCK-INTEGRATION-EVENT-0006" // by a statement
	EventDatabaseDropped penstock.EventKind = "PENSTOCK-INTEGRATION-EVENT-0007"
)

// EventKinds returns all kinds.
func EventKinds() []penstock.EventKind {
	return []penstock.EventKind{
		EventCreated, EventDeleted, EventDeleting, EventSyncing, EventNoIdentity, EventUnsupported, EventCreateFailed, EventInternal,
		EventRights, EventActive, EventModifyFailed, EventModifying, EventModified, EventSourceSetting, EventFilterUnparsable,
		EventAttention, EventFailed, EventOrphanLeft, EventOrphanRemoved, EventNotDetached,
		EventDatabaseCreated, EventDatabaseDropped,
	}
}

var problemEvents = map[penstock.ProblemCode]penstock.EventKind{
	penstock.ProblemNoReplicaIdentity: EventNoIdentity,
	penstock.ProblemUnsupportedTable:  EventUnsupported,
	penstock.ProblemBadValues:         EventUnsupported,
	penstock.ProblemSourceRights:      EventRights,
	penstock.ProblemKeyNotAccessible:  EventRights,
	penstock.ProblemSourceSetting:     EventSourceSetting,
	penstock.ProblemFilterUnparsable:  EventFilterUnparsable,
	penstock.ProblemInternal:          EventInternal,
	penstock.ProblemTableFailed:       EventInternal,
}

func problemEvent(code penstock.ProblemCode) penstock.EventKind {
	if kind, ok := problemEvents[code]; ok {
		return kind
	}
	return EventAttention
}

// ledger writes changes of integrations with the events that tell of them.
type ledger struct {
	store penstock.Store
	now   func() time.Time
	log   *slog.Logger
}

// edit is one change of an integration, inside Store.Update.
type edit struct {
	*penstock.Integration
	now    time.Time
	events []penstock.Event
}

// errUnchanged, returned by a change, leaves the integration as it is.
var errUnchanged = errors.New("unchanged")

// change lets f change an integration in one transaction, and records the
// events that f noted once that is durable. It returns the integration as it
// is afterwards.
func (l *ledger) change(ctx context.Context, id penstock.IntegrationID, f func(*edit) error) (penstock.Integration, error) {
	var events []penstock.Event
	var seen penstock.Integration
	in, err := l.store.Update(ctx, id, func(in *penstock.Integration) error {
		e := edit{Integration: in, now: l.now()}
		err := f(&e)
		events, seen = e.events, *in
		return err
	})
	if errors.Is(err, errUnchanged) {
		return seen, nil
	}
	if err != nil {
		return penstock.Integration{}, err
	}
	for _, event := range events {
		l.record(ctx, event)
	}
	return in, nil
}

// record adds an event; one that cannot be kept is logged and no error, as
// what it tells of has happened.
func (l *ledger) record(ctx context.Context, event penstock.Event) {
	level := slog.LevelInfo
	if event.Severity != penstock.SeverityInfo {
		level = slog.LevelWarn
	}
	l.log.Log(ctx, level, "integration event", "integration", event.Integration, "name", event.Name, "kind", event.Kind, "message", event.Message)
	if err := l.store.AddEvent(ctx, event); err != nil && ctx.Err() == nil {
		l.log.Error("event not stored", "integration", event.Integration, "kind", event.Kind, "err", err)
	}
}

// note adds an event to the change.
func (e *edit) note(kind penstock.EventKind, severity penstock.Severity, message string) {
	e.events = append(e.events, penstock.Event{
		At: e.now, Integration: e.ID, Name: e.Name, Kind: kind, Severity: severity, Message: message,
	})
}
