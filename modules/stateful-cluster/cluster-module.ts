import { TerraformHclModule, TerraformLocal, type TerraformResource, Token } from "cdktf";
import type { Construct } from "constructs";
import { hcl, PATH_MODULE, variableString } from "../publish/expressions";
import { AWS_PROVIDER, ModuleStack, NULL_PROVIDER } from "../publish/module-stack";
import { declareOutput, declareVariables } from "../publish/variables";
import type { RollTarget } from "../stateful-node/stateful-node";
import { EbsKeyGrant } from "../worker-access/ebs-key-grant";
import { BootAlarms } from "./boot-alarms";
import { ClusterAccess } from "./cluster-access";
import { QUORUM_CHECK, UNPINNED_SCRIPT_CHECK } from "./cluster-checks";
import { ADDITIONAL_VOLUME_KEYS, clusterInputs, DATA_DISK_KEYS } from "./cluster-inputs";
import { RollFromNodes } from "./roll-from-nodes";
import { RollTrigger } from "./roll-trigger";
import { SNAPSHOT_TAG, VolumeSnapshots } from "./volume-snapshots";

/** Constructs whose names in Terraform are promised and are not their ids. */
const ADDRESSES = {
  "aws_environment/partition": "current",
  "aws_environment/region": "current",
  "aws_environment/caller": "current",
  "Default/optional_statements": "optional_statements",
  "Default/node_policy_document": "node_policy",
  "roll/roll_instances": "roll_instances",
  "roll_from_nodes/role": "roller",
  "roll_from_nodes/role_policy": "roller",
  "roll_from_nodes/document": "roll",
  "key_grant/grant": "root_volume_key",
  "volume_snapshots/role": "snapshots",
  "volume_snapshots/role_policy": "snapshots",
  "volume_snapshots/policy": "snapshots",
  "boot_alarms/boot_failed/rule": "boot_failed",
  "boot_alarms/boot_failed/topic": "boot_failed",
  "boot_alarms/boot_failed/alarm": "boot_failed",
  "boot_alarms/launch_failed/rule": "launch_failed",
  "boot_alarms/launch_failed/topic": "launch_failed",
  "boot_alarms/launch_failed/alarm": "launch_failed",
};

const VALIDATIONS = {
  nodes: [
    {
      condition: "length(distinct([for n in var.nodes : n.node_id])) == length(var.nodes)",
      errorMessage: "Every node_id in nodes must be unique.",
    },
    {
      condition: "length(distinct([for n in var.nodes : n.node_ip])) == length(var.nodes)",
      errorMessage: "Every node_ip in nodes must be unique.",
    },
    {
      condition: `alltrue([for n in var.nodes : length(setsubtract(keys(n.node_data_disk), ${JSON.stringify(DATA_DISK_KEYS)})) == 0])`,
      errorMessage: `node_data_disk may have the keys ${DATA_DISK_KEYS.join(", ")}.`,
    },
    {
      condition:
        'alltrue([for n in var.nodes : contains(["ext4", "xfs"], lookup(n.node_data_disk, "file_system_type", "xfs"))])',
      errorMessage: "file_system_type in node_data_disk must be ext4 or xfs.",
    },
  ],
  node_secret_files: [
    {
      condition: "alltrue([for f in var.node_secret_files : (f.secret_arn == null) != (f.parameter_name == null)])",
      errorMessage: "Every file in node_secret_files must have one of secret_arn and parameter_name.",
    },
  ],
} as const;

/** Text stays text, since that is what compresses; what is no UTF-8 stays base64. */
const INLINE = (base64: string) =>
  `{ for kind, value in { text = try(base64decode(${base64}), null), base64 = can(base64decode(${base64})) ? null : ${base64} } : kind => value if value != null }`;

const FILES = `concat(
  [for f in flatten([for n in var.node_files : n.node_files_toupload if n.node_id == each.key]) : {
    path = f.destination
    user = coalesce(f.owner, "root")
    group = coalesce(f.group, "root")
    mode = coalesce(f.mode, "0644")
    content = ${INLINE("f.contents")}
  }],
  [for f in var.node_secret_files : {
    path = f.destination
    user = f.owner
    group = f.group
    mode = f.mode
    content = { for kind, value in { secret = f.secret_arn, parameter = f.parameter_name } : kind => value if value != null }
  } if f.node_id == null ? true : f.node_id == each.key]
)`;

