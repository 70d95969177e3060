package duckdbtarget

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"penstock"
)

const (
	unknownBlocks = -1
	atOnce        = 100 // tables asked about in one statement; the engine plans them together

	// blocksFor is how long blocks are asked for at a time.
	blocksFor = time.Second
)

// knownBlocks remembers how many blocks tables have, since the engine takes
// about a millisecond to tell it of one.
type knownBlocks struct {
	mu sync.Mutex
	of map[[3]string]blocks // by alias, schema and table
}

// blocks are those of a table of which the engine estimated so many rows.
type blocks struct {
	estimate, n int64
	asked       time.Time
}

// holds reports whether that can still be so. A table without blocks may get
// them by a checkpoint.
func (b blocks) holds(estimate int64) bool {
	return b.estimate == estimate && (b.n > 0 || time.Since(b.asked) < time.Minute)
}

var _ penstock.Sizer = (*Warehouse)(nil)

// Sizes implements penstock.Sizer. Rows are counted, since the engine's own
// number includes deleted ones. The blocks are those of the last time that the
// estimate changed, which a deletion does not, nor does it free any. Of many
// tables some are told only by a later call.
func (w *Warehouse) Sizes(ctx context.Context, database string) (map[penstock.TableID]penstock.TableSize, error) {
	c, db, err := w.reader(ctx, database)
	if c == nil {
		return nil, err
	}
	defer c.close()
	sizes, err := w.blocks.sizes(ctx, c, db.alias)
	return sizes, w.readFault(err, db, "tell the sizes of the tables of database %q", database)
}

// reader returns a connection to ask a destination database about its tables
// with, for its caller to close; none for the built-in database.
func (w *Warehouse) reader(ctx context.Context, database string) (*conn, *database, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	inst, err := w.running(ctx)
	if err != nil {
		return nil, nil, err
	}
	db := w.databases[database]
	if db == nil || db.err != nil {
		return nil, nil, penstock.Errorf(penstock.KindNotFound, "there is no database %q", database)
	}
	if db.name == BuiltIn {
		return nil, nil, nil
	}
	c, err := inst.connect()
	if err != nil {
		return nil, nil, fault(err, db.path, "read database %q", database)
	}
	return c, db, nil
}

// readFault is what becomes of an error of a reader's connection: a database
// that was dropped meanwhile is not found.
func (w *Warehouse) readFault(err error, db *database, format string, args ...any) error {
	if err == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.databases[db.name] != db {
		return penstock.Errorf(penstock.KindNotFound, "there is no database %q", db.name)
	}
	return fault(err, db.path, format, args...)
}

