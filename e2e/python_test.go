package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
)

// python runs a script with boto3, in which rds is a client of the server, and
// show(x) prints x as JSON; it returns what the last show printed.
func (p *penstock) python(t testing.TB, script string) map[string]any {
	t.Helper()
	interpreter := os.Getenv("PENSTOCK_TEST_PYTHON")
	if interpreter == "" {
		interpreter = "python3"
	}
	if err := exec.Command(interpreter, "-c", "import boto3; boto3.client('rds', region_name='x').create_integration").Run(); err != nil {
		need(t, "no Python with a boto3 that knows integrations (make test installs one)")
	}
	prelude := `
import boto3, botocore, json, os
from botocore.config import Config
rds = boto3.client("rds", endpoint_url=os.environ["ENDPOINT"], region_name="` + region + `",
    aws_access_key_id="` + accessKey + `", aws_secret_access_key="` + secretKey + `", config=Config(retries={"max_attempts": 1}))
def show(x): print(json.dumps(x, default=str))
`
	cmd := exec.Command(interpreter, "-c", prelude+script)
	cmd.Env = append(os.Environ(), "ENDPOINT=http://"+p.api)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python: %v\n%s", err, stderr.String())
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	var v map[string]any
	if err := json.Unmarshal(lines[len(lines)-1], &v); err != nil {
		t.Fatalf("python printed %q: %v", out, err)
	}
	return v
}
