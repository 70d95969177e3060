package control

import (
	"context"
	"fmt"

	"penstock"
)

// Modify changes an integration's name, description or data filter. The first
// two apply at once; another filter makes the integration modifying until the
// runners have carried it out. It is allowed in active, syncing and
// needs_attention, else KindInvalidState. KindInvalid for the filter,
// KindIntegrationNotFound, KindConflict if the name is taken.
func (s *Service) Modify(ctx context.Context, r ModifyRequest) (penstock.Integration, error) {
	in, err := s.find(ctx, r.Identifier)
	if err != nil {
		return penstock.Integration{}, err
	}
	if err := s.checkFilter(in, r.DataFilter); err != nil {
		return penstock.Integration{}, err
	}
	refilter := false
	in, err = s.ledger.change(ctx, in.ID, func(e *edit) error {
		switch e.Status {
		case penstock.StatusActive, penstock.StatusSyncing, penstock.StatusNeedsAttention:
		default:
			return wrongState(*e.Integration, "modified")
		}
		if r.Name != nil {
			e.Name = *r.Name
		}
		if r.Description != nil {
			e.Description = *r.Description
		}
		if refilter = r.DataFilter != nil && *r.DataFilter != e.DataFilter; refilter {
			e.DataFilter = *r.DataFilter
			return e.move(penstock.StatusModifying)
		}
		return nil
	})
	if r.Name != nil && penstock.KindOf(err) == penstock.KindConflict {
		return penstock.Integration{}, s.nameTaken(*r.Name)
	}
	if err != nil {
		return penstock.Integration{}, err
	}
	s.cfg.Logger.Info("integration modified", "integration", in.ID, "name", in.Name, "filter_changed", refilter)
	s.wake()
	return in, nil
}

func (s *Service) checkFilter(in penstock.Integration, filter *string) error {
	if filter == nil {
		return nil
	}
	_, source, ok := s.cfg.source(in.SourceARN)
	if !ok {
		return wrongState(in, "modified")
	}
	_, err := source.Source.ParseFilter(*filter)
	return err
}

// Delete begins the deletion of an integration and returns it as deleting,
// which is durable by then. It is allowed in active, failed, syncing and
// needs_attention, else KindInvalidState; KindConflict if a deletion is under
// way already; KindIntegrationNotFound.
func (s *Service) Delete(ctx context.Context, identifier string) (penstock.Integration, error) {
	in, err := s.find(ctx, identifier)
	if err != nil {
		return penstock.Integration{}, err
	}
	in, err = s.ledger.change(ctx, in.ID, func(e *edit) error {
		if e.Status == penstock.StatusDeleting {
			return &penstock.Error{Kind: penstock.KindConflict, Message: fmt.Sprintf("The integration %s is being deleted already", e.Name)}
		}
		if err := e.move(penstock.StatusDeleting); err != nil {
			return wrongState(*e.Integration, "deleted")
		}
		return nil
	})
	if err != nil {
		return penstock.Integration{}, err
	}
	s.cfg.Logger.Info("integration deletion begun", "integration", in.ID, "name", in.Name)
	s.wake()
	return in, nil
}

// wrongState is worded so that clients which look for AWS's text retry.
func wrongState(in penstock.Integration, done string) error {
	return &penstock.Error{Kind: penstock.KindInvalidState, Message: fmt.Sprintf("The integration %s (status %s) can't be %s "+
		"because it is not in a valid state. Wait until the integration is in a valid state and try again.", in.Name, in.Status, done)}
}
