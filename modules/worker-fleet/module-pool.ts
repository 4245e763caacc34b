import { autoscalingGroupMixedInstancesPolicyToTerraform } from "@cdktf/provider-aws/lib/autoscaling-group";
import { AutoscalingSchedule } from "@cdktf/provider-aws/lib/autoscaling-schedule";
import type { IamPolicy } from "@cdktf/provider-aws/lib/iam-policy";
import { type TerraformElement, TerraformLocal, Token } from "cdktf";
import type { Construct, IConstruct } from "constructs";
import { AwsEnvironment } from "../iam/aws-environment";
import { SCALE_IN_PERIOD_SECONDS } from "../pool-scaling/scale-in";
import { addDynamicBlock } from "../publish/dynamic-block";
import { hcl, hclLiteral } from "../publish/expressions";
import { ModuleStack } from "../publish/module-stack";
import { terraformType } from "../publish/terraform-type";
import { declareOutput, declareVariable } from "../publish/variables";
import { GROUP_METRICS } from "../worker-observability/aws-metrics";
import type { FleetContext } from "./fleet-context";
import { UNCHANGED_SIZE } from "./group-schedules";
import { moduleFleetKeys, modulePoolKeys } from "./module-inputs";
import { NO_QUEUE, overrideQueuePolicy, QUEUE } from "./module-queue";
import type { PoolConfig } from "./pool-keys";
import { poolOutputs } from "./pool-outputs";
import { WARM_POOL_METRICS } from "./worker-group";
import { WorkerPool } from "./worker-pool";
import { workerSlotsHcl } from "./worker-slots";

const text = (expression: string): string => Token.asString(hcl(expression));
const number = (expression: string): number => Token.asNumber(hcl(expression));
/** Never to be looked into here. */
const any = <T>(expression: string): T => hcl(expression) as unknown as T;
const list = (expression: string): string[] => Token.asList(hcl(expression));

/** Names that the module promises, by construct path. */
const ADDRESSES = {
  "aws_environment/region": "current",
  "aws_environment/partition": "current",
  "aws_environment/caller": "current",
  "Default/instances/ami_x86_64": "ami",
  "Default/instances/template/template": "worker",
  "Default/instances/group/group": "workers",
  "Default/instances/group/launch_hook": "launch",
  "Default/instances/group/terminate_hook": "terminate",
  "Default/role/role": "worker",
  "Default/role/policy": "worker",
  "Default/role/policy_attachment": "worker",
  "Default/role/instance_profile": "worker",
};

/** Where the jobs of a pool come from: its alarms, its dashboard and its role differ by that, so each has a module of its own. */
type JobSource = PoolConfig["backlog"]["source"];

/**
 * One pool of a published fleet: the construct of the stacks, whose values are variables here. What depends on the number of
 * instance types, on Spot and on optional settings is decided by Terraform.
 */
export const poolModule = (source: JobSource) => (scope: Construct, id: string) => pool(source, scope, id);

function pool(source: JobSource, scope: Construct, id: string): ModuleStack {
  const stack = new ModuleStack(scope, id, { addresses: ADDRESSES });
  declareVariable(stack, "name", { type: "string", description: "Name of the pool, unique in its fleet." });
  declareVariable(stack, "pool", { type: terraformType(modulePoolKeys), description: "Settings of the pool." });
  declareVariable(stack, "fleet", {
    type: terraformType(moduleFleetKeys),
    description: "What the fleet's pools share.",
  });
  declareVariable(stack, "security_group_id", { type: "string", description: "Security group of the workers." });
  declareVariable(stack, "log_groups", {
    type: "object({ agent = string, jobs = string, system = string })",
    description: "Names of the workers' log groups.",
  });

  declareVariable(stack, "boots_after", {
    type: "list(string)",
    description: "Ids of what has to be there before the first instance boots.",
  });

  new TerraformLocal(stack, "slots", hcl(workerSlotsHcl("var.pool")));

  const { region } = AwsEnvironment.of(stack);
  const pool = new WorkerPool(stack, "Default", {
    fleet: fleetContext(region),
    name: text("var.name"),
    settings: settings(source),
  });
  overrideTemplate(pool);
  overrideGroup(pool);
  overrideInstances(pool);
  overrideWarmPool(pool);
  overrideScaleIn(pool);
  overrideTracking(pool);
  declareSchedules(stack, pool);
  overrideRole(pool);
  if (source === "sqs") overrideQueuePolicy(stack, element(pool, "role/policy") as IamPolicy);
  const { launch_templates: _templates, ...outputs } = poolOutputs(pool, region);
  for (const [name, value] of Object.entries(outputs)) {
    declareOutput(stack, name, { value, description: `The pool's ${name.replaceAll("_", " ")}.` });
  }
  const { templateId, latestVersion } = templateOf(pool);
  declareOutput(stack, "launch_template", {
    value: { id: templateId, version: latestVersion },
    description: "The pool's launch template.",
  });
  return stack;
}

