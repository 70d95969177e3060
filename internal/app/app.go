package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"penstock"
	"penstock/internal/config"
	"penstock/internal/control"
	"penstock/internal/journal"
	"penstock/internal/pgwire"
	"penstock/internal/pipeline"
	"penstock/internal/secret"
	"penstock/internal/store/sqlitestore"
	"penstock/internal/target/duckdbtarget"
)

// Options are what a process decides beside the configuration.
type Options struct {
	Version string
	Logger  *slog.Logger
}

// App is a Penstock server.
type App struct {
	cfg  *config.Config
	log  *slog.Logger
	opts Options

	lock       *os.File
	store      penstock.Store
	keys       *secret.Keyring
	sources    map[string]control.SourceEntry
	targets    map[string]control.TargetEntry
	warehouses map[string]*duckdbtarget.Warehouse
	journals   map[string]*journal.Journal // by target
	supervisor *control.Supervisor

	api       net.Listener
	scheme    string                  // of the API: http or https
	sql       map[string]net.Listener // by target
	socket    net.Listener
	profiles  net.Listener // nil without debug.pprof
	handler   http.Handler
	endpoints map[string]*pgwire.Server // by target

	lane      *penstock.Lane // of large rows
	room      *pipeline.Room // of the streams
	starts    *pipeline.Starts
	verifying chan struct{} // holds one while a verification runs that somebody waits for
	remedying chan struct{} // likewise of AUTO_REMEDIATION, which may take long, and which nobody is to wait for
}

// Names in the data folder, beside those of package duckdbtarget.
const (
	lockName       = "penstock.lock"
	metadataName   = "penstock.db"
	socketName     = "penstock.sock"
	warehousesName = "warehouses"
	spillName      = "spill"
	journalsName   = "journal"
	tlsName        = "tls"
)

// New takes hold of the data folder, opens what is in it and listens. It
// accepts nobody and replicates nothing before Run. On error it holds nothing.
func New(ctx context.Context, cfg *config.Config, opts Options) (_ *App, err error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	a := &App{cfg: cfg, log: opts.Logger, opts: opts, scheme: "http", warehouses: map[string]*duckdbtarget.Warehouse{},
		journals: map[string]*journal.Journal{}, endpoints: map[string]*pgwire.Server{}, lane: penstock.NewLane(), room: pipeline.NewRoom(cfg.Memory / roomParts), starts: pipeline.NewStarts(startsAtATime), verifying: make(chan struct{}, 1), remedying: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	debug.SetMemoryLimit(goMemory(cfg.Memory))
	if a.lock, err = lockFolder(cfg.DataDir); err != nil {
		return nil, err
	}
	// Addresses first: a taken port is the likeliest fault, and the quickest
	// to find out.
	if a.api, err = listen(ctx, cfg.API.Listen, "api.listen"); err != nil {
		return nil, err
	}
	if cfg.API.TLS.Mode == config.TLSFiles {
		encryption, err := loadCertificate(cfg.API.TLS, "api.tls")
		if err != nil {
			return nil, err
		}
		a.api, a.scheme = tls.NewListener(a.api, encryption), "https"
	}
	a.sql = map[string]net.Listener{}
	for _, e := range cfg.Endpoints() {
		key := "sql.listen"
		if cfg.Target(e.Target).Listen != "" {
			key = "targets." + e.Target + ".listen"
		}
		if a.sql[e.Target], err = listen(ctx, e.Listen, key); err != nil {
			return nil, err
		}
	}
	if cfg.PProf != "" {
		if a.profiles, err = listen(ctx, cfg.PProf, "debug.pprof"); err != nil {
			return nil, err
		}
	}
	if a.socket, err = listenSocket(filepath.Join(cfg.DataDir, socketName)); err != nil {
		return nil, err
	}
	store, err := sqlitestore.Open(ctx, filepath.Join(cfg.DataDir, metadataName))
	if err != nil {
		return nil, err
	}
	a.store = store
	if a.keys, err = openKeys(cfg); err != nil {
		return nil, err
	}
	if a.sources, err = openSources(cfg, a.log); err != nil {
		return nil, err
	}
	if err := a.openTargets(ctx); err != nil {
		return nil, err
	}
	if err := a.makeControl(); err != nil {
		return nil, err
	}
	if err := a.makeEndpoints(); err != nil {
		return nil, err
	}
	return a, nil
}

// goMemory is the soft limit of Go's heap within the configured memory: what
// the engine does not take, and the 128 MiB on top that promise 7 allows.
func goMemory(memory int64) int64 { return memory - engineMemory(memory) + 64<<20 }

// engineMemory is the part of the memory that the DuckDB engines share.
func engineMemory(memory int64) int64 { return memory / 2 }

// Run serves until ctx ends. It returns nil after a clean shutdown.
func (a *App) Run(ctx context.Context) error {
	defer a.close()
	for _, w := range a.cfg.Warnings() {
		a.log.Warn("configuration", "warning", w)
	}
	defer a.keepJournals(ctx)()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.supervisor.Run(ctx) })
	g.Go(func() error { return a.keepRemedied(ctx) })
	g.Go(func() error { return serveHTTP(ctx, a.api, a.handler, a.log) })
	g.Go(func() error { return serveHTTP(ctx, a.socket, a.controlHandler(ctx), a.log) })
	if a.profiles != nil {
		g.Go(func() error { return serveHTTP(ctx, a.profiles, profileHandler(), a.log) })
	}
	ready := []any{"version", a.opts.Version, "api", a.scheme + "://" + a.api.Addr().String()}
	for target, endpoint := range a.endpoints {
		g.Go(func() error { return endpoint.Run(ctx) })
		ready = append(ready, "sql."+target, endpoint.Addr().String())
	}
	a.log.Info("penstock is ready", append(ready, "data_dir", a.cfg.DataDir)...)
	err := g.Wait()
	a.log.Info("penstock has stopped")
	return err
}

