package control

import (
	"cmp"
	"slices"
	"strings"

	"penstock"
)

// Address is where a source listens, as far as the configuration says it.
type Address struct {
	Host     string
	Port     int // 0 if it is not known
	User     string
	Database string // which is only connected to first
}

// SourceView is a configured source.
type SourceView struct {
	Name   string
	Kind   string // "cluster" or "db"
	ARN    string
	Engine string // as penstock.Source.Engine has it
	Address
}

// TargetView is a configured target.
type TargetView struct {
	Name      string
	ARN       string
	Namespace string // the UUID at the end of the ARN
	Engine    string
}

// Sources returns the configured sources by name. It asks none of them.
func (s *Service) Sources() []SourceView {
	var views []SourceView
	for name, e := range s.cfg.Sources {
		views = append(views, SourceView{Name: name, Kind: e.Kind, ARN: s.cfg.SourceARN(e.Kind, name), Engine: e.Source.Engine(), Address: e.Address})
	}
	slices.SortFunc(views, func(a, b SourceView) int { return cmp.Compare(a.Name, b.Name) })
	return views
}

// Targets returns the configured targets by name. It asks none of them.
func (s *Service) Targets() []TargetView {
	var views []TargetView
	for name, e := range s.cfg.Targets {
		arn, _ := penstock.ParseARN(e.ARN)
		views = append(views, TargetView{Name: name, ARN: e.ARN, Namespace: arn.Resource[strings.LastIndexAny(arn.Resource, "/:")+1:], Engine: e.Target.Engine()})
	}
	slices.SortFunc(views, func(a, b TargetView) int { return cmp.Compare(a.Name, b.Name) })
	return views
}
