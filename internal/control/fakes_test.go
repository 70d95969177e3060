package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"penstock"
	"penstock/internal/store/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeSource has names of three parts, or of two with one stream for all.
type fakeSource struct {
	penstock.Source
	parts int

	mu        sync.Mutex
	forget    error // what Forget and ForgetStream return
	forgotten []penstock.IntegrationID
	cleaned   []string // source databases
}

func (s *fakeSource) ParseFilter(text string) (penstock.Filter, error) {
	return penstock.ParseFilter(text, s.parts)
}

func (s *fakeSource) Databases(f penstock.Filter) []string {
	if s.parts == 2 {
		return []string{""}
	}
	return f.Databases()
}

func (s *fakeSource) Forget(_ context.Context, id penstock.IntegrationID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgotten = append(s.forgotten, id)
	return s.forget
}

func (s *fakeSource) ForgetStream(_ context.Context, _ penstock.IntegrationID, database string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleaned = append(s.cleaned, database)
	return s.forget
}

func (s *fakeSource) ForgetByHand(id penstock.IntegrationID) []string {
	return []string{"DROP " + id.Short() + ";"}
}

func (s *fakeSource) setForget(err error) {
	s.mu.Lock()
	s.forget = err
	s.mu.Unlock()
}

type fakeTarget struct {
	penstock.Target
	mu       sync.Mutex
	list     []penstock.DatabaseSpec
	listErr  error
	detached []string
	openErr  error
	dropErr  error
}

// Open adds a database to those that List returns.
func (t *fakeTarget) Open(_ context.Context, spec penstock.DatabaseSpec) (penstock.Destination, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.openErr != nil {
		return nil, t.openErr
	}
	t.list = append(slices.DeleteFunc(t.list, func(d penstock.DatabaseSpec) bool { return d.Name == spec.Name }), spec)
	return fakeDestination{}, nil
}

// Drop takes a database out of those that List returns.
func (t *fakeTarget) Drop(_ context.Context, name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dropErr != nil {
		return t.dropErr
	}
	t.list = slices.DeleteFunc(t.list, func(d penstock.DatabaseSpec) bool { return d.Name == name })
	return nil
}

// set changes what the target does.
func (t *fakeTarget) set(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f()
}

// has returns the names of the databases.
func (t *fakeTarget) has() (names []string) {
	specs, _ := t.List(context.Background())
	for _, d := range specs {
		names = append(names, d.Name)
	}
	return names
}

type fakeDestination struct{ penstock.Destination }

func (fakeDestination) Close() error { return nil }

func (t *fakeTarget) List(context.Context) ([]penstock.DatabaseSpec, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.list), t.listErr
}

func (t *fakeTarget) Detach(_ context.Context, name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.detached = append(t.detached, name)
	return nil
}

// fakeRunner runs until it is told to fail.
type fakeRunner struct {
	in   penstock.Integration
	db   penstock.DestinationDatabase
	fail chan error

	mu      sync.Mutex
	status  penstock.StreamStatus
	running bool
	tuned   []penstock.DatabaseOptions
}

func (r *fakeRunner) Run(ctx context.Context) error {
	r.mu.Lock()
	r.running = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.running = false
		r.mu.Unlock()
	}()
	select {
	case err := <-r.fail:
		return err
	case <-ctx.Done():
		return nil
	}
}

func (r *fakeRunner) Status() penstock.StreamStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

func (r *fakeRunner) set(state penstock.StreamState, tables ...penstock.TableStatus) {
	r.mu.Lock()
	r.status.State, r.status.Tables = state, tables
	r.mu.Unlock()
}

func (r *fakeRunner) problems(p ...penstock.Problem) {
	r.mu.Lock()
	r.status.Problems = p
	r.mu.Unlock()
}

func table(name string, state penstock.TableState, readable bool) penstock.TableStatus {
	return penstock.TableStatus{Table: penstock.Table{Schema: "public", Name: name}, State: state, Readable: readable}
}

func (s *fakeSource) Engine() string { return "PostgreSQL" }
func (t *fakeTarget) Engine() string { return "duckdb" }

// fakeKeys is a keyring of the built-in key and one called app.
type fakeKeys struct{}

