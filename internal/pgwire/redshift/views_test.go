package redshift

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"penstock"
)

type fixed []IntegrationView

func (f fixed) Integrations() []IntegrationView { return f }
func (f fixed) History() penstock.History       { return fixedHistory{} }

func (f fixed) Stored(_ context.Context, database string) ([]penstock.StoredTable, error) {
	if database != "shop_copy" {
		return nil, penstock.Errorf(penstock.KindNotFound, "no database %s", database)
	}
	return []penstock.StoredTable{{
		Shape:  penstock.Table{Schema: "s", Name: "N", Columns: []penstock.Column{{Name: "a", SourceType: "money"}, {Name: "A", SourceType: "date"}}},
		Schema: "s", Table: "N~1", Columns: []string{"a", "A~1"}, Types: []string{"VARCHAR", "DATE"},
	}}, nil
}

func (f fixed) Sizes(_ context.Context, database string) (map[penstock.TableID]penstock.TableSize, error) {
	return map[penstock.TableID]penstock.TableSize{"16400": {Rows: 3, Bytes: 2<<20 + 1}}, nil
}

const sampleID = penstock.IntegrationID("11111111-0000-4000-8000-000000000001")

type fixedHistory struct{}

func (fixedHistory) Activities(context.Context) ([]penstock.Activity, error) {
	return []penstock.Activity{
		{ID: 7, Integration: sampleID, Source: "PostgreSQL", Database: "shop_copy", Kind: penstock.ActivitySnapshot, From: "0/1A", To: "0/1A", Bytes: 10,
			Began: time.UnixMicro(1), Ended: time.UnixMicro(2), Tables: []penstock.TableActivity{{Table: "16400", Schema: "s", Name: "n", Inserted: 3, Bytes: 10}}},
		{ID: 8, Integration: sampleID, Source: "PostgreSQL", Database: "shop_copy", Kind: penstock.ActivityCDC, From: "0/1A", To: "0/2B", Bytes: 20, LastCommit: time.UnixMicro(3),
			Began: time.UnixMicro(4), Ended: time.UnixMicro(5), Tables: []penstock.TableActivity{
				{Table: "16400", Schema: "s", Name: "n", Inserted: 1, Updated: 2, Deleted: 3, Bytes: 15}, {Table: "4000000000", Schema: "s", Name: "m", Deleted: 1, Bytes: 5}}},
	}, nil
}

func (fixedHistory) StateChanges(context.Context) ([]penstock.StateChange, error) {
	return []penstock.StateChange{
		{Integration: sampleID, Database: "shop_copy", Table: "16400", Schema: "s", Name: "n", State: penstock.TableResyncInitiated, At: time.UnixMicro(6)},
		{Integration: sampleID, Database: "shop_copy", Table: "16400", Schema: "s", Name: "n", State: penstock.TableFailed, Reason: "no key", Position: "0/2B", At: time.UnixMicro(7)},
	}, nil
}

func (fixedHistory) BadValues(context.Context) ([]penstock.BadValuesFound, error) {
	b := penstock.BadValuesFound{Integration: sampleID, Database: "shop_copy", Table: "16400", Schema: "s", Name: "n", Column: "c", SourceType: "date", Values: 2, At: time.UnixMicro(8)}
	again := b
	again.Values, again.At = 3, time.UnixMicro(9)
	return []penstock.BadValuesFound{b, again}, nil
}

var failedTable = penstock.Problem{Code: penstock.ProblemTableFailed, Severity: penstock.SeverityAttention, Database: "shop", Table: "public.bad",
	Message: "no key", Mend: "ADD ONE", Since: time.UnixMicro(4)}

