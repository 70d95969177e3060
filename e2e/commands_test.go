package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"penstock/internal/testdb/dbtest"
)

// TestUsage: what the commands print, and their exit codes.
func TestUsage(t *testing.T) {
	t.Parallel()
	p := configured(t, "postgres://app@127.0.0.1:1/postgres")
	for line, want := range map[string]struct {
		code int
		out  string // a pattern
	}{
		"version":             {0, `^penstock \S+ \(go1\.\S+, linux/\S+\)\n$`},
		"arn shop":            {0, `^arn:aws:rds:us-east-1:123456789012:cluster:shop\n$`},
		"arn analytics":       {0, `^arn:aws:redshift-serverless:us-east-1:123456789012:namespace/[0-9a-f-]{36}\n$`},
		"arn":                 {0, `(?s)^analytics .*shop |^shop .*analytics `},
		"arn nobody":          {1, `^penstock: .*penstock\.yaml has no source or target named nobody, nor a KMS key\n$`},
		"arn --output json":   {0, `^\[\{"Name":"shop","Is":"source","ARN":"arn:`},
		"":                    {0, `(?s)Usage:.*serve`},
		"--help":              {0, `(?s)Usage:.*serve`},
		"sreve":               {2, `^penstock: there is no command "sreve"\nRun 'penstock --help' for usage\.\n$`},
		"serve now":           {2, `^penstock: penstock serve takes no arguments\nRun`},
		"version 2":           {2, `^penstock: penstock version takes no arguments\nRun`},
		"arn shop analytics":  {2, `^penstock: penstock arn takes one name at the most\nRun`},
		"serve --port 80":     {2, `^penstock: unknown flag: --port\nRun`},
		"check --output yaml": {2, `^penstock: --output is text or json, not "yaml"\nRun`},
		"check nobody":        {2, `^penstock: the configuration has no source nobody\nRun`},
		"check --filter x":    {2, `^penstock: .*filter.*\nRun`},
	} {
		out, code := p.run(t, strings.Fields(line)...)
		if code != want.code || !regexp.MustCompile(want.out).MatchString(out) {
			t.Errorf("penstock %s ends with %d: %s", line, code, out)
		}
	}
}

// TestArnNeedsNoSecret: what a command does not need need not be there.
func TestArnNeedsNoSecret(t *testing.T) {
	t.Parallel()
	p := configured(t, "postgres://app@127.0.0.1:1/postgres")
	text, err := os.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "secret: "+secretKey, "secret: {file: not-there}", 1))
	if err := os.WriteFile(p.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if arn := p.arn(t, "shop"); !strings.HasSuffix(arn, ":shop") {
		t.Error(arn)
	}
	if out, code := p.run(t, "serve"); code != 2 || !containsAll(out, "access_keys[0].secret", "not-there") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

// TestCheck: a source that is ready, in both forms of the output, and one whose
// integration has a problem.
func TestCheck(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, "CREATE TABLE t (id int PRIMARY KEY)")
	filter := "include: " + db.Name + ".*.*"
	p := configured(t, db.URL())
	if out, code := p.run(t, "check", "--filter", filter); code != 0 || !strings.HasSuffix(out, "\nready\n") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	var report struct {
		Ready        bool
		Sources      []struct{ Name, ARN string }
		Integrations []struct{ Name, Status string }
	}
	out, code := p.run(t, "check", "--filter", filter, "--output", "json")
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 || !report.Ready || len(report.Sources) != 1 || report.Sources[0].Name != "shop" {
		t.Errorf("exit code %d, %v:\n%s", code, err, out)
	}
	p.start(t)
	p.integrate(t, "checked", db.Name)
	p.awaitActive(t, "checked")
	out, code = p.run(t, "check", "--filter", filter, "--output", "json")
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 || len(report.Integrations) != 1 || report.Integrations[0].Status != "active" {
		t.Errorf("exit code %d, %v:\n%s", code, err, out)
	}
	if out, code := p.run(t, "check", "--filter", "include: "+db.Name+"_not.*.*"); code != 1 || !containsAll(out, "! attention", "does not exist", "not ready", "integration checked: active") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// TestHealthAndMetrics looks at what monitoring sees.
func TestHealthAndMetrics(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t SELECT generate_series(1, 10)")
	p := newPenstock(t, db.URL())
	reply, err := http.Get("http://" + p.api + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	if text, _ := io.ReadAll(reply.Body); reply.StatusCode != http.StatusOK || string(text) != "ok\n" {
		t.Errorf("/healthz answers %s: %s", reply.Status, text)
	}
	p.integrate(t, "measured", db.Name)
	p.awaitActive(t, "measured")
	db.Exec(t, "INSERT INTO t VALUES (11), (12)", "DELETE FROM t WHERE id = 1")
	awaitEqual(t, p, db.Conn(t), map[string]string{"t": "SELECT id FROM t ORDER BY id"})
	series := func(name string, more ...string) string {
		for k, v := range p.metrics(t) {
			if strings.HasPrefix(k, name+"{") && containsAll(k, append(more, `integration="measured"`)...) {
				return v
			}
		}
		return "missing"
	}
	await(t, "the metrics to show what was done", func() bool { return series("penstock_integration_rows_changed_total") == "3" })
	for _, want := range []struct{ name, label, value string }{
		{"penstock_integration_status", `status="active"`, "1"},
		{"penstock_integration_tables", `state="Synced"`, "1"},
		{"penstock_integration_tables", `state="Failed"`, "0"},
		{"penstock_integration_problems", `severity="attention"`, "0"},
		{"penstock_integration_rows_loaded_total", `database="` + db.Name + `"`, "10"},
		{"penstock_integration_transactions_total", `target="analytics"`, "2"},
	} {
		if got := series(want.name, want.label); got != want.value {
			t.Errorf("%s{%s} is %s, want %s", want.name, want.label, got, want.value)
		}
	}
	all := p.metrics(t)
	for _, k := range []string{`penstock_integrations{status="active"}`, "penstock_orphans", "process_resident_memory_bytes", "go_goroutines"} {
		if _, ok := all[k]; !ok {
			t.Errorf("no metric %s", k)
		}
	}
	for _, k := range []string{"lag_seconds", "retained_wal_bytes", "data_transferred_bytes_total"} {
		if series("penstock_integration_"+k) == "missing" {
			t.Errorf("no metric penstock_integration_%s", k)
		}
	}
}

// drained ends a server with a signal, which it must obey soon.
func (p *penstock) drained(t testing.TB, sig os.Signal) {
	t.Helper()
	began := time.Now()
	p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		t.Fatal("the server does not end")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the server took %v to end", took)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the server ended with %d", code)
	}
}

