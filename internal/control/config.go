package control

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"penstock"
)

// Config is what a Service and a Supervisor are made from; both get the same.
type Config struct {
	Scope
	Sources map[string]SourceEntry // by name in the configuration
	Targets map[string]TargetEntry // by name in the configuration
	Keys    Keyring
	Quotas  Quotas
	// CreatingLimit is the longest time in creating and modifying while a
	// load goes on; zero means 25 minutes.
	CreatingLimit time.Duration
	// DeleteGrace is how long a delete tries to clean the source before it
	// leaves an orphan; zero means a minute.
	DeleteGrace time.Duration
	Store       penstock.Store
	Runners     RunnerFactory    // needed by the Supervisor only
	Now         func() time.Time // nil means time.Now
	Logger      *slog.Logger     // nil means none
}

// SourceEntry is a configured source.
type SourceEntry struct {
	Kind   string // "cluster" or "db", as in its ARN
	Source penstock.Source
	Address
}

// TargetEntry is a configured target.
type TargetEntry struct {
	ARN    string // arn:aws:redshift-serverless:<region>:<account>:namespace/<uuid>
	Target penstock.Target
	// Authorize: to integrate with it takes a resource policy that allows it.
	Authorize bool
	// Manual: destination databases are made by CREATE DATABASE … FROM
	// INTEGRATION only, and not by themselves.
	Manual bool
}

// Quotas limit the number of integrations; zero means the default of each.
type Quotas struct {
	PerAccount int // 100
	PerTarget  int // 50
	PerSource  int // 5
}

// withDefaults returns the configuration completed, or what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	var faults []error
	if c.Partition == "" {
		c.Partition = "aws"
	}
	if c.Region == "" || c.Account == "" {
		faults = append(faults, errors.New("region and account are needed"))
	}
	if c.Store == nil {
		faults = append(faults, errors.New("a store is needed"))
	}
	if c.Keys == nil {
		faults = append(faults, errors.New("a keyring is needed"))
	}
	for name, s := range c.Sources {
		if s.Source == nil || s.Kind != "cluster" && s.Kind != "db" {
			faults = append(faults, fmt.Errorf("source %s is incomplete", name))
		}
	}
	for name, t := range c.Targets {
		if t.Target == nil || t.ARN == "" {
			faults = append(faults, fmt.Errorf("target %s is incomplete", name))
		}
	}
	setDefault(&c.Quotas.PerAccount, 100)
	setDefault(&c.Quotas.PerTarget, 50)
	setDefault(&c.Quotas.PerSource, 5)
	setDefault(&c.CreatingLimit, 25*time.Minute)
	setDefault(&c.DeleteGrace, time.Minute)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if err := errors.Join(faults...); err != nil {
		return Config{}, &penstock.Error{Kind: penstock.KindInvalid, Op: "configure control plane", Err: err}
	}
	return c, nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// source returns the configured source with that ARN.
func (c *Config) source(arn string) (name string, e SourceEntry, ok bool) {
	name = sourceName(arn)
	e, ok = c.Sources[name]
	if !ok || c.SourceARN(e.Kind, name) != arn {
		return name, SourceEntry{}, false
	}
	return name, e, true
}

// sourceName returns the name in a source's ARN, configured or not.
func sourceName(arn string) string {
	return arn[strings.LastIndexByte(arn, ':')+1:]
}

// target returns the configured target with that ARN.
func (c *Config) target(arn string) (name string, e TargetEntry, ok bool) {
	for name, e := range c.Targets {
		if e.ARN == arn {
			return name, e, true
		}
	}
	return "", TargetEntry{}, false
}
