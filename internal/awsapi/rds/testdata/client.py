"""Drives the server with boto3 and checks what boto3 makes of its replies.

Usage: client.py ENDPOINT ACCESS_KEY SECRET. The server answers every
identifier with one integration, but for the identifiers that name a fault.
"""
import datetime
import sys
import urllib.error
import urllib.request

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, key, secret = sys.argv[1:]
SOURCE = "arn:aws:rds:us-east-1:123456789012:cluster:shop"
TARGET = "arn:aws:redshift-serverless:us-east-1:123456789012:namespace/0f7c3c5e-1111-4222-8333-444455556666"


def client(service="rds", key=key, secret=secret, region="us-east-1", token=None):
    return boto3.client(
        service, endpoint_url=endpoint, region_name=region, aws_access_key_id=key,
        aws_secret_access_key=secret, aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}))


def refused(code, status, call, **parameters):
    try:
        call(**parameters)
    except ClientError as e:
        got = e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"]
        assert got == (code, status), (got, e)
        assert e.response["ResponseMetadata"]["RequestId"], e.response
        assert e.response["Error"]["Message"], e.response
        return e
    raise AssertionError("not refused: %s" % parameters)


rds = client()

# Every member, in and out.
reply = rds.create_integration(
    SourceArn=SOURCE, TargetArn=TARGET, IntegrationName="my-int", KMSKeyId="alias/k",
    AdditionalEncryptionContext={"dept": "sales", "b": "2"},
    Tags=[{"Key": "a", "Value": "1"}, {"Key": "b"}],
    DataFilter=r"include: db1.*, exclude: db1./t_\d+/", Description="d e")
metadata = reply.pop("ResponseMetadata")
assert metadata["RequestId"] == metadata["HTTPHeaders"]["x-amzn-requestid"], metadata
assert reply.pop("CreateTime") == datetime.datetime(2026, 3, 4, 4, 6, 7, 891000, datetime.timezone.utc), reply
errors = reply.pop("Errors")
assert [e["ErrorCode"] for e in errors] == ["VALUES_NOT_REPRESENTABLE", "NO_REPLICA_IDENTITY", "POSITION_LOST"], errors
assert "ALTER TABLE" in errors[1]["ErrorMessage"], errors
assert reply == {
    "SourceArn": SOURCE, "TargetArn": TARGET, "IntegrationName": "my-int",
    "IntegrationArn": "arn:aws:rds:us-east-1:123456789012:integration:5b9f3b4e-0b1c-4e8c-9f5d-2d8f3c1a7e60",
    "KMSKeyId": "arn:aws:kms:us-east-1:123456789012:key/k1",
    "AdditionalEncryptionContext": {"dept": "sales", "app": "é"},
    "Status": "needs_attention",
    "Tags": [{"Key": "team", "Value": "data"}, {"Key": "empty", "Value": ""}],
    "DataFilter": r'include: shop.public./t_\d+/,  exclude: "shop".*.*', "Description": "orders & <carts>",
}, reply
ARN = reply["IntegrationArn"]

rds.create_integration(SourceArn=SOURCE, TargetArn=TARGET, IntegrationName="a", Tags=[], AdditionalEncryptionContext={})
assert rds.modify_integration(IntegrationIdentifier=ARN, Description="")["IntegrationArn"] == ARN
assert rds.delete_integration(IntegrationIdentifier="my-int")["IntegrationArn"] == ARN

# Pages.
pages = list(rds.get_paginator("describe_integrations").paginate(PaginationConfig={"PageSize": 20}))
assert [len(p["Integrations"]) for p in pages] == [1, 1], pages
assert pages[0]["Marker"] == "next/+=" and "Marker" not in pages[1], pages

# Tags.
assert rds.add_tags_to_resource(ResourceName=ARN, Tags=[{"Key": "k", "Value": "v"}])["ResponseMetadata"]["HTTPStatusCode"] == 200
assert rds.remove_tags_from_resource(ResourceName=ARN, TagKeys=["a", "b"])["ResponseMetadata"]["HTTPStatusCode"] == 200
assert rds.list_tags_for_resource(ResourceName=ARN)["TagList"] == [{"Key": "x", "Value": "y"}]

# Faults, as the exceptions that the model has.
for name, code, status in [
        ("missing", "IntegrationNotFoundFault", 404),
        ("busy", "IntegrationConflictOperationFault", 400),
        ("creating", "InvalidIntegrationStateFault", 400)]:
    e = refused(code, status, rds.delete_integration, IntegrationIdentifier=name)
    assert isinstance(e, getattr(rds.exceptions, code)), type(e)
refused("InvalidParameterValue", 400, rds.describe_integrations, MaxRecords=19)
refused("InvalidParameterValue", 400, rds.describe_integrations, Filters=[{"Name": "n", "Values": ["v", "w"]}])
refused("InvalidParameterValue", 400, rds.create_integration, SourceArn=SOURCE, TargetArn=TARGET, IntegrationName="a" * 64)
refused("InvalidAction", 400, rds.describe_db_proxies)

# Authentication.
refused("SignatureDoesNotMatch", 403, client(secret="wrong").describe_integrations)
refused("InvalidClientTokenId", 403, client(key="nobody").describe_integrations)
refused("InvalidClientTokenId", 403, client(token="token").describe_integrations)
refused("SignatureDoesNotMatch", 403, client(region="eu-west-1").describe_integrations)
assert client("sts").get_caller_identity()["Account"] == "123456789012"

# Presigned URLs.
for method in "GET", "POST":
    url = rds.generate_presigned_url("describe_integrations", Params={"IntegrationIdentifier": "a:b/c"}, HttpMethod=method)
    with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
        assert b"<IntegrationName>my-int</IntegrationName>" in answer.read()
    try:
        urllib.request.urlopen(urllib.request.Request(url + "&Marker=x", method=method))
        raise AssertionError("a changed URL is accepted")
    except urllib.error.HTTPError as e:
        assert e.code == 403, e

print("boto3", boto3.__version__, "botocore", botocore.__version__)
