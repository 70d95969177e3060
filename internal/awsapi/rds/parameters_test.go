package rds_test

import (
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"penstock"
	"penstock/internal/control"
)

// form builds a body out of a base and changes: "Name=value" sets, "-Name"
// removes.
func form(base map[string]string, changes ...string) string {
	v := url.Values{}
	for name, value := range base {
		v.Set(name, value)
	}
	for _, c := range changes {
		if name, ok := strings.CutPrefix(c, "-"); ok {
			v.Del(name)
			continue
		}
		name, value, _ := strings.Cut(c, "=")
		v.Set(name, value)
	}
	return v.Encode()
}

var (
	createForm = map[string]string{
		"Action": "CreateIntegration", "Version": "2014-10-31",
		"SourceArn": sourceARN, "TargetArn": targetARN, "IntegrationName": "my-int",
	}
	describeForm = map[string]string{"Action": "DescribeIntegrations", "Version": "2014-10-31"}
	modifyForm   = map[string]string{"Action": "ModifyIntegration", "Version": "2014-10-31", "IntegrationIdentifier": "my-int"}
	deleteForm   = map[string]string{"Action": "DeleteIntegration", "Version": "2014-10-31", "IntegrationIdentifier": "my-int"}
	addForm      = map[string]string{
		"Action": "AddTagsToResource", "Version": "2014-10-31",
		"ResourceName": integrationARN, "Tags.Tag.1.Key": "k", "Tags.Tag.1.Value": "v",
	}
	removeForm = map[string]string{
		"Action": "RemoveTagsFromResource", "Version": "2014-10-31",
		"ResourceName": integrationARN, "TagKeys.member.1": "k",
	}
	clustersForm = map[string]string{"Action": "DescribeDBClusters", "Version": "2014-10-31"}
	dbsForm      = map[string]string{"Action": "DescribeDBInstances", "Version": "2014-10-31"}
	eventsForm   = map[string]string{"Action": "DescribeEvents", "Version": "2014-10-31", "SourceType": "zero-etl"}
	listForm     = map[string]string{"Action": "ListTagsForResource", "Version": "2014-10-31", "ResourceName": integrationARN}
)

func manyTags(n int) []string {
	var out []string
	for i := 1; i <= n; i++ {
		out = append(out, "Tags.Tag."+strconv.Itoa(i)+".Key=k"+strconv.Itoa(i), "Tags.Tag."+strconv.Itoa(i)+".Value=v")
	}
	return out
}

func manyPairs(n int) []string {
	out := []string{"KMSKeyId=app"}
	for i := 1; i <= n; i++ {
		at := "AdditionalEncryptionContext.entry." + strconv.Itoa(i)
		out = append(out, at+".key=k"+strconv.Itoa(i), at+".value=v")
	}
	return out
}

