import { Token } from "cdktf";
import type { Construct } from "constructs";
import {
  hcl,
  variableBoolean,
  variableList,
  variableNumber,
  variableString,
  variableValue,
} from "../publish/expressions";
import { ModuleStack } from "../publish/module-stack";
import { declareOutput, declareVariable } from "../publish/variables";
import { jsonTemplate } from "../user-data/json-text";
import type { DataFormat, NodeScriptProps } from "./node-props";
import { StatefulNode } from "./stateful-node";

/** The merged data volume of one node: every key has a value or null. */
export const DATA_VOLUME_TYPE = `object({
  device_name = string, size_in_gibs = number, type = string, iops = optional(number), throughput_mib_per_sec = optional(number),
  mount_path = string, file_system_type = string, mount_params = optional(list(string), []),
  mount_path_owner_user = string, mount_path_owner_group = string, tags = optional(map(string), {}), kms_key_arn = optional(string)
})`.replace(/\s+/g, " ");

const ALARMS_TYPE =
  "object({ topic_arns = list(string), below_capacity_minutes = number, burst_balance_percent = number, volume_latency_ms = number })";

export const ROOT_VOLUME_TYPE = "object({ device_name = string, size_in_gibs = number, type = string })";

/** Every variable of the nested module; the root gives all of them. */
const VARIABLES = {
  app_name: ["string", "Name of the cluster."],
  node_id: ["string", "Identity of the node in its cluster."],
  node_ip: ["string", "Fixed private address of the node."],
  node_subnet_id: ["string", "Subnet of the node."],
  node_image: ["string", "AMI of the node."],
  node_key_name: ["string", "Key pair; null for none."],
  instance_type: ["string", "Instance type of the node."],
  security_groups: ["list(string)", "Security groups of the node's interface."],
  instance_profile_name: ["string", "Instance profile of the cluster."],
  data_volume: [DATA_VOLUME_TYPE, "The node's data volume."],
  additional_data_volumes: [`map(${DATA_VOLUME_TYPE})`, "Further data volumes of the node, by name."],
  root_volume_kms_key_arn: ["string", "Key of the root volume; null for the account's."],
  root_volume: [ROOT_VOLUME_TYPE, "The instance's root volume."],
  files: ["any", "Files that the agent places, as it takes them."],
  script: ["any", "Where the node config script comes from, as the agent takes it."],
  launch_hook_timeout_seconds: ["number", "Heartbeat timeout of the launch hook."],
  volumes_timeout_seconds: [
    "number",
    "Longest time to get the volumes, and to make and mount their filesystems, each.",
  ],
  configure_timeout_seconds: ["number", "Longest time of configure_cluster_node."],
  health_timeout_seconds: ["number", "Longest time of wait_for_healthy_cluster."],
  on_boot_failure: ["string", "hold or abandon."],
  metadata_hop_limit: ["number", "Network hops that an answer of the metadata service survives."],
  tags: ["map(string)", "Tags of instance and group."],
  wait_for_capacity_timeout: ["string", "How long an apply waits for the first instance."],
  final_snapshot: ["bool", "Whether a destroyed data volume leaves a snapshot."],
  manage_launch_hook: ["bool", "Whether the launch hook is a resource of its own."],
  alarms: [ALARMS_TYPE, "Thresholds and topics; null for no alarms."],
} as const satisfies Readonly<Record<string, readonly [type: string, description: string]>>;

const NULLABLE = ["node_key_name", "root_volume_kms_key_arn", "alarms"];

/** From the words of the input to those of the construct. */
const ADDITIONAL_VOLUMES = `{ for name, v in var.additional_data_volumes : name => {
  deviceName = v.device_name
  sizeGiB = v.size_in_gibs
  type = v.type
  iops = v.iops
  throughput = v.throughput_mib_per_sec
  kmsKeyArn = v.kms_key_arn
  mountPath = v.mount_path
  format = v.file_system_type
  mountOptions = v.mount_params
  ownerUser = v.mount_path_owner_user
  ownerGroup = v.mount_path_owner_group
  tags = v.tags
} }`;

/** Constructs whose names in Terraform are promised and are not their ids. */
const ADDRESSES = {
  "Default/default_tags": "current",
  "Default/alarms/below_capacity": "below_capacity",
  "Default/alarms/volume_latency": "volume_latency",
  "Default/alarms/volume_burst_balance": "volume_burst_balance",
};

