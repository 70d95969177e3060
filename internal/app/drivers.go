package app

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"penstock"
	"penstock/internal/config"
	"penstock/internal/control"
	"penstock/internal/journal"
	"penstock/internal/pipeline"
	"penstock/internal/source/pgsource"
	"penstock/internal/spill"
	"penstock/internal/target/duckdbtarget"
)

// openSource makes the driver of one configured source; it does not dial.
func openSource(s *config.Source, log *slog.Logger) (penstock.Source, error) {
	trigger := pgsource.DDLTriggerAuto
	if s.DDLTrigger == config.DDLTriggerOff || s.Publication != "" {
		trigger = pgsource.DDLTriggerOff // who prepares a publication makes what else there is, too
	}
	return pgsource.New(pgsource.Config{DDLTrigger: trigger, Name: s.Name, URL: s.ConnString(), Publication: s.Publication, Logger: log,
		Loading: pgsource.Loading{Longest: s.Load.Chunk, RowsPerSecond: s.Load.MaxRowsPerSecond, Connections: s.Load.Connections}})
}

func openSources(cfg *config.Config, log *slog.Logger) (map[string]control.SourceEntry, error) {
	out := map[string]control.SourceEntry{}
	for i := range cfg.Sources {
		s := &cfg.Sources[i]
		source, err := openSource(s, log)
		if err != nil {
			return nil, err
		}
		out[s.Name] = control.SourceEntry{Kind: string(s.Kind), Source: source, Address: addressOf(s)}
	}
	return out, nil
}

// addressOf returns where a source listens, as far as its URL says.
func addressOf(s *config.Source) control.Address {
	q := s.URL.Query()
	port, _ := strconv.Atoi(cmp.Or(s.URL.Port(), q.Get("port"), "5432"))
	return control.Address{
		Host: cmp.Or(s.URL.Hostname(), q.Get("host")), Port: port,
		User: cmp.Or(s.URL.User.Username(), q.Get("user")), Database: strings.TrimPrefix(s.URL.Path, "/"),
	}
}

// openTargets opens the warehouses, which share the engine's memory.
func (a *App) openTargets(ctx context.Context) error {
	a.targets = map[string]control.TargetEntry{}
	for i := range a.cfg.Targets {
		t := &a.cfg.Targets[i]
		w, err := duckdbtarget.Open(ctx, duckdbtarget.Config{
			Dir:      filepath.Join(a.cfg.DataDir, warehousesName, t.Name),
			SpillDir: filepath.Join(a.cfg.DataDir, spillName, t.Name),
			Memory:   engineMemory(a.cfg.Memory) / int64(len(a.cfg.Targets)), Configured: a.cfg.Memory,
			Logger: a.log.With("target", t.Name),
		})
		if err != nil {
			return err
		}
		a.warehouses[t.Name] = w
		if a.journals[t.Name], err = a.openJournal(ctx, t.Name); err != nil {
			return err
		}
		a.targets[t.Name] = control.TargetEntry{ARN: a.cfg.TargetARN(t), Target: w, Authorize: t.Authorization == config.AuthorizationRequired, Manual: t.DestinationDatabase == config.DatabaseManual}
	}
	return nil
}

// openJournal opens the journal of what streams into a target do.
func (a *App) openJournal(ctx context.Context, target string) (*journal.Journal, error) {
	dir := filepath.Join(a.cfg.DataDir, journalsName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, folderError(dir, err)
	}
	return journal.Open(ctx, filepath.Join(dir, target+".db"), a.log.With("target", target))
}

// Bounds of what one stream may hold in memory.
const (
	minStreamMemory = 8 << 20
	maxStreamMemory = 128 << 20
	// tableRoom is what of an engine's memory there should be for each table that a
	// batch changes, of which a quarter of a mebibyte is taken in any case, and more for its columns.
	tableRoom     = 3 << 18
	minMostTables = 20
	// roomParts: that part of the memory may be taken by the rows that streams have in
	// hand, which pass through it in several copies.
	roomParts = 8
	// startsAtATime streams start at a time: enough for a source that is far away, where
	// each waits for answers most of the time.
	startsAtATime = 16
)

// runner makes what carries one stream.
func (a *App) runner(in penstock.Integration, db penstock.DestinationDatabase) (control.Runner, error) {
	source, settings := a.sourceOf(in.SourceARN)
	if source == nil {
		return nil, penstock.Errorf(penstock.KindSourceNotFound, "no source in the configuration has the ARN %s", in.SourceARN)
	}
	name, target := a.targetOf(in.TargetARN)
	if target == nil {
		return nil, penstock.Errorf(penstock.KindTargetNotFound, "no target in the configuration has the ARN %s", in.TargetARN)
	}
	// What a stream keeps outside of its destination database is encrypted
	// with the data key, without which an integration does not run.
	key, err := a.dataKey(in)
	if err != nil {
		return nil, err
	}
	filter, err := source.ParseFilter(in.DataFilter)
	if err != nil {
		return nil, err
	}
	return pipeline.New(pipeline.Config{
		Source: source,
		Capture: penstock.CaptureSpec{Integration: in.ID, Database: db.SourceDatabase, Filter: filter,
			Lane:  a.lane,
			Spill: spill.New(filepath.Join(a.cfg.DataDir, spillName), key.Reveal())},
		Target:      target,
		Spec:        penstock.DatabaseSpec{Name: db.Name, Integration: in.ID, SourceARN: in.SourceARN, SourceDatabase: db.SourceDatabase},
		Created:     db.CreatedAt,
		Options:     db.Options,
		Memory:      min(max(a.cfg.Memory/4, minStreamMemory), maxStreamMemory),
		Room:        a.room,
		Starts:      a.starts,
		MostTables:  max(minMostTables, int(engineMemory(a.cfg.Memory)/int64(len(a.cfg.Targets))/tableRoom)),
		MinInterval: a.cfg.Target(name).FlushMinInterval,
		BadValues:   pipeline.BadValuePolicy(a.cfg.Target(name).OnBadValue),
		Connections: settings.Load.Connections,
		WALAlarm:    settings.WALAlarm,
		WALLimit:    settings.WALLimit,

		StopOnLostPosition: settings.OnLostPosition == config.LostPositionStop,

		Journal: a.journals[name],
		Logger:  a.log.With("source", settings.Name),
	}), nil
}

func (a *App) sourceOf(arn string) (source penstock.Source, settings *config.Source) {
	for i := range a.cfg.Sources {
		if s := &a.cfg.Sources[i]; a.cfg.SourceARN(s) == arn {
			return a.sources[s.Name].Source, s
		}
	}
	return nil, nil
}

func (a *App) targetOf(arn string) (name string, target penstock.Target) {
	for name, t := range a.targets {
		if t.ARN == arn {
			return name, t.Target
		}
	}
	return "", nil
}
