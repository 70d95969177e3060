package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/smithy-go"

	"penstock/internal/testdb/dbtest"
)

// as returns a client with another access key.
func (p *penstock) as(id, secret string, change ...func(*rds.Options)) *rds.Client {
	return rds.New(rds.Options{
		Region: region, BaseEndpoint: aws.String("http://" + p.api),
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""), RetryMaxAttempts: 1,
	}, change...)
}

// wantRefused checks the code and the wording of an API's answer.
func wantRefused(t testing.TB, err error, code, says string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), says) {
		t.Errorf("the answer is %v; want %s saying %q", err, code, says)
	}
}

// TestAccessKeys: several keys, of which some may do little.
func TestAccessKeys(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, "CREATE TABLE t (id int PRIMARY KEY)")
	p := configured(t, db.URL())
	p.edit(t, "access_keys: [", `access_keys: [
  {id: reader, secret: reader-secret, policy: {Version: "2012-10-17", Statement: [
    {Effect: Allow, Action: ["rds:Describe*", "rds:ListTagsForResource"], Resource: "*"}]}},
  {id: keeper, secret: keeper-secret, policy: {Version: "2012-10-17", Statement: [
    {Effect: Allow, Action: "rds:*", Resource: "*"}, {Sid: NoDelete, Effect: Deny, Action: "rds:DeleteIntegration", Resource: "*"}]}},
  `)
	p.secrets = append(p.secrets, "reader-secret", "keeper-secret")
	p.start(t)
	ctx := t.Context()
	reader, keeper := p.as("reader", "reader-secret"), p.as("keeper", "keeper-secret")
	filter := "include: " + db.Name + ".*.*"

	_, err := reader.CreateIntegration(ctx, createInput(t, p, "limited", filter))
	wantRefused(t, err, "AccessDenied", "User: arn:aws:iam::"+account+":user/reader is not authorized to perform: rds:CreateIntegration on resource: "+
		p.arn(t, "shop")+" because no identity-based policy allows the rds:CreateIntegration action")
	if _, err := keeper.CreateIntegration(ctx, createInput(t, p, "limited", filter)); err != nil {
		t.Fatal(err)
	}
	p.awaitActive(t, "limited")
	if out, err := reader.DescribeIntegrations(ctx, &rds.DescribeIntegrationsInput{}); err != nil || len(out.Integrations) != 1 {
		t.Errorf("DescribeIntegrations: %+v, %v", out, err)
	}
	one := &rds.DeleteIntegrationInput{IntegrationIdentifier: aws.String("limited")}
	_, err = keeper.DeleteIntegration(ctx, one)
	wantRefused(t, err, "AccessDenied", "rds:DeleteIntegration on resource: arn:aws:rds:us-east-1:"+account+":integration:")
	wantRefused(t, err, "AccessDenied", "with an explicit deny in an identity-based policy")
	_, err = reader.ModifyIntegration(ctx, &rds.ModifyIntegrationInput{IntegrationIdentifier: aws.String("limited"), Description: aws.String("x")})
	wantRefused(t, err, "AccessDenied", "rds:ModifyIntegration")
	_, err = p.as("reader", "keeper-secret").DescribeIntegrations(ctx, &rds.DescribeIntegrationsInput{})
	wantRefused(t, err, "SignatureDoesNotMatch", "")
	_, err = p.as("reader", "reader-secret", func(o *rds.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider("reader", "reader-secret", "a-session")
	}).DescribeIntegrations(ctx, &rds.DescribeIntegrationsInput{})
	wantRefused(t, err, "InvalidClientTokenId", "session tokens")
	if _, err := p.client(secretKey).DeleteIntegration(ctx, one); err != nil {
		t.Error(err)
	}
}

func createInput(t testing.TB, p *penstock, name, filter string) *rds.CreateIntegrationInput {
	t.Helper()
	return &rds.CreateIntegrationInput{
		IntegrationName: aws.String(name), SourceArn: aws.String(p.arn(t, "shop")), TargetArn: aws.String(p.arn(t, "analytics")), DataFilter: aws.String(filter),
	}
}

// TestThrottle: above the rate clients are told to wait, and do.
func TestThrottle(t *testing.T) {
	t.Parallel()
	p := configured(t, "postgres://app@127.0.0.1:1/postgres")
	p.edit(t, "sources:\n", "throttle: {rate: 5, burst: 2}\nsources:\n")
	p.start(t)
	ctx := t.Context()
	impatient := p.as(accessKey, secretKey, func(o *rds.Options) { o.Retryer = aws.NopRetryer{} })
	throttled := false
	for range 20 {
		if _, err := impatient.DescribeIntegrations(ctx, &rds.DescribeIntegrationsInput{}); err != nil {
			wantRefused(t, err, "Throttling", "Rate exceeded")
			throttled = true
		}
	}
	if !throttled {
		t.Error("20 requests at once are within 5 per second")
	}
	patient := p.as(accessKey, secretKey, func(o *rds.Options) { o.RetryMaxAttempts = 10 })
	for range 4 {
		if _, err := patient.DescribeIntegrations(ctx, &rds.DescribeIntegrationsInput{}); err != nil {
			t.Error(err)
		}
	}
}

