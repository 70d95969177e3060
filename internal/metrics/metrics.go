package metrics

import (
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"penstock"
)

// View is what metrics show about one integration.
type View struct {
	Integration penstock.Integration
	Target      string // the target's name in the configuration
	Streams     []penstock.StreamStatus
}

// Snapshotter knows the integrations. Views is called for each scrape, by any
// goroutine, and must not wait for a source or target.
type Snapshotter interface {
	Views() []View
}

// Options says what to show.
type Options struct {
	Integrations Snapshotter
	// Orphans returns the number of orphans; nil for a server without.
	Orphans func() int
	Version string // of this program
}

// Handler serves the metrics of o and those of the process.
func Handler(o Options) http.Handler {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(NewCollector(o),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{Registry: r})
}

// Collector turns statuses into metrics when it is scraped.
type Collector struct{ o Options }

var _ prometheus.Collector = (*Collector)(nil)

// NewCollector returns a collector, for a registry of the caller's.
func NewCollector(o Options) *Collector { return &Collector{o} }

// Describe sends the descriptions of all metrics.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range all {
		out <- d
	}
}

// Collect sends the metrics as they are now.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	send(out, buildInfo, prometheus.GaugeValue, 1, c.o.Version, runtime.Version())
	if c.o.Orphans != nil {
		send(out, orphans, prometheus.GaugeValue, float64(c.o.Orphans()))
	}
	views := c.o.Integrations.Views()
	byStatus := map[penstock.Status]int{}
	for _, v := range views {
		byStatus[v.Integration.Status]++
		collectIntegration(out, v)
	}
	for _, s := range statuses {
		send(out, integrations, prometheus.GaugeValue, float64(byStatus[s]), string(s))
	}
}

var statuses = []penstock.Status{
	penstock.StatusCreating, penstock.StatusActive, penstock.StatusModifying, penstock.StatusSyncing,
	penstock.StatusNeedsAttention, penstock.StatusFailed, penstock.StatusDeleting,
}

var tableStates = []penstock.TableState{
	penstock.TableSynced, penstock.TableFailed, penstock.TableDeleted,
	penstock.TableResyncRequired, penstock.TableResyncInitiated, penstock.TableDroppedSource,
}

var severities = []penstock.Severity{
	penstock.SeverityInfo, penstock.SeverityWarning, penstock.SeverityAttention, penstock.SeverityFatal,
}

func collectIntegration(out chan<- prometheus.Metric, v View) {
	in := v.Integration
	id := []string{in.Name, string(in.ID), v.Target}
	send(out, integrationStatus, prometheus.GaugeValue, 1, append(id, string(in.Status))...)

	bySeverity := map[penstock.Severity]int{}
	for _, p := range in.Problems {
		bySeverity[p.Severity]++
	}
	for _, s := range severities {
		send(out, problems, prometheus.GaugeValue, float64(bySeverity[s]), append(id, string(s))...)
	}
	for i := range v.Streams {
		s := &v.Streams[i]
		collectStream(out, s, append(id, s.Database.Name, s.Database.SourceDatabase))
	}
}

func collectStream(out chan<- prometheus.Metric, s *penstock.StreamStatus, labels []string) {
	gauge := func(d *prometheus.Desc, x float64) { send(out, d, prometheus.GaugeValue, x, labels...) }
	counter := func(d *prometheus.Desc, n int64) { send(out, d, prometheus.CounterValue, float64(n), labels...) }

	gauge(lag, s.Lag.Seconds())
	gauge(retained, float64(s.RetainedWAL))
	gauge(retainedAge, float64(s.RetainedAge))
	counter(transactions, s.Transactions)
	counter(rowsChanged, s.RowsChanged)
	counter(rowsLoaded, s.RowsLoaded)
	counter(transferred, s.BytesApplied)
	if !s.LastCommit.IsZero() {
		gauge(lastCommit, seconds(s.LastCommit))
	}
	if !s.LastApplied.IsZero() {
		gauge(lastApplied, seconds(s.LastApplied))
	}
	if l := s.Loading; l != nil {
		gauge(loadRead, float64(l.Bytes))
		gauge(loadTotal, float64(l.TotalBytes))
		gauge(loadLeft, l.Left.Seconds())
	}

	byState, bad := map[penstock.TableState]int{}, int64(0)
	for i := range s.Tables {
		byState[s.Tables[i].State]++
		bad += s.Tables[i].BadValues.Total()
	}
	gauge(badValues, float64(bad))
	for _, state := range tableStates {
		send(out, tables, prometheus.GaugeValue, float64(byState[state]), append(labels, string(state))...)
	}
}

// send sends a metric. One label that is no text must not spoil the scrape.
func send(out chan<- prometheus.Metric, d *prometheus.Desc, t prometheus.ValueType, x float64, labels ...string) {
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "\uFFFD")
	}
	out <- prometheus.MustNewConstMetric(d, t, x, labels...)
}

// seconds returns a time as Prometheus has it: seconds since 1970.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
