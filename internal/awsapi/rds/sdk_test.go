package rds_test

import (
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/smithy-go"

	"penstock"
	"penstock/internal/control"
)

func sdkClient(server *httptest.Server, secret string) *awsrds.Client {
	return awsrds.New(awsrds.Options{
		Region:       region,
		BaseEndpoint: aws.String(server.URL),
		Credentials:  credentials.NewStaticCredentialsProvider(keyID, secret, ""),
		Retryer:      aws.NopRetryer{},
	})
}

func TestSDKReplies(t *testing.T) {
	t.Parallel()
	f := &fake{integration: fullIntegration(), tags: fullIntegration().Tags}
	client := sdkClient(setup(t, f), keySecret)

	created, err := client.CreateIntegration(t.Context(), &awsrds.CreateIntegrationInput{
		IntegrationName: aws.String("my-int"), SourceArn: aws.String(sourceARN), TargetArn: aws.String(targetARN),
		KMSKeyId: aws.String("app"), AdditionalEncryptionContext: map[string]string{"dept": "sales"},
		DataFilter: aws.String(fullIntegration().DataFilter), Description: aws.String(""),
		Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b c+d=é")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if f.created.DataFilter != fullIntegration().DataFilter || f.created.Tags[0].Value != "b c+d=é" {
		t.Errorf("the server saw %+v", f.created)
	}
	want := fullIntegration()
	if *created.IntegrationName != want.Name || *created.IntegrationArn != want.ARN || *created.DataFilter != want.DataFilter ||
		*created.Description != want.Description || *created.KMSKeyId != want.KMSKeyID || created.Status != types.IntegrationStatusNeedsAttention ||
		!created.CreateTime.Equal(want.CreatedAt) || len(created.Tags) != 2 || created.AdditionalEncryptionContext["app"] != "é" ||
		len(created.Errors) != 3 || *created.Errors[0].ErrorCode != "VALUES_NOT_REPRESENTABLE" {
		t.Errorf("the SDK saw %+v", created)
	}
	if id, ok := awsmiddleware.GetRequestIDMetadata(created.ResultMetadata); !ok || len(id) != 36 {
		t.Errorf("request id is %q", id)
	}

	if _, err := client.ModifyIntegration(t.Context(), &awsrds.ModifyIntegrationInput{
		IntegrationIdentifier: aws.String(integrationARN), Description: aws.String(""),
	}); err != nil {
		t.Error(err)
	}
	deleted, err := client.DeleteIntegration(t.Context(), &awsrds.DeleteIntegrationInput{IntegrationIdentifier: aws.String("my-int")})
	if err != nil || *deleted.IntegrationArn != integrationARN {
		t.Errorf("%+v, %v", deleted, err)
	}
	if _, err := client.AddTagsToResource(t.Context(), &awsrds.AddTagsToResourceInput{
		ResourceName: aws.String(integrationARN), Tags: []types.Tag{},
	}); err != nil {
		t.Error(err)
	}
	if _, err := client.RemoveTagsFromResource(t.Context(), &awsrds.RemoveTagsFromResourceInput{
		ResourceName: aws.String(integrationARN), TagKeys: []string{"a", "b"},
	}); err != nil || len(f.removed) != 2 {
		t.Errorf("%v, %v", f.removed, err)
	}
	listed, err := client.ListTagsForResource(t.Context(), &awsrds.ListTagsForResourceInput{ResourceName: aws.String(integrationARN)})
	if err != nil || len(listed.TagList) != 2 || *listed.TagList[0].Key != "team" {
		t.Errorf("%+v, %v", listed, err)
	}
}

func TestSDKPaginator(t *testing.T) {
	t.Parallel()
	one, two := fullIntegration(), emptyIntegration()
	two.Name = "second"
	client := sdkClient(setup(t, &fake{pages: map[string]control.ListReply{
		"":    {Integrations: []penstock.Integration{one}, Marker: "m&2"},
		"m&2": {Integrations: []penstock.Integration{two}},
	}}), keySecret)
	var names []string
	pages := awsrds.NewDescribeIntegrationsPaginator(client, &awsrds.DescribeIntegrationsInput{MaxRecords: aws.Int32(20)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range page.Integrations {
			names = append(names, *in.IntegrationName)
		}
	}
	if len(names) != 2 || names[1] != "second" {
		t.Errorf("names are %v", names)
	}
}

func TestSDKFaults(t *testing.T) {
	t.Parallel()
	remove := func(t *testing.T, kind penstock.Kind) error {
		client := sdkClient(setup(t, &fake{err: penstock.Errorf(kind, "so it is")}), keySecret)
		_, err := client.DeleteIntegration(t.Context(), &awsrds.DeleteIntegrationInput{IntegrationIdentifier: aws.String("x")})
		return err
	}
	create := func(t *testing.T, kind penstock.Kind, source string) error {
		client := sdkClient(setup(t, &fake{err: penstock.Errorf(kind, "so it is")}), keySecret)
		_, err := client.CreateIntegration(t.Context(), &awsrds.CreateIntegrationInput{
			IntegrationName: aws.String("a"), SourceArn: aws.String(source), TargetArn: aws.String(targetARN),
		})
		return err
	}
	want := func(ok bool, err error) {
		t.Helper()
		if !ok {
			t.Errorf("error is %v", err)
		}
	}
	err := remove(t, penstock.KindIntegrationNotFound)
	want(errors.As(err, new(*types.IntegrationNotFoundFault)), err)
	err = remove(t, penstock.KindInvalidState)
	want(errors.As(err, new(*types.InvalidIntegrationStateFault)), err)
	err = remove(t, penstock.KindConflict)
	want(errors.As(err, new(*types.IntegrationConflictOperationFault)), err)
	err = create(t, penstock.KindSourceNotFound, sourceARN)
	want(errors.As(err, new(*types.DBClusterNotFoundFault)), err)
	err = create(t, penstock.KindSourceNotFound, "arn:aws:rds:us-east-1:123456789012:db:shop")
	want(errors.As(err, new(*types.DBInstanceNotFoundFault)), err)
	err = create(t, penstock.KindQuota, sourceARN)
	want(errors.As(err, new(*types.IntegrationQuotaExceededFault)), err)
	err = create(t, penstock.KindAlreadyExists, sourceARN)
	want(errors.As(err, new(*types.IntegrationAlreadyExistsFault)), err)
	err = create(t, penstock.KindKeyNotAccessible, sourceARN)
	want(errors.As(err, new(*types.KMSKeyNotAccessibleFault)), err)

	client := sdkClient(setup(t, &fake{}), "wrong")
	_, err = client.DescribeIntegrations(t.Context(), &awsrds.DescribeIntegrationsInput{})
	var apiErr smithy.APIError
	want(errors.As(err, &apiErr) && apiErr.ErrorCode() == "SignatureDoesNotMatch", err)
}

// TestSDKLookups: what clients look up around integrations, as the SDK reads it.
func TestSDKLookups(t *testing.T) {
	t.Parallel()
	client := sdkClient(setup(t, &fake{sources: sources(), events: twoEvents()}), keySecret)
	clusters, err := client.DescribeDBClusters(t.Context(), &awsrds.DescribeDBClustersInput{
		IncludeShared: aws.Bool(true), Filters: []types.Filter{{Name: aws.String("db-cluster-id"), Values: []string{"shop", "x"}}},
	})
	if err != nil || len(clusters.DBClusters) != 1 {
		t.Fatalf("%+v, %v", clusters, err)
	}
	if c := clusters.DBClusters[0]; *c.DBClusterArn != sourceARN || *c.Port != 5433 || *c.MultiAZ || *c.Endpoint != "db.example.com" || *c.Status != "available" || *c.Engine != "postgres" {
		t.Errorf("%+v", c)
	}
	instances, err := client.DescribeDBInstances(t.Context(), &awsrds.DescribeDBInstancesInput{DBInstanceIdentifier: aws.String("old")})
	if err != nil || len(instances.DBInstances) != 1 || *instances.DBInstances[0].Endpoint.Address != "old.example.com" || *instances.DBInstances[0].Endpoint.Port != 3306 {
		t.Errorf("%+v, %v", instances, err)
	}
	events, err := client.DescribeEvents(t.Context(), &awsrds.DescribeEventsInput{
		SourceType: types.SourceTypeZeroEtl, StartTime: aws.Time(time.Now().Add(-2 * time.Hour)), EndTime: aws.Time(time.Now()), EventCategories: []string{"creation"},
	})
	if err != nil || len(events.Events) != 2 || events.Events[0].SourceType != types.SourceTypeZeroEtl || events.Events[0].Date.IsZero() || events.Events[0].EventCategories[0] != "creation" {
		t.Errorf("%+v, %v", events, err)
	}
	_, err = client.DescribeDBClusters(t.Context(), &awsrds.DescribeDBClustersInput{DBClusterIdentifier: aws.String("none")})
	if !errors.As(err, new(*types.DBClusterNotFoundFault)) {
		t.Error(err)
	}
	_, err = client.DescribeDBInstances(t.Context(), &awsrds.DescribeDBInstancesInput{DBInstanceIdentifier: aws.String("none")})
	if !errors.As(err, new(*types.DBInstanceNotFoundFault)) {
		t.Error(err)
	}
}