func TestParameters(t *testing.T) {
	t.Parallel()
	const ok = ""
	repeat := strings.Repeat
	tests := []struct {
		name    string
		base    map[string]string
		changes []string
		want    string // code, or ok
		says    string
	}{
		{"create", createForm, nil, ok, ""},
		{"create: no source", createForm, []string{"-SourceArn"}, "MissingParameter", "SourceArn"},
		{"create: no target", createForm, []string{"-TargetArn"}, "MissingParameter", "TargetArn"},
		{"create: no name", createForm, []string{"-IntegrationName"}, "MissingParameter", "IntegrationName"},
		{"create: source is no ARN", createForm, []string{"SourceArn=shop"}, "InvalidParameterValue", "SourceArn"},
		{"create: source is a snapshot", createForm, []string{"SourceArn=arn:aws:rds:us-east-1:1:snapshot:shop"}, "InvalidParameterValue", "DB cluster or a DB instance"},
		{"create: source in upper case", createForm, []string{"SourceArn=arn:aws:rds:us-east-1:1:cluster:Shop"}, "InvalidParameterValue", "SourceArn"},
		{"create: source of 255", createForm, []string{"SourceArn=arn:aws:rds:us-east-1:1:cluster:" + repeat("a", 223)}, ok, ""},
		{"create: source of 256", createForm, []string{"SourceArn=arn:aws:rds:us-east-1:1:cluster:" + repeat("a", 224)}, "InvalidParameterValue", "256"},
		{"create: blank source", createForm, []string{"SourceArn="}, "InvalidParameterValue", "must not be blank"},
		{"create: target of 19", createForm, []string{"TargetArn=" + repeat("a", 19)}, "InvalidParameterValue", "too short"},
		{"create: target of 2048", createForm, []string{"TargetArn=" + repeat("a", 2048)}, ok, ""},
		{"create: target of 2049", createForm, []string{"TargetArn=" + repeat("a", 2049)}, "InvalidParameterValue", "too long"},
		{"create: name of 63", createForm, []string{"IntegrationName=" + repeat("a", 63)}, ok, ""},
		{"create: name of 64", createForm, []string{"IntegrationName=" + repeat("a", 64)}, "InvalidParameterValue", "64 characters"},
		{"create: name begins with a digit", createForm, []string{"IntegrationName=1a"}, "InvalidParameterValue", "begin with a letter"},
		{"create: two hyphens", createForm, []string{"IntegrationName=a--b"}, "InvalidParameterValue", "two in a row"},
		{"create: hyphen at the end", createForm, []string{"IntegrationName=a-"}, "InvalidParameterValue", "IntegrationName"},
		{"create: underscore", createForm, []string{"IntegrationName=a_b"}, "InvalidParameterValue", "IntegrationName"},
		{"create: newline after the name", createForm, []string{"IntegrationName=a\n"}, "InvalidParameterValue", "IntegrationName"},
		{"create: filter", createForm, []string{`DataFilter=include: a.b./t_\d+/, exclude: "x".*.?:+-$`}, ok, ""},
		{"create: blank filter", createForm, []string{"DataFilter="}, "InvalidParameterValue", "DataFilter"},
		{"create: filter of 25600", createForm, []string{"DataFilter=" + repeat("a", 25600)}, ok, ""},
		{"create: filter of 25601", createForm, []string{"DataFilter=" + repeat("a", 25601)}, "InvalidParameterValue", "25600"},
		{"create: filter with a bracket", createForm, []string{"DataFilter=include: [a].*"}, "InvalidParameterValue", "DataFilter"},
		{"create: description of 1000 letters", createForm, []string{"Description=" + repeat("é", 1000)}, ok, ""},
		{"create: description of 1001", createForm, []string{"Description=" + repeat("é", 1001)}, "InvalidParameterValue", "1001"},
		{"create: description of two lines", createForm, []string{"Description=a\nb"}, "InvalidParameterValue", "single line"},
		{"create: description with a NUL", createForm, []string{"Description=a\x00b"}, "InvalidParameterValue", "U+0000"},
		{"create: description in Latin-1", createForm, []string{"Description=\xe9"}, "InvalidParameterValue", "UTF-8"},
		{"create: context without key", createForm, manyPairs(1)[1:], "InvalidParameterCombination", "KMSKeyId"},
		{"create: context of 6", createForm, manyPairs(6), ok, ""},
		{"create: context of 7", createForm, manyPairs(7), "InvalidParameterValue", "at most 6"},
		{"create: context of AWS", createForm, []string{"KMSKeyId=k", "AdditionalEncryptionContext.entry.1.key=aws:x", "AdditionalEncryptionContext.entry.1.value=1"}, "InvalidParameterValue", "aws:"},
		{"create: context key twice", createForm, append(manyPairs(2), "AdditionalEncryptionContext.entry.2.key=k1"), "InvalidParameterValue", "repeats"},
		{"create: context without value", createForm, append(manyPairs(1), "-AdditionalEncryptionContext.entry.1.value"), "MissingParameter", "entry.1.value"},
		{"create: 50 tags", createForm, manyTags(50), ok, ""},
		{"create: 51 tags", createForm, manyTags(51), "InvalidParameterValue", "at most 50"},
		{"create: empty tags", createForm, []string{"Tags="}, ok, ""},
		{"create: unknown parameter", createForm, []string{"FutureThing.member.1=x"}, ok, ""},

		{"describe", describeForm, nil, ok, ""},
		{"describe: blank identifier", describeForm, []string{"IntegrationIdentifier="}, "InvalidParameterValue", "must not be blank"},
		{"describe: identifier with a blank", describeForm, []string{"IntegrationIdentifier=a b"}, "InvalidParameterValue", "IntegrationIdentifier"},
		{"describe: identifier of 256", describeForm, []string{"IntegrationIdentifier=" + repeat("a", 256)}, "InvalidParameterValue", "256"},
		{"describe: 19 records", describeForm, []string{"MaxRecords=19"}, "InvalidParameterValue", "Must be between 20 and 100"},
		{"describe: 20 records", describeForm, []string{"MaxRecords=20"}, ok, ""},
		{"describe: 100 records", describeForm, []string{"MaxRecords=100"}, ok, ""},
		{"describe: 101 records", describeForm, []string{"MaxRecords=101"}, "InvalidParameterValue", "101"},
		{"describe: records in words", describeForm, []string{"MaxRecords=ten"}, "InvalidParameterValue", "integer"},
		{"describe: marker of 340", describeForm, []string{"Marker=" + repeat("a", 340)}, ok, ""},
		{"describe: marker of 341", describeForm, []string{"Marker=" + repeat("a", 341)}, "InvalidParameterValue", "Marker"},
		{"describe: no filters", describeForm, []string{"Filters="}, ok, ""},
		{"describe: filter without values", describeForm, []string{"Filters.Filter.1.Name=my-int"}, "InvalidParameterValue", "my-int"},
		{"describe: filter without name", describeForm, []string{"Filters.Filter.1.Values.Value.1=x"}, "MissingParameter", "Filters.Filter.1.Name"},

		{"modify", modifyForm, []string{"IntegrationName=b", "DataFilter=include: *.*", "Description="}, ok, ""},
		{"modify: no identifier", modifyForm, []string{"-IntegrationIdentifier"}, "MissingParameter", "IntegrationIdentifier"},
		{"modify: bad name", modifyForm, []string{"IntegrationName=-"}, "InvalidParameterValue", "IntegrationName"},
		{"modify: blank filter", modifyForm, []string{"DataFilter="}, "InvalidParameterValue", "DataFilter"},

		{"delete by ARN", deleteForm, []string{"IntegrationIdentifier=" + integrationARN}, ok, ""},
		{"delete: no identifier", deleteForm, []string{"-IntegrationIdentifier"}, "MissingParameter", "IntegrationIdentifier"},
		{"delete: identifier given as a list", deleteForm, []string{"-IntegrationIdentifier", "IntegrationIdentifier.1=a"}, "InvalidQueryParameter", "IntegrationIdentifier"},

		{"add tags", addForm, nil, ok, ""},
		{"add tags: in the generic form", addForm, []string{"-Tags.Tag.1.Key", "-Tags.Tag.1.Value", "Tags.member.1.Key=a"}, ok, ""},
		{"add tags: without value", addForm, []string{"-Tags.Tag.1.Value"}, ok, ""},
		{"add tags: without key", addForm, []string{"-Tags.Tag.1.Key"}, "MissingParameter", "Tags.Tag.1.Key"},
		{"add tags: no tags", addForm, []string{"-Tags.Tag.1.Key", "-Tags.Tag.1.Value"}, "MissingParameter", "Tags"},
		{"add tags: blank key", addForm, []string{"Tags.Tag.1.Key="}, "InvalidParameterValue", "Tags.Tag.1.Key"},
		{"add tags: key of 129", addForm, []string{"Tags.Tag.1.Key=" + repeat("a", 129)}, "InvalidParameterValue", "129"},
		{"add tags: value of 256", addForm, []string{"Tags.Tag.1.Value=" + repeat("é", 256)}, ok, ""},
		{"add tags: value of 257", addForm, []string{"Tags.Tag.1.Value=" + repeat("é", 257)}, "InvalidParameterValue", "257"},
		{"add tags: key with a star", addForm, []string{"Tags.Tag.1.Key=a*"}, "InvalidParameterValue", "Tags.Tag.1.Key"},
		{"add tags: key of every class", addForm, []string{"Tags.Tag.1.Key=Ключ 1_.:/=+-@"}, ok, ""},
		{"add tags: key of AWS", addForm, []string{"Tags.Tag.1.Key=aws:x"}, "InvalidParameterValue", "reserved"},
		{"add tags: key of RDS", addForm, []string{"Tags.Tag.1.Key=rds:x"}, "InvalidParameterValue", "reserved"},
		{"add tags: key twice", addForm, []string{"Tags.Tag.2.Key=k"}, "InvalidParameterValue", "more than once"},
		{"add tags: gap", addForm, []string{"Tags.Tag.3.Key=z"}, "InvalidQueryParameter", "gap"},
		{"add tags: blank resource", addForm, []string{"ResourceName= "}, "InvalidParameterValue", "The parameter ResourceName must be provided and must not be blank."},
		{"add tags: no resource", addForm, []string{"-ResourceName"}, "MissingParameter", "ResourceName"},
		{"add tags: resource is a name", addForm, []string{"ResourceName=my-int"}, "InvalidParameterValue", "Invalid resource name: my-int"},
		{"add tags: resource is a bucket", addForm, []string{"ResourceName=arn:aws:s3:::x"}, "InvalidParameterValue", "Invalid resource name"},
		{"add tags: resource is a cluster", addForm, []string{"ResourceName=" + sourceARN}, "InvalidParameterValue", "Only integrations"},

		{"remove tags", removeForm, nil, ok, ""},
		{"remove tags: empty list", removeForm, []string{"-TagKeys.member.1", "TagKeys="}, ok, ""},
		{"remove tags: no keys", removeForm, []string{"-TagKeys.member.1"}, "MissingParameter", "TagKeys"},
		{"remove tags: another form", removeForm, []string{"-TagKeys.member.1", "TagKeys.Key.1=a"}, "InvalidQueryParameter", "TagKeys.member.1"},

		{"clusters", clustersForm, []string{"IncludeShared=true", "MaxRecords=20"}, ok, ""},
		{"clusters: 19 records", clustersForm, []string{"MaxRecords=19"}, "InvalidParameterValue", "between 20 and 100"},
		{"clusters: bad marker", clustersForm, []string{"Marker=!"}, "InvalidParameterValue", "Marker"},
		{"clusters: bad boolean", clustersForm, []string{"IncludeShared=maybe"}, "InvalidParameterValue", "true or false"},
		{"clusters: unknown filter", clustersForm, []string{"Filters.Filter.1.Name=db-instance-id", "Filters.Filter.1.Values.Value.1=x"}, "InvalidParameterValue", "db-instance-id"},
		{"clusters: filter", clustersForm, []string{"Filters.Filter.1.Name=db-cluster-id", "Filters.Filter.1.Values.Value.1=shop"}, ok, ""},
		{"instances", dbsForm, []string{"Filters.Filter.1.Name=dbi-resource-id", "Filters.Filter.1.Values.Value.1=x"}, ok, ""},
		{"instances: unknown filter", dbsForm, []string{"Filters.Filter.1.Name=x"}, "InvalidParameterValue", "filter name: x"},

		{"events", eventsForm, []string{"Duration=20160", "SourceIdentifier=my-int", "EventCategories.EventCategory.1=creation"}, ok, ""},
		{"events: all types", eventsForm, []string{"-SourceType"}, ok, ""},
		{"events: another type", eventsForm, []string{"SourceType=db-instance"}, ok, ""},
		{"events: no such type", eventsForm, []string{"SourceType=zero"}, "InvalidParameterValue", "SourceType"},
		{"events: identifier without type", eventsForm, []string{"-SourceType", "SourceIdentifier=x"}, "InvalidParameterCombination", "SourceType"},
		{"events: time", eventsForm, []string{"StartTime=2026-01-02T03:04:05Z", "EndTime=2026-01-02T03:04:05.678+01:00"}, "InvalidParameterCombination", "EndTime"},
		{"events: bad time", eventsForm, []string{"StartTime=yesterday"}, "InvalidParameterValue", "ISO 8601"},
		{"events: more than 14 days", eventsForm, []string{"Duration=20161"}, "InvalidParameterValue", "Duration"},
		{"events: filter", eventsForm, []string{"Filters.Filter.1.Name=x"}, "InvalidParameterValue", "filter name: x"},

		{"list tags", listForm, nil, ok, ""},
		{"list tags: filter", listForm, []string{"Filters.Filter.1.Name=x"}, "InvalidParameterValue", "x"},
	}
	f := &fake{integration: fullIntegration()}
	server := setup(t, f)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			reply := post(t, server, form(test.base, test.changes...))
			body := reply.Body
			if test.want == ok {
				if reply.Status != 200 {
					t.Fatalf("%d %s", reply.Status, body)
				}
				return
			}
			if reply.Status != 400 || !strings.Contains(body, "<Code>"+test.want+"</Code>") || !strings.Contains(body, test.says) {
				t.Fatalf("%d %s\nwant %s saying %q", reply.Status, body, test.want, test.says)
			}
		})
	}
}

