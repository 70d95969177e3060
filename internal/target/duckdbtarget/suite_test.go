package duckdbtarget

import (
	"log/slog"
	"path/filepath"
	"slices"
	"testing"

	"penstock"
	"penstock/internal/target/targettest"
)

// subject is a warehouse in a folder of its own.
type subject struct {
	cfg Config
	w   *Warehouse
}

func testConfig(t testing.TB) Config {
	dir := t.TempDir()
	return Config{Dir: filepath.Join(dir, "warehouse"), SpillDir: filepath.Join(dir, "spill"), Memory: 512 << 20, Threads: 2,
		Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil))}
}

// testWriter logs to a test.
type testWriter struct{ testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.Logf("%s", b)
	return len(b), nil
}

func openWarehouse(t testing.TB, cfg Config) *Warehouse {
	t.Helper()
	w, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func (s *subject) Target() penstock.Target { return s.w }

func (s *subject) Restart(t *testing.T) {
	t.Helper()
	if err := s.w.Close(); err != nil {
		t.Fatal(err)
	}
	s.w = openWarehouse(t, s.cfg)
}

func (s *subject) Read(t *testing.T, database string, table *penstock.Table) (*penstock.Rows, bool) {
	t.Helper()
	stored, err := s.w.Stored(t.Context(), database)
	if penstock.KindOf(err) == penstock.KindNotFound && err != nil {
		return nil, false
	}
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(stored, func(st penstock.StoredTable) bool {
		return st.Shape.Schema == table.Schema && st.Shape.Name == table.Name
	})
	if i < 0 {
		return nil, false
	}
	s.w.mu.Lock()
	alias := s.w.databases[database].alias
	s.w.mu.Unlock()
	session, err := s.w.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	rows, err := query(t, session, "SELECT * FROM "+ident(alias)+"."+ident(stored[i].Schema)+"."+ident(stored[i].Table))
	if err != nil {
		t.Fatal(err)
	}
	return rows, true
}

// query runs a statement and returns all rows.
func query(t testing.TB, session penstock.Session, sql string, args ...*string) (*penstock.Rows, error) {
	t.Helper()
	st, err := session.Prepare(t.Context(), sql)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	res, err := st.Query(t.Context(), args)
	if err != nil {
		return nil, err
	}
	defer res.Close()
	all := &penstock.Rows{}
	for _, c := range st.Columns() {
		all.Vectors = append(all.Vectors, penstock.NewVector(c.Type))
	}
	for {
		rows, err := res.Next(t.Context())
		if err != nil {
			return nil, err
		}
		if rows == nil {
			return all, nil
		}
		for c := range all.Vectors {
			for i := range rows.Len() {
				all.Vectors[c].AppendFrom(&rows.Vectors[c], i)
			}
		}
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	targettest.Run(t, func(t *testing.T) targettest.Subject {
		cfg := testConfig(t)
		return &subject{cfg: cfg, w: openWarehouse(t, cfg)}
	})
}
