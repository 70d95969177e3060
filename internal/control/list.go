package control

import (
	"cmp"
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"penstock"
)

// pageSize is how many integrations a page has if the caller does not say.
const pageSize = 100

// List returns the integration that the identifier names, or a page of all
// integrations in the order of their creation. A marker stays valid while
// integrations are created and deleted: those that exist throughout are each
// returned once. KindInvalid for a marker, KindIntegrationNotFound.
func (s *Service) List(ctx context.Context, r ListRequest) (ListReply, error) {
	return s.list(ctx, r, func(penstock.Integration) bool { return true })
}

// list is List of those that keep accepts.
func (s *Service) list(ctx context.Context, r ListRequest, keep func(penstock.Integration) bool) (ListReply, error) {
	if r.MaxRecords == 0 {
		r.MaxRecords = pageSize
	}
	if r.Identifier != "" {
		in, err := s.find(ctx, r.Identifier)
		if err != nil || !keep(in) {
			return ListReply{}, err
		}
		return ListReply{Integrations: []penstock.Integration{in}}, nil
	}
	after, err := parseMarker(r.Marker)
	if err != nil {
		return ListReply{}, err
	}
	all, err := s.cfg.Store.List(ctx)
	if err != nil {
		return ListReply{}, err
	}
	first, found := slices.BinarySearchFunc(all, after, func(in penstock.Integration, m marker) int {
		return cmp.Or(in.CreatedAt.Compare(m.created), cmp.Compare(in.ID, m.id))
	})
	if found {
		first++
	}
	page := slices.DeleteFunc(all[first:], func(in penstock.Integration) bool { return !keep(in) })
	if len(page) <= r.MaxRecords {
		return ListReply{Integrations: page}, nil
	}
	page = page[:r.MaxRecords]
	last := page[len(page)-1]
	return ListReply{Integrations: page, Marker: marker{last.CreatedAt, last.ID}.String()}, nil
}

// find returns the integration with that name, UUID or ARN.
func (s *Service) find(ctx context.Context, identifier string) (penstock.Integration, error) {
	missing := &penstock.Error{Kind: penstock.KindIntegrationNotFound, Message: "The integration " + quote(identifier) + " does not exist"}
	id := penstock.IntegrationID(strings.ToLower(identifier))
	arn, isARN := penstock.ParseARN(identifier)
	if isARN {
		resource, ok := strings.CutPrefix(arn.Resource, "integration:")
		id = penstock.IntegrationID(resource)
		if !ok || s.cfg.IntegrationARN(id) != identifier {
			return penstock.Integration{}, missing
		}
	}
	in, err := s.cfg.Store.Get(ctx, id)
	if penstock.KindOf(err) != penstock.KindIntegrationNotFound {
		return in, err
	}
	if isARN {
		return penstock.Integration{}, missing
	}
	all, err := s.cfg.Store.List(ctx)
	if err != nil {
		return penstock.Integration{}, err
	}
	for _, in := range all {
		if in.Name == identifier {
			return in, nil
		}
	}
	return penstock.Integration{}, missing
}

// marker is the place of an integration in the list, which stays a place when
// the integration is gone.
type marker struct {
	created time.Time
	id      penstock.IntegrationID
}

func (m marker) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte("1 " + strconv.FormatInt(m.created.UnixNano(), 10) + " " + string(m.id)))
}

func parseMarker(s string) (marker, error) {
	if s == "" {
		return marker{}, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(s)
	fields := strings.Split(string(text), " ")
	if err == nil && len(fields) == 3 && fields[0] == "1" {
		if ns, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
			return marker{time.Unix(0, ns), penstock.IntegrationID(fields[2])}, nil
		}
	}
	return marker{}, invalid("The parameter Marker is not one that an earlier reply contained: " + quote(s))
}
