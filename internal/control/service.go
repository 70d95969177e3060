package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"penstock"
)

// Service answers the operations of the RDS integration API. It writes what
// is wanted into the Store and never dials; the Supervisor does what follows.
// Its methods may be called concurrently. Arguments have the lengths and the
// patterns of the API already; what they name is looked up here. Errors are
// *penstock.Error whose text may be shown to the caller.
type Service struct {
	cfg    Config
	ledger ledger
	wake   func()
}

// NewService returns a Service. wake is called after every change that the
// Supervisor should act on; it must not block, and may be nil.
func NewService(c Config, wake func()) (*Service, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	if wake == nil {
		wake = func() {}
	}
	return &Service{cfg: c, ledger: ledger{c.Store, c.Now, c.Logger}, wake: wake}, nil
}

// Create validates the arguments against the configuration, stores a new
// integration as creating, and returns it.
//
// KindInvalid for arguments and an unknown target, KindSourceNotFound,
// KindKeyNotAccessible, KindAlreadyExists if the source and target have an
// integration, KindQuota, and KindConflict if the name is taken or another
// integration of the source is still being created.
func (s *Service) Create(ctx context.Context, r CreateRequest) (penstock.Integration, error) {
	source, key, err := s.checkCreate(ctx, r)
	if err != nil {
		return penstock.Integration{}, err
	}
	filter, err := source.ParseFilter(r.DataFilter)
	if err != nil {
		return penstock.Integration{}, err
	}
	now := s.cfg.Now().UTC().Round(0)
	in := penstock.Integration{
		ID:                penstock.IntegrationID(uuid.NewString()),
		Name:              r.Name,
		SourceARN:         r.SourceARN,
		TargetARN:         r.TargetARN,
		DataFilter:        filter.String(),
		Description:       r.Description,
		KMSKeyID:          key,
		EncryptionContext: maps.Clone(r.EncryptionContext),
		Tags:              slices.Clone(r.Tags),
		CreatedAt:         now,
	}
	in.ARN = s.cfg.IntegrationARN(in.ID)
	if in.WrappedKey, err = s.cfg.Keys.NewDataKey(key, KeyContext(in)); err != nil {
		return penstock.Integration{}, err
	}
	begin(&in, now)
	if err := s.cfg.Store.Create(ctx, in, func(others []penstock.Integration) error { return s.admit(in, others) }); err != nil {
		return penstock.Integration{}, err
	}
	s.cfg.Logger.Info("integration created", "integration", in.ID, "name", in.Name)
	s.wake()
	return in, nil
}

// checkCreate looks up what the arguments name, and returns the source and the
// key's ARN.
func (s *Service) checkCreate(ctx context.Context, r CreateRequest) (source penstock.Source, key string, err error) {
	name, entry, ok := s.cfg.source(r.SourceARN)
	if !ok {
		return nil, "", &penstock.Error{Kind: penstock.KindSourceNotFound, Message: sourceNotFound(r.SourceARN, name)}
	}
	_, target, ok := s.cfg.target(r.TargetARN)
	if !ok {
		return nil, "", noAccess(r.TargetARN)
	}
	if target.Authorize {
		if err := s.authorize(ctx, r); err != nil {
			return nil, "", err
		}
	}
	if key, err = s.cfg.Keys.Resolve(r.KMSKeyID); err != nil {
		return nil, "", err
	}
	return entry.Source, key, nil
}

// sourceNotFound says that there is no such source, in AWS's words for it.
func sourceNotFound(arn, name string) string {
	noun := "DBCluster"
	if a, _ := penstock.ParseARN(arn); strings.HasPrefix(a.Resource, "db:") {
		noun = "DBInstance"
	}
	return noun + " " + name + " not found: the configuration has no source with the ARN " + arn
}

// admit decides whether a new integration may stand beside the others.
func (s *Service) admit(in penstock.Integration, others []penstock.Integration) error {
	var sameTarget, sameSource int
	var pair, creating string
	for _, o := range others {
		if o.Name == in.Name {
			return s.nameTaken(in.Name)
		}
		if o.TargetARN == in.TargetARN {
			sameTarget++
		}
		if o.SourceARN != in.SourceARN {
			continue
		}
		sameSource++
		if o.TargetARN == in.TargetARN {
			pair = o.Name
		}
		if o.Status == penstock.StatusCreating {
			creating = o.Name
		}
	}
	if pair != "" {
		return &penstock.Error{Kind: penstock.KindAlreadyExists,
			Message: fmt.Sprintf("The integration %s already connects the source %s with the target %s", pair, in.SourceARN, in.TargetARN)}
	}
	for _, q := range []struct {
		have, most int
		per        string
	}{
		{len(others), s.cfg.Quotas.PerAccount, "account"},
		{sameTarget, s.cfg.Quotas.PerTarget, "target"},
		{sameSource, s.cfg.Quotas.PerSource, "source"},
	} {
		if q.have >= q.most {
			return &penstock.Error{Kind: penstock.KindQuota, Message: fmt.Sprintf("You can't create more than %d integrations per %s", q.most, q.per)}
		}
	}
	if creating != "" {
		return &penstock.Error{Kind: penstock.KindConflict,
			Message: fmt.Sprintf("The integration %s can't be created because another operation is in progress for the Amazon Redshift data warehouse "+
				"specified by the Amazon Resource Name (ARN). Try again after the current operation completes. "+
				"The integration %s of the same source is still being created.", in.Name, creating)}
	}
	return nil
}

func (s *Service) nameTaken(name string) error {
	return &penstock.Error{Kind: penstock.KindConflict, Message: fmt.Sprintf("A zero-ETL integration named %s already exists in account %s. "+
		"Integration names must be unique within an account. Use another name, or delete the existing integration.", name, s.cfg.Account)}
}
