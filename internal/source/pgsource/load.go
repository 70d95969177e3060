package pgsource

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"penstock"
)

const (
	pageSize = 8192
	// defaultChunk is how much of a table a chunk reads, in one or more steps.
	defaultChunk = 64 << 20
	// tidScanMajor is the first version that reads a range of ctid without
	// reading the whole table; older ones get one chunk per table.
	tidScanMajor = 14
	// writerPatience is how long a load waits for transactions that wrote to
	// its tables before those were published.
	writerPatience = 30 * time.Second
)

// load implements penstock.Load. One connection holds a transaction whose
// snapshot all chunks use; it holds no lock on any table.
type load struct {
	capture  *capture
	holder   *pgx.Conn
	exported string
	snapshot snapshot
	chunks   []penstock.Chunk
	resumed  map[penstock.TableID]penstock.Snapshot // tables whose load goes on
	types    map[string]typeInfo                    // by name
	filters  map[uint32]string                      // published relation → its row filter
	steps    *steps

	mu   sync.Mutex
	idle []*pgx.Conn
}

// Load implements penstock.Capture.
func (c *capture) Load(ctx context.Context, tables []penstock.Table, begun map[penstock.TableID]*penstock.PartialLoad) (penstock.Load, error) {
	conn, err := c.conn(ctx)
	if err != nil {
		return nil, err
	}
	l := &load{capture: c, resumed: map[penstock.TableID]penstock.Snapshot{}, types: c.types.byName(), steps: c.source.newSteps()}
	if err := l.open(ctx, conn, tables, begun); err != nil {
		l.Close()
		return nil, classify(err, "begin a load from "+c.where())
	}
	return l, nil
}

func (l *load) open(ctx context.Context, conn *pgx.Conn, tables []penstock.Table, begun map[penstock.TableID]*penstock.PartialLoad) error {
	pieces, err := l.pieces(ctx, conn, tables)
	if err != nil {
		return err
	}
	if l.filters, err = l.capture.rowFilters(ctx, conn); err != nil {
		return err
	}
	for i := range pieces {
		if oid, err := tableOID(pieces[i].table.ID); err == nil {
			pieces[i].filter = l.filters[oid]
		}
	}
	resumes := resumable(tables, pieces, begun)
	var oids []uint32 // what is gone on with was published long ago
	for _, p := range pieces {
		if _, ok := resumes[p.table.ID]; !ok {
			oids = append(oids, p.oid)
		}
	}
	busy, err := awaitWriters(ctx, conn, oids, writerPatience)
	if err != nil {
		return err
	}
	if err := l.capture.refreshPublications(ctx, conn); err != nil {
		return err
	}
	if l.holder, err = l.capture.source.connect(ctx, l.capture.spec.Database); err != nil {
		return err
	}
	if _, err := l.holder.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return err
	}
	var text string
	if err := l.holder.QueryRow(ctx, "SELECT pg_export_snapshot(), pg_current_snapshot()::text").Scan(&l.exported, &text); err != nil {
		return err
	}
	if l.snapshot, err = parseSnapshot(text); err != nil {
		return err
	}
	if l.snapshot.upto, err = mark(ctx, conn); err != nil {
		return err
	}
	for id, r := range resumes {
		l.resumed[id] = r.join(l.snapshot).encode()
	}
	for _, p := range pieces {
		if who, ok := busy[p.oid]; ok {
			l.chunks = append(l.chunks, penstock.Chunk{Table: p.table, Bytes: p.bytes, Token: busyToken + who})
			continue
		}
		l.cut(p, serverMajor(conn.PgConn()) >= tidScanMajor, resumes[p.table.ID].done(p))
	}
	return nil
}

// cut adds the chunks of a piece, but for what is done.
func (l *load) cut(p piece, ranges bool, done []pageRange) {
	l.chunks = append(l.chunks, p.chunks(l.capture.source.chunkPages, ranges, done)...)
	if ranges {
		l.steps.add(p.oid, p.pages, p.bytes)
	}
}

// markPrefix is that of the messages that mark writes.
const markPrefix = "penstock"

// mark writes a record to the WAL and returns the position after it. All
// transactions visible before have their commit records before it. The commit
// flushes it, so that the stream gets there also when nobody writes.
func mark(ctx context.Context, conn *pgx.Conn) (lsn, error) {
	if _, err := conn.Exec(ctx, "SET synchronous_commit = local"); err != nil {
		return 0, err
	}
	var at string
	if err := conn.QueryRow(ctx, "SELECT pg_logical_emit_message(true, '"+markPrefix+"', '')::text").Scan(&at); err != nil {
		return 0, err
	}
	return parseLSN(at)
}

// busyToken begins the token of a chunk that cannot be read because of who the
// rest of the token names.
const busyToken = "busy "

