package duckdbtarget

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock"
)

// TestBlocks: the blocks of a new file are the largest with which its widest
// table has room.
func TestBlocks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		memory  int64 // MiB
		columns int
		want    int64 // KiB
	}{
		{256, 20, 256}, {256, 170, 256}, {256, 171, 128}, {256, 1600, 16}, {1024, 1600, 64}, {4096, 1600, 256}, {64, 1600, 16},
	} {
		w := &Warehouse{cfg: Config{Memory: c.memory << 20}}
		if got := w.blockFor(c.columns) >> 10; got != c.want {
			t.Errorf("%d MiB, %d columns: blocks of %d KiB, want %d", c.memory, c.columns, got, c.want)
		}
	}
}

// wideShape returns a keyed table of so many columns.
func wideShape(id penstock.TableID, columns int) *penstock.Table {
	s := &penstock.Table{ID: id, Schema: "public", Name: "t" + string(id), Identity: penstock.IdentityKey, Key: []int{0}}
	for i := range columns {
		kind := penstock.TypeInt64
		if i%2 == 1 {
			kind = penstock.TypeText
		}
		s.Columns = append(s.Columns, penstock.Column{ID: penstock.ColumnID(i + 1), Name: fmt.Sprint("c", i), Type: penstock.Type{Kind: kind}})
	}
	return s
}

// wideRows returns rows of that, numbered from from up to to.
func wideRows(shape *penstock.Table, from, to int) (rows *penstock.Rows, put []int32) {
	rows = penstock.NewRows(shape)
	for n := from; n < to; n++ {
		for i := range rows.Vectors {
			switch {
			case i%2 == 0:
				rows.Vectors[i].AppendInt64(int64(n))
			case (i+n)%3 == 0:
				rows.Vectors[i].AppendNull()
			default:
				rows.Vectors[i].AppendString(fmt.Sprint("value ", n))
			}
		}
		put = append(put, int32(n-from))
	}
	return rows, put
}

// layoutTest is a destination that is opened anew where it asks for that.
type layoutTest struct {
	*testing.T
	*Destination
	cfg  Config
	at   int
	spec penstock.DatabaseSpec
}

func newLayoutTest(t *testing.T, memory int64) *layoutTest {
	cfg := testConfig(t)
	cfg.Memory, cfg.Configured = memory, 2*memory
	l := &layoutTest{T: t, cfg: cfg, spec: dropSpec("shop")}
	l.open(openWarehouse(t, cfg))
	return l
}

func (l *layoutTest) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func (l *layoutTest) open(w *Warehouse) {
	l.Helper()
	d, err := w.Open(l.Context(), l.spec)
	l.must(err)
	l.Destination = d.(*Destination)
}

// restart closes the warehouse and opens it with so much memory.
func (l *layoutTest) restart(memory int64) {
	l.Helper()
	l.must(l.w.Close())
	l.cfg.Memory, l.cfg.Configured = memory, 2*memory
	l.open(openWarehouse(l.T, l.cfg))
}

// reopened does something, once more if the destination is to be opened anew for it.
func (l *layoutTest) reopened(do func() error) (reopened bool) {
	l.Helper()
	err := do()
	if errors.Is(err, penstock.ErrReopen) {
		reopened = true
		l.must(l.Close())
		l.open(l.w)
		err = do()
	}
	l.must(err)
	return reopened
}

// load loads rows 0 to n of a table.
func (l *layoutTest) load(shape *penstock.Table, n int) (reopened bool) {
	l.Helper()
	reopened = l.reopened(func() error { return l.Fits(l.Context(), []penstock.Table{*shape}) })
	l.must(l.Ensure(l.Context(), shape))
	c, err := l.Chunk(l.Context(), shape.ID)
	l.must(err)
	defer c.Close()
	rows, _ := wideRows(shape, 0, n)
	l.must(c.Append(l.Context(), rows, nil))
	l.must(c.Commit(l.Context(), penstock.Chunk{Token: "1"}))
	l.must(l.Loaded(l.Context(), map[penstock.TableID]penstock.Snapshot{shape.ID: "s"}))
	l.apply(&penstock.Batch{Swap: []penstock.TableID{shape.ID}})
	return reopened
}

func (l *layoutTest) apply(b *penstock.Batch) (reopened bool) {
	l.Helper()
	return l.reopened(func() error {
		b.Next = penstock.Position(fmt.Sprint(l.at + 1))
		b.CommitTime = time.Unix(int64(l.at+1), 0).UTC()
		err := l.Apply(l.Context(), l.applied, b)
		if err == nil {
			l.at++
		}
		return err
	})
}

