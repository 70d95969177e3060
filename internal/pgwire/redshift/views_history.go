package redshift

import (
	"context"
	"fmt"
	"strings"

	"penstock"
)

// historyViews are those of Redshift that show what has been, by the SYS pages
// of its Database Developer Guide.
var historyViews = map[string]*systemView{
	"sys_integration_activity": {
		columns: []penstock.ResultColumn{
			text("integration_id"), text("target_database"), text("source"), text("checkpoint_name"), text("checkpoint_type"),
			column("checkpoint_bytes", penstock.TypeInt64),
			column("last_commit_timestamp", penstock.TypeTimestamp),
			column("modified_tables", penstock.TypeInt32),
			column("integration_start_time", penstock.TypeTimestamp),
			column("integration_end_time", penstock.TypeTimestamp),
		},
		fill: fillActivity,
	},
	"sys_integration_table_activity": {
		columns: []penstock.ResultColumn{
			text("integration_id"), text("checkpoint_name"), text("target_database"), text("schema_name"), text("table_name"),
			column("table_id", penstock.TypeInt32),
			column("record_time", penstock.TypeTimestamp),
			column("transaction_id", penstock.TypeInt64),
			column("inserted_rows", penstock.TypeInt64), column("deleted_rows", penstock.TypeInt64), column("updated_rows", penstock.TypeInt64),
			column("bytes_ingested", penstock.TypeInt64),
		},
		fill: fillTableActivity,
	},
	"sys_integration_table_state_change": {
		columns: []penstock.ResultColumn{
			text("integration_id"), text("database_name"), text("schema_name"), text("table_name"), text("new_state"),
			text("table_last_replicated_checkpoint"), text("state_change_reason"),
			column("record_time", penstock.TypeTimestamp),
		},
		fill: fillStateChange,
	},
	"sys_load_error_detail": {
		columns: []penstock.ResultColumn{
			column("user_id", penstock.TypeInt32), column("query_id", penstock.TypeInt64), column("transaction_id", penstock.TypeInt64),
			column("session_id", penstock.TypeInt32),
			text("database_name"),
			column("table_id", penstock.TypeInt32),
			column("start_time", penstock.TypeTimestamp),
			text("file_name"), column("line_number", penstock.TypeInt64),
			text("column_name"), text("column_type"), text("column_length"),
			column("position", penstock.TypeInt32),
			column("error_code", penstock.TypeInt32), text("error_message"),
		},
		fill: fillLoadError,
	},
}

// checkpointName names an activity, as Redshift names its checkpoints, by where
// it begins and where it ends. Tables that are copied one after the other do so
// at the same place: their names are added.
func checkpointName(a *penstock.Activity) string {
	part := strings.NewReplacer("/", "_", " ", "_").Replace
	if a.Kind == penstock.ActivitySnapshot && len(a.Tables) == 1 {
		return "checkpoints/snapshot_" + part(a.To) + "_" + string(a.Tables[0].Table) + ".json"
	}
	return "checkpoints/checkpoint_" + part(a.From) + "_" + part(a.To) + ".json"
}

func fillActivity(ctx context.Context, w *rowWriter, v Views) error {
	return activities(ctx, v, func(a *penstock.Activity) {
		w.text(string(a.Integration)).text(a.Database).text(a.Source).text(checkpointName(a)).text(string(a.Kind))
		w.int64(a.Bytes).time(a.LastCommit).int32(int32(len(a.Tables))).time(a.Began).time(a.Ended)
	})
}

func fillTableActivity(ctx context.Context, w *rowWriter, v Views) error {
	return activities(ctx, v, func(a *penstock.Activity) {
		for i := range a.Tables {
			t := &a.Tables[i]
			w.text(string(a.Integration)).text(checkpointName(a)).text(a.Database).text(t.Schema).text(t.Name).tableID(t.Table)
			w.time(a.Ended).int64(a.ID).int64(t.Inserted).int64(t.Deleted).int64(t.Updated).int64(t.Bytes)
		}
	})
}

func activities(ctx context.Context, v Views, row func(*penstock.Activity)) error {
	h := v.History()
	if h == nil {
		return nil
	}
	all, err := h.Activities(ctx)
	for i := range all {
		row(&all[i])
	}
	return err
}

func fillStateChange(ctx context.Context, w *rowWriter, v Views) error {
	h := v.History()
	if h == nil {
		return nil
	}
	all, err := h.StateChanges(ctx)
	for i := range all {
		c := &all[i]
		w.text(string(c.Integration)).text(c.Database).text(c.Schema).text(c.Name).text(string(c.State))
		if c.Position == "" {
			w.null()
		} else {
			w.text(checkpointText(c.Position))
		}
		w.text(c.Reason).time(c.At)
	}
	return err
}

// Codes of sys_load_error_detail. Redshift's own are those of COPY, of which
// there is none here.
const (
	errorBadValues = 1 // values of a column cannot be held
	errorTable     = 2 // a table cannot be loaded as it is, or has failed
)

// fillLoadError shows why tables are not as they are at the source: values that
// were stored as NULL, and what put tables out of sync.
func fillLoadError(ctx context.Context, w *rowWriter, v Views) error {
	h := v.History()
	if h == nil {
		return nil
	}
	bad, err := h.BadValues(ctx)
	if err != nil {
		return err
	}
	for i := range bad {
		b := &bad[i]
		w.null().null().null().null().text(b.Database).tableID(b.Table).time(b.At).null().null()
		w.text(b.Column).text(b.SourceType).null().null().int32(errorBadValues)
		w.text(fmt.Sprintf("%s.%s: %d values of column %s cannot be held by the warehouse and were stored as NULL", b.Schema, b.Name, b.Values, b.Column))
	}
	changes, err := h.StateChanges(ctx)
	if err != nil {
		return err
	}
	for i := range changes {
		c := &changes[i]
		if c.Reason == "" || c.State != penstock.TableFailed && c.State != penstock.TableResyncRequired {
			continue
		}
		w.null().null().null().null().text(c.Database).tableID(c.Table).time(c.At).null().null()
		w.null().null().null().null().int32(errorTable).text(c.Schema + "." + c.Name + ": " + c.Reason)
	}
	return nil
}
