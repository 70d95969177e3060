package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"penstock/internal/testdb/dbtest"
)

// edit changes the configuration of a server that is not running.
func (p *penstock) edit(t testing.TB, replacements ...string) {
	t.Helper()
	b, err := os.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for i := 0; i < len(replacements); i += 2 {
		if !strings.Contains(text, replacements[i]) {
			t.Fatalf("the configuration has no %q:\n%s", replacements[i], text)
		}
		text = strings.Replace(text, replacements[i], replacements[i+1], 1)
	}
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// awsEnvironment is the environment of a client of AWS: nothing of whoever
// runs the tests, an access key and a region.
func awsEnvironment(key, secret string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") {
			env = append(env, v)
		}
	}
	return append(env, "AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region,
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true", "NO_PROXY=*")
}

// awsCLI returns the AWS CLI that knows integrations; it skips the test if
// there is none.
func awsCLI(t testing.TB) string {
	t.Helper()
	for _, path := range []string{"aws", filepath.Join("..", ".cache", "venv", "bin", "aws")} {
		if found, err := exec.LookPath(path); err == nil {
			if absolute, err := filepath.Abs(found); err == nil && exec.Command(absolute, "rds", "create-integration", "--generate-cli-skeleton").Run() == nil {
				return absolute
			}
		}
	}
	need(t, "no AWS CLI that knows integrations (make test installs one)")
	return ""
}

// aws runs the AWS CLI against the server and returns what it printed, as
// JSON, or what it complained of.
func (p *penstock) aws(t testing.TB, program string, args ...string) (reply map[string]any, complaint string) {
	t.Helper()
	cmd := exec.Command(program, append([]string{"--endpoint-url", "http://" + p.api, "--output", "json"}, args...)...)
	cmd.Env = awsEnvironment(accessKey, secretKey)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, stderr.String()
	}
	if stdout.Len() == 0 {
		return map[string]any{}, ""
	}
	if err := json.Unmarshal(stdout.Bytes(), &reply); err != nil {
		t.Fatalf("aws %v: %v in %s", args, err, &stdout)
	}
	return reply, ""
}

// at walks into decoded JSON: names of members, and numbers of elements.
func at(x any, path ...any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := x.(map[string]any)
			x = m[s]
		case int:
			list, _ := x.([]any)
			if s >= len(list) {
				return nil
			}
			x = list[s]
		}
	}
	return x
}

// TestAWSCLI: the AWS CLI, in the life of an integration.
func TestAWSCLI(t *testing.T) {
	t.Parallel()
	program := awsCLI(t)
	db := dbtest.Shared(t)
	db.Exec(t, "CREATE TABLE t (id int PRIMARY KEY)")
	p := configured(t, db.URL())
	p.edit(t, "sources:\n", `kms_keys: {app: {secret: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", aliases: [alias/app]}}`+"\nsources:\n")
	p.start(t)
	run := func(args ...string) map[string]any {
		t.Helper()
		reply, complaint := p.aws(t, program, args...)
		if complaint != "" {
			t.Fatalf("aws %s: %s", strings.Join(args, " "), complaint)
		}
		return reply
	}
	refused := func(code string, args ...string) {
		t.Helper()
		if _, complaint := p.aws(t, program, args...); !strings.Contains(complaint, "("+code+")") {
			t.Errorf("aws %s: %s; want %s", strings.Join(args, " "), complaint, code)
		}
	}
	want := func(got, want any) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	filter := "include: " + db.Name + ".*.*"
	created := run("rds", "create-integration", "--integration-name", "cli", "--source-arn", p.arn(t, "shop"), "--target-arn", p.arn(t, "analytics"),
		"--data-filter", filter, "--kms-key-id", "alias/app", "--additional-encryption-context", "dept=sales", "--tags", "Key=a,Value=1", "Key=b", "--description", "by the CLI")
	arn := at(created, "IntegrationArn").(string)
	want(at(created, "Status"), "creating")
	want(at(created, "AdditionalEncryptionContext", "dept"), "sales")
	if key := at(created, "KMSKeyId").(string); !strings.HasPrefix(key, "arn:aws:kms:"+region+":"+account+":key/") {
		t.Errorf("the key is %s", key)
	}
	p.awaitActive(t, "cli")
	described := run("rds", "describe-integrations", "--integration-identifier", arn)
	want(at(described, "Integrations", 0, "DataFilter"), filter)
	want(at(described, "Integrations", 0, "Tags", 1, "Key"), "b")
	want(at(run("rds", "modify-integration", "--integration-identifier", "cli", "--integration-name", "cli-2", "--description", ""), "IntegrationName"), "cli-2")
	run("rds", "add-tags-to-resource", "--resource-name", arn, "--tags", "Key=c,Value=3")
	run("rds", "remove-tags-from-resource", "--resource-name", arn, "--tag-keys", "a", "nothing")
	want(at(run("rds", "list-tags-for-resource", "--resource-name", arn), "TagList"), "[map[Key:b Value:] map[Key:c Value:3]]")
	want(at(run("rds", "describe-events", "--source-type", "zero-etl", "--source-identifier", arn), "Events", 0, "SourceArn"), arn)
	want(at(run("rds", "describe-db-clusters", "--db-cluster-identifier", "shop"), "DBClusters", 0, "DBClusterArn"), p.arn(t, "shop"))
	want(at(run("redshift", "describe-inbound-integrations", "--target-arn", p.arn(t, "analytics")), "InboundIntegrations", 0, "IntegrationArn"), arn)
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"redshift:CreateInboundIntegration"}]}`
	want(at(run("redshift", "put-resource-policy", "--resource-arn", p.arn(t, "analytics"), "--policy", policy), "ResourcePolicy", "Policy"), policy)
	want(at(run("redshift", "get-resource-policy", "--resource-arn", p.arn(t, "analytics")), "ResourcePolicy", "Policy"), policy)
	run("redshift", "delete-resource-policy", "--resource-arn", p.arn(t, "analytics"))
	want(at(run("redshift-serverless", "list-namespaces"), "namespaces", 0, "namespaceArn"), p.arn(t, "analytics"))
	want(at(run("sts", "get-caller-identity"), "Account"), account)

	refused("KMSKeyNotAccessibleFault", "rds", "create-integration", "--integration-name", "other", "--source-arn", p.arn(t, "shop"),
		"--target-arn", p.arn(t, "analytics"), "--data-filter", filter, "--kms-key-id", "alias/none")
	refused("DBClusterNotFoundFault", "rds", "describe-db-clusters", "--db-cluster-identifier", "nothing")
	refused("InvalidPolicyFault", "redshift", "put-resource-policy", "--resource-arn", p.arn(t, "analytics"), "--policy", "{}")
	refused("ResourceNotFoundException", "redshift-serverless", "get-namespace", "--namespace-name", "nothing")
	refused("InvalidAction", "rds", "describe-db-proxies")

	want(at(run("rds", "delete-integration", "--integration-identifier", arn), "Status"), "deleting")
	await(t, "the integration to be gone", func() bool { return p.describe(t, "cli-2") == nil })
	refused("IntegrationNotFoundFault", "rds", "delete-integration", "--integration-identifier", arn)
}
