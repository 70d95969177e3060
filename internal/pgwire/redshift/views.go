package redshift

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"time"

	"penstock"
)

// Views is where the system views get their content.
type Views interface {
	// Integrations returns all integrations into the warehouse that the
	// endpoint serves, with what is known about their streams. It is called
	// for every statement that mentions a system view, from any goroutine,
	// and must not block.
	Integrations() []IntegrationView
	// History returns what streams into that warehouse have done, nil if that is
	// not kept.
	History() penstock.History
	// Stored returns the readable tables of a destination database, as
	// penstock.NameKeeper does; nothing if the warehouse does not tell.
	Stored(ctx context.Context, database string) ([]penstock.StoredTable, error)
	// Sizes returns how large those are, as penstock.Sizer does.
	Sizes(ctx context.Context, database string) (map[penstock.TableID]penstock.TableSize, error)
}

// IntegrationView is one integration and the state of its streams.
type IntegrationView struct {
	Integration penstock.Integration
	Engine      string // as penstock.Source.Engine names it; "" if not known
	Streams     []penstock.StreamStatus
}

// systemView is a system view: its columns in Redshift's order, and its rows.
type systemView struct {
	columns []penstock.ResultColumn
	fill    func(ctx context.Context, rows *rowWriter, v Views) error
}

// systemViews are all views that Rewrite knows, by name in lower case.
var systemViews = func() map[string]*systemView {
	all := map[string]*systemView{pgDatabase: pgDatabaseView}
	maps.Copy(all, integrationViews)
	maps.Copy(all, historyViews)
	maps.Copy(all, ownViews)
	return all
}()

// integrationViews are those of Redshift that show what is now, by the SVV
// pages of its Database Developer Guide.
var integrationViews = map[string]*systemView{
	"svv_integration": {
		columns: []penstock.ResultColumn{
			text("integration_id"), text("target_database"), text("source"), text("state"),
			column("current_lag", penstock.TypeInt64), // milliseconds
			text("last_replicated_checkpoint"),        // JSON
			column("total_tables_replicated", penstock.TypeInt32),
			column("total_tables_failed", penstock.TypeInt32),
			column("creation_time", penstock.TypeTimestamp),
			column("refresh_interval", penstock.TypeInt32), // seconds
			text("source_database"),
			column("is_history_mode", penstock.TypeBool),
			column("auto_remediation", penstock.TypeBool),
		},
		fill: fillIntegration,
	},
	"svv_integration_table_state": {
		columns: []penstock.ResultColumn{
			text("integration_id"), text("target_database"), text("schema_name"), text("table_name"),
			text("table_state"), text("table_last_replicated_checkpoint"), text("reason"),
			column("last_updated_timestamp", penstock.TypeTimestamp),
			column("table_rows", penstock.TypeInt64),
			column("table_size", penstock.TypeInt64), // MB
			column("is_history_mode", penstock.TypeBool),
		},
		fill: fillTableState,
	},
	// Here every column of every readable table has a row.
	"svv_integration_table_mapping": {
		columns: []penstock.ResultColumn{
			text("integration_id"), text("source_database"), text("target_database"), text("source_schema_name"), text("target_schema_name"),
			text("source_table_name"), text("target_table_name"), text("source_column_name"), text("target_column_name"),
			text("source_data_type"), text("target_data_type"),
		},
		fill: fillTableMapping,
	},
}

func column(name string, kind penstock.TypeKind) penstock.ResultColumn {
	return penstock.ResultColumn{Name: name, Type: penstock.Type{Kind: kind}}
}

func text(name string) penstock.ResultColumn { return column(name, penstock.TypeText) }

// Fill returns the columns and rows of a system view that Rewrite named. What
// is not known is NULL. Only superusers see rows, as in Redshift.
func Fill(ctx context.Context, name string, views Views, superuser bool) ([]penstock.ResultColumn, *penstock.Rows, error) {
	v := systemViews[name]
	w := newRowWriter(v.columns)
	if !superuser || views == nil {
		return v.columns, w.rows, nil
	}
	if err := v.fill(ctx, w, views); err != nil {
		return nil, nil, err
	}
	return v.columns, w.rows, nil
}

func fillIntegration(_ context.Context, w *rowWriter, v Views) error {
	for _, in := range v.Integrations() {
		if len(in.Streams) == 0 {
			w.text(string(in.Integration.ID)).null().known(in.Engine).text(string(penstock.StreamPendingConnect))
			w.null().null().int32(0).int32(0).null().null().null().bool(false).null()
		}
		for i := range in.Streams {
			s := &in.Streams[i]
			replicated, failed := int32(0), int32(0)
			for _, t := range s.Tables {
				switch t.State {
				case penstock.TableSynced:
					replicated++
				case penstock.TableFailed:
					failed++
				}
			}
			w.text(string(in.Integration.ID)).known(s.Database.Name).known(in.Engine).known(string(s.State))
			if s.LastApplied.IsZero() {
				w.null()
			} else {
				w.int64(s.Lag.Milliseconds())
			}
			w.checkpoint(s).int32(replicated).int32(failed).time(s.Database.CreatedAt)
			o := s.Database.Options
			w.int32(int32(o.RefreshInterval / time.Second)).known(s.Database.SourceDatabase).bool(o.HistoryMode).bool(o.AutoRemediation)
		}
	}
	return nil
}

func fillTableState(ctx context.Context, w *rowWriter, v Views) error {
	for _, in := range v.Integrations() {
		for i := range in.Streams {
			s := &in.Streams[i]
			sizes, err := v.Sizes(ctx, s.Database.Name)
			if err != nil && penstock.KindOf(err) != penstock.KindNotFound {
				return err
			}
			for j := range s.Tables {
				t := &s.Tables[j]
				w.text(string(in.Integration.ID)).known(s.Database.Name).text(t.Table.Schema).text(t.Table.Name)
				w.text(string(t.State))
				if t.State == penstock.TableSynced {
					w.checkpoint(s)
				} else {
					w.null()
				}
				w.text(t.Reason).time(t.Changed)
				if size, ok := sizes[t.Table.ID]; ok {
					if w.int64(size.Rows); size.Bytes < 0 {
						w.null()
					} else {
						w.int64((size.Bytes + 1<<20 - 1) >> 20)
					}
				} else {
					w.null().null()
				}
				w.bool(t.History)
			}
		}
	}
	return nil
}

func fillTableMapping(ctx context.Context, w *rowWriter, v Views) error {
	for _, in := range v.Integrations() {
		for i := range in.Streams {
			d := &in.Streams[i].Database
			stored, err := v.Stored(ctx, d.Name)
			if err != nil && penstock.KindOf(err) != penstock.KindNotFound {
				return err
			}
			for _, t := range stored {
				for k, c := range t.Shape.Columns {
					w.text(string(in.Integration.ID)).known(d.SourceDatabase).text(d.Name).text(t.Shape.Schema).text(t.Schema)
					w.text(t.Shape.Name).text(t.Table).text(c.Name).text(t.Columns[k]).text(c.SourceType).text(t.Types[k])
				}
			}
		}
	}
	return nil
}

// checkpointText returns a position, as the source's users write it, as the JSON
// text that the views show: itself where it is a JSON object.
func checkpointText(position string) string {
	if strings.HasPrefix(position, "{") && json.Valid([]byte(position)) {
		return position
	}
	b, _ := json.Marshal(map[string]string{"position": position}) // a map of strings has no error
	return string(b)
}
