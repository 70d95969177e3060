package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"penstock"
	"penstock/internal/config"
)

// CheckedSource is what a check found out about one source.
type CheckedSource struct {
	Source   string
	ARN      string
	Filter   string // "" for all databases
	Findings []penstock.Finding
	Err      error // why it could not be checked
}

// Check examines the named sources of a configuration, all if none is named,
// for an integration with the filter; "" is all databases and tables. It needs
// no running server. Its error is about the arguments.
func Check(ctx context.Context, cfg *config.Config, filter string, names []string) ([]CheckedSource, error) {
	if len(names) == 0 {
		for _, s := range cfg.Sources {
			names = append(names, s.Name)
		}
	}
	var out []CheckedSource
	for _, name := range names {
		s := cfg.Source(name)
		if s == nil {
			return nil, penstock.Errorf(penstock.KindSourceNotFound, "the configuration has no source %s", name)
		}
		source, err := openSource(s, slog.New(slog.DiscardHandler))
		if err != nil {
			return nil, err
		}
		defer source.Close()
		var f penstock.Filter
		if filter != "" {
			if f, err = source.ParseFilter(filter); err != nil {
				return nil, err
			}
		}
		c := CheckedSource{Source: name, ARN: cfg.SourceARN(s), Filter: filter}
		c.Findings, c.Err = source.Check(ctx, f)
		out = append(out, c)
	}
	return out, nil
}

// FetchReport asks the server that runs on a data folder for its report. The
// error is KindUnreachable if none runs.
func FetchReport(ctx context.Context, dataDir string) (*Report, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	reply, err := askServer(ctx, dataDir, http.MethodGet, "/report", nil)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s", reply.Status)
	}
	var r Report
	if err := json.NewDecoder(reply.Body).Decode(&r); err != nil {
		return nil, fmt.Errorf("read the server's report: %w", err)
	}
	return &r, nil
}

// askServer sends a request to the control socket of the server that runs on a
// data folder. The error is KindUnreachable if none runs.
func askServer(ctx context.Context, dataDir, method, path string, body io.Reader) (*http.Response, error) {
	socket := filepath.Join(dataDir, socketName)
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
		DisableKeepAlives: true,
	}}
	request, err := http.NewRequestWithContext(ctx, method, "http://penstock"+path, body)
	if err != nil {
		return nil, err
	}
	reply, err := client.Do(request)
	if err != nil {
		if cause := (*url.Error)(nil); errors.As(err, &cause) {
			err = cause.Err // without the address, which is ours
		}
		return nil, penstock.Errorf(penstock.KindUnreachable, "no server runs on data_dir %s: %w", dataDir, err)
	}
	return reply, nil
}