function templateOf(pool: WorkerPool) {
  const [template] = pool.instances.templates.values();
  if (template === undefined) {
    throw new Error(`${pool.node.path} has no launch template`);
  }
  return template;
}

function fleetContext(region: string): FleetContext {
  return {
    deployment: text("var.fleet.deployment"),
    region,
    subnetIds: list("var.fleet.subnet_ids"),
    securityGroupId: text("var.security_group_id"),
    logGroups: {
      agent: text("var.log_groups.agent"),
      jobs: text("var.log_groups.jobs"),
      system: text("var.log_groups.system"),
    },
    bootsAfter: [],
    tags: {},
    settings: {
      product: text("var.fleet.product"),
      control_plane: {
        url: text("var.fleet.control_plane_url"),
        token: {
          secrets_manager_arn: text("var.fleet.token_secret_arn"),
          ssm_parameter_arn: text('var.fleet.token_parameter_arn == null ? "" : var.fleet.token_parameter_arn'),
        },
      },
      upgrade: {
        release_key: text("try(var.fleet.upgrade.release_key, null)"),
        gate_seconds: number("try(var.fleet.upgrade.gate_seconds, null)"),
      },
      agent_release: {
        bucket: text("coalesce(var.fleet.agent_release.bucket, var.fleet.daemon_release.bucket)"),
        region: text("coalesce(var.fleet.agent_release.region, var.fleet.daemon_release.region)"),
        key_prefix: text("var.fleet.agent_release.key_prefix"),
      },
      daemon_release: {
        version: text("var.fleet.daemon_release.version"),
        bucket: text("var.fleet.daemon_release.bucket"),
        region: text("var.fleet.daemon_release.region"),
        key_prefix: text("var.fleet.daemon_release.key_prefix"),
        sha256: {
          x86_64: text("var.fleet.daemon_release.sha256.x86_64"),
          arm64: text("var.fleet.daemon_release.sha256.arm64"),
        },
      },
      iam: { path: text("var.fleet.iam.path"), additional_statements: [] },
      encryption: { volume_kms_key_arn: text("var.fleet.encryption.volume_kms_key_arn") },
      logs: { retention_days: 30, infrequent_access: false },
      alarm_topic_arns: list("var.fleet.alarm_topic_arns"),
      unsafe: {
        imdsv1: false,
        imds_hop_limit: number("var.fleet.unsafe.imds_hop_limit"),
        unencrypted_root_volume: false,
      },
    },
  };
}

/** The pool's settings as Terraform knows them; what stands for a choice is overridden below. */
function settings(source: JobSource): PoolConfig {
  const deadline = "var.pool.drain.deadline_seconds";
  return {
    instance_types: ["m6i.large"],
    size: { min: number("var.pool.size.min"), max: number("var.pool.size.max") },
    slots: number("local.slots"),
    labels: any<PoolConfig["labels"]>("var.pool.labels"),
    boot_hooks: {},
    drain: {
      mode: text("var.pool.drain.mode") as PoolConfig["drain"]["mode"],
      deadline_seconds: number(deadline),
      retain_on_failure: any<boolean>("var.pool.drain.retain_on_failure"),
    },
    backlog: source === "sqs" ? QUEUE : NO_QUEUE,
    max_job_age_seconds: number("var.pool.max_job_age_seconds"),
    scale_out: {
      evaluation_minutes: number("var.pool.scale_out.evaluation_minutes"),
      minutes_to_alarm: number("var.pool.scale_out.minutes_to_alarm"),
      warmup_seconds: number("var.pool.scale_out.warmup_seconds"),
    },
    scale_in: {
      enabled: true,
      cpu_below_percent: number("var.pool.scale_in.cpu_below_percent"),
      headroom_slots: number("coalesce(var.pool.scale_in.headroom_slots, 0.2 * local.slots)"),
      quiet_minutes: SCALE_IN_PERIOD_SECONDS / 60,
      cooldown_seconds: number("var.pool.scale_in.cooldown_seconds"),
    },
    target_slot_usage_percent: number("var.pool.target_slot_usage_percent"),
    spot: {
      on_demand_base: number("var.pool.spot == null ? 0 : var.pool.spot.on_demand_base"),
      on_demand_percent: number("var.pool.spot == null ? 100 : var.pool.spot.on_demand_percent"),
    },
    root_volume: {
      size_gib: number("var.pool.root_volume.size_gib"),
      device_name: text("var.pool.root_volume.device_name"),
      iops: number("var.pool.root_volume.iops"),
      throughput_mibps: number("var.pool.root_volume.throughput_mibps"),
    },
    detailed_monitoring: any<boolean>("var.pool.detailed_monitoring"),
    hooks: {
      launch_timeout_seconds: number("var.pool.hooks.launch_timeout_seconds"),
      terminate_timeout_seconds: number(
        `coalesce(var.pool.hooks.terminate_timeout_seconds, max(300, ceil(${deadline} / 100)))`,
      ),
    },
    instance_refresh: {
      min_healthy_percent: number("var.pool.instance_refresh.min_healthy_percent"),
      max_healthy_percent: number("var.pool.instance_refresh.max_healthy_percent"),
      warmup_seconds: number("var.pool.instance_refresh.warmup_seconds"),
      checkpoint_percents: [],
      checkpoint_delay_seconds: number("var.pool.instance_refresh.checkpoint_delay_seconds"),
    },
    maintenance: {
      min_healthy_percent: number("var.pool.maintenance.min_healthy_percent"),
      max_healthy_percent: number("var.pool.maintenance.max_healthy_percent"),
    },
    health_check_grace_seconds: number("var.pool.health_check_grace_seconds"),
    warmup_seconds: number("var.pool.warmup_seconds"),
    capacity_timeout_seconds: number("var.pool.capacity_timeout_seconds"),
    schedules: {},
    tags: {},
  };
}

