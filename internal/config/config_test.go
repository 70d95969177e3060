package config_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"penstock/internal/config"
	"penstock/internal/policy"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestFaults compares what Load says about each testdata/faults/*.yaml with
// the .golden file beside it.
func TestFaults(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/faults/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(file)
			if err == nil {
				t.Fatal("no error")
			}
			var faults *config.Error
			if !errors.As(err, &faults) {
				t.Fatalf("a %T: %v", err, err)
			}
			got := err.Error() + "\n"
			if strings.Contains(got, "SECRET") {
				t.Error("the message has a secret in it")
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMissingFile(t *testing.T) {
	t.Parallel()
	_, err := config.Load("testdata/none.yaml")
	if err == nil || err.Error() != "there is no configuration file testdata/none.yaml (choose another with --config)" {
		t.Error(err)
	}
	if _, err = config.Load("testdata"); err == nil || !strings.Contains(err.Error(), "testdata") {
		t.Error(err)
	}
}

var compare = cmp.Options{
	cmp.Comparer(func(a, b config.Secret) bool { return a == b }),
	cmp.Comparer(func(a, b policy.Policy) bool { return reflect.DeepEqual(a, b) }),
	cmp.Comparer(func(a, b *url.URL) bool { return a.String() == b.String() }),
}

func parseURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestEveryKey(t *testing.T) {
	t.Setenv("TEST_SQL_PASSWORD", "from-env")
	dir := filepath.Join("testdata", "full")
	got, err := config.Load(filepath.Join(dir, "penstock.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	everything, faults := policy.ReadIdentity(map[string]any{"Statement": map[string]any{"Effect": "Allow", "Action": "rds:*", "Resource": "*"}})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	material := "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"
	want := &config.Config{
		Account: "123456789012", Region: "eu-central-1",
		DataDir: filepath.Join(dir, "state"), Memory: 1 << 30,
		Log: config.Log{Level: slog.LevelDebug, Format: config.LogJSON},
		API: config.API{
			Listen: "127.0.0.1:9400",
			TLS:    config.TLS{Mode: config.TLSFiles, Cert: filepath.Join(dir, "server.crt"), Key: filepath.Join(dir, "server.key")},
		},
		SQL: config.SQL{
			Listen: "[::1]:9439",
			TLS:    config.TLS{Mode: config.TLSFiles, Cert: filepath.Join(dir, "server.crt"), Key: filepath.Join(dir, "server.key")},
			Users: []config.User{
				{Name: "admin", Password: config.NewSecret("from-env"), Superuser: true},
				{Name: "Reader", Password: config.NewSecret("literal")},
			},
		},
		AccessKeys: []config.AccessKey{{ID: "penstock", Secret: config.NewSecret("key-from-file"), Policy: &everything}},
		KMSKeys: []config.KMSKey{
			{Name: "app", Secret: config.NewSecret(material), Aliases: []string{"alias/app", "alias/team/app"}, Enabled: true},
			{Name: "old", Secret: config.NewSecret(material)},
		},
		Quotas:   config.Quotas{PerAccount: 10, PerTarget: 50, PerSource: 2},
		Throttle: config.Throttle{Rate: 2.5, Burst: 3},
		Sources: []config.Source{
			{Name: "shop", Kind: config.SourceDB, Password: config.NewSecret("from-url"),
				URL:         parseURL(t, "postgresql://penstock@db.example.com:5433/postgres?sslmode=require"),
				Publication: "Prepared", WALAlarm: 1 << 30, Load: config.Loading{Connections: 4, Chunk: time.Second, MaxRowsPerSecond: 5000}, OnLostPosition: config.LostPositionStop, DDLTrigger: config.DDLTriggerOff},
			{Name: "crm-2", Kind: config.SourceCluster, Password: config.NewSecret("key-from-file"),
				URL:      parseURL(t, "postgres://penstock@127.0.0.1/postgres"),
				WALAlarm: 8 << 30, WALLimit: 32 << 30, Load: config.Loading{Connections: 2, Chunk: 10 * time.Second}, OnLostPosition: config.LostPositionReload, DDLTrigger: config.DDLTriggerAuto},
			{Name: "local", Kind: config.SourceCluster, Password: config.NewSecret("in-query"),
				URL:      parseURL(t, "postgres:///postgres?host=%2Frun%2Fpostgresql&user=penstock"),
				WALAlarm: 8 << 30, WALLimit: 32 << 30, Load: config.Loading{Connections: 2, Chunk: 10 * time.Second}, OnLostPosition: config.LostPositionReload, DDLTrigger: config.DDLTriggerAuto},
		},
		Targets: []config.Target{
			{Name: "lake", Engine: config.EngineDuckDB, Listen: ":9440", FlushMinInterval: time.Second,
				Authorization: config.AuthorizationRequired, DestinationDatabase: config.DatabaseManual, OnBadValue: config.BadValueFail,
				Namespace: uuid.MustParse("0f7c3c5e-8a51-4f0a-9a4e-2f6d1f5b7c10")},
			{Name: "analytics", Engine: config.EngineDuckDB, FlushMinInterval: 25 * time.Millisecond,
				Authorization: config.AuthorizationOff, DestinationDatabase: config.DatabaseAuto, OnBadValue: config.BadValueNullify,
				Namespace: uuid.MustParse("d23d4526-7a08-5916-bd3a-e1eb7f7f9e17")},
		},
		CreatingLimit: time.Hour, DeleteGrace: 0, PProf: "127.0.0.1:0",
	}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Error(diff)
	}

	if s := got.Sources[0].ConnString(); s != "postgresql://penstock:from-url@db.example.com:5433/postgres?sslmode=require" {
		t.Error(s)
	}
	if s := got.SourceARN(got.Source("shop")); s != "arn:aws:rds:eu-central-1:123456789012:db:shop" {
		t.Error(s)
	}
	if s := got.TargetARN(got.Target("lake")); s !=
		"arn:aws:redshift-serverless:eu-central-1:123456789012:namespace/0f7c3c5e-8a51-4f0a-9a4e-2f6d1f5b7c10" {
		t.Error(s)
	}
	if got.Source("none") != nil || got.Target("none") != nil {
		t.Error("found what is not there")
	}
	wantEndpoints := []config.Endpoint{{Target: "lake", Listen: ":9440"}, {Target: "analytics", Listen: "[::1]:9439"}}
	if diff := cmp.Diff(wantEndpoints, got.Endpoints()); diff != "" {
		t.Error(diff)
	}
	if w := got.Warnings(); len(w) != 0 {
		t.Error(w)
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "penstock.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	// A key without a value stands for its default, in every section.
	path := write(t, "account:\nlog: {level: }\napi:\nsql: {tls: ~, users: }\naccess_keys:\nsources:\ntargets:\n  analytics:\ndebug: {pprof: }\n")
	got, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Config{
		Account: "000000000000", Region: "us-east-1",
		DataDir: filepath.Join(filepath.Dir(path), "data"), Memory: 512 << 20,
		Log: config.Log{Level: slog.LevelInfo, Format: config.LogText},
		API: config.API{Listen: "127.0.0.1:8400", TLS: config.TLS{Mode: config.TLSOff}}, Quotas: config.Quotas{PerAccount: 100, PerTarget: 50, PerSource: 5},
		SQL: config.SQL{Listen: "127.0.0.1:5439", TLS: config.TLS{Mode: config.TLSAuto}},
		Targets: []config.Target{{Name: "analytics", Engine: config.EngineDuckDB, Authorization: config.AuthorizationOff, DestinationDatabase: config.DatabaseAuto, OnBadValue: config.BadValueNullify, FlushMinInterval: 25 * time.Millisecond,
			Namespace: uuid.MustParse("4a16bf68-e1fd-5937-95d3-f3e07f4f3538")}},
		CreatingLimit: 25 * time.Minute, DeleteGrace: time.Minute,
	}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Error(diff)
	}
}

func TestWithoutSecrets(t *testing.T) {
	t.Parallel()
	path := write(t, "access_keys: [{id: a, secret: {env: PENSTOCK_TEST_NOT_SET}}]\nsql: {tls: {cert: none, key: none}}\n")
	if _, err := config.Load(path); err == nil {
		t.Error("loaded without its secrets")
	}
	if _, err := config.LoadWithoutSecrets(path); err != nil {
		t.Error(err)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	c, err := config.Load(write(t, `
api: {listen: ":8400"}
sql: {listen: "0.0.0.0:5439", tls: off}
debug: {pprof: "db.example.com:1"}
targets: {a: , b: }
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"api.listen :8400", "SQL endpoint 0.0.0.0:5439", "debug.pprof", "access_keys is empty", "sql.users is empty", "targets.b"}
	got := c.Warnings()
	if len(got) != len(want) {
		t.Fatal(strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("%q lacks %q", got[i], want[i])
		}
	}
}

func TestPartition(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{"us-east-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov"} {
		if got := (&config.Config{Region: region}).Partition(); got != want {
			t.Errorf("%s: %s, want %s", region, got, want)
		}
	}
}

func TestSecretNeverShows(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	s := config.NewSecret("hunter2")
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s, "key", config.AccessKey{ID: "a", Secret: s})
	j, err := json.Marshal(map[string]any{"s": s, "p": &s})
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{
		s.String(), fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q %x", s, s, s, s, s, s), fmt.Sprintf("%#v", config.AccessKey{Secret: s}),
		fmt.Sprintf("%+v", &config.Config{AccessKeys: []config.AccessKey{{Secret: s}}}), log.String(), string(j),
	} {
		if strings.Contains(out, "hunter2") || strings.Contains(out, "68756e74657232") || !strings.Contains(out, "***") && !strings.Contains(out, "2a2a2a") {
			t.Errorf("shown as %s", out)
		}
	}
	if s.Reveal() != "hunter2" || s.IsEmpty() || !config.NewSecret("").IsEmpty() || config.NewSecret("").String() != "" {
		t.Error("not what it was made of")
	}
}

// TestReadmeExample makes sure that the configuration in the README is one.
func TestReadmeExample(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the README has no example")
	}
	for _, name := range []string{"PENSTOCK_SQL_PASSWORD", "PENSTOCK_SECRET_ACCESS_KEY", "SHOP_PASSWORD"} {
		t.Setenv(name, "secret")
	}
	c, err := config.Load(write(t, example))
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); len(w) != 0 {
		t.Error(w)
	}
	if arn := c.SourceARN(c.Source("shop")); arn != "arn:aws:rds:us-east-1:000000000000:cluster:shop" {
		t.Error(arn)
	}
}
