import { z } from "zod";
import { kmsKeyArn } from "../iam/kms-key-arn";
import { INSTANCE_TYPE } from "../worker-fleet/architecture";
import { SNAPSHOT_HOURS } from "./volume-snapshots";

const base64 = z.string().regex(/^[A-Za-z0-9+/=\s]*$/);
const owner = (what: string) => z.string().min(1).describe(what);
const mode = z.string().regex(/^0[0-7]{3}$/);
const tags = z.record(z.string(), z.string());
const subnet = z.string().regex(/^subnet-[0-9a-f]+$/);
const securityGroup = z.string().regex(/^sg-[0-9a-f]+$/);
const image = z.string().regex(/^(ami-[0-9a-f]+|resolve:ssm:.+)$/);
const instanceType = z.string().regex(INSTANCE_TYPE, { message: "should be <family>.<size>, such as r7g.large" });
/** https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html */
const volumeType = z.enum(["gp3", "gp2", "io2", "io1", "st1", "sc1", "standard"]);
const sizeGiB = z.int().min(1).max(65_536);
const setOf = <Item extends z.ZodType>(item: Item) => z.array(item).meta({ uniqueItems: true });

/** What is said of a data volume. */
const volume = z.strictObject({
  device_name: z.string().startsWith("/dev/"),
  size_in_gibs: sizeGiB,
  type: volumeType,
  iops: z.int().min(1).optional(),
  throughput_mib_per_sec: z.int().min(1).optional(),
  mount_path: z.string().regex(/^\/\S*[^\s/]$/),
  file_system_type: z.enum(["ext4", "xfs"]),
  mount_params: z.array(z.string().regex(/^[^\s,]+$/)),
  mount_path_owner_user: z.string().min(1),
  mount_path_owner_group: z.string().min(1),
  tags,
  kms_key_arn: kmsKeyArn().optional(),
});

export const dataVolume = volume.extend({
  device_name: volume.shape.device_name.default("/dev/sdf"),
  mount_params: volume.shape.mount_params.default([]),
  tags: tags.default({}),
});

export const additionalVolume = dataVolume.extend({ device_name: volume.shape.device_name });

/** Keys of a further volume, of which a node may have its own values. */
export const ADDITIONAL_VOLUME_KEYS = Object.keys(volume.shape) as (keyof typeof volume.shape)[];

const volumesByName = <Volume extends z.ZodType>(named: Volume) =>
  z.record(z.string().regex(/^[A-Za-z0-9-]{1,32}$/), named).default({});

const node = z.strictObject({
  node_id: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/)
    .describe("Identity in the cluster, unique in it."),
  node_ip: z.ipv4().describe("Fixed private address, free in the subnet."),
  node_image: image.optional().describe("AMI of this node; without it, node_image of the cluster."),
  node_subnet_id: subnet.describe("Subnet of the node."),
  node_data_disk: z
    .record(z.string(), z.string())
    .default({})
    .describe("Keys of default_data_volume that are different for this node."),
  instance_type: instanceType.optional().describe("Instance type of this node; without it, the cluster's."),
  additional_data_volumes: volumesByName(volume.partial()).describe(
    "Keys of additional_data_volumes that are different for this node, and whole volumes that it alone has.",
  ),
  tags: tags.default({}).describe("Tags of this node's instance and group."),
});

/** What a node may say of its own data volume in node_data_disk. */
export const DATA_DISK_KEYS = [
  "device_name",
  "size_in_gibs",
  "type",
  "iops",
  "throughput_mib_per_sec",
  "mount_path",
  "file_system_type",
  "mount_path_owner_user",
  "mount_path_owner_group",
  "kms_key_arn",
];

/** The files of one node, whose contents are written as `contents` says. */
export const nodeFiles = (contents: z.ZodString) =>
  z.strictObject({
    node_id: z.string(),
    node_files_toupload: z
      .array(
        z.strictObject({
          contents,
          destination: z.string().startsWith("/"),
          owner: owner("User that owns it.").optional(),
          group: owner("Its group.").optional(),
          mode: mode.optional(),
        }),
      )
      .default([]),
  });

