package policy

import "strings"

// Principal is who asks: a service, or an identity of an account.
type Principal struct {
	Service string // "redshift.amazonaws.com", "" if it is no service
	ARN     string // "arn:aws:iam::123456789012:user/key", "" if it is a service
	Account string // the ARN's account
}

// principal is one entry of a Principal element.
type principal struct {
	kind string // "AWS" or "Service"; "*" is everybody
	name string // an ARN, an account, a service, or "*"
}

func (p principal) matches(who Principal) bool {
	switch p.kind {
	case "*":
		return true
	case "Service":
		return who.Service != "" && strings.EqualFold(p.name, who.Service)
	case "AWS":
		// An account stands for everybody in it.
		return who.ARN != "" && (p.name == "*" || p.name == who.ARN || p.account() == who.Account)
	}
	return false
}

// account returns the account that the entry stands for as a whole, "" if it
// names somebody in it.
func (p principal) account() string {
	if rest, ok := strings.CutSuffix(p.name, ":root"); ok {
		return rest[strings.LastIndexByte(rest, ':')+1:]
	}
	if !strings.Contains(p.name, ":") {
		return p.name
	}
	return ""
}
