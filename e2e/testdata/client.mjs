// Drives a running server with the AWS SDK for JavaScript.
// Usage: node client.mjs MODULE ENDPOINT KEY SECRET SOURCE TARGET FILTER
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

const [modules, endpoint, accessKeyId, secretAccessKey, SourceArn, TargetArn, DataFilter] = process.argv.slice(2);
const rds = createRequire(modules + "/")("@aws-sdk/client-rds");
const connect = (credentials) => new rds.RDSClient({ endpoint, region: "us-east-1", credentials, maxAttempts: 1 });
const client = connect({ accessKeyId, secretAccessKey });
const send = (name, input) => client.send(new rds[name + "Command"](input));

async function refused(name, type, status, call) {
	try {
		await call();
	} catch (e) {
		assert.equal(e.name, name);
		assert.equal(e.$metadata.httpStatusCode, status);
		if (type) assert.ok(e instanceof rds[type], e);
		assert.ok(e.$metadata.requestId);
		return;
	}
	assert.fail("not refused: " + name);
}

const created = await send("CreateIntegration", {
	IntegrationName: "js", SourceArn, TargetArn, DataFilter, Description: "d & <e>",
	Tags: [{ Key: "a", Value: "1" }, { Key: "b" }],
});
assert.equal(created.Status, "creating");
assert.equal(created.Description, "d & <e>");
assert.equal(created.DataFilter, DataFilter);
assert.deepEqual(created.Tags, [{ Key: "a", Value: "1" }, { Key: "b", Value: "" }]);
assert.ok(created.CreateTime instanceof Date && Math.abs(Date.now() - created.CreateTime) < 600_000, created.CreateTime);
assert.match(created.KMSKeyId, /^arn:aws:kms:/);
const ARN = created.IntegrationArn;

let in_;
for (let i = 0; i < 600; i++, await sleep(100)) {
	in_ = (await send("DescribeIntegrations", { IntegrationIdentifier: ARN })).Integrations[0];
	if (in_.Status !== "creating") break;
}
assert.equal(in_.Status, "active");
assert.deepEqual(in_.Errors, []);

const pages = rds.paginateDescribeIntegrations({ client, pageSize: 20 }, {});
let seen = 0;
for await (const page of pages) seen += page.Integrations.length;
assert.equal(seen, 1);

assert.equal((await send("ModifyIntegration", { IntegrationIdentifier: "js", Description: "" })).Description, "");
await send("AddTagsToResource", { ResourceName: ARN, Tags: [{ Key: "c", Value: "3" }] });
await send("RemoveTagsFromResource", { ResourceName: ARN, TagKeys: ["a"] });
assert.deepEqual((await send("ListTagsForResource", { ResourceName: ARN })).TagList.map((t) => t.Key), ["b", "c"]);
assert.equal((await send("DescribeDBClusters", {})).DBClusters[0].DBClusterArn, SourceArn);
const events = (await send("DescribeEvents", { SourceType: "zero-etl" })).Events;
assert.ok(events.length > 0 && events[0].Date instanceof Date && events[0].SourceArn === ARN, JSON.stringify(events));

await refused("IntegrationNotFoundFault", "IntegrationNotFoundFault", 404, () => send("DeleteIntegration", { IntegrationIdentifier: "none" }));
await refused("IntegrationConflictOperationFault", "IntegrationConflictOperationFault", 400, () => send("CreateIntegration", { IntegrationName: "js", SourceArn, TargetArn, DataFilter }));
await refused("KMSKeyNotAccessibleFault", "KMSKeyNotAccessibleFault", 400, () => send("CreateIntegration", { IntegrationName: "k", SourceArn, TargetArn, DataFilter, KMSKeyId: "none" }));
await refused("DBClusterNotFoundFault", "DBClusterNotFoundFault", 404, () => send("CreateIntegration", { IntegrationName: "k", SourceArn: SourceArn + "x", TargetArn, DataFilter }));
await refused("InvalidParameterValue", null, 400, () => send("DescribeIntegrations", { MaxRecords: 5 }));
await refused("SignatureDoesNotMatch", null, 403, () => connect({ accessKeyId, secretAccessKey: "wrong" }).send(new rds.DescribeIntegrationsCommand({})));
await refused("InvalidClientTokenId", null, 403, () => connect({ accessKeyId, secretAccessKey, sessionToken: "t" }).send(new rds.DescribeIntegrationsCommand({})));

assert.equal((await send("DeleteIntegration", { IntegrationIdentifier: ARN })).Status, "deleting");
for (let i = 0; i < 600; i++, await sleep(100)) {
	try {
		await send("DescribeIntegrations", { IntegrationIdentifier: ARN });
	} catch (e) {
		assert.ok(e instanceof rds.IntegrationNotFoundFault, e);
		console.log("node " + process.version + ", AWS SDK for JavaScript: done");
		process.exit(0);
	}
}
assert.fail("the integration is still there");
