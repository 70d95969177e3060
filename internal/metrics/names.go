package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	integrationLabels = []string{"integration", "integration_id", "target"}
	streamLabels      = append(slices.Clip(integrationLabels), "database", "source_database")
)

// all has every metric, for Describe.
var all []*prometheus.Desc

func declare(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc("penstock_"+name, help, labels, nil)
	all = append(all, d)
	return d
}

func ofIntegration(name, help string, more ...string) *prometheus.Desc {
	return declare("integration_"+name, help, append(slices.Clip(integrationLabels), more...)...)
}

func ofStream(name, help string, more ...string) *prometheus.Desc {
	return declare("integration_"+name, help, append(slices.Clip(streamLabels), more...)...)
}

// The metrics of the server.
var (
	buildInfo    = declare("build_info", "Always 1; the labels say which version of the program runs.", "version", "goversion")
	integrations = declare("integrations", "Integrations by IntegrationStatus.", "status")
	orphans      = declare("orphans", "Deleted integrations that left something at an unreachable source; removing it is retried.")
)

// The metrics of an integration.
var (
	integrationStatus = ofIntegration("status", "Always 1; the label status is the integration's IntegrationStatus.", "status")
	problems          = ofIntegration("problems", "Problems in the integration's Errors.", "severity")
)

// The metrics of an integration's stream into one destination database.
var (
	lag = ofStream("lag_seconds",
		"Time from the commit at the source to the row being queryable in the warehouse (AWS: IntegrationLag).")
	tables = ofStream("tables",
		"Tables by state; Synced are those replicated (AWS: IntegrationNumTablesReplicated), Failed those that are not (AWS: IntegrationNumTablesFailedReplication).",
		"state")
	transferred = ofStream("data_transferred_bytes_total",
		"Bytes of decoded rows applied to the warehouse since this process started (AWS: IntegrationDataTransferred).")
	lastCommit = ofStream("latest_applied_change_timestamp_seconds",
		"When the newest applied transaction was committed at the source, in seconds since 1970 (AWS: IntegrationLatestAppliedChange).")
	lastApplied  = ofStream("latest_apply_timestamp_seconds", "When the warehouse was last changed, in seconds since 1970.")
	transactions = ofStream("transactions_total", "Source transactions applied since this process started.")
	rowsChanged  = ofStream("rows_changed_total", "Rows inserted, updated and deleted at the source and applied since this process started.")
	rowsLoaded   = ofStream("rows_loaded_total", "Rows copied by first loads and reloads since this process started.")
	badValues    = ofStream("bad_values", "Values stored as NULL because the warehouse cannot hold them.")
	retained     = ofStream("retained_wal_bytes", "Bytes of history that the source keeps for this stream.")
	retainedAge  = ofStream("retained_xmin_age", "How many transactions ago the oldest began whose row versions the source cannot clean away because of this stream.")
	loadRead     = ofStream("load_read_bytes", "Bytes of the source's tables that the running load has read.")
	loadLeft     = ofStream("load_left_seconds", "About how long the rest of the running load takes; 0 while that is not known.")
	loadTotal    = ofStream("load_total_bytes", "Bytes of the source's tables that the running load will read, estimated.")
)
