import { z } from "zod";
import { fleetKeys, iamKeys } from "./fleet-keys";
import { poolKeys } from "./pool-keys";

const { encryption, logs, unsafe } = fleetKeys.shape;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const daemonRelease = fleetKeys.shape.daemon_release.extend({
  sha256: z
    .strictObject({
      x86_64: sha256.describe("Of the binary for Intel and AMD types."),
      arm64: sha256.describe("Of the binary for Graviton types."),
    })
    .describe("Checksums of the binaries, from the version's SHA256SUMS."),
});

const ssh = fleetKeys.shape.ssh.unwrap().extend({
  cidr: z.cidrv4().describe("Block that may connect to port 22, such as a bastion's."),
});

/**
 * A pool as the published module takes it: of one architecture, without what changes the set of resources in ways that Terraform
 * cannot decide.
 */
export const modulePoolKeys = poolKeys
  .omit({
    boot_hooks: true,
    images: true,
  })
  .extend({
    architecture: z.enum(["x86_64", "arm64"]).default("x86_64").describe("What every instance type of the pool runs."),
    image_id: z
      .string()
      .regex(/^ami-[0-9a-f]{8,17}$/)
      .optional()
      .describe("AMI id. Default: what image_parameter holds."),
    image_parameter: z
      .string()
      .startsWith("/")
      .optional()
      .describe("SSM parameter that holds the AMI id. Default: that of the newest Amazon Linux 2023."),
  });

/** What the pools of a published fleet share. */
export const moduleFleetKeys = z.strictObject({
  product: fleetKeys.shape.product,
  deployment: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,62}$/)
    .describe("Name of the deployment, the middle of every name in AWS."),
  subnet_ids: z.array(z.string()).min(1).describe("Private subnets of the workers, in two zones or more."),
  control_plane_url: fleetKeys.shape.control_plane
    .unwrap()
    .shape.url.optional()
    .describe("HTTPS address of the control plane; pools with a queue need none."),
  token_secret_arn: z
    .string()
    .regex(/^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+-[A-Za-z0-9]{6}$/)
    .optional()
    .describe("Secret that holds the workers' registration token; its value is never part of a plan."),
  token_parameter_arn: z
    .string()
    .regex(/^arn:aws[a-z-]*:ssm:[a-z0-9-]+:\d{12}:parameter\/.+$/)
    .optional()
    .describe("Secure parameter that holds the token, in place of a secret; its value is never part of a plan."),
  upgrade: fleetKeys.shape.upgrade,
  agent_release: fleetKeys.shape.agent_release,
  daemon_release: daemonRelease.describe("The daemon that carries out a job, fetched from S3 and checked."),
  iam: iamKeys.omit({ additional_statements: true }).prefault({}).describe("Where roles go and what bounds them."),
  encryption,
  alarm_topic_arns: fleetKeys.shape.alarm_topic_arns,
  ssh: ssh.optional().describe("Let a key pair log in through port 22. Default: Session Manager alone."),
  unsafe,
  tags: z
    .record(z.string(), z.string())
    .default({})
    .describe("Tags of instances, volumes and network interfaces, which a provider's default tags do not reach."),
});

const egressRule = z.strictObject({
  description: z.string().min(1).max(255).describe("What is reached."),
  from_port: z.int().min(1).max(65_535).describe("First port."),
  to_port: z.int().min(1).max(65_535).optional().describe("Last port. Default: the first."),
  cidr: z.cidrv4().describe("Where."),
});

/** Variables of the published module. */
export const moduleInputs = moduleFleetKeys.extend({
  vpc_id: z.string().startsWith("vpc-").describe("VPC of the workers."),
  pools: z
    .record(z.string().regex(/^[a-z][a-z0-9-]{0,30}$/), modulePoolKeys)
    .describe("Pools of like workers, by name."),
  egress: z
    .record(z.string(), egressRule)
    .default({ https: { description: "HTTPS to the control plane and AWS", from_port: 443, cidr: "0.0.0.0/0" } })
    .describe("Where workers may connect to, by a stable name; nothing connects to them."),
  logs,
});
