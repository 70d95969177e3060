package rds_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"penstock"
	"penstock/internal/awsapi/apitest"
	"penstock/internal/awsapi/fault"
	"penstock/internal/awsapi/rds"
	"penstock/internal/control"
)

const version = "&Version=2014-10-31"

// wantListed checks that the table of actions names the code of a failure,
// unless it is one that every action has.
func wantListed(t *testing.T, request, body string) {
	t.Helper()
	_, rest, _ := strings.Cut(body, "<Code>")
	code, _, _ := strings.Cut(rest, "</Code>")
	if !strings.HasSuffix(code, "Fault") && !strings.HasSuffix(code, "NotFound") {
		return
	}
	for _, action := range rds.Service(nil).Actions {
		listed := func(c fault.Code) bool { return c.Name == code }
		if strings.HasPrefix(request, "Action="+action.Name+"&") && !slices.ContainsFunc(action.Faults, listed) {
			t.Errorf("%s answers with %s, which is not in the table of actions", action.Name, code)
		}
	}
}

// TestReplies holds the reply to every action, and to every failure that an
// action has, against a file: the status, the content type and the body.
func TestReplies(t *testing.T) {
	t.Parallel()
	const (
		create   = "Action=CreateIntegration" + version + "&IntegrationName=my-int&TargetArn=" + targetARN + "&SourceArn=" + sourceARN
		createDB = "Action=CreateIntegration" + version + "&IntegrationName=my-int&TargetArn=" + targetARN + "&SourceArn=arn:aws:rds:us-east-1:123456789012:db:shop"
		describe = "Action=DescribeIntegrations" + version
		modify   = "Action=ModifyIntegration" + version + "&IntegrationIdentifier=my-int&Description=new"
		remove   = "Action=DeleteIntegration" + version + "&IntegrationIdentifier=my-int"
		addTags  = "Action=AddTagsToResource" + version + "&ResourceName=" + integrationARN + "&Tags.Tag.1.Key=a&Tags.Tag.1.Value=b"
		delTags  = "Action=RemoveTagsFromResource" + version + "&ResourceName=" + integrationARN + "&TagKeys.member.1=a"
		listTags = "Action=ListTagsForResource" + version + "&ResourceName=" + integrationARN
		clusters = "Action=DescribeDBClusters" + version
		dbs      = "Action=DescribeDBInstances" + version
		events   = "Action=DescribeEvents" + version + "&SourceType=zero-etl"
	)
	full, empty := fullIntegration(), emptyIntegration()
	failing := func(kind penstock.Kind, message string) *fake {
		return &fake{err: &penstock.Error{Kind: kind, Op: "some step", Message: message, Err: errors.New("inner cause")}}
	}
	tests := []struct {
		name string
		fake *fake
		body string
	}{
		{"create_full", &fake{integration: full}, create},
		{"create_empty", &fake{integration: empty}, create},
		{"create_cluster_not_found", failing(penstock.KindSourceNotFound, "DBCluster shop not found"), create},
		{"create_instance_not_found", failing(penstock.KindSourceNotFound, "DBInstance shop not found"), createDB},
		{"create_target_not_found", failing(penstock.KindTargetNotFound, "the target does not exist"), create},
		{"create_already_exists", failing(penstock.KindAlreadyExists, "an integration of that source and target exists"), create},
		{"create_conflict", failing(penstock.KindConflict, "Integration names must be unique within an account."), create},
		{"create_quota", failing(penstock.KindQuota, "the quota of 100 integrations is reached"), create},
		{"create_key", failing(penstock.KindKeyNotAccessible, "the key app is disabled"), create},
		{"create_invalid", failing(penstock.KindInvalid, "Your data filter must contain at least one include statement"), create},
		{"create_denied", failing(penstock.KindDenied, "not authorized"), create},
		{"create_full_disk", &fake{err: &penstock.Error{Kind: penstock.KindFull, Message: "the disk is full", Mend: "make room in data_dir"}}, create},
		{"create_internal", failing(penstock.KindInternal, "secret detail"), create},
		{"describe", &fake{integration: full}, describe},
		{"describe_page", &fake{pages: map[string]control.ListReply{"": {Integrations: []penstock.Integration{empty, full}, Marker: "m2"}}}, describe},
		{"describe_statuses", &fake{pages: map[string]control.ListReply{"": {Integrations: everyStatus()}}}, describe},
		{"describe_none", &fake{pages: map[string]control.ListReply{}}, describe},
		{"describe_not_found", failing(penstock.KindIntegrationNotFound, "Integration x not found"), describe + "&IntegrationIdentifier=x"},
		{"describe_filter", &fake{}, describe + "&Filters.Filter.1.Name=status&Filters.Filter.1.Values.Value.1=active"},
		{"modify", &fake{integration: empty}, modify},
		{"modify_not_found", failing(penstock.KindIntegrationNotFound, "Integration x not found"), modify},
		{"modify_state", failing(penstock.KindInvalidState, "it is not in a valid state"), modify},
		{"modify_conflict", failing(penstock.KindConflict, "another operation is in progress"), modify},
		{"delete", &fake{integration: full}, remove},
		{"delete_not_found", failing(penstock.KindIntegrationNotFound, "Integration x not found"), remove},
		{"delete_state", failing(penstock.KindInvalidState, "it is not in a valid state"), remove},
		{"delete_conflict", failing(penstock.KindConflict, "another operation is in progress"), remove},
		{"delete_unclassified", &fake{err: errors.New("secret detail")}, remove},
		{"add_tags", &fake{}, addTags},
		{"add_tags_not_found", failing(penstock.KindIntegrationNotFound, "Integration x not found"), addTags},
		{"add_tags_quota", failing(penstock.KindQuota, "a resource may have at most 50 tags"), addTags},
		{"remove_tags", &fake{}, delTags},
		{"list_tags", &fake{tags: full.Tags}, listTags},
		{"list_tags_none", &fake{}, listTags},
		{"clusters", &fake{sources: sources()}, clusters},
		{"clusters_one", &fake{sources: sources()}, clusters + "&DBClusterIdentifier=CRM"},
		{"clusters_none", &fake{}, clusters},
		{"clusters_not_found", &fake{sources: sources()}, clusters + "&DBClusterIdentifier=old"},
		{"clusters_filter", &fake{sources: sources()}, clusters + "&Filters.Filter.1.Name=domain&Filters.Filter.1.Values.Value.1=x"},
		{"instances", &fake{sources: sources()}, dbs},
		{"instances_not_found", &fake{sources: sources()}, dbs + "&DBInstanceIdentifier=" + sourceARN},
		{"events", &fake{events: twoEvents()}, events},
		{"events_none", &fake{}, events},
		{"list_tags_not_found", failing(penstock.KindIntegrationNotFound, "Integration x not found"), listTags},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			reply := post(t, setup(t, test.fake), test.body)
			apitest.Golden(t, test.name, reply)
			wantListed(t, test.body, reply.Body)
		})
	}
}

