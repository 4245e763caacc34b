import { z } from "zod";
import { kmsKeyArn } from "../iam/kms-key-arn";
import { ENDPOINT_SERVICES } from "../private-link/endpoint-services";
import { RETENTION_DAYS } from "../worker-observability/worker-logs";
import { poolSchema } from "./pool-schema";

const arn = (service: string, resource: string) =>
  z.string().regex(new RegExp(`^arn:aws[a-z-]*:${service}:[a-z0-9-]*:(\\d{12})?:${resource}$`));
const cidr = z.string().refine((value) => z.cidrv4().safeParse(value).success || z.cidrv6().safeParse(value).success, {
  message: "should be an IPv4 or IPv6 block, such as 10.20.0.0/16",
});
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const poolName = z.string().regex(/^[a-z][a-z0-9-]{0,30}$/);

const token = z
  .strictObject({
    secrets_manager_arn: arn("secretsmanager", "secret:.+-[A-Za-z0-9]{6}")
      .optional()
      .describe("Full ARN of the secret, its six random characters included."),
    ssm_parameter_arn: arn("ssm", "parameter/.+").optional().describe("ARN of the SecureString parameter."),
    kms_key_arn: kmsKeyArn().optional().describe("Customer managed key that encrypts it. Default: an AWS managed key."),
  })
  .refine((value) => (value.secrets_manager_arn === undefined) !== (value.ssm_parameter_arn === undefined), {
    message: "should have exactly one of secrets_manager_arn and ssm_parameter_arn",
  });

const privateLink = z.strictObject({
  service_name: z
    .string()
    .regex(/^com\.amazonaws\.vpce\.[a-z0-9-]+\.vpce-svc-[0-9a-f]+$/)
    .describe("The control plane's endpoint service."),
  private_dns: z.boolean().default(true).describe("Resolve the control plane's public name to the endpoint."),
});

const controlPlane = z.strictObject({
  url: z
    .string()
    .regex(/^https:\/\/[A-Za-z0-9.-]+(:\d+)?(\/\S*)?$/)
    .describe("HTTPS address of the control plane."),
  token: token.describe("Where the workers' registration token is kept; its value is never part of a deployment."),
  private_link: privateLink
    .optional()
    .describe("Reach the control plane and AWS through VPC endpoints alone, with no way to the internet."),
});

const retentionDays = z
  .int()
  .refine((days) => RETENTION_DAYS.includes(days), { message: `should be one of ${RETENTION_DAYS.join(", ")}` })
  .default(30);

const flowLogs = z.strictObject({
  traffic: z.enum(["ACCEPT", "REJECT", "ALL"]).default("ALL").describe("Which connections are recorded."),
  retention_days: retentionDays.describe("Days a record is kept."),
});

const existingEndpoint = z.strictObject({
  service: z
    .enum(["control-plane", ...ENDPOINT_SERVICES])
    .describe("What it leads to: the control plane, or an AWS service by the last part of its endpoint's name."),
  security_group_id: z
    .string()
    .regex(/^sg-[0-9a-f]+$/)
    .optional()
    .describe("Security group of the endpoint, which has to admit HTTPS from the workers; s3, a gateway, has none."),
});

const newNetwork = z.strictObject({
  cidr_block: z.cidrv4().describe("IPv4 block of the VPC, /16 to /24."),
  availability_zones: z
    .array(z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d+[a-z]$/))
    .min(1)
    .max(6)
    .describe("Zones with a subnet each."),
  nat_gateways: z
    .enum(["single", "per-zone"])
    .optional()
    .describe("One NAT gateway for all zones, or one in each. Default: single; none with private_link."),
  flow_logs: flowLogs
    .optional()
    .describe("Record the VPC's connections in a log group, under the key of the log groups. Default: not recorded."),
});

