package verify

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"penstock"
)

// Request says what is compared, and how.
type Request struct {
	// Match selects tables by schema and name; nil selects all.
	Match func(schema, name string) bool
	// Keys is how many rows of a table are named at the most; 0 is 20.
	Keys int
	// Connections is how many connections read at the source; 0 is 2.
	Connections int
	// Memory bounds, in bytes, what is held to find differing rows; 0 is 16 MiB.
	Memory int64
	// Progress, if not nil, is called every now and then, by one goroutine at a
	// time.
	Progress func(Progress)
}

// Progress is how far a comparison is.
type Progress struct {
	Table              string // being compared
	Tables, TablesDone int
	Rows               int64 // of the source, read so far in all tables
	Bytes, TotalBytes  int64 // of the source, estimated
	Again              bool  // the table differs, and is read again to find where
}

// buffer is how many bytes of rows are read at a time, by each reader.
const buffer = 2 << 20

// Compare compares the tables that the source or the destination has, as both
// were at the position. Its error is about all of them; what concerns one
// table alone is in that table's result.
func Compare(ctx context.Context, pin penstock.Pin, view penstock.View, r Request) ([]Table, error) {
	if state := view.State(); state.Applied != pin.Position() {
		return nil, penstock.Errorf(penstock.KindInternal, "compare: the destination is at %q, the source at %q", state.Applied, pin.Position())
	}
	c := &comparison{request: r, view: view, hash: newHasher()}
	c.request.Keys = cmp.Or(r.Keys, 20)
	c.request.Connections = cmp.Or(r.Connections, 2)
	c.request.Memory = cmp.Or(r.Memory, 16<<20)
	source, err := pin.Tables(ctx)
	if err != nil {
		return nil, err
	}
	results, tables := c.sort(source)
	load, err := pin.Load(ctx, tables)
	if err != nil {
		return nil, err
	}
	defer load.Close()
	c.load = load
	chunks := map[penstock.TableID][]penstock.Chunk{}
	for _, x := range load.Chunks() {
		chunks[x.Table.ID] = append(chunks[x.Table.ID], x)
		c.progress.TotalBytes += x.Bytes
	}
	c.progress.Tables = len(tables)
	for i := range tables {
		t := &tables[i]
		began := time.Now()
		result := results[t.ID]
		c.report(func(p *Progress) { p.Table, p.Again = t.String(), false })
		if err := c.table(ctx, t, chunks[t.ID], result); err != nil {
			return nil, err
		}
		result.Seconds = time.Since(began).Seconds()
		c.report(func(p *Progress) { p.TablesDone++ })
	}
	out := make([]Table, 0, len(results))
	for _, t := range results {
		out = append(out, *t)
	}
	slices.SortFunc(out, func(a, b Table) int { return cmp.Or(cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Name, b.Name)) })
	return out, nil
}

// comparison is one call of Compare.
type comparison struct {
	request Request
	view    penstock.View
	load    penstock.Load
	hash    *hasher

	mu       sync.Mutex
	progress Progress
}

func (c *comparison) report(change func(*Progress)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.progress)
	if c.request.Progress != nil {
		c.request.Progress(c.progress)
	}
}

// sort decides which tables are compared, and says why others are not.
func (c *comparison) sort(source []penstock.Table) (results map[penstock.TableID]*Table, compared []penstock.Table) {
	results = map[penstock.TableID]*Table{}
	add := func(t *penstock.Table) *Table {
		if c.request.Match != nil && !c.request.Match(t.Schema, t.Name) {
			return nil
		}
		results[t.ID] = &Table{Schema: t.Schema, Name: t.Name}
		return results[t.ID]
	}
	known := map[penstock.TableID]*penstock.TableStatus{}
	state := c.view.State()
	for i := range state.Tables {
		known[state.Tables[i].Table.ID] = &state.Tables[i]
	}
	for i := range source {
		t := &source[i]
		result := add(t)
		s := known[t.ID]
		delete(known, t.ID)
		if result == nil {
			continue
		}
		switch {
		case s == nil:
			result.NotCompared = "the warehouse does not have it yet"
			continue
		case s.State != penstock.TableSynced || !s.Readable:
			result.NotCompared = notSynced(s)
		case !sameShape(t, &s.Table):
			result.NotCompared = "it has another shape in the warehouse, which follows with its next row or the next look at the tables"
		default:
			compared = append(compared, s.Table)
		}
		result.State = s.State
	}
	for _, s := range known {
		if s.State == penstock.TableDroppedSource {
			continue // there is nothing to compare it with
		}
		if result := add(&s.Table); result != nil {
			result.State, result.NotCompared = s.State, "the source does not have it, or the filter does not select it"
			if s.State != penstock.TableSynced {
				result.NotCompared = notSynced(s)
			}
		}
	}
	slices.SortFunc(compared, func(a, b penstock.Table) int {
		return cmp.Or(cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Name, b.Name))
	})
	return results, compared
}

