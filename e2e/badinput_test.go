package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"penstock/internal/testdb/dbtest"
)

// TestRefusedRequests: who cannot prove who they are gets AWS's code, and
// nothing happens.
func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	p := newPenstock(t, db.URL())
	request := &rds.CreateIntegrationInput{IntegrationName: aws.String("refused"), SourceArn: aws.String(p.arn(t, "shop")),
		TargetArn: aws.String(p.arn(t, "analytics")), DataFilter: aws.String("include: " + db.Name + ".*.*")}

	_, err := p.client("another-secret").CreateIntegration(t.Context(), request)
	if code := faultCode(t, err); code != "SignatureDoesNotMatch" {
		t.Errorf("a wrong secret gets %s", code)
	}
	_, err = p.client(secretKey).CreateIntegration(t.Context(), request, func(o *rds.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider("nobody", secretKey, "")
	})
	if code := faultCode(t, err); code != "InvalidClientTokenId" {
		t.Errorf("an unknown access key gets %s", code)
	}
	for _, c := range []struct{ id, secret, want string }{
		{accessKey, "another-secret", "SignatureDoesNotMatch"},
		{"nobody", secretKey, "InvalidClientTokenId"},
	} {
		answer := p.python(t, fmt.Sprintf(`
rds = boto3.client("rds", endpoint_url=os.environ["ENDPOINT"], region_name=%q, aws_access_key_id=%q, aws_secret_access_key=%q)
try:
    rds.create_integration(IntegrationName="refused", SourceArn=%q, TargetArn=%q)
except botocore.exceptions.ClientError as e:
    show(dict(e.response["Error"], Status=e.response["ResponseMetadata"]["HTTPStatusCode"]))`,
			region, c.id, c.secret, *request.SourceArn, *request.TargetArn))
		if answer["Code"] != c.want || answer["Status"] != 403.0 {
			t.Errorf("boto3 with key %s and secret %s gets %v", c.id, c.secret, answer)
		}
	}

	all, err := p.client(secretKey).DescribeIntegrations(t.Context(), &rds.DescribeIntegrationsInput{})
	if err != nil || len(all.Integrations) != 0 {
		t.Errorf("%d integrations, %v", len(all.Integrations), err)
	}
	if rows := mustTable(t, db.Conn(t), "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()"); len(rows) != 0 {
		t.Errorf("slots at the source: %v", rows)
	}
}