const TAGS =
  '{ Name = "${var.fleet.product}-${var.fleet.deployment}-${var.name}", Deployment = var.fleet.deployment, Pool = var.name }';
const ALL_TAGS = `merge(var.fleet.tags, var.pool.tags, ${TAGS})`;

function overrideTemplate(pool: WorkerPool): void {
  element(pool, "instances/ami_x86_64").addOverride(
    "name",
    hcl(
      'coalesce(var.pool.image_parameter, "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${var.pool.architecture}")',
    ),
  );
  const template = templateOf(pool).resource;
  template.addOverride("image_id", hcl("coalesce(var.pool.image_id, data.aws_ssm_parameter.ami.insecure_value)"));
  template.addOverride("instance_type", hcl("var.pool.instance_types[0]"));
  template.addOverride("key_name", hcl("var.fleet.ssh == null ? null : var.fleet.ssh.key_name"));
  template.addOverride("metadata_options.http_tokens", hcl('var.fleet.unsafe.imdsv1 ? "optional" : "required"'));
  template.addOverride("tags", hcl(ALL_TAGS));
  template.addOverride("tag_specifications", undefined);
  template.addOverride("dynamic.tag_specifications", {
    for_each: ["volume", "network-interface"],
    content: { resource_type: "${tag_specifications.value}", tags: hcl(ALL_TAGS) },
  });
  template.addOverride("block_device_mappings", undefined);
  template.addOverride("dynamic.block_device_mappings", {
    for_each: [hcl("var.pool.root_volume")],
    content: {
      device_name: "${block_device_mappings.value.device_name}",
      ebs: {
        volume_type: "gp3",
        volume_size: "${block_device_mappings.value.size_gib}",
        iops: "${block_device_mappings.value.iops}",
        throughput: "${block_device_mappings.value.throughput_mibps}",
        delete_on_termination: "true",
        encrypted: hcl('var.fleet.unsafe.unencrypted_root_volume ? "false" : "true"'),
        kms_key_id: hcl("var.fleet.encryption.volume_kms_key_arn"),
      },
    },
  });
}

function overrideGroup(pool: WorkerPool): void {
  const group = pool.instances.group.resource;
  group.addOverride("depends_on", ["var.boots_after"]);
  group.addOverride("desired_capacity", hcl("var.pool.size.initial"));
  group.addOverride("capacity_rebalance", hcl("var.pool.spot != null"));
  group.addOverride("suspended_processes", hcl('var.pool.drain.mode == "finish" ? ["AZRebalance"] : []'));
  group.addOverride(
    "max_instance_lifetime",
    hcl("var.pool.max_lifetime_days == null ? null : var.pool.max_lifetime_days * 86400"),
  );
  group.addOverride("tag", undefined);
  group.addOverride("dynamic.tag", {
    for_each: hcl(ALL_TAGS),
    content: { key: "${tag.key}", value: "${tag.value}", propagate_at_launch: true },
  });
  const checkpoints = "var.pool.instance_refresh.checkpoint_percents";
  group.addOverride(
    "instance_refresh.preferences.checkpoint_percentages",
    hcl(`length(${checkpoints}) == 0 ? null : ${checkpoints}`),
  );
  group.addOverride(
    "instance_refresh.preferences.checkpoint_delay",
    hcl(`length(${checkpoints}) == 0 ? null : var.pool.instance_refresh.checkpoint_delay_seconds`),
  );
}

