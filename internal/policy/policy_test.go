package policy

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const (
	one   = "arn:aws:rds:us-east-1:123456789012:integration:one"
	any_  = "arn:aws:rds:us-east-1:123456789012:integration:*"
	space = "arn:aws:redshift-serverless:us-east-1:123456789012:namespace/n"
)

// identity reads a policy of an access key from JSON.
func identity(t *testing.T, text string) (Policy, []Fault) {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return ReadIdentity(v)
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, statements, action, resource string
		want                               Decision
	}{
		{"everything", `{"Effect":"Allow","Action":"*","Resource":"*"}`, "rds:CreateIntegration", one, Allowed},
		{"service", `{"Effect":"Allow","Action":"rds:*","Resource":"*"}`, "rds:CreateIntegration", one, Allowed},
		{"another service", `{"Effect":"Allow","Action":"rds:*","Resource":"*"}`, "redshift:GetResourcePolicy", "*", ImplicitDeny},
		{"list of actions", `{"Effect":"Allow","Action":["rds:A","rds:B"],"Resource":"*"}`, "rds:B", one, Allowed},
		{"case of the action", `{"Effect":"Allow","Action":"RDS:describe*","Resource":"*"}`, "rds:DescribeIntegrations", one, Allowed},
		{"question mark", `{"Effect":"Allow","Action":"rds:?","Resource":"*"}`, "rds:B", one, Allowed},
		{"question mark is one", `{"Effect":"Allow","Action":"rds:?","Resource":"*"}`, "rds:BB", one, ImplicitDeny},
		{"resource", `{"Effect":"Allow","Action":"*","Resource":"` + one + `"}`, "rds:A", one, Allowed},
		{"case of the resource", `{"Effect":"Allow","Action":"*","Resource":"` + one + `"}`, "rds:A", strings.ToUpper(one), ImplicitDeny},
		{"wildcard resource", `{"Effect":"Allow","Action":"*","Resource":["arn:aws:s3:::x","` + any_ + `"]}`, "rds:A", one, Allowed},
		{"one resource is not all", `{"Effect":"Allow","Action":"*","Resource":"` + one + `"}`, "rds:A", any_, ImplicitDeny},
		{"deny wins", `{"Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"no","Effect":"Deny","Action":"rds:A","Resource":"*"}`, "rds:A", one, ExplicitDeny},
		{"deny wins in any order", `{"Effect":"Deny","Action":"rds:A","Resource":"*"},{"Effect":"Allow","Action":"*","Resource":"*"}`, "rds:A", one, ExplicitDeny},
		{"deny of another", `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"arn:aws:x"}`, "rds:A", one, Allowed},
		{"not action", `{"Effect":"Allow","NotAction":"rds:Delete*","Resource":"*"}`, "rds:A", one, Allowed},
		{"not action that is", `{"Effect":"Allow","NotAction":"rds:Delete*","Resource":"*"}`, "rds:DeleteIntegration", one, ImplicitDeny},
		{"not resource", `{"Effect":"Deny","Action":"*","NotResource":"` + one + `"},{"Effect":"Allow","Action":"*","Resource":"*"}`, "rds:A", one, Allowed},
		{"not resource that is not", `{"Effect":"Deny","Action":"*","NotResource":"` + one + `"},{"Effect":"Allow","Action":"*","Resource":"*"}`, "rds:A", space, ExplicitDeny},
	}
	for _, test := range tests {
		p, faults := identity(t, `{"Version":"2012-10-17","Statement":[`+test.statements+`]}`)
		if len(faults) > 0 {
			t.Errorf("%s: %v", test.name, faults)
			continue
		}
		if got := p.Decide(Request{Action: test.action, Resource: test.resource}); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	if (Policy{}).Decide(Request{Action: "a:b", Resource: "*"}) != ImplicitDeny {
		t.Error("the zero policy allows something")
	}
	single, faults := identity(t, `{"Statement":{"Effect":"Allow","Action":"a:b","Resource":"*"}}`)
	if len(faults) > 0 || single.Decide(Request{Action: "a:b", Resource: one}) != Allowed {
		t.Errorf("a statement that is no list: %v", faults)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{`"x"`, "the policy must be a mapping"},
		{`{}`, "Statement is missing"},
		{`{"Statement":[]}`, "Statement must not be empty"},
		{`{"Version":"2020-01-01","Statement":[]}`, "Version must be 2012-10-17"},
		{`{"Statements":[]}`, "Statements is not an element of a policy"},
		{`{"Statement":["x"]}`, "Statement[0] must be a mapping"},
		{`{"Statement":[{}]}`, "Statement[0].Effect is missing; Statement[0].Action is missing; Statement[0].Resource is missing"},
		{`{"Statement":[{"Effect":"allow","Action":"a:b","Resource":"*"}]}`, "Statement[0].Effect must be Allow or Deny"},
		{`{"Statement":[{"Effect":"Deny","Action":["a:b",1],"Resource":[]}]}`, `Statement[0].Action[1] must be a text; Statement[0].Action must be like rds:CreateIntegration, rds:* or *, is ""; Statement[0].Resource must not be empty`},
		{`{"Statement":[{"Effect":"Deny","Action":"CreateIntegration","Resource":"x"}]}`, `Statement[0].Action must be like rds:CreateIntegration, rds:* or *, is "CreateIntegration"; Statement[0].Resource must be an ARN, with wildcards if need be, or *, is "x"`},
		{`{"Statement":[{"Effect":"Deny","Action":"a:b","Resource":"arn:${aws:username}"}]}`, `Statement[0].Resource has a policy variable, which is not available: "arn:${aws:username}"`},
		{`{"Statement":[{"Effect":"Deny","Action":"a:b","NotAction":"a:c","Resource":"*"}]}`, "Statement[0].NotAction stands beside Action; write one of the two"},
		{`{"Statement":[{"Effect":"Deny","Action":"a:b","Resource":"*","NotResource":"*"}]}`, "Statement[0].NotResource stands beside Resource; write one of the two"},
		{`{"Statement":[{"Effect":"Deny","Action":"a:b","Resource":"*","Principal":"*"}]}`, "Statement[0].Principal does not belong into the policy of an access key, which has it by itself"},
		{`{"Statement":[{"Effect":"Deny","Action":"a:b","Resource":"*","Condition":{}}]}`, "Statement[0].Condition is not available in the policy of an access key: name the resources instead"},
	}
	for _, test := range tests {
		_, faults := identity(t, test.text)
		var got []string
		for _, f := range faults {
			got = append(got, f.String())
		}
		if s := strings.Join(got, "; "); s != test.want {
			t.Errorf("%s\n%s\nwant\n%s", test.text, s, test.want)
		}
	}
}

