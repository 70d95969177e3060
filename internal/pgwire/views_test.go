package pgwire

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"penstock"
	"penstock/internal/pgwire/redshift"
)

// someViews are two tables of an integration into the database dev, one of
// which cannot be read.
type someViews struct{}

func (someViews) History() penstock.History { return nil }

func (someViews) Stored(context.Context, string) ([]penstock.StoredTable, error) { return nil, nil }

func (someViews) Sizes(context.Context, string) (map[penstock.TableID]penstock.TableSize, error) {
	return nil, nil
}

func (someViews) Integrations() []redshift.IntegrationView {
	return []redshift.IntegrationView{{
		Integration: penstock.Integration{ID: "0c1e2d3f-0000-4000-8000-000000000001"},
		Engine:      "PostgreSQL",
		Streams: []penstock.StreamStatus{{
			Database: penstock.DestinationDatabase{Name: "dev", SourceDatabase: "shop", CreatedAt: time.Unix(1_700_000_000, 0)},
			State:    penstock.StreamCdcRefresh, Applied: `{"lsn": "0/1"}`, LastApplied: time.Unix(1_700_000_001, 0), Lag: 1500 * time.Millisecond,
			Tables: []penstock.TableStatus{
				{Table: penstock.Table{Schema: "public", Name: "orders"}, State: penstock.TableSynced, Readable: true},
				{Table: penstock.Table{Schema: "public", Name: "items"}, State: penstock.TableFailed, Reason: "public.items: no primary key"},
			},
		}},
	}}
}

func TestSystemViewsAreFresh(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Views = someViews{} })
	conn := b.connect(t)
	for range 2 { // the second run uses the statement that pgx has prepared
		rows, err := conn.Query(t.Context(), "SELECT * FROM svv_integration")
		if err != nil {
			t.Fatal(err)
		}
		got, err := pgx.CollectOneRow(rows, pgx.RowToMap)
		if err != nil {
			t.Fatal(err)
		}
		if got["current_lag"] != int64(1500) || got["total_tables_failed"] != int32(1) || got["source"] != "PostgreSQL" ||
			got["last_replicated_checkpoint"] != `{"lsn": "0/1"}` || got["state"] != "CdcRefreshState" {
			t.Errorf("got %v", got)
		}
		fresh := 0
		for _, h := range b.w.history() {
			if h == "materialize svv_integration: 1 rows" {
				fresh++
			}
		}
		if fresh == 0 {
			t.Error("not filled anew")
		}
	}

	reader, err := pgx.Connect(t.Context(), b.url("reader", "r3ad", "dev"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close(t.Context())
	rows, err := reader.Query(t.Context(), "SELECT * FROM svv_integration_table_state")
	if err != nil {
		t.Fatal(err)
	}
	if all, err := pgx.CollectRows(rows, pgx.RowToMap); err != nil || len(all) != 0 {
		t.Errorf("somebody who is no superuser sees %v, %v", all, err)
	}
}

func TestUnreadableTable(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Views = someViews{} })
	w := b.login(t)
	const why = "ERROR 55000 table public.items is not available for querying right now: its state is Failed: public.items: no primary key"
	w.send(query("SELECT * FROM items"))
	w.expect(why, "Ready I")
	w.send(&pgproto3.Parse{Query: `select 1 from dev.public."items" i`}, &pgproto3.Sync{})
	w.expect(why, "Ready I")
	w.send(query("SELECT * FROM orders"))
	w.expect("ERROR 42P01 Table does not exist: SELECT * FROM orders", "Ready I")
}

func TestIdentityIsRewritten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.w.on("SELECT 'admin' AS current_user, 'dev' AS current_database", numbers(1))
	w := b.login(t)
	w.send(query("SELECT current_user, pg_catalog.current_database()"))
	w.expect("Columns i:23:0", "Row 1", "Complete SELECT 1", "Ready I")
}