// read returns what a reader gets for a query.
func (l *layoutTest) read(session penstock.Session, sql string) string {
	l.Helper()
	rows, err := query(l.T, session, sql)
	l.must(err)
	var b strings.Builder
	for r := range rows.Len() {
		for i := range rows.Vectors {
			b.WriteString(renderValue(&rows.Vectors[i], r) + "|")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (l *layoutTest) session() penstock.Session {
	l.Helper()
	s, err := l.w.Connect(l.Context(), l.spec.Name)
	l.must(err)
	l.Cleanup(func() { s.Close() })
	return s
}

// wantFiles checks which files of the database there are, without logs.
func (l *layoutTest) wantFiles(want ...string) {
	l.Helper()
	var got []string
	for _, f := range files(l.T, l.cfg.Dir, "shop*") {
		if name := filepath.Base(f); !strings.HasSuffix(name, ".wal") {
			got = append(got, name)
		}
	}
	if !slices.Equal(got, want) {
		l.Errorf("files %q, want %q", got, want)
	}
}

func (l *layoutTest) wantBlock(kib int64) {
	l.Helper()
	size, err := blockSize(l.Context(), l.writer, l.db.alias)
	l.must(err)
	if size != kib<<10 || l.block != size {
		l.Errorf("blocks of %d bytes, known as %d, want %d KiB", size, l.block, kib)
	}
}

// TestWideTable: a table of 1,600 columns is loaded, and gets rows once it is in
// the file, with the memory that the engine has by default (promise 7).
func TestWideTable(t *testing.T) {
	t.Parallel()
	l := newLayoutTest(t, 256<<20)
	shape := wideShape("1", 1600)
	if !l.load(shape, 300) {
		t.Error("the file was not made for it")
	}
	l.wantBlock(16)
	for n := range 3 {
		l.restart(256 << 20) // it is moved into the file
		rows, put := wideRows(shape, 300+n, 301+n)
		l.apply(&penstock.Batch{Tables: []penstock.TableBatch{{Table: shape, Rows: rows, Put: put}}})
		if !l.checkpoint(t.Context()) {
			t.Fatal("no checkpoint")
		}
	}
	if got := l.read(l.session(), "SELECT count(*), sum(c0)::BIGINT, sum(c1598)::BIGINT, count(c1599) FROM t1"); got != "303|45753|45753|202|\n" {
		t.Errorf("it has %q", got)
	}
	l.wantFiles("shop.1.duckdb")
}

// TestRelaid: a database that a table becomes too wide for is laid out anew with
// everything that is in it, and read meanwhile.
func TestRelaid(t *testing.T) {
	t.Parallel()
	l := newLayoutTest(t, 256<<20)
	kept, grows, partial := wideShape("1", 4), wideShape("2", 250), wideShape("3", 3)
	for _, s := range []*penstock.Table{kept, grows} {
		if l.load(s, 3000) {
			t.Errorf("laid out anew for %d columns", len(s.Columns))
		}
	}
	l.wantBlock(256)
	l.apply(&penstock.Batch{Switch: []penstock.Switch{{Table: "1", History: true}}})
	versions := penstock.NewVersions()
	versions.EmptiedAt = time.Unix(100, 0).UTC()
	l.apply(&penstock.Batch{Tables: []penstock.TableBatch{{Table: kept, Truncate: true, Rows: penstock.NewRows(kept), Versions: versions}}})
	l.must(l.Ensure(t.Context(), partial))
	l.must(l.Keep(t.Context(), map[penstock.TableID]penstock.Snapshot{"3": "s"}))
	c, err := l.Chunk(t.Context(), "3")
	l.must(err)
	rows, _ := wideRows(partial, 0, 10)
	l.must(c.Append(t.Context(), rows, nil))
	l.must(c.Commit(t.Context(), penstock.Chunk{Token: "first", Bytes: 99}))

	look := func(s penstock.Session) string {
		t.Helper()
		return l.read(s, "SELECT * FROM t1 ORDER BY 1") + l.read(s, "SELECT * FROM t2 ORDER BY 1")
	}
	inside, outside := l.session(), l.session()
	l.must(inside.Exec(t.Context(), "BEGIN READ ONLY"))
	before := look(inside)
	state, err := l.State(t.Context())
	l.must(err)

	grown := wideShape("2", 300)
	rows, put := wideRows(grown, 5000, 5001)
	if !l.apply(&penstock.Batch{Alter: []penstock.Alteration{{Old: grows, New: grown}}, Tables: []penstock.TableBatch{{Table: grown, Rows: rows, Put: put}}}) {
		t.Error("it was not laid out anew")
	}
	l.wantBlock(128)
	if got := look(inside); got != before {
		t.Error("a transaction that was open does not see what it saw")
	}
	if got := l.read(outside, "SELECT count(*), count(c299), max(c0) FROM t2"); got != "3001|1|5000|\n" {
		t.Errorf("the session that was there reads %q", got)
	}
	if got, want := l.read(outside, "SELECT * FROM t1 ORDER BY 1"), l.read(inside, "SELECT * FROM t1 ORDER BY 1"); got != want || len(got) < 100_000 {
		t.Errorf("the table in history mode is another one: %d and %d bytes", len(got), len(want))
	}
	l.must(inside.Exec(t.Context(), "COMMIT"))
	if got := l.read(inside, "SELECT count(*) FROM t2"); got != "3001|\n" {
		t.Errorf("after its transaction it reads %q", got)
	}
	// What it remembers is the same, but for the load, which was of another position.
	after, err := l.State(t.Context())
	l.must(err)
	if diff := cmp.Diff(state.Tables[0], after.Tables[0]); diff != "" {
		t.Errorf("the state is another one: %s", diff)
	}
	l.wantFiles("shop.1.duckdb")
	l.restart(256 << 20)
	l.wantBlock(128)
	l.must(l.Close())
	l.must(l.w.Drop(t.Context(), "shop"))
	l.wantFiles()
}

// TestManyColumnsAtOnce: a table of which very many columns change at once, which
// takes the engine more memory than there is, is loaded again.
func TestManyColumnsAtOnce(t *testing.T) {
	t.Parallel()
	l := newLayoutTest(t, 256<<20)
	was := wideShape("1", 600)
	l.load(was, 10)
	few, many := wideShape("1", 660), wideShape("1", 900)
	l.apply(&penstock.Batch{Alter: []penstock.Alteration{{Old: was, New: few}}})
	err := l.Apply(t.Context(), l.applied, &penstock.Batch{Next: "x", Alter: []penstock.Alteration{{Old: few, New: many}}})
	if penstock.KindOf(err) != penstock.KindStale {
		t.Errorf("240 columns at once: %v", err)
	}
	if got := l.read(l.session(), "SELECT count(*), count(c659), count(c0) FROM t1"); got != "10|0|10|\n" {
		t.Errorf("it has %q", got)
	}
}

// TestRelaidForLessMemory: a database whose tables have become too wide for the
// memory that there is now is laid out anew when it is opened; what was loaded of
// a table is gone on with.
func TestRelaidForLessMemory(t *testing.T) {
	t.Parallel()
	l := newLayoutTest(t, 1<<30)
	shape, partial := wideShape("1", 600), wideShape("2", 3)
	l.load(shape, 2000)
	l.wantBlock(256)
	l.must(l.Ensure(t.Context(), partial))
	l.must(l.Keep(t.Context(), map[penstock.TableID]penstock.Snapshot{"2": "s"}))
	c, err := l.Chunk(t.Context(), "2")
	l.must(err)
	rows, _ := wideRows(partial, 0, 10)
	l.must(c.Append(t.Context(), rows, nil))
	l.must(c.Commit(t.Context(), penstock.Chunk{Token: "first", Bytes: 99}))
	before, err := l.State(t.Context())
	l.must(err)
	l.restart(256 << 20)
	l.wantBlock(64)
	after, err := l.State(t.Context())
	l.must(err)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the state is another one: %s", diff)
	}
	if p := after.Tables[1].Partial; p == nil || p.Rows != 10 {
		t.Errorf("the load is %v", p)
	}
	l.apply(&penstock.Batch{})
	l.restart(1 << 30)
	l.wantBlock(64)
}

// TestRelaidByHalf: a process that ended while a database was laid out anew
// leaves one of two files, whole.
func TestRelaidByHalf(t *testing.T) {
	t.Parallel()
	l := newLayoutTest(t, 1<<30)
	l.load(wideShape("1", 600), 100)
	l.must(l.w.Close())
	old, err := os.ReadFile(filepath.Join(l.cfg.Dir, "shop.duckdb"))
	l.must(err)
	for _, name := range []string{"shop.1.duckdb.new", "shop.1.duckdb.new.wal"} {
		l.must(os.WriteFile(filepath.Join(l.cfg.Dir, name), old[:20000], 0o600))
	}
	l.restart(1 << 30)
	l.wantFiles("shop.duckdb")
	l.restart(256 << 20)
	l.wantFiles("shop.1.duckdb")
	l.apply(&penstock.Batch{})
	l.must(l.w.Close())
	l.must(os.WriteFile(filepath.Join(l.cfg.Dir, "shop.duckdb"), old, 0o600))
	l.restart(256 << 20)
	l.wantFiles("shop.1.duckdb")
	if st, err := l.State(t.Context()); err != nil || st.Applied != penstock.Position(fmt.Sprint(l.at)) {
		t.Errorf("it is at %q, %v", st.Applied, err)
	}
	// A file that cannot be read is none to lose the one before it for.
	l.must(l.w.Close())
	l.must(os.WriteFile(filepath.Join(l.cfg.Dir, "shop.2.duckdb"), old[:20000], 0o600))
	w := openWarehouse(t, l.cfg)
	if _, err := w.Open(t.Context(), l.spec); err == nil {
		t.Error("a damaged file was opened")
	}
	l.wantFiles("shop.1.duckdb", "shop.2.duckdb")
}

// TestBlocksOfMany: a new file for many tables has smaller blocks.
func TestBlocksOfMany(t *testing.T) {
	t.Parallel()
	for tables, want := range map[int]int64{manyTables: largestBlock, manyTables + 1: blockOfMany, tooManyTables: largestBlock} {
		l := newLayoutTest(t, 256<<20)
		all := make([]penstock.Table, tables)
		for i := range all {
			all[i] = *wideShape(penstock.TableID(fmt.Sprint(i)), 5)
		}
		if err := l.Fits(t.Context(), all); errors.Is(err, penstock.ErrReopen) {
			l.must(l.Close())
			l.open(l.w)
		} else {
			l.must(err)
		}
		if got := l.block; got != want {
			t.Errorf("%d tables: blocks of %d bytes, want %d", tables, got, want)
		}
	}
}

// TestTooWide: a table that there is no memory for fails with what it needs, and so
// does one for which the database could not be laid out anew; the latter is
// tried again.
func TestTooWide(t *testing.T) {
	t.Parallel()
	l := newLayoutTest(t, minMemory)
	wide := func(columns int) *penstock.TooLarge {
		t.Helper()
		var large *penstock.TooLarge
		err := l.Fits(t.Context(), []penstock.Table{*wideShape("9", columns), *wideShape("8", 3)})
		if !errors.As(err, &large) || penstock.KindOf(err) != penstock.KindFull || large.Table.ID != "9" {
			t.Fatalf("%d columns: %v", columns, err)
		}
		return large
	}
	l.load(wideShape("1", 3), 3)
	if large := wide(1600); large.Mend() != "raise memory in the configuration to 200 MiB or more" {
		t.Errorf("it says %q, and to mend it: %s", large, large.Mend())
	}
	// A folder in the way of the copy.
	obstacle := filepath.Join(l.cfg.Dir, "shop.1.duckdb")
	l.must(os.MkdirAll(filepath.Join(obstacle, "x"), 0o700))
	fits := func() error { return l.Fits(t.Context(), []penstock.Table{*wideShape("9", 200)}) }
	for range 2 {
		if err := fits(); !errors.Is(err, penstock.ErrReopen) {
			t.Fatalf("it is not to be laid out anew: %v", err)
		}
		l.must(l.Close())
		l.open(l.w)
		l.wantBlock(256)
		wide(200)
	}
	l.must(os.RemoveAll(obstacle))
	if !l.load(wideShape("9", 200), 3) {
		t.Error("it was not laid out anew")
	}
	l.wantBlock(32)
	l.wantFiles("shop.1.duckdb")
}

// TestPurgeWhileRelaid: nobody deletes what is past while a database is being copied,
// and nothing is copied while somebody does.
func TestPurgeWhileRelaid(t *testing.T) {
	t.Parallel()
	l := newLayoutTest(t, 256<<20)
	shape := wideShape("1", 3)
	l.load(shape, 10)
	l.apply(&penstock.Batch{Switch: []penstock.Switch{{Table: "1", History: true}}})
	versions := penstock.NewVersions()
	versions.EmptiedAt = time.Unix(100, 0).UTC()
	l.apply(&penstock.Batch{Tables: []penstock.TableBatch{{Table: shape, Truncate: true, Rows: penstock.NewRows(shape), Versions: versions}}})
	session := l.session()
	l.w.purging.Lock()
	var refused *penstock.SQLError
	if _, err := query(t, session, "DELETE FROM t1 WHERE c0 < 5"); !errors.As(err, &refused) || refused.State != "55006" {
		t.Errorf("while it is copied: %v", err)
	}
	l.w.purging.Unlock()
	if _, err := query(t, session, "DELETE FROM t1 WHERE c0 < 5"); err != nil {
		t.Error(err)
	}
	if got := l.read(session, "SELECT count(*) FROM t1"); got != "5|\n" {
		t.Errorf("left: %q", got)
	}
	st, err := session.Prepare(t.Context(), "DELETE FROM t1 WHERE c0 = 5 RETURNING c0")
	l.must(err)
	_, err = st.Query(t.Context(), nil)
	l.must(err)
	if l.w.purging.TryLock() {
		t.Error("it can be copied while a DELETE is not committed")
	}
	l.must(session.Close())
	if !l.w.purging.TryLock() {
		t.Error("a session that has ended is in the way")
	}
}
