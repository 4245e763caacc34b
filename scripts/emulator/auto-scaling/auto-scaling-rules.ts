import { AwsError, validationError } from "../aws-error";
import type { Scheduler } from "../scheduler";
import { Timeline } from "../timeline";
import { ActivityLog } from "./activity-log";
import { counts, type LaunchChoice, nextLaunch, scaleIn } from "./choices";
import type {
  Capacity,
  GroupChange,
  HookResult,
  Launched,
  LaunchRefused,
  LifecycleHook,
  Member,
  ScalingGroup,
} from "./group";
import { HookWaits, type WaitName } from "./hook-waits";

export interface AutoScalingTimings {
  /** From noticing that an instance is missing to asking EC2 for one. */
  readonly noticeMs: number;
  /**
   * Pause after a failed launch, doubled up to the longest. AWS documents that failing launches are slowed down, not
   * by how much: https://docs.aws.amazon.com/autoscaling/ec2/userguide/CHAP_Troubleshooting.html
   */
  readonly firstBackOffMs: number;
  readonly longestBackOffMs: number;
  /** From the end of an instance the group did not terminate to the health check that sees it. */
  readonly healthCheckMs: number;
  /** Between looks at an instance that starts, and from the end of a launch hook to service. @default 1,000 */
  readonly stepMs?: number;
}

export interface GroupState {
  readonly view: Timeline<ScalingGroup>;
  readonly hooks: Map<string, LifecycleHook>;
  readonly activities: ActivityLog;
  /** Instances that an instance refresh launches beyond the desired number. */
  surplus: number;
  /** Launches that EC2 has not answered. */
  readonly begun: Set<LaunchChoice>;
  attemptPlanned: boolean;
  notBefore: number;
  backOffMs: number;
}

/**
 * Auto Scaling groups: keep the desired number of instances, run lifecycle hooks, write scaling activities.
 * States: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html
 */
export class AutoScalingRules {
  readonly groups = new Map<string, GroupState>();
  readonly #waits: HookWaits;
  readonly #groupOf = new Map<string, string>();
  /** The activity that each instance's launch or termination is told by. */
  readonly #activityOf = new Map<string, string>();
  #activityCount = 0;
  /** Told when an instance begins to wait in its launch hook, or enters service without one: the guest is booting. */
  onBoot: (instanceId: string, groupName: string) => void = () => {};
  onInService: (instanceId: string) => void = () => {};
  onTerminating: (instanceId: string) => void = () => {};

  constructor(
    private readonly scheduler: Scheduler,
    private readonly capacity: Capacity,
    private readonly timings: AutoScalingTimings,
  ) {
    this.#waits = new HookWaits(scheduler, (id, transition, result) => this.#endWait(id, transition, result));
  }

