package sqlitestore

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"penstock"
	"penstock/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) penstock.Store { return open(t, filepath.Join(t.TempDir(), "meta.db")) })
}

func TestEverythingIsThereAfterReopening(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "odd name?#%", "meta.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	ctx := t.Context()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	for _, err := range []error{
		s.Create(ctx, storetest.Sample(1), nil),
		s.AddEvent(ctx, penstock.Event{At: at, Integration: "a", Message: "m"}),
		s.PutOrphan(ctx, penstock.Orphan{Integration: "a", Since: at}),
		s.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file is %+v, %v", info, err)
	}
	s = open(t, path)
	defer s.Close()
	in, err := s.Get(ctx, storetest.Sample(1).ID)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Same(t, in, storetest.Sample(1))
	if events, err := s.Events(ctx, "", time.Time{}); err != nil || len(events) != 1 || !events[0].At.Equal(at) {
		t.Errorf("Events: %+v, %v", events, err)
	}
	if orphans, err := s.Orphans(ctx); err != nil || len(orphans) != 1 {
		t.Errorf("Orphans: %+v, %v", orphans, err)
	}
}

// What a process has been told is durable is there although it never closed
// the store: a copy of the files as they lie on disk is what a crash leaves.
func TestWritesSurviveACrash(t *testing.T) {
	t.Parallel()
	dir, crashed := t.TempDir(), t.TempDir()
	s := open(t, filepath.Join(dir, "meta.db"))
	defer s.Close()
	if err := s.Create(t.Context(), storetest.Sample(1), nil); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(filepath.Join(dir, "meta.db"+suffix))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(crashed, "meta.db"+suffix), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := open(t, filepath.Join(crashed, "meta.db"))
	defer c.Close()
	in, err := c.Get(t.Context(), storetest.Sample(1).ID)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Same(t, in, storetest.Sample(1))
}

func TestDocumentsOfEarlierVersions(t *testing.T) {
	t.Parallel()
	want := storetest.Sample(1)
	withoutKey := want
	withoutKey.WrappedKey = nil
	dropped := want
	dropped.Databases = append(want.Databases[:1:1], penstock.DestinationDatabase{
		Name: "crm", SourceDatabase: "crm", CreatedAt: want.Databases[0].CreatedAt, State: penstock.DatabaseDropping,
		Options: penstock.DatabaseOptions{AcceptInvChars: true, QueryAllStates: true, RefreshInterval: time.Minute, TruncateColumns: true, AutoRemediation: true},
	})
	historic := dropped
	historic.Databases = slices.Clone(dropped.Databases)
	historic.Databases[1].Options.HistoryMode = true
	for file, want := range map[string]penstock.Integration{"integration-1.json": withoutKey, "integration-2.json": want, "integration-3.json": dropped, "integration-4.json": historic} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		in, err := decode(want.ID, want.Name, want.CreatedAt.UnixNano(), string(text))
		if err != nil {
			t.Fatal(err)
		}
		storetest.Same(t, in, want)
		now, err := encode(want)
		if err != nil || now != strings.TrimSpace(string(text)) {
			t.Errorf("this version writes %s, %v", now, err)
		}
	}
}

func TestPragmas(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "meta.db"))
	defer s.Close()
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000"} {
		var got string
		if err := s.db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, %v", pragma, got, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := Open(t.Context(), filepath.Join(dir, "nothing", "meta.db"))
	if penstock.KindOf(err) != penstock.KindSetting || !strings.Contains(err.Error(), filepath.Join(dir, "nothing", "meta.db")) {
		t.Errorf("a missing folder: %v", err)
	}
	path := filepath.Join(dir, "text")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("another kind of file: %v", err)
	}
	path = filepath.Join(dir, "newer.db")
	s := open(t, path)
	if _, err := s.db.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err = Open(t.Context(), path); penstock.KindOf(err) != penstock.KindInvalid || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("a newer file: %v", err)
	}
}

func BenchmarkList(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "meta.db"))
	defer s.Close()
	for n := range 100 {
		if err := s.Create(b.Context(), storetest.Sample(n), nil); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := s.List(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
