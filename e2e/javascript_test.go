package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"penstock/internal/testdb/dbtest"
)

// TestJavaScript: the AWS SDK for JavaScript, in the life of an integration.
func TestJavaScript(t *testing.T) {
	t.Parallel()
	modules, err := filepath.Abs(filepath.Join("..", ".cache", "node"))
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("PENSTOCK_TEST_NODE_MODULES"); dir != "" {
		modules = dir
	}
	if _, err := os.Stat(filepath.Join(modules, "node_modules", "@aws-sdk", "client-rds")); err != nil {
		need(t, "no AWS SDK for JavaScript (make test installs one where Node.js 20 or later is)")
	}
	db := dbtest.Shared(t)
	db.Exec(t, "CREATE TABLE t (id int PRIMARY KEY)")
	p := newPenstock(t, db.URL())
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join("testdata", "client.mjs"), modules, "http://"+p.api, accessKey, secretKey,
		p.arn(t, "shop"), p.arn(t, "analytics"), "include: "+db.Name+".*.*")
	cmd.Env = awsEnvironment("", "")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
