package redshift

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock"
)

const someID = penstock.IntegrationID("5b9f3b4e-0000-4000-8000-00000000002a")

func TestDatabaseOrders(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	minute, none, most := time.Minute, time.Duration(0), penstock.MaxRefreshInterval
	refresh := func(r penstock.Refresh) Order { return RefreshTables{"shop", r} }
	created := func(name, source string, c penstock.OptionsChange, ignored ...string) Order {
		return CreateDatabase{penstock.NewDatabase{Name: name, Integration: someID, SourceDatabase: source, Options: c}, ignored}
	}
	id := "'" + string(someID) + "'"
	for sql, want := range map[string]Order{
		"ALTER DATABASE shop INTEGRATION REFRESH ALL TABLES":                                       refresh(penstock.Refresh{Scope: penstock.RefreshAll}),
		`alter database "Sh op" integration refresh all tables in schema public, "B"`:              RefreshTables{"Sh op", penstock.Refresh{Scope: penstock.RefreshAll, Schemas: []string{"public", "B"}}},
		"ALTER DATABASE Shop INTEGRATION REFRESH INERROR TABLES":                                   refresh(penstock.Refresh{Scope: penstock.RefreshInError}),
		"ALTER DATABASE shop INTEGRATION REFRESH INERROR TABLES IN SCHEMA a":                       refresh(penstock.Refresh{Scope: penstock.RefreshInError, Schemas: []string{"a"}}),
		"ALTER DATABASE shop INTEGRATION REFRESH REMEDIABLE TABLES":                                refresh(penstock.Refresh{Scope: penstock.RefreshRemediable}),
		"ALTER DATABASE shop INTEGRATION REFRESH REMEDIABLE TABLES IN SCHEMA a":                    refresh(penstock.Refresh{Scope: penstock.RefreshRemediable, Schemas: []string{"a"}}),
		"ALTER DATABASE shop INTEGRATION REFRESH TABLE public.orders":                              refresh(penstock.Refresh{Tables: []penstock.TableName{{Schema: "public", Name: "orders"}}}),
		`ALTER DATABASE shop /* x */ INTEGRATION REFRESH TABLES orders, a."Line Items", "x"."y.z"`: refresh(penstock.Refresh{Tables: []penstock.TableName{{Name: "orders"}, {Schema: "a", Name: "Line Items"}, {Schema: "x", Name: "y.z"}}}),

		"ALTER DATABASE shop INTEGRATION SET REFRESH_INTERVAL 60":       SetOptions{Database: "shop", Change: penstock.OptionsChange{RefreshInterval: &minute}},
		"ALTER DATABASE shop INTEGRATION SET REFRESH_INTERVAL = 432000": SetOptions{Database: "shop", Change: penstock.OptionsChange{RefreshInterval: &most}},
		"ALTER DATABASE shop INTEGRATION SET refresh_interval +0":       SetOptions{Database: "shop", Change: penstock.OptionsChange{RefreshInterval: &none}},
		"alter database SHOP integration set query_all_states=true acceptinvchars = False TruncateColumns TRUE AUTO_REMEDIATION TRUE": SetOptions{Database: "shop",
			Change: penstock.OptionsChange{QueryAllStates: &yes, AcceptInvChars: &no, TruncateColumns: &yes, AutoRemediation: &yes}},
		"ALTER DATABASE shop INTEGRATION SET HISTORY_MODE FALSE FOR ALL TABLES IN SCHEMA a, b QUERY_ALL_STATES TRUE": SetOptions{Database: "shop", Change: penstock.OptionsChange{QueryAllStates: &yes},
			History: &penstock.HistoryChange{Schemas: []string{"a", "b"}}},
		"ALTER DATABASE shop INTEGRATION SET HISTORY_MODE = FALSE FOR TABLE a.b, c": SetOptions{Database: "shop", History: &penstock.HistoryChange{Tables: []penstock.TableName{{Schema: "a", Name: "b"}, {Name: "c"}}}},
		"ALTER DATABASE shop INTEGRATION SET HISTORY_MODE TRUE":                     SetOptions{Database: "shop", Change: penstock.OptionsChange{HistoryMode: &yes}, History: &penstock.HistoryChange{On: true}},
		"ALTER DATABASE shop INTEGRATION SET HISTORY_MODE = TRUE FOR ALL TABLES":    SetOptions{Database: "shop", Change: penstock.OptionsChange{HistoryMode: &yes}, History: &penstock.HistoryChange{On: true}},

		"CREATE DATABASE d FROM INTEGRATION " + id:                                                   created("d", "", penstock.OptionsChange{}),
		`create database "D d" from integration ` + strings.ToUpper(id) + " database Shop":           created("D d", "shop", penstock.OptionsChange{}),
		"CREATE DATABASE d FROM INTEGRATION " + id + " DATABASE 'Shop'":                              created("d", "Shop", penstock.OptionsChange{}),
		"CREATE DATABASE d FROM INTEGRATION " + id + ` DATABASE "shop-1"`:                            created("d", "shop-1", penstock.OptionsChange{}),
		"CREATE DATABASE d FROM INTEGRATION " + id + " DATABASE set SET QUERY_ALL_STATES TRUE":       created("d", "set", penstock.OptionsChange{QueryAllStates: &yes}),
		"CREATE DATABASE d FROM INTEGRATION " + id + " ACCEPTINVCHARS=TRUE REFRESH_INTERVAL 60":      created("d", "", penstock.OptionsChange{AcceptInvChars: &yes, RefreshInterval: &minute}),
		"CREATE DATABASE d FROM INTEGRATION " + id + " SET HISTORY_MODE FALSE TRUNCATECOLUMNS FALSE": created("d", "", penstock.OptionsChange{HistoryMode: &no, TruncateColumns: &no}),
		"CREATE DATABASE d FROM INTEGRATION " + id + " HISTORY_MODE TRUE":                            created("d", "", penstock.OptionsChange{HistoryMode: &yes}),
		"CREATE DATABASE d FROM INTEGRATION " + id + " DATABASE s ACCEPTINVCHARS TRUE WITH OWNER = u CONNECTION LIMIT 5 COLLATE CS ISOLATION LEVEL SNAPSHOT": created("d", "s",
			penstock.OptionsChange{AcceptInvChars: &yes}, "OWNER", "CONNECTION LIMIT", "COLLATE", "ISOLATION LEVEL"),
		"CREATE DATABASE d FROM INTEGRATION " + id + " OWNER u CONNECTION LIMIT UNLIMITED": created("d", "", penstock.OptionsChange{}, "OWNER", "CONNECTION LIMIT"),

		"DROP DATABASE shop":                        DropDatabase{Database: "shop"},
		`drop database if exists "Shop" force`:      DropDatabase{Database: "Shop", IfExists: true, Force: true},
		"DROP DATABASE if FORCE":                    DropDatabase{Database: "if", Force: true},
		"DROP DATABASE shop WITH (FORCE)":           DropDatabase{Database: "shop", Force: true},
		"DROP DATABASE IF EXISTS shop /**/ (force)": DropDatabase{Database: "shop", IfExists: true, Force: true},
	} {
		a, err := Classify(parse(t, sql))
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		if first, _, _ := strings.Cut(strings.ToUpper(sql), " "); a.Command != Manage || a.Tag != first+" DATABASE" {
			t.Errorf("%s: command %d, tag %s", sql, a.Command, a.Tag)
			continue
		}
		if d := cmp.Diff(want, a.Order); d != "" {
			t.Errorf("%s: %s", sql, d)
		}
	}
}

