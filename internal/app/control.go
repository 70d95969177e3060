package app

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/pprof"
	"time"

	"penstock"
	"penstock/internal/awsapi"
	"penstock/internal/awsapi/rds"
	"penstock/internal/awsapi/redshift"
	"penstock/internal/awsapi/serverless"
	"penstock/internal/awsapi/sts"
	"penstock/internal/control"
	"penstock/internal/metrics"
)

// makeControl wires the control plane, and the HTTP API before it.
func (a *App) makeControl() error {
	c := control.Config{
		Scope: scopeOf(a.cfg), Sources: a.sources, Targets: a.targets, Keys: a.keys,
		Quotas:        control.Quotas(a.cfg.Quotas),
		CreatingLimit: a.cfg.CreatingLimit, DeleteGrace: a.cfg.DeleteGrace,
		Store: a.store, Runners: a.runner, Logger: a.log,
	}
	var err error
	if a.supervisor, err = control.NewSupervisor(c); err != nil {
		return err
	}
	service, err := control.NewService(c, a.supervisor.Wake)
	if err != nil {
		return err
	}
	keys := make([]awsapi.AccessKey, len(a.cfg.AccessKeys))
	for i, k := range a.cfg.AccessKeys {
		keys[i] = awsapi.AccessKey{ID: k.ID, Secret: k.Secret.Reveal(), Policy: k.Policy}
	}
	api := awsapi.New(awsapi.Config{
		Region: a.cfg.Region, Account: a.cfg.Account, Partition: a.cfg.Partition(),
		AccessKeys: keys, Throttle: awsapi.Throttle(a.cfg.Throttle), Logger: a.log,
	}, rds.Service(service), redshift.Service(service), serverless.Service(service), sts.Service())
	mux := http.NewServeMux()
	mux.Handle("/", api)
	mux.HandleFunc("GET /healthz", a.health)
	mux.Handle("GET /metrics", metrics.Handler(metrics.Options{Integrations: views{a.supervisor}, Orphans: a.orphanCount, Version: a.opts.Version}))
	a.handler = mux
	return nil
}

// storeTimeout bounds what a health check or a scrape asks of the store.
const storeTimeout = 2 * time.Second

// health answers whether this process can do its work: it is alive, and its
// metadata can be read.
func (a *App) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if _, err := a.store.Orphans(ctx); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "metadata cannot be read\n")
		a.log.Error("health check", "error", err)
		return
	}
	io.WriteString(w, "ok\n")
}

func (a *App) orphanCount() int {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	orphans, err := a.store.Orphans(ctx)
	if err != nil {
		a.log.Error("count orphans", "error", err)
	}
	return len(orphans)
}

// views shows the supervisor's integrations to the metrics.
type views struct{ supervisor *control.Supervisor }

func (v views) Views() []metrics.View {
	var out []metrics.View
	for _, i := range v.supervisor.Snapshot() {
		out = append(out, metrics.View{Integration: i.Integration, Target: i.Target, Streams: i.Streams})
	}
	return out
}

// Report is what the control socket tells commands about the running server.
type Report struct {
	Version      string
	Integrations []control.IntegrationView
	Orphans      []penstock.Orphan
}

// controlHandler serves the control socket: GET /report and POST /verify, which
// ends with ctx.
func (a *App) controlHandler(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /report", func(w http.ResponseWriter, r *http.Request) {
		orphans, err := a.store.Orphans(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(Report{Version: a.opts.Version, Integrations: a.supervisor.Snapshot(), Orphans: orphans})
	})
	mux.HandleFunc("POST /verify", func(w http.ResponseWriter, r *http.Request) { a.serveVerify(ctx, w, r) })
	return mux
}

func profileHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
