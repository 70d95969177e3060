package e2e

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

var metricLine = regexp.MustCompile(`^([a-z_]+(?:\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})?) ([0-9.eE+-]+|NaN|\+Inf)$`)

// metrics returns what /metrics shows, by series.
func (p *penstock) metrics(t testing.TB) map[string]string {
	t.Helper()
	reply, err := http.Get("http://" + p.api + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode != http.StatusOK {
		t.Fatalf("/metrics: %s, %v", reply.Status, err)
	}
	p.assertDiscreet(t, string(text))
	series := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "# ") {
			continue
		}
		m := metricLine.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("not a metric: %q", line)
		}
		series[m[1]] = m[2]
	}
	return series
}