func TestDatabaseOrdersRefused(t *testing.T) {
	t.Parallel()
	id := " '" + string(someID) + "'"
	for sql, state := range map[string]string{
		"ALTER DATABASE shop":                                                     "42601",
		"ALTER DATABASE shop INTEGRATION":                                         "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH":                                 "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH ALL":                             "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH ALL TABLES IN":                   "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH ALL TABLES IN SCHEMA":            "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH ALL TABLES IN SCHEMA a,":         "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH TABLE":                           "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH TABLE a.b c":                     "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH TABLE a.":                        "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH TABLE 'a'":                       "42601",
		"ALTER DATABASE 'shop' INTEGRATION REFRESH ALL TABLES":                    "42601",
		"ALTER DATABASE shop INTEGRATION REFRESH REMEDIABLE":                      "42601",
		"ALTER DATABASE shop INTEGRATION SET":                                     "42601",
		"ALTER DATABASE shop INTEGRATION SET NONSENSE TRUE":                       "42601",
		"ALTER DATABASE shop INTEGRATION SET QUERY_ALL_STATES":                    "42601",
		"ALTER DATABASE shop INTEGRATION SET QUERY_ALL_STATES 1":                  "42601",
		"ALTER DATABASE shop INTEGRATION SET QUERY_ALL_STATES TRUE, TRUE":         "42601",
		"ALTER DATABASE shop INTEGRATION SET QUERY_ALL_STATES TRUE OWNER u":       "42601",
		"ALTER DATABASE shop INTEGRATION SET ACCEPTINVCHARS TRUE ACCEPTINVCHARS=": "42601",
		"ALTER DATABASE shop INTEGRATION SET REFRESH_INTERVAL 1.5":                "42601",
		"ALTER DATABASE shop INTEGRATION SET REFRESH_INTERVAL '1'":                "42601",
		"ALTER DATABASE shop INTEGRATION SET REFRESH_INTERVAL -1":                 "22023",
		"ALTER DATABASE shop INTEGRATION SET REFRESH_INTERVAL 432001":             "22023",
		"ALTER DATABASE shop INTEGRATION SET HISTORY_MODE":                        "42601",
		"ALTER DATABASE shop INTEGRATION SET HISTORY_MODE TRUE FOR TABLE":         "42601",
		"ALTER DATABASE shop INTEGRATION SET HISTORY_MODE FALSE FOR":              "42601",
		"ALTER DATABASE shop RENAME TO x":                                         "0A000",
		"ALTER DATABASE shop OWNER TO x":                                          "0A000",

		"CREATE DATABASE":                                                          "42601",
		"CREATE DATABASE d":                                                        "0A000",
		"CREATE DATABASE d WITH OWNER u":                                           "0A000",
		"CREATE DATABASE d FROM DATASHARE s OF NAMESPACE 'x'":                      "0A000",
		"CREATE DATABASE d FROM 'x'":                                               "42601",
		"CREATE DATABASE d FROM INTEGRATION":                                       "42601",
		"CREATE DATABASE d FROM INTEGRATION x":                                     "42601",
		"CREATE DATABASE d FROM INTEGRATION 'x":                                    "42601",
		"CREATE DATABASE d FROM INTEGRATION" + id + " DATABASE":                    "42601",
		"CREATE DATABASE d FROM INTEGRATION" + id + " DATABASE a b":                "42601",
		"CREATE DATABASE d FROM INTEGRATION" + id + " SET":                         "42601",
		"CREATE DATABASE d FROM INTEGRATION" + id + " SET OWNER u":                 "42601",
		"CREATE DATABASE d FROM INTEGRATION" + id + " COLLATE CI":                  "0A000",
		"CREATE DATABASE d FROM INTEGRATION" + id + " CONNECTION LIMIT x":          "42601",
		"CREATE DATABASE d FROM INTEGRATION" + id + " ISOLATION LEVEL X":           "42601",
		"CREATE DATABASE d FROM INTEGRATION" + id + " HISTORY_MODE TRUE FOR a":     "42601",
		"CREATE DATABASE " + strings.Repeat("d", 128) + " FROM INTEGRATION" + id:   "42622",
		"CREATE DATABASE d FROM INTEGRATION" + id + " TRUNCATECOLUMNS TRUE WITH x": "42601",

		"DROP DATABASE":                    "42601",
		"DROP DATABASE a, b":               "42601",
		"DROP DATABASE a WITH":             "42601",
		"DROP DATABASE a (FORCE":           "42601",
		"DROP DATABASE a CASCADE":          "42601",
		"DROP DATABASE IF NOT EXISTS shop": "42601",
	} {
		_, err := Classify(parse(t, sql))
		var e *penstock.SQLError
		if !errors.As(err, &e) || e.State != state {
			t.Errorf("%s: %v, want SQLSTATE %s", sql, err, state)
		}
	}
	for _, sql := range []string{"CREATE TABLE database (x int)", "DROP TABLE database", "ALTER TABLE database ADD COLUMN y int"} {
		if a, err := Classify(parse(t, sql)); err != nil || a.Command != Engine {
			t.Errorf("%s: %+v, %v", sql, a, err)
		}
	}
}
