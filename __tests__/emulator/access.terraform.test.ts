import { join } from "node:path";
import { KmsKey } from "@cdktf/provider-aws/lib/kms-key";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { App, LocalBackend, TerraformOutput, TerraformStack, TerraformVariable } from "cdktf";
import { PrivateLink } from "../../modules/private-link/private-link";
import { AWS_PROVIDER } from "../../modules/publish/module-stack";
import { EbsKeyGrant } from "../../modules/worker-access/ebs-key-grant";
import { type WorkerPermissions, workerFeatures } from "../../modules/worker-access/worker-policy";
import { WorkerRole } from "../../modules/worker-access/worker-role";
import { WorkerSecurityGroup } from "../../modules/worker-access/worker-security-group";
import { WorkerNetwork } from "../../modules/worker-network/worker-network";
import type { PlannedChange } from "../../scripts/emulator/terraform";
import { useEmulatedAws } from "../support/emulator";
import { useScratch } from "../support/scratch";

const aws = useEmulatedAws();
const scratch = useScratch();

const REGION = "eu-west-1";
const ZONES = ["eu-west-1a", "eu-west-1b"];
const PERMISSIONS: WorkerPermissions = {
  autoScalingGroupName: "production-streaming",
  releases: [{ bucketName: "releases-eu-west-1", prefix: "dbmazz/1.8.0/" }],
  logGroupNames: ["/ez-cdc/workers/production/agent"],
  metricNamespaces: ["EZ-CDC/Workers"],
  ownTagKeys: ["holdfast:boot-reason"],
};

test("access of a closed and of an open fleet: policies readable in the plan; applies, converges and is destroyed", async () => {
  // GIVEN
  const app = new App({ outdir: scratch.path, stackTraces: false });
  const stack = new TerraformStack(app, "access");
  new AwsProvider(stack, "aws", { region: REGION });
  stack.addOverride("terraform.required_providers.aws", { source: AWS_PROVIDER.source, version: AWS_PROVIDER.version });
  new LocalBackend(stack, { path: "terraform.tfstate" });
  closedFleet(stack);
  openFleet(stack);
  app.synth();
  const terraform = await aws.terraform(join(scratch.path, "stacks", "access"));

  // WHEN
  const { changes } = await terraform.plan();
  await terraform.apply("holdfast.tfplan");
  const second = await terraform.plan();

  // THEN
  expect(knownPolicies(changes, "aws_iam_policy")).toEqual([
    expect.stringContaining("log-group:/aws/vpc/closed/flow-logs:*"),
    expect.stringContaining(":autoScalingGroup:*:autoScalingGroupName/production-streaming"),
  ]);
  expect(knownPolicies(changes, "aws_vpc_endpoint")).toHaveLength(7);
  expect(second.changes).toEqual([]);
  expect(await terraform.outputs()).toEqual({
    instance_profile_arn: "arn:aws:iam::123456789012:instance-profile/holdfast/production-streaming",
    nat_addresses: [expect.any(String), expect.any(String)],
    private_endpoints: ["autoscaling", "control-plane", "ec2", "logs", "monitoring", "s3", "ssm", "ssmmessages"],
  });
  await terraform.destroy("-refresh=false");
  expect(await terraform.state()).toEqual([]);
});

function closedFleet(stack: TerraformStack): void {
  const cidrs = new TerraformVariable(stack, "postgres_cidrs", { type: "list(string)" });
  cidrs.addOverride("default", ["10.30.0.0/16", "fd00:ec2::/64"]);
  const { vpcId, subnetIds, routeTableIds } = new WorkerNetwork(stack, "closed_network", {
    name: "closed",
    cidrBlock: "10.20.0.0/22",
    availabilityZones: ZONES,
    internetAccess: "none",
    flowLogs: {},
  });
  const privateLink = new PrivateLink(stack, "private_link", {
    name: "closed",
    vpcId,
    subnetIds,
    routeTableIds,
    controlPlaneServiceName: "com.amazonaws.vpce.eu-west-1.vpce-svc-0123456789abcdef0",
    features: [...workerFeatures(PERMISSIONS), "os-packages"],
    releaseBuckets: [{ name: "releases-eu-west-1", region: REGION }],
    region: REGION,
  });
  const databases = { postgres: { cidrs: cidrs.listValue }, starRocks: { cidrs: ["10.40.0.0/16"] } };
  new WorkerSecurityGroup(stack, "closed_workers", { name: "closed", vpcId, privateLink, ...databases });
  new TerraformOutput(stack, "private_endpoints", { value: Object.keys(privateLink.endpointIds).sort() });
}

function openFleet(stack: TerraformStack): void {
  const { vpcId, natAddresses } = new WorkerNetwork(stack, "open_network", {
    name: "open",
    cidrBlock: "10.21.0.0/16",
    availabilityZones: ZONES,
    internetAccess: "nat",
    natGateways: "per-zone",
  });
  new WorkerSecurityGroup(stack, "open_workers", { name: "open", vpcId, mysql: { cidrs: ["10.50.0.0/16"] } });
  const role = new WorkerRole(stack, "role", { name: "production-streaming", permissions: PERMISSIONS });
  const key = new KmsKey(stack, "key", { deletionWindowInDays: 7 });
  new EbsKeyGrant(stack, "grant", { name: "production", kmsKeyArn: key.arn });
  new TerraformOutput(stack, "instance_profile_arn", { value: role.instanceProfileArn });
  new TerraformOutput(stack, "nat_addresses", { value: natAddresses });
}

/** The policies that a plan shows; one that hangs on something not yet created is unknown, and absent. */
function knownPolicies(changes: readonly PlannedChange[], type: string): unknown[] {
  return changes.filter((change) => change.type === type).flatMap(({ change }) => change.after?.["policy"] ?? []);
}
