package app

import (
	"context"
	"slices"
	"time"

	"penstock"
	"penstock/internal/control"
)

// remedyWait is how long source and warehouse may take to be at one position.
const remedyWait = 30 * time.Second

// startWait is how long a stream may take after its start until its tables are known.
const startWait = 5 * time.Second

// remedy has those tables of a destination database loaded again whose content
// differs from the source's: REFRESH REMEDIABLE TABLES. They are found by
// comparing, which reads all that schemas select on both sides, when there is
// room in queue. It returns how many there are.
func (a *App) remedy(ctx context.Context, target, database string, schemas []string, queue chan struct{}) (int, error) {
	v, s, err := a.awaitStream(ctx, target, database)
	if err != nil {
		return 0, err
	}
	select {
	case queue <- struct{}{}:
		defer func() { <-queue }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	r := VerifyRequest{Integration: string(v.Integration.ID), Keys: 1, Wait: remedyWait}
	match := func(schema, _ string) bool { return len(schemas) == 0 || slices.Contains(schemas, schema) }
	if !slices.ContainsFunc(s.Tables, func(t penstock.TableStatus) bool { return match(t.Table.Schema, t.Table.Name) }) {
		return 0, nil
	}
	d := VerifiedDatabase{SourceDatabase: s.Database.SourceDatabase, Database: database}
	if err := a.verifyStream(ctx, v, r, match, &d, func(VerifyProgress) {}); err != nil {
		return 0, err
	}
	var differ penstock.Refresh
	for i := range d.Tables {
		if t := &d.Tables[i]; t.Differs() {
			a.log.Warn("table differs from its source and is loaded again", "target", target, "database", database, "table", t.Schema+"."+t.Name,
				"missing", t.Missing, "extra", t.Extra, "different", t.Different)
			differ.Tables = append(differ.Tables, penstock.TableName{Schema: t.Schema, Name: t.Name})
		}
	}
	if len(differ.Tables) == 0 {
		return 0, nil
	}
	return a.supervisor.Refresh(ctx, target, database, differ)
}

// awaitStream returns the stream that replicates into a destination database once
// its tables are known, or it cannot be waited for any longer. KindNotFound if there
// is none.
func (a *App) awaitStream(ctx context.Context, target, database string) (control.IntegrationView, penstock.StreamStatus, error) {
	started := a.supervisor.AwaitStart(ctx, target, database)
	for deadline := time.Now().Add(startWait); ; {
		v, s, ok := a.streamInto(target, database)
		switch late := time.Now().After(deadline); {
		case ok && (late || !unknown(s)):
			return v, s, nil
		case !ok && started != nil:
			return v, s, started
		case late:
			return v, s, penstock.Errorf(penstock.KindNotFound, "no integration replicates into database %s", database)
		}
		select {
		case <-ctx.Done():
			return v, s, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// streamInto returns the stream that replicates into a destination database.
func (a *App) streamInto(target, database string) (control.IntegrationView, penstock.StreamStatus, bool) {
	for _, v := range a.supervisor.Snapshot() {
		if v.Target != target {
			continue
		}
		for _, s := range v.Streams {
			if s.Database.Name == database {
				return v, s, true
			}
		}
	}
	return control.IntegrationView{}, penstock.StreamStatus{}, false
}

const (
	// remedyEvery is how often databases with AUTO_REMEDIATION are compared
	// with their sources; once more after a start.
	remedyEvery = 24 * time.Hour
	// remedyAgain is when it is tried again after it failed.
	remedyAgain = 10 * time.Minute
	// remedyGlance is how often we look which databases are due.
	remedyGlance = 15 * time.Second
)

// keepRemedied remedies databases with AUTO_REMEDIATION until ctx ends.
func (a *App) keepRemedied(ctx context.Context) error {
	due := map[[2]string]time.Time{} // by target and database
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(remedyGlance):
		}
		for _, v := range a.supervisor.Snapshot() {
			for _, s := range v.Streams {
				key := [2]string{v.Target, s.Database.Name}
				if !s.Database.Options.AutoRemediation {
					delete(due, key) // switched on again it is due at once
					continue
				}
				if s.State != penstock.StreamCdcRefresh || time.Now().Before(due[key]) {
					continue
				}
				wait := remedyEvery
				n, err := a.remedy(ctx, v.Target, s.Database.Name, nil, a.remedying)
				switch {
				case ctx.Err() != nil:
					return nil
				case err != nil:
					a.log.Warn("a database could not be compared with its source", "target", v.Target, "database", s.Database.Name, "err", err)
					wait = remedyAgain
				default:
					a.log.Info("database compared with its source", "target", v.Target, "database", s.Database.Name, "tables_loaded_again", n)
				}
				due[key] = time.Now().Add(wait)
			}
		}
	}
}
