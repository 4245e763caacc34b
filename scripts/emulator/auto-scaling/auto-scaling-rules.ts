import { AwsError, validationError } from "../aws-error";
import type { Scheduler } from "../scheduler";
import { Timeline } from "../timeline";
import { ActivityLog } from "./activity-log";
import { counts } from "./choices";
import type { Capacity, GroupChange, HookResult, LifecycleHook, Member, ScalingGroup } from "./group";
import { type GroupState, Groups } from "./groups";
import { HookWaits, type WaitName } from "./hook-waits";
import { Launches } from "./launches";
import type { AutoScalingTimings, RuleContext } from "./rule-context";
import { Terminations } from "./terminations";

export type { AutoScalingTimings } from "./rule-context";

/**
 * Auto Scaling groups: keep the desired number of instances, run lifecycle hooks, write scaling activities.
 * States: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html
 */
export class AutoScalingRules {
  readonly #groups = new Groups();
  readonly groups: ReadonlyMap<string, GroupState> = this.#groups.byName;
  readonly #waits: HookWaits;
  readonly #launches: Launches;
  readonly #terminations: Terminations;
  #activityCount = 0;
  /** Told when an instance begins to wait in its launch hook, or enters service without one: the guest is booting. */
  onBoot: (instanceId: string, groupName: string) => void = () => {};
  /** Told when an instance begins to wait in hooks. */
  onWait: (instanceId: string, groupName: string, hooks: readonly LifecycleHook[]) => void = () => {};
  onTerminating: (instanceId: string) => void = () => {};

  constructor(
    private readonly scheduler: Scheduler,
    private readonly capacity: Capacity,
    timings: AutoScalingTimings,
  ) {
    this.#waits = new HookWaits(scheduler, (id, transition, result) => this.#endWait(id, transition, result));
    const context: RuleContext = {
      groups: this.#groups,
      scheduler,
      capacity,
      timings,
      reconcile: (group) => this.#reconcile(group),
      wait: ({ view }, id, hooks) => {
        this.#waits.start(view.current.name, id, hooks);
        this.onWait(id, view.current.name, hooks);
      },
      cancelWait: (id) => this.#waits.cancel(id),
    };
    this.#launches = new Launches(context, ({ view }, id) => this.onBoot(id, view.current.name));
    this.#terminations = new Terminations(context, (id) => this.onTerminating(id));
  }