// TestArguments checks that what was sent is what the control plane is asked.
func TestArguments(t *testing.T) {
	t.Parallel()
	f := &fake{integration: fullIntegration()}
	server := setup(t, f)
	send := func(base map[string]string, changes ...string) {
		t.Helper()
		if reply := post(t, server, form(base, changes...)); reply.Status != 200 {
			t.Fatalf("%d %s", reply.Status, reply.Body)
		}
	}
	equal := func(got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}

	send(createForm, "KMSKeyId=app", "AdditionalEncryptionContext.entry.1.key=a", "AdditionalEncryptionContext.entry.1.value=b",
		"Tags.Tag.1.Key=k", "Tags.Tag.2.Key=l", "Tags.Tag.2.Value=v", "DataFilter=include:  *.*", "Description=d")
	equal(f.created, control.CreateRequest{
		CallerARN: callerARN, SourceARN: sourceARN, TargetARN: targetARN, Name: "my-int", KMSKeyID: "app",
		EncryptionContext: map[string]string{"a": "b"},
		Tags:              []penstock.Tag{{Key: "k"}, {Key: "l", Value: "v"}},
		DataFilter:        "include:  *.*", Description: "d",
	})
	send(createForm)
	equal(f.created, control.CreateRequest{CallerARN: callerARN, SourceARN: sourceARN, TargetARN: targetARN, Name: "my-int"})

	send(describeForm)
	equal(f.listed, control.ListRequest{})
	send(describeForm, "IntegrationIdentifier=x", "MaxRecords=42", "Marker=m")
	equal(f.listed, control.ListRequest{Identifier: "x", MaxRecords: 42, Marker: "m"})

	blank, name := "", "n"
	send(modifyForm)
	equal(f.modified, control.ModifyRequest{Identifier: "my-int"})
	send(modifyForm, "Description=", "IntegrationName=n")
	equal(f.modified, control.ModifyRequest{Identifier: "my-int", Name: &name, Description: &blank})

	send(deleteForm, "IntegrationIdentifier="+integrationID)
	equal(f.deleted, integrationID)

	send(addForm)
	equal(f.resource, integrationARN)
	equal(f.added, []penstock.Tag{{Key: "k", Value: "v"}})
	send(removeForm, "TagKeys.member.2=l")
	equal(f.removed, []string{"k", "l"})
}
