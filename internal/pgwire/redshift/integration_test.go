package redshift

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"penstock"
)

func TestIntegrationOrders(t *testing.T) {
	t.Parallel()
	all := penstock.Refresh{Scope: penstock.RefreshAll}
	for sql, want := range map[string]Order{
		"ALTER DATABASE shop INTEGRATION REFRESH ALL TABLES":                                       {"shop", all},
		`alter database "Sh op" integration refresh all tables in schema public, "B"`:              {"Sh op", penstock.Refresh{Scope: penstock.RefreshAll, Schemas: []string{"public", "B"}}},
		"ALTER DATABASE Shop INTEGRATION REFRESH INERROR TABLES":                                   {"shop", penstock.Refresh{Scope: penstock.RefreshInError}},
		"ALTER DATABASE shop INTEGRATION REFRESH INERROR TABLES IN SCHEMA a":                       {"shop", penstock.Refresh{Scope: penstock.RefreshInError, Schemas: []string{"a"}}},
		"ALTER DATABASE shop INTEGRATION REFRESH TABLE public.orders":                              {"shop", penstock.Refresh{Tables: []penstock.TableName{{Schema: "public", Name: "orders"}}}},
		`ALTER DATABASE shop /* x */ INTEGRATION REFRESH TABLES orders, a."Line Items", "x"."y.z"`: {"shop", penstock.Refresh{Tables: []penstock.TableName{{Name: "orders"}, {Schema: "a", Name: "Line Items"}, {Schema: "x", Name: "y.z"}}}},
	} {
		a, err := Classify(parse(t, sql))
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		if a.Command != Manage || a.Tag != "ALTER DATABASE" {
			t.Errorf("%s: command %d, tag %s", sql, a.Command, a.Tag)
			continue
		}
		if d := cmp.Diff(want, *a.Order); d != "" {
			t.Errorf("%s: %s", sql, d)
		}
	}
	for sql, state := range map[string]string{
		"ALTER DATABASE shop INTEGRATION":                                 "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH":                         "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH ALL":                     "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH ALL TABLES IN":           "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH ALL TABLES IN SCHEMA":    "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH ALL TABLES IN SCHEMA a,": "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH TABLE":                   "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH TABLE a.b c":             "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH TABLE a.":                "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH TABLE 'a'":               "42601",
		"ALTER DATABASE 'shop' INTEGRATION REFRESH ALL TABLES":            "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH REMEDIABLE TABLES":       "0A000",
		"ALTER DATABASE shop INTEGRATION SET REFRESH_INTERVAL 60":         "0A000",
	} {
		_, err := Classify(parse(t, sql))
		var e *penstock.SQLError
		if !errors.As(err, &e) || e.State != state {
			t.Errorf("%s: %v, want SQLSTATE %s", sql, err, state)
		}
	}
	if a, err := Classify(parse(t, "ALTER DATABASE shop RENAME TO x")); err != nil || a.Command != Engine {
		t.Errorf("another ALTER DATABASE: %+v, %v", a, err)
	}
}
