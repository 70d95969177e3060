package policy

import (
	"slices"
	"strings"
)

// condition is one key under one operator of a Condition element.
type condition struct {
	operator operator
	key      string // as written; keys are compared without regard to case
	values   []string
}

// operator compares one value of a condition with that of the request.
type operator struct {
	negated bool // holds if no value does
	equal   func(want, have string) bool
}

// operators are those that can be told from a request to integrate.
var operators = map[string]operator{
	"StringEquals":              {equal: func(want, have string) bool { return want == have }},
	"StringEqualsIgnoreCase":    {equal: strings.EqualFold},
	"StringLike":                {equal: match},
	"ArnEquals":                 {equal: match},
	"ArnLike":                   {equal: match},
	"StringNotEquals":           {negated: true, equal: func(want, have string) bool { return want == have }},
	"StringNotEqualsIgnoreCase": {negated: true, equal: strings.EqualFold},
	"StringNotLike":             {negated: true, equal: match},
	"ArnNotEquals":              {negated: true, equal: match},
	"ArnNotLike":                {negated: true, equal: match},
}

// conditionKeys are those that Request.Context has.
var conditionKeys = []string{"aws:SourceArn", "aws:SourceAccount", "aws:PrincipalArn", "aws:PrincipalAccount"}

// holds reports whether the condition is met. A key that the request does not
// have meets negated operators only.
func (c condition) holds(context map[string]string) bool {
	for key, have := range context {
		if strings.EqualFold(key, c.key) {
			return slices.ContainsFunc(c.values, func(want string) bool { return c.operator.equal(want, have) }) != c.operator.negated
		}
	}
	return c.operator.negated
}
