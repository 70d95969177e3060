package redshift

import (
	"errors"
	"slices"
	"testing"

	"penstock"
)

func parse(t *testing.T, sql string) Statement {
	t.Helper()
	all := Split(sql)
	if len(all) != 1 {
		t.Fatalf("%q is %d statements", sql, len(all))
	}
	return all[0]
}

func TestRewrite(t *testing.T) {
	t.Parallel()
	version := "'" + Version + "'"
	for sql, want := range map[string]string{
		"select  a /* b */ from t":                                   "select  a /* b */ from t",
		"select version()":                                           "select " + version + " AS version",
		"select pg_catalog.version()":                                "select " + version + " AS version",
		"SELECT VERSION ( ) AS v":                                    "SELECT " + version + "   AS v",
		"select upper(version()), 1":                                 "select upper(" + version + "), 1",
		"select coalesce(a, version(), b), current_user x":           "select coalesce(a, " + version + ", b), 'o''hara' x",
		"select current_user, session_user from t":                   "select 'o''hara' AS current_user, 'o''hara' AS session_user from t",
		"select (select current_user)":                               "select (select 'o''hara' AS current_user)",
		"select * from t where u = current_user":                     "select * from t where u = 'o''hara'",
		"select a as current_user, t.current_user from t":            "select a as current_user, t.current_user from t",
		"select distinct current_database()":                         "select distinct 'shop' AS current_database",
		"select pg_backend_pid()":                                    "select 7 AS pg_backend_pid",
		"select version, t.version from t":                           "select version, t.version from t",
		`select "version"()`:                                         `select "version"()`,
		"select 'version()'":                                         "select 'version()'",
		"select pg_catalog.array_to_string(a, ',')::pg_catalog.text": "select array_to_string(a, ',')::text",
		`select '\x00ff'::bytea, cast('\xAB' as bytea), '\x00ff', '\x'::bytea, '\x0'::bytea`: `select '\x00\xff'::bytea, cast('\xab' as bytea), '\x00ff', ''::bytea, '\x0'::bytea`,
		"select pg_catalog.pg_get_userbyid(c.relowner)":                                      "select coalesce('o''hara',''||c.relowner)",
		"a OPERATOR(pg_catalog.~) 'x' COLLATE pg_catalog.default":                            "a  ~  'x'  ",
		"select $1 + $2, '$1'": "select CAST($1 AS BIGINT) + $2, '$1'",
	} {
		env := Environment{Database: "shop", User: "o'hara", Backend: 7, Casts: []string{"BIGINT", ""}}
		if got := Rewrite(parse(t, sql), env); got.SQL != want || got.Views != nil {
			t.Errorf("%s\n got %s %v\nwant %s", sql, got.SQL, got.Views, want)
		}
	}
}

func TestRewriteViews(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]struct {
		sql   string
		views []string
	}{
		"select * from SVV_Integration s join pg_catalog.svv_integration_table_state t using (integration_id)": {
			"select * from SVV_Integration s join svv_integration_table_state t using (integration_id)",
			[]string{"svv_integration", "svv_integration_table_state"},
		},
		`select svv_integration.state from dev."pg_catalog".svv_integration`: {
			"select svv_integration.state from svv_integration", []string{"svv_integration"},
		},
		"select 'svv_integration', t.svv_integration, my.svv_integration": {
			"select 'svv_integration', t.svv_integration, my.svv_integration", nil,
		},
	} {
		got := Rewrite(parse(t, sql), Environment{})
		if got.SQL != want.sql || !slices.Equal(got.Views, want.views) {
			t.Errorf("%s\n got %s %v\nwant %s %v", sql, got.SQL, got.Views, want.sql, want.views)
		}
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]Action{
		"select 1":                           {Command: Engine},
		"BEGIN ISOLATION LEVEL SERIALIZABLE": {Command: Begin, Tag: "BEGIN"},
		"start transaction read only":        {Command: Begin, Tag: "START TRANSACTION", ReadOnly: true},
		"commit and no chain":                {Command: Commit, Tag: "COMMIT"},
		"abort work":                         {Command: Rollback, Tag: "ROLLBACK"},
		"set local a.B = c, 'd e', 1":        {Command: Set, Tag: "SET", Name: "a.b", Value: "c, d e, 1", Local: true},
		"set session DateStyle to default":   {Command: Reset, Tag: "SET", Name: "datestyle"},
		"set time zone interval":             {Command: Set, Tag: "SET", Name: "timezone", Value: "interval"},
		"set extra_float_digits = -15":       {Command: Set, Tag: "SET", Name: "extra_float_digits", Value: "-15"},
		"set transaction isolation level x":  {Command: Ignore, Tag: "SET"},
		"set session authorization default":  {Command: Ignore, Tag: "SET"},
		"reset all":                          {Command: Reset, Tag: "RESET"},
		"reset search_path":                  {Command: Reset, Tag: "RESET", Name: "search_path"},
		"show time zone":                     {Command: Show, Tag: "SHOW", Name: "timezone"},
		"show all":                           {Command: Show, Tag: "SHOW"},
		"show tables":                        {Command: Engine},
		"deallocate prepare all":             {Command: Deallocate, Tag: "DEALLOCATE ALL"},
		`deallocate "A"`:                     {Command: Deallocate, Tag: "DEALLOCATE", Name: "A"},
		"discard temp":                       {Command: Discard, Tag: "DISCARD TEMP", Name: "temp"},
		"close all":                          {Command: Ignore, Tag: "CLOSE CURSOR ALL"},
	} {
		got, err := Classify(parse(t, sql))
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", sql, got, err, want)
		}
	}
	for sql, state := range map[string]string{
		"set": "42601", "set x 1": "42601", "set x =": "42601", "show": "42601", "reset": "42601", "discard": "42601",
		"start": "42601", "deallocate": "42601", "rollback to a": "0A000", "commit prepared 'x'": "0A000",
		"copy t to 's3://x'": "42501", "COPY (select 1) TO STDOUT": "0A000", "install httpfs": "42501", "load x": "42501",
		"pragma version": "42501", "detach x": "42501", "export database 'x'": "42501", "call x()": "42501", "use dev": "0A000",
		"set role x": "0A000", "declare c cursor for select 1": "0A000", "prepare p as select 1": "0A000",
	} {
		_, err := Classify(parse(t, sql))
		var e *penstock.SQLError
		if !errors.As(err, &e) || e.State != state {
			t.Errorf("%s: %v, want %s", sql, err, state)
		}
	}
}

func TestTag(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"create or replace temp table x(i int)": "CREATE TABLE", "drop view if exists v": "DROP VIEW", "alter table x add y int": "ALTER TABLE",
		"create schema s": "CREATE SCHEMA", "truncate x": "TRUNCATE TABLE", "explain select 1": "EXPLAIN", "(select 1)": "SELECT",
		"with a(x) as (select 1), select_ as (select ')' ) select x from a": "SELECT", "WITH RECURSIVE a AS ((SELECT 1) UNION ALL (SELECT 2)) insert into t select * from a": "INSERT",
		"with a as (values (1)) update t set x = 1": "UPDATE", "with a as (select 1) delete from t": "DELETE", "with a as (select 1) (select 2)": "WITH", "with": "WITH",
	} {
		if got := parse(t, sql).Tag(); got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}
