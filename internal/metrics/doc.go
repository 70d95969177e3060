// Package metrics shows what is known about integrations in Prometheus' text
// format (promise 8). Each scrape asks for the statuses anew; nothing is
// counted here. Where Amazon has a CloudWatch metric for the same thing, the
// help text names it.
//
// Start reading at Collector.
package metrics
