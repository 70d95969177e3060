package pgsource

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"penstock"
	"penstock/internal/failpoint"
)

// minimumMajor is the oldest server version that is supported.
const minimumMajor = 13

// capture implements penstock.Capture for one database.
type capture struct {
	source *Source
	spec   penstock.CaptureSpec
	log    *slog.Logger

	sql   *pgx.Conn // nil until needed, and after it broke
	types *typeCache

	left        uint32 // OID of the database that a position was in which is given up
	publication uint32 // OID of the one that was prepared; 0 if ours are used

	told   atomic.Bool // event triggers tell of changes of tables
	relied bool        // they have, since Prepare
	remake bool        // they may be made again when they are found out of order

	unseen   unseen
	locator  locator
	prepared bool               // Prepare has succeeded: publications and slot are there
	marks    map[uint32]string  // how each table was published when it was last looked at: Table.Published
	seen     map[string]pubSeen // our publications, as they were last looked at
	takenOut map[uint32]int     // tables that somebody took out, and how often that is still to be said
}

var _ penstock.Capture = (*capture)(nil)

// conn returns the capture's SQL connection.
func (c *capture) conn(ctx context.Context) (*pgx.Conn, error) {
	if c.sql != nil && !c.sql.IsClosed() {
		return c.sql, nil
	}
	conn, err := c.source.connect(ctx, c.spec.Database)
	if err != nil {
		return nil, err
	}
	if major := serverMajor(conn.PgConn()); major < minimumMajor {
		conn.Close(context.WithoutCancel(ctx))
		return nil, &penstock.Error{Kind: penstock.KindSetting, Op: "use " + c.where(), Mend: fmt.Sprintf("upgrade it to %d or later", minimumMajor),
			Message: fmt.Sprintf("PostgreSQL %d is too old", major)}
	}
	c.sql, c.types = conn, newTypeCache()
	return conn, nil
}

func (c *capture) where() string { return c.source.at(c.spec.Database) }

// Close implements penstock.Capture.
func (c *capture) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := c.locator.close(ctx)
	if c.sql != nil {
		err = errors.Join(err, c.sql.Close(ctx))
		c.sql = nil
	}
	return err
}

// Prepare implements penstock.Capture.
func (c *capture) Prepare(ctx context.Context, at penstock.Position) (penstock.Position, error) {
	conn, err := c.conn(ctx)
	if err != nil {
		return "", c.missing(ctx, at, err)
	}
	if err := c.ensureTrigger(ctx, conn); err != nil {
		return "", err
	}
	c.relied, c.remake = c.told.Load(), true
	if at == "" {
		at, err = c.begin(ctx, conn)
	} else {
		at, err = c.verify(ctx, conn, at)
	}
	c.prepared = err == nil
	return at, err
}

// serverState is what positions are held against.
type serverState struct {
	system   string
	timeline uint32
	database uint32
	now      lsn
	walLevel string
}

func readServer(ctx context.Context, conn *pgx.Conn) (s serverState, err error) {
	var recovering bool
	var timeline int64
	var now *string
	err = conn.QueryRow(ctx, `
		SELECT system_identifier::text, pg_is_in_recovery(),
		       CASE WHEN pg_is_in_recovery() THEN 0 ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int8 END,
		       CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_lsn()::text END,
		       (SELECT oid FROM pg_database WHERE datname = current_database()), current_setting('wal_level')
		FROM pg_control_system()`).Scan(&s.system, &recovering, &timeline, &now, &s.database, &s.walLevel)
	if err != nil {
		return s, err
	}
	if recovering {
		return s, &penstock.Error{Kind: penstock.KindSetting, Message: "the server is a standby in recovery", Mend: "name the primary in the source's url"}
	}
	s.timeline = uint32(timeline)
	s.now, err = parseLSN(*now)
	return s, err
}

