package rds_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"penstock"
	"penstock/internal/control"
)

// strictEnv, if it is 1, makes a client that is not installed a failure.
const strictEnv = "PENSTOCK_TEST_STRICT"

// byName is a fake that fails for the identifiers that name a failure.
type byName struct{ *fake }

func (f byName) Delete(ctx context.Context, identifier string) (penstock.Integration, error) {
	switch identifier {
	case "missing":
		return penstock.Integration{}, penstock.Errorf(penstock.KindIntegrationNotFound, "Integration missing not found")
	case "busy":
		return penstock.Integration{}, penstock.Errorf(penstock.KindConflict, "another operation is in progress")
	case "creating":
		return penstock.Integration{}, penstock.Errorf(penstock.KindInvalidState, "it is not in a valid state")
	}
	return f.fake.Delete(ctx, identifier)
}

func TestBoto3(t *testing.T) {
	t.Parallel()
	if out, err := exec.CommandContext(t.Context(), "python3", "-c", "import boto3").CombinedOutput(); err != nil {
		if os.Getenv(strictEnv) == "1" {
			t.Fatalf("python3 with boto3 is not installed: %v\n%s", err, out)
		}
		t.Skipf("SKIPPED: python3 with boto3 is not installed: %v", err)
	}
	full := fullIntegration()
	server := setup(t, byName{&fake{
		integration: full,
		tags:        []penstock.Tag{{Key: "x", Value: "y"}},
		pages: map[string]control.ListReply{
			"":        {Integrations: []penstock.Integration{full}, Marker: "next/+="},
			"next/+=": {Integrations: []penstock.Integration{full}},
		},
	}})
	cmd := exec.CommandContext(t.Context(), "python3", "testdata/client.py", server.URL, keyID, keySecret)
	cmd.Env = append(withoutAWS(os.Environ()), "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "NO_PROXY=*")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// withoutAWS drops the variables that boto3 would be configured by.
func withoutAWS(env []string) []string {
	var kept []string
	for _, v := range env {
		if !strings.HasPrefix(v, "AWS_") {
			kept = append(kept, v)
		}
	}
	return kept
}
