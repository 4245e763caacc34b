import { AutoscalingGroup, type AutoscalingGroupTag } from "@cdktf/provider-aws/lib/autoscaling-group";
import { AutoscalingLifecycleHook } from "@cdktf/provider-aws/lib/autoscaling-lifecycle-hook";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import { GROUP_METRICS } from "../worker-observability/aws-metrics";
import { compact } from "./compact";
import { GroupSchedules, type ScheduledSize } from "./group-schedules";
import { type InstanceMix, instanceSelection } from "./instance-mix";
import { instanceRefresh, type RefreshProps } from "./instance-refresh";
import type { LifecycleHook, LifecycleHooks } from "./lifecycle-hooks";
import { type PoolSize, requireSize } from "./pool-size";

/** How a worker leaves: it hands its jobs over and goes, or it finishes them first. */
export type DrainMode = "handoff" | "finish";

export interface WorkerGroupProps {
  /** Name of the group in AWS; may be a token. */
  readonly name: string;
  readonly size: PoolSize;
  /** May hold tokens. */
  readonly subnetIds: string[];
  readonly instances: InstanceMix;
  readonly hooks: LifecycleHooks;
  /**
   * How a change of the launch template reaches the instances.
   * @default - see {@link RefreshProps}
   */
  readonly refresh?: RefreshProps;
  /** Names of the CloudWatch alarms that fail a refresh and roll it back; at least one. May be tokens. */
  readonly rollbackAlarmNames: readonly string[];
  /** In `finish` mode the group never terminates a worker to even out availability zones. */
  readonly drainMode: DrainMode;
  /**
   * Bounds in which instances are replaced for other reasons than a refresh, in percent of the desired capacity.
   * @default - 100 to 110: a replacement is in service before its predecessor goes
   */
  readonly maintenance?: { readonly minHealthyPercent: number; readonly maxHealthyPercent: number };
  /**
   * Seconds after entering service in which failed EC2 status checks do not count.
   * @default 60
   */
  readonly healthCheckGraceSeconds?: number;
  /**
   * Seconds until the metrics of a new instance count for scaling.
   * @default 120
   */
  readonly warmupSeconds?: number;
  /**
   * Seconds after which an instance is replaced, however healthy.
   * @default - never
   */
  readonly maxInstanceLifetimeSeconds?: number;
  /**
   * Instances prepared in advance, beside the group.
   * @default - none
   */
  readonly warmPool?: WarmPoolProps;
  /**
   * Sizes by time of day.
   * @default - none
   */
  readonly schedules?: Readonly<Record<string, ScheduledSize>>;
  /**
   * How long Terraform waits for the least number of workers to be in service; 0 does not wait.
   * @default 900
   */
  readonly capacityTimeoutSeconds?: number;
  /**
   * What has to be there before the first instance boots.
   * @default - what the instances refer to
   */
  readonly bootsAfter?: readonly ITerraformDependable[];
  /** Tags of the group and of every instance that it launches. */
  readonly tags: Readonly<Record<string, string>>;
}

export interface WarmPoolProps {
  /**
   * Instances to keep prepared at least.
   * @default 0
   */
  readonly minSize?: number;
  /**
   * Prepared and serving instances together.
   * @default - the group's greatest size
   */
  readonly maxPreparedCapacity?: number;
  /**
   * What a prepared instance costs and how fast it serves.
   * @default "Stopped"
   */
  readonly state?: "Stopped" | "Running" | "Hibernated";
  /**
   * Put an instance that is scaled in back into the warm pool.
   * @default false
   */
  readonly reuseOnScaleIn?: boolean;
}

/** What a group with a warm pool publishes beside the metrics of every group. */
export const WARM_POOL_METRICS = ["WarmPoolDesiredCapacity", "WarmPoolPendingCapacity", "WarmPoolWarmedCapacity"];

/**
 * The Auto Scaling group of a pool.
 *
 * Its desired capacity belongs to the scaling policies as soon as it exists. Its hooks stand twice, with equal values: in the
 * group, where they only work at creation but hold for the first instances, and as resources, where they can change.
 *
 * Destroying it deletes its instances with it, protected or draining ones too, so that no manual step is left.
 *
 * @throws Error naming the group and both values when its sizes contradict each other.
 */
export class WorkerGroup extends Construct {
  public readonly groupName: string;
  public readonly groupArn: string;
  public readonly resource: AutoscalingGroup;

  public constructor(scope: Construct, id: string, props: WorkerGroupProps) {
    super(scope, id);
    requireSize(props.name, props.size);
    const hooks = [props.hooks.launch, props.hooks.terminate];
    const { minHealthyPercent, maxHealthyPercent } = props.maintenance ?? {
      minHealthyPercent: 100,
      maxHealthyPercent: 110,
    };

    this.resource = new AutoscalingGroup(this, "group", {
      name: props.name,
      minSize: props.size.min,
      maxSize: props.size.max,
      vpcZoneIdentifier: props.subnetIds,
      ...instanceSelection(props.instances),
      healthCheckType: "EC2",
      healthCheckGracePeriod: props.healthCheckGraceSeconds ?? 60,
      defaultInstanceWarmup: props.warmupSeconds ?? 120,
      initialLifecycleHook: hooks.map(hookArguments),
      instanceRefresh: instanceRefresh(props.refresh ?? {}, props.rollbackAlarmNames),
      instanceMaintenancePolicy: {
        minHealthyPercentage: minHealthyPercent,
        maxHealthyPercentage: maxHealthyPercent,
      },
      ...compact({
        desiredCapacity: props.size.initial,
        maxInstanceLifetime: props.maxInstanceLifetimeSeconds,
        warmPool: props.warmPool && warmPoolArguments(props.warmPool),
        suspendedProcesses: props.drainMode === "finish" ? ["AZRebalance"] : undefined,
      }),
      terminationPolicies: ["OldestLaunchTemplate", "Default"],
      enabledMetrics: [...GROUP_METRICS, ...(props.warmPool === undefined ? [] : WARM_POOL_METRICS)],
      metricsGranularity: "1Minute",
      waitForCapacityTimeout: `${props.capacityTimeoutSeconds ?? 900}s`,
      forceDelete: true,
      forceDeleteWarmPool: true,
      tag: propagated(props.tags),
      dependsOn: [...(props.bootsAfter ?? [])],
      lifecycle: { ignoreChanges: ["desired_capacity"] },
    });
    this.groupName = this.resource.name;
    this.groupArn = this.resource.arn;

    for (const hook of hooks) {
      new AutoscalingLifecycleHook(this, `${hook.name}_hook`, {
        autoscalingGroupName: this.groupName,
        ...hookArguments(hook),
      });
    }
    new GroupSchedules(this, "schedules", { groupName: this.groupName, schedules: props.schedules ?? {} });
  }
}

function hookArguments(hook: LifecycleHook) {
  return {
    name: hook.name,
    lifecycleTransition: hook.transition,
    heartbeatTimeout: hook.heartbeatTimeoutSeconds,
    defaultResult: hook.defaultResult,
  };
}

function warmPoolArguments(warmPool: WarmPoolProps) {
  return {
    minSize: warmPool.minSize ?? 0,
    poolState: warmPool.state ?? "Stopped",
    instanceReusePolicy: { reuseOnScaleIn: warmPool.reuseOnScaleIn ?? false },
    ...compact({ maxGroupPreparedCapacity: warmPool.maxPreparedCapacity }),
  };
}

function propagated(tags: Readonly<Record<string, string>>): AutoscalingGroupTag[] {
  return Object.entries(tags)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ({ key, value, propagateAtLaunch: true }));
}
