import { TerraformVariable } from "cdktf";
import { WorkerNetwork, type WorkerNetworkProps } from "../../../modules/worker-network/worker-network";
import { lintIam } from "../../support/iam-linter";
import { decide, policiesOfRole } from "../../support/iam-policy";
import { type Synthesized, synthesize, synthesizedResources } from "../../support/synthesize";

function synthesizeNetwork(props: Partial<WorkerNetworkProps> = {}): Synthesized {
  return synthesize((scope) => {
    new WorkerNetwork(scope, "network", {
      name: "production",
      cidrBlock: "10.20.0.0/16",
      availabilityZones: ["eu-west-1a", "eu-west-1b"],
      internetAccess: "nat",
      ...props,
    });
  });
}

const attributes = (stack: Synthesized, type: string) => synthesizedResources(stack, type).map((r) => r.attributes);
const addresses = (stack: Synthesized): string[] =>
  Object.entries(stack.resource ?? {}).flatMap(([type, named]) => Object.keys(named).map((name) => `${type}.${name}`));
const subnet = (slot: number) =>
  expect.stringMatching(new RegExp(`^\\$\\{cidrsubnet\\(aws_vpc\\..+\\.cidr_block, 4, ${slot}\\)\\}$`));

test("workers get a private subnet and a route table in each zone, without public addresses", () => {
  const stack = synthesizeNetwork({ internetAccess: "none" });
  expect(attributes(stack, "aws_subnet")).toEqual([
    expect.objectContaining({ availability_zone: "eu-west-1a", map_public_ip_on_launch: false, cidr_block: subnet(0) }),
    expect.objectContaining({ availability_zone: "eu-west-1b", map_public_ip_on_launch: false, cidr_block: subnet(1) }),
  ]);
  expect(attributes(stack, "aws_route_table")).toHaveLength(2);
  expect(attributes(stack, "aws_route_table_association")).toHaveLength(2);
});

test("the VPC resolves names, which private endpoints need, and its default security group is closed", () => {
  const stack = synthesizeNetwork();
  expect(attributes(stack, "aws_vpc")).toEqual([
    expect.objectContaining({ enable_dns_support: true, enable_dns_hostnames: true }),
  ]);
  const [closed] = attributes(stack, "aws_default_security_group");
  expect(closed).toBeDefined();
  expect(closed).not.toHaveProperty("ingress");
  expect(closed).not.toHaveProperty("egress");
});

test("without internet there is no gateway, no NAT, no address and no route", () => {
  const stack = synthesizeNetwork({ internetAccess: "none" });
  for (const type of ["aws_internet_gateway", "aws_nat_gateway", "aws_eip", "aws_route"]) {
    expect(attributes(stack, type)).toEqual([]);
  }
});

describe("with NAT", () => {
  test("one gateway, in the first zone of the list, serves all zones", () => {
    const stack = synthesizeNetwork({ availabilityZones: ["eu-west-1b", "eu-west-1a"] });
    expect(synthesizedResources(stack, "aws_nat_gateway").map(({ address }) => address)).toEqual([
      expect.stringContaining("nat_gateway_b"),
    ]);
    const nat = `\${${synthesizedResources(stack, "aws_nat_gateway")[0]?.address}.id}`;
    const defaults = attributes(stack, "aws_route").filter((route) => "nat_gateway_id" in route);
    expect(defaults).toHaveLength(2);
    for (const route of defaults)
      expect(route).toMatchObject({ destination_cidr_block: "0.0.0.0/0", nat_gateway_id: nat });
  });

  test("per zone, each zone's route leads to its own gateway in its own public subnet", () => {
    const stack = synthesizeNetwork({ natGateways: "per-zone" });
    const gateways = synthesizedResources(stack, "aws_nat_gateway");
    expect(gateways).toHaveLength(2);
    for (const letter of ["a", "b"]) {
      const gateway = gateways.find(({ address }) => address.includes(`nat_gateway_${letter}`));
      const route = synthesizedResources(stack, "aws_route").find(({ address }) =>
        address.includes(`private_default_${letter}`),
      );
      expect(route?.attributes["nat_gateway_id"]).toBe(`\${${gateway?.address}.id}`);
      expect(gateway?.attributes["subnet_id"]).toContain(`public_association_${letter}`);
    }
    const slots = attributes(stack, "aws_subnet").map(({ cidr_block }) => cidr_block);
    expect(slots).toEqual(expect.arrayContaining([subnet(0), subnet(1), subnet(8), subnet(9)]));
  });
});

