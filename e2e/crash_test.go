package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

// TestKilled kills the server at random moments, beginning with the first load,
// while rows are written and tables are added (promise 2).
func TestKilled(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, writtenSchema...)
	db.Exec(t, "CREATE TABLE large (id int PRIMARY KEY, filler text)", "INSERT INTO large SELECT g, repeat('filler ', 20) FROM generate_series(1, 200000) g")
	tables := maps.Clone(writtenTables)
	tables["large"] = "SELECT count(*), sum(id), min(filler), max(filler) FROM large"

	p := newPenstock(t, db.URL())
	w := startWriters(t, db.Server, db.Name, 2, true)
	p.integrate(t, "killed", db.Name)
	source := db.Conn(t)
	for i := range 8 {
		if i%2 == 1 {
			name := fmt.Sprintf("added_%d", i)
			execute(t, source, "CREATE TABLE "+name+" (id int PRIMARY KEY, v text)", "INSERT INTO "+name+" SELECT g, 'v' || g FROM generate_series(1, 5000) g")
			tables[name] = "SELECT id, v FROM " + name + " ORDER BY id"
		}
		// The one thing to wait for here is that there is no moment to wait for.
		time.Sleep(time.Duration(200+rand.IntN(600)) * time.Millisecond)
		p.kill(t)
		p.start(t)
	}
	w.awaitCommits(t, 20)
	w.stop()
	p.awaitActive(t, "killed")
	awaitEqual(t, p, source, tables)
	assertHistory(t, p, db.Name)
	p.wantVerified(t, "killed")
}

// assertHistory checks that the tables of a destination database are Synced.
func assertHistory(t testing.TB, p *penstock, database string) {
	t.Helper()
	states := mustTable(t, p.warehouse(t, "dev"), "SELECT table_name, table_state FROM svv_integration_table_state WHERE target_database = '"+database+"' AND table_state <> 'Synced'")
	if len(states) != 0 {
		t.Errorf("not Synced: %v", states)
	}
}

// TestSourceCrashes restarts the source, kills it, and ends our walsender.
func TestSourceCrashes(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Fast: true})
	if err := server.Exec(t.Context(), "postgres", writtenSchema...); err != nil {
		t.Fatal(err)
	}
	p := newPenstock(t, server.URL("postgres"))
	w := startWriters(t, server, "postgres", 2, false)
	p.integrate(t, "crashes", "postgres")
	p.awaitActive(t, "crashes")
	for _, end := range []func() error{server.Stop, server.Kill} {
		w.awaitCommits(t, 50)
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	source := connect(t, server, "postgres")
	for range 5 {
		w.awaitCommits(t, 20)
		await(t, "a walsender of ours", func() bool {
			return len(mustTable(t, source, "SELECT pg_terminate_backend(pid) FROM pg_stat_replication")) > 0
		})
	}
	w.awaitCommits(t, 20)
	w.stop()
	awaitEqual(t, p, source, writtenTables)
	if in := p.describe(t, "crashes"); in.Status != "active" || len(in.Errors) > 2 { // two tables without a key
		t.Errorf("status %s, errors %v", in.Status, in.Errors)
	}
}

// TestConnectionCut breaks and stalls the connections to the source.
func TestConnectionCut(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, writtenSchema...)
	between := newProxy(t, db.Server.Addr())
	u, _ := url.Parse(db.URL())
	u.Host = between.addr()
	p := newPenstock(t, u.String())
	w := startWriters(t, db.Server, db.Name, 2, true)
	p.integrate(t, "cut", db.Name)
	for range 4 { // first during the load, at some moment or other
		w.awaitCommits(t, int64(1+rand.IntN(30)))
		between.cut()
	}
	p.awaitActive(t, "cut")
	between.stall(true)
	w.awaitCommits(t, 50)
	between.stall(false)
	w.awaitCommits(t, 50)

	between.stall(true)
	w.awaitCommits(t, 50)
	between.cut()
	between.shut(true)
	seen := between.connections()
	await(t, "further attempts to connect", func() bool { return between.connections() > seen+2 })
	if status := p.describe(t, "cut").Status; status != "active" {
		t.Errorf("the status is %s after a moment without a source", status)
	}
	between.shut(false)
	between.stall(false)
	w.awaitCommits(t, 20)
	w.stop()
	awaitEqual(t, p, db.Conn(t), writtenTables)
}

// TestRestartKeepsAll: integrations, what describes them, and a deletion that
// was begun survive a crash.
func TestRestartKeepsAll(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	p := newPenstock(t, db.URL())
	p.integrate(t, "kept", db.Name)
	p.awaitActive(t, "kept")
	client := p.client(secretKey)
	arn := p.describe(t, "kept").IntegrationArn
	if _, err := client.AddTagsToResource(t.Context(), &rds.AddTagsToResourceInput{ResourceName: arn, Tags: tagsOf("team", "data")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.ModifyIntegration(t.Context(), &rds.ModifyIntegrationInput{IntegrationIdentifier: arn, Description: aws.String("described")}); err != nil {
		t.Fatal(err)
	}
	p.awaitActive(t, "kept")
	before := fmt.Sprintf("%+v", *p.describe(t, "kept"))
	p.kill(t)
	p.start(t)
	after := p.describe(t, "kept")
	if *after.IntegrationArn != *arn || *after.Description != "described" || len(after.Tags) != 1 || *after.Tags[0].Value != "data" || after.Status != "active" {
		t.Errorf("after a crash %+v, before it %s", *after, before)
	}

	if _, err := client.DeleteIntegration(t.Context(), &rds.DeleteIntegrationInput{IntegrationIdentifier: arn}); err != nil {
		t.Fatal(err)
	}
	p.kill(t)
	p.start(t)
	await(t, "the deletion to be finished", func() bool { return p.describe(t, "kept") == nil })
	source := db.Conn(t)
	if rows := mustTable(t, source, "SELECT slot_name FROM pg_replication_slots WHERE database = current_database() UNION ALL SELECT pubname FROM pg_publication"); len(rows) != 0 {
		t.Errorf("left at the source: %v", rows)
	}
	awaitEqual(t, p, source, map[string]string{"t": "SELECT id FROM t"})
}
