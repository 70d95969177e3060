package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/jackc/pgx/v5"
)

const (
	accessKey   = "penstock"
	secretKey   = "e2e-secret"
	sqlPassword = "e2e-password"
	region      = "us-east-1"
	account     = "123456789012"
)

// program builds penstock once and returns its path.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "penstock-e2e-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "penstock")
	// The go command runs a test again if a folder that it has read is not what
	// it was; it cannot know what the program is built from.
	_ = filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != ".." && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		return err
	})
	out, err := exec.Command("go", "build", "-o", path, "penstock/cmd/penstock").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build penstock: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := program(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

func binary(t testing.TB) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// penstock is a server under test, on a data folder of its own. It may be
// killed and started again.
type penstock struct {
	t       testing.TB
	dir     string
	dataDir string
	config  string
	api     string // host:port
	sql     string // host:port
	secrets []string
	env     []string // beside what the test has

	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
	log  *lockedBuffer
}

// newPenstock writes a configuration with one source and starts a server.
func newPenstock(t testing.TB, source string) *penstock {
	t.Helper()
	p := configured(t, source)
	p.start(t)
	return p
}

// configured writes a configuration with one source and starts nothing yet.
func configured(t testing.TB, source string) *penstock {
	t.Helper()
	p := &penstock{t: t, dir: t.TempDir(), api: freeAddress(t), sql: freeAddress(t), log: &lockedBuffer{}}
	p.config = filepath.Join(p.dir, "penstock.yaml")
	p.dataDir = filepath.Join(p.dir, "data")
	p.secrets = []string{secretKey, sqlPassword}
	if u, err := url.Parse(source); err == nil && u.User != nil {
		if password, ok := u.User.Password(); ok {
			p.secrets = append(p.secrets, password)
		}
	}
	p.write(t, source)
	t.Cleanup(func() {
		if p.cmd != nil {
			p.kill(t)
		}
		p.assertDiscreet(t, p.log.String())
		if t.Failed() {
			t.Logf("penstock's log:\n%s", p.log.tail(20_000, `msg="api request" action=DescribeIntegrations`))
		}
	})
	return p
}

// assertDiscreet checks that what a person may read has neither a secret in it
// nor the inside of the program.
func (p *penstock) assertDiscreet(t testing.TB, text string) {
	t.Helper()
	for _, s := range append(p.secrets, "panic:", "goroutine ", ".go:") {
		if i := strings.Index(text, s); i >= 0 {
			t.Errorf("there is %q in what it says: …%s…", s, text[max(0, i-200):min(len(text), i+200)])
		}
	}
}

func (p *penstock) write(t testing.TB, source string) {
	t.Helper()
	text := fmt.Sprintf(`account: %q
region: %s
api: {listen: %s}
sql:
  listen: %s
  users: [{name: admin, password: %s, superuser: true}]
access_keys: [{id: %s, secret: %s}]
data_dir: %s
delete_grace: 5s
sources:
  shop: {kind: cluster, url: %q}
targets:
  analytics: {engine: duckdb}
`, account, region, p.api, p.sql, sqlPassword, accessKey, secretKey, p.dataDir, source)
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start runs the program and waits until it is healthy.
func (p *penstock) start(t testing.TB) {
	t.Helper()
	p.launch(t)
	p.awaitHealthy(t, http.DefaultClient, "http")
}

// launch runs the program.
func (p *penstock) launch(t testing.TB) {
	t.Helper()
	p.cmd = exec.Command(binary(t), "serve", "--config", p.config)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		cmd.Wait()
		close(done)
	}(p.cmd, p.done)
}

// awaitHealthy waits until the program serves its API.
func (p *penstock) awaitHealthy(t testing.TB, client *http.Client, scheme string) {
	t.Helper()
	await(t, "penstock serve to be healthy", func() bool {
		select {
		case <-p.done:
			t.Fatalf("penstock serve ended:\n%s", p.log.tail(5_000))
		default:
		}
		reply, err := client.Get(scheme + "://" + p.api + "/healthz")
		if err != nil {
			return false
		}
		reply.Body.Close()
		return reply.StatusCode == http.StatusOK
	})
}

// kill ends the server with SIGKILL, as a crash would.
func (p *penstock) kill(t testing.TB) {
	t.Helper()
	p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.done
}

// stop ends the server with SIGTERM and returns its exit code.
func (p *penstock) stop(t testing.TB) int {
	t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(60 * time.Second):
		t.Fatal("penstock serve has not ended a minute after SIGTERM")
	}
	return p.cmd.ProcessState.ExitCode()
}

