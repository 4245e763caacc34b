import { PrivateLink, type PrivateLinkProps } from "../../../modules/private-link/private-link";
import { WORKER_ACTIONS, type WorkerFeature } from "../../../modules/worker-access/worker-actions";
import { WorkerSecurityGroup } from "../../../modules/worker-access/worker-security-group";
import { lintIam } from "../../support/iam-linter";
import { parsePolicy } from "../../support/iam-policy";
import { type Attributes, type Synthesized, synthesize, synthesizedResources } from "../../support/synthesize";

const CONTROL_PLANE = "com.amazonaws.vpce.eu-west-1.vpce-svc-0123456789abcdef0";
/** What a streaming pool with logs, metrics and a token turns on. */
const FLEET: readonly WorkerFeature[] = [
  "lifecycle",
  "releases",
  "os-packages",
  "logs",
  "metrics",
  "session-manager",
  "token-in-secrets-manager",
];

function synthesizeLink(props: Partial<PrivateLinkProps> = {}): Synthesized {
  return synthesize((scope) => {
    const privateLink = new PrivateLink(scope, "private_link", {
      name: "production",
      vpcId: "vpc-0123456789abcdef0",
      subnetIds: ["subnet-0a", "subnet-0b"],
      routeTableIds: ["rtb-0a", "rtb-0b"],
      controlPlaneServiceName: CONTROL_PLANE,
      features: FLEET,
      releaseBuckets: [{ name: "releases-eu-west-1", region: "eu-west-1" }],
      region: "eu-west-1",
      ...props,
    });
    new WorkerSecurityGroup(scope, "workers", { name: "production", vpcId: "vpc-0123456789abcdef0", privateLink });
  });
}

const endpoints = (stack: Synthesized): Attributes[] =>
  synthesizedResources(stack, "aws_vpc_endpoint").map(({ attributes }) => attributes);
const endpoint = (stack: Synthesized, service: string): Attributes | undefined =>
  endpoints(stack).find(
    ({ service_name }) => service_name === service || service_name === `com.amazonaws.eu-west-1.${service}`,
  );
const services = (stack: Synthesized): string[] =>
  endpoints(stack)
    .map(({ service_name }) => String(service_name).replace("com.amazonaws.eu-west-1.", ""))
    .sort();
const egress = (stack: Synthesized): Attributes[] =>
  synthesizedResources(stack, "aws_vpc_security_group_egress_rule").map(({ attributes }) => attributes);

describe("R10: endpoints follow from features", () => {
  const NEEDED: Readonly<Record<WorkerFeature, readonly string[]>> = {
    releases: ["s3"],
    "os-packages": ["s3"],
    "session-manager": ["ssm", "ssmmessages"],
    "legacy-run-command": ["ec2messages"],
    "encrypted-sessions": ["kms"],
    lifecycle: ["autoscaling"],
    logs: ["logs"],
    metrics: ["monitoring"],
    "token-in-secrets-manager": ["secretsmanager"],
    "token-in-parameter-store": ["ssm"],
    queue: ["sqs"],
    "job-secrets": ["secretsmanager"],
    "instance-tags": ["ec2"],
    "caller-identity": ["sts"],
  };

  test.each(Object.entries(NEEDED) as [WorkerFeature, readonly string[]][])(
    "R10: %s needs %j and the control plane",
    (feature, needed) => {
      expect(services(synthesizeLink({ features: [feature] }))).toEqual([CONTROL_PLANE, ...needed].sort());
    },
  );

  test("R10: every feature that exists is in this table", () => {
    expect(Object.keys(NEEDED).sort()).toEqual(Object.keys(WORKER_ACTIONS).sort());
  });

  test("R10: a whole fleet gets each once, and no ec2messages unless asked", () => {
    const all = ["autoscaling", "logs", "monitoring", "s3", "secretsmanager", "ssm", "ssmmessages"];
    expect(services(synthesizeLink())).toEqual([...all, CONTROL_PLANE].sort());
    expect(services(synthesizeLink({ features: [...FLEET, "legacy-run-command"] }))).toContain("ec2messages");
  });

  test("R10: all but S3 are interfaces with private DNS in every subnet; S3 is a gateway in every route table", () => {
    const stack = synthesizeLink();
    for (const attributes of endpoints(stack)) {
      const gateway = attributes["service_name"] === "com.amazonaws.eu-west-1.s3";
      expect(attributes).toMatchObject(
        gateway
          ? { vpc_endpoint_type: "Gateway", route_table_ids: ["rtb-0a", "rtb-0b"] }
          : { vpc_endpoint_type: "Interface", private_dns_enabled: true, subnet_ids: ["subnet-0a", "subnet-0b"] },
      );
    }
  });

  test("R10: the S3 gateway admits the Amazon Linux repositories and the release bucket, and nothing else", () => {
    const stack = synthesizeLink();
    const { Statement } = parsePolicy(stack, endpoint(stack, "s3")?.["policy"]);
    expect(Statement.flatMap(({ Resource }) => Resource)).toEqual([
      "arn:aws:s3:::releases-eu-west-1/*",
      "arn:aws:s3:::al2023-repos-eu-west-1-de612dc2/*",
    ]);
    expect(Statement.flatMap(({ Action }) => Action)).toEqual(["s3:GetObject", "s3:GetObject"]);
  });

  test("R10: an AWS endpoint lets through what workers do, with credentials of this account", () => {
    const stack = synthesizeLink();
    expect(parsePolicy(stack, endpoint(stack, "ssm")?.["policy"]).Statement).toEqual([
      {
        Sid: "WorkersOfThisAccount",
        Effect: "Allow",
        Principal: "*",
        Action: ["ssm:UpdateInstanceInformation"],
        Resource: ["*"],
        Condition: { StringEquals: { "aws:PrincipalAccount": "111122223333" } },
      },
    ]);
    expect(lintIam(stack)).toEqual([]);
  });
});