const network = z
  .strictObject({
    vpc_id: z
      .string()
      .regex(/^vpc-[0-9a-f]+$/)
      .optional()
      .describe("VPC that exists."),
    subnet_ids: z
      .array(z.string().regex(/^subnet-[0-9a-f]+$/))
      .min(1)
      .optional()
      .describe("Private subnets of that VPC, in as many zones as the workers should survive."),
    route_table_ids: z
      .array(z.string().regex(/^rtb-[0-9a-f]+$/))
      .min(1)
      .optional()
      .describe("Route tables of those subnets; private_link adds its S3 gateway to them."),
    existing_endpoints: z
      .array(existingEndpoint)
      .min(1)
      .optional()
      .describe("Endpoints that this VPC has: private_link uses them and makes those that are missing. Default: none."),
    create: newNetwork.optional().describe("Make a small VPC for the workers."),
  })
  .superRefine(({ create, vpc_id, subnet_ids, route_table_ids, existing_endpoints }, context) => {
    const existing = { vpc_id, subnet_ids, route_table_ids, existing_endpoints };
    const given = Object.entries(existing).filter(([, value]) => value !== undefined);
    if (create !== undefined && given.length > 0) {
      context.addIssue({
        code: "custom",
        message: `should have create or ${given.map(([key]) => key).join(", ")}, not both`,
      });
    }
    if (create === undefined && (vpc_id === undefined || subnet_ids === undefined)) {
      context.addIssue({
        code: "custom",
        message: "should have vpc_id and subnet_ids of a VPC that exists, or create",
      });
    }
  });

const daemonRelease = z.strictObject({
  version: z
    .string()
    .regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/)
    .describe("Version to run; never a moving name such as latest."),
  sha256: z
    .strictObject({
      x86_64: sha256.optional().describe("Of the binary for Intel and AMD types."),
      arm64: sha256.optional().describe("Of the binary for Graviton types."),
    })
    .describe("Checksums of the binaries, from the version's SHA256SUMS; one for every architecture in use."),
  bucket: z.string().min(3).max(63).default("ez-cdc-releases").describe("Bucket of the releases."),
  region: z.string().default("us-west-2").describe("Region of the bucket."),
  key_prefix: z
    .string()
    .regex(/^[^/].*[^/]$/)
    .default("dbmazz")
    .describe("Folder of the releases, above the versions."),
});

const agentRelease = z.strictObject({
  bucket: z.string().min(3).max(63).optional().describe("Bucket of the releases. Default: daemon_release.bucket."),
  region: z.string().optional().describe("Region of the bucket. Default: daemon_release.region."),
  key_prefix: z
    .string()
    .regex(/^[^/].*[^/]$/)
    .default("worker-agent")
    .describe(
      "Folder of the releases, above the versions; dist/worker-agent.mjs of this build goes below its version.",
    ),
});

const upgrade = z.strictObject({
  release_key: z
    .string()
    .regex(/^-----BEGIN PUBLIC KEY-----\s+MCowBQYDK2VwAyEA[A-Za-z0-9+/]{43}=\s+-----END PUBLIC KEY-----\s*$/, {
      message: "should be an Ed25519 public key in PEM, as openssl pkey -pubout writes it",
    })
    .describe("Ed25519 public key, in PEM, whose holder signs releases."),
  gate_seconds: z
    .int()
    .min(10)
    .max(3_600)
    .default(60)
    .describe("Seconds that a new version is on trial, before a worker turns back by itself."),
});

const otherEgress = z.strictObject({
  description: z.string().min(1).max(255).describe("What is reached, for whoever reads the security group."),
  from_port: z.int().min(1).max(65_535).describe("First port."),
  to_port: z.int().min(1).max(65_535).optional().describe("Last port. Default: the first."),
  cidrs: z.array(cidr).min(1).describe("Where."),
});

const cidrs = z.array(cidr).min(1).optional();
const egress = z.strictObject({
  https_cidrs: cidrs.describe("Where HTTPS may go. Default: anywhere, or the endpoints alone with private_link."),
  postgres: cidrs.describe("PostgreSQL, 5432."),
  starrocks: cidrs.describe("StarRocks: 8030, 8040 and 9030."),
  mysql: cidrs.describe("MySQL, 3306."),
  other: z.record(poolName, otherEgress).default({}).describe("Whatever else the jobs reach, by a stable name."),
});

const statement = z.strictObject({
  sid: z
    .string()
    .regex(/^[A-Za-z0-9]+$/)
    .describe("Unique name of the statement, letters and digits."),
  actions: z
    .array(
      z.string().regex(/^[a-z0-9-]+:([A-Za-z]+\*?)$/, {
        message: "should be <service>:<Action>, such as s3:PutObject; a service's every action is not for workers",
      }),
    )
    .min(1)
    .describe("Actions that the jobs call."),
  resources: z
    .array(z.string().regex(/^arn:/, { message: "should be an ARN: name what the jobs use" }))
    .min(1)
    .describe("ARNs that they call them on."),
  conditions: z
    .record(z.string(), z.record(z.string(), z.array(z.string()).min(1)))
    .optional()
    .describe("Operators, by them condition keys, by them the values that are admitted. Default: none."),
});