// sizes asks in one transaction, so that no table is swapped in between.
func (k *knownBlocks) sizes(ctx context.Context, c *conn, alias string) (map[penstock.TableID]penstock.TableSize, error) {
	if err := c.exec(ctx, "BEGIN"); err != nil {
		return nil, err
	}
	defer c.rollback()
	entries, err := c.texts(ctx, "SELECT id, entry FROM "+ident(alias)+"."+metaSchema+".tables")
	if err != nil {
		return nil, err
	}
	estimated, err := c.texts(ctx, "SELECT schema_name, table_name, estimated_size::VARCHAR FROM duckdb_tables() WHERE database_name = ?", alias)
	if err != nil {
		return nil, err
	}
	estimates := make(map[[2]string]int64, len(estimated))
	for _, e := range estimated {
		estimates[[2]string{e[0], e[1]}], _ = strconv.ParseInt(e[2], 10, 64)
	}
	block, err := blockSize(ctx, c, alias)
	if err != nil {
		return nil, err
	}
	var all []*sizing
	for _, row := range entries {
		e, err := decodeEntry(row[1])
		if err != nil {
			return nil, err
		}
		if v := e.Readable; v != nil {
			for _, table := range v.tables() {
				all = append(all, &sizing{id: penstock.TableID(row[0]), key: [3]string{alias, v.Schema, table}, estimate: estimates[[2]string{v.Schema, table}]})
			}
		}
	}
	if _, err := askAll(ctx, c, all, time.Time{}, func(s *sizing) string {
		return "SELECT count(*) FROM " + ident(alias) + "." + ident(s.key[1]) + "." + ident(s.key[2])
	}, func(s *sizing, n int64) { s.rows = n }); err != nil {
		return nil, err
	}
	rest, err := askAll(ctx, c, k.unknown(all), time.Now().Add(blocksFor), func(s *sizing) string {
		table := ident(alias) + "." + ident(s.key[1]) + "." + ident(s.key[2])
		return "SELECT count(DISTINCT block_id) FROM pragma_storage_info(" + literal(table) + ") WHERE block_id >= 0"
	}, func(s *sizing, n int64) { s.blocks, s.asked = n, time.Now() })
	if err != nil {
		return nil, err
	}
	for _, s := range rest {
		s.blocks = unknownBlocks
	}
	k.remember(alias, all)
	sizes := make(map[penstock.TableID]penstock.TableSize, len(all))
	for _, s := range all {
		before, bytes := sizes[s.id], max(s.blocks*block, -1)
		if bytes < 0 || before.Bytes < 0 {
			before.Bytes, bytes = -1, 0
		}
		sizes[s.id] = penstock.TableSize{Rows: before.Rows + s.rows, Bytes: before.Bytes + bytes}
	}
	return sizes, nil
}

// sizing is a table and what was found about it.
type sizing struct {
	id           penstock.TableID
	key          [3]string
	estimate     int64
	rows, blocks int64
	asked        time.Time // for blocks
}

// unknown fills in what is remembered and returns the others, the larger ones
// first.
func (k *knownBlocks) unknown(all []*sizing) (ask []*sizing) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range all {
		if b, ok := k.of[s.key]; ok && b.holds(s.estimate) {
			s.blocks, s.asked = b.n, b.asked
		} else if strings.Contains(strings.Join(s.key[:], ""), `"`) {
			s.blocks = unknownBlocks // pragma_storage_info cannot be given such a name
		} else if s.estimate > 0 {
			ask = append(ask, s)
		}
	}
	slices.SortStableFunc(ask, func(a, b *sizing) int { return cmp.Compare(b.estimate, a.estimate) })
	return ask
}

// remember replaces what is known of a database.
func (k *knownBlocks) remember(alias string, all []*sizing) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of == nil {
		k.of = make(map[[3]string]blocks)
	}
	for key := range k.of {
		if key[0] == alias {
			delete(k.of, key)
		}
	}
	for _, s := range all {
		if !s.asked.IsZero() {
			k.of[s.key] = blocks{s.estimate, s.blocks, s.asked}
		}
	}
}

// askAll has the engine answer a question with one number about each table,
// many tables in one statement, until a time if there is one. It returns those
// that were not asked about.
func askAll(ctx context.Context, c *conn, all []*sizing, until time.Time, question func(*sizing) string, answer func(*sizing, int64)) (rest []*sizing, err error) {
	for len(all) > 0 && (until.IsZero() || time.Now().Before(until)) {
		some := all[:min(len(all), atOnce)]
		all = all[len(some):]
		questions := make([]string, len(some))
		for i, s := range some {
			questions[i] = fmt.Sprintf("SELECT '%d', (%s)::VARCHAR", i, question(s))
		}
		rows, err := c.texts(ctx, strings.Join(questions, " UNION ALL "))
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			i, err1 := strconv.Atoi(r[0])
			n, err2 := strconv.ParseInt(r[1], 10, 64)
			if err1 != nil || err2 != nil {
				return nil, penstock.Errorf(penstock.KindInternal, "the size of a table is %q", r)
			}
			answer(some[i], n)
		}
	}
	return all, nil
}
