package pgsource

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"penstock"
	"penstock/internal/failpoint"
)

// Config describes a PostgreSQL server to read from.
type Config struct {
	Name     string // in the configuration, for messages
	URL      string // postgres://user@host:port/database?options
	Password string // instead of one in URL, if not empty
	Logger   *slog.Logger

	// Publication is one that somebody prepared in every database. It is never
	// altered, nor dropped by Forget. "": each capture has its own.
	Publication string

	Loading Loading
	// DDLTrigger is whether an event trigger tells the stream of changes of tables.
	DDLTrigger DDLTrigger
}

// Source is a PostgreSQL server.
type Source struct {
	name string
	base *pgx.ConnConfig
	log  *slog.Logger

	publication string // Config.Publication
	loading     Loading
	limiter     *limiter // nil: none
	chunkPages  int64    // that a chunk of a load reads
	trigger     DDLTrigger
	undecodable undecodable
	whole       wholeOnly
}

var _ penstock.Source = (*Source)(nil)

// dialer notices within a minute that the other side is gone without a word,
// also while a load waits for rows.
var dialer = &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 6}}

// New returns the source described by cfg; it does not dial.
func New(cfg Config) (*Source, error) {
	base, err := pgx.ParseConfig(cfg.URL)
	if err != nil {
		return nil, penstock.Errorf(penstock.KindInvalid, "source %s: %w", cfg.Name, err)
	}
	if cfg.Password != "" {
		base.Password = cfg.Password
	}
	if base.RuntimeParams["application_name"] == "" {
		base.RuntimeParams["application_name"] = "penstock"
	}
	base.DefaultQueryExecMode = pgx.QueryExecModeExec
	base.DialFunc = dialer.DialContext
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Loading.Longest <= 0 {
		cfg.Loading.Longest = 10 * time.Second
	}
	if cfg.Loading.Chunk == 0 {
		cfg.Loading.Chunk = defaultChunk
	}
	s := &Source{name: cfg.Name, base: base, log: cfg.Logger.With("source", cfg.Name), publication: cfg.Publication, loading: cfg.Loading, trigger: cfg.DDLTrigger, chunkPages: max(cfg.Loading.Chunk/pageSize, 1)}
	if n := cfg.Loading.RowsPerSecond; n > 0 {
		s.limiter = &limiter{perSecond: float64(n)}
	}
	return s, nil
}

// Engine implements penstock.Source.
func (s *Source) Engine() string { return "PostgreSQL" }

// ParseFilter implements penstock.Source: three parts, and none by default, as
// at AWS.
func (s *Source) ParseFilter(text string) (penstock.Filter, error) {
	return penstock.ParseFilter(text, 3)
}

// Databases implements penstock.Source.
func (s *Source) Databases(f penstock.Filter) []string { return f.Databases() }

// Capture implements penstock.Source.
func (s *Source) Capture(spec penstock.CaptureSpec) penstock.Capture {
	return &capture{source: s, spec: spec, log: s.log.With("integration", spec.Integration, "database", spec.Database)}
}

// Close implements penstock.Source; the source itself holds nothing.
func (s *Source) Close() error { return nil }

// Names of what we create at the server.
const namePrefix = "penstock_"

func publicationName(id penstock.IntegrationID) string { return namePrefix + id.Short() }
func appendPublicationName(id penstock.IntegrationID) string {
	return publicationName(id) + "_append"
}
func slotPrefix(id penstock.IntegrationID) string { return publicationName(id) + "_" }

// Forget implements penstock.Source.
func (s *Source) Forget(ctx context.Context, id penstock.IntegrationID) error {
	conn, err := s.connect(ctx, "")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	databases, err := collect[string](ctx, conn, `SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname`)
	if err != nil {
		return classify(err, "list the databases of "+s.at(""))
	}
	var errs []error
	for _, db := range databases {
		err := s.forgetDatabase(ctx, db, id)
		if sqlState(err) == "57P01" {
			// Somebody who drops the database with force ends our session before it is gone;
			// to get into it again is possible only once that is decided.
			err = s.forgetDatabase(ctx, db, id)
		}
		if err != nil && !closedToAll(ctx, conn, db) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// ForgetStream implements penstock.Source.
func (s *Source) ForgetStream(ctx context.Context, id penstock.IntegrationID, database string) error {
	return s.forgetDatabase(ctx, database, id)
}

// closedToAll reports whether a database has been dropped meanwhile, or is
// about to be: what is gone took ours along.
func closedToAll(ctx context.Context, conn *pgx.Conn, database string) bool {
	var open bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datallowconn)`, database).Scan(&open)
	return err == nil && !open
}

func (s *Source) forgetDatabase(ctx context.Context, database string, id penstock.IntegrationID) error {
	conn, err := s.connect(ctx, database)
	switch sqlState(err) {
	case "42501", "28000", "3D000", "55000":
		// What we may not enter, we cannot have changed; what is gone, or is
		// being dropped and takes nobody any more, takes ours along.
		return nil
	}
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := dropSlots(ctx, conn, slotPrefix(id), ""); err != nil {
		return classify(err, "drop the slots in "+s.at(database))
	}
	if err := failpoint.Here(failpoint.SourceSlotsDropped); err != nil {
		return err
	}
	if err := dropTrigger(ctx, conn, id); err != nil {
		return classify(err, "drop event triggers in "+s.at(database))
	}
	if err := dropPublications(ctx, conn, id); err != nil {
		return classify(err, "drop the publications in "+s.at(database))
	}
	return failpoint.Here(failpoint.SourceAfterForgotten)
}

// dropPublications drops those that captures of an integration make, also if somebody
// has renamed them.
func dropPublications(ctx context.Context, conn *pgx.Conn, id penstock.IntegrationID) error {
	renamed, err := renamedPublications(ctx, conn, id)
	if err != nil {
		return err
	}
	for _, p := range append(slices.Sorted(maps.Keys(renamed)), publicationName(id), appendPublicationName(id)) {
		if _, err := conn.Exec(ctx, "DROP PUBLICATION IF EXISTS "+quote(p)); err != nil {
			return fmt.Errorf("publication %s: %w", p, err)
		}
	}
	return nil
}

// dropSlots drops the slots of the current database whose name begins with
// prefix, but for one to keep. A walsender that still holds one is ended.
func dropSlots(ctx context.Context, conn *pgx.Conn, prefix, keep string) error {
	names, err := collect[string](ctx, conn, `SELECT slot_name::text FROM pg_replication_slots
		WHERE database = current_database() AND starts_with(slot_name::text, $1) AND slot_name <> $2`, prefix, keep)
	if err != nil {
		return err
	}
	return dropNamedSlots(ctx, conn, names)
}

// dropNamedSlots drops slots, of whichever database.
func dropNamedSlots(ctx context.Context, conn *pgx.Conn, names []string) error {
	for _, name := range names {
		err := retryLocked(ctx, func() error {
			if _, err := conn.Exec(ctx, `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
				WHERE slot_name = $1 AND active_pid IS NOT NULL`, name); err != nil {
				return err
			}
			_, err := conn.Exec(ctx, `SELECT pg_drop_replication_slot($1)`, name)
			return err
		})
		if err != nil && sqlState(err) != "42704" { // already gone
			return fmt.Errorf("slot %s: %w", name, err)
		}
	}
	return nil
}

// collect returns the single column of a query's rows.
func collect[T any](ctx context.Context, conn *pgx.Conn, sql string, args ...any) ([]T, error) {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[T])
}

// quote returns an identifier as SQL.
func quote(parts ...string) string { return pgx.Identifier(parts).Sanitize() }
