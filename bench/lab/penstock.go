package lab

import (
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
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/jackc/pgx/v5"

	"penstock/bench/measure"
)

// Options say how the program is configured; the zero value is as it comes.
type Options struct {
	Memory int // MiB; 0 is the default, 512
	// Sources are the URLs of the sources, which are named source-1 and so on.
	Sources []string
	// More is YAML added to the configuration.
	More string
}

// DefaultMemory is the program's own, in MiB.
const DefaultMemory = 512

// Penstock is a server of the program under test. It can be stopped and
// started again.
type Penstock struct {
	*Process // nil until it is started

	// Memory is what it is configured to take, in MiB.
	Memory int

	env      *Env
	dir      string
	api, sql string // host:port
	pprof    string
	http     http.Client
	arns     map[string]string // of sources and targets, by name, once asked for
}

const (
	accessKey, secretKey = "penstock", "bench-secret"
	sqlUser, sqlPassword = "admin", "bench-password"
	region, account      = "us-east-1", "123456789012"
)

// NewPenstock configures a server and does not start it.
func (e *Env) NewPenstock(o Options) (*Penstock, error) {
	if err := e.build(); err != nil {
		return nil, err
	}
	dir, err := e.TempDir("penstock")
	if err != nil {
		return nil, err
	}
	p := &Penstock{env: e, dir: dir, Memory: o.Memory}
	if p.Memory == 0 {
		p.Memory = DefaultMemory
	}
	for _, a := range []*string{&p.api, &p.sql, &p.pprof} {
		if *a, err = freeAddress(); err != nil {
			return nil, err
		}
	}
	var sources strings.Builder
	for i, u := range o.Sources {
		fmt.Fprintf(&sources, "  source-%d: {kind: cluster, url: %q}\n", i+1, u)
	}
	text := fmt.Sprintf(`account: %q
region: %s
api: {listen: %s}
sql:
  listen: %s
  tls: off
  users: [{name: %s, password: %s, superuser: true}]
access_keys: [{id: %s, secret: %s}]
data_dir: %s
memory: %dMiB
sources:
%stargets:
  analytics: {engine: duckdb}
`, account, region, p.api, p.sql, sqlUser, sqlPassword, accessKey, secretKey, p.DataDir(), p.Memory, sources.String())
	if e.Profiles != "" {
		text += fmt.Sprintf("debug: {pprof: %q}\n", p.pprof)
	}
	if err := os.WriteFile(p.config(), []byte(text+o.More), 0o600); err != nil {
		return nil, err
	}
	e.onEnd(func() error { p.Stop(); return os.RemoveAll(dir) })
	return p, nil
}

// DataDir returns the folder that all of the server's state is in.
func (p *Penstock) DataDir() string { return filepath.Join(p.dir, "data") }
func (p *Penstock) config() string  { return filepath.Join(p.dir, "penstock.yaml") }

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Launch starts the program and does not wait for anything.
func (p *Penstock) Launch() (err error) {
	p.Process, err = p.env.StartProcess(exec.Command(p.env.binary, "serve", "--config", p.config()))
	return err
}

// Start starts the program and waits until its API answers.
func (p *Penstock) Start(ctx context.Context) error {
	if err := p.Launch(); err != nil {
		return err
	}
	return p.AwaitReady(ctx)
}

// AwaitReady waits until the API answers.
func (p *Penstock) AwaitReady(ctx context.Context) error {
	return Await(ctx, 5*time.Millisecond, "penstock serve to be ready", func() (bool, error) {
		if err := p.Alive(); err != nil {
			return false, err
		}
		reply, err := p.http.Get("http://" + p.api + "/healthz")
		if err != nil {
			return false, nil
		}
		reply.Body.Close()
		return reply.StatusCode == http.StatusOK, nil
	})
}

// Stop ends the program in order, if it runs.
func (p *Penstock) Stop() { p.Signal(syscall.SIGTERM) }

// Signal ends the program, if it runs, with a signal.
func (p *Penstock) Signal(sig syscall.Signal) {
	if p.Process != nil {
		p.end(sig)
	}
}

// CPU is a measure.Meter of the program, 0 until it is started.
func (p *Penstock) CPU() (time.Duration, error) {
	if p.Process == nil {
		return 0, nil
	}
	return p.Process.CPU()
}

// PeakRSS returns the most memory that the program has had resident, in MiB.
func (p *Penstock) PeakRSS() (float64, error) {
	n, err := measure.PeakRSS(p.PID())
	return float64(n) / (1 << 20), err
}

// ForgetPeak has PeakRSS count anew from what is resident now.
func (p *Penstock) ForgetPeak() error { return measure.ForgetPeak(p.PID()) }

