package rds_test

import (
	"strings"
	"testing"

	"penstock/internal/awsapi"
	"penstock/internal/awsapi/apitest"
	"penstock/internal/awsapi/rds"
	"penstock/internal/awsapi/sts"
	"penstock/internal/policy"
)

// limited is a key with a policy of these statements: effect, action, resource.
func limited(t *testing.T, id string, statements ...[3]string) awsapi.AccessKey {
	t.Helper()
	list := []any{}
	for _, s := range statements {
		list = append(list, map[string]any{"Effect": s[0], "Action": s[1], "Resource": s[2]})
	}
	p, faults := policy.ReadIdentity(map[string]any{"Version": "2012-10-17", "Statement": list})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return awsapi.AccessKey{ID: id, Secret: "s-" + id, Policy: &p}
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	const anyIntegration = "arn:aws:rds:us-east-1:123456789012:integration:*"
	f := &fake{integration: fullIntegration(), sources: sources()}
	server := apitest.Serve(t, []awsapi.Service{rds.Service(f), sts.Service()},
		limited(t, "all", [3]string{"Allow", "rds:*", "*"}),
		limited(t, "reader", [3]string{"Allow", "rds:Describe*", "*"}, [3]string{"Allow", "rds:ListTagsForResource", "*"}),
		limited(t, "one", [3]string{"Allow", "rds:*", integrationARN}),
		limited(t, "creator", [3]string{"Allow", "rds:CreateIntegration", sourceARN}, [3]string{"Allow", "rds:CreateIntegration", anyIntegration}),
		limited(t, "half", [3]string{"Allow", "rds:CreateIntegration", sourceARN}),
		limited(t, "keeper", [3]string{"Allow", "rds:*", "*"}, [3]string{"Deny", "rds:DeleteIntegration", integrationARN}),
		limited(t, "clusters", [3]string{"Allow", "rds:DescribeDBClusters", sourceARN}),
		limited(t, "nothing", [3]string{"Deny", "*", "*"}),
	)
	create, createTagged := form(createForm), form(createForm, "Tags.Tag.1.Key=a")
	describe, describeOne := form(describeForm), form(describeForm, "IntegrationIdentifier=my-int")
	remove := form(deleteForm)
	tests := []struct{ key, body, denied string }{ // what is denied: action and resource, "" for nothing
		{"all", create, ""},
		{"all", createTagged, ""},
		{"all", remove, ""},
		{"reader", describe, ""},
		{"reader", describeOne, ""},
		{"reader", form(listForm), ""},
		{"reader", form(eventsForm), ""},
		{"reader", create, "rds:CreateIntegration on resource: " + sourceARN},
		{"reader", form(modifyForm), "rds:ModifyIntegration on resource: " + integrationARN},
		{"reader", remove, "rds:DeleteIntegration on resource: " + integrationARN},
		{"reader", form(addForm), "rds:AddTagsToResource on resource: " + integrationARN},
		{"reader", form(removeForm), "rds:RemoveTagsFromResource on resource: " + integrationARN},
		{"one", describe, "rds:DescribeIntegrations on resource: " + anyIntegration},
		{"one", describeOne, ""},
		{"one", form(describeForm, "IntegrationIdentifier="+integrationID), ""},
		{"one", form(modifyForm), ""},
		{"one", form(addForm), ""},
		{"one", form(clustersForm), "rds:DescribeDBClusters on resource: arn:aws:rds:us-east-1:123456789012:cluster:*"},
		{"one", form(eventsForm), "rds:DescribeEvents on resource: *"},
		{"creator", create, ""},
		{"creator", createTagged, "rds:AddTagsToResource on resource: " + anyIntegration},
		{"half", create, "rds:CreateIntegration on resource: " + anyIntegration},
		{"keeper", form(modifyForm), ""},
		{"keeper", remove, "rds:DeleteIntegration on resource: " + integrationARN + " with an explicit deny in an identity-based policy"},
		{"clusters", form(clustersForm, "DBClusterIdentifier=shop"), ""},
		{"clusters", form(clustersForm, "DBClusterIdentifier=crm"), "rds:DescribeDBClusters on resource: arn:aws:rds:us-east-1:123456789012:cluster:crm"},
		{"nothing", describe, "rds:DescribeIntegrations on resource: " + anyIntegration + " with an explicit deny in an identity-based policy"},
	}
	for _, test := range tests {
		before := f.calls
		reply := apitest.Send(t, server, apitest.Call{Service: "rds", Body: test.body, KeyID: test.key, Secret: "s-" + test.key})
		if test.denied == "" {
			if reply.Status != 200 {
				t.Errorf("%s: %s: %d %s", test.key, test.body, reply.Status, reply.Body)
			}
			continue
		}
		want := "<Message>User: arn:aws:iam::123456789012:user/" + test.key + " is not authorized to perform: " + test.denied
		if !strings.Contains(test.denied, " with ") {
			action, _, _ := strings.Cut(test.denied, " ")
			want += " because no identity-based policy allows the " + action + " action"
		}
		if reply.Status != 403 || !strings.Contains(reply.Body, "<Code>AccessDenied</Code>") || !strings.Contains(reply.Body, want+"</Message>") {
			t.Errorf("%s: %s: %d %s\nwant %s", test.key, test.body, reply.Status, reply.Body, want)
		}
		if f.calls > before+1 { // one call looks an integration up
			t.Errorf("%s: %s: it was done although it was denied", test.key, test.body)
		}
	}
	// Who somebody is, everybody may ask.
	reply := apitest.Send(t, server, apitest.Call{Service: "sts", Body: "Action=GetCallerIdentity&Version=2011-06-15", KeyID: "nothing", Secret: "s-nothing"})
	if reply.Status != 200 || !strings.Contains(reply.Body, "user/nothing") {
		t.Errorf("%d %s", reply.Status, reply.Body)
	}
}

// TestDeniedBeforeNotFound: an integration that does not exist is denied to
// whom all of them are.
func TestDeniedBeforeNotFound(t *testing.T) {
	t.Parallel()
	server := apitest.Serve(t, []awsapi.Service{rds.Service(byName{&fake{err: notFound()}})},
		limited(t, "other", [3]string{"Allow", "rds:*", "arn:aws:rds:us-east-1:123456789012:integration:x"}),
		limited(t, "all", [3]string{"Allow", "rds:*", "*"}))
	body := form(deleteForm, "IntegrationIdentifier=missing")
	for key, want := range map[string]string{"other": "integration:missing because", "all": "IntegrationNotFoundFault"} {
		if reply := apitest.Send(t, server, apitest.Call{Service: "rds", Body: body, KeyID: key, Secret: "s-" + key}); !strings.Contains(reply.Body, want) {
			t.Errorf("%s: %d %s", key, reply.Status, reply.Body)
		}
	}
}