// begin makes publications and a slot, in this order: so that every
// transaction that the slot delivers sees the publications.
func (c *capture) begin(ctx context.Context, conn *pgx.Conn) (penstock.Position, error) {
	server, err := readServer(ctx, conn)
	if err != nil {
		return "", classify(err, "examine "+c.where())
	}
	if server.walLevel != "logical" {
		return "", &penstock.Error{Kind: penstock.KindSetting, Op: "use " + c.where(), Message: fmt.Sprintf("wal_level is %s, but replication needs logical", server.walLevel),
			Mend: "ALTER SYSTEM SET wal_level = 'logical'; then restart PostgreSQL"}
	}
	if err := dropSlots(ctx, conn, slotPrefix(c.spec.Integration), ""); err != nil {
		return "", classify(err, "drop leftover slots on "+c.where())
	}
	if err := c.leave(ctx, conn); err != nil {
		return "", err
	}
	if c.source.publication != "" {
		// What there may be of ours, from before somebody prepared one.
		if err := dropPublications(ctx, conn, c.spec.Integration); err != nil && sqlState(err) != "42501" {
			return "", classify(err, "drop our publications on "+c.where())
		}
	}
	c.prepared, c.marks = false, nil // all is loaded again
	if _, _, err := c.Tables(ctx); err != nil {
		return "", err
	}
	if err := failpoint.Here(failpoint.SourceBeforeSlot); err != nil {
		return "", err
	}
	slot := slotPrefix(c.spec.Integration) + randomHex(3)
	start, err := c.createSlot(ctx, conn, slot)
	if err != nil {
		return "", err
	}
	c.log.Info("slot created", "slot", slot, "lsn", start.String())
	return position{system: server.system, timeline: server.timeline, database: server.database, slot: slot, lsn: start, publication: c.publication, anchor: anchor{start: start, end: start}}.encode(), nil
}

// slotPatience is how long making a slot may take before we say what it waits
// for: it has to wait for every transaction that is open at that moment.
const slotPatience = 3 * time.Second

// slotAttention is how long it may take before somebody should act.
const slotAttention = 2 * time.Minute

// failoverMajor is the first version whose standbys, if they are set up to, keep
// a copy of our slot, so that it is there after a failover.
const failoverMajor = 17

func (c *capture) createSlot(ctx context.Context, conn *pgx.Conn, slot string) (lsn, error) {
	watch, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		c.watchSlotWait(watch)
	}()
	var at string
	create := `SELECT lsn::text FROM pg_create_logical_replication_slot($1, 'pgoutput')`
	if serverMajor(conn.PgConn()) >= failoverMajor {
		create = `SELECT lsn::text FROM pg_create_logical_replication_slot($1, 'pgoutput', failover := true)`
	}
	// It waits for transactions as one does for locks, but nobody queues behind
	// it, so that it may wait for as long as they take.
	_, err := conn.Exec(ctx, "SET lock_timeout = 0")
	if err == nil {
		err = conn.QueryRow(ctx, create, slot).Scan(&at)
	}
	var start lsn
	if err == nil {
		start, err = parseLSN(at)
	}
	if err == nil {
		start, err = c.settle(ctx, conn, slot, start)
	}
	if _, again := conn.Exec(ctx, "SET lock_timeout = '"+lockTimeout+"'"); err == nil {
		err = again
	}
	stop()
	<-watched
	if sqlState(err) == "42501" {
		return 0, &penstock.Error{Kind: penstock.KindSetting, Code: penstock.ProblemSourceRights, Op: "create slot " + slot + " on " + c.where(), Err: inPlainWords(err), Mend: replicationStatement(c.source.base.User)}
	}
	return start, classify(err, "create slot "+slot+" on "+c.where())
}

