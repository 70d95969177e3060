package app

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"

	"penstock"
	"penstock/internal/config"
	"penstock/internal/pgwire"
	"penstock/internal/pgwire/redshift"
)

// makeEndpoints makes the SQL endpoints of the warehouses.
func (a *App) makeEndpoints() error {
	encryption, err := a.encryption()
	if err != nil {
		return err
	}
	users := make([]pgwire.User, len(a.cfg.SQL.Users))
	for i, u := range a.cfg.SQL.Users {
		users[i] = pgwire.User{Name: u.Name, Password: u.Password.Reveal(), Superuser: u.Superuser}
	}
	for _, e := range a.cfg.Endpoints() {
		server, err := pgwire.New(pgwire.Config{
			Listener: a.sql[e.Target], TLS: encryption, Users: users, Warehouse: a.warehouses[e.Target],
			Views: targetViews{a, e.Target}, Manager: targetManager{a, e.Target}, Logger: a.log.With("target", e.Target),
		})
		if err != nil {
			return &penstock.Error{Kind: penstock.KindOf(err), Op: "serve the SQL endpoint of target " + e.Target, Err: err}
		}
		a.endpoints[e.Target] = server
	}
	return nil
}

// encryption returns the TLS configuration of the SQL endpoints, nil for none.
func (a *App) encryption() (*tls.Config, error) {
	switch t := a.cfg.SQL.TLS; t.Mode {
	case config.TLSAuto:
		dir := filepath.Join(a.cfg.DataDir, tlsName)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, folderError(dir, err)
		}
		return pgwire.SelfSigned(dir)
	case config.TLSFiles:
		return loadCertificate(t, "sql.tls")
	}
	return nil, nil
}

// loadCertificate reads a certificate and its key; key is where in the
// configuration they are named.
func loadCertificate(t config.TLS, key string) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, &penstock.Error{Kind: penstock.KindInvalid, Op: "read " + key, Err: err, Mend: "cert and key must be PEM files that belong together"}
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

// targetViews shows the integrations of one target to its SQL endpoint.
type targetViews struct {
	app    *App
	target string
}

func (v targetViews) Integrations() []redshift.IntegrationView {
	var out []redshift.IntegrationView
	for _, i := range v.app.supervisor.Snapshot() {
		if i.Target != v.target {
			continue
		}
		view := redshift.IntegrationView{Integration: i.Integration, Streams: i.Streams}
		if s, ok := v.app.sources[i.Source]; ok {
			view.Engine = s.Source.Engine()
		}
		out = append(out, view)
	}
	return out
}

func (v targetViews) History() penstock.History {
	if j := v.app.journals[v.target]; j != nil {
		return j
	}
	return nil
}

func (v targetViews) Stored(ctx context.Context, database string) ([]penstock.StoredTable, error) {
	return v.app.warehouses[v.target].Stored(ctx, database)
}

func (v targetViews) Sizes(ctx context.Context, database string) (map[penstock.TableID]penstock.TableSize, error) {
	return v.app.warehouses[v.target].Sizes(ctx, database)
}

// targetManager carries out what a target's SQL endpoint is asked about its
// integrations.
type targetManager struct {
	app    *App
	target string
}

func (m targetManager) CreateDatabase(ctx context.Context, d penstock.NewDatabase) error {
	return m.app.supervisor.CreateDatabase(ctx, m.target, d)
}

func (m targetManager) SetOptions(ctx context.Context, database string, c penstock.OptionsChange) error {
	return m.app.supervisor.SetOptions(ctx, m.target, database, c)
}

func (m targetManager) SetHistory(ctx context.Context, database string, c penstock.HistoryChange) (tables, skipped int, err error) {
	h, ctx, cancel, err := m.app.supervisor.Historian(ctx, m.target, database)
	if err != nil {
		return 0, 0, err
	}
	defer cancel()
	return h.SetHistory(ctx, c)
}

func (m targetManager) ChangeTable(ctx context.Context, c redshift.ChangeTable) error {
	h, ctx, cancel, err := m.app.supervisor.Historian(ctx, m.target, c.Database)
	if err != nil {
		return err
	}
	defer cancel()
	switch c.Change {
	case redshift.TruncateTable:
		return h.EndRows(ctx, c.Table)
	case redshift.DropTable:
		return h.DropKept(ctx, c.Table)
	default:
		return h.RenameKept(ctx, c.Table, c.To)
	}
}

func (m targetManager) DropDatabase(ctx context.Context, database string) error {
	return m.app.supervisor.DropDatabase(ctx, m.target, database)
}

func (m targetManager) Refresh(ctx context.Context, database string, r penstock.Refresh) (int, error) {
	if r.Scope == penstock.RefreshRemediable {
		return m.app.remedy(ctx, m.target, database, r.Schemas, m.app.verifying)
	}
	return m.app.supervisor.Refresh(ctx, m.target, database, r)
}

func (m targetManager) Await(ctx context.Context, database, position string) error {
	err := m.app.supervisor.Await(ctx, m.target, database, position)
	if penstock.KindOf(err) == penstock.KindNotFound && err != nil {
		return nil // there is nothing to come
	}
	return err
}
