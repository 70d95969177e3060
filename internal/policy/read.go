package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Fault is one thing wrong in a document.
type Fault struct {
	Path    string // "Statement[0].Effect"; "" for the document
	Message string // a sentence without its subject, which is the path
}

func (f Fault) String() string {
	if f.Path == "" {
		return "the policy " + f.Message
	}
	return f.Path + " " + f.Message
}

// kind says what a document may have.
type kind struct {
	principals, conditions bool
}

// ReadIdentity reads the policy of an access key, from what a decoder of JSON
// or YAML makes of it: maps by string, slices and strings.
func ReadIdentity(document any) (Policy, []Fault) { return read(document, kind{}) }

// ParseResource reads the policy of a resource, from JSON.
func ParseResource(text string) (Policy, error) {
	var document any
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		return Policy{}, fmt.Errorf("the policy is not valid JSON: %w", err)
	}
	p, faults := read(document, kind{principals: true, conditions: true})
	if len(faults) == 0 {
		return p, nil
	}
	var all []string
	for _, f := range faults {
		all = append(all, f.String())
	}
	return Policy{}, errors.New(strings.Join(all, "; "))
}

// reader collects what is wrong on the way.
type reader struct {
	kind
	faults []Fault
}

func (r *reader) fault(path, format string, args ...any) {
	r.faults = append(r.faults, Fault{strings.TrimPrefix(path, "."), fmt.Sprintf(format, args...)})
}

func read(document any, k kind) (Policy, []Fault) {
	r := &reader{kind: k}
	var p Policy
	r.members(document, "", map[string]func(string, any){
		"Version": func(path string, v any) {
			if v != "2012-10-17" && v != "2008-10-17" {
				r.fault(path, "must be 2012-10-17")
			}
		},
		"Id": func(path string, v any) { r.text(path, v) },
		"Statement": func(path string, v any) {
			list, ok := v.([]any)
			if !ok {
				p.statements = append(p.statements, r.statement(path, v))
			}
			for i, item := range list {
				p.statements = append(p.statements, r.statement(fmt.Sprintf("%s[%d]", path, i), item))
			}
		},
	})
	if m, ok := document.(map[string]any); ok && len(p.statements) == 0 && len(r.faults) == 0 {
		if _, given := m["Statement"]; given {
			r.fault(".Statement", "must not be empty")
		} else {
			r.fault(".Statement", "is missing")
		}
	}
	if len(r.faults) > 0 {
		return Policy{}, r.faults
	}
	return p, nil
}

// members calls the function of every member of v, in the order of names.
func (r *reader) members(v any, path string, known map[string]func(string, any)) {
	m, ok := v.(map[string]any)
	if !ok {
		r.fault(path, "must be a mapping")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if f := known[name]; f != nil {
			f(path+"."+name, m[name])
		} else {
			r.fault(path+"."+name, "is not an element of a policy")
		}
	}
}

func (r *reader) statement(path string, v any) statement {
	var s statement
	var action, resource bool
	r.members(v, path, map[string]func(string, any){
		"Sid": func(path string, v any) { r.text(path, v) },
		"Effect": func(path string, v any) {
			if s.effect = effect(r.text(path, v)); s.effect != allow && s.effect != deny {
				r.fault(path, "must be Allow or Deny")
			}
		},
		"Principal":    func(path string, v any) { s.principals = r.principals(path, v) },
		"NotPrincipal": func(path string, _ any) { r.fault(path, "is not available; write Principal") },
		"Action":       func(path string, v any) { action, s.actions = true, append(s.actions, r.actions(path, v)...) },
		"NotAction": func(path string, v any) {
			s.notAction, s.actions = true, append(s.actions, r.actions(path, v)...)
		},
		"Resource": func(path string, v any) { resource, s.resources = true, append(s.resources, r.resources(path, v)...) },
		"NotResource": func(path string, v any) {
			s.notRes, s.resources = true, append(s.resources, r.resources(path, v)...)
		},
		"Condition": func(path string, v any) { s.conditions = r.conditionsOf(path, v) },
	})
	if m, ok := v.(map[string]any); ok {
		r.complete(path, m, action, resource, s)
	}
	return s
}