const IN_S3 = "var.node_config_script_s3_url != null";
const SCRIPT = `{ for kind, value in {
  s3 = ${IN_S3} ? {
    bucket = split("/", trimprefix(var.node_config_script_s3_url, "s3://"))[0]
    key = join("/", slice(split("/", var.node_config_script_s3_url), 3, length(split("/", var.node_config_script_s3_url))))
    versionId = var.node_config_script_s3_version_id
    sha256 = var.node_config_script_s3_sha256
  } : null
  text = ${IN_S3} ? null : try(base64decode(var.node_config_script), null)
  base64 = ${IN_S3} || can(base64decode(var.node_config_script)) ? null : var.node_config_script
} : kind => value if value != null }`;

/** The roller's bundle, in the module's directory. */
export const ROLLER = "holdfast-roll.mjs";

/** The same for a node, in the module's directory. */
export const ROLLER_ON_NODE = "holdfast-roll-on-node.mjs";

const ROLL_OPTIONS = `concat(
  ["--launch-timeout", "\${var.asg_inservice_timeout_in_mins}m"],
  var.rolling_update.role_arn == null ? [] : ["--role-arn", var.rolling_update.role_arn],
  var.rolling_update.options,
)`;

/** The further volumes of each node: those of every node with what is different about this one, and its own. */
const ADDITIONAL_VOLUMES = `{ for n in var.nodes : n.node_id => {
  for name in setunion(keys(var.additional_data_volumes), keys(n.additional_data_volumes)) : name => {
    for key in ${JSON.stringify(ADDITIONAL_VOLUME_KEYS)} : key => (
      try(n.additional_data_volumes[name][key], null) != null
      ? try(n.additional_data_volumes[name][key], null)
      : try(var.additional_data_volumes[name][key], null)
    )
  }
} }`;

const VOLUME_NAMES = `flatten([for id, volumes in local.volumes_by_node : concat(
  ["\${var.app_name}-data-\${id}"],
  [for name in keys(volumes) : "\${var.app_name}-data-\${id}-\${name}"]
)])`;

/** Those of the volumes, and what the caller adds. */
const KMS_KEYS = `distinct(compact(concat(
  var.kms_key_arns,
  [var.default_data_volume.kms_key_arn],
  [for n in var.nodes : lookup(n.node_data_disk, "kms_key_arn", null)],
  flatten([for volumes in values(local.volumes_by_node) : [for v in values(volumes) : v.kms_key_arn]])
)))`;

/** The tags of a volume, with the one by which snapshots are taken if they are. */
const markedTags = (volume: string) =>
  `merge(${volume}.tags, { for key, value in { "${SNAPSHOT_TAG}" = var.app_name } : key => value if var.snapshots != null })`;