/** The module of one node, which the cluster's module calls for each of its nodes. */
export function nodeModule(scope: Construct, id: string): ModuleStack {
  const stack = new ModuleStack(scope, id, { addresses: ADDRESSES });
  const variables = Object.fromEntries(
    Object.entries(VARIABLES).map(([name, [type, description]]) => [
      name,
      declareVariable(stack, name, {
        type,
        description,
        ...(NULLABLE.includes(name) ? { nullable: true } : {}),
        ...(name === "script"
          ? {
              validations: [
                {
                  condition: "length(keys(var.script)) > 0",
                  errorMessage: "One of node_config_script and node_config_script_s3_url must be given.",
                },
              ],
            }
          : {}),
      }),
    ]),
  ) as unknown as Readonly<Record<keyof typeof VARIABLES, ReturnType<typeof declareVariable>>>;
  const text = (name: keyof typeof VARIABLES, ...path: string[]) => variableString(variables[name], ...path);
  const number = (name: keyof typeof VARIABLES, ...path: string[]) => variableNumber(variables[name], ...path);
  const volume = variables.data_volume;

  const node = new StatefulNode(stack, "Default", {
    clusterName: text("app_name"),
    nodeId: text("node_id"),
    nodeIp: text("node_ip"),
    subnetId: text("node_subnet_id"),
    imageId: text("node_image"),
    instanceType: text("instance_type"),
    keyName: text("node_key_name"),
    securityGroupIds: variableList(variables.security_groups),
    instanceProfileName: text("instance_profile_name"),
    dataVolume: {
      deviceName: text("data_volume", "device_name"),
      sizeGiB: number("data_volume", "size_in_gibs"),
      type: text("data_volume", "type"),
      iops: number("data_volume", "iops"),
      throughput: number("data_volume", "throughput_mib_per_sec"),
      kmsKeyArn: text("data_volume", "kms_key_arn"),
      mountPath: text("data_volume", "mount_path"),
      format: text("data_volume", "file_system_type") as DataFormat,
      mountOptions: variableList(volume, "mount_params"),
      ownerUser: text("data_volume", "mount_path_owner_user"),
      ownerGroup: text("data_volume", "mount_path_owner_group"),
      tags: Token.asStringMap(variableValue(volume, "tags")),
    },
    additionalVolumes: hcl(ADDITIONAL_VOLUMES),
    rootVolume: {
      deviceName: text("root_volume", "device_name"),
      sizeGiB: number("root_volume", "size_in_gibs"),
      type: text("root_volume", "type"),
      kmsKeyArn: text("root_volume_kms_key_arn"),
    },
    files: variableValue(variables.files),
    script: variableValue(variables.script) as unknown as NodeScriptProps,
    launchHookTimeoutSeconds: number("launch_hook_timeout_seconds"),
    deadlines: {
      volumesSeconds: number("volumes_timeout_seconds"),
      configureSeconds: number("configure_timeout_seconds"),
      healthSeconds: number("health_timeout_seconds"),
    },
    onBootFailure: text("on_boot_failure") as "hold",
    metadataHopLimit: number("metadata_hop_limit"),
    tags: Token.asStringMap(variableValue(variables.tags)),
    waitForCapacity: text("wait_for_capacity_timeout"),
    finalSnapshot: variableValue(variables.final_snapshot) as unknown as boolean,
    manageLaunchHook: variableBoolean(variables.manage_launch_hook),
    alarms: {
      topicArns: Token.asList(hcl("var.alarms == null ? [] : var.alarms.topic_arns")),
      belowCapacityMinutes: Token.asNumber(hcl("try(var.alarms.below_capacity_minutes, null)")),
      burstBalancePercent: Token.asNumber(hcl("try(var.alarms.burst_balance_percent, null)")),
      volumeLatencyMs: Token.asNumber(hcl("try(var.alarms.volume_latency_ms, null)")),
      enabled: "var.alarms != null",
    },
    // A module's caller cannot choose it, and with it no node could ever be removed.
    preventDestroy: false,
  });

  declareOutput(stack, "asg_name", { description: "Name of the node's group.", value: node.groupName });
  declareOutput(stack, "launch_template", {
    description: "Id and newest version of the node's launch template.",
    value: { id: node.launchTemplateId, version: node.launchTemplateVersion },
  });
  declareOutput(stack, "data_volume_id", { description: "Id of the data volume.", value: node.dataVolumeId });
  declareOutput(stack, "roll_target", {
    description: "The node as the rolling update knows it.",
    value: node.rollTarget,
  });
  declareOutput(stack, "node_userdata_script", {
    description: "What the node's user data says, as the agent reads it.",
    value: jsonTemplate(node.configuration),
  });
  return stack;
}
