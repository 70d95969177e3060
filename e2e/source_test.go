package e2e

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/jackc/pgx/v5"

	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

// connect opens a connection that is closed with the test.
func connect(t testing.TB, server *testdb.Server, database string) *pgx.Conn {
	t.Helper()
	return (&dbtest.Database{Server: server, Name: database}).Conn(t)
}

// TestWalLevel: a source without logical decoding is named with the statement
// that mends it; carrying that out is all there is to do.
func TestWalLevel(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Fast: true, Settings: map[string]string{"wal_level": "replica"}})
	if err := server.Exec(t.Context(), "postgres", "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"); err != nil {
		t.Fatal(err)
	}
	p := newPenstock(t, server.URL("postgres"))
	p.integrate(t, "replica", "postgres")
	said := p.awaitProblem(t, "replica", "SOURCE_SETTING", "source shop", "wal_level is replica")
	awaitStatus(t, p.client(secretKey), "replica", "needs_attention")
	statement, restart, _ := strings.Cut(mends(t, said), ";")
	if !strings.Contains(restart, "restart PostgreSQL") {
		t.Errorf("no word of a restart: %s", said)
	}
	if out, code := p.run(t, "check"); code != 1 || !containsAll(out, "wal_level is replica", statement, "not ready") {
		t.Errorf("check ends with %d:\n%s", code, out)
	}

	if err := server.Exec(t.Context(), "postgres", statement); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.awaitHealed(t, "replica")
	source := connect(t, server, "postgres")
	awaitEqual(t, p, source, map[string]string{"t": "SELECT id FROM t ORDER BY id"})
	if out, code := p.run(t, "check"); code != 0 || !strings.HasSuffix(out, "ready\n") {
		t.Errorf("check ends with %d:\n%s", code, out)
	}
}

// TestRights: each right that the role lacks is named with the statement that
// grants it, and granting what is named is all there is to do.
func TestRights(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Fast: true})
	admin := connect(t, server, "postgres")
	execute(t, admin,
		"CREATE ROLE penstock LOGIN PASSWORD 'role-secret'",
		"CREATE ROLE app LOGIN",
		"CREATE DATABASE shop OWNER app",
	)
	shop := connect(t, server, "shop")
	execute(t, shop,
		"CREATE SCHEMA store AUTHORIZATION app",
		`CREATE TABLE store."Order" (id int PRIMARY KEY)`, `ALTER TABLE store."Order" OWNER TO app`, `INSERT INTO store."Order" VALUES (1), (2)`,
		"CREATE TABLE of_superuser (id int PRIMARY KEY)", "INSERT INTO of_superuser VALUES (3)",
	)
	u, _ := url.Parse(server.URL("postgres"))
	u.User = url.UserPassword("penstock", "role-secret")
	p := newPenstock(t, u.String())
	p.integrate(t, "rights", "shop")

	// Whatever is asked for is granted, until nothing is asked for any more.
	granted := map[string]bool{}
	await(t, "the integration to be well", func() bool {
		in := p.describe(t, "rights")
		for _, e := range in.Errors {
			if *e.ErrorCode != "SOURCE_RIGHTS" {
				t.Fatalf("%s: %s", *e.ErrorCode, *e.ErrorMessage)
			}
			if statement := mends(t, *e.ErrorMessage); !granted[statement] {
				t.Log(*e.ErrorMessage)
				if len(granted) == 0 {
					// check says all of it at once, and that before anything is granted.
					out, code := p.run(t, "check", "--filter", "include: shop.*.*")
					if code != 1 || !containsAll(out, statement, `ALTER ROLE "penstock" REPLICATION`, `GRANT CREATE ON DATABASE "shop" TO "penstock"`, `GRANT "app" TO "penstock"`, `store.Order`, "of_superuser",
						"to paste", "    \\connect \"shop\"\n", "    GRANT \"app\" TO \"penstock\";\n", `CREATE PUBLICATION "penstock" FOR TABLE ONLY "public"."of_superuser", ONLY "store"."Order" WITH`, "max_slot_wal_keep_size", "pg_read_all_stats") {
						t.Errorf("check ends with %d:\n%s", code, out)
					}
				}
				granted[statement] = true
				execute(t, shop, statement)
			}
		}
		return in.Status == types.IntegrationStatusActive && len(in.Errors) == 0
	})
	if len(granted) < 4 {
		t.Errorf("only these were asked for: %v", granted)
	}
	awaitEqual(t, p, shop, map[string]string{"Order": `SELECT id FROM store."Order" ORDER BY id`, "of_superuser": "SELECT id FROM of_superuser"})

	// The application has lost nothing by it.
	execute(t, shop, "SET ROLE app", `INSERT INTO store."Order" VALUES (3)`, "RESET ROLE")
	awaitEqual(t, p, shop, map[string]string{"Order": `SELECT id FROM store."Order" ORDER BY id`})

	// A password that is changed is a problem too, and no secret is told.
	execute(t, admin, "ALTER ROLE penstock PASSWORD 'another-secret'", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'penstock'")
	p.awaitProblem(t, "rights", "SOURCE_RIGHTS", "password authentication failed", "penstock", "source's url")
	execute(t, admin, "ALTER ROLE penstock PASSWORD 'role-secret'")
	p.awaitHealed(t, "rights")
	p.delete(t, "rights")
	assertClean(t, shop)
}

