package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"penstock"
	"penstock/internal/control"
	"penstock/internal/pipeline"
	"penstock/internal/verify"
)

// VerifyRequest says what of an integration is compared with its source.
type VerifyRequest struct {
	Integration string        // its name, UUID or ARN
	Tables      []string      // as schema.table or database.schema.table; all if there are none
	Keys        int           // how many rows of a table are named at the most
	Wait        time.Duration // for source and warehouse to be at one position
}

// VerifyReport is what a verification has found.
type VerifyReport struct {
	Integration string
	// Equal is set if everything that was asked for has been compared, and no
	// row differs.
	Equal     bool
	Databases []VerifiedDatabase
}

// VerifiedDatabase is a source database and its destination.
type VerifiedDatabase struct {
	SourceDatabase string
	Database       string
	Error          string            `json:",omitempty"` // why it could not be compared
	Position       penstock.Position `json:",omitempty"` // of both
	HeldSeconds    float64           // for how long nothing was applied, to get there
	Seconds        float64           // that comparing took
	Tables         []verify.Table
}

// VerifyProgress is how far a verification is.
type VerifyProgress struct {
	SourceDatabase string
	verify.Progress
}

// Verify compares an integration's destination databases with their sources,
// while replication goes on. One runs at a time, beside what AUTO_REMEDIATION
// compares by itself; others wait, as long as they would for a position. KindIntegrationNotFound and KindInvalid are about the
// request.
func (a *App) Verify(ctx context.Context, r VerifyRequest, progress func(VerifyProgress)) (*VerifyReport, error) {
	select {
	case a.verifying <- struct{}{}:
		defer func() { <-a.verifying }()
	case <-time.After(r.Wait):
		return nil, penstock.Errorf(penstock.KindConflict, "another verification is running")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	v, err := a.awaitView(ctx, r.Integration, r.Wait)
	if err != nil {
		return nil, err
	}
	report := &VerifyReport{Integration: v.Integration.Name, Databases: []VerifiedDatabase{}}
	streams, err := selectStreams(v, r.Tables)
	if err != nil {
		return nil, err
	}
	report.Equal = true
	for _, s := range streams {
		d := VerifiedDatabase{SourceDatabase: s.Database.SourceDatabase, Database: s.Database.Name, Tables: []verify.Table{}}
		var match func(schema, table string) bool
		if len(r.Tables) > 0 {
			match = func(schema, table string) bool {
				return slices.ContainsFunc(r.Tables, func(name string) bool { return names(name, s.Database.SourceDatabase, schema, table) })
			}
		}
		if err := a.verifyStream(ctx, v, r, match, &d, progress); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			d.Error = err.Error()
		}
		report.Equal = report.Equal && d.equal()
		report.Databases = append(report.Databases, d)
	}
	return report, nil
}

func (d *VerifiedDatabase) equal() bool {
	return d.Error == "" && !slices.ContainsFunc(d.Tables, func(t verify.Table) bool { return t.NotCompared != "" || t.Differs() })
}

// awaitView returns the integration with that name, UUID or ARN once its
// streams are known, and their tables, as far as that comes in time.
func (a *App) awaitView(ctx context.Context, identifier string, wait time.Duration) (v control.IntegrationView, err error) {
	is := func(in penstock.Integration) bool {
		return in.Name == identifier || string(in.ID) == identifier || scopeOf(a.cfg).IntegrationARN(in.ID) == identifier
	}
	for deadline := time.Now().Add(wait); ; {
		all, err := a.store.List(ctx)
		if err != nil {
			return v, err
		}
		if !slices.ContainsFunc(all, is) {
			return v, penstock.Errorf(penstock.KindIntegrationNotFound, "there is no integration %s", identifier)
		}
		views := a.supervisor.Snapshot()
		if i := slices.IndexFunc(views, func(v control.IntegrationView) bool { return is(v.Integration) }); i >= 0 {
			v = views[i]
			// A source database that waits to be connected has nothing to compare.
			v.Streams = slices.DeleteFunc(v.Streams, func(s penstock.StreamStatus) bool { return s.Database.Name == "" })
			if len(v.Streams) > 0 && !slices.ContainsFunc(v.Streams, unknown) {
				return v, nil
			}
		}
		switch late := time.Now().After(deadline); {
		case late && len(v.Streams) > 0:
			return v, nil
		case late:
			return v, penstock.Errorf(penstock.KindInvalidState, "integration %s is %s and replicates nothing", identifier, v.Integration.Status)
		}
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// unknown reports whether nobody has looked yet what tables a stream has.
func unknown(s penstock.StreamStatus) bool {
	return len(s.Tables) == 0 && s.State != penstock.StreamCdcRefresh
}

// names reports whether a user may mean a table by a name.
func names(name, database, schema, table string) bool {
	return name == schema+"."+table || name == database+"."+schema+"."+table
}

// selectStreams returns the streams that have the tables.
func selectStreams(v control.IntegrationView, tables []string) (out []penstock.StreamStatus, err error) {
	if len(tables) == 0 {
		return v.Streams, nil
	}
	missing := slices.Clone(tables)
	for _, s := range v.Streams {
		found := false
		for i := range s.Tables {
			t := &s.Tables[i].Table
			is := func(name string) bool { return names(name, s.Database.SourceDatabase, t.Schema, t.Name) }
			found = found || slices.ContainsFunc(tables, is)
			missing = slices.DeleteFunc(missing, is)
		}
		if found {
			out = append(out, s)
		}
	}
	if len(missing) > 0 {
		return nil, penstock.Errorf(penstock.KindInvalid, "integration %s has no table %s; a table is named as schema.table", v.Integration.Name, missing[0])
	}
	return out, nil
}

// verifyStream compares those tables of one destination database that match
// selects, all if it is nil.
func (a *App) verifyStream(ctx context.Context, v control.IntegrationView, r VerifyRequest, match func(schema, table string) bool, d *VerifiedDatabase, progress func(VerifyProgress)) error {
	pinned, err := a.pin(ctx, v.Target, d.Database, r.Wait)
	if err != nil {
		return err
	}
	defer pinned.Close()
	d.Position, d.HeldSeconds = pinned.Source.Position(), pinned.Held.Seconds()
	request := verify.Request{Keys: r.Keys, Memory: min(max(a.cfg.Memory/32, 4<<20), 32<<20), Connections: a.cfg.Source(v.Source).Load.Connections, Match: match}
	request.Progress = func(p verify.Progress) { progress(VerifyProgress{d.SourceDatabase, p}) }
	began := time.Now()
	tables, err := verify.Compare(ctx, pinned.Source, pinned.Destination, request)
	d.Seconds = time.Since(began).Seconds()
	if err != nil {
		return err
	}
	d.Tables = tables
	return nil
}

// pin brings a stream's source and destination to one position, and asks the
// next runner if one ends meanwhile.
func (a *App) pin(ctx context.Context, target, database string, wait time.Duration) (*pipeline.Pinned, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		runner, err := a.supervisor.Runner(target, database)
		if err == nil {
			p, ok := runner.(*pipeline.Pipeline)
			if !ok {
				return nil, fmt.Errorf("database %s cannot be verified", database)
			}
			var pinned *pipeline.Pinned
			if pinned, err = p.Pin(ctx); err == nil {
				return pinned, nil
			}
		}
		if k := penstock.KindOf(err); k != penstock.KindUnreachable && k != penstock.KindInvalidState {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}