// watchSlotWait tells, until ctx ends, which transaction keeps a slot from
// being made.
func (c *capture) watchSlotWait(ctx context.Context) {
	since := time.Now().UTC()
	for {
		select {
		case <-ctx.Done():
			c.waiting(nil)
			return
		case <-time.After(slotPatience):
		}
		conn, err := c.source.connect(ctx, c.spec.Database)
		if err != nil {
			continue
		}
		w, ok, err := oldestWriter(ctx, conn)
		conn.Close(context.WithoutCancel(ctx))
		if err != nil || !ok {
			continue
		}
		c.log.Warn("slot waits for an open transaction", "pid", w.pid, "open", w.open, "application", w.application, "user", w.user)
		f := penstock.Finding{Code: penstock.ProblemOpenTransaction, Severity: penstock.SeverityWarning, Database: c.spec.Database, Since: since,
			Message: fmt.Sprintf("the stream waits for %s to end, which was open when its slot was to be made; the tables are loaded after that", w), Mend: w.mend()}
		if time.Since(since) >= slotAttention {
			f.Severity = penstock.SeverityAttention
		}
		c.waiting(&f)
	}
}

func (c *capture) waiting(f *penstock.Finding) {
	if c.spec.Waiting != nil {
		c.spec.Waiting(f)
	}
}

// verify checks that the history after a stored position is still to be had.
// It returns that position, on the timeline that is now the server's.
func (c *capture) verify(ctx context.Context, conn *pgx.Conn, at penstock.Position) (penstock.Position, error) {
	p, err := decodePosition(at)
	if err != nil {
		return "", err
	}
	server, err := readServer(ctx, conn)
	if err != nil {
		return "", classify(err, "examine "+c.where())
	}
	lost := func(format string, args ...any) error {
		return &penstock.Error{Kind: penstock.KindPositionLost, Op: "resume from " + p.lsn.String() + " on " + c.where(), Message: fmt.Sprintf(format, args...)}
	}
	switch {
	case server.system != p.system:
		return "", lost("this is another server than before (system identifier %s, was %s)", server.system, p.system)
	case server.database != p.database:
		c.left = p.database
		return "", lost("this is another database of that name than before")
	case server.now < p.lsn:
		return "", lost("the server is at %s only: it was restored from an older state", server.now)
	case server.timeline != p.timeline:
		if err := c.verifyTimeline(ctx, p, server.timeline, lost); err != nil {
			return "", err
		}
	}
	var confirmed, status *string
	var database string
	why := "''"
	if serverMajor(conn.PgConn()) >= 17 {
		why = "COALESCE(invalidation_reason, '')"
	}
	var reason string
	err = conn.QueryRow(ctx, `SELECT database::text, confirmed_flush_lsn::text, wal_status, `+why+` FROM pg_replication_slots WHERE slot_name = $1`, p.slot).Scan(&database, &confirmed, &status, &reason)
	switch {
	case err == pgx.ErrNoRows:
		return "", lost("slot %s does not exist any more", p.slot)
	case err != nil:
		return "", classify(err, "look up slot "+p.slot+" on "+c.where())
	case status != nil && *status == "lost":
		return "", lost("slot %s %s", p.slot, whyLost(reason))
	case confirmed == nil:
		return "", lost("slot %s was never completed", p.slot)
	}
	given, err := parseLSN(*confirmed)
	if err != nil {
		return "", err
	}
	if given > p.lsn {
		return "", lost("slot %s has given up everything before %s", p.slot, given)
	}
	// The server looks for publications as of each change: one that was dropped
	// meanwhile, even if it has been made again, is not found for some.
	if c.source.publication != "" {
		pub, err := c.source.readPrepared(ctx, conn, c.spec.Database)
		if err != nil {
			return "", err
		}
		if c.publication = pub.oid; pub.oid != p.publication {
			return "", lost("publication %s is not the one that was read so far", pub.name)
		}
	} else if p.publication != 0 {
		return "", lost("it was read with a publication that somebody prepared")
	}
	names, err := collect[string](ctx, conn, `SELECT p.name FROM unnest($1::text[]) p(name)
		WHERE NOT EXISTS (SELECT FROM pg_publication x WHERE x.pubname = p.name)`, c.publicationNames())
	if err != nil {
		return "", classify(err, "look up publications on "+c.where())
	}
	if len(names) > 0 {
		return "", lost("publication %s does not exist any more", names[0])
	}
	if err := c.holdTo(ctx, p, given, lost); err != nil {
		return "", err
	}
	p.timeline = server.timeline
	return p.encode(), nil
}

