package duckdbtarget

import (
	"os"
	"path/filepath"
	"testing"

	"penstock"
)

func dropSpec(name string) penstock.DatabaseSpec {
	return penstock.DatabaseSpec{Name: name, Integration: "0b2b3c4d-0000-4000-8000-000000000001", SourceARN: "arn:x", SourceDatabase: "shop"}
}

// made makes a database with an empty table t.
func made(t *testing.T, w *Warehouse, name string) {
	t.Helper()
	d, err := w.Open(t.Context(), dropSpec(name))
	if err != nil {
		t.Fatal(err)
	}
	shape := &penstock.Table{ID: "1", Schema: "public", Name: "t", Columns: []penstock.Column{{ID: 1, Name: "id", Type: penstock.Type{Kind: penstock.TypeInt32}}}}
	for _, err := range []error{
		d.Ensure(t.Context(), shape), d.Loaded(t.Context(), map[penstock.TableID]penstock.Snapshot{"1": "s"}),
		d.Apply(t.Context(), "", &penstock.Batch{Next: "p", Swap: []penstock.TableID{"1"}}), d.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func files(t *testing.T, dir, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Who reads a database in a transaction reads on when it is dropped; the name
// is free once that transaction has ended.
func TestDropWhileRead(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	w := openWarehouse(t, cfg)
	made(t, w, "shop")
	reader, err := w.Connect(t.Context(), BuiltIn)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	const count = "SELECT count(*) FROM shop.public.t"
	if err := reader.Exec(t.Context(), "BEGIN READ ONLY"); err != nil {
		t.Fatal(err)
	}
	if _, err := query(t, reader, count); err != nil {
		t.Fatal(err)
	}
	if err := w.Drop(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	if _, err := query(t, reader, count); err != nil {
		t.Errorf("a reader in a transaction: %v", err)
	}
	if _, err := w.Connect(t.Context(), "shop"); penstock.KindOf(err) != penstock.KindNotFound {
		t.Errorf("it can be connected to: %v", err)
	}
	if _, err := w.Open(t.Context(), dropSpec("shop")); penstock.KindOf(err) != penstock.KindConflict {
		t.Errorf("it was made again while somebody reads it: %v", err)
	}
	if err := reader.Exec(t.Context(), "COMMIT"); err != nil {
		t.Error(err)
	}
	if _, err := query(t, reader, count); err == nil {
		t.Error("it can still be read")
	}
	if left := files(t, cfg.Dir, "shop*"); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
	made(t, w, "shop")
	if _, err := query(t, reader, count); err != nil {
		t.Error(err)
	}
}

// What a crash has left of a database that was being dropped goes at the next
// start, and never gets into a new one of that name.
func TestDropIsFinished(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	w := openWarehouse(t, cfg)
	made(t, w, "shop")
	made(t, w, "Sh*p")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cfg.Dir, "shop.duckdb")
	if err := os.Rename(path, path+droppedSuffix); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".wal", []byte("of the one before"), 0o600); err != nil {
		t.Fatal(err)
	}
	w = openWarehouse(t, cfg)
	if left := files(t, cfg.Dir, "shop*"); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
	if specs, err := w.List(t.Context()); err != nil || len(specs) != 1 || specs[0].Name != "Sh*p" {
		t.Errorf("databases: %v, %v", specs, err)
	}
	made(t, w, "shop")
	if err := w.Drop(t.Context(), "Sh*p"); err != nil {
		t.Error(err)
	}
	if left := files(t, cfg.Dir, "*shop.duckdb"); len(left) != 1 {
		t.Errorf("another one went along: %q", left)
	}
}

func TestDropRefuses(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	w := openWarehouse(t, cfg)
	if err := w.Drop(t.Context(), BuiltIn); penstock.KindOf(err) != penstock.KindInvalid {
		t.Errorf("the built-in database: %v", err)
	}
	// A damaged file of ours can be dropped, which frees its space.
	made(t, w, "shop")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.Dir, "shop.duckdb"), make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	w = openWarehouse(t, cfg)
	if err := w.Drop(t.Context(), "shop"); err != nil {
		t.Error(err)
	}
	if left := files(t, cfg.Dir, "shop*"); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}