const secretFile = z.strictObject({
  node_id: z.string().optional().describe("Node that gets it; every node without."),
  destination: z.string().startsWith("/"),
  secret_arn: z
    .string()
    .regex(/^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+-[A-Za-z0-9]{6}$/, {
      message: "should be the full ARN of a secret, its six random characters included",
    })
    .optional()
    .describe("Secret in Secrets Manager."),
  parameter_name: z
    .string()
    .regex(/^[A-Za-z0-9_./-]+$/, { message: "should be the name of a parameter, without its ARN" })
    .optional()
    .describe("Parameter in SSM; one of the two."),
  owner: owner("User that owns it.").default("root"),
  group: owner("Its group.").default("root"),
  mode: mode.default("0400"),
});

const rollingUpdate = z.strictObject({
  when: z.enum(["apply", "none"]).default("none").describe("`none`: an apply replaces no instance; roll by hand."),
  role_arn: z
    .string()
    .optional()
    .describe("Role that the roller assumes; without it, the credentials in the environment."),
  options: z
    .array(z.string())
    .default([])
    .describe("Further options of `holdfast roll run`, such as `--check-tcp`, `2379`."),
  from_nodes: z
    .boolean()
    .default(false)
    .describe("Makes the document <app_name>-roll, by which a roll is started on a node, and the role that it takes."),
});

const snapshots = z.strictObject({
  every_hours: z.literal(SNAPSHOT_HOURS).default(24),
  start_at: z
    .string()
    .regex(/^([01]\d|2[0-3]):[0-5]\d$/)
    .default("03:00"),
  keep: z.int().min(1).max(1_000).default(7),
});

const alarms = z.strictObject({
  topic_arns: z.array(z.string()).describe("SNS topics that are told."),
  below_capacity_minutes: z.int().min(1).max(1_440).default(30),
  burst_balance_percent: z.number().min(1).max(100).default(20),
  volume_latency_ms: z.number().min(1).default(100),
});

/**
 * What the published module takes. A document of the kind `stateful-cluster` says the same, with text where Terraform has base64.
 *
 * The names, types and defaults up to `jq_download_url` are those of the module that this one stands in for.
 */