// run runs a subcommand and returns what it printed and its exit code.
func (p *penstock) run(t testing.TB, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(binary(t), append(args, "--config", p.config)...)
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	p.assertDiscreet(t, string(text))
	return string(text), cmd.ProcessState.ExitCode()
}

// arn returns the ARN of a source or target, by penstock arn.
func (p *penstock) arn(t testing.TB, name string) string {
	t.Helper()
	out, code := p.run(t, "arn", name)
	if code != 0 {
		t.Fatalf("penstock arn %s: %s", name, out)
	}
	return strings.TrimSpace(out)
}

// client returns an RDS client of the AWS SDK for Go.
func (p *penstock) client(secret string) *rds.Client {
	return rds.New(rds.Options{
		Region: region, BaseEndpoint: aws.String("http://" + p.api),
		Credentials:      credentials.NewStaticCredentialsProvider(accessKey, secret, ""),
		RetryMaxAttempts: 1,
	})
}

// warehouse connects to a database of the SQL endpoint.
func (p *penstock) warehouse(t testing.TB, database string) *pgx.Conn {
	t.Helper()
	conn, err := p.connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func (p *penstock) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig("postgres://admin@" + p.sql + "/" + url.PathEscape(database) + "?sslmode=require")
	if err != nil {
		return nil, err
	}
	cfg.Password = sqlPassword
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	return pgx.ConnectConfig(ctx, cfg)
}

// table returns the rows of a query as text, a row per line.
func table(ctx context.Context, conn *pgx.Conn, sql string) ([]string, error) {
	results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", sql, err)
	}
	var out []string
	for _, row := range results[len(results)-1].Rows {
		out = append(out, string(bytes.Join(row, []byte("|"))))
	}
	return out, nil
}

func mustTable(t testing.TB, conn *pgx.Conn, sql string) []string {
	t.Helper()
	rows, err := table(t.Context(), conn, sql)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// patience is how long a test waits for a condition. Nothing should take that
// long; a machine that is busy with other things may.
const patience = 90 * time.Second

func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	began := time.Now()
	for !ok() {
		waited := time.Since(began)
		if waited > patience {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(min(max(20*time.Millisecond, waited/20), 200*time.Millisecond))
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// lockedBuffer collects a process's output.
type lockedBuffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	also io.Writer // gets all of it too, if not nil
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.also != nil {
		_, _ = b.also.Write(p)
	}
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// tail returns the last n bytes of the lines without any of the words.
func (b *lockedBuffer) tail(n int, without ...string) string {
	var kept strings.Builder
	for line := range strings.Lines(b.String()) {
		if !slices.ContainsFunc(without, func(w string) bool { return strings.Contains(line, w) }) {
			kept.WriteString(line)
		}
	}
	s := kept.String()
	return s[max(0, len(s)-n):]
}

// strict reports whether a missing tool fails a test instead of skipping it.
func strict() bool { return os.Getenv("PENSTOCK_TEST_STRICT") == "1" }

// need skips the test, loudly, or fails it under PENSTOCK_TEST_STRICT.
func need(t testing.TB, reason string) {
	t.Helper()
	if strict() {
		t.Fatal(reason)
	}
	t.Skip("SKIPPED: " + reason)
}