// TestTLS: the API over TLS, with a certificate of the user's.
func TestTLS(t *testing.T) {
	t.Parallel()
	p := configured(t, "postgres://app@127.0.0.1:1/postgres")
	pool := writeCertificate(t, p.dir)
	p.edit(t, "api: {listen: "+p.api+"}", "api: {listen: "+p.api+", tls: {cert: server.crt, key: server.key}}")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	p.launch(t)
	p.awaitHealthy(t, client, "https")
	over := func(o *rds.Options) {
		o.BaseEndpoint, o.HTTPClient = aws.String("https://"+p.api), client
	}
	if _, err := p.as(accessKey, secretKey, over).DescribeIntegrations(t.Context(), &rds.DescribeIntegrationsInput{}); err != nil {
		t.Error(err)
	}
	if _, err := p.client(secretKey).DescribeIntegrations(t.Context(), &rds.DescribeIntegrationsInput{}); err == nil {
		t.Error("the API answers without TLS")
	}
	await(t, "the address in the log", func() bool { return strings.Contains(p.log.String(), "https://"+p.api) })
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "server.key"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := p.run(t, "serve"); code == 0 || !containsAll(out, "api.tls", "PEM") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

// writeCertificate writes a certificate of its own for the loopback address,
// and returns what trusts it.
func writeCertificate(t testing.TB, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "penstock"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"server.crt": {Type: "CERTIFICATE", Bytes: der}, "server.key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

// TestAuthorization: a target that asks for a resource policy, with boto3 and
// the API of Redshift.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	p := configured(t, "postgres://app@127.0.0.1:1/postgres")
	p.edit(t, "analytics: {engine: duckdb}", "analytics: {engine: duckdb, authorization: required}")
	p.start(t)
	ctx := t.Context()
	_, err := p.client(secretKey).CreateIntegration(ctx, createInput(t, p, "one", "include: a.*.*"))
	wantRefused(t, err, "InvalidParameterValue", "permissions for it are missing")
	stored := p.python(t, fmt.Sprintf(`
redshift = boto3.client("redshift", endpoint_url=os.environ["ENDPOINT"], region_name="us-east-1",
    aws_access_key_id=%q, aws_secret_access_key=%q)
target, source = %q, %q
policy = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "redshift.amazonaws.com"}, "Action": ["redshift:AuthorizeInboundIntegration"],
     "Condition": {"StringEquals": {"aws:SourceArn": source}}},
    {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::%s:root"}, "Action": ["redshift:CreateInboundIntegration"]}]})
assert redshift.put_resource_policy(ResourceArn=target, Policy=policy)["ResourcePolicy"] == {"ResourceArn": target, "Policy": policy}
show(redshift.get_resource_policy(ResourceArn=target)["ResourcePolicy"])`, accessKey, secretKey, p.arn(t, "analytics"), p.arn(t, "shop"), account))
	if stored["ResourceArn"] != p.arn(t, "analytics") {
		t.Errorf("the policy is %v", stored)
	}
	p.kill(t)
	p.start(t) // it is kept
	if _, err := p.client(secretKey).CreateIntegration(ctx, createInput(t, p, "one", "include: a.*.*")); err != nil {
		t.Error(err)
	}
}

// TestKeyIsDisabled: an integration whose key is disabled needs attention, and
// goes on by itself when the key is enabled again.
func TestKeyIsDisabled(t *testing.T) {
	t.Parallel()
	db := dbtest.Shared(t)
	db.Exec(t, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	p := configured(t, db.URL())
	const enabled = `app: {secret: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", enabled: true}`
	disabled := strings.Replace(enabled, "true", "false", 1)
	p.edit(t, "sources:\n", "kms_keys:\n  "+enabled+"\nsources:\n")
	p.secrets = append(p.secrets, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	p.start(t)
	r := createInput(t, p, "keyed", "include: "+db.Name+".*.*")
	r.KMSKeyId, r.AdditionalEncryptionContext = aws.String("app"), map[string]string{"dept": "sales"}
	created, err := p.client(secretKey).CreateIntegration(t.Context(), r)
	if err != nil || aws.ToString(created.KMSKeyId) != p.arn(t, "app") {
		t.Fatalf("CreateIntegration: %+v, %v", created, err)
	}
	p.awaitActive(t, "keyed")

	p.stop(t)
	p.edit(t, enabled, disabled)
	p.start(t)
	p.awaitProblem(t, "keyed", "KMS_KEY_NOT_ACCESSIBLE", "is disabled", "enabled: true")
	if in := p.describe(t, "keyed"); in.Status != types.IntegrationStatusNeedsAttention || aws.ToString(in.KMSKeyId) != p.arn(t, "app") {
		t.Errorf("the integration is %+v", in)
	}
	_, err = p.client(secretKey).CreateIntegration(t.Context(), func() *rds.CreateIntegrationInput { r.IntegrationName = aws.String("other"); return r }())
	wantRefused(t, err, "KMSKeyNotAccessibleFault", "disabled")

	p.stop(t)
	p.edit(t, disabled, enabled)
	p.start(t)
	p.awaitHealed(t, "keyed")
	db.Exec(t, "INSERT INTO t VALUES (2)")
	warehouse := p.warehouse(t, db.Name)
	await(t, "the row in the warehouse", func() bool { return mustTable(t, warehouse, "SELECT count(*) FROM t")[0] == "2" })
	if _, err := p.client(secretKey).DeleteIntegration(context.WithoutCancel(t.Context()), &rds.DeleteIntegrationInput{IntegrationIdentifier: aws.String("keyed")}); err != nil {
		t.Error(err)
	}
}