// complete reports what a statement lacks, or has twice.
func (r *reader) complete(path string, m map[string]any, action, resource bool, s statement) {
	if _, ok := m["Effect"]; !ok {
		r.fault(path+".Effect", "is missing")
	}
	if _, ok := m["Principal"]; !ok && r.kind.principals {
		r.fault(path+".Principal", "is missing")
	}
	if !action && !s.notAction {
		r.fault(path+".Action", "is missing")
	}
	if !resource && !s.notRes && !r.kind.principals {
		r.fault(path+".Resource", "is missing")
	}
	if action && s.notAction {
		r.fault(path+".NotAction", "stands beside Action; write one of the two")
	}
	if resource && s.notRes {
		r.fault(path+".NotResource", "stands beside Resource; write one of the two")
	}
}

func (r *reader) text(path string, v any) string {
	s, ok := v.(string)
	if !ok {
		r.fault(path, "must be a text")
	}
	return s
}

// texts reads a text or a list of texts that is not empty.
func (r *reader) texts(path string, v any) []string {
	list, ok := v.([]any)
	if !ok {
		return []string{r.text(path, v)}
	}
	if len(list) == 0 {
		r.fault(path, "must not be empty")
	}
	var all []string
	for i, item := range list {
		all = append(all, r.text(fmt.Sprintf("%s[%d]", path, i), item))
	}
	return all
}

func (r *reader) actions(path string, v any) []string {
	all := r.texts(path, v)
	for _, a := range all {
		if service, name, ok := strings.Cut(a, ":"); a != "*" && (!ok || service == "" || name == "") {
			r.fault(path, "must be like rds:CreateIntegration, rds:* or *, is %q", a)
		}
	}
	return all
}

func (r *reader) resources(path string, v any) []string {
	all := r.texts(path, v)
	for _, a := range all {
		switch {
		case strings.Contains(a, "${"):
			r.fault(path, "has a policy variable, which is not available: %q", a)
		case a != "*" && !strings.HasPrefix(a, "arn:"):
			r.fault(path, "must be an ARN, with wildcards if need be, or *, is %q", a)
		}
	}
	return all
}

func (r *reader) principals(path string, v any) (all []principal) {
	if !r.kind.principals {
		r.fault(path, "does not belong into the policy of an access key, which has it by itself")
		return nil
	}
	if v == "*" {
		return []principal{{kind: "*"}}
	}
	for _, kind := range []string{"AWS", "Service"} {
		if m, ok := v.(map[string]any); ok && m[kind] != nil {
			for _, name := range r.texts(path+"."+kind, m[kind]) {
				all = append(all, principal{kind, name})
			}
		}
	}
	r.members(v, path, map[string]func(string, any){"AWS": func(string, any) {}, "Service": func(string, any) {}})
	if len(all) == 0 && len(r.faults) == 0 {
		r.fault(path, "names nobody")
	}
	return all
}

func (r *reader) conditionsOf(path string, v any) (all []condition) {
	if !r.kind.conditions {
		r.fault(path, "is not available in the policy of an access key: name the resources instead")
		return nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		r.fault(path, "must be a mapping")
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		op, known := operators[name]
		if !known {
			r.fault(path+"."+name, "is not available; there are %s", strings.Join(slices.Sorted(maps.Keys(operators)), ", "))
			continue
		}
		keys, ok := m[name].(map[string]any)
		if !ok {
			r.fault(path+"."+name, "must be a mapping")
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			at := path + "." + name + "." + key
			if !slices.ContainsFunc(conditionKeys, func(k string) bool { return strings.EqualFold(k, key) }) {
				r.fault(at, "is not available; there are %s", strings.Join(conditionKeys, ", "))
			}
			all = append(all, condition{op, key, r.texts(at, keys[key])})
		}
	}
	return all
}
