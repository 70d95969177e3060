package duckdbtarget

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"penstock"
	"penstock/internal/target/targettest"
)

// oldFile makes a warehouse's folder with database shop as an older version of
// Penstock left it: orders readable, items in the middle of a load, events
// loaded and waiting to be joined.
func oldFile(t *testing.T, format int) Config {
	t.Helper()
	cfg := testConfig(t)
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(fmt.Sprintf("testdata/format%d.duckdb.gz", format))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	unzipped, err := gzip.NewReader(from)
	if err != nil {
		t.Fatal(err)
	}
	to, err := os.Create(filepath.Join(cfg.Dir, fileName("shop", 0)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, unzipped); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestOlderFormats: what an older version wrote is read, upgraded once, and
// written to as any other.
func TestOlderFormats(t *testing.T) {
	t.Parallel()
	for format := 1; format < metaFormat; format++ {
		t.Run(fmt.Sprint(format), func(t *testing.T) {
			t.Parallel()
			cfg := oldFile(t, format)
			spec := penstock.DatabaseSpec{Name: "shop", Integration: "3f2a91bc-0000-4000-8000-000000000001",
				SourceARN: "arn:aws:rds:us-east-1:000000000000:cluster:shop", SourceDatabase: "shop"}
			position := penstock.Position("p7")
			for round := range 2 { // the second finds the format of today
				w := openWarehouse(t, cfg)
				d, err := w.Open(t.Context(), spec)
				if err != nil {
					t.Fatal(err)
				}
				state, err := d.State(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				sizes, err := w.Sizes(t.Context(), spec.Name)
				if err != nil {
					t.Fatal(err)
				}
				tables := map[string]penstock.TableStatus{}
				for _, s := range state.Tables {
					tables[s.Table.Name] = s
				}
				if state.Applied != position || len(tables) != 3 {
					t.Fatalf("the state is %+v", state)
				}
				if s := tables["orders"]; s.State != penstock.TableSynced || !s.Readable || sizes[s.Table.ID].Rows != int64(3+round) {
					t.Errorf("orders: %+v", s)
				}
				if s := tables["items"]; s.State != penstock.TableResyncRequired || s.Readable || s.Partial != nil {
					t.Errorf("items: %+v", s)
				}
				if s := tables["events"]; s.State != penstock.TableResyncInitiated || s.Join != "0/9@1:1:" || s.Mending {
					t.Errorf("events: %+v", s)
				}
				// It can be written to in every way.
				orders, items := tables["orders"].Table, tables["items"].Table
				rows := penstock.NewRows(&orders)
				rows.Vectors[0].AppendInt64(int64(100 + round))
				rows.Vectors[1].AppendString("new")
				next := position + "+"
				for _, err := range []error{
					d.Apply(t.Context(), position, &penstock.Batch{Next: next, Tables: []penstock.TableBatch{{Table: &orders, Rows: rows, Put: []int32{0}}}}),
					d.Ensure(t.Context(), &items),
					d.Keep(t.Context(), map[penstock.TableID]penstock.Snapshot{items.ID: "s"}),
					targettest.Append(t.Context(), d, items.ID, rows, nil),
					d.SetStates(t.Context(), []penstock.TableStatus{{Table: items, State: penstock.TableResyncRequired}}),
				} {
					if err != nil {
						t.Fatal(err)
					}
				}
				position = next
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestLaterFormat: a file of a later version is left as it is, and why is said.
func TestLaterFormat(t *testing.T) {
	t.Parallel()
	cfg := oldFile(t, 1)
	w := openWarehouse(t, cfg)
	c, err := w.inst.connect()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.exec(t.Context(), "UPDATE shop._penstock.meta SET value = ? WHERE key = 'format'", fmt.Sprint(metaFormat+1)); err != nil {
		t.Fatal(err)
	}
	c.close()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = openWarehouse(t, cfg)
	_, err = w.Open(t.Context(), penstock.DatabaseSpec{Name: "shop", Integration: "3f2a91bc-0000-4000-8000-000000000001",
		SourceARN: "arn:aws:rds:us-east-1:000000000000:cluster:shop", SourceDatabase: "shop"})
	if err == nil || penstock.KindOf(err) != penstock.KindSetting || penstock.MendOf(err) == "" {
		t.Fatalf("Open returns %v, want one of kind %q that says what to do", err, penstock.KindSetting)
	}
}