const appKey = "arn:aws:kms:us-east-1:123456789012:key/app"

func (fakeKeys) Resolve(id string) (string, error) {
	switch id {
	case "":
		return Scope{Partition: "aws", Region: "us-east-1", Account: "123456789012"}.KeyARN("builtin"), nil
	case "alias/app":
		return appKey, nil
	}
	return "", penstock.Errorf(penstock.KindKeyNotAccessible, "no key %s", id)
}

func (fakeKeys) NewDataKey(arn string, context map[string]string) ([]byte, error) {
	return []byte(arn + fmt.Sprint(context)), nil
}

// bench is a control plane over fakes.
type bench struct {
	t      *testing.T
	cfg    Config
	pg     *fakeSource
	my     *fakeSource
	target *fakeTarget
	svc    *Service
	sup    *Supervisor
	stop   func()

	mu      sync.Mutex
	runners []*fakeRunner
	refuse  error // what the next runner ends with at once
}

// setup returns a bench; its supervisor is not running yet.
func setup(t *testing.T) *bench {
	b := &bench{t: t, pg: &fakeSource{parts: 3}, my: &fakeSource{parts: 2}, target: &fakeTarget{}, stop: func() {}}
	scope := Scope{Partition: "aws", Region: "us-east-1", Account: "123456789012"}
	b.cfg = Config{
		Scope: scope,
		Sources: map[string]SourceEntry{
			"shop": {Kind: "cluster", Source: b.pg},
			"old":  {Kind: "db", Source: b.my},
		},
		Targets: map[string]TargetEntry{
			"analytics": {ARN: targetARN("1"), Target: b.target},
			"second":    {ARN: targetARN("2"), Target: &fakeTarget{}},
		},
		Keys:  fakeKeys{},
		Store: memstore.New(),
		Runners: func(in penstock.Integration, db penstock.DestinationDatabase) (Runner, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			r := &fakeRunner{in: in, db: db, fail: make(chan error, 1)}
			r.status.State = penstock.StreamSchemaDiscovery
			if b.refuse != nil {
				r.fail <- b.refuse
			}
			b.runners = append(b.runners, r)
			return r, nil
		},
	}
	b.make()
	return b
}

// make makes service and supervisor anew, as after a restart.
func (b *bench) make() {
	var err error
	if b.sup, err = NewSupervisor(b.cfg); err != nil {
		b.t.Fatal(err)
	}
	if b.svc, err = NewService(b.cfg, b.sup.Wake); err != nil {
		b.t.Fatal(err)
	}
}

// start runs the supervisor until stop or the end of the test.
func (b *bench) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.sup.Run(ctx) }()
	var once sync.Once
	b.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				b.t.Errorf("Run: %v", err)
			}
		})
	}
}

// bubble runs a test in a bubble of simulated time with a running supervisor.
func bubble(t *testing.T, f func(*testing.T, *bench)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.start()
		defer func() { b.stop() }()
		f(t, b)
	})
}

func (b *bench) request(name string) CreateRequest {
	return CreateRequest{
		SourceARN: b.cfg.SourceARN("cluster", "shop"), TargetARN: b.cfg.Targets["analytics"].ARN,
		Name: name, DataFilter: "include: app.*.*",
	}
}

// create makes an integration and waits until its runner runs.
func (b *bench) create() penstock.Integration {
	b.t.Helper()
	in, err := b.svc.Create(context.Background(), b.request("one"))
	if err != nil {
		b.t.Fatal(err)
	}
	synctest.Wait()
	return in
}

// active makes an integration that replicates one table.
func (b *bench) active() (penstock.Integration, *fakeRunner) {
	b.t.Helper()
	in := b.create()
	r := b.newest()
	r.set(penstock.StreamCdcRefresh, table("a", penstock.TableSynced, true))
	b.after(time.Second)
	b.want(in.ID, penstock.StatusActive)
	return b.get(in.ID), r
}

func (b *bench) after(d time.Duration) {
	time.Sleep(d) // simulated
	synctest.Wait()
}

func (b *bench) newest() *fakeRunner {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.runners) == 0 {
		b.t.Fatal("no runner was made")
	}
	return b.runners[len(b.runners)-1]
}