/** Where roles go, what bounds them, and what the jobs may do besides. */
export const iamKeys = z.strictObject({
  path: z
    .string()
    .regex(/^\/([!-~]+\/)?$/)
    .default("/holdfast/")
    .describe("IAM path of roles, policies and profiles."),
  permissions_boundary_arn: arn("iam", "policy/.+")
    .optional()
    .describe("Policy that bounds every role. Default: each role's own policy."),
  additional_statements: z
    .array(statement)
    .default([])
    .describe("What the jobs themselves may do beyond what workers do, such as writing to a backup's target bucket."),
});

const encryption = z.strictObject({
  volume_kms_key_arn: kmsKeyArn()
    .optional()
    .describe("Customer managed key of the volumes; Auto Scaling gets a grant on it. Default: the account's aws/ebs."),
  log_kms_key_arn: kmsKeyArn()
    .optional()
    .describe("Customer managed key of the log groups; its policy has to admit CloudWatch Logs. Default: none."),
});

const logs = z.strictObject({
  retention_days: retentionDays.describe("Days an event is kept."),
  infrequent_access: z.boolean().default(false).describe("Cheaper ingestion, without live tail and metric filters."),
});

const ssh = z.strictObject({
  key_name: z.string().min(1).max(255).describe("EC2 key pair that may log in."),
  cidr: cidr.describe("Block that may connect to port 22, such as a bastion's."),
});

const proxy = z.strictObject({
  url: z
    .string()
    .regex(/^https?:\/\/[A-Za-z0-9.-]+(:\d+)?\/?$/)
    .describe("Address of the proxy, without user and password."),
  exceptions: z.array(z.string().min(1)).default([]).describe("Hosts that are reached directly."),
});

const unsafe = z.strictObject({
  imdsv1: z.boolean().default(false).describe("Answer metadata requests without a session token."),
  imds_hop_limit: z
    .int()
    .min(1)
    .max(64)
    .default(1)
    .describe("Hops a metadata answer may travel; more than 1 lets containers ask."),
  unencrypted_root_volume: z.boolean().default(false).describe("Leave the root volumes unencrypted."),
});

/** What a document, or the caller of the published module, says of a worker fleet. Units stand in the names. */
export const fleetKeys = z.strictObject({
  product: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,20}$/)
    .default("ez-cdc")
    .describe("First part of every name in AWS."),
  control_plane: controlPlane
    .optional()
    .describe("Who gives the workers their jobs. Default: nobody; each pool has a queue."),
  network: network.describe("Where the workers run: a VPC that exists, or a new one."),
  daemon_release: daemonRelease.describe("The daemon that carries out a job, fetched from S3 and checked."),
  agent_release: agentRelease
    .prefault({})
    .describe("Where the worker agent of this build is fetched from, checked by its SHA-256."),
  upgrade: upgrade
    .optional()
    .describe(
      "Let the control plane give workers that run other versions of agent and daemon. Default: they refuse; a new version comes with new workers.",
    ),
  pools: z
    .record(poolName, poolSchema)
    .refine((pools) => Object.keys(pools).length > 0, { message: "should have at least one pool" })
    .describe("Pools of like workers, by name."),
  egress: egress.prefault({}).describe("Where workers may connect to; nothing connects to them."),
  iam: iamKeys.prefault({}).describe("Where roles go and what bounds them."),
  encryption: encryption.prefault({}).describe("Customer managed keys."),
  logs: logs.prefault({}).describe("The workers' log groups."),
  alarm_topic_arns: z
    .array(arn("sns", ".+"))
    .default([])
    .describe("SNS topics that are told of alarms and of their end."),
  session_kms_key_arn: kmsKeyArn()
    .optional()
    .describe("Key with which Session Manager encrypts sessions. Default: TLS only."),
  proxy: proxy.optional().describe("HTTP proxy of the workers. Default: none."),
  ca_certificates: z
    .string()
    .regex(/^-----BEGIN CERTIFICATE-----/)
    .optional()
    .describe("Certificates in PEM that workers trust besides the public ones."),
  ssh: ssh.optional().describe("Let a key pair log in through port 22. Default: Session Manager alone."),
  unsafe: unsafe.prefault({}).describe("Protections to give up; each stands in the outputs."),
});

/** A fleet, with every default filled in. */
export type FleetConfig = z.output<typeof fleetKeys>;