export const clusterInputs = z.strictObject({
  app_name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/)
    .describe("Name of the cluster; begins the names of everything in it."),
  node_image: image.describe("AMI of the nodes: Amazon Linux 2023, Debian or Ubuntu."),
  node_key_name: z
    .string()
    .nullable()
    .default(null)
    .describe("EC2 key pair; none by default, since sessions go through SSM."),
  instance_type: instanceType.describe("Instance type of the nodes."),
  security_groups: z.array(securityGroup).min(1).describe("Security groups of the nodes' interfaces, one or more."),
  nodes: setOf(node).min(1).describe("The nodes: identity, address, subnet, and what is different about each."),
  node_files: setOf(nodeFiles(base64.describe("Content in base64.")))
    .default([])
    .describe(
      "Files of each node, apart from `nodes` because they may be sensitive. Every node may read its user data: no secrets here.",
    ),
  default_data_volume: dataVolume.describe("The data volume of every node; node_data_disk overrides its keys."),
  node_config_script: base64
    .nullable()
    .default(null)
    .describe("Bash file in base64 that defines configure_cluster_node and wait_for_healthy_cluster."),
  node_config_script_s3_url: z
    .string()
    .regex(/^s3:\/\/[^/]+\/.+$/)
    .nullable()
    .default(null)
    .describe("The same file in S3 (s3://bucket/key); wins over node_config_script."),
  root_volume: z
    .strictObject({ device_name: volume.shape.device_name, size_in_gibs: sizeGiB, type: volumeType })
    .default({ device_name: "/dev/xvda", size_in_gibs: 16, type: "gp3" })
    .describe("Root volume of the instances, encrypted and deleted with them."),
  asg_inservice_timeout_in_mins: z
    .number()
    .default(10)
    .describe("How long a roll waits for a replaced node to go into service, in minutes."),
  asg_lifecycle_hook_heartbeat_timeout: z
    .int()
    .min(30)
    .max(7_200)
    .default(3_600)
    .describe(
      "Seconds without a sign of life after which a booting instance is given up. Read when a group is created.",
    ),
  command_timeout_seconds: z
    .int()
    .min(1)
    .default(1_800)
    .describe("Longest time to get the volumes, and to make and mount their filesystems, each, in seconds."),
  http_put_response_hop_limit: z
    .int()
    .min(1)
    .max(64)
    .default(1)
    .describe("Network hops that an answer of the metadata service survives: 2 for containers."),
  jq_download_url: z.string().default("").describe("Not used: nothing is downloaded at boot."),
  node_secret_files: z
    .array(secretFile)
    .default([])
    .describe("Files whose content the node reads at boot, from Secrets Manager or SSM."),
  node_config_script_s3_version_id: z
    .string()
    .nullable()
    .default(null)
    .describe(
      "Version of the script in S3. With it a changed script is a new template version, rolled like any change.",
    ),
  node_config_script_s3_sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable()
    .default(null)
    .describe("SHA-256 of the script in S3, in hexadecimal: a node refuses any other content."),
  configure_timeout_seconds: z
    .int()
    .min(1)
    .default(3_600)
    .describe("Longest time of configure_cluster_node, in seconds."),
  health_timeout_seconds: z
    .int()
    .min(1)
    .max(172_800)
    .default(14_400)
    .describe("Longest time of wait_for_healthy_cluster, in seconds; the launch hook is prolonged meanwhile."),
  on_boot_failure: z
    .enum(["hold", "abandon"])
    .default("hold")
    .describe(
      "What becomes of an instance whose boot failed: left for a person until its hook runs out, or ended at once.",
    ),
  wait_for_capacity_timeout: z
    .string()
    .regex(/^(0|(\d+(h|m|s))+)$/)
    .default("0")
    .describe("How long an apply waits for each new group's instance; by default it does not."),
  final_snapshot: z.boolean().default(false).describe("Whether a data volume that is destroyed leaves a snapshot."),
  kms_key_arns: z
    .array(kmsKeyArn())
    .default([])
    .describe("Keys that encrypt the data volumes, secrets or scripts, for the nodes' role."),
  rolling_update: rollingUpdate
    .default({ when: "none", options: [], from_nodes: false })
    .describe(
      'Whether an apply (`when = "apply"`) replaces the nodes whose launch template it changed, one at a time, and how; needs Node.js 20 or later where Terraform runs.',
    ),
  tags: tags.default({}).describe("Tags of every instance and group, beside the provider's default tags."),
  additional_data_volumes: volumesByName(additionalVolume).describe(
    "Further data volumes of every node by name, each with a device_name and a mount_path of its own.",
  ),
  root_volume_kms_key_arn: kmsKeyArn()
    .nullable()
    .default(null)
    .describe(
      "Key that encrypts the root volumes; the Auto Scaling service gets a grant for it. Without it, the account's default key for EBS.",
    ),
  snapshots: snapshots
    .nullable()
    .default(null)
    .describe(
      "Snapshots of every data volume by Data Lifecycle Manager; {} for one a day at 03:00 UTC of which 7 are kept.",
    ),
  alarms: alarms
    .nullable()
    .default(null)
    .describe(
      "Alarms of every node (out of service, boot failed, volume latency, burst balance) and who is told of them; none by default.",
    ),
  manage_launch_hook: z
    .boolean()
    .default(false)
    .describe(
      "Whether a change of asg_lifecycle_hook_heartbeat_timeout reaches groups that exist. Once true it stays true: false would delete the hook.",
    ),
});

export type ClusterInputs = z.output<typeof clusterInputs>;
