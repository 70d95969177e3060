package redshift

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"penstock"
)

type fixed []IntegrationView

func (f fixed) Integrations() []IntegrationView { return f }

var sample = fixed{
	{
		Integration: penstock.Integration{ID: "11111111-0000-4000-8000-000000000001"},
		Engine:      "PostgreSQL",
		Streams: []penstock.StreamStatus{{
			Database: penstock.DestinationDatabase{Name: "shop_copy", SourceDatabase: "shop", CreatedAt: time.UnixMicro(1_000_000).UTC()},
			State:    penstock.StreamCdcRefresh, Applied: "sys/5/0-1A", LastApplied: time.Unix(2, 0), Lag: 42 * time.Millisecond,
			Tables: []penstock.TableStatus{
				{Table: penstock.Table{Schema: "public", Name: "Orders"}, State: penstock.TableSynced, Readable: true, Rows: 3, Bytes: 3 << 20},
				{
					Table: penstock.Table{Schema: "public", Name: "items"}, State: penstock.TableResyncInitiated, Rows: -1, Bytes: -1,
					Changed: time.UnixMicro(3_000_000),
				},
				{Table: penstock.Table{Schema: "public", Name: "bad"}, State: penstock.TableFailed, Reason: "public.bad: no key", Rows: -1, Bytes: -1},
			},
		}},
	},
	{Integration: penstock.Integration{ID: "22222222-0000-4000-8000-000000000002"}},
}

func TestFill(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"svv_integration": `
11111111-0000-4000-8000-000000000001|shop_copy|PostgreSQL|CdcRefreshState|42|{"position":"sys/5/0-1A"}|1|1|1000000|0|shop|false|false
22222222-0000-4000-8000-000000000002|NULL|NULL|PendingDbConnectState|NULL|NULL|0|0|NULL|NULL|NULL|false|NULL`,
		"svv_integration_table_state": `
11111111-0000-4000-8000-000000000001|shop_copy|public|Orders|Synced|{"position":"sys/5/0-1A"}||NULL|3|3|false
11111111-0000-4000-8000-000000000001|shop_copy|public|items|ResyncInitiated|NULL||3000000|NULL|NULL|false
11111111-0000-4000-8000-000000000001|shop_copy|public|bad|Failed|NULL|public.bad: no key|NULL|NULL|NULL|false`,
	} {
		columns, rows := Fill(name, sample, true)
		if len(columns) != len(rows.Vectors) {
			t.Fatalf("%s: %d columns, %d vectors", name, len(columns), len(rows.Vectors))
		}
		if got := print(rows); got != want {
			t.Errorf("%s:%s\nwant:%s", name, got, want)
		}
		if _, rows := Fill(name, sample, false); rows.Len() != 0 {
			t.Errorf("%s: shown to everybody", name)
		}
		if _, rows := Fill(name, nil, true); rows.Len() != 0 {
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