test("adding a zone before the others, or reordering them, changes no block and no address of another zone", () => {
  const before = synthesizeNetwork({ availabilityZones: ["eu-west-1b", "eu-west-1c"] });
  const after = synthesizeNetwork({ availabilityZones: ["eu-west-1b", "eu-west-1c", "eu-west-1a"] });
  expect(addresses(after)).toEqual(expect.arrayContaining(addresses(before)));
  for (const [type, named] of Object.entries(before.resource ?? {}))
    expect(after.resource?.[type]).toMatchObject(named);
  const reordered = synthesizeNetwork({ availabilityZones: ["eu-west-1b", "eu-west-1a", "eu-west-1c"] });
  expect(reordered.resource).toEqual(after.resource);
});

test("the block may be known only to Terraform", () => {
  const stack = synthesize((scope) => {
    const cidrBlock = new TerraformVariable(scope, "cidr_block", { type: "string" }).stringValue;
    new WorkerNetwork(scope, "network", {
      name: "n",
      cidrBlock,
      availabilityZones: ["eu-west-1a"],
      internetAccess: "none",
    });
  });
  expect(attributes(stack, "aws_vpc")[0]?.["cidr_block"]).toBe("${var.cidr_block}");
});

test("flow logs go to a group with retention, delivered by a role that may write there only", () => {
  const stack = synthesizeNetwork({ flowLogs: { traffic: "REJECT", retentionDays: 90 } });
  expect(attributes(stack, "aws_cloudwatch_log_group")).toEqual([
    expect.objectContaining({ name: "/aws/vpc/production/flow-logs", retention_in_days: 90 }),
  ]);
  expect(attributes(stack, "aws_flow_log")).toEqual([expect.objectContaining({ traffic_type: "REJECT" })]);
  const role = policiesOfRole(stack, "production-flow-logs");
  const put = (group: string) => ({
    action: "logs:PutLogEvents",
    resource: `arn:aws:logs:eu-west-1:111122223333:log-group:${group}:log-stream:eni-1`,
  });
  expect(decide(role, put("/aws/vpc/production/flow-logs"))).toBe("allowed");
  expect(decide(role, put("/aws/vpc/staging/flow-logs"))).toBe("implicitly denied");
  expect(lintIam(stack)).toEqual([]);
});

test.each<[Partial<WorkerNetworkProps>, string]>([
  [
    { cidrBlock: "10.20.0.0/15" },
    "cidrBlock (10.20.0.0/15) must be an IPv4 block from /16 to /24: a subnet gets a sixteenth of it",
  ],
  [{ cidrBlock: "10.20.0.0/25" }, "cidrBlock (10.20.0.0/25) must be an IPv4 block from /16 to /24"],
  [{ cidrBlock: "10.20.1.0/16" }, "cidrBlock (10.20.1.0/16) has host bits set: write 10.20.0.0/16"],
  [{ cidrBlock: "fd00::/16" }, "cidrBlock (fd00::/16) must be an IPv4 block"],
  [{ cidrBlock: "10.20/16" }, "cidrBlock (10.20/16) is not a CIDR block such as 10.20.0.0/16"],
  [{ availabilityZones: [] }, "availabilityZones is empty: name at least one, such as eu-west-1a"],
  [{ availabilityZones: ["eu-west-1"] }, "availabilityZones: eu-west-1 is not a zone such as eu-west-1a (a to h)"],
  [{ availabilityZones: ["us-west-2-lax-1a"] }, "availabilityZones: us-west-2-lax-1a is not a zone such as eu-west-1a"],
  [
    { availabilityZones: ["eu-west-1a", "eu-west-1a"] },
    "availabilityZones (eu-west-1a, eu-west-1a) names a zone twice",
  ],
  [{ availabilityZones: ["eu-west-1a", "us-east-1b"] }, "availabilityZones are of two regions: eu-west-1, us-east-1"],
  [
    { internetAccess: "none", natGateways: "single" },
    "natGateways (single) has no meaning with internetAccess (none): drop one",
  ],
])("refuses %j", (props, message) => {
  expect(() => synthesizeNetwork(props)).toThrow(message);
});