func notSynced(s *penstock.TableStatus) string {
	text := "it is " + string(s.State)
	if s.Reason != "" {
		text += ": " + s.Reason
	}
	return text
}

// sameShape reports whether rows of the two can be compared.
func sameShape(a, b *penstock.Table) bool {
	return a.Schema == b.Schema && a.Name == b.Name && a.Parts == b.Parts && a.Identity == b.Identity && slices.Equal(a.Key, b.Key) &&
		slices.EqualFunc(a.Columns, b.Columns, func(x, y penstock.Column) bool {
			x.NotNull, y.NotNull = false, false
			return x == y
		})
}

// table compares one table.
func (c *comparison) table(ctx context.Context, t *penstock.Table, chunks []penstock.Chunk, result *Table) error {
	tc := &tableComparison{comparison: c, table: t, chunks: chunks, key: t.Key, all: make([]int, len(t.Columns))}
	for i := range tc.all {
		tc.all[i] = i
	}
	if t.Identity != penstock.IdentityKey {
		tc.key = nil
	}
	rows, err := c.view.Count(ctx, t.ID)
	if err != nil {
		return err
	}
	source, warehouse := newDigest(rows), newDigest(rows)
	err = tc.read(ctx,
		func(rows *penstock.Rows, keys, whole []uint64) { source.add(keys, whole) },
		func(rows *penstock.Rows, keys, whole []uint64) { warehouse.add(keys, whole) })
	result.Rows, result.WarehouseRows, result.BadValues = source.rows, warehouse.rows, tc.bad
	if err == nil {
		if differing := source.differing(warehouse); len(differing) > 0 {
			c.report(func(p *Progress) { p.Again = true })
			err = tc.find(ctx, source, warehouse, differing, result)
		}
	}
	switch penstock.KindOf(err) {
	case penstock.KindStale, penstock.KindSetting: // it alone cannot be read
		*result = Table{Schema: t.Schema, Name: t.Name, State: result.State, NotCompared: penstock.MessageOf(err)}
		return nil
	}
	return err
}

// tableComparison is the comparison of one table.
type tableComparison struct {
	*comparison
	table  *penstock.Table
	chunks []penstock.Chunk
	key    []int // columns; nil if the whole row is the key
	all    []int // columns

	again bool // the rows have been counted
	mu    sync.Mutex
	bad   int64
}

// use takes rows and the hashes of their keys and of all of each. They are the
// caller's own.
type use func(rows *penstock.Rows, keys, whole []uint64)

// read reads both sides of the table. source is called by several goroutines.
func (t *tableComparison) read(ctx context.Context, source, warehouse use) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return t.readWarehouse(ctx, warehouse) })
	g.Go(func() error { return t.readSource(ctx, source) })
	return g.Wait()
}

func (t *tableComparison) readWarehouse(ctx context.Context, f use) error {
	rows := penstock.NewRows(t.table)
	h := hashes{t: t}
	return t.view.Read(ctx, t.table.ID, rows, buffer, func() error {
		f(h.of(rows))
		return nil
	})
}

func (t *tableComparison) readSource(ctx context.Context, f use) error {
	queue := make(chan penstock.Chunk, len(t.chunks))
	for _, c := range t.chunks {
		queue <- c
	}
	close(queue)
	g, ctx := errgroup.WithContext(ctx)
	for range min(t.request.Connections, len(t.chunks)) {
		g.Go(func() error {
			h := hashes{t: t}
			rows := penstock.NewRows(t.table)
			for c := range queue {
				if err := t.readChunk(ctx, c, rows, &h, f); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (t *tableComparison) readChunk(ctx context.Context, c penstock.Chunk, rows *penstock.Rows, h *hashes, f use) error {
	err := t.load.Read(ctx, c, rows, buffer, func(bad penstock.BadValues) error {
		null := bad.Total() + t.view.Store(t.table, rows).Total()
		n := int64(rows.Len())
		f(h.of(rows))
		if !t.again {
			t.mu.Lock()
			t.bad += null
			t.mu.Unlock()
			t.report(func(p *Progress) { p.Rows += n })
		}
		return nil
	})
	if err == nil && !t.again {
		t.report(func(p *Progress) { p.Bytes += c.Bytes })
	}
	return err
}

// hashes holds the hashes of one portion of rows.
type hashes struct {
	t           *tableComparison
	keys, whole []uint64
}

func (h *hashes) of(rows *penstock.Rows) (_ *penstock.Rows, keys, whole []uint64) {
	h.whole = h.t.hash.rows(rows, h.t.all, h.whole)
	if h.t.key == nil {
		return rows, h.whole, h.whole
	}
	h.keys = h.t.hash.rows(rows, h.t.key, h.keys)
	return rows, h.keys, h.whole
}
