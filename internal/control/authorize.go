package control

import (
	"context"

	"penstock"
	"penstock/internal/policy"
)

// The actions that the resource policy of a target has to allow.
const (
	actionAuthorize = "redshift:AuthorizeInboundIntegration" // to the service, for the source
	actionInbound   = "redshift:CreateInboundIntegration"    // to whoever creates the integration
	serviceName     = "redshift.amazonaws.com"
)

// authorize checks that the resource policy of a target lets a caller
// integrate a source with it.
func (s *Service) authorize(ctx context.Context, r CreateRequest) error {
	document, err := s.cfg.Store.Policy(ctx, r.TargetARN)
	if penstock.KindOf(err) == penstock.KindNotFound {
		return noAccess(r.TargetARN)
	}
	if err != nil {
		return err
	}
	p, err := policy.ParseResource(document)
	if err != nil {
		return penstock.Errorf(penstock.KindInternal, "the stored resource policy of %s cannot be read: %w", r.TargetARN, err)
	}
	values := map[string]string{
		"aws:SourceArn": r.SourceARN, "aws:SourceAccount": s.cfg.Account,
		"aws:PrincipalArn": r.CallerARN, "aws:PrincipalAccount": s.cfg.Account,
	}
	source := p.Decide(policy.Request{Action: actionAuthorize, Resource: r.TargetARN, Principal: policy.Principal{Service: serviceName}, Context: values})
	caller := p.Decide(policy.Request{Action: actionInbound, Resource: r.TargetARN, Principal: policy.Principal{ARN: r.CallerARN, Account: s.cfg.Account}, Context: values})
	if source != policy.Allowed || caller != policy.Allowed {
		return noAccess(r.TargetARN)
	}
	return nil
}

// noAccess is the one answer to a target that is missing and to one that does
// not allow the integration, as at AWS.
func noAccess(targetARN string) error {
	return invalid("You don't have access to zero-ETL integrations with " + quote(targetARN) +
		" because the data warehouse does not exist or permissions for it are missing. Check its ARN, its resource policy and its authorized principals.")
}

// PutPolicy sets the resource policy of a target. KindTargetNotFound, and
// KindInvalid if the document is no resource policy.
func (s *Service) PutPolicy(ctx context.Context, targetARN, document string) error {
	if err := s.hasTarget(targetARN); err != nil {
		return err
	}
	if _, err := policy.ParseResource(document); err != nil {
		return &penstock.Error{Kind: penstock.KindInvalid, Message: "The resource policy is not valid: " + err.Error()}
	}
	return s.cfg.Store.PutPolicy(ctx, targetARN, document)
}

// Policy returns the resource policy of a target, as it was put.
// KindTargetNotFound, and KindNotFound if the target has none.
func (s *Service) Policy(ctx context.Context, targetARN string) (document string, err error) {
	if err := s.hasTarget(targetARN); err != nil {
		return "", err
	}
	return s.cfg.Store.Policy(ctx, targetARN)
}

// DeletePolicy removes the resource policy of a target. KindTargetNotFound,
// and KindNotFound if the target has none.
func (s *Service) DeletePolicy(ctx context.Context, targetARN string) error {
	if err := s.hasTarget(targetARN); err != nil {
		return err
	}
	return s.cfg.Store.DeletePolicy(ctx, targetARN)
}

func (s *Service) hasTarget(arn string) error {
	if _, _, ok := s.cfg.target(arn); !ok {
		return &penstock.Error{Kind: penstock.KindTargetNotFound, Message: "The resource " + quote(arn) + " does not exist"}
	}
	return nil
}
