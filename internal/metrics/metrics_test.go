package metrics_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"penstock"
	"penstock/internal/metrics"
)

type views []metrics.View

func (v views) Views() []metrics.View { return v }

func example() metrics.Options {
	table := func(s penstock.TableState, bad int64) penstock.TableStatus {
		return penstock.TableStatus{State: s, BadValues: penstock.BadValues{1: bad}}
	}
	return metrics.Options{
		Version: "1.2.3",
		Orphans: func() int { return 2 },
		Integrations: views{
			{
				Integration: penstock.Integration{
					ID: "0f7c3c5e-8a51-4f0a-9a4e-2f6d1f5b7c10", Name: "shop", Status: penstock.StatusActive,
					Problems: []penstock.Problem{{Severity: penstock.SeverityWarning}},
				},
				Target: "analytics",
				Streams: []penstock.StreamStatus{
					{
						Database:    penstock.DestinationDatabase{Name: "shop", SourceDatabase: "shop"},
						LastCommit:  time.UnixMilli(1_700_000_000_500),
						LastApplied: time.UnixMilli(1_700_000_001_000),
						Lag:         250 * time.Millisecond, RetainedWAL: 4096,
						Transactions: 7, RowsChanged: 11, RowsLoaded: 13, BytesApplied: 17,
						Tables: []penstock.TableStatus{
							table(penstock.TableSynced, 1), table(penstock.TableSynced, 2), table(penstock.TableFailed, 0),
						},
					},
					{
						Database: penstock.DestinationDatabase{Name: "crm\xff", SourceDatabase: "crm"},
						Loading:  &penstock.LoadProgress{Bytes: 10, TotalBytes: 100},
					},
				},
			},
			{Integration: penstock.Integration{ID: "1", Name: "new", Status: penstock.StatusCreating}, Target: "analytics"},
		},
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	const (
		of    = `integration="shop",integration_id="0f7c3c5e-8a51-4f0a-9a4e-2f6d1f5b7c10"`
		shop  = `database="shop",` + of + `,source_database="shop"`
		other = `database="crm` + "\uFFFD" + `",` + of + `,source_database="crm"`
		to    = `target="analytics"`
	)
	for name, want := range map[string]string{
		"penstock_integrations": `# HELP penstock_integrations Integrations by IntegrationStatus.
			# TYPE penstock_integrations gauge
			penstock_integrations{status="active"} 1
			penstock_integrations{status="creating"} 1
			penstock_integrations{status="deleting"} 0
			penstock_integrations{status="failed"} 0
			penstock_integrations{status="modifying"} 0
			penstock_integrations{status="needs_attention"} 0
			penstock_integrations{status="syncing"} 0
			`,
		"penstock_orphans": `# HELP penstock_orphans Deleted integrations that left something at an unreachable source; removing it is retried.
			# TYPE penstock_orphans gauge
			penstock_orphans 2
			`,
		"penstock_integration_status": `# HELP penstock_integration_status Always 1; the label status is the integration's IntegrationStatus.
			# TYPE penstock_integration_status gauge
			penstock_integration_status{` + of + `,status="active",` + to + `} 1
			penstock_integration_status{integration="new",integration_id="1",status="creating",` + to + `} 1
			`,
		"penstock_integration_lag_seconds": `# HELP penstock_integration_lag_seconds Time from the commit at the source to the row being queryable in the warehouse (AWS: IntegrationLag).
			# TYPE penstock_integration_lag_seconds gauge
			penstock_integration_lag_seconds{` + shop + `,` + to + `} 0.25
			penstock_integration_lag_seconds{` + other + `,` + to + `} 0
			`,
		"penstock_integration_rows_changed_total": `# HELP penstock_integration_rows_changed_total Rows inserted, updated and deleted at the source and applied since this process started.
			# TYPE penstock_integration_rows_changed_total counter
			penstock_integration_rows_changed_total{` + shop + `,` + to + `} 11
			penstock_integration_rows_changed_total{` + other + `,` + to + `} 0
			`,
		"penstock_integration_latest_applied_change_timestamp_seconds": `# HELP penstock_integration_latest_applied_change_timestamp_seconds When the newest applied transaction was committed at the source, in seconds since 1970 (AWS: IntegrationLatestAppliedChange).
			# TYPE penstock_integration_latest_applied_change_timestamp_seconds gauge
			penstock_integration_latest_applied_change_timestamp_seconds{` + shop + `,` + to + `} 1.7000000005e+09
			`,
		"penstock_integration_bad_values": `# HELP penstock_integration_bad_values Values stored as NULL because the warehouse cannot hold them.
			# TYPE penstock_integration_bad_values gauge
			penstock_integration_bad_values{` + shop + `,` + to + `} 3
			penstock_integration_bad_values{` + other + `,` + to + `} 0
			`,
		"penstock_integration_load_total_bytes": `# HELP penstock_integration_load_total_bytes Bytes of the source's tables that the running load will read, estimated.
			# TYPE penstock_integration_load_total_bytes gauge
			penstock_integration_load_total_bytes{` + other + `,` + to + `} 100
			`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := testutil.CollectAndCompare(metrics.NewCollector(example()), strings.NewReader(want), name); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLint(t *testing.T) {
	t.Parallel()
	found, err := testutil.CollectAndLint(metrics.NewCollector(example()))
	if err != nil || len(found) != 0 {
		t.Error(found, err)
	}
	// A pedantic registry checks that what is sent was described.
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(metrics.NewCollector(example()))
	if _, err := r.Gather(); err != nil {
		t.Error(err)
	}
}

func TestHandler(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(metrics.Handler(example()))
	defer server.Close()
	reply, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode != http.StatusOK {
		t.Fatal(reply.Status, err)
	}
	for _, want := range []string{
		`penstock_build_info{goversion="go1.`, `version="1.2.3"} 1`, "go_goroutines", "process_resident_memory_bytes",
		"IntegrationLag", "IntegrationNumTablesReplicated", "IntegrationNumTablesFailedReplication",
		"IntegrationDataTransferred", "IntegrationLatestAppliedChange",
		`penstock_integration_tables{database="shop",integration="shop",integration_id="0f7c3c5e-8a51-4f0a-9a4e-2f6d1f5b7c10",source_database="shop",state="Synced",target="analytics"} 2`,
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(string(body), "An error has occurred") {
		t.Error(string(body))
	}
}