// awaitWriters waits until every transaction that now holds a lock for writing
// on one of the tables has ended. A change made before its table was published
// is not in the stream; once its transaction has ended, it is in the snapshot.
// It returns the tables, and who writes to them, for which that takes longer
// than patience: they cannot be loaded now.
func awaitWriters(ctx context.Context, conn *pgx.Conn, oids []uint32, patience time.Duration) (busy map[uint32]string, err error) {
	const holder = `COALESCE('pid ' || pid, 'a prepared transaction') || '/' || virtualtransaction`
	// VACUUM, ANALYZE, CREATE INDEX and the like, which may take hours, hold
	// other locks and change no row.
	const writers = `SELECT DISTINCT relation, ` + holder + ` FROM pg_locks
		WHERE locktype = 'relation' AND relation = ANY($1) AND granted AND pid IS DISTINCT FROM pg_backend_pid()
		  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
		  AND mode IN ('RowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`
	rows, err := conn.Query(ctx, writers, oids)
	if err != nil {
		return nil, err
	}
	tables := map[string][]uint32{} // by who writes to them
	var relation uint32
	var who string
	if _, err = pgx.ForEachRow(rows, []any{&relation, &who}, func() error {
		tables[who] = append(tables[who], relation)
		return nil
	}); err != nil {
		return nil, err
	}
	waiting := slices.Collect(maps.Keys(tables))
	deadline := time.Now().Add(patience)
	for wait := 5 * time.Millisecond; len(waiting) > 0 && time.Now().Before(deadline); wait = min(2*wait, 500*time.Millisecond) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
		waiting, err = collect[string](ctx, conn, `SELECT DISTINCT `+holder+` FROM pg_locks WHERE `+holder+` = ANY($1)`, waiting)
		if err != nil {
			return nil, err
		}
	}
	busy = map[uint32]string{}
	for _, w := range waiting {
		for _, t := range tables[w] {
			busy[t], _, _ = strings.Cut(w, "/")
		}
	}
	return busy, nil
}

// Snapshot implements penstock.Load.
func (l *load) Snapshot() penstock.Snapshot { return l.snapshot.encode() }

// Resumes implements penstock.Load.
func (l *load) Resumes(id penstock.TableID) (penstock.Snapshot, bool) {
	join, ok := l.resumed[id]
	return join, ok
}

// Chunks implements penstock.Load.
func (l *load) Chunks() []penstock.Chunk { return l.chunks }

// Close implements penstock.Load.
func (l *load) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var errs []error
	if l.holder != nil {
		errs = append(errs, l.holder.Close(ctx))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.idle {
		errs = append(errs, conn.Close(ctx))
	}
	l.idle = nil
	return errors.Join(errs...)
}

// worker returns a connection for one chunk; release gives it back.
func (l *load) worker(ctx context.Context) (*pgx.Conn, error) {
	l.mu.Lock()
	if n := len(l.idle); n > 0 {
		conn := l.idle[n-1]
		l.idle = l.idle[:n-1]
		l.mu.Unlock()
		return conn, nil
	}
	l.mu.Unlock()
	return l.capture.source.connectBulk(ctx, l.capture.spec.Database)
}

func (l *load) release(conn *pgx.Conn, err error) {
	if err != nil || conn.IsClosed() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		conn.Close(ctx)
		return
	}
	l.mu.Lock()
	l.idle = append(l.idle, conn)
	l.mu.Unlock()
}

// Read implements penstock.Load.
func (l *load) Read(ctx context.Context, c penstock.Chunk, rows *penstock.Rows, limit int, flush func(bad penstock.BadValues) error) (err error) {
	if who, ok := strings.CutPrefix(c.Token, busyToken); ok {
		return penstock.Errorf(penstock.KindStale, "table %s waits to be loaded for a transaction that has been writing to it for more than %s (%s)", c.Table, writerPatience, who)
	}
	token, err := parseChunk(c.Token)
	if err != nil {
		return err
	}
	conn, err := l.worker(ctx)
	if err != nil {
		return err
	}
	defer func() { l.release(conn, err) }()
	return l.readSteps(ctx, token.oid, token.pages, func(pages pageRange) error {
		return l.readPages(ctx, conn, c.Table, token, pages, newCopyDecoder(c.Table, l.types, rows, limit, flush))
	})
}