  /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html @throws AwsError AlreadyExists */
  create(group: Omit<ScalingGroup, "instances">, hooks: readonly LifecycleHook[]): void {
    if (this.groups.has(group.name)) {
      throw new AwsError(
        "AlreadyExists",
        `AutoScalingGroup by this name already exists - A group with the name ${group.name} already exists`,
      );
    }
    this.groups.set(group.name, {
      view: new Timeline<ScalingGroup>(this.scheduler, { ...group, instances: [] }),
      hooks: new Map(hooks.map((hook) => [hook.name, hook])),
      activities: new ActivityLog(this.scheduler, () => activityId(++this.#activityCount)),
      surplus: 0,
      begun: new Set(),
      attemptPlanned: false,
      notBefore: 0,
      backOffMs: 0,
    });
    this.#reconcile(group.name);
  }

  /**
   * A size that is not named follows those that are.
   * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html
   *
   * @throws AwsError ValidationError where the sizes contradict each other.
   */
  update(groupName: string, change: GroupChange): void {
    const { view } = this.group(groupName);
    const min = change.min ?? view.current.min;
    const max = change.max ?? view.current.max;
    if (min > max) throw validationError(`Max bound, ${max}, must be greater than or equal to min bound, ${min}`);
    const desired = change.desired ?? Math.min(Math.max(view.current.desired, min), max);
    if (desired < min || desired > max) {
      throw validationError(
        `Desired capacity:${desired} must be between the specified min size:${min} and max size:${max}`,
      );
    }
    view.set({ ...change, desired });
    this.#reconcile(groupName);
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
    this.groups.delete(groupName);
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
    this.#reconcile(groupName);
  }

  /** So many instances beyond the desired number, while a refresh runs. */
  setSurplus(groupName: string, surplus: number): void {
    this.group(groupName).surplus = surplus;
    this.#reconcile(groupName);
  }

  /**
   * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_TerminateInstanceInAutoScalingGroup.html
   *
   * @throws AwsError ValidationError where no group has the instance, or its size would fall below the minimum.
   */
  terminate(instanceId: string, decrementDesired: boolean): void {
    const { name, min, desired } = this.groupOf(instanceId).view.current;
    if (decrementDesired && desired <= min) {
      throw validationError(
        `Currently, desiredSize equals minSize (${min}). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.`,
      );
    }
    if (decrementDesired) this.group(name).view.set({ desired: desired - 1 });
    this.#beginTermination(
      name,
      instanceId,
      `instance ${instanceId} was taken out of service in response to a user request`,
    );
  }

  /** Takes an instance out to be replaced, for the reason that its activity is to show. */
  replace(instanceId: string, reason: string): void {
    const { name } = this.groupOf(instanceId).view.current;
    this.#beginTermination(
      name,
      instanceId,
      `instance ${instanceId} was taken out of service in response to ${reason}`,
    );
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
    const { name } = this.groupOf(instanceId).view.current;
    this.#setMember(name, instanceId, { protectedFromScaleIn });
    if (!protectedFromScaleIn) this.#reconcile(name);
  }

