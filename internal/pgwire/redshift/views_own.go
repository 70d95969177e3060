package redshift

import (
	"context"

	"penstock"
)

// ownViews show what Redshift has no view for.
var ownViews = map[string]*systemView{
	// How a stream gets on.
	"penstock_stream": {
		columns: []penstock.ResultColumn{
			text("integration_id"), text("target_database"), text("source_database"), text("state"), text("position"),
			column("lag_ms", penstock.TypeInt64), // commit to queryable
			column("last_commit", penstock.TypeTimestamp), column("last_applied", penstock.TypeTimestamp),
			column("rows_per_second", penstock.TypeFloat64), column("bytes_per_second", penstock.TypeFloat64), // over the last ten seconds
			column("retained_wal_bytes", penstock.TypeInt64),
			// Since the process started:
			column("transactions", penstock.TypeInt64), column("rows_changed", penstock.TypeInt64),
			column("rows_loaded", penstock.TypeInt64), column("bytes_applied", penstock.TypeInt64),
		},
		fill: fillStream,
	},
	// The loads that are going on.
	"penstock_load": {
		columns: []penstock.ResultColumn{
			text("integration_id"), text("target_database"),
			column("since", penstock.TypeTimestamp),
			column("tables", penstock.TypeInt32), column("tables_done", penstock.TypeInt32),
			column("rows_read", penstock.TypeInt64), column("bytes_read", penstock.TypeInt64), column("bytes_total", penstock.TypeInt64), // the last estimated
		},
		fill: fillLoad,
	},
	// What is to be told, of integrations and of their streams.
	"penstock_problem": {
		columns: []penstock.ResultColumn{
			text("integration_id"), text("source_database"), text("table_name"), text("code"), text("severity"), text("message"), text("mend"),
			column("since", penstock.TypeTimestamp),
		},
		fill: fillProblem,
	},
	// Values stored as NULL since a table was loaded, by column.
	"penstock_bad_value": {
		columns: []penstock.ResultColumn{
			text("integration_id"), text("target_database"), text("schema_name"), text("table_name"), text("column_name"), text("source_type"),
			column("values", penstock.TypeInt64),
		},
		fill: fillBadValue,
	},
}

func fillStream(_ context.Context, w *rowWriter, v Views) error {
	for _, in := range v.Integrations() {
		for i := range in.Streams {
			s := &in.Streams[i]
			w.text(string(in.Integration.ID)).known(s.Database.Name).known(s.Database.SourceDatabase).text(string(s.State)).known(s.AppliedLabel)
			w.int64(s.Lag.Milliseconds()).time(s.LastCommit).time(s.LastApplied).float64(s.RowsPerSecond).float64(s.BytesPerSecond)
			w.int64(s.RetainedWAL).int64(s.Transactions).int64(s.RowsChanged).int64(s.RowsLoaded).int64(s.BytesApplied)
		}
	}
	return nil
}

func fillLoad(_ context.Context, w *rowWriter, v Views) error {
	for _, in := range v.Integrations() {
		for i := range in.Streams {
			s := &in.Streams[i]
			if l := s.Loading; l != nil {
				w.text(string(in.Integration.ID)).text(s.Database.Name).time(l.Since).int32(int32(l.Tables)).int32(int32(l.TablesDone))
				w.int64(l.Rows).int64(l.Bytes).int64(l.TotalBytes)
			}
		}
	}
	return nil
}

func fillProblem(_ context.Context, w *rowWriter, v Views) error {
	for _, in := range v.Integrations() {
		told := map[string]bool{}
		tell := func(p penstock.Problem) {
			if told[p.Key()] {
				return
			}
			told[p.Key()] = true
			w.text(string(in.Integration.ID)).known(p.Database).known(p.Table).text(string(p.Code)).text(string(p.Severity)).text(p.Message).known(p.Mend).time(p.Since)
		}
		for _, p := range in.Integration.Problems {
			tell(p)
		}
		for i := range in.Streams {
			for _, p := range in.Streams[i].Problems {
				tell(p)
			}
		}
	}
	return nil
}

func fillBadValue(_ context.Context, w *rowWriter, v Views) error {
	for _, in := range v.Integrations() {
		for i := range in.Streams {
			s := &in.Streams[i]
			for j := range s.Tables {
				t := &s.Tables[j]
				for _, c := range t.Table.Columns {
					if n := t.BadValues[c.ID]; n > 0 {
						w.text(string(in.Integration.ID)).text(s.Database.Name).text(t.Table.Schema).text(t.Table.Name).text(c.Name).text(c.SourceType).int64(n)
					}
				}
			}
		}
	}
	return nil
}
