package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/smithy-go"
	"github.com/jackc/pgx/v5"
)

// integrate creates an integration of the databases' tables.
func (p *penstock) integrate(t testing.TB, name string, databases ...string) {
	t.Helper()
	var rules []string
	for _, d := range databases {
		rules = append(rules, "include: "+d+".*.*")
	}
	out, err := p.client(secretKey).CreateIntegration(t.Context(), &rds.CreateIntegrationInput{
		IntegrationName: aws.String(name), SourceArn: aws.String(p.arn(t, "shop")), TargetArn: aws.String(p.arn(t, "analytics")),
		DataFilter: aws.String(strings.Join(rules, ", ")),
	})
	if err != nil {
		t.Fatal(err)
	}
	if out.Status != types.IntegrationStatusCreating {
		t.Errorf("CreateIntegration answered the status %s", out.Status)
	}
}

// describe returns an integration; nil if there is none of that name.
func (p *penstock) describe(t testing.TB, name string) *types.Integration {
	t.Helper()
	out, err := p.client(secretKey).DescribeIntegrations(context.WithoutCancel(t.Context()), &rds.DescribeIntegrationsInput{IntegrationIdentifier: aws.String(name)})
	var gone *types.IntegrationNotFoundFault
	if errors.As(err, &gone) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return &out.Integrations[0]
}

// awaitActive waits until an integration is active.
func (p *penstock) awaitActive(t testing.TB, name string) {
	t.Helper()
	awaitStatus(t, p.client(secretKey), name, "active")
}

// awaitHealed waits until an integration is active and has nothing to tell.
func (p *penstock) awaitHealed(t testing.TB, name string) {
	t.Helper()
	await(t, "integration "+name+" to be well", func() bool {
		in := p.describe(t, name)
		return in.Status == types.IntegrationStatusActive && len(in.Errors) == 0
	})
}

// awaitProblem waits until an integration's Errors have one with that code,
// any if it is "", which says all the words, and returns what it says.
func (p *penstock) awaitProblem(t testing.TB, name, code string, words ...string) string {
	t.Helper()
	var said string
	var seen []string
	defer func() {
		if said == "" {
			t.Logf("its last Errors: %q", seen)
		}
	}()
	await(t, "integration "+name+" to have the problem "+code, func() bool {
		seen = nil
		for _, e := range p.describe(t, name).Errors {
			message := aws.ToString(e.ErrorMessage)
			seen = append(seen, aws.ToString(e.ErrorCode)+": "+message)
			if (code == "" || aws.ToString(e.ErrorCode) == code) && containsAll(message, words...) {
				said = message
			}
		}
		return said != ""
	})
	p.assertDiscreet(t, said)
	t.Logf("%s: %s", code, said)
	return said
}

func containsAll(text string, words ...string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// delete deletes an integration and waits until it is gone.
func (p *penstock) delete(t testing.TB, name string) {
	t.Helper()
	if _, err := p.client(secretKey).DeleteIntegration(t.Context(), &rds.DeleteIntegrationInput{IntegrationIdentifier: aws.String(name)}); err != nil {
		t.Fatal(err)
	}
	await(t, "integration "+name+" to be gone", func() bool { return p.describe(t, name) == nil })
}

// tryDelete is delete for an integration that may be creating still, in which
// state it cannot be deleted; it waits for a state in which it can.
func (p *penstock) tryDelete(t testing.TB, name string) {
	t.Helper()
	await(t, "integration "+name+" to be deletable", func() bool {
		_, err := p.client(secretKey).DeleteIntegration(t.Context(), &rds.DeleteIntegrationInput{IntegrationIdentifier: aws.String(name)})
		return err == nil
	})
}

// faultCode returns the code that an API call's error carries.
func faultCode(t testing.TB, err error) string {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Fatalf("not an answer of the API: %v", err)
	}
	return api.ErrorCode()
}

// mends returns the statements after "To mend it: ".
func mends(t testing.TB, message string) string {
	t.Helper()
	_, statement, ok := strings.Cut(message, "To mend it: ")
	if !ok {
		t.Fatalf("no word on how to mend it: %s", message)
	}
	return statement
}

// execute runs SQL and fails the test if it cannot.
func execute(t testing.TB, conn *pgx.Conn, sql ...string) {
	t.Helper()
	for _, s := range sql {
		if _, err := conn.PgConn().Exec(t.Context(), s).ReadAll(); err != nil {
			t.Fatalf("%.200s: %v", s, err)
		}
	}
}

func tagsOf(key, value string) []types.Tag {
	return []types.Tag{{Key: aws.String(key), Value: aws.String(value)}}
}
