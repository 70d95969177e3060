package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"penstock/internal/testdb/dbtest"
)

// terraformProvider returns the folder with Terraform's provider for AWS. It is
// not installed by make test; where it is missing the test is skipped.
func terraformProvider(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("PENSTOCK_TEST_TERRAFORM_PROVIDER"); dir != "" {
		return dir
	}
	home, _ := os.UserHomeDir()
	for _, dir := range []string{
		filepath.Join(home, ".terraform.d", "plugins"), "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins", "/opt/tf-plugins",
	} {
		found, _ := filepath.Glob(filepath.Join(dir, "*", "hashicorp", "aws", "*", "*", "terraform-provider-aws_v*"))
		if len(found) > 0 {
			return filepath.Dir(slices.Max(found))
		}
	}
	t.Skip("SKIPPED: Terraform's provider for AWS is not installed (PENSTOCK_TEST_TERRAFORM_PROVIDER names its folder)")
	return ""
}

// terraform is a folder with a module that has one integration.
type terraform struct {
	p   *penstock
	dir string
}

const terraformModule = `
variable "tags" { type = map(string) }
variable "filter" { type = string }
variable "source_arn" { type = string }
variable "target_arn" { type = string }

resource "aws_rds_integration" "this" {
  integration_name = "terraform"
  source_arn       = var.source_arn
  target_arn       = var.target_arn
  data_filter      = var.filter
  tags             = var.tags
  %s
}

data "aws_rds_cluster" "shop" { cluster_identifier = "shop" }

resource "aws_redshift_resource_policy" "this" {
  resource_arn = var.target_arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "redshift.amazonaws.com" }
      Action    = "redshift:AuthorizeInboundIntegration"
      Resource  = var.target_arn
      Condition = { StringEquals = { "aws:SourceArn" = data.aws_rds_cluster.shop.arn } }
    }]
  })
}

output "arn" { value = aws_rds_integration.this.arn }
`

func newTerraform(t testing.TB, p *penstock, provider, settings, member string) *terraform {
	t.Helper()
	tf := &terraform{p, t.TempDir()}
	for name, text := range map[string]string{
		"main.tf": fmt.Sprintf(terraformModule, member) + fmt.Sprintf(`
provider "aws" {
  region     = %q
  access_key = %q
  secret_key = %q
  %s
  endpoints {
    rds      = "http://%[5]s"
    redshift = "http://%[5]s"
    sts      = "http://%[5]s"
  }
}`, region, accessKey, secretKey, settings, p.api),
		"cli.tfrc": fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"hashicorp/aws\" = %q\n  }\n  direct {}\n}\n", provider),
	} {
		if err := os.WriteFile(filepath.Join(tf.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return tf
}

// run runs terraform and returns what it printed and its exit code.
func (tf *terraform) run(t testing.TB, tags, filter string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command("terraform", append(args, "-no-color")...)
	cmd.Dir = tf.dir
	cmd.Env = append(awsEnvironment("", ""), "TF_CLI_CONFIG_FILE="+filepath.Join(tf.dir, "cli.tfrc"), "TF_INPUT=0", "CHECKPOINT_DISABLE=1",
		"TF_VAR_tags="+tags, "TF_VAR_filter="+filter, "TF_VAR_source_arn="+tf.p.arn(t, "shop"), "TF_VAR_target_arn="+tf.p.arn(t, "analytics"))
	cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, "AWS_ACCESS") || strings.HasPrefix(v, "AWS_SECRET") })
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// must is run that fails the test unless terraform ends with 0.
func (tf *terraform) must(t testing.TB, tags, filter string, args ...string) string {
	t.Helper()
	out, code := tf.run(t, tags, filter, args...)
	if code != 0 {
		t.Fatalf("terraform %v: exit code %d\n%s", args, code, out)
	}
	return out
}

// TestTerraform: create, no drift, changed tags, import, destroy.
func TestTerraform(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("terraform"); err != nil {
		t.Skip("SKIPPED: terraform is not installed")
	}
	provider := terraformProvider(t)
	db := dbtest.Shared(t)
	db.Exec(t, "CREATE TABLE t (id int PRIMARY KEY)")
	filter := "include: " + db.Name + ".*.*"
	for name, settings := range map[string]string{
		"with skip flags": `
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true`,
		"without skip flags": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := configured(t, db.URL())
			p.edit(t, "sources:\n", `kms_keys: {app: {secret: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}}`+"\nsources:\n")
			p.start(t)
			member := ""
			if settings == "" {
				member = "additional_encryption_context = { dept = \"sales\" }\n  kms_key_id = \"" + p.arn(t, "app") + "\""
			}
			tf := newTerraform(t, p, provider, settings, member)
			tags := `{"team":"data","old":"1"}`
			tf.must(t, tags, filter, "apply", "-auto-approve")
			if in := p.describe(t, "terraform"); in == nil || in.Status != types.IntegrationStatusActive || len(in.Tags) != 2 || aws.ToString(in.DataFilter) != filter {
				t.Fatalf("after apply: %+v", in)
			}
			if out, code := tf.run(t, tags, filter, "plan", "-detailed-exitcode"); code != 0 {
				t.Fatalf("there is drift:\n%s", out)
			}
			if settings == "" {
				tf.change(t, filter)
			}
			tf.must(t, tags, filter, "destroy", "-auto-approve")
			if in := p.describe(t, "terraform"); in != nil {
				t.Errorf("after destroy: %+v", in)
			}
		})
	}
}

// change changes tags in place, and imports the integration.
func (tf *terraform) change(t *testing.T, filter string) {
	t.Helper()
	p := tf.p
	arn := aws.ToString(p.describe(t, "terraform").IntegrationArn)

	tags := `{"team":"science","new":"2"}`
	if out := tf.must(t, tags, filter, "apply", "-auto-approve"); !strings.Contains(out, "0 added, 1 changed, 0 destroyed") {
		t.Errorf("tags are not changed in place:\n%s", out)
	}
	in := p.describe(t, "terraform")
	if got := fmt.Sprint(tagTexts(in.Tags)); got != "[new=2 team=science]" || aws.ToString(in.IntegrationArn) != arn {
		t.Errorf("the tags are %s", got)
	}

	tf.must(t, tags, filter, "state", "rm", "aws_rds_integration.this")
	tf.must(t, tags, filter, "import", "aws_rds_integration.this", arn)
	if out, code := tf.run(t, tags, filter, "plan", "-detailed-exitcode"); code != 0 {
		t.Errorf("there is drift after the import:\n%s", out)
	}
}

func tagTexts(tags []types.Tag) (all []string) {
	for _, tag := range tags {
		all = append(all, aws.ToString(tag.Key)+"="+aws.ToString(tag.Value))
	}
	slices.Sort(all)
	return all
}
