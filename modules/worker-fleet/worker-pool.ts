import { Fn, Token } from "cdktf";
import { Construct } from "constructs";
import { PoolScaling } from "../pool-scaling/pool-scaling";
import type { UserData } from "../user-data/user-data";
import { WorkerRole } from "../worker-access/worker-role";
import type { Backlog } from "../worker-observability/backlog";
import { type PoolIdentity, poolPrefix } from "../worker-observability/metrics";
import { PoolAlarms } from "../worker-observability/pool-alarms";
import { PoolDashboard } from "../worker-observability/pool-dashboard";
import { compact } from "./compact";
import type { FleetContext } from "./fleet-context";
import { lifecycleHooks } from "./lifecycle-hooks";
import { PoolInstances } from "./pool-instances";
import type { PoolConfig } from "./pool-keys";
import { poolPermissions } from "./pool-permissions";
import { instancesProps, scalingProps } from "./pool-settings";
import { poolUserData } from "./pool-user-data";

export interface WorkerPoolProps {
  readonly fleet: FleetContext;
  /** Name of the pool, unique in its fleet. */
  readonly name: string;
  readonly settings: PoolConfig;
}

/**
 * A pool of like workers: its role, its instances and what starts on them, what scales it, and what watches it.
 *
 * Everything in AWS is named `<product>-<deployment>-<pool>`. The group's name is written out wherever its instances need it
 * (role, user data, alarms), since they exist before the group does.
 *
 * @throws Error naming the field where the settings contradict each other or a name is longer than AWS takes.
 */
export class WorkerPool extends Construct {
  public readonly name: string;
  public readonly role: WorkerRole;
  public readonly instances: PoolInstances;
  public readonly alarms: PoolAlarms;
  public readonly dashboardName: string;
  public readonly userData: UserData;

  public constructor(scope: Construct, id: string, props: WorkerPoolProps) {
    super(scope, id);
    const { fleet, settings } = props;
    const identity: PoolIdentity = { product: fleet.settings.product, deployment: fleet.deployment, pool: props.name };
    this.name = poolPrefix(identity);
    const tags = { ...fleet.tags, ...settings.tags, Name: this.name, Deployment: fleet.deployment, Pool: props.name };
    const backlog = backlogOf(settings);
    const hooks = lifecycleHooks({
      launchTimeoutSeconds: settings.hooks.launch_timeout_seconds,
      drainDeadlineSeconds: settings.drain.deadline_seconds,
      ...compact({ terminateTimeoutSeconds: settings.hooks.terminate_timeout_seconds }),
    });

    this.role = new WorkerRole(this, "role", {
      name: this.name,
      permissions: poolPermissions(fleet.settings, fleet.logGroups, this.name, settings),
      path: fleet.settings.iam.path,
      ...compact({ permissionsBoundaryArn: fleet.settings.iam.permissions_boundary_arn }),
      tags,
    });
    this.alarms = new PoolAlarms(this, "alarms", {
      ...identity,
      asgName: this.name,
      backlog,
      topicArns: fleet.settings.alarm_topic_arns,
    });
    this.userData = poolUserData(this, "user_data", { fleet, identity, groupName: this.name, hooks, settings });
    this.instances = new PoolInstances(this, "instances", {
      ...instancesProps(fleet, settings),
      name: this.name,
      instanceProfileArn: this.role.instanceProfileArn,
      userData: this.userData,
      hooks,
      rollbackAlarmNames: this.alarms.refreshAlarmNames,
      tags,
    });
    const scaling = new PoolScaling(this, "scaling", {
      ...identity,
      ...scalingProps(settings),
      asgName: this.instances.group.groupName,
      backlog,
    });
    this.dashboardName = new PoolDashboard(this, "dashboard", {
      ...identity,
      asgName: this.name,
      backlog,
      region: fleet.region,
      alarmArns: [...this.alarms.arns, ...scaling.alarmArns],
    }).dashboardName;
  }
}

function backlogOf({ backlog: { queue_arn, messages_per_worker } }: PoolConfig): Backlog {
  if (queue_arn === undefined) {
    return { kind: "control-plane" };
  }
  return {
    kind: "sqs",
    queueName: Token.isUnresolved(queue_arn)
      ? Token.asString(Fn.element(Fn.split(":", queue_arn), 5))
      : queue_arn.slice(queue_arn.lastIndexOf(":") + 1),
    ...compact({ messagesPerInstance: messages_per_worker }),
  };
}
