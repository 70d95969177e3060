package duckdbtarget

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"penstock"
	"penstock/internal/target/targettest"
)

// TestOutsideTheEngine gives values that the engine has no place for: they
// become NULL, are counted, and leave their neighbours alone.
func TestOutsideTheEngine(t *testing.T) {
	t.Parallel()
	w, d := clientWarehouse(t)
	kinds := []penstock.Type{
		{Kind: penstock.TypeTimestamp}, {Kind: penstock.TypeTimestampTZ}, {Kind: penstock.TypeDate}, {Kind: penstock.TypeTime}, {Kind: penstock.TypeTimeTZ},
		{Kind: penstock.TypeText}, {Kind: penstock.TypeJSON}, {Kind: penstock.TypeDecimal, Precision: 4}, {Kind: penstock.TypeDecimal, Precision: 9},
		{Kind: penstock.TypeDecimal, Precision: 18}, {Kind: penstock.TypeDecimal, Precision: 38},
	}
	bad := []func(v *penstock.Vector){
		func(v *penstock.Vector) { v.AppendInt64(minTimestamp - 1) },
		func(v *penstock.Vector) { v.AppendInt64(math.MinInt64) },
		func(v *penstock.Vector) { v.AppendInt32(math.MinInt32) },
		func(v *penstock.Vector) { v.AppendInt64(dayMicros + 1) },
		func(v *penstock.Vector) { v.AppendTimeTZ(0, maxZoneSeconds+1) },
		func(v *penstock.Vector) { v.AppendString("a\xffb, and long enough to be out of line") },
		func(v *penstock.Vector) { v.AppendString("\xc3") },
		func(v *penstock.Vector) { v.AppendInt64(10_000) },
		func(v *penstock.Vector) { v.AppendInt64(-1_000_000_000) },
		func(v *penstock.Vector) { v.AppendInt64(math.MinInt64) },
		func(v *penstock.Vector) { v.AppendInt128(math.MinInt64, 0) },
	}
	good := []func(v *penstock.Vector){
		func(v *penstock.Vector) { v.AppendInt64(minTimestamp) },
		func(v *penstock.Vector) { v.AppendInt64(penstock.TimestampInfinity - 1) },
		func(v *penstock.Vector) { v.AppendInt32(minDate) },
		func(v *penstock.Vector) { v.AppendInt64(dayMicros) },
		func(v *penstock.Vector) { v.AppendTimeTZ(dayMicros, -maxZoneSeconds) },
		func(v *penstock.Vector) { v.AppendString("a\x00b") },
		func(v *penstock.Vector) { v.AppendString("not JSON") },
		func(v *penstock.Vector) { v.AppendInt64(-9_999) },
		func(v *penstock.Vector) { v.AppendInt64(999_999_999) },
		func(v *penstock.Vector) { v.AppendInt64(999_999_999_999_999_999) },
		func(v *penstock.Vector) {
			v.AppendInt128(powersOfTen[38].hi, powersOfTen[38].lo-1)
		},
	}
	shape := &penstock.Table{ID: "2", Schema: "public", Name: "edges"}
	for i, k := range kinds {
		shape.Columns = append(shape.Columns, penstock.Column{ID: penstock.ColumnID(i + 1), Name: fmt.Sprintf("c%d", i), Type: k})
	}
	rows := penstock.NewRows(shape)
	want := ""
	for i := range rows.Vectors {
		v := &rows.Vectors[i]
		good[i](v)
		bad[i](v)
		v.AppendNull()
		good[i](v)
	}
	for r := range 4 {
		for i := range rows.Vectors {
			if i > 0 {
				want += ", "
			}
			if r == 1 {
				want += "NULL"
			} else {
				want += renderValue(&rows.Vectors[i], r)
			}
		}
		if r < 3 {
			want += "; "
		}
	}
	ctx := t.Context()
	for _, err := range []error{d.Ensure(ctx, shape), targettest.Append(ctx, d, "2", rows, penstock.BadValues{2: 1}), d.Loaded(ctx, map[penstock.TableID]penstock.Snapshot{"2": "s"}),
		d.Apply(ctx, "p", &penstock.Batch{Next: "q", Swap: []penstock.TableID{"2"}})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := query(t, connect(t, w, "shop"), "SELECT * FROM edges")
	if err != nil {
		t.Fatal(err)
	}
	if render(got) != want {
		t.Errorf("got\n%s\nwant\n%s", render(got), want)
	}
	// The engine itself can make sense of all of them.
	if _, err := query(t, connect(t, w, "shop"), "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM edges"); err != nil {
		t.Errorf("as text: %v", err)
	}
	bads := func() int64 {
		st, err := d.State(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range st.Tables {
			if s.Table.ID == "2" {
				return s.BadValues.Total()
			}
		}
		return -1
	}
	if n := bads(); n != int64(len(bad))+1 {
		t.Errorf("%d bad values, want %d", n, len(bad)+1)
	}
	put := []int32{1, 3}
	if err := d.Apply(ctx, "q", &penstock.Batch{Next: "r", Tables: []penstock.TableBatch{{Table: shape, Rows: rows, Put: put}}}); err != nil {
		t.Fatal(err)
	}
	if n := bads(); n != 2*int64(len(bad))+1 {
		t.Errorf("%d bad values, want %d", n, 2*len(bad)+1)
	}
	// A View does to rows what storing them does.
	v, err := d.View(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if n := v.Store(shape, rows).Total(); n != int64(len(bad)) || render(rows) != want {
		t.Errorf("a view counts %d bad values, want %d:\n%s\nwant\n%s", n, len(bad), render(rows), want)
	}
}

// TestSwapUnderReaders swaps versions while clients read: they see one version
// or the other, each complete, and no error.
func TestSwapUnderReaders(t *testing.T) {
	t.Parallel()
	w, d := clientWarehouse(t)
	shape := d.entries["1"].Readable.Shape.Table
	version := func(n int64) *penstock.Rows {
		rows := penstock.NewRows(&shape)
		for range 1000 {
			rows.Vectors[0].AppendInt64(n)
			rows.Vectors[1].AppendString("x")
		}
		return rows
	}
	var stop atomic.Bool
	done := make(chan error)
	for range 2 {
		s := connect(t, w, "shop")
		st, err := s.Prepare(t.Context(), "SELECT count(*), min(id), max(id) FROM orders")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for !stop.Load() {
				res, err := st.Query(t.Context(), nil)
				if err != nil {
					done <- err
					return
				}
				rows, err := res.Next(t.Context())
				if err == nil && !(rows.Vectors[0].Int64(0) == 2 || rows.Vectors[0].Int64(0) == 1000 && rows.Vectors[1].Int64(0) == rows.Vectors[2].Int64(0)) {
					err = fmt.Errorf("a reader saw %s", render(rows))
				}
				res.Close()
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	pos := penstock.Position("p")
	for n := range int64(30) {
		next := pos + "+"
		for _, err := range []error{d.Ensure(t.Context(), &shape), targettest.Append(t.Context(), d, "1", version(n), nil), d.Loaded(t.Context(), map[penstock.TableID]penstock.Snapshot{"1": "s"}),
			d.Apply(t.Context(), pos, &penstock.Batch{Next: next, Swap: []penstock.TableID{"1"}})} {
			if err != nil {
				t.Fatal(err)
			}
		}
		pos = next
	}
	stop.Store(true)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestUnusableFiles: what is wrong with one file does not stop the rest.
func TestUnusableFiles(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	w := openWarehouse(t, cfg)
	spec := func(name string) penstock.DatabaseSpec {
		return penstock.DatabaseSpec{Name: name, Integration: "i", SourceARN: "arn", SourceDatabase: name}
	}
	for _, name := range []string{"good", "bad"} {
		d, err := w.Open(t.Context(), spec(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Apply(t.Context(), "", &penstock.Batch{Next: "p"}); err != nil {
			t.Fatal(err)
		}
		d.Close()
	}
	s := connect(t, w, "dev")
	for _, sql := range []string{"CREATE TABLE t AS SELECT 1 AS i"} {
		if _, err := query(t, s, sql); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	// One is damaged, one is a copy under another name, one is no database,
	// one was made by somebody else, one was never completed, one has no name.
	path := func(name string) string { return filepath.Join(cfg.Dir, name) }
	write := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path(name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	copyOf := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(path(name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := copyOf("bad.duckdb")
	for i := 8; i < len(b); i += 3 {
		b[i] ^= 0xa5
	}
	write("bad.duckdb", b)
	write("copied.duckdb", copyOf("good.duckdb"))
	write("text.duckdb", []byte("this is no database"))
	write("other.duckdb", copyOf("dev.duckdb"))
	write("empty.duckdb", nil)
	write("README", []byte("hello"))

	w = openWarehouse(t, cfg)
	names, err := w.Databases(t.Context())
	if err != nil || fmt.Sprint(names) != "[dev good]" {
		t.Errorf("databases: %v, %v", names, err)
	}
	for _, name := range []string{"bad", "copied", "text", "other"} {
		if _, err := w.Open(t.Context(), spec(name)); err == nil {
			t.Errorf("%s was opened", name)
		} else if !strings.Contains(err.Error(), name) {
			t.Errorf("%s: the error does not name it: %v", name, err)
		}
		if _, err := w.Connect(t.Context(), name); err == nil {
			t.Errorf("a client is connected to %s", name)
		}
	}
	for _, name := range []string{"good", "empty"} {
		d, err := w.Open(t.Context(), spec(name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		d.Close()
	}
	// Put right, it is there again without a restart.
	write("text.duckdb", nil)
	if d, err := w.Open(t.Context(), spec("text")); err != nil {
		t.Error(err)
	} else {
		d.Close()
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	w := openWarehouse(t, testConfig(t))
	for _, name := range []string{"dev", "DEV", "system", "temp", "Temp", "main", "memory"} {
		_, err := w.Open(t.Context(), penstock.DatabaseSpec{Name: name, Integration: "i"})
		if penstock.KindOf(err) != penstock.KindConflict {
			t.Errorf("open %q: %v", name, err)
		}
	}
	if _, err := w.Open(t.Context(), penstock.DatabaseSpec{Name: strings.Repeat("X", 100), Integration: "i"}); penstock.KindOf(err) != penstock.KindInvalid {
		t.Errorf("open a database with a long name: %v", err)
	}
	for _, name := range []string{"a", "A", "a-b_c9", "../x", "a.b", "ü", strings.Repeat("X", 63), "a~1", "%41", "CON", " "} {
		for n := range 2 {
			file := fileName(name, n)
			got, m, ok := parseFileName(file)
			if !ok || got != name || m != n || filepath.Base(file) != file || strings.ToLower(file) != file {
				t.Errorf("%q, %d: file %q is read back as %q, %d, %v", name, n, file, got, m, ok)
			}
		}
	}
	for _, file := range []string{"x", ".duckdb", "A.duckdb", "a.duckdb.wal", "a%4.duckdb", "a%zz.duckdb", "a~0.duckdb", "a~x.duckdb", "a%61.duckdb", "a b.duckdb"} {
		if name, _, ok := parseFileName(file); ok {
			t.Errorf("%q is taken for the file of %q", file, name)
		}
	}
}

// TestSecondProcess opens the folder of a running warehouse in another process.
func TestSecondProcess(t *testing.T) {
	if dir := os.Getenv("PENSTOCK_TEST_SECOND_PROCESS"); dir != "" {
		_, err := Open(context.Background(), Config{Dir: dir, SpillDir: filepath.Join(dir, "..", "spill2")})
		fmt.Printf("kind=%s err=%v\n", penstock.KindOf(err), err)
		os.Exit(0)
	}
	t.Parallel()
	w := openWarehouse(t, testConfig(t))
	cmd := exec.Command(os.Args[0], "-test.run=^TestSecondProcess$")
	cmd.Env = append(os.Environ(), "PENSTOCK_TEST_SECOND_PROCESS="+w.cfg.Dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	if s := string(out); !strings.Contains(s, "kind=conflict") || !strings.Contains(s, "in use by another process") {
		t.Errorf("the second process says: %s", s)
	}
}

// TestKilled ends a process in the middle of writing, and checks that what it
// was told is durable is there, and nothing else. Promises 2 and 3.
func TestKilled(t *testing.T) {
	shape := &penstock.Table{ID: "1", Schema: "public", Name: "n", Identity: penstock.IdentityKey, Key: []int{0},
		Columns: []penstock.Column{{ID: 1, Name: "id", Type: penstock.Type{Kind: penstock.TypeInt64}}, {ID: 2, Name: "batch", Type: penstock.Type{Kind: penstock.TypeInt64}}}}
	spec := penstock.DatabaseSpec{Name: "shop", Integration: "i", SourceARN: "arn", SourceDatabase: "shop"}
	const perBatch = 500
	if dir := os.Getenv("PENSTOCK_TEST_KILLED"); dir != "" {
		must := func(err error) {
			if err != nil {
				fmt.Println("error:", err)
				os.Exit(1)
			}
		}
		ctx := context.Background()
		w, err := Open(ctx, Config{Dir: dir})
		must(err)
		d, err := w.Open(ctx, spec)
		must(err)
		must(d.Ensure(ctx, shape))
		must(d.Loaded(ctx, map[penstock.TableID]penstock.Snapshot{"1": "s"}))
		must(d.Apply(ctx, "", &penstock.Batch{Next: "0", Swap: []penstock.TableID{"1"}}))
		for n := 1; ; n++ { // every batch replaces one row of the last and adds its own
			rows := penstock.NewRows(shape)
			var put []int32
			for i := range perBatch {
				rows.Vectors[0].AppendInt64(int64(n*perBatch + i))
				rows.Vectors[1].AppendInt64(int64(n))
				put = append(put, int32(i))
			}
			rows.Vectors[0].AppendInt64(int64((n-1)*perBatch + 1))
			rows.Vectors[1].AppendInt64(int64(n))
			must(d.Apply(ctx, penstock.Position(fmt.Sprint(n-1)), &penstock.Batch{Next: penstock.Position(fmt.Sprint(n)), Tables: []penstock.TableBatch{
				{Table: shape, Rows: rows, Remove: []int32{perBatch}, Put: put}}}))
			fmt.Println(n)
		}
	}
	t.Parallel()
	cfg := testConfig(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), "PENSTOCK_TEST_KILLED="+cfg.Dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	told := 0
	for told < 40 {
		if _, err := fmt.Fscan(out, &told); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := fmt.Fscan(out, &told); err != nil {
			break
		}
	}
	_ = cmd.Wait()

	w := openWarehouse(t, cfg)
	d, err := w.Open(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	st, err := d.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var applied int
	if _, err := fmt.Sscan(string(st.Applied), &applied); err != nil || applied < told {
		t.Fatalf("position %q, but batch %d was said to be durable", st.Applied, told)
	}
	rows, err := query(t, connect(t, w, "shop"), "SELECT count(*), count(DISTINCT id), max(batch), count(*) FILTER (batch = id // 500) FROM n")
	if err != nil {
		t.Fatal(err)
	}
	n := applied*perBatch - (applied - 1)
	if got, want := render(rows), fmt.Sprintf("%d, %d, %d, %d", n, n, applied, n); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestFatal breaks the engine: the next call opens it anew, and what was
// committed is there.
func TestFatal(t *testing.T) {
	t.Parallel()
	w, d := clientWarehouse(t)
	s := connect(t, w, "shop")
	w.inst.broken.Store(true)
	d2, err := w.Open(t.Context(), d.db.spec)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := d2.State(t.Context()); err != nil || st.Applied != "p" || len(st.Tables) != 1 {
		t.Errorf("state %+v, %v", st, err)
	}
	if err := d.Apply(t.Context(), "p", &penstock.Batch{Next: "q"}); penstock.KindOf(err) != penstock.KindUnreachable {
		t.Errorf("the old destination: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := query(t, s, "SELECT 1"); stateOf(err) != "57P01" {
		t.Errorf("the old session: %v", err)
	}
	if rows, err := query(t, connect(t, w, "shop"), "SELECT count(*) FROM orders"); err != nil || render(rows) != "2" {
		t.Errorf("%v, %v", rows, err)
	}
	if err := d2.Apply(t.Context(), "p", &penstock.Batch{Next: "q"}); err != nil {
		t.Error(err)
	}
}

// TestOutOfMemory gives the engine too little for a batch: it is refused whole,
// and a smaller one passes.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Memory, cfg.MaxSpill = minMemory, 1<<20
	w := openWarehouse(t, cfg)
	dest, err := w.Open(t.Context(), penstock.DatabaseSpec{Name: "shop", Integration: "i"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	shape := &penstock.Table{ID: "1", Schema: "public", Name: "big", Identity: penstock.IdentityFull,
		Columns: []penstock.Column{{ID: 1, Name: "id", Type: penstock.Type{Kind: penstock.TypeInt64}}, {ID: 2, Name: "body", Type: penstock.Type{Kind: penstock.TypeText}}}}
	rows := func(n int) (*penstock.Rows, []int32) {
		rows := penstock.NewRows(shape)
		var all []int32
		for i := range n {
			rows.Vectors[0].AppendInt64(int64(i))
			rows.Vectors[1].AppendString(strings.Repeat(fmt.Sprintf("%08d", i), 128))
			all = append(all, int32(i))
		}
		return rows, all
	}
	for _, err := range []error{dest.Ensure(ctx, shape), dest.Loaded(ctx, map[penstock.TableID]penstock.Snapshot{"1": "s"}), dest.Apply(ctx, "", &penstock.Batch{Next: "p", Swap: []penstock.TableID{"1"}})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	many, all := rows(120_000)
	err = dest.Apply(ctx, "p", &penstock.Batch{Next: "q", Tables: []penstock.TableBatch{{Table: shape, Rows: many, Remove: all, Put: all}}})
	if penstock.KindOf(err) != penstock.KindFull || penstock.MendOf(err) == "" {
		t.Fatalf("a batch of %d MB: %v", many.Size()>>20, err)
	}
	few, some := rows(100)
	if err := dest.Apply(ctx, "p", &penstock.Batch{Next: "q", Tables: []penstock.TableBatch{{Table: shape, Rows: few, Put: some}}}); err != nil {
		if penstock.KindOf(err) != penstock.KindUnreachable {
			t.Fatal(err)
		}
		t.Log("the engine had to be opened anew:", err)
	}
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	_, d := clientWarehouse(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Apply(ctx, "p", &penstock.Batch{Next: "q"}); !errors.Is(err, context.Canceled) {
		t.Errorf("apply: %v", err)
	}
	if err := d.Apply(t.Context(), "p", &penstock.Batch{Next: "q"}); err != nil {
		t.Error(err)
	}
}

// TestStoredForm keeps the form on disk readable.
func TestStoredForm(t *testing.T) {
	t.Parallel()
	const text = `{"state":"Synced","changed":"2026-01-02T03:04:05Z","bad_columns":{"1":3},"join":"s",` +
		`"known":{"id":"1","schema":"public","name":"t","identity":"key","key":[1],"columns":[` +
		`{"id":1,"name":"a","type":"decimal(10,2)","source_type":"numeric(10,2)"},{"id":3,"name":"b","type":"timestamptz","not_null":true}]},` +
		`"readable":{"shape":{"id":"1","schema":"public","name":"t","identity":"full","columns":[{"id":1,"name":"a","type":"json"}]},` +
		`"schema":"public","table":"t~1","columns":["a"]},"loads":2}`
	e, err := decodeEntry(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := e.encode(); got != text {
		t.Errorf("written as\n%s\nwant\n%s", got, text)
	}
	old, err := decodeEntry(strings.Replace(text, `"bad_columns":{"1":3}`, `"bad_values":3`, 1))
	if err != nil || old.Bad.Total() != 3 {
		t.Errorf("what an earlier version counted is read as %v, %v", old, err)
	}
	if c := e.Known.Columns[0]; c.Type != (penstock.Type{Kind: penstock.TypeDecimal, Precision: 10, Scale: 2}) || e.Known.Identity != penstock.IdentityKey || e.Readable.Table != "t~1" {
		t.Errorf("read as %+v", e)
	}
}
