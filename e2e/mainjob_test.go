package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/jackc/pgx/v5"

	"penstock/internal/testdb"
	"penstock/internal/testdb/dbtest"
)

// pgbenchTables are pgbench's tables with an order that is total for each.
// pgbench_history has no key.
var pgbenchTables = map[string]string{
	"pgbench_accounts": "SELECT aid, bid, abalance, filler FROM pgbench_accounts ORDER BY aid",
	"pgbench_branches": "SELECT bid, bbalance, filler FROM pgbench_branches ORDER BY bid",
	"pgbench_tellers":  "SELECT tid, bid, tbalance, filler FROM pgbench_tellers ORDER BY tid",
	"pgbench_history":  "SELECT tid, bid, aid, delta, mtime, filler FROM pgbench_history ORDER BY tid, bid, aid, delta, mtime",
}

// TestMainJob is the whole main job by boto3: an integration is created while
// pgbench writes, survives two kills and a restart of PostgreSQL, has every
// row exactly as committed, and is deleted without a trace.
func TestMainJob(t *testing.T) {
	t.Parallel()
	server := dbtest.New(t, testdb.Options{Settings: map[string]string{"synchronous_commit": "on"}})
	ctx := t.Context()
	if err := server.Exec(ctx, "postgres", "CREATE DATABASE bench"); err != nil {
		t.Fatal(err)
	}
	pgbench(t, server, "-i", "-q", "-s", "3")
	p := newPenstock(t, server.URL("postgres"))

	load := startLoad(t, server)
	created := p.python(t, fmt.Sprintf(`
show(rds.create_integration(IntegrationName="bench-analytics", SourceArn=%q, TargetArn=%q, DataFilter="include: bench.*.*",
    Description="pgbench", Tags=[{"Key": "team", "Value": "data"}]))`, p.arn(t, "shop"), p.arn(t, "analytics")))
	for member, want := range map[string]any{
		"IntegrationName": "bench-analytics", "SourceArn": p.arn(t, "shop"), "TargetArn": p.arn(t, "analytics"), "Status": "creating",
		"DataFilter": "include: bench.*.*", "Description": "pgbench",
	} {
		if created[member] != want {
			t.Errorf("CreateIntegration answered %s = %v, want %v", member, created[member], want)
		}
	}
	client := p.client(secretKey)
	statuses := awaitStatus(t, client, "bench-analytics", "active")
	if slices.Contains(statuses, "syncing") || slices.Contains(statuses, "needs_attention") {
		t.Errorf("the integration went through %v on its way to active", statuses)
	}

	for range 2 {
		awaitProgress(t, p)
		p.kill(t)
		p.start(t)
	}
	awaitProgress(t, p)
	load.stop(t)
	if err := server.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	load = startLoad(t, server)
	awaitProgress(t, p)
	lags := measureLag(t, server, p)
	t.Logf("commit to queryable under load: p50 %v, max %v", lags[len(lags)/2], lags[len(lags)-1])
	p.wantVerified(t, "bench-analytics")
	load.stop(t)

	source, err := server.Conn(ctx, "bench")
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close(ctx)
	awaitEqual(t, p, source, pgbenchTables)
	assertAttached(t, p)

	deleted := p.python(t, `show(rds.delete_integration(IntegrationIdentifier="bench-analytics"))`)
	if deleted["Status"] != "deleting" || deleted["IntegrationName"] != "bench-analytics" || deleted["Description"] != "pgbench" {
		t.Errorf("DeleteIntegration answered %v", deleted)
	}
	await(t, "IntegrationNotFoundFault", func() bool {
		_, err := client.DescribeIntegrations(ctx, &rds.DescribeIntegrationsInput{IntegrationIdentifier: aws.String("bench-analytics")})
		var gone *types.IntegrationNotFoundFault
		return errors.As(err, &gone)
	})
	again := p.python(t, `
try:
    rds.delete_integration(IntegrationIdentifier="bench-analytics")
except rds.exceptions.IntegrationNotFoundFault as e:
    show(e.response["Error"])`)
	if again["Code"] != "IntegrationNotFoundFault" {
		t.Errorf("a second DeleteIntegration answered %v", again)
	}
	assertClean(t, source)

	// The destination database stays as it was, also after a restart.
	awaitEqual(t, p, source, pgbenchTables)
	if code := p.stop(t); code != 0 {
		t.Errorf("penstock serve ended with code %d after SIGTERM", code)
	}
	p.start(t)
	awaitEqual(t, p, source, pgbenchTables)
}

// load is pgbench writing in the background.
type load struct{ cmd *exec.Cmd }

func pgbench(t testing.TB, server *testdb.Server, args ...string) {
	t.Helper()
	if out, err := pgbenchCommand(t, server, args...).CombinedOutput(); err != nil {
		t.Fatalf("pgbench: %v\n%s", err, out)
	}
}

func pgbenchCommand(t testing.TB, server *testdb.Server, args ...string) *exec.Cmd {
	t.Helper()
	args = append(args, "-h", server.Host(), "-p", strconv.Itoa(server.Port()), "-U", testdb.User, "bench")
	path, err := server.Binaries.Client("pgbench")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(cmd.Environ(), "PGPASSWORD="+server.Password())
	return cmd
}