// TestServe: one line when it is ready, and a clean end by SIGTERM and SIGINT:
// idle, with clients, with a source that is away, and while loading.
func TestServe(t *testing.T) {
	t.Parallel()
	ready := func(t testing.TB, p *penstock) {
		t.Helper()
		if n := strings.Count(p.log.String(), "penstock is ready"); n != 1 {
			t.Errorf("%d lines say that it is ready", n)
		}
		if lines := strings.Count(p.log.String(), "level=WARN") + strings.Count(p.log.String(), "level=ERROR"); lines > 0 && !strings.Contains(p.log.String(), "stream ended") {
			t.Errorf("a clean run complains")
		}
	}
	for name, sig := range map[string]os.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPenstock(t, "postgres://app@127.0.0.1:1/postgres")
			p.drained(t, sig)
			ready(t, p)
		})
	}
	t.Run("clients", func(t *testing.T) {
		t.Parallel()
		p := newPenstock(t, "postgres://app@127.0.0.1:1/postgres")
		idle, busy := p.warehouse(t, "dev"), p.warehouse(t, "dev")
		idleHTTP, err := http.Get("http://" + p.api + "/healthz") // kept alive
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, idleHTTP.Body)
		idleHTTP.Body.Close()
		failed := make(chan error, 1)
		go func() {
			_, err := busy.Exec(context.Background(), "SELECT count(*) FROM range(10000000000) a, range(1000000) b")
			failed <- err
		}()
		mustTable(t, idle, "SELECT 1")
		p.drained(t, syscall.SIGTERM)
		if err := <-failed; err == nil {
			t.Error("a query of hours has ended")
		}
		ready(t, p)
	})
	t.Run("source away", func(t *testing.T) {
		t.Parallel()
		p := newPenstock(t, "postgres://app:source-secret@127.0.0.1:1/postgres")
		p.integrate(t, "away", "postgres")
		await(t, "an attempt", func() bool { return strings.Contains(p.log.String(), "stream ended") })
		p.drained(t, syscall.SIGTERM)
		ready(t, p)
	})
	t.Run("loading", func(t *testing.T) {
		t.Parallel()
		db := dbtest.Shared(t)
		db.Exec(t, "CREATE TABLE large (id int PRIMARY KEY, filler text)", "INSERT INTO large SELECT g, repeat('filler ', 50) FROM generate_series(1, 300000) g")
		p := newPenstock(t, db.URL())
		p.integrate(t, "loading", db.Name)
		await(t, "the load to begin", func() bool {
			for k, v := range p.metrics(t) {
				if strings.HasPrefix(k, "penstock_integration_rows_loaded_total") && v != "0" {
					return true
				}
			}
			return false
		})
		p.drained(t, syscall.SIGTERM)
		ready(t, p)
		p.start(t)
		p.awaitActive(t, "loading")
		awaitEqual(t, p, db.Conn(t), map[string]string{"large": "SELECT count(*), sum(id), max(filler) FROM large"})
	})
}

// TestDataDirIsPrivate: nobody else on the machine may read it, or ask the server.
func TestDataDirIsPrivate(t *testing.T) {
	t.Parallel()
	p := newPenstock(t, "postgres://app@127.0.0.1:1/postgres")
	for _, name := range []string{".", "penstock.sock", "penstock.db"} {
		info, err := os.Stat(filepath.Join(p.dataDir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", name, info.Mode())
		}
	}
}