// keepJournals writes the journals until stop is called, which has to be after
// everything that is written down has ended.
func (a *App) keepJournals(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var g errgroup.Group
	for _, j := range a.journals {
		g.Go(func() error { return j.Run(ctx) })
	}
	return func() {
		cancel()
		_ = g.Wait() // a journal does not fail
	}
}

// APIAddr returns the address that the RDS API listens on.
func (a *App) APIAddr() net.Addr { return a.api.Addr() }

// SQLAddr returns the address of a target's SQL endpoint, nil if it has none.
func (a *App) SQLAddr(target string) net.Addr {
	if e := a.endpoints[target]; e != nil {
		return e.Addr()
	}
	return nil
}

// close lets go of what New took. It may be repeated.
func (a *App) close() {
	var errs []error
	for _, l := range append([]net.Listener{a.api, a.socket, a.profiles}, slices.Collect(maps.Values(a.sql))...) {
		if l != nil {
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	for _, s := range a.sources {
		errs = append(errs, s.Source.Close())
	}
	for _, w := range a.warehouses {
		errs = append(errs, w.Close())
	}
	for _, j := range a.journals {
		errs = append(errs, j.Close())
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	if a.lock != nil {
		errs = append(errs, a.lock.Close())
	}
	a.api, a.sql, a.socket, a.profiles, a.store, a.lock = nil, nil, nil, nil, nil, nil
	a.endpoints, a.sources, a.warehouses, a.journals = nil, nil, nil, nil
	if err := errors.Join(errs...); err != nil {
		a.log.Warn("closing", "error", err)
	}
}

func listen(ctx context.Context, address, key string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, listenError(err, address, key)
	}
	return l, nil
}

// listenError says why an address cannot be listened on, and which key of the
// configuration names it.
func listenError(err error, address, key string) error {
	e := &penstock.Error{Kind: penstock.KindSetting, Op: "listen on " + address, Err: err, Mend: fmt.Sprintf("change %s in the configuration", key)}
	if cause := (syscall.Errno)(0); errors.As(err, &cause) {
		e.Err = cause // without the operation and the address once more
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		e.Kind, e.Mend = penstock.KindConflict, "stop what uses the port, or "+e.Mend
	}
	return e
}

// drainTime is how long requests may go on at shutdown.
const drainTime = 5 * time.Second

// serveHTTP serves until ctx ends, then lets running requests finish.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	// What the server logs by itself is that a client did not speak TLS or HTTP.
	server := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) }}
	g := errgroup.Group{}
	stopped, stop := context.WithCancel(ctx)
	g.Go(func() error {
		<-stopped.Done()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		return server.Shutdown(drain)
	})
	err := server.Serve(l)
	stop()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, g.Wait())
}