/** The module of a whole cluster: what its nodes share, and one nested module per node under its node_id. */
export function clusterModule(scope: Construct, id: string): ModuleStack {
  const stack = new ModuleStack(scope, id, { providers: [AWS_PROVIDER, NULL_PROVIDER], addresses: ADDRESSES });
  const variables = declareVariables(stack, clusterInputs, { validations: VALIDATIONS });
  new TerraformLocal(stack, "node_by_id", hcl("{ for n in var.nodes : n.node_id => n }"));
  new TerraformLocal(stack, "volumes_by_node", hcl(ADDITIONAL_VOLUMES));

  const groupNames = hcl('[for n in var.nodes : "${var.app_name}-node-${n.node_id}"]');
  const access = new ClusterAccess(stack, "Default", {
    clusterName: variableString(variables.app_name),
    volumeNames: Token.asList(hcl(VOLUME_NAMES)),
    groupNames: Token.asList(groupNames),
    objectArns: Token.asList(
      hcl(
        `${IN_S3} ? ["arn:\${data.aws_partition.current.partition}:s3:::\${trimprefix(var.node_config_script_s3_url, "s3://")}"] : []`,
      ),
    ),
    secretArns: Token.asList(
      hcl(
        `[for f in var.node_secret_files : f.secret_arn != null ? f.secret_arn : "arn:\${data.aws_partition.current.partition}:ssm:\${data.aws_region.current.id}:\${data.aws_caller_identity.current.account_id}:parameter/\${trimprefix(f.parameter_name, "/")}"]`,
      ),
    ),
    kmsKeyArns: Token.asList(hcl(KMS_KEYS)),
  });
  const grant = new EbsKeyGrant(stack, "key_grant", {
    name: variableString(variables.app_name),
    kmsKeyArn: variableString(variables.root_volume_kms_key_arn),
  });
  for (const resource of grant.node.children as TerraformResource[]) {
    resource.addOverride("count", hcl("var.root_volume_kms_key_arn == null ? 0 : 1"));
  }
  new VolumeSnapshots(stack, "volume_snapshots", {
    clusterName: variableString(variables.app_name),
    everyHours: Token.asNumber(hcl("try(var.snapshots.every_hours, null)")),
    startAt: Token.asString(hcl("try(var.snapshots.start_at, null)")),
    keep: Token.asNumber(hcl("try(var.snapshots.keep, null)")),
    enabled: "var.snapshots != null",
  });
  new BootAlarms(stack, "boot_alarms", {
    clusterName: variableString(variables.app_name),
    topicArns: Token.asList(hcl("var.alarms == null ? [] : var.alarms.topic_arns")),
    enabled: "var.alarms != null",
  });

  const nodes = new TerraformHclModule(stack, "cluster_nodes", {
    source: "./modules/node-module",
    skipAssetCreationFromLocalModules: true,
    variables: {
      app_name: hcl("var.app_name"),
      node_id: hcl("each.key"),
      node_ip: hcl("each.value.node_ip"),
      node_subnet_id: hcl("each.value.node_subnet_id"),
      node_image: hcl("coalesce(each.value.node_image, var.node_image)"),
      node_key_name: hcl("var.node_key_name"),
      instance_type: hcl("coalesce(each.value.instance_type, var.instance_type)"),
      security_groups: hcl("var.security_groups"),
      instance_profile_name: access.instanceProfileName,
      data_volume: hcl(
        `merge(var.default_data_volume, each.value.node_data_disk, { tags = ${markedTags("var.default_data_volume")} })`,
      ),
      additional_data_volumes: hcl(
        `{ for name, v in local.volumes_by_node[each.key] : name => merge(v, { tags = ${markedTags("v")} }) }`,
      ),
      root_volume: hcl("var.root_volume"),
      root_volume_kms_key_arn: hcl("var.root_volume_kms_key_arn"),
      files: hcl(FILES),
      script: hcl(SCRIPT),
      launch_hook_timeout_seconds: hcl("var.asg_lifecycle_hook_heartbeat_timeout"),
      volumes_timeout_seconds: hcl("var.command_timeout_seconds"),
      configure_timeout_seconds: hcl("var.configure_timeout_seconds"),
      health_timeout_seconds: hcl("var.health_timeout_seconds"),
      on_boot_failure: hcl("var.on_boot_failure"),
      metadata_hop_limit: hcl("var.http_put_response_hop_limit"),
      tags: hcl("merge(var.tags, each.value.tags)"),
      wait_for_capacity_timeout: hcl("var.wait_for_capacity_timeout"),
      final_snapshot: hcl("var.final_snapshot"),
      manage_launch_hook: hcl("var.manage_launch_hook"),
      alarms: hcl("var.alarms"),
    },
  });
  nodes.addOverride("for_each", hcl("local.node_by_id"));
  stack.addOverride("check", { ...QUORUM_CHECK, ...UNPINNED_SCRIPT_CHECK });
  const trigger = new RollTrigger(stack, "roll", {
    clusterName: variableString(variables.app_name),
    nodes: hcl("[for n in module.cluster_nodes : n.roll_target]") as unknown as RollTarget[],
    program: `${PATH_MODULE}/${ROLLER}`,
    options: Token.asList(hcl(ROLL_OPTIONS)),
  });
  trigger.resource.addOverride("count", hcl('var.rolling_update.when == "apply" ? 1 : 0'));

  new RollFromNodes(stack, "roll_from_nodes", {
    clusterName: variableString(variables.app_name),
    manifest: trigger.manifest,
    program: Token.asString(hcl(`trimspace(file("\${path.module}/${ROLLER_ON_NODE}"))`)),
    nodeRoleArn: access.roleArn,
    enabled: "var.rolling_update.from_nodes",
  });

  declareOutput(stack, "node_iam_role_name", {
    description: "Name of the nodes' role, for further policies.",
    value: access.roleName,
  });
  declareOutput(stack, "asg_names", {
    description: "Names of the nodes' Auto Scaling groups.",
    value: hcl("[for n in module.cluster_nodes : n.asg_name]"),
  });
  declareOutput(stack, "roll_manifest", {
    description: "What `holdfast roll --cluster FILE` reads: `terraform output -raw roll_manifest > FILE`.",
    value: trigger.manifest,
  });
  declareOutput(stack, "node_id_to_node_userdata_script_map", {
    description: "What each node's user data says: here a plan shows which node changes, and how.",
    value: hcl("{ for id, n in module.cluster_nodes : id => n.node_userdata_script }"),
  });
  return stack;
}
