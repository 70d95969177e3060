package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"penstock/internal/testdb/dbtest"
)

// TestRedshiftConnector: Amazon's own Python driver carries out the statements
// about destination databases. It begins a transaction by itself unless
// autocommit is on, which such a statement is told.
func TestRedshiftConnector(t *testing.T) {
	t.Parallel()
	interpreter := os.Getenv("PENSTOCK_TEST_PYTHON")
	if interpreter == "" {
		interpreter = "python3"
	}
	if err := exec.Command(interpreter, "-c", "import redshift_connector").Run(); err != nil {
		t.Skip("SKIPPED: no Python with redshift_connector")
	}
	db := dbtest.Shared(t)
	src := db.Conn(t)
	execute(t, src, "CREATE TABLE orders (id int PRIMARY KEY)", "INSERT INTO orders SELECT generate_series(1, 100)")
	p := configured(t, db.URL())
	p.manual(t)
	p.start(t)
	p.integrate(t, "driven", db.Name)
	p.awaitActive(t, "driven")
	host, port, _ := strings.Cut(p.sql, ":")
	cmd := exec.Command(interpreter, "-c", `
import os, time, redshift_connector
def connect(database):
    return redshift_connector.connect(host=os.environ["HOST"], port=int(os.environ["PORT"]), database=database, user="admin", password=os.environ["PGPASSWORD"], ssl=False)
name = os.environ["NAME"]
conn = connect("dev")
cursor = conn.cursor()
cursor.execute("SELECT trim(integration_id), state FROM svv_integration")
row = cursor.fetchone()
assert row[1].strip() == "PendingDbConnectState", row
create = "CREATE DATABASE " + name + " FROM INTEGRATION '" + row[0] + "' DATABASE " + name
try:
    cursor.execute(create)
    raise Exception("it was carried out inside a transaction")
except redshift_connector.error.ProgrammingError as e:
    assert e.args[0]["C"] == "25001", e.args
conn.rollback()
conn.autocommit = True
cursor.execute(create)
other = connect(name)
other.autocommit = True
reader = other.cursor()
for _ in range(600):
    try:
        reader.execute("SELECT count(*) FROM orders")
        if reader.fetchone()[0] == 100:
            break
    except redshift_connector.error.ProgrammingError as e:
        assert e.args[0]["C"] in ("55000", "42P01"), e.args
    time.sleep(0.1)
else:
    raise Exception("the rows do not come")
cursor.execute("ALTER DATABASE " + name + " INTEGRATION SET REFRESH_INTERVAL 60 QUERY_ALL_STATES TRUE")
cursor.execute("SELECT refresh_interval FROM svv_integration WHERE target_database = %s", (name,))
assert cursor.fetchone()[0] == 60
cursor.execute("ALTER DATABASE " + name + " INTEGRATION REFRESH ALL TABLES")
try:
    cursor.execute("DROP DATABASE " + name)
    raise Exception("it was dropped under the feet of others")
except redshift_connector.error.ProgrammingError as e:
    assert e.args[0]["C"] == "55006", e.args
cursor.execute("DROP DATABASE " + name + " FORCE")
cursor.execute("SELECT count(*) FROM svv_integration WHERE state = 'PendingDbConnectState'")
assert cursor.fetchone()[0] == 1
`)
	cmd.Env = append(os.Environ(), "HOST="+host, "PORT="+port, "PGPASSWORD="+sqlPassword, "NAME="+db.Name)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
