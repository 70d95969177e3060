package pgsource

import (
	"slices"
	"strings"
	"testing"

	"penstock"
	"penstock/internal/testdb/dbtest"
)

// TestDeferrableKey: a primary key that the server does not take for a replica
// identity is not said to be missing, and the advice works.
func TestDeferrableKey(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, `CREATE TABLE late (id int PRIMARY KEY DEFERRABLE, v text)`, `CREATE TABLE bare (id int)`,
		`CREATE TABLE parted (id int PRIMARY KEY DEFERRABLE) PARTITION BY RANGE (id)`, `CREATE TABLE part PARTITION OF parted DEFAULT`)
	c := captureOf(t, db.URL(), db.Name)
	said := func(table string) *penstock.Finding {
		_, findings, err := c.Tables(t.Context())
		noError(t, err)
		i := slices.IndexFunc(findings, func(f penstock.Finding) bool {
			return f.Code == penstock.ProblemNoReplicaIdentity && f.Table == "public."+table
		})
		if i < 0 {
			return nil
		}
		return &findings[i]
	}
	for _, table := range []string{"late", "parted"} {
		f := said(table)
		if f == nil || !strings.Contains(f.Message, "DEFERRABLE primary key") || strings.Contains(f.Mend, "ADD PRIMARY KEY") || !strings.Contains(f.Mend, "REPLICA IDENTITY FULL") {
			t.Errorf("of %s is found %+v", table, f)
		}
	}
	if f := said("bare"); f == nil || !strings.Contains(f.Message, "no primary key") {
		t.Errorf("of a table without a key is found %+v", f)
	}
	advice, _, _ := strings.Cut(said("late").Mend, ",")
	db.Exec(t, advice, `ALTER TABLE parted DROP CONSTRAINT parted_pkey, ADD PRIMARY KEY (id)`)
	for _, table := range []string{"late", "parted"} {
		if f := said(table); f != nil {
			t.Errorf("of %s is still found %+v", table, f)
		}
	}
}