// TestReadRight: a table that may not be read fails by itself; the others go
// on, and it comes with the right.
func TestReadRight(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Fast: true})
	admin := connect(t, server, "postgres")
	execute(t, admin, "CREATE ROLE owner", "CREATE ROLE penstock LOGIN REPLICATION PASSWORD 'role-secret' IN ROLE owner", "GRANT CREATE ON DATABASE postgres TO penstock",
		"CREATE TABLE closed (id int PRIMARY KEY)", "INSERT INTO closed VALUES (1)", "ALTER TABLE closed OWNER TO owner", "REVOKE ALL ON closed FROM owner",
		"CREATE TABLE open (id int PRIMARY KEY)", "INSERT INTO open VALUES (1)", "ALTER TABLE open OWNER TO owner")
	u, _ := url.Parse(server.URL("postgres"))
	u.User = url.UserPassword("penstock", "role-secret")
	p := newPenstock(t, u.String())
	p.integrate(t, "reads", "postgres")
	said := p.awaitProblem(t, "reads", "SOURCE_RIGHTS", "public.closed", "cannot be read")
	awaitEqual(t, p, admin, map[string]string{"open": "SELECT id FROM open"})
	for _, statement := range strings.Split(mends(t, said), "; ") {
		execute(t, admin, statement)
	}
	p.awaitHealed(t, "reads")
	awaitEqual(t, p, admin, map[string]string{"closed": "SELECT id FROM closed"})
}

// TestMissingDatabase: a database that the filter names and that is not there
// is a problem until it is.
func TestMissingDatabase(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	later := db.Name + "_later"
	p := newPenstock(t, db.URL())
	p.integrate(t, "later", db.Name, later)
	p.awaitProblem(t, "later", "DATABASE_MISSING", later, "does not exist", "CREATE DATABASE")
	awaitEqual(t, p, db.Conn(t), map[string]string{"t": "SELECT id FROM t"})
	if out, code := p.run(t, "check", "--filter", "include: "+later+".*.*"); code != 1 || !containsAll(out, later+" does not exist", "CREATE DATABASE") {
		t.Errorf("check ends with %d:\n%s", code, out)
	}
	db.Exec(t, "CREATE DATABASE "+later)
	p.awaitHealed(t, "later")
	p.delete(t, "later")
	db.Exec(t, "DROP DATABASE "+later)
}

