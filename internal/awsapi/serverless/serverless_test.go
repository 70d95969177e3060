package serverless_test

import (
	"fmt"
	"testing"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/apitest"
	"penstock/internal/awsapi/serverless"
	"penstock/internal/control"
)

type fake int // how many targets there are

func (f fake) Targets() (all []control.TargetView) {
	for i := range int(f) {
		id := fmt.Sprintf("0f7c3c5e-0000-4000-8000-%012d", i)
		all = append(all, control.TargetView{
			Name: fmt.Sprintf("t%d", i), ARN: "arn:aws:redshift-serverless:us-east-1:123456789012:namespace/" + id, Namespace: id, Engine: "duckdb",
		})
	}
	return all
}

func TestReplies(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, action, body string
		fake               fake
	}{
		{"list", "ListNamespaces", `{}`, 2},
		{"list_none", "ListNamespaces", ``, 0},
		{"list_page", "ListNamespaces", `{"maxResults":1}`, 2},
		{"list_last", "ListNamespaces", `{"maxResults":1,"nextToken":"dDA"}`, 2},
		{"list_bad_token", "ListNamespaces", `{"nextToken":"!"}`, 2},
		{"list_bad_size", "ListNamespaces", `{"maxResults":101}`, 2},
		{"get", "GetNamespace", `{"namespaceName":"t1"}`, 2},
		{"get_not_found", "GetNamespace", `{"namespaceName":"t9"}`, 2},
		{"get_no_name", "GetNamespace", `{}`, 2},
		{"other_action", "ListWorkgroups", `{}`, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := apitest.Serve(t, []awsapi.Service{serverless.Service(test.fake)})
			apitest.Golden(t, test.name, apitest.Send(t, server, apitest.Call{
				Service: "redshift-serverless", Target: "RedshiftServerless." + test.action, Body: test.body,
			}))
		})
	}
}