// readPages reads a range of pages in a transaction of its own.
func (l *load) readPages(ctx context.Context, conn *pgx.Conn, t *penstock.Table, token chunkToken, pages pageRange, d *copyDecoder) error {
	if err := l.begin(ctx, conn, token, t); err != nil {
		return err
	}
	l.capture.source.throttled(ctx, d)
	_, err := conn.PgConn().CopyTo(ctx, d, l.copyStatement(t, token.name, pages))
	if err == nil {
		err = d.finish()
	}
	if err == nil { // a schema can be renamed whatever is locked in it
		err = stillNamed(ctx, conn, token.oid, token.name, t)
	}
	if err == nil {
		_, err = conn.Exec(ctx, "COMMIT")
	}
	switch {
	case d.err != nil: // of flush or of decoding: already what it should be
		return d.err
	case sqlState(err) == "42703" || sqlState(err) == "42P01" || sqlState(err) == "42883":
		return penstock.Errorf(penstock.KindStale, "table %s changed its shape while it was loaded: %w", t, err)
	}
	return classify(err, "load table "+t.String()+" from "+l.capture.where())
}

// begin opens the chunk's transaction on the load's snapshot, takes the
// weakest lock there is, and checks that the table is still stored where it
// was: TRUNCATE and rewrites do not respect snapshots (promise 1).
func (l *load) begin(ctx context.Context, conn *pgx.Conn, token chunkToken, table *penstock.Table) error {
	err := conn.PgConn().Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '"+l.exported+"'; LOCK TABLE ONLY "+token.name+" IN ACCESS SHARE MODE").Close()
	if sqlState(err) == "42P01" || sqlState(err) == "3F000" {
		return penstock.Errorf(penstock.KindStale, "table %s was dropped or renamed while it was loaded: %w", table, err)
	}
	if sqlState(err) == "55P03" {
		return penstock.Errorf(penstock.KindStale, "table %s is locked by another session: %w", table, err)
	}
	if err != nil {
		return classify(err, "load table "+table.String()+" from "+l.capture.where())
	}
	root, err := tableOID(table.ID)
	if err != nil {
		return err
	}
	var file *uint32
	var names []string
	if err := conn.QueryRow(ctx, `SELECT pg_relation_filenode($1::oid),
		ARRAY(SELECT COALESCE(a.attname::text, '') FROM unnest($3::int2[]) WITH ORDINALITY c(number, n)
		      LEFT JOIN pg_attribute a ON a.attrelid = $2::oid AND a.attnum = c.number AND NOT a.attisdropped ORDER BY c.n)`,
		token.oid, root, columnNumbers(table)).Scan(&file, &names); err != nil {
		return classify(err, "load table "+table.String()+" from "+l.capture.where())
	}
	if file == nil || *file != token.file {
		return penstock.Errorf(penstock.KindStale, "table %s was truncated or rewritten while it was loaded", table)
	}
	if err := stillNamed(ctx, conn, token.oid, token.name, table); err != nil {
		return err
	}
	// The rows are read by the names of the columns, which another column may
	// have by now: names do not respect snapshots either.
	for i, c := range table.Columns {
		if names[i] != c.Name {
			return penstock.Errorf(penstock.KindStale, "column %s of table %s was renamed or dropped while it was loaded", c.Name, table)
		}
	}
	return nil
}

// stillNamed makes sure that a name, by which rows are read, is that of the
// table which they are taken for: names do not respect snapshots, and two tables
// may have exchanged theirs. What is locked keeps its name in its schema.
func stillNamed(ctx context.Context, conn *pgx.Conn, oid uint32, name string, table *penstock.Table) error {
	var now *uint32
	if err := conn.QueryRow(ctx, `SELECT to_regclass($1)::oid`, name).Scan(&now); err != nil {
		return err
	}
	if now == nil || *now != oid {
		return penstock.Errorf(penstock.KindStale, "table %s was dropped or renamed while it was loaded", table)
	}
	return nil
}

// columnNumbers returns the server's numbers of a table's columns.
func columnNumbers(t *penstock.Table) []int16 {
	out := make([]int16, len(t.Columns))
	for i, c := range t.Columns {
		out[i] = int16(c.ID)
	}
	return out
}

func (l *load) copyStatement(t *penstock.Table, name string, pages pageRange) string {
	var b strings.Builder
	b.WriteString("COPY (SELECT " + selectList(t, l.types) + " FROM ONLY " + name)
	var where []string
	if pages.from > 0 || pages.to >= 0 {
		where = append(where, fmt.Sprintf("ctid >= '(%d,0)'", pages.from))
	}
	if pages.to >= 0 {
		where = append(where, fmt.Sprintf("ctid < '(%d,0)'", pages.to))
	}
	if oid, err := tableOID(t.ID); err == nil && l.filters[oid] != "" {
		where = append(where, "("+l.filters[oid]+")")
	}
	if len(where) > 0 {
		b.WriteString(" WHERE " + strings.Join(where, " AND "))
	}
	b.WriteString(") TO STDOUT (FORMAT binary)")
	return b.String()
}

// selectList selects the columns of a table as newCopyDecoder expects them.
func selectList(t *penstock.Table, types map[string]typeInfo) string {
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = loadExpression(quote(c.Name), typeNamed(types, c.SourceType))
	}
	return strings.Join(columns, ", ")
}
