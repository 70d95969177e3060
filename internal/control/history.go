package control

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"penstock"
)

// EventsRequest says which events are wanted.
type EventsRequest struct {
	Identifier   string               // name, UUID or ARN of an integration, deleted ones too; "" for all
	Since, Until time.Time            // both inclusive
	Kinds        []penstock.EventKind // nil for all
	MaxRecords   int                  // 0 means the default of 100
	Marker       string               // from an EventsReply
}

// EventsReply is a page of events. Marker is "" on the last one.
type EventsReply struct {
	Events []EventView
	Marker string
}

// EventView is an event with the ARN that its integration has or had.
type EventView struct {
	penstock.Event
	ARN string
}

// Events returns a page of what happened to integrations, oldest first. A
// marker stays valid while events are added. KindInvalid for a marker.
func (s *Service) Events(ctx context.Context, r EventsRequest) (EventsReply, error) {
	after, err := parseMarker(r.Marker)
	if err != nil {
		return EventsReply{}, err
	}
	events, err := s.cfg.Store.Events(ctx, "", r.Since)
	if err != nil {
		return EventsReply{}, err
	}
	number := eventNumber(after.id)
	var page []EventView
	for _, e := range events {
		arn := s.cfg.IntegrationARN(e.Integration)
		named := r.Identifier == "" || r.Identifier == e.Name || r.Identifier == string(e.Integration) || r.Identifier == arn
		passed := r.Marker != "" && cmp.Or(e.At.Compare(after.created), cmp.Compare(e.ID, number)) <= 0
		if !named || passed || e.At.After(r.Until) || r.Kinds != nil && !slices.Contains(r.Kinds, e.Kind) {
			continue
		}
		page = append(page, EventView{e, arn})
	}
	most := cmp.Or(r.MaxRecords, pageSize)
	if len(page) <= most {
		return EventsReply{Events: page}, nil
	}
	last := page[most-1]
	return EventsReply{Events: page[:most], Marker: marker{last.At, eventID(last.ID)}.String()}, nil
}

// An event's marker holds its number in the place of an integration's ID.
func eventID(number int64) penstock.IntegrationID {
	return penstock.IntegrationID(strconv.FormatInt(number, 10))
}

func eventNumber(id penstock.IntegrationID) int64 {
	number, _ := strconv.ParseInt(string(id), 10, 64)
	return number
}

// Inbound returns a page of the integrations of a target, of all targets if
// targetARN is "", in the order of their creation; or the one that the
// request's identifier names.
func (s *Service) Inbound(ctx context.Context, targetARN string, r ListRequest) (ListReply, error) {
	return s.list(ctx, r, func(in penstock.Integration) bool { return targetARN == "" || in.TargetARN == targetARN })
}
