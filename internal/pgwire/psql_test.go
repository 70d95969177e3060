package pgwire

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"penstock"
)

// psql runs the real psql and returns what it prints.
func psql(t *testing.T, url string, args ...string) (stdout, stderr string) {
	t.Helper()
	path, err := exec.LookPath("psql")
	if err != nil {
		if strict() {
			t.Fatal(err)
		}
		t.Skip("SKIPPED for want of psql (scripts/deps.sh installs it)")
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, append([]string{"-X", "-v", "ON_ERROR_STOP=0", url}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Logf("psql: %v", err)
	}
	return out.String(), errs.String()
}

func TestPsql(t *testing.T) {
	t.Parallel()
	tls, err := SelfSigned(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := setup(t, func(c *Config) { c.TLS = tls })
	b.w.on("SELECT i FROM n", numbers(2))
	b.w.on("INSERT", &fakeAnswer{kind: penstock.StatementInsert, affected: 2})
	url := strings.Replace(b.url("admin", "s3cret", "dev"), "sslmode=disable", "sslmode=require", 1)
	out, errs := psql(t, url, "-At", "-c", "SELECT i FROM n", "-c", "INSERT", "-c", "BEGIN; INSERT; ROLLBACK", "-c", `\conninfo`,
		"-c", "SHOW server_version", "-c", "missing")
	want := "1\n2\nINSERT 0 2\nROLLBACK\n"
	if !strings.HasPrefix(out, want) && !strings.HasPrefix(out, "1\n2\nINSERT 0 2\nBEGIN\nINSERT 0 2\nROLLBACK\n") {
		t.Errorf("psql prints %q", out)
	}
	if !strings.Contains(out, "SSL connection") || !strings.Contains(out, "8.0.2") {
		t.Errorf("psql prints %q", out)
	}
	if strings.TrimSpace(errs) != "ERROR:  Table does not exist: missing" {
		t.Errorf("psql complains: %q", errs)
	}

	_, errs = psql(t, strings.Replace(url, "s3cret", "wrong", 1), "-c", "SELECT i FROM n")
	if !strings.Contains(errs, `password authentication failed for user "admin"`) {
		t.Errorf("psql complains: %q", errs)
	}
	_, errs = psql(t, strings.Replace(url, "/dev", "/nowhere", 1), "-c", "SELECT i FROM n")
	if !strings.Contains(errs, `database "nowhere" does not exist`) {
		t.Errorf("psql complains: %q", errs)
	}
}

// TestPsqlScript runs several statements from one argument, as one query string.
func TestPsqlScript(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.w.on("SELECT i FROM n", numbers(2))
	script := "BEGIN;\nSELECT i FROM n; -- a comment; with a semicolon\nCOMMIT;\n"
	out, errs := psql(t, b.url("admin", "s3cret", "dev"), "-At", "-c", script)
	if !strings.Contains(out, "1\n2\n") || errs != "" {
		t.Errorf("psql prints %q, complains %q", out, errs)
	}
}