func TestResource(t *testing.T) {
	t.Parallel()
	const (
		source = "arn:aws:rds:us-east-1:123456789012:cluster:shop"
		user   = "arn:aws:iam::123456789012:user/app"
	)
	fromSource := Request{
		Action: "redshift:AuthorizeInboundIntegration", Resource: space,
		Principal: Principal{Service: "redshift.amazonaws.com"}, Context: map[string]string{"aws:SourceArn": source},
	}
	byUser := Request{
		Action: "redshift:CreateInboundIntegration", Resource: space,
		Principal: Principal{ARN: user, Account: "123456789012"}, Context: map[string]string{"aws:SourceArn": source},
	}
	const service = `"Effect":"Allow","Principal":{"Service":"redshift.amazonaws.com"},"Action":"redshift:AuthorizeInboundIntegration"`
	const authorize = `{` + service + `,"Condition":{"StringEquals":{"aws:SourceArn":"` + source + `"}}}`
	create := func(principal string) string {
		return `{"Effect":"Allow","Principal":` + principal + `,"Action":"redshift:CreateInboundIntegration"}`
	}
	tests := []struct {
		name, statements string
		service, user    Decision
	}{
		{"as documented", authorize + "," + create(`{"AWS":"`+user+`"}`), Allowed, Allowed},
		{"source only", authorize, Allowed, ImplicitDeny},
		{"another source", strings.ReplaceAll(authorize, "shop", "crm"), ImplicitDeny, ImplicitDeny},
		{"any source", `{` + service + `}`, Allowed, ImplicitDeny},
		{"sources by pattern", `{` + service + `,"Condition":{"ArnLike":{"AWS:sourcearn":["arn:aws:rds:*:cluster:s*"]}}}`, Allowed, ImplicitDeny},
		{"all but the source", `{` + service + `,"Condition":{"StringNotEquals":{"aws:SourceArn":"` + source + `"}}}`, ImplicitDeny, ImplicitDeny},
		{"a key that is not there", `{` + service + `,"Condition":{"StringEquals":{"aws:SourceAccount":"1"}}}`, ImplicitDeny, ImplicitDeny},
		{"not a key that is not there", `{` + service + `,"Condition":{"StringNotEquals":{"aws:SourceAccount":"1"}}}`, Allowed, ImplicitDeny},
		{"root of the account", create(`{"AWS":"arn:aws:iam::123456789012:root"}`), ImplicitDeny, Allowed},
		{"the account", create(`{"AWS":["1","123456789012"]}`), ImplicitDeny, Allowed},
		{"another account", create(`{"AWS":"210987654321"}`), ImplicitDeny, ImplicitDeny},
		{"another user", create(`{"AWS":"` + user + `2"}`), ImplicitDeny, ImplicitDeny},
		{"any AWS", create(`{"AWS":"*"}`), ImplicitDeny, Allowed},
		{"everybody", create(`"*"`), ImplicitDeny, Allowed},
		{"another resource", strings.Replace(create(`"*"`), `"Action"`, `"Resource":"arn:aws:x","Action"`, 1), ImplicitDeny, ImplicitDeny},
		{"denied", authorize + "," + create(`"*"`) + `,{"Effect":"Deny","Principal":"*","Action":"*"}`, ExplicitDeny, ExplicitDeny},
	}
	for _, test := range tests {
		p, err := ParseResource(`{"Version":"2012-10-17","Statement":[` + test.statements + `]}`)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if s, u := p.Decide(fromSource), p.Decide(byUser); s != test.service || u != test.user {
			t.Errorf("%s: %v and %v, want %v and %v", test.name, s, u, test.service, test.user)
		}
	}
	for text, want := range map[string]string{
		`{`: "not valid JSON",
		`{"Statement":[{"Effect":"Allow","Action":"a:b"}]}`:                                                                 "Statement[0].Principal is missing",
		`{"Statement":[{"Effect":"Allow","Action":"a:b","Principal":{}}]}`:                                                  "names nobody",
		`{"Statement":[{"Effect":"Allow","Action":"a:b","Principal":{"Federated":"x"}}]}`:                                   "Federated is not an element",
		`{"Statement":[{"Effect":"Allow","Action":"a:b","NotPrincipal":"*"}]}`:                                              "NotPrincipal is not available",
		`{"Statement":[{"Effect":"Allow","Action":"a:b","Principal":"*","Condition":{"Bool":{}}}]}`:                         "Condition.Bool is not available",
		`{"Statement":[{"Effect":"Allow","Action":"a:b","Principal":"*","Condition":{"ArnLike":{"aws:RequestTag/a":""}}}]}`: "aws:RequestTag/a is not available",
	} {
		if _, err := ParseResource(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestMatch holds wildcards against a regular expression that says the same.
func TestMatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*?]{0,8}`).Draw(t, "pattern")
		text := rapid.StringMatching(`[ab]{0,10}`).Draw(t, "text")
		re := regexp.MustCompile(`\A` + strings.NewReplacer("*", ".*", "?", ".").Replace(pattern) + `\z`)
		if got, want := match(pattern, text), re.MatchString(text); got != want {
			t.Fatalf("match(%q, %q) is %v", pattern, text, got)
		}
	})
}

func FuzzParseResource(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"1"},"Action":["a:*"],"Condition":{"ArnLike":{"aws:SourceArn":"*"}}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseResource(text)
		if err != nil && len(p.statements) > 0 {
			t.Error("a document at fault is usable")
		}
		p.Decide(Request{Action: "a:b", Resource: "*", Principal: Principal{ARN: "x"}, Context: map[string]string{"aws:SourceArn": "y"}})
	})
}
