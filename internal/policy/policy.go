package policy

import "slices"

// Policy is a document that was read. It is immutable; the zero Policy allows
// nothing.
type Policy struct {
	statements []statement
}

// effect is what a statement that applies does.
type effect string

const (
	allow effect = "Allow"
	deny  effect = "Deny"
)

// statement is one Statement of a document.
type statement struct {
	effect     effect
	principals []principal // of resource policies; who is not in it is not concerned
	actions    []string    // patterns
	notAction  bool        // what the patterns do not match is meant
	resources  []string    // patterns; nil in a resource policy means the resource that it belongs to
	notRes     bool
	conditions []condition // all must hold
}

// Request is something that somebody wants to do.
type Request struct {
	Action   string // "rds:CreateIntegration"
	Resource string // an ARN, "*" where the action concerns no resource
	// Principal is who asks; only resource policies look at it.
	Principal Principal
	// Context holds the values of condition keys: "aws:SourceArn".
	Context map[string]string
}

// Decision is what a policy says to a request.
type Decision uint8

const (
	// ImplicitDeny: nothing allows it.
	ImplicitDeny Decision = iota
	// Allowed: a statement allows it and none denies it.
	Allowed
	// ExplicitDeny: a statement denies it.
	ExplicitDeny
)

// Decide evaluates the policy.
func (p Policy) Decide(r Request) Decision {
	decision := ImplicitDeny
	for _, s := range p.statements {
		if !s.applies(r) {
			continue
		}
		if s.effect == deny {
			return ExplicitDeny
		}
		decision = Allowed
	}
	return decision
}

func (s statement) applies(r Request) bool {
	action := func(p string) bool { return matchFold(p, r.Action) }
	resource := func(p string) bool { return match(p, r.Resource) }
	return slices.ContainsFunc(s.actions, action) != s.notAction &&
		(s.resources == nil || slices.ContainsFunc(s.resources, resource) != s.notRes) &&
		(s.principals == nil || slices.ContainsFunc(s.principals, func(p principal) bool { return p.matches(r.Principal) })) &&
		!slices.ContainsFunc(s.conditions, func(c condition) bool { return !c.holds(r.Context) })
}