describe("R9: the endpoints' security group", () => {
  test("R9: admits 443 from the workers' group, and has no other rule", () => {
    const stack = synthesizeLink();
    const [group] = endpoints(stack).flatMap(
      ({ security_group_ids }) => (security_group_ids as string[] | undefined) ?? [],
    );
    const ingress = synthesizedResources(stack, "aws_vpc_security_group_ingress_rule");
    expect(ingress.map(({ attributes }) => attributes)).toEqual([
      expect.objectContaining({
        security_group_id: group,
        referenced_security_group_id: expect.stringContaining("aws_security_group.workers_group"),
        from_port: 443,
        to_port: 443,
      }),
    ]);
    expect(egress(stack).filter((rule) => rule["security_group_id"] === group)).toEqual([]);
  });

  test("R9: workers reach the endpoints and S3, and no block of addresses", () => {
    expect(egress(synthesizeLink())).toEqual([
      expect.objectContaining({ referenced_security_group_id: expect.stringContaining("private_link_endpoints") }),
      expect.objectContaining({ prefix_list_id: expect.stringMatching(/private_link_s3_.*\.prefix_list_id\}$/) }),
    ]);
  });
});

describe("a VPC that has endpoints", () => {
  test("each declared one is used through its security group and not created a second time", () => {
    const stack = synthesizeLink({ existingEndpoints: [{ service: "logs", securityGroupId: "sg-0owner" }] });
    expect(services(stack)).not.toContain("logs");
    expect(egress(stack)).toContainEqual(
      expect.objectContaining({ referenced_security_group_id: "sg-0owner", from_port: 443 }),
    );
  });

  test("its S3 gateway is reached through the region's prefix list", () => {
    const stack = synthesizeLink({ existingEndpoints: [{ service: "s3" }] });
    expect(services(stack)).not.toContain("s3");
    expect(Object.values(stack.data?.["aws_prefix_list"] ?? {})).toEqual([
      expect.objectContaining({ name: "com.amazonaws.eu-west-1.s3" }),
    ]);
    expect(egress(stack)).toContainEqual(
      expect.objectContaining({ prefix_list_id: expect.stringContaining("data.aws_prefix_list.") }),
    );
  });
});

test("a control plane in another region is reached across regions", () => {
  const service = "com.amazonaws.vpce.us-west-2.vpce-svc-0123456789abcdef0";
  expect(endpoint(synthesizeLink({ controlPlaneServiceName: service }), service)).toMatchObject({
    service_region: "us-west-2",
  });
  expect(endpoint(synthesizeLink(), CONTROL_PLANE)).not.toHaveProperty("service_region");
});

test("without region, names follow the provider's", () => {
  const stack = synthesize((scope) => {
    new PrivateLink(scope, "private_link", {
      name: "production",
      vpcId: "vpc-0123456789abcdef0",
      subnetIds: ["subnet-0a"],
      routeTableIds: ["rtb-0a"],
      controlPlaneServiceName: CONTROL_PLANE,
      features: ["logs"],
    });
  });
  expect(endpoints(stack)).toContainEqual(
    expect.objectContaining({
      service_name: expect.stringMatching(/^com\.amazonaws\.\$\{data\.aws_region\..+\.id\}\.logs$/),
    }),
  );
});

test.each<[Partial<PrivateLinkProps>, string]>([
  [
    { releaseBuckets: [{ name: "ez-cdc-releases", region: "us-west-2" }] },
    "release bucket ez-cdc-releases is in us-west-2, the fleet in eu-west-1: an S3 gateway endpoint reaches its own region only. " +
      "Mirror the release (aws s3 sync s3://ez-cdc-releases/PREFIX/ s3://BUCKET-IN-eu-west-1/PREFIX/ --source-region us-west-2 --region eu-west-1) and name that bucket",
  ],
  [
    { releaseBuckets: [] },
    "features has releases but releaseBuckets is empty: the S3 gateway's policy would admit none",
  ],
  [
    { controlPlaneServiceName: "api.ez-cdc.com" },
    "controlPlaneServiceName (api.ez-cdc.com) is not of the form com.amazonaws.vpce.<region>.vpce-svc-<id>",
  ],
  [
    { existingEndpoints: [{ service: "ssm" }] },
    "existingEndpoints: ssm needs its securityGroupId, so that workers may reach it",
  ],
  [{ existingEndpoints: [{ service: "s3" }, { service: "s3" }] }, "existingEndpoints names s3 twice"],
])("refuses %j", (props, message) => {
  expect(() => synthesizeLink(props)).toThrow(message);
});