  /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html @throws AwsError AlreadyExists */
  create(group: Omit<ScalingGroup, "instances">, hooks: readonly LifecycleHook[]): void {
    if (this.groups.has(group.name)) {
      throw new AwsError(
        "AlreadyExists",
        `AutoScalingGroup by this name already exists - A group with the name ${group.name} already exists`,
      );
    }
    const created: GroupState = {
      view: new Timeline<ScalingGroup>(this.scheduler, { ...group, instances: [] }),
      hooks: new Map(hooks.map((hook) => [hook.name, hook])),
      activities: new ActivityLog(this.scheduler, () => activityId(++this.#activityCount)),
      surplus: 0,
      begun: new Set(),
      attemptPlanned: false,
      notBefore: 0,
      backOffMs: 0,
    };
    this.#groups.byName.set(group.name, created);
    this.#reconcile(created);
  }

  /**
   * A size that is not named follows those that are.
   * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html
   *
   * @throws AwsError ValidationError where the sizes contradict each other.
   */
  update(groupName: string, change: GroupChange): void {
    const group = this.group(groupName);
    const { view } = group;
    const min = change.min ?? view.current.min;
    const max = change.max ?? view.current.max;
    if (min > max) throw validationError(`Max bound, ${max}, must be greater than or equal to min bound, ${min}`);
    const desired = change.desired ?? Math.min(Math.max(view.current.desired, min), max);
    if (desired < min || desired > max) {
      throw validationError(
        `Desired capacity:${desired} must be between the specified min size:${min} and max size:${max}`,
      );
    }
    view.set({ ...change, desired } as Partial<ScalingGroup>);
    this.#reconcile(group);
  }

  /**
   * A group goes once it has no instances; `force` ends them first, without their hooks.
   * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteAutoScalingGroup.html
   *
   * @throws AwsError ResourceInUse, ScalingActivityInProgress
   */
  delete(groupName: string, force: boolean): void {
    const { view, begun } = this.group(groupName);
    const { instances } = view.current;
    if (!force && instances.some(counts)) {
      throw new AwsError(
        "ResourceInUse",
        "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.",
      );
    }
    if (!force && (instances.length > 0 || begun.size > 0)) {
      throw new AwsError(
        "ScalingActivityInProgress",
        "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.",
      );
    }
    this.#groups.byName.delete(groupName);
    for (const { id } of instances) {
      this.#waits.cancel(id);
      this.capacity.terminate(id);
    }
  }

  /**
   * A suspended Launch keeps the group from adding instances; the others of its processes go on.
   * https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html
   */
  suspend(groupName: string, processName: string): void {
    const { view } = this.group(groupName);
    if (!view.current.suspended.includes(processName)) {
      view.set({ suspended: [...view.current.suspended, processName] });
    }
  }

  /** "When you resume the Launch process, EC2 Auto Scaling immediately replaces": same page as {@link suspend}. */
  resume(groupName: string, processName: string): void {
    const group = this.group(groupName);
    if (!group.view.current.suspended.includes(processName)) return;
    group.view.set({ suspended: group.view.current.suspended.filter((name) => name !== processName) });
    if (processName === "Launch") group.notBefore = 0;
    this.#reconcile(group);
  }

  /** So many instances beyond the desired number, while a refresh runs. */
  setSurplus(groupName: string, surplus: number): void {
    const group = this.group(groupName);
    group.surplus = surplus;
    this.#reconcile(group);
  }

  /**
   * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_TerminateInstanceInAutoScalingGroup.html
   *
   * @throws AwsError ValidationError where no group has the instance, or its size would fall below the minimum.
   */
  terminate(instanceId: string, decrementDesired: boolean): void {
    const { view } = this.groupOf(instanceId);
    const { min, desired } = view.current;
    if (decrementDesired && desired <= min) {
      throw validationError(
        `Currently, desiredSize equals minSize (${min}). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.`,
      );
    }
    if (decrementDesired) view.set({ desired: desired - 1 });
    this.#terminations.takeOut(instanceId, "in response to a user request");
  }

  /** Takes an instance out to be replaced, for the reason that its activity is to show. */
  replace(instanceId: string, reason: string): void {
    this.groupOf(instanceId);
    this.#terminations.takeOut(instanceId, `in response to ${reason}`);
  }

  /**
   * CONTINUE on launch puts the instance into service; ABANDON on launch terminates it; either ends a termination hook.
   * https://docs.aws.amazon.com/autoscaling/ec2/userguide/completing-lifecycle-hooks.html
   *
   * @throws AwsError ValidationError where nothing waits.
   */
  completeHook(name: WaitName, result: HookResult): void {
    this.#waits.complete(name, result);
  }

  /** @throws AwsError ValidationError where nothing waits. */
  heartbeat(name: WaitName): void {
    this.#waits.heartbeat(name);
  }

  /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SetInstanceProtection.html */
  protect(instanceId: string, protectedFromScaleIn: boolean): void {
    const group = this.groupOf(instanceId);
    this.#groups.set(instanceId, { protectedFromScaleIn });
    if (!protectedFromScaleIn) this.#reconcile(group);
  }

  /** A health check found the instance gone or impaired: replaced when ReplaceUnhealthy runs. https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-health-checks.html */
  markUnhealthy(instanceId: string): void {
    const group = this.#groups.of(instanceId);
    this.#groups.set(instanceId, { healthy: false });
    if (group?.view.current.suspended.includes("ReplaceUnhealthy")) return;
    this.#terminations.takeOut(instanceId, "in response to an EC2 health check");
  }

  /** To be told of every instance that has stopped running, whatever ended it. */
  instanceEnded(instanceId: string): void {
    this.#terminations.ended(instanceId);
  }

  lifecycleOf(instanceId: string): string | undefined {
    return this.#groups.lifecycleOf(instanceId);
  }

  member(instanceId: string): Member | undefined {
    return this.#groups.member(instanceId);
  }

  /** @throws AwsError ValidationError where there is none. */
  group(name: string): GroupState {
    return this.#groups.named(name);
  }

  /** The group that an instance belongs to. @throws AwsError ValidationError where there is none. */
  groupOf(instanceId: string): GroupState {
    const group = this.#groups.of(instanceId);
    if (group && this.member(instanceId)) return group;
    throw validationError(`Instance Id not found - No managed instance found for instance ID: ${instanceId}`);
  }

  /** The group keeps its desired number: instances that are on their way out do not count, so a replacement may start beside them. */
  #reconcile(group: GroupState): void {
    if (!this.#groups.exists(group)) return;
    this.#terminations.shrink(group);
    this.#launches.plan(group);
  }

  #endWait(instanceId: string, transition: LifecycleHook["transition"], result: HookResult): void {
    const group = this.#groups.of(instanceId);
    if (!group) return;
    if (transition === "terminating") {
      this.#terminations.proceed(instanceId);
    } else if (result === "CONTINUE") {
      this.#launches.proceed(group, instanceId);
    } else {
      this.#launches.abandoned(group, instanceId);
      this.#terminations.takeOut(instanceId, "after its lifecycle action was abandoned");
    }
  }
}

/** The shape of AWS's own, and yet the same in every run. */
function activityId(count: number): string {
  return `00000000-0000-4000-8000-${count.toString(16).padStart(12, "0")}`;
}
