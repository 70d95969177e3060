package e2e

import (
	"strings"
	"testing"

	"penstock/internal/testdb/dbtest"
)

// TestSystemViews: what streams do is in the system views, also after a
// restart.
func TestSystemViews(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	src := db.Conn(t)
	execute(t, src, `CREATE TABLE orders (id int PRIMARY KEY, amount numeric(10,2)); CREATE TABLE log (line text);
		INSERT INTO orders SELECT i, i FROM generate_series(1, 100) i; INSERT INTO log VALUES ('first')`)
	p := newPenstock(t, db.URL())
	p.integrate(t, "seen", db.Name)
	p.awaitActive(t, "seen")
	wh := p.warehouse(t, db.Name)
	execute(t, src, `BEGIN; INSERT INTO orders VALUES (101, 1), (102, 'NaN'); UPDATE orders SET amount = 0 WHERE id <= 3; DELETE FROM orders WHERE id = 100; COMMIT`)
	await(t, "the change", func() bool { return mustTable(t, wh, "SELECT count(*) FROM orders")[0] == "101" })

	problems := func() bool { return mustTable(t, wh, "SELECT count(*) FROM penstock_problem")[0] == "2" }
	await(t, "the problems to be known", problems)
	check := func() {
		t.Helper()
		for sql, want := range map[string]string{
			`SELECT schema_name, table_name, inserted_rows, updated_rows, deleted_rows, a.target_database = '` + db.Name + `', table_id > 0, transaction_id > 0, bytes_ingested > 0,
				v.checkpoint_type, v.source, v.integration_end_time >= v.integration_start_time, v.modified_tables
				FROM sys_integration_table_activity a JOIN sys_integration_activity v USING (checkpoint_name) WHERE table_name = 'orders' ORDER BY record_time`: "public|orders|100|0|0|t|t|t|t|snapshot|PostgreSQL|t|1\npublic|orders|2|3|1|t|t|t|t|cdc|PostgreSQL|t|1",
			`SELECT last_commit_timestamp <= integration_end_time AND checkpoint_name LIKE 'checkpoints/checkpoint_%' FROM sys_integration_activity WHERE checkpoint_type = 'cdc'`: "t",
			`SELECT DISTINCT table_name, new_state FROM sys_integration_table_state_change WHERE table_name IN ('orders', 'log') ORDER BY 1, 2`:                                    "log|ResyncInitiated\nlog|Synced\norders|ResyncInitiated\norders|Synced",
			`SELECT trim(column_name), column_type, error_code, trim(error_message) FROM sys_load_error_detail WHERE trim(column_name) = 'amount'`:                                 "amount|numeric(10,2)|1|public.orders: 1 values of column amount cannot be held by the warehouse and were stored as NULL",
			`SELECT schema_name, table_name, column_name, source_type, "values" FROM penstock_bad_value`:                                                                           "public|orders|amount|numeric(10,2)|1",
			`SELECT source_database, state, position ~ '.*/.*', lag_ms >= 0, retained_wal_bytes >= 0 FROM penstock_stream`:                                                         db.Name + "|CdcRefreshState|t|t|t",
			`SELECT code, table_name FROM penstock_problem ORDER BY 1`:                                                                                                             "NO_REPLICA_IDENTITY|public.log\nVALUES_NOT_REPRESENTABLE|public.orders",
			`SELECT count(*) FROM penstock_load`: "0",
			`SELECT state, json_extract_string(last_replicated_checkpoint, 'position') ~ '.*/.*', total_tables_replicated, total_tables_failed FROM svv_integration`: "CdcRefreshState|t|2|0",
		} {
			if got := strings.Join(mustTable(t, wh, sql), "\n"); got != want {
				t.Errorf("%s\n got %s\nwant %s", sql, got, want)
			}
		}
	}
	check()

	p.kill(t)
	p.start(t)
	wh = p.warehouse(t, db.Name)
	await(t, "the stream to run again", func() bool {
		return len(mustTable(t, wh, "SELECT 1 FROM svv_integration WHERE state = 'CdcRefreshState'")) == 1
	})
	await(t, "the problems to be known again", problems)
	check()
}