// everyStatus returns an integration in each status.
func everyStatus() (all []penstock.Integration) {
	for _, status := range []penstock.Status{
		penstock.StatusCreating, penstock.StatusActive, penstock.StatusModifying, penstock.StatusFailed,
		penstock.StatusDeleting, penstock.StatusSyncing, penstock.StatusNeedsAttention,
	} {
		in := emptyIntegration()
		in.Status = status
		all = append(all, in)
	}
	return all
}

func sources() []control.SourceView {
	return []control.SourceView{
		{Name: "crm", Kind: "cluster", ARN: "arn:aws:rds:us-east-1:123456789012:cluster:crm", Engine: "PostgreSQL"},
		{
			Name: "old", Kind: "db", ARN: "arn:aws:rds:us-east-1:123456789012:db:old", Engine: "MySQL",
			Address: control.Address{Host: "old.example.com", Port: 3306, User: "root"},
		},
		{
			Name: "shop", Kind: "cluster", ARN: sourceARN, Engine: "PostgreSQL",
			Address: control.Address{Host: "db.example.com", Port: 5433, User: "penstock", Database: "postgres"},
		},
	}
}

func twoEvents() control.EventsReply {
	at := time.Date(2026, 3, 4, 5, 6, 7, 8_000_000, time.UTC)
	return control.EventsReply{Marker: "next", Events: []control.EventView{
		{Event: penstock.Event{At: at, Name: "my-int", Kind: control.EventCreated, Message: "the integration was created and is active"}, ARN: integrationARN},
		{Event: penstock.Event{At: at.Add(time.Hour), Name: "my-int", Kind: control.EventOrphanLeft, Message: "what it put at <shop> is still there"}, ARN: integrationARN},
	}}
}