  /** A health check found the instance gone or impaired: replaced when ReplaceUnhealthy runs. https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-health-checks.html */
  markUnhealthy(instanceId: string): void {
    const groupName = this.#groupOf.get(instanceId);
    const group = groupName === undefined ? undefined : this.groups.get(groupName);
    if (!group || groupName === undefined) return;
    this.#setMember(groupName, instanceId, { healthy: false });
    if (group.view.current.suspended.includes("ReplaceUnhealthy")) return;
    this.#beginTermination(
      groupName,
      instanceId,
      `instance ${instanceId} was taken out of service in response to an EC2 health check`,
    );
  }

  /** To be told of every instance that has stopped running, whatever ended it. */
  instanceEnded(instanceId: string): void {
    if (this.lifecycleOf(instanceId)?.startsWith("Terminating")) this.#remove(instanceId);
    else this.scheduler.after(this.timings.healthCheckMs, () => this.#remove(instanceId));
  }

  lifecycleOf(instanceId: string): string | undefined {
    return this.member(instanceId)?.lifecycle;
  }

  member(instanceId: string): Member | undefined {
    const groupName = this.#groupOf.get(instanceId);
    const group = groupName === undefined ? undefined : this.groups.get(groupName);
    return group?.view.current.instances.find(({ id }) => id === instanceId);
  }

  /** @throws AwsError ValidationError where there is none. */
  group(name: string): GroupState {
    const group = this.groups.get(name);
    if (!group) throw validationError(`AutoScalingGroup name not found - AutoScalingGroup '${name}' not found`);
    return group;
  }

  /** The group that an instance belongs to. @throws AwsError ValidationError where there is none. */
  groupOf(instanceId: string): GroupState {
    const group = this.groups.get(this.#groupOf.get(instanceId) ?? "");
    if (group?.view.current.instances.some(({ id }) => id === instanceId)) return group;
    throw validationError(`Instance Id not found - No managed instance found for instance ID: ${instanceId}`);
  }

  /** The group keeps its desired number: instances that are on their way out do not count, so a replacement may start beside them. */
  #reconcile(groupName: string): void {
    const group = this.groups.get(groupName);
    if (!group) return;
    this.#shrink(groupName, group);
    if (group.attemptPlanned || this.#missing(group) <= 0) return;
    group.attemptPlanned = true;
    const delay = Math.max(this.timings.noticeMs, group.notBefore - this.scheduler.now());
    this.scheduler.after(delay, () => {
      group.attemptPlanned = false;
      if (this.groups.get(groupName) !== group) return;
      while (this.#missing(group) > 0 && this.scheduler.now() >= group.notBefore) this.#launch(groupName, group);
      this.#reconcile(groupName);
    });
  }

  #missing({ view, surplus, begun }: GroupState): number {
    const { instances, desired, suspended } = view.current;
    if (suspended.includes("Launch")) return 0;
    return desired + surplus - instances.filter(counts).length - begun.size;
  }

  #shrink(groupName: string, { view, surplus, begun }: GroupState): void {
    const { instances, desired } = view.current;
    const excess = instances.filter(counts).length + begun.size - desired - surplus;
    if (excess <= 0) return;
    for (const id of scaleIn(view.current, excess)) {
      const cause = `a difference between desired and actual capacity, shrinking the capacity. instance ${id} was selected for termination`;
      this.#beginTermination(groupName, id, cause);
    }
  }

  #launch(groupName: string, group: GroupState): void {
    const { zones, subnetIds, tags } = group.view.current;
    const choice = nextLaunch(group.view.current, [...group.begun]);
    const subnetId = subnetIds[choice.place];
    const activity = group.activities.add(
      "PreInService",
      "Launching a new EC2 instance",
      "an instance was started in response to a difference between desired and actual capacity",
    );
    group.begun.add(choice);
    this.capacity.launch(
      {
        group: groupName,
        template: choice.template,
        zone: zones[choice.place] ?? "",
        ...(subnetId === undefined ? {} : { subnetId }),
        ...(choice.instanceType === undefined ? {} : { instanceType: choice.instanceType }),
        spot: choice.spot,
        tags,
      },
      (outcome) => {
        group.begun.delete(choice);
        if ("refused" in outcome) this.#refused(groupName, group, activity, outcome);
        else this.#launched(groupName, group, activity, choice, outcome);
      },
    );
  }

  #refused(groupName: string, group: GroupState, activity: string, { refused }: LaunchRefused): void {
    group.activities.set(activity, "Failed", { message: `${refused} Launching EC2 instance failed.` });
    this.#slowDown(group);
    this.#reconcile(groupName);
  }

  #launched(
    groupName: string,
    group: GroupState,
    activity: string,
    { spot }: LaunchChoice,
    { id, template, zone, instanceType }: Launched,
  ): void {
    if (this.groups.get(groupName) !== group) {
      this.capacity.terminate(id);
      return;
    }
    this.#groupOf.set(id, groupName);
    this.#activityOf.set(id, activity);
    const member: Member = {
      id,
      lifecycle: "Pending",
      healthy: true,
      template,
      zone,
      ...(instanceType === undefined ? {} : { instanceType }),
      spot,
      protectedFromScaleIn: group.view.current.protectsNew ?? false,
      launchedMs: this.scheduler.now(),
    };
    group.view.set({ instances: [...group.view.current.instances, member] });
    group.activities.set(activity, "PreInService", { description: `Launching a new EC2 instance: ${id}` });
    this.#whenRunning(id, () => {
      if (this.lifecycleOf(id) !== "Pending") return;
      const hooks = this.#hooks(group, "launching");
      if (hooks.length > 0) {
        this.#setMember(groupName, id, { lifecycle: "Pending:Wait" });
        group.activities.set(activity, "MidLifecycleAction");
        this.#waits.start(groupName, id, hooks);
      } else {
        this.#enterService(groupName, id);
      }
      this.onBoot(id, groupName);
    });
    this.#reconcile(groupName);
  }

  #whenRunning(id: string, then: () => void): void {
    this.scheduler.after(this.#stepMs, () => {
      const state = this.capacity.state(id);
      if (state === "pending") this.#whenRunning(id, then);
      else if (state === "running") then();
    });
  }

  #endWait(instanceId: string, transition: LifecycleHook["transition"], result: HookResult): void {
    const groupName = this.#groupOf.get(instanceId) ?? "";
    const group = this.groups.get(groupName);
    if (!group) return;
    if (transition === "terminating") {
      this.#setMember(groupName, instanceId, { lifecycle: "Terminating:Proceed" });
      this.capacity.terminate(instanceId);
    } else if (result === "CONTINUE") {
      this.#setMember(groupName, instanceId, { lifecycle: "Pending:Proceed" });
      this.scheduler.after(this.#stepMs, () => {
        if (this.lifecycleOf(instanceId) === "Pending:Proceed") this.#enterService(groupName, instanceId);
      });
    } else {
      group.activities.set(this.#activityOf.get(instanceId) ?? "", "Cancelled", {
        message:
          "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token was abandoned: Lifecycle Action Completed with ABANDON Result",
      });
      this.#slowDown(group);
      this.#beginTermination(
        groupName,
        instanceId,
        `instance ${instanceId} was taken out of service after its lifecycle action was abandoned`,
      );
    }
  }

  #enterService(groupName: string, instanceId: string): void {
    const group = this.groups.get(groupName);
    if (!group) return;
    this.#setMember(groupName, instanceId, { lifecycle: "InService", inServiceMs: this.scheduler.now() });
    group.activities.set(this.#activityOf.get(instanceId) ?? "", "Successful");
    group.backOffMs = 0;
    this.onInService(instanceId);
  }

  #beginTermination(groupName: string, instanceId: string, cause: string): void {
    const group = this.groups.get(groupName);
    const lifecycle = this.lifecycleOf(instanceId);
    if (!group || lifecycle === undefined || lifecycle.startsWith("Terminating")) return;
    if (group.view.current.suspended.includes("Terminate")) return;
    this.onTerminating(instanceId);
    if (this.#waits.cancel(instanceId)) {
      group.activities.set(this.#activityOf.get(instanceId) ?? "", "Cancelled", { message: cause });
    }
    this.#activityOf.set(
      instanceId,
      group.activities.add("InProgress", `Terminating EC2 instance: ${instanceId}`, cause),
    );
    const hooks = this.#hooks(group, "terminating");
    if (hooks.length > 0 && lifecycle === "InService" && this.capacity.state(instanceId) === "running") {
      this.#setMember(groupName, instanceId, { lifecycle: "Terminating:Wait" });
      this.#waits.start(groupName, instanceId, hooks);
    } else {
      this.#setMember(groupName, instanceId, { lifecycle: "Terminating" });
      this.capacity.terminate(instanceId);
    }
    this.#reconcile(groupName);
  }

  /** An instance the group terminated leaves it at once; one that ended by itself stays listed until a health check. */
  #remove(instanceId: string): void {
    const groupName = this.#groupOf.get(instanceId);
    const group = groupName === undefined ? undefined : this.groups.get(groupName);
    if (!group || groupName === undefined) return;
    this.#waits.cancel(instanceId);
    const member = this.member(instanceId);
    if (!member) return;
    const ended = this.#activityOf.get(instanceId) ?? "";
    if (member.lifecycle.startsWith("Terminating")) group.activities.set(ended, "Successful");
    group.view.set({ instances: group.view.current.instances.filter(({ id }) => id !== instanceId) });
    this.#groupOf.delete(instanceId);
    this.#activityOf.delete(instanceId);
    this.#reconcile(groupName);
  }

  /** Failures of launches that were asked for together slow the group down once. */
  #slowDown(group: GroupState): void {
    if (this.scheduler.now() < group.notBefore) return;
    group.backOffMs = Math.min(
      Math.max(group.backOffMs * 2, this.timings.firstBackOffMs),
      this.timings.longestBackOffMs,
    );
    group.notBefore = this.scheduler.now() + group.backOffMs;
  }

  #setMember(groupName: string, instanceId: string, change: Partial<Member>): void {
    const group = this.groups.get(groupName);
    group?.view.set({
      instances: group.view.current.instances.map((member) =>
        member.id === instanceId ? { ...member, ...change } : member,
      ),
    });
  }

  #hooks({ hooks }: GroupState, transition: LifecycleHook["transition"]): LifecycleHook[] {
    return [...hooks.values()].filter((hook) => hook.transition === transition);
  }

  get #stepMs(): number {
    return this.timings.stepMs ?? 1_000;
  }
}

/** The shape of AWS's own, and yet the same in every run. */
function activityId(count: number): string {
  return `00000000-0000-4000-8000-${count.toString(16).padStart(12, "0")}`;
}