// TestServeRefuses: what keeps the server from starting is named, together
// with what to change.
func TestServeRefuses(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	busy := taken.Addr().String()

	replace := func(old, new string) func(*testing.T, *penstock) {
		return func(t *testing.T, p *penstock) {
			text, err := os.ReadFile(p.config)
			if err != nil {
				t.Fatal(err)
			}
			old := strings.NewReplacer("API", p.api, "SQL", p.sql, "DATA", p.dataDir).Replace(old)
			if !bytes.Contains(text, []byte(old)) {
				t.Fatalf("the configuration has no %q", old)
			}
			text = bytes.Replace(text, []byte(old), []byte(new), 1)
			if err := os.WriteFile(p.config, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	file := func(name, content string) func(*testing.T, *penstock) {
		return func(t *testing.T, p *penstock) {
			path := filepath.Join(p.dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		spoil func(*testing.T, *penstock)
		code  int
		words []string
	}{
		"api port taken":     {replace("API", busy), 1, []string{busy, "address already in use", "api.listen"}},
		"sql port taken":     {replace("SQL", busy), 1, []string{busy, "address already in use", "sql.listen"}},
		"broken YAML":        {replace("sources:", "sources: ["), 2, []string{"penstock.yaml: line ", "not valid YAML"}},
		"unknown key":        {replace("delete_grace:", "delete_grase:"), 2, []string{"penstock.yaml: line ", "delete_grase: unknown key"}},
		"missing file":       {func(t *testing.T, p *penstock) { os.Remove(p.config) }, 1, []string{"no configuration file", "penstock.yaml", "--config"}},
		"missing secret":     {replace("secret: "+secretKey, "secret: {env: PENSTOCK_E2E_NOT_SET}"), 2, []string{"access_keys[0].secret", "PENSTOCK_E2E_NOT_SET"}},
		"data_dir is a file": {file("data", ""), 1, []string{"data_dir", "not a directory", "folder that this user can write to"}},
		"data_dir in a file": {func(t *testing.T, p *penstock) {
			file("taken", "")(t, p)
			replace("data_dir: DATA", "data_dir: "+p.dir+"/taken/data")(t, p)
		}, 1, []string{"data_dir", "taken", "folder that this user can write to"}},
		"data_dir too long": {func(t *testing.T, p *penstock) {
			replace("data_dir: DATA", "data_dir: "+p.dir+strings.Repeat("/long", 20))(t, p)
		}, 1, []string{"control socket", "penstock.sock", "shorter path"}},
		"metadata damaged":     {file("data/penstock.db", strings.Repeat("damaged ", 1000)), 1, []string{"penstock.db", "damaged", "restore it from a backup"}},
		"metadata is a folder": {file("data/penstock.db/file", ""), 1, []string{"penstock.db", "is a directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := configured(t, "postgres://app:source-secret@127.0.0.1:1/postgres")
			c.spoil(t, p)
			out, code := p.run(t, "serve")
			if code != c.code || !strings.HasPrefix(out, "penstock: ") || !containsAll(out, c.words...) {
				t.Errorf("exit code %d:\n%s", code, out)
			}
			for _, left := range []string{"warehouses", "tls"} {
				if _, err := os.Stat(filepath.Join(p.dataDir, left)); err == nil {
					t.Errorf("%s was made", left)
				}
			}
		})
	}
}

// TestDataDirNotWritable needs a folder in which not even root can write.
func TestDataDirNotWritable(t *testing.T) {
	t.Parallel()
	p := configured(t, "postgres://app@127.0.0.1:1/postgres")
	p.dataDir = "/proc/penstock"
	p.write(t, "postgres://app@127.0.0.1:1/postgres")
	out, code := p.run(t, "serve")
	if code != 1 || !containsAll(out, "data_dir /proc/penstock", "folder that this user can write to") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// TestDataDirInUse: a second server on the same data folder is told who has it.
func TestDataDirInUse(t *testing.T) {
	t.Parallel()
	p := newPenstock(t, "postgres://app@127.0.0.1:1/postgres")
	out, code := p.run(t, "serve")
	if code != 1 || !containsAll(out, "data_dir", "in use by process", fmt.Sprint(p.cmd.Process.Pid), "data_dir of its own") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	p.kill(t)
	p.start(t) // nothing of the lock is left
}

// TestDamagedWarehouse: a damaged destination database is a problem of its own
// integration; the others go on, and what the file was is left alone.
func TestDamagedWarehouse(t *testing.T) {
	t.Parallel()
	good, bad := dbtest.Shared(t), dbtest.Shared(t)
	for _, db := range []*dbtest.Database{good, bad} {
		db.Exec(t, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t SELECT generate_series(1, 100)")
	}
	p := newPenstock(t, good.URL())
	p.integrate(t, "both", good.Name, bad.Name)
	p.awaitActive(t, "both")
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	file := filepath.Join(p.dataDir, "warehouses", "analytics", bad.Name+".duckdb")
	intact, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Repeat([]byte("damaged "), 4096)
	if err := os.WriteFile(file, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	p.start(t)
	p.awaitProblem(t, "both", "", bad.Name, "not a valid")
	good.Exec(t, "INSERT INTO t VALUES (101)")
	awaitEqual(t, p, good.Conn(t), map[string]string{"t": "SELECT id FROM t ORDER BY id"})
	if conn, err := p.connect(t.Context(), bad.Name); err == nil {
		conn.Close(context.Background())
		t.Error("the damaged database can be connected to")
	} else {
		p.assertDiscreet(t, err.Error())
		t.Logf("a client is told: %v", err)
	}
	if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, damaged) {
		t.Errorf("the damaged file was changed, %v", err)
	}
	// A backup heals it, without a restart.
	if err := os.WriteFile(file, intact, 0o600); err != nil {
		t.Fatal(err)
	}
	bad.Exec(t, "INSERT INTO t VALUES (101)")
	p.awaitHealed(t, "both")
	awaitEqual(t, p, bad.Conn(t), map[string]string{"t": "SELECT id FROM t ORDER BY id"})
}