// Resolve finds out the ARNs of sources or targets, so that creating an integration
// need not.
func (p *Penstock) Resolve(ctx context.Context, names ...string) error {
	for _, name := range names {
		if _, err := p.arn(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// arn returns the ARN of a source or target.
func (p *Penstock) arn(ctx context.Context, name string) (string, error) {
	if arn := p.arns[name]; arn != "" {
		return arn, nil
	}
	out, err := exec.CommandContext(ctx, p.env.binary, "arn", name, "--config", p.config()).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("penstock arn %s: %w\n%s", name, err, out)
	}
	if p.arns == nil {
		p.arns = map[string]string{}
	}
	p.arns[name] = strings.TrimSpace(string(out))
	return p.arns[name], nil
}

func (p *Penstock) client() *rds.Client {
	return rds.New(rds.Options{Region: region, BaseEndpoint: aws.String("http://" + p.api),
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, "")})
}

// Integrate creates an integration of databases of source-1.
func (p *Penstock) Integrate(ctx context.Context, name string, databases ...string) error {
	return p.IntegrateFilter(ctx, name, "source-1", "include: "+strings.Join(databases, ".*.*, include: ")+".*.*")
}

// IntegrateFilter creates an integration of what a data filter selects.
func (p *Penstock) IntegrateFilter(ctx context.Context, name, source, filter string) error {
	from, err := p.arn(ctx, source)
	if err != nil {
		return err
	}
	to, err := p.arn(ctx, "analytics")
	if err != nil {
		return err
	}
	_, err = p.client().CreateIntegration(ctx, &rds.CreateIntegrationInput{
		IntegrationName: &name, SourceArn: &from, TargetArn: &to, DataFilter: &filter})
	return err
}

// AwaitActive waits until an integration is active: all its tables have been
// loaded.
func (p *Penstock) AwaitActive(ctx context.Context, name string) error {
	c := p.client()
	return Await(ctx, 100*time.Millisecond, "integration "+name+" to be active", func() (bool, error) {
		if err := p.Alive(); err != nil {
			return false, err
		}
		out, err := c.DescribeIntegrations(ctx, &rds.DescribeIntegrationsInput{IntegrationIdentifier: &name})
		if err != nil {
			return false, err
		}
		in := out.Integrations[0]
		if in.Status == types.IntegrationStatusFailed || in.Status == types.IntegrationStatusNeedsAttention {
			return false, fmt.Errorf("integration %s is %s: %s", name, in.Status, problems(in.Errors))
		}
		return in.Status == types.IntegrationStatusActive, nil
	})
}

func problems(errs []types.IntegrationError) string {
	var out []string
	for _, e := range errs {
		out = append(out, aws.ToString(e.ErrorCode)+": "+aws.ToString(e.ErrorMessage))
	}
	return strings.Join(out, "; ")
}

// Delete deletes an integration and waits until the source has nothing of it
// any more.
func (p *Penstock) Delete(ctx context.Context, name string) error {
	c := p.client()
	if _, err := c.DeleteIntegration(ctx, &rds.DeleteIntegrationInput{IntegrationIdentifier: &name}); err != nil {
		return err
	}
	return Await(ctx, 50*time.Millisecond, "integration "+name+" to be gone", func() (bool, error) {
		_, err := c.DescribeIntegrations(ctx, &rds.DescribeIntegrationsInput{IntegrationIdentifier: &name})
		var gone *types.IntegrationNotFoundFault
		if errors.As(err, &gone) {
			return true, nil
		}
		return false, err
	})
}

// Connect opens a session of the SQL endpoint.
func (p *Penstock) Connect(ctx context.Context, database string) (*pgx.Conn, error) {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(sqlUser, sqlPassword), Host: p.sql, Path: "/" + database, RawQuery: "sslmode=disable"}
	cfg, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, err
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	return pgx.ConnectConfig(ctx, cfg)
}

// Query returns the only row of a query at the SQL endpoint, as text.
func (p *Penstock) Query(ctx context.Context, database, sql string) (string, error) {
	conn, err := p.Connect(ctx, database)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return oneRow(ctx, conn, sql)
}

// AwaitRow waits until a query at the SQL endpoint answers with a row. Until
// then the database, the table or the server itself need not be there. The
// statements before it are for its session, once.
func (p *Penstock) AwaitRow(ctx context.Context, every time.Duration, database, sql, want string, before ...string) error {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			conn.Close(context.WithoutCancel(ctx))
		}
	}()
	last := ""
	err := Await(ctx, every, "the warehouse to answer "+sql+" with "+want, func() (bool, error) {
		if err := p.Alive(); err != nil {
			return false, err
		}
		var err error
		if conn == nil || conn.IsClosed() {
			if conn, err = p.Connect(ctx, database); err != nil {
				conn, last = nil, err.Error()
				return false, nil
			}
			for _, s := range before {
				if _, err := conn.Exec(ctx, s); err != nil {
					conn.Close(context.WithoutCancel(ctx))
					conn, last = nil, err.Error()
					return false, nil
				}
			}
		}
		got, err := oneRow(ctx, conn, sql)
		last = got
		if err != nil {
			last = err.Error()
		}
		return err == nil && got == want, nil
	})
	if err != nil {
		return fmt.Errorf("%w; the last answer was %s", err, last)
	}
	return nil
}

// Profile takes a CPU profile of the program, if the Env wants profiles, from
// now until it is stopped.
func (p *Penstock) Profile(name string) (stop func()) {
	if p.env.Profiles == "" {
		return func() {}
	}
	// The runtime ends a profile after a time that has to be given before; what
	// comes in pieces can be put together by go tool pprof.
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			if err := p.profile(ctx, fmt.Sprintf("%s-%02d.pprof", name, i)); err != nil && ctx.Err() == nil {
				select {
				case <-time.After(20 * time.Millisecond): // it does not listen yet
				case <-ctx.Done():
				}
				i--
			}
		}
	}()
	return func() { cancel(); <-done }
}

func (p *Penstock) profile(ctx context.Context, name string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.pprof+"/debug/pprof/profile?seconds=5", nil)
	if err != nil {
		return err
	}
	reply, err := p.http.Do(req)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	b, err := io.ReadAll(reply.Body)
	if err != nil {
		return err
	}
	if reply.StatusCode != http.StatusOK {
		return fmt.Errorf("profile: %s", reply.Status)
	}
	return os.WriteFile(filepath.Join(p.env.Profiles, name), b, 0o644)
}