/** AWS refuses a warm pool beside a mixed instances policy: such a pool has the one type of its template. */
function overrideInstances(pool: WorkerPool): void {
  const group = pool.instances.group.resource;
  const { launch_template, ...policy } = autoscalingGroupMixedInstancesPolicyToTerraform(
    group.mixedInstancesPolicyInput,
  );
  group.addOverride("mixed_instances_policy", undefined);
  addDynamicBlock(group, {
    block: "mixed_instances_policy",
    forEach: hcl("var.pool.warm_pool == null ? [var.pool.instance_types] : []"),
    content: {
      ...policy,
      launch_template: {
        launch_template_specification: launch_template.launch_template_specification,
        dynamic: {
          override: { for_each: hcl("mixed_instances_policy.value"), content: { instance_type: "${override.value}" } },
        },
      },
    },
  });
  const { templateId, latestVersion } = templateOf(pool);
  addDynamicBlock(group, {
    block: "launch_template",
    forEach: hcl("var.pool.warm_pool == null ? [] : [var.pool.warm_pool]"),
    content: { id: templateId, version: latestVersion },
  });
}

function overrideWarmPool(pool: WorkerPool): void {
  const group = pool.instances.group.resource;
  addDynamicBlock(group, {
    block: "warm_pool",
    forEach: hcl("var.pool.warm_pool == null ? [] : [var.pool.warm_pool]"),
    content: {
      min_size: "${warm_pool.value.min_size}",
      max_group_prepared_capacity: "${warm_pool.value.max_prepared}",
      pool_state: "${warm_pool.value.state}",
      instance_reuse_policy: { reuse_on_scale_in: "${warm_pool.value.reuse_on_scale_in}" },
    },
  });
  addDynamicBlock(templateOf(pool).resource, {
    block: "hibernation_options",
    forEach: hcl('try(var.pool.warm_pool.state, null) == "Hibernated" ? [true] : []'),
    content: { configured: true },
  });
  const metrics = [hclLiteral(GROUP_METRICS), `var.pool.warm_pool == null ? [] : ${hclLiteral(WARM_POOL_METRICS)}`];
  group.addOverride("enabled_metrics", hcl(`concat(${metrics.join(", ")})`));
}

/** Where scale-in is off, its alarm still shows what could leave, and nothing does. */
function overrideScaleIn(pool: WorkerPool): void {
  const alarm = element(pool, "scaling/scale_in_alarm");
  const periods = hcl(`var.pool.scale_in.quiet_minutes * 60 / ${SCALE_IN_PERIOD_SECONDS}`);
  alarm.addOverride("actions_enabled", hcl("var.pool.scale_in.enabled"));
  alarm.addOverride("evaluation_periods", periods);
  alarm.addOverride("datapoints_to_alarm", periods);
}

function overrideTracking(pool: WorkerPool): void {
  const wanted = "var.pool.target_slot_usage_percent == null ? 0 : 1";
  element(pool, "scaling/track_slots").addOverride("count", hcl(wanted));
}

/** One schedule stands for all: Terraform repeats it for every entry of `var.pool.schedules`. */
function declareSchedules(stack: ModuleStack, pool: WorkerPool): void {
  const size = (key: string) => number(`coalesce(each.value.${key}, ${UNCHANGED_SIZE})`);
  const schedule = new AutoscalingSchedule(stack, "schedules", {
    scheduledActionName: text("each.key"),
    autoscalingGroupName: pool.instances.group.groupName,
    recurrence: text("each.value.cron"),
    timeZone: text("each.value.time_zone"),
    minSize: size("min"),
    maxSize: size("max"),
    desiredCapacity: size("desired"),
  });
  schedule.addOverride("for_each", hcl("var.pool.schedules"));
}

function overrideRole(pool: WorkerPool): void {
  const boundary = "var.fleet.iam.permissions_boundary_arn";
  element(pool, "role/role").addOverride(
    "permissions_boundary",
    hcl(`${boundary} == null ? aws_iam_policy.worker.arn : ${boundary}`),
  );
  for (const path of ["role/role", "role/policy", "role/instance_profile"]) {
    element(pool, path).addOverride("tags", hcl(ALL_TAGS));
  }
}

function element(pool: WorkerPool, path: string): TerraformElement {
  const found = path.split("/").reduce<IConstruct>((construct, id) => construct.node.findChild(id), pool);
  return found as TerraformElement;
}