func startLoad(t testing.TB, server *testdb.Server) *load {
	t.Helper()
	l := &load{pgbenchCommand(t, server, "-n", "-c", "4", "-T", "600", "-R", "300")}
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.cmd.Process.Kill() })
	return l
}

func (l *load) stop(t testing.TB) {
	t.Helper()
	l.cmd.Process.Signal(syscall.SIGTERM) // SIGINT may be ignored, if we were started in the background
	l.cmd.Wait()
}

// awaitStatus waits for a status and returns those seen on the way.
func awaitStatus(t testing.TB, client *rds.Client, name, want string) (seen []string) {
	t.Helper()
	await(t, "integration "+name+" to be "+want, func() bool {
		out, err := client.DescribeIntegrations(t.Context(), &rds.DescribeIntegrationsInput{IntegrationIdentifier: aws.String(name)})
		if err != nil {
			t.Fatal(err)
		}
		in := out.Integrations[0]
		if len(seen) == 0 || seen[len(seen)-1] != string(in.Status) {
			seen = append(seen, string(in.Status))
			for _, e := range in.Errors {
				t.Logf("%s: %s: %s", in.Status, aws.ToString(e.ErrorCode), aws.ToString(e.ErrorMessage))
			}
		}
		return string(in.Status) == want
	})
	return seen
}

// awaitProgress waits until rows have arrived in the warehouse since the call.
func awaitProgress(t testing.TB, p *penstock) {
	t.Helper()
	count := func() int {
		conn, err := p.connect(t.Context(), "bench")
		if err != nil {
			return -1
		}
		defer conn.Close(context.Background())
		rows, err := table(t.Context(), conn, "SELECT count(*) FROM pgbench_history")
		if err != nil || len(rows) != 1 {
			return -1
		}
		n, _ := strconv.Atoi(rows[0])
		return n
	}
	first := -1
	await(t, "new rows in the warehouse", func() bool {
		n := count()
		if first < 0 {
			first = n
		}
		return first >= 0 && n > first+100
	})
}

// measureLag commits rows and measures when they can be queried, ascending.
func measureLag(t testing.TB, server *testdb.Server, p *penstock) (lags []time.Duration) {
	t.Helper()
	source, err := server.Conn(t.Context(), "bench")
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close(context.Background())
	warehouse := p.warehouse(t, "bench")
	for range 20 {
		mark := rand.Int32()
		if _, err := source.Exec(t.Context(), "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (0, 0, 0, $1, now())", mark); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		await(t, "a committed row to be queryable", func() bool {
			return mustTable(t, warehouse, fmt.Sprintf("SELECT count(*) FROM pgbench_history WHERE delta = %d AND tid = 0", mark))[0] == "1"
		})
		lags = append(lags, time.Since(began))
	}
	slices.Sort(lags)
	return lags
}

// awaitEqual waits until each query gives the same rows in the source and in
// the warehouse. Nobody writes meanwhile, though what a writer had sent when it
// was stopped may still be committed: the source is asked each time.
func awaitEqual(t testing.TB, p *penstock, source *pgx.Conn, queries map[string]string) {
	t.Helper()
	database := source.Config().Database
	for name, sql := range queries {
		var got, want []string
		var failure error
		deadline := time.Now().Add(patience)
		for {
			want = mustTable(t, source, sql)
			conn, err := p.connect(t.Context(), database)
			if err == nil {
				got, err = table(t.Context(), conn, sql)
				conn.Close(context.Background())
			}
			failure = err
			if err == nil && slices.Equal(got, want) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %s (error %v)", name, difference(got, want), failure)
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Logf("%s: %d rows are equal", name, len(want))
	}
}

func difference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("%d rows instead of %d; row %d is %.100q instead of %.100q", len(got), len(want), i, got[i], want[i])
		}
	}
	return fmt.Sprintf("%d rows instead of %d", len(got), len(want))
}

// assertAttached checks the system views of a healthy integration.
func assertAttached(t testing.TB, p *penstock) {
	t.Helper()
	dev := p.warehouse(t, "dev")
	if rows := mustTable(t, dev, "SELECT target_database, source, state, total_tables_replicated, total_tables_failed, source_database FROM svv_integration"); !slices.Equal(rows, []string{"bench|PostgreSQL|CdcRefreshState|4|0|bench"}) {
		t.Errorf("svv_integration has %q", rows)
	}
	rows := mustTable(t, dev, "SELECT schema_name, table_name, table_state FROM svv_integration_table_state ORDER BY table_name")
	if len(rows) != 4 || !strings.HasPrefix(rows[0], "public|pgbench_accounts|Synced") {
		t.Errorf("svv_integration_table_state has %q", rows)
	}
}

// assertClean checks that nothing of ours is left at the source.
func assertClean(t testing.TB, source *pgx.Conn) {
	t.Helper()
	for what, sql := range map[string]string{
		"slots": "SELECT slot_name FROM pg_replication_slots", "publications": "SELECT pubname FROM pg_publication",
		"event triggers": "SELECT evtname FROM pg_event_trigger", "schemas": "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'penstock%'",
		"walsenders": "SELECT pid FROM pg_stat_replication",
	} {
		if rows := mustTable(t, source, sql); len(rows) > 0 {
			t.Errorf("%s left at the source: %v", what, rows)
		}
	}
}