var sample = fixed{
	{
		Integration: penstock.Integration{ID: sampleID, Problems: []penstock.Problem{failedTable}},
		Engine:      "PostgreSQL",
		Streams: []penstock.StreamStatus{{
			Database: penstock.DestinationDatabase{Name: "shop_copy", SourceDatabase: "shop", CreatedAt: time.UnixMicro(1_000_000).UTC()},
			State:    penstock.StreamCdcRefresh, Applied: "sys/5/0-1A", AppliedLabel: "5/0-1A", LastApplied: time.Unix(2, 0), Lag: 42 * time.Millisecond,
			RowsPerSecond: 1.5, BytesPerSecond: 2.5, RetainedWAL: 99, Transactions: 1, RowsChanged: 2, RowsLoaded: 3, BytesApplied: 4,
			Loading:  &penstock.LoadProgress{Since: time.Unix(1, 0), Tables: 3, TablesDone: 1, Rows: 10, Bytes: 20, TotalBytes: 40},
			Problems: []penstock.Problem{failedTable, {Code: penstock.ProblemSourceSetting, Severity: penstock.SeverityWarning, Message: "a setting", Since: time.UnixMicro(5)}},
			Tables: []penstock.TableStatus{
				{
					Table: penstock.Table{ID: "16400", Schema: "public", Name: "Orders", Columns: []penstock.Column{{ID: 1, Name: "c", SourceType: "date"}, {ID: 2, Name: "d"}}},
					State: penstock.TableSynced, Readable: true, BadValues: penstock.BadValues{1: 5},
				},
				{
					Table: penstock.Table{Schema: "public", Name: "items"}, State: penstock.TableResyncInitiated,
					Changed: time.UnixMicro(3_000_000),
				},
				{Table: penstock.Table{Schema: "public", Name: "bad"}, State: penstock.TableFailed, Reason: "public.bad: no key"},
			},
		}},
	},
	{Integration: penstock.Integration{ID: "22222222-0000-4000-8000-000000000002"}},
}

func TestFill(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"svv_integration": `
11111111-0000-4000-8000-000000000001|shop_copy|PostgreSQL|CdcRefreshState|42|{"position":"5/0-1A"}|1|1|1000000|0|shop|false|false
22222222-0000-4000-8000-000000000002|NULL|NULL|PendingDbConnectState|NULL|NULL|0|0|NULL|NULL|NULL|false|NULL`,
		"svv_integration_table_state": `
11111111-0000-4000-8000-000000000001|shop_copy|public|Orders|Synced|{"position":"5/0-1A"}||NULL|3|3|false
11111111-0000-4000-8000-000000000001|shop_copy|public|items|ResyncInitiated|NULL||3000000|NULL|NULL|false
11111111-0000-4000-8000-000000000001|shop_copy|public|bad|Failed|NULL|public.bad: no key|NULL|NULL|NULL|false`,
		"svv_integration_table_mapping": `
11111111-0000-4000-8000-000000000001|shop|shop_copy|s|s|N|N~1|a|a|money|VARCHAR
11111111-0000-4000-8000-000000000001|shop|shop_copy|s|s|N|N~1|A|A~1|date|DATE`,
		"sys_integration_activity": `
11111111-0000-4000-8000-000000000001|shop_copy|PostgreSQL|checkpoints/snapshot_0_1A_16400.json|snapshot|10|NULL|1|1|2
11111111-0000-4000-8000-000000000001|shop_copy|PostgreSQL|checkpoints/checkpoint_0_1A_0_2B.json|cdc|20|3|2|4|5`,
		"sys_integration_table_activity": `
11111111-0000-4000-8000-000000000001|checkpoints/snapshot_0_1A_16400.json|shop_copy|s|n|16400|2|7|3|0|0|10
11111111-0000-4000-8000-000000000001|checkpoints/checkpoint_0_1A_0_2B.json|shop_copy|s|n|16400|5|8|1|3|2|15
11111111-0000-4000-8000-000000000001|checkpoints/checkpoint_0_1A_0_2B.json|shop_copy|s|m|NULL|5|8|0|1|0|5`,
		"sys_integration_table_state_change": `
11111111-0000-4000-8000-000000000001|shop_copy|s|n|ResyncInitiated|NULL||6
11111111-0000-4000-8000-000000000001|shop_copy|s|n|Failed|{"position":"0/2B"}|no key|7`,
		"sys_load_error_detail": `
NULL|NULL|NULL|NULL|shop_copy|16400|8|NULL|NULL|c|date|NULL|NULL|1|s.n: 2 values of column c cannot be held by the warehouse and were stored as NULL
NULL|NULL|NULL|NULL|shop_copy|16400|9|NULL|NULL|c|date|NULL|NULL|1|s.n: 3 values of column c cannot be held by the warehouse and were stored as NULL
NULL|NULL|NULL|NULL|shop_copy|16400|7|NULL|NULL|NULL|NULL|NULL|NULL|2|s.n: no key`,
		"penstock_stream": `
11111111-0000-4000-8000-000000000001|shop_copy|shop|CdcRefreshState|5/0-1A|42|NULL|2000000|1.5|2.5|99|1|2|3|4`,
		"penstock_load": `
11111111-0000-4000-8000-000000000001|shop_copy|1000000|3|1|10|20|40`,
		"penstock_problem": `
11111111-0000-4000-8000-000000000001|shop|public.bad|TABLE_FAILED|attention|no key|ADD ONE|4
11111111-0000-4000-8000-000000000001|NULL|NULL|SOURCE_SETTING|warning|a setting|NULL|5`,
		"penstock_bad_value": `
11111111-0000-4000-8000-000000000001|shop_copy|public|Orders|c|date|5`,
	} {
		columns, rows, err := Fill(t.Context(), name, sample, true)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(columns) != len(rows.Vectors) {
			t.Fatalf("%s: %d columns, %d vectors", name, len(columns), len(rows.Vectors))
		}
		if got := print(rows); got != want {
			t.Errorf("%s:%s\nwant:%s", name, got, want)
		}
		if _, rows, err := Fill(t.Context(), name, sample, false); rows.Len() != 0 || err != nil {
			t.Errorf("%s: shown to everybody", name)
		}
		if _, rows, err := Fill(t.Context(), name, nil, true); rows.Len() != 0 || err != nil {
			t.Errorf("%s: rows out of nothing", name)
		}
	}
}