func (b *bench) made() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.runners)
}

func (b *bench) running() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, r := range b.runners {
		r.mu.Lock()
		if r.running {
			n++
		}
		r.mu.Unlock()
	}
	return n
}

func (b *bench) setRefuse(err error) {
	b.mu.Lock()
	b.refuse = err
	b.mu.Unlock()
}

func (b *bench) get(id penstock.IntegrationID) penstock.Integration {
	b.t.Helper()
	in, err := b.cfg.Store.Get(context.Background(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return in
}

func (b *bench) want(id penstock.IntegrationID, status penstock.Status, codes ...penstock.ProblemCode) {
	b.t.Helper()
	in := b.get(id)
	var have []penstock.ProblemCode
	for _, p := range in.Problems {
		have = append(have, p.Code)
		if p.Since.IsZero() || p.Message == "" {
			b.t.Errorf("the problem %+v is incomplete", p)
		}
	}
	if in.Status != status || !slices.Equal(have, codes) {
		b.t.Fatalf("the integration is %s with %v; want %s with %v", in.Status, have, status, codes)
	}
}

func (b *bench) gone(id penstock.IntegrationID) {
	b.t.Helper()
	if _, err := b.cfg.Store.Get(context.Background(), id); penstock.KindOf(err) != penstock.KindIntegrationNotFound {
		b.t.Fatalf("the integration is still there (%v)", err)
	}
}

// events returns the numbers of all events, in order.
func (b *bench) events() string {
	b.t.Helper()
	events, err := b.cfg.Store.Events(context.Background(), "", time.Time{})
	if err != nil {
		b.t.Fatal(err)
	}
	var numbers []string
	for _, e := range events {
		prefix := ""
		if strings.HasPrefix(string(e.Kind), "PENSTOCK") {
			prefix = "P"
		}
		numbers = append(numbers, prefix+string(e.Kind[len(e.Kind)-4:]))
	}
	return strings.Join(numbers, " ")
}

func (b *bench) wantEvents(want string) {
	b.t.Helper()
	if got := b.events(); got != want {
		b.t.Errorf("the events are %s; want %s", got, want)
	}
}

func wantKind(t *testing.T, err error, kind penstock.Kind, text string) {
	t.Helper()
	var e *penstock.Error
	if !errors.As(err, &e) || e.Kind != kind || !strings.Contains(err.Error(), text) {
		t.Errorf("the error is %v (%v); want %v with %q", err, penstock.KindOf(err), kind, text)
	}
}

func unreachable() error {
	return penstock.Errorf(penstock.KindUnreachable, "connection refused")
}

func settingWrong() error {
	return &penstock.Error{Kind: penstock.KindSetting, Message: "wal_level is replica", Mend: "ALTER SYSTEM SET wal_level = logical"}
}

func names(dbs []penstock.DestinationDatabase) string {
	var s []string
	for _, d := range dbs {
		s = append(s, fmt.Sprintf("%s=%s", d.SourceDatabase, d.Name))
	}
	return strings.Join(s, " ")
}

// brittleStore fails while it is broken.
type brittleStore struct {
	penstock.Store
	broken atomic.Bool
}

func (s *brittleStore) Get(ctx context.Context, id penstock.IntegrationID) (penstock.Integration, error) {
	if s.broken.Load() {
		return penstock.Integration{}, errors.New("disk full")
	}
	return s.Store.Get(ctx, id)
}

func (s *brittleStore) List(ctx context.Context) ([]penstock.Integration, error) {
	if s.broken.Load() {
		return nil, errors.New("disk full")
	}
	return s.Store.List(ctx)
}

func (s *brittleStore) Update(ctx context.Context, id penstock.IntegrationID, f func(*penstock.Integration) error) (penstock.Integration, error) {
	if s.broken.Load() {
		return penstock.Integration{}, errors.New("disk full")
	}
	return s.Store.Update(ctx, id, f)
}

func targetARN(n string) string {
	return "arn:aws:redshift-serverless:us-east-1:123456789012:namespace/0f7c3c5e-0000-4000-8000-00000000000" + n
}