// whyLost says why the server has invalidated a slot; versions before 17 do
// not tell.
func whyLost(reason string) string {
	switch reason {
	case "idle_timeout":
		return "has been without a reader for longer than idle_replication_slot_timeout"
	case "wal_level_insufficient":
		return "was invalidated when wal_level was not logical any more"
	case "rows_removed":
		return "was invalidated since rows of the catalog that it needs are gone"
	}
	return "has lost WAL that it needs (max_slot_wal_keep_size)"
}

// verifyTimeline checks that the timeline we know did not end before the
// position: else a standby was promoted that had not received it.
func (c *capture) verifyTimeline(ctx context.Context, p position, current uint32, lost func(string, ...any) error) error {
	conn, err := c.source.connectReplication(ctx, c.spec.Database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	results, err := conn.Exec(ctx, fmt.Sprintf("TIMELINE_HISTORY %d", current)).ReadAll()
	if err != nil || len(results) == 0 || len(results[0].Rows) == 0 || len(results[0].Rows[0]) < 2 {
		return lost("timeline %d is not an ancestor known to timeline %d", p.timeline, current)
	}
	for line := range strings.Lines(string(results[0].Rows[0][1])) {
		var tl uint32
		var end string
		if n, _ := fmt.Sscanf(line, "%d %s", &tl, &end); n != 2 || tl != p.timeline {
			continue
		}
		if at, err := parseLSN(end); err == nil && at >= p.lsn {
			return nil
		}
		return lost("timeline %d ended at %s, before that position: a standby that was behind has been promoted", p.timeline, end)
	}
	return lost("timeline %d is not an ancestor of timeline %d", p.timeline, current)
}

// Latest implements penstock.Capture. What is visible has its commit record
// before the place where the next record goes.
func (c *capture) Latest(ctx context.Context) (penstock.Position, error) {
	conn, err := c.conn(ctx)
	if err != nil {
		return "", err
	}
	return c.end(ctx, conn)
}

// end returns the position where the next record of the WAL will be. A commit
// that has been answered has its record before it, also with synchronous_commit
// off.
func (c *capture) end(ctx context.Context, conn *pgx.Conn) (penstock.Position, error) {
	var text string
	if err := conn.QueryRow(ctx, "SELECT pg_current_wal_insert_lsn()::text").Scan(&text); err != nil {
		return "", classify(err, "read the WAL position of "+c.where())
	}
	at, err := parseLSN(text)
	if err != nil {
		return "", err
	}
	return position{lsn: at.beforeHeader()}.encode(), nil
}

// Covers implements penstock.Capture.
func (c *capture) Covers(at, other penstock.Position) bool {
	a, err1 := decodePosition(at)
	b, err2 := decodePosition(other)
	return err1 == nil && err2 == nil && a.lsn >= b.lsn
}

// retryLocked repeats f while it fails because another session still holds
// what it needs, for some seconds.
func retryLocked(ctx context.Context, f func() error) error {
	deadline := time.Now().Add(10 * time.Second)
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		err := f()
		if s := sqlState(err); s != "55006" && s != "55P03" || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// retryUntil repeats f until it says that it is done, for some seconds.
func retryUntil(ctx context.Context, f func() (done bool, err error)) error {
	deadline := time.Now().Add(10 * time.Second)
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		if done, err := f(); done || err != nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b)
	return hex.EncodeToString(b)
}