func print(rows *penstock.Rows) string {
	var b strings.Builder
	for i := range rows.Len() {
		for c := range rows.Vectors {
			v := &rows.Vectors[c]
			sep := "|"
			if c == 0 {
				sep = "\n"
			}
			b.WriteString(sep)
			switch {
			case v.IsNull(i):
				b.WriteString("NULL")
			case v.Type().Kind == penstock.TypeText:
				b.WriteString(v.Text(i))
			case v.Type().Kind == penstock.TypeBool:
				fmt.Fprint(&b, v.Bool(i))
			case v.Type().Kind == penstock.TypeFloat64:
				fmt.Fprint(&b, v.Float64(i))
			case v.Type().Width() == 4:
				fmt.Fprint(&b, v.Int32(i))
			default:
				fmt.Fprint(&b, v.Int64(i))
			}
		}
	}
	return b.String()
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"select * from items":                    "table public.items is not available for querying right now: its state is ResyncInitiated",
		"select * from Public.\"items\" i":       "table public.items is not available for querying right now: its state is ResyncInitiated",
		"select * from shop_copy.public.bad":     "table public.bad is not available for querying right now: its state is Failed: public.bad: no key",
		"select public.bad.a from x, public.bad": "table public.bad is not available for querying right now: its state is Failed: public.bad: no key",
		"select * from orders":                   "",
		"select * from other.items":              "",
		"select * from dev.public.items":         "",
		"select 'items'":                         "",
	} {
		got := ""
		var e *penstock.SQLError
		if err := Explain(parse(t, sql), "shop_copy", sample); errors.As(err, &e) {
			got = e.Message
		}
		if got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
	if err := Explain(parse(t, "select * from items"), "dev", sample); err != nil {
		t.Errorf("a table of another database: %v", err)
	}
	if err := Explain(parse(t, "select * from shop_copy.public.items"), "dev", sample); err == nil {
		t.Error("another database's table by its full name is not explained")
	}
}