// TestNoReplicaIdentity: updates and deletes of a table without identity go on
// working for the application; the table says what it lacks, fails once it
// cannot be right any more, and comes back with an identity.
func TestNoReplicaIdentity(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, "CREATE TABLE bare (id int, v text)", "INSERT INTO bare SELECT g, 'v' || g FROM generate_series(1, 100) g",
		"CREATE TABLE keyed (id int PRIMARY KEY, v text)", "INSERT INTO keyed VALUES (1, 'one')")
	p := newPenstock(t, db.URL())
	p.integrate(t, "bare", db.Name)
	p.awaitActive(t, "bare")
	said := p.awaitProblem(t, "bare", "NO_REPLICA_IDENTITY", "public.bare", "no primary key and no replica identity")
	source := db.Conn(t)
	all := map[string]string{"bare": "SELECT id, v FROM bare ORDER BY id", "keyed": "SELECT id, v FROM keyed ORDER BY id"}
	execute(t, source, "INSERT INTO bare VALUES (101, 'inserted')")
	awaitEqual(t, p, source, all)

	execute(t, source, "UPDATE bare SET v = 'changed' WHERE id <= 10", "DELETE FROM bare WHERE id > 90")
	p.awaitProblem(t, "bare", "UNSEEN_CHANGES", "public.bare", "updated or deleted")
	if status := p.describe(t, "bare").Status; status != types.IntegrationStatusNeedsAttention {
		awaitStatus(t, p.client(secretKey), "bare", "needs_attention")
	}
	warehouse := p.warehouse(t, "dev")
	states := func() []string {
		return mustTable(t, warehouse, "SELECT table_name, table_state, reason <> '' FROM svv_integration_table_state ORDER BY 1")
	}
	await(t, "the table to be Failed with a reason", func() bool { return states()[0] == "bare|Failed|t" })
	execute(t, source, "INSERT INTO keyed VALUES (2, 'two')", "UPDATE keyed SET v = 'ONE' WHERE id = 1")
	awaitEqual(t, p, source, map[string]string{"keyed": all["keyed"]})

	// A refresh brings it up to date, and the next such change is noticed again.
	execute(t, warehouse, "ALTER DATABASE "+db.Name+" INTEGRATION REFRESH INERROR TABLES")
	awaitEqual(t, p, source, all)
	await(t, "the table to be Synced", func() bool { return strings.HasPrefix(states()[0], "bare|Synced") })
	execute(t, source, "DELETE FROM bare WHERE id = 50")
	await(t, "the table to be Failed again", func() bool { return states()[0] == "bare|Failed|t" })

	// So is one that is made while nobody looks; a change of shape is none.
	execute(t, warehouse, "ALTER DATABASE "+db.Name+" INTEGRATION REFRESH INERROR TABLES")
	awaitEqual(t, p, source, all)
	await(t, "the table to be Synced again", func() bool { return strings.HasPrefix(states()[0], "bare|Synced") })
	execute(t, source, "ALTER TABLE bare ADD COLUMN more int DEFAULT 1", "INSERT INTO bare VALUES (102, 'more')")
	awaitEqual(t, p, source, all)
	restart := func(meanwhile ...string) {
		p.kill(t)
		execute(t, source, meanwhile...)
		p.start(t)
		warehouse = p.warehouse(t, "dev")
	}
	restart("INSERT INTO bare VALUES (103, 'more')")
	awaitEqual(t, p, source, all)
	if s := strings.Join(states(), " "); !strings.HasPrefix(s, "bare|Synced") {
		t.Errorf("after nothing but inserts and a change of shape: %s", s)
	}
	restart("UPDATE bare SET v = 'while nobody looked' WHERE id = 1")
	await(t, "the table to be Failed for what nobody saw", func() bool { return strings.HasPrefix(strings.Join(states(), " "), "bare|Failed|t") })

	_, statement, _ := strings.Cut(mends(t, said), " or ")
	execute(t, source, statement) // REPLICA IDENTITY FULL
	p.awaitHealed(t, "bare")
	execute(t, source, "UPDATE bare SET v = 'seen' WHERE id > 80", "DELETE FROM bare WHERE id % 7 = 0")
	awaitEqual(t, p, source, all)
}

// TestUnreachableSource: what is asked of an integration whose source is away
// is answered at once; it can be deleted within the grace, over a crash too,
// and what that leaves behind is shown, and removed when the source is back.
func TestUnreachableSource(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Fast: true})
	source := connect(t, server, "postgres")
	execute(t, source, "CREATE TABLE t (id int PRIMARY KEY)")
	p := newPenstock(t, server.URL("postgres"))
	p.integrate(t, "away", "postgres")
	p.awaitActive(t, "away")
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if out, code := p.run(t, "check"); code != 1 || !containsAll(out, "! it cannot be checked", "source shop", "connection refused", "firewall") {
		t.Errorf("check ends with %d:\n%s", code, out)
	}
	began := time.Now()
	if _, err := p.client(secretKey).DeleteIntegration(t.Context(), &rds.DeleteIntegrationInput{IntegrationIdentifier: aws.String("away")}); err != nil {
		t.Fatal(err)
	}
	p.kill(t)
	p.start(t)
	await(t, "the deletion to be finished", func() bool { return p.describe(t, "away") == nil })
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("deleting took %v, with a delete_grace of 5s", took)
	}
	await(t, "the orphan to be counted", func() bool { return p.metrics(t)["penstock_orphans"] == "1" })
	if out, code := p.run(t, "check"); code != 1 || !containsAll(out, "! orphan", "integration away", "source shop") {
		t.Errorf("check ends with %d:\n%s", code, out)
	}
	p.integrate(t, "never-there", "other") // answers creating
	p.awaitProblem(t, "never-there", "SOURCE_UNREACHABLE", "source shop cannot be reached", "connection refused", "host, port and firewall")
	if status := p.describe(t, "never-there").Status; status != types.IntegrationStatusCreating {
		t.Errorf("the status is %s", status)
	}
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p.start(t)
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	source = connect(t, server, "postgres")
	await(t, "the orphan to be removed", func() bool {
		return p.metrics(t)["penstock_orphans"] == "0" && len(mustTable(t, source, "SELECT pubname FROM pg_publication")) == 0
	})
	assertClean(t, source)
	execute(t, source, "CREATE DATABASE other")
	p.awaitActive(t, "never-there")
}
