package pgsource

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"penstock"
	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

// TestDatabaseRenamed: a database that is renamed away is named where it is missed, and
// keeps nothing of ours once another one has its name; a slot that stays nevertheless
// is told.
func TestDatabaseRenamed(t *testing.T) {
	t.Parallel()
	for _, major := range []int{13, 15, 18} {
		server := dbtest.New(t, testdb.Options{Fast: true, Major: major})
		exec := func(sql ...string) {
			t.Helper()
			noError(t, server.Exec(t.Context(), "postgres", sql...))
		}
		exec(`CREATE DATABASE shop`)
		first := captureOf(t, server.URL("postgres"), "shop")
		at, err := first.Prepare(t.Context(), "")
		noError(t, err)
		noError(t, first.Close())
		slot := strings.Split(string(at), ":")[4]
		exec(`ALTER DATABASE shop RENAME TO old`)

		again := func() *capture { return first.source.Capture(first.spec).(*capture) }
		c := again()
		_, err = c.Prepare(t.Context(), at)
		if penstock.ProblemOf(err) != penstock.ProblemDatabaseMissing || sqlState(err) != "3D000" ||
			penstock.MendOf(err) != `ALTER DATABASE "old" RENAME TO "shop", or change the data filter, and SELECT pg_drop_replication_slot('`+slot+`')` || !strings.Contains(penstock.MessageOf(err), "it is called old now") {
			t.Errorf("%d, renamed away: %v", major, err)
		}

		exec(`CREATE DATABASE shop`)
		_, err = c.Prepare(t.Context(), at)
		if penstock.KindOf(err) != penstock.KindPositionLost {
			t.Errorf("%d, another of that name: %v", major, err)
		}
		c.Close()
		there := func() (out []string) {
			admin, err := server.Conn(t.Context(), "old")
			noError(t, err)
			defer admin.Close(t.Context())
			out, err = collect[string](t.Context(), admin, `SELECT slot_name::text FROM pg_replication_slots WHERE database = current_database()
				UNION ALL SELECT pubname::text FROM pg_publication UNION ALL SELECT evtname::text FROM pg_event_trigger`)
			noError(t, err)
			return out
		}
		if found := there(); len(found) != 2+1+len(triggerEvents) {
			t.Errorf("%d: removed before the position was given up: %v are left", major, found)
		}
		c = again()
		defer c.Close()
		_, err = c.Prepare(t.Context(), at)
		if penstock.KindOf(err) != penstock.KindPositionLost {
			t.Errorf("%d, another of that name: %v", major, err)
		}
		_, err = c.Prepare(t.Context(), "")
		noError(t, err)
		if found := there(); len(found) > 0 {
			t.Errorf("%d: left in the old database: %v", major, found)
		}

		admin, err := server.Conn(t.Context(), "old")
		noError(t, err)
		defer admin.Close(t.Context())
		_, err = admin.Exec(t.Context(), fmt.Sprintf(`SELECT pg_create_logical_replication_slot('%s', 'pgoutput')`, slot))
		noError(t, err)
		_, findings, err := c.Tables(t.Context())
		noError(t, err)
		if !slices.ContainsFunc(findings, func(f penstock.Finding) bool {
			return f.Code == penstock.ProblemSourceUnclean && f.Mend == "SELECT pg_drop_replication_slot('"+slot+"')" && strings.Contains(f.Message, "database old")
		}) {
			t.Errorf("%d: a slot in another database is not told: %+v", major, findings)
		}
	}
}
